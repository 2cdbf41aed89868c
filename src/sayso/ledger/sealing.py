"""Sealing: the head's choices move into a segment once there are many.

Promises: every reading is the same before and after, since a segment keeps each entry's index;
killed at any moment, the choices stand in one place. Writers wait for the listing alone, not
for the file. Does not look at what was chosen.

Example:
    >>> seal(ledger, recorded_us)                          # doctest: +SKIP
    20000
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from sayso.ledger import schema
from sayso.ledger.files import working
from sayso.ledger.store import Ledger, temporary_name
from sayso.tables import connect, flush, quoted, sha256_of

# Choices that the head holds before they are sealed into a segment.
SEAL_ROWS = 20_000
LOCK_NAME = "seal.lock"

_IS_CHOICE = sa.and_(schema.entry.c.kind == "choice", schema.entry.c.member_id.is_not(None))


def seal(ledger: Ledger, recorded_us: int, *, threshold_rows: int = SEAL_ROWS) -> int:
    """Move the head's choices into a segment once there are many; return how many moved.

    Cheap where there are few: one row and the list of segments are read.

    Args:
        ledger: Whose.
        recorded_us: The time of recording.
        threshold_rows: How many are many; never fewer than one.
    """
    last = _last_to_seal(ledger, max(threshold_rows, 1))
    if last is None:
        return 0
    with _alone(ledger) as is_alone, working(ledger.folder / "segments"):
        if not is_alone:  # what others seal, they seal
            return 0
        choices, _ = ledger.choices(last + 1)
        if not choices.num_rows:
            return 0
        first, last = choices["index"][0].as_py(), choices["index"][-1].as_py()
        name = f"head-{first}-{last}.parquet"
        target = ledger.folder / "segments" / name
        made = target.with_name(temporary_name(name))
        try:
            _write(choices, first, made)
            return _list(ledger, choices, made, target, recorded_us)
        finally:
            made.unlink(missing_ok=True)


@contextmanager
def _alone(ledger: Ledger) -> Iterator[bool]:
    """Hold the sealers' lock, or say that another holds it."""
    descriptor = os.open(ledger.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _last_to_seal(ledger: Ledger, threshold_rows: int) -> int | None:
    """Return the last index of the head's choices; None where they are few."""
    column = schema.entry.c
    with ledger.reading() as con:
        size = con.execute(sa.select(schema.head.c.size)).scalar_one()
        sealed = con.execute(sa.select(sa.func.sum(schema.segment.c.rows))).scalar()
        # What is in no segment: choices, public entries, and what erasure left. No fewer are
        # choices than are counted only where there are enough of all.
        if int(size) - int(sealed or 0) < threshold_rows:
            return None
        rows, last = con.execute(
            sa.select(sa.func.count(), sa.func.max(column.index)).where(_IS_CHOICE)
        ).one()
    return int(last) if int(rows) >= threshold_rows else None


def _write(choices: pa.Table, first: int, path: Path) -> None:
    with connect() as duck:
        duck.register("choices", choices)
        duck.execute(
            f"COPY (SELECT (index - {first})::INTEGER ordinal, * EXCLUDE (index, commitment), "
            f"commitment::BLOB AS commitment FROM choices) TO {quoted(str(path))} (FORMAT PARQUET)"
        )
    flush(path)


def _list(ledger: Ledger, choices: pa.Table, made: Path, target: Path, recorded_us: int) -> int:
    """Give a written segment its name and its range, and take its choices out of the head.

    Returns:
        0 where others sealed some of them meanwhile, or one of their members was erased.
    """
    digest = sha256_of((made,))
    first, last = choices["index"][0].as_py(), choices["index"][-1].as_py()
    column = schema.entry.c
    ours = sa.and_(_IS_CHOICE, column.index >= first, column.index <= last)
    with ledger.writing() as con:
        # An entry never changes but by erasure, which takes its member: as many are the same.
        stand = con.execute(sa.select(sa.func.count()).where(ours)).scalar_one()
        if int(stand) != choices.num_rows:
            return 0
        made.rename(target)
        flush(target.parent)
        con.execute(
            sa.insert(schema.segment).values(
                first=first, span=last - first + 1, rows=choices.num_rows, kind="head",
                name=target.name, sha256=digest, source=None, recorded_us=recorded_us,
            )
        )  # fmt: skip
        con.execute(sa.delete(schema.entry).where(ours))
    return int(choices.num_rows)
