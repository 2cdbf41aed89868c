"""Versions of the members and notices tables: which one counts, and what is not published.

Promises: reads what stands in the database beside a version's entry: the file's name and
digest, which change when a member is erased, and its rows, which the entry does not tell.
The entry holds the root, which never changes.

Example:
    >>> version_at(ledger, "members", 12).path             # doctest: +SKIP
    PosixPath('ws/tables/members-0f3c....parquet')
"""

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sayso.errors import InputError
from sayso.ledger import schema
from sayso.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a table.

    Attributes:
        entry: The index of its entry.
        root: The Merkle root over its rows, which the entry commits to.
        single: Whether every member has one row, which counts always.
        source: The keyed digest of the file that it came from.
        expired: Whether its rows were deleted by retention.
    """

    entry: int
    kind: str
    root: str
    path: Path
    sha256: str
    rows: int
    single: bool
    source: str
    expired: bool


def _version(ledger: Ledger, row: sa.RowMapping) -> Version:
    return Version(
        int(row["entry"]), row["kind"], row["root"], ledger.folder / "tables" / row["name"],
        row["sha256"], int(row["rows"]), bool(row["single"]), row["source"],
        row["expired_us"] is not None,
    )  # fmt: skip


def version_at(ledger: Ledger, kind: str, known: int) -> Version | None:
    """Return the version of a table that counts at `known`; None before the first.

    Raises:
        InputError: Its rows were deleted by retention.
    """
    column = schema.table.c
    newest = (
        sa.select(schema.table)
        .where(column.kind == kind, column.entry < known)
        .order_by(column.entry.desc())
        .limit(1)
    )
    with ledger.reading() as con:
        row = con.execute(newest).mappings().first()
        if row is None:
            return None
        standing = sa.select(sa.func.min(column.entry)).where(
            column.kind == kind, column.entry > row["entry"], column.expired_us.is_(None)
        )
        later = con.execute(standing).scalar()
    found = _version(ledger, row)
    if found.expired:
        raise InputError(
            f"the {kind} as of known {known} were deleted by retention",
            hint=f"ask with known {int(later) + 1} or more" if later is not None else "",
        )
    return found


def every_version(ledger: Ledger) -> list[Version]:
    """Return every version of every table, in order."""
    with ledger.reading() as con:
        rows = con.execute(sa.select(schema.table).order_by(schema.table.c.entry)).mappings()
        return [_version(ledger, row) for row in rows]


def stand_at(ledger: Ledger, known: int) -> bool:
    """Whether the rows of the tables that count at `known` are still there."""
    column = schema.table.c
    newest = sa.select(sa.func.max(column.entry)).where(column.entry < known).group_by(column.kind)
    query = sa.select(column.entry).where(column.entry.in_(newest), column.expired_us.is_not(None))
    with ledger.reading() as con:
        return con.execute(query).first() is None
