"""Which folders hold snapshots of a workspace: what an erasure visits.

Promises: a folder is noted before a record is written into it, and as the snapshot of an
entry in the transaction that takes the entry. A path is told relative to the workspace, so
that both can move together.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sayso.errors import InputError
from sayso.ledger import schema
from sayso.ledger.store import Ledger
from sayso.snapshot.manifest import load_manifest

_column = schema.snapshot.c


@dataclass(frozen=True, slots=True)
class Known:
    """A folder in which a snapshot was made, or is being made.

    Attributes:
        path: The folder; nothing need be there any more.
        entry: The index of the snapshot's entry; None while it is being made.
        manifest: Its manifest's digest; None while it is being made.
    """

    path: Path
    entry: int | None
    manifest: str | None


def known_snapshots(ledger: Ledger) -> list[Known]:
    """Return every folder that was noted, by path."""
    with ledger.reading() as con:
        rows = con.execute(sa.select(schema.snapshot).order_by(_column.path)).all()
    return [
        Known(
            Path(os.path.normpath(ledger.folder.resolve() / row.path)),
            None if row.entry is None else int(row.entry),
            row.manifest,
        )
        for row in rows
    ]


def _told(ledger: Ledger, path: Path) -> str:
    return os.path.relpath(path.resolve(), ledger.folder.resolve())


def _note(
    con: sa.Connection, ledger: Ledger, path: Path, entry: int | None, manifest: str | None
) -> None:
    told = _told(ledger, path)
    con.execute(sa.delete(schema.snapshot).where(_column.path == told))
    con.execute(sa.insert(schema.snapshot).values(path=told, entry=entry, manifest=manifest))


@contextmanager
def announced(ledger: Ledger, out: Path) -> Iterator[None]:
    """Note that a snapshot is being made in `<out>.partial`, whose lock the caller holds."""
    with ledger.writing() as con:
        _note(con, ledger, out, None, None)
    try:
        yield
    except BaseException:
        with ledger.writing() as con:
            con.execute(
                sa.delete(schema.snapshot).where(
                    _column.path == _told(ledger, out), _column.entry.is_(None)
                )
            )
        raise


def note_finished(
    con: sa.Connection, ledger: Ledger, out: Path, entry: int, manifest: str
) -> frozenset[bytes]:
    """Note a snapshot with its entry, in one transaction; return the tags of work that is left.

    INVARIANT: who is erased before this transaction is in what it returns, or was erased
    before the build looked; who is erased after it finds the snapshot noted.
    """
    _note(con, ledger, out, entry, manifest)
    return frozenset(bytes(tag) for (tag,) in con.execute(sa.select(schema.erasure_work.c.tag)))


def adopt(ledger: Ledger, copy: Path) -> Known:
    """Note a folder as one more copy of a snapshot of this workspace.

    Raises:
        InputError: It is none.
    """
    manifest = load_manifest(copy).digest
    entry = ledger.latest("snapshot", ledger.size(), manifest=manifest)
    if entry is None:
        raise InputError(
            f"'{copy}' is no snapshot of this workspace", hint="name a folder that was built here"
        )
    with ledger.writing() as con:
        _note(con, ledger, copy, entry.index, manifest)
    return Known(copy.resolve(), entry.index, manifest)


def forget(ledger: Ledger, known: Known) -> None:
    """Note that nothing is made in a folder any more."""
    with ledger.writing() as con:
        con.execute(sa.delete(schema.snapshot).where(_column.path == _told(ledger, known.path)))
