"""Writing a segment of choices: rows with their commitments, a batch at a time.

Promises: each row is committed to as `canonical_choice` and `commit` say; memory is bounded
by BATCH_ROWS. Does not list the segment; a file that nobody lists is none.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sayso.canonical import (
    DATAFUSION,
    commit,
    sql_fields,
    sql_integer,
    sql_keyed,
    sql_pieces,
    sql_text,
)
from sayso.digests import DIGEST_BYTES, is_worth_a_query, sha256_of_rows
from sayso.ledger.entries import CHOICE_LABEL, canonical_choice

# Rows committed to and written at once: about 30 MB.
BATCH_ROWS = 1 << 17

SAID = pa.schema(
    [
        ("bucket", pa.int16()),
        ("member_id", pa.string()),
        ("purpose", pa.string()),
        ("choice", pa.string()),
        ("effective_us", pa.int64()),
        ("country", pa.string()),
        ("recorded_us", pa.int64()),
        ("channel", pa.string()),
        ("setting_version", pa.string()),
    ]
)
SEGMENT_SCHEMA = pa.schema([("ordinal", pa.int32()), *SAID, ("commitment", pa.binary())])


def write_segment(batches: Iterable[pa.RecordBatch], path: Path) -> int:
    """Write choices with their commitments; return how many.

    Args:
        batches: Columns of SAID, and `key`: the member's, 32 bytes.
        path: The file to write.
    """
    rows = 0
    with pq.ParquetWriter(
        path, SEGMENT_SCHEMA, compression="lz4", store_schema=False,
        use_dictionary=["bucket", "purpose", "choice", "country", "channel", "setting_version"],
        write_statistics=["ordinal", "bucket", "effective_us"],
    ) as out:  # fmt: skip
        for batch in batches:
            said = pa.Table.from_batches([batch])
            ordinals = np.arange(rows, rows + len(said), dtype=np.int32)
            table = said.select(SAID.names).cast(SAID).add_column(0, "ordinal", pa.array(ordinals))
            out.write_table(table.append_column("commitment", commitments_of(said)))
            rows += len(said)
    return rows


def commitments_of(said: pa.Table) -> pa.Array:
    """Return the commitment to every choice of a table with the columns of SAID and `key`."""
    if is_worth_a_query(len(said)):
        (joined,) = sha256_of_rows(said, sql_keyed("key", _canonical(said), DATAFUSION))
    else:
        joined = b"".join(
            commit(
                row["key"],
                canonical_choice(
                    row["purpose"], row["choice"], row["effective_us"], row["recorded_us"],
                    row["country"], row["channel"], row["setting_version"], None,
                ),
            )
            for row in said.to_pylist()
        )  # fmt: skip
    offsets = np.arange(0, len(joined) + 1, DIGEST_BYTES, dtype=np.int32)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(said), [None, pa.py_buffer(offsets), pa.py_buffer(joined)]
    )


def _canonical(said: pa.Table) -> str:
    """SQL: the canonical text of a choice, as `canonical_choice` writes it."""
    fields = (
        _text(said, "purpose"), _text(said, "choice"), sql_integer("effective_us"),
        sql_integer("recorded_us"), _text(said, "country"), _text(said, "channel"),
        _text(said, "setting_version"), "'-,'",
    )  # fmt: skip
    return sql_fields(CHOICE_LABEL, fields)


def _text(said: pa.Table, name: str) -> str:
    nulls = said[name].null_count
    if nulls == len(said):
        return "'-,'"
    # Where nothing is null no row need ask, and the outer concat takes the pieces.
    return sql_text(name, DATAFUSION) if nulls else sql_pieces(name, DATAFUSION)
