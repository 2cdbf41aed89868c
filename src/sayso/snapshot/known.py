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
        is_behind: Whether erasures may have missed it, so that all of it is to be looked at.
    """

    path: Path
    entry: int | None
    manifest: str | None
    is_behind: bool


def known_snapshots(ledger: Ledger) -> list[Known]:
    """Return every folder that was noted, by path."""
    with ledger.reading() as con:
        rows = con.execute(sa.select(schema.snapshot).order_by(_column.path)).all()
    return [
        Known(
            Path(os.path.normpath(ledger.folder.resolve() / row.path)),
            None if row.entry is None else int(row.entry),
            row.manifest,
            bool(row.behind),
        )
        for row in rows
    ]


def _told(ledger: Ledger, path: Path) -> str:
    return os.path.relpath(path.resolve(), ledger.folder.resolve())


def _note(
    con: sa.Connection,
    ledger: Ledger,
    path: Path,
    entry: int | None,
    manifest: str | None,
    *,
    behind: bool = False,
) -> None:
    told = _told(ledger, path)
    con.execute(sa.delete(schema.snapshot).where(_column.path == told))
    con.execute(
        sa.insert(schema.snapshot).values(path=told, entry=entry, manifest=manifest, behind=behind)
    )


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


def note_finished(con: sa.Connection, ledger: Ledger, out: Path, entry: int, manifest: str) -> None:
    """Note a snapshot in the transaction that takes its entry.

    INVARIANT: who is erased before this transaction has work left that a build looks at
    (`sayso.ledger.erase.work_left`); who is erased after it finds the snapshot noted.
    """
    _note(con, ledger, out, entry, manifest)


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
        _note(con, ledger, copy, entry.index, manifest, behind=True)
    return Known(copy.resolve(), entry.index, manifest, is_behind=True)


def note_behind(ledger: Ledger, known: Known, *, behind: bool) -> None:
    """Note whether erasures may have missed a folder."""
    if behind == known.is_behind:
        return
    with ledger.writing() as con:
        con.execute(
            sa.update(schema.snapshot)
            .where(_column.path == _told(ledger, known.path))
            .values(behind=behind)
        )


def forget(ledger: Ledger, known: Known) -> None:
    """Note that nothing is made in a folder any more."""
    with ledger.writing() as con:
        con.execute(sa.delete(schema.snapshot).where(_column.path == _told(ledger, known.path)))
