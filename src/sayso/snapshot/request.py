"""What a build is asked for and works with, and the fold that begins it.

Promises: values only; the fold reads the ledger and nothing else.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from sayso.attest.trust import Trust
from sayso.decision.cells import Cells
from sayso.decision.states import MemberStates, classify_members, microseconds
from sayso.ledger.fold import NoticeBound, fold_standing
from sayso.ledger.standing import ALWAYS_US
from sayso.ledger.store import Ledger
from sayso.model import Rulebook
from sayso.rulebook.in_force import InForce
from sayso.snapshot.manifest import Manifest
from sayso.snapshot.stream import Engine
from sayso.tables import Table

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        at: Aware UTC.
        known: Size of the ledger to look at.
        members: Replaces the ingested table for this call.
        out: Must not exist.
        engine: What decides where everything is built; None: DuckDB.
    """

    purpose: str
    at: datetime
    known: int
    content: Path
    members: Path | None
    out: Path
    engine: Engine | None = None


@dataclass(frozen=True)
class Rules:
    """The published rulebook as of `known`, and its entry in the ledger."""

    book: Rulebook
    entry: int


@dataclass(frozen=True)
class Built:
    """A finished snapshot."""

    path: Path
    manifest: Manifest
    entry: int
    buckets_written: int


@dataclass
class Tools:
    """Where work happens and who is told.

    Attributes:
        ledger: Whose choices count, and which takes the entry.
        recorded_us: The time of recording.
        trust: Who signs, and whose word a checkpoint needs.
        clock: Gives the present, for what is not part of the snapshot's bytes.
        threads: DuckDB threads, and threads that seal.
    """

    ledger: Ledger
    recorded_us: int
    trust: Trust
    clock: Callable[[], datetime]
    threads: int = field(default_factory=lambda: min(os.cpu_count() or 1, 4))
    progress: Progress = lambda _stage, _rows: None


def notice_bounds(current: InForce) -> Iterator[NoticeBound]:
    """Yield what the rules in force ask of notices, by country."""
    for country, law in current.jurisdictions.items():
        for held in law.rules:
            if held.rule.notice is not None:
                since = held.notice_since_at
                yield NoticeBound(
                    country,
                    ALWAYS_US if since is None else microseconds(since),
                    held.rule.notice.days * 86_400_000_000,
                )


def fold_states(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    cells: Cells,
    known: int,
    *,
    members: Table | None,
    integer_ids: bool,
    others: tuple[str, ...] = (),
) -> MemberStates:
    """Return every member's state as of the cells' instant and `known`."""
    standing = fold_standing(
        ledger,
        duck,
        purpose=cells.in_force.purpose,
        at_us=microseconds(cells.in_force.at),
        known=known,
        bounds=notice_bounds(cells.in_force),
        members=members,
        others=others,
    )
    return classify_members(cells, standing, integer_ids=integer_ids)
