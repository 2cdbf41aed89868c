"""Limits: how often one caller may ask for what is dear.

Promises: a route that is dear says so beside who may use it, and what kind of work it is; each
caller has a number of each kind a minute, all workers together, and whoever has used it up is
told when to come again. Nothing by which anybody says off is limited, one by one or in a file,
nor is anything that is cheap. Names nobody: a count stands under a keyed digest of the caller,
and goes with the first count of anybody's after its time.

Tables: `web_count`, one row per caller and kind of work: the instant at which all that was
asked for would have been asked at an even pace.

Source: the generic cell rate algorithm, ITU-T I.371 annex A, as the virtual scheduling one.

Example:
    >>> @allow(Role.MEMBER)
    ... @dear(Work.SCAN)
    ... def records() -> None: ...
    >>> work_of(records)
    <Work.SCAN: 'scans'>
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from sayso.ledger.store import Ledger
from sayso.settings import WebSettings
from sayso.web.access import Caller
from sayso.web.problems import TooManyError
from sayso.web.sealed import metadata

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__sayso_work__"
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US

count = sa.Table(
    "web_count",
    metadata,
    sa.Column("name", sa.LargeBinary(32), primary_key=True),
    sa.Column("until_us", sa.BigInteger, nullable=False, index=True),
)


class Work(StrEnum):
    """Kinds of dear work; each has its number in `[web]` of `sayso.toml`."""

    SCAN = "scans"  # reads content or training sets
    TEXT = "texts"  # has a model write
    BATCH = "batches"  # decides about many records
    FILE = "files"  # takes a file whole
    PACK = "packs"  # makes evidence, or compares rulebooks


def dear(work: Work) -> Callable[[F], F]:
    """Count who uses a route, and refuse whoever has used it too often within a minute."""

    def mark(function: F) -> F:
        setattr(function, _MARK, work)
        return function

    return mark


def work_of(endpoint: object) -> Work | None:
    """Return what kind of dear work a route's function is; None for none."""
    found = getattr(endpoint, _MARK, None)
    return found if isinstance(found, Work) else None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one service.

    Attributes:
        ledger: In whose database the counts stand, so that all workers share them.
        settings: Holds how many of each kind of work one caller has a minute.
    """

    ledger: Ledger
    settings: WebSettings

    def per_minute(self, work: Work) -> int:
        """Return how many of a kind one caller has a minute."""
        return int(getattr(self.settings, f"{work}_per_minute"))

    def take(self, caller: Caller, work: Work, now_us: int) -> None:
        """Count one more.

        Raises:
            TooManyError: They have used up what they have; this one is not counted.
            UnavailableError: The database did not answer.
        """
        kind = "client" if caller.is_client else "person"
        name = self.ledger.keys.keyed("sayso/web/count/v1", f"{work}\n{kind}\n{caller.subject}")
        step_us = MINUTE_US // self.per_minute(work)
        # A look first: whoever is refused again and again makes nobody who writes wait.
        with self.ledger.reading() as con:
            until_us = con.execute(sa.select(count.c.until_us).where(count.c.name == name)).scalar()
        if until_us is None or self._wait_us(until_us, step_us, now_us) <= 0:
            until_us = self._count(name, step_us, now_us)
        if until_us is not None:
            wait_us = max(1, self._wait_us(until_us, step_us, now_us))
            raise TooManyError(-(-wait_us // SECOND_US))

    @staticmethod
    def _wait_us(until_us: int, step_us: int, now_us: int) -> int:
        return max(until_us, now_us) + step_us - MINUTE_US - now_us

    def _count(self, name: bytes, step_us: int, now_us: int) -> int | None:
        """Count one; return the instant that stands where another was first, None where not."""
        latest = sa.case((count.c.until_us > now_us, count.c.until_us), else_=now_us)
        with self.ledger.noting() as con:
            con.execute(sa.delete(count).where(count.c.until_us <= now_us - MINUTE_US))
            insert = postgresql.insert if con.dialect.name == "postgresql" else sqlite.insert
            made = insert(count).values(name=name, until_us=now_us + step_us)
            made = made.on_conflict_do_update(
                index_elements=[count.c.name],
                set_={"until_us": latest + step_us},
                where=latest + step_us <= now_us + MINUTE_US,
            )
            if con.execute(made.returning(count.c.until_us)).scalar() is not None:
                return None
            found = con.execute(sa.select(count.c.until_us).where(count.c.name == name)).scalar()
            return int(found or now_us)
