"""The commitments of the ledger in the order of their indexes: what its log is made of.

Promises: every index once, without a gap, or an error; memory bounded by WINDOW_ENTRIES.
Does not hash, and reads no payload.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa
import sqlalchemy as sa

from sayso.errors import IntegrityError
from sayso.ledger import schema
from sayso.ledger.store import Ledger
from sayso.tables import connect, quoted

COMMITMENT_BYTES = 32
WINDOW_ENTRIES = 1 << 18


def commitments(ledger: Ledger, first: int, end: int) -> Iterator[bytes]:
    """Yield the joined commitments of the entries from `first` until `end`, window by window.

    Raises:
        IntegrityError: An index is missing or stands twice.
    """
    for start in range(first, end, WINDOW_ENTRIES):
        stop = min(end, start + WINDOW_ENTRIES)
        yield ledger.steadily(partial(_window, ledger, start, stop))


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
    if segments:
        return _joined(ledger, head, segments, first, end)
    _need_all([index for index, _ in head], first, end)
    return b"".join(commitment for _, commitment in head)


def _joined(
    ledger: Ledger,
    head: list[tuple[int, bytes]],
    segments: Sequence[sa.RowMapping],
    first: int,
    end: int,
) -> bytes:
    parts = [
        f"SELECT {row['first']} + ordinal AS index, commitment "
        f"FROM read_parquet({quoted(str(ledger.folder / 'segments' / row['name']))}) "
        f"WHERE ordinal >= {first - row['first']} AND ordinal < {end - row['first']}"
        for row in segments
    ]
    kind = pa.schema([("index", pa.int64()), ("commitment", pa.binary())])
    rows = pa.table([list(column) for column in zip(*head, strict=True)] or [[], []], schema=kind)
    with connect() as duck:
        duck.register("head", rows)
        found = duck.sql(
            f"SELECT * FROM ({' UNION ALL '.join(['FROM head', *parts])}) ORDER BY index"
        ).to_arrow_table()
    _need_all(found["index"].to_pylist(), first, end)
    joined = b"".join(found["commitment"].to_pylist())
    if len(joined) != COMMITMENT_BYTES * (end - first):
        raise IntegrityError("a commitment of the ledger is not 32 bytes", hint="run log fsck")
    return joined


def _need_all(indexes: list[int], first: int, end: int) -> None:
    if indexes == list(range(first, end)):
        return
    odd = next((place for place, index in enumerate(indexes, first) if index != place), None)
    at = first + len(indexes) if odd is None else odd
    raise IntegrityError(
        f"entry {at} of the ledger is missing or stands twice", hint="run sayso log fsck"
    )
