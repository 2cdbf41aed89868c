"""The ledger at a glance: what a question about the present reads, in one statement.

Promises: each glance is one consistent reading, begun after it was asked for, so that it shows
every entry that was acknowledged before; safe for many threads. Holds a few connections, on
which nothing but such readings happens. Does not interpret.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from sayso.errors import UnavailableError
from sayso.ledger import schema
from sayso.ledger.appending import holding
from sayso.ledger.held import Stamp
from sayso.ledger.store import Ledger

# Connections held, and so glances at once.
CONNECTIONS = 4

ChoiceRow = tuple[str, str, int, str | None]  # purpose, choice, effective_us, country

# Each through an index. The sum keeps a database from walking the primary key back to the
# last rulebook; what names a member is a choice.
_STATE = (
    f"h.size, h.rewritten, (SELECT count(*) FROM {schema.segment.name}), "
    f"(SELECT max(entry) FROM {schema.table.name}), "
    f"(SELECT max(\"index\" + 0) FROM {schema.entry.name} WHERE kind = 'rulebook')"
)
_LOOK = (
    f"SELECT {_STATE}, (SELECT entry FROM {schema.erased.name} WHERE tag = ?), "
    f"e.purpose, e.choice, e.effective_us, e.country "
    f"FROM {schema.head.name} h LEFT JOIN {schema.entry.name} e ON e.member_id = ?"
)
_SIGHT = (
    f"SELECT {_STATE}, (SELECT count(*) FROM {schema.segment.name} WHERE kind <> 'head'), "
    f"(SELECT count(*) FROM {schema.erased.name}) FROM {schema.head.name} h"
)


class Look(NamedTuple):
    """The ledger, and one member in its head.

    Attributes:
        size: Entries.
        rewritten: How often files were put in the place of others.
        is_erased: Whether a tombstone stands for the member.
        choices: Theirs that are in no segment.
    """

    size: int
    rewritten: int
    stamp: Stamp
    is_erased: bool
    choices: Sequence[ChoiceRow]


class Sight(NamedTuple):
    """The ledger, for questions about everybody.

    Attributes:
        files: Segments that came from files.
        erased: Members that were erased.
    """

    size: int
    rewritten: int
    stamp: Stamp
    files: int
    erased: int

    @property
    def basis(self) -> tuple[object, ...]:
        """Return what stays the same while nothing but choices in the head comes."""
        return (self.rewritten, self.stamp.table, self.stamp.rulebook, self.files, self.erased)


class Asking:
    """Connections for glances. Close it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._marks = "?" if ledger.engine.dialect.name == "sqlite" else "%s"
        self._free = threading.Semaphore(CONNECTIONS)
        self._idle: list[tuple[ExitStack, Any]] = []
        name = ledger.engine.url.database
        self._file = Path(name) if name and ledger.engine.dialect.name == "sqlite" else None

    def close(self) -> None:
        """Give the connections back."""
        while True:
            try:
                # One step: between a look and a pop another thread may take the last one.
                stack, _ = self._idle.pop()
            except IndexError:
                return
            stack.close()

    def look(self, member_id: str) -> Look:
        """Look at the ledger and a member.

        Raises:
            UnavailableError: The database did not answer.
        """
        rows = self._rows(_LOOK, (self._ledger.keys.tag_of(member_id), member_id))
        size, rewritten, segments, table, rulebook, erased = rows[0][:6]
        choices = [row[6:] for row in rows] if rows[0][6] is not None else []
        stamp = Stamp(segments, table, rulebook)
        return Look(size, rewritten, stamp, erased is not None, choices)

    def sight(self) -> Sight:
        """Look at the ledger.

        Raises:
            UnavailableError: The database did not answer.
        """
        return _sight(self._rows(_SIGHT, ()))

    def _rows(self, statement: str, given: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._free:
            try:
                return self._once(statement, given)
            except UnavailableError:
                # The connection may have died while it was idle, and all others with it; a
                # reading can be done again.
                self.close()
                return self._once(statement, given)

    def _once(self, statement: str, given: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        # SQLite would go on reading a file that was taken away.
        if self._file is not None and not self._file.exists():
            raise UnavailableError("the ledger did not answer", hint="try again later")
        with self._held() as ask:
            return ask(statement.replace("?", self._marks), given)

    @contextmanager
    def _held(self) -> Iterator[Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]]:
        """Give a way to ask; the connection goes back only after an answer."""
        try:
            stack, con = self._idle.pop()
        except IndexError:
            stack = ExitStack()
            con = stack.enter_context(holding(self._ledger))
        driver = con.connection.driver_connection
        is_sqlite = con.dialect.name == "sqlite"

        def ask(statement: str, given: tuple[Any, ...]) -> list[tuple[Any, ...]]:
            # The driver's own cursor: SQLAlchemy's statements cost more than the query.
            if is_sqlite:
                found: list[tuple[Any, ...]] = driver.execute(statement, given).fetchall()
            else:
                found = driver.execute(statement, given, prepare=True).fetchall()
            return found

        try:
            with self._ledger.told():
                yield ask
        except BaseException:
            con.invalidate()
            stack.close()
            raise
        self._idle.append((stack, con))


def _sight(rows: Sequence[Any]) -> Sight:
    ((size, rewritten, segments, table, rulebook, files, erased),) = rows
    return Sight(size, rewritten, Stamp(segments, table, rulebook), files, erased)


def sight_of(con: sa.Connection) -> Sight:
    """Look at the ledger within a reading."""
    return _sight(con.exec_driver_sql(_SIGHT).all())


def chosen_since(con: sa.Connection, known: int) -> tuple[set[str], list[tuple[int, str]]]:
    """Return who chose at or after an index, as far as the head tells, and sealed ranges.

    Args:
        con: A reading.
        known: The index.

    Returns:
        Member ids; and (ordinal to begin at, file name) of segments that came from the
        head and hold later entries.
    """
    entry, segment = schema.entry.c, schema.segment.c
    ids = con.execute(
        sa.select(entry.member_id)
        .distinct()
        .where(entry.index >= known, entry.member_id.is_not(None))
    ).scalars()
    later = con.execute(
        sa.select(segment.first, segment.name).where(
            segment.kind == "head", segment.first + segment.span > known
        )
    ).all()
    return {str(who) for who in ids}, [
        (max(known - int(first), 0), str(name)) for first, name in later
    ]


def head_choices_of(con: sa.Connection, ids: Sequence[str]) -> dict[str, list[ChoiceRow]]:
    """Return the choices of some members that are in no segment; only inside a reading."""
    entry = schema.entry.c
    found: dict[str, list[ChoiceRow]] = {who: [] for who in ids}
    query = sa.select(
        entry.member_id, entry.purpose, entry.choice, entry.effective_us, entry.country
    ).where(entry.member_id.in_(ids))
    for who, *row in con.execute(query):
        found[who].append(tuple(row))
    return found
