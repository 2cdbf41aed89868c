"""The commitments of the ledger in the order of their indexes: what its log is made of.

Promises: every index once, without a gap, or an error; memory bounded by WINDOW_ENTRIES.
Does not hash, and reads no payload.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from sayso.errors import IntegrityError
from sayso.ledger import schema
from sayso.ledger.store import Ledger

COMMITMENT_BYTES = 32
# 128 MiB. A segment is sorted by member, so that each window reads its columns once.
WINDOW_ENTRIES = 1 << 22
BATCH_ROWS = 1 << 17
ROW = np.dtype(f"V{COMMITMENT_BYTES}")


def commitments(
    ledger: Ledger, first: int, end: int, *, window: int = WINDOW_ENTRIES
) -> Iterator[bytes]:
    """Yield the joined commitments of the entries from `first` until `end`, window by window.

    Raises:
        IntegrityError: An index is missing or stands twice, or a segment cannot be read.
    """
    for start in range(first, end, window):
        yield ledger.steadily(partial(_window, ledger, start, min(end, start + window)))


def _window(ledger: Ledger, first: int, end: int) -> bytes:
    column = schema.entry.c
    ranges = (
        sa.select(schema.segment)
        .where(schema.segment.c.first < end, schema.segment.c.first + schema.segment.c.span > first)
        .order_by(schema.segment.c.first)
    )
    heads = (
        sa.select(column.index, column.commitment)
        .where(column.index >= first, column.index < end)
        .order_by(column.index)
    )
    with ledger.reading() as con:
        head = [(int(index), bytes(commitment)) for index, commitment in con.execute(heads)]
        segments = con.execute(ranges).mappings().all()
    gathered = _Gathered(first, end)
    gathered.take(
        np.array([index for index, _ in head], np.int64), b"".join(one for _, one in head)
    )
    for row in segments:
        for ordinals, joined in _segment(ledger.folder / "segments" / row["name"]):
            gathered.take(ordinals + row["first"], joined)
    return gathered.joined()


class _Gathered:
    """Commitments put where their indexes say, in any order."""

    def __init__(self, first: int, end: int) -> None:
        self._first = first
        self._rows = np.empty(end - first, ROW)
        self._is_there = np.zeros(end - first, np.bool_)

    def take(self, indexes: npt.NDArray[np.int64], joined: bytes | memoryview) -> None:
        """Take the commitments of these indexes; those outside of the window are passed over."""
        if len(joined) != COMMITMENT_BYTES * len(indexes):
            raise IntegrityError(
                "a commitment of the ledger is not 32 bytes", hint="run 'sayso log fsck'"
            )
        places, rows = indexes - self._first, np.frombuffer(joined, ROW)
        inside = (places >= 0) & (places < len(self._rows))
        if not inside.all():
            places, rows = places[inside], rows[inside]
        ordered = np.sort(places)
        again = ordered[1:][ordered[1:] == ordered[:-1]]
        for twice in (places[self._is_there[places]], again):
            if len(twice):
                raise _wrong(self._first + int(twice.min()), "stands twice")
        self._rows[places], self._is_there[places] = rows, True

    def joined(self) -> bytes:
        """Return them, joined."""
        if not self._is_there.all():
            raise _wrong(self._first + int(self._is_there.argmin()), "is missing")
        return self._rows.tobytes()


def _wrong(index: int, what: str) -> IntegrityError:
    return IntegrityError(f"entry {index} of the ledger {what}", hint="run 'sayso log fsck'")


def _segment(path: Path) -> Iterator[tuple[npt.NDArray[np.int64], bytes | memoryview]]:
    """Yield the ordinals and the joined commitments of a segment, some rows at a time."""
    if not path.is_file():
        raise IntegrityError(f"segment '{path.name}' is missing", hint="restore it from backup")
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=["ordinal", "commitment"]):
                column = batch.column("commitment").cast(pa.binary(COMMITMENT_BYTES))
                start, width = column.offset * COMMITMENT_BYTES, len(column) * COMMITMENT_BYTES
                joined = memoryview(column.buffers()[1])[start : start + width]
                if column.null_count:
                    joined = joined[:0]
                yield batch.column("ordinal").to_numpy().astype(np.int64), joined
    except (pa.ArrowException, KeyError) as error:
        raise IntegrityError(
            f"segment '{path.name}' cannot be read ({type(error).__name__})",
            hint="restore it from backup",
        ) from error
