"""What counts of the ledger's files, held in memory by member.

Promises: `load_files` gives what one reading of the database lists; a file that was loaded
before is not read again. Segments of any size are few to look into, since small ones are
merged. Does not know choices in the head, nor who was erased.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from sayso.ledger import schema
from sayso.ledger.lookup import ByMember, load_choices, load_members, load_notices
from sayso.ledger.rows import MEMBERS, NOTICES
from sayso.ledger.store import Ledger


class Stamp(NamedTuple):
    """What tells that other files count, or another rulebook.

    Attributes:
        segments: How many there are; none ever goes.
        table: The entry of the newest version of any table; None before the first.
        rulebook: The entry of the newest rulebook; None before the first.
    """

    segments: int
    table: int | None
    rulebook: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one file or of several.

    Attributes:
        entries: The entry of a table's version, or the first indexes of segments.
        names: The files as they were read; an erasure gives them others.
    """

    entries: frozenset[int]
    names: frozenset[str]
    rows: ByMember


@dataclass(frozen=True, slots=True)
class Files:
    """The files that count by a stamp.

    Attributes:
        rewritten: How often files were put in the place of others when all of these were listed.
    """

    stamp: Stamp
    rewritten: int
    members: Part | None
    notices: Part | None
    segments: tuple[Part, ...]

    def choices_of(self, member_id: str) -> list[tuple[str, str, int, str | None]]:
        """Return (purpose, choice, effective_us, country) of a member's sealed choices."""
        return [row for part in self.segments for row in part.rows.rows(member_id)]


def load_files(ledger: Ledger, before: Files | None, *, anew: bool = False) -> Files:
    """Return the files that count now.

    Args:
        ledger: Whose.
        before: What was held; taken over where the same entries stand in it.
        anew: Whether to read again what an erasure replaced; until then it says the same of
            everybody else.
    """
    return ledger.steadily(lambda: _load(ledger, before, anew=anew))


def stamp_columns() -> tuple[sa.ColumnElement[int], ...]:
    """SQL: the fields of a stamp, each read through an index."""
    entry = schema.entry.c
    # The sum keeps the database from walking the primary key back to the last rulebook.
    return (
        sa.select(sa.func.count()).select_from(schema.segment).scalar_subquery(),
        sa.select(sa.func.max(schema.table.c.entry)).scalar_subquery(),
        sa.select(sa.func.max(entry.index + 0)).where(entry.kind == "rulebook").scalar_subquery(),
    )


def _load(ledger: Ledger, before: Files | None, *, anew: bool) -> Files:
    with ledger.reading() as con:
        row = con.execute(sa.select(schema.head.c.rewritten, *stamp_columns())).one()
        versions = {kind: _newest(con, kind) for kind in (MEMBERS, NOTICES)}
        listed = {
            int(first): str(name)
            for first, name in con.execute(
                sa.select(schema.segment.c.first, schema.segment.c.name)
            ).all()
        }
    tables = ledger.folder / "tables"
    return Files(
        Stamp(int(row[1]), row[2], row[3]),
        # What was taken over is as old as it was.
        before.rewritten if before and not anew else int(row[0]),
        _table(tables, versions[MEMBERS], before.members if before else None, load_members, anew),
        _table(tables, versions[NOTICES], before.notices if before else None, load_notices, anew),
        _segments(ledger.folder / "segments", listed, before.segments if before else (), anew),
    )


def _newest(con: sa.Connection, kind: str) -> tuple[int, str] | None:
    column = schema.table.c
    query = sa.select(column.entry, column.name).where(column.kind == kind)
    row = con.execute(query.order_by(column.entry.desc()).limit(1)).first()
    return None if row is None else (int(row[0]), str(row[1]))


def _table(
    folder: Path,
    version: tuple[int, str] | None,
    before: Part | None,
    load: Callable[[Path], ByMember],
    anew: bool,
) -> Part | None:
    if version is None:
        return None
    entry, name = version
    if before and entry in before.entries and (name in before.names or not anew):
        return before
    return Part(frozenset({entry}), frozenset({name}), load(folder / name))


def _segments(
    folder: Path, listed: dict[int, str], before: tuple[Part, ...], anew: bool
) -> tuple[Part, ...]:
    kept = [
        part
        for part in before
        if part.entries <= listed.keys()
        and (not anew or part.names == {listed[first] for first in part.entries})
    ]
    held = {first for part in kept for first in part.entries}
    for first in sorted(listed.keys() - held):
        name = listed[first]
        kept.append(Part(frozenset({first}), frozenset({name}), load_choices(folder / name)))
    return tuple(_merged(kept))


def _merged(parts: list[Part]) -> Iterator[Part]:
    """Merge while a part is less than twice the next: few are left, and each row moves seldom."""
    stack: list[Part] = []
    for part in sorted(parts, key=lambda one: -len(one.rows)):
        stack.append(part)
        while len(stack) > 1 and len(stack[-2].rows) < 2 * len(stack[-1].rows):
            last, other = stack.pop(), stack.pop()
            stack.append(
                Part(
                    other.entries | last.entries,
                    other.names | last.names,
                    other.rows.merged(last.rows),
                )
            )
    yield from stack
