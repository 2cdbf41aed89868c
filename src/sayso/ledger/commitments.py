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
        self._rows = np.empty((end - first, COMMITMENT_BYTES), np.uint8)
        self._times = np.zeros(end - first, np.uint8)

    def take(self, indexes: npt.NDArray[np.int64], joined: bytes | memoryview) -> None:
        """Take the commitments of these indexes; those outside of the window are passed over."""
        if len(joined) != COMMITMENT_BYTES * len(indexes):
            raise IntegrityError(
                "a commitment of the ledger is not 32 bytes", hint="run 'sayso log fsck'"
            )
        rows = np.frombuffer(joined, np.uint8).reshape(-1, COMMITMENT_BYTES)
        inside = (indexes >= self._first) & (indexes < self._first + len(self._rows))
        places = indexes[inside] - self._first
        self._rows[places] = rows if inside.all() else rows[inside]
        np.add.at(self._times, places, 1)

    def joined(self) -> bytes:
        """Return them, joined."""
        odd = np.flatnonzero(self._times != 1)
        if len(odd):
            at = int(odd[0])
            what = "stands twice" if self._times[at] else "is missing"
            raise IntegrityError(
                f"entry {self._first + at} of the ledger {what}", hint="run 'sayso log fsck'"
            )
        return self._rows.tobytes()


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
