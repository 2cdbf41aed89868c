"""From a partition of admitted records to bucket files with tags, digests and roots.

Promises: the same records and keys give the same bytes, whatever order they came in. Runs
in worker processes; holds one partition in memory.

A record's *tag* is SHA-256 over its member's key and its id; its *digest* over the key and
the canonical bytes of all its columns. Leaves are tag ‖ digest, sorted by tag. Both stand in
the file, so that they stay when the record is erased. The *salt*, from the member's key as
well, goes with the record: without it nobody can try guesses at erased words against the
digest of the file as it was.
"""

import hashlib
from pathlib import Path
from struct import iter_unpack
from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.canonical import encode, sql_fields, sql_integer, sql_pieces, sql_text
from sayso.ledger.keys import KEY_BYTES
from sayso.log import tree_root
from sayso.snapshot.manifest import bucket_name
from sayso.tables import flush

Bytes = npt.NDArray[np.uint8]
HASH_BYTES = 32

TAG_LABEL = "sayso/record-tag/v1"
RECORD_LABEL = "sayso/record/v1"
SALT_LABEL = "sayso/record-salt/v1"
SALT_BYTES = 16

# What a partition holds, and in this order what the digest covers.
RECORD_COLUMNS = pa.schema(
    [
        ("record_id", pa.string()),
        ("member_id", pa.string()),
        ("country", pa.string()),
        ("category", pa.string()),
        ("visibility", pa.string()),
        ("authorship", pa.string()),
        ("context", pa.string()),
        ("written_at", pa.timestamp("us", tz="UTC")),
        ("licence", pa.string()),
        ("text", pa.string()),
    ]
)
PARTITION_SCHEMA = pa.schema([*RECORD_COLUMNS, ("bucket", pa.int16()), ("member", pa.int32())])
BUCKET_SCHEMA = pa.schema(
    [
        ("tag", pa.binary(HASH_BYTES)),
        ("digest", pa.binary(HASH_BYTES)),
        ("salt", pa.binary(SALT_BYTES)),
        *RECORD_COLUMNS,
    ]
)


class Sealed(NamedTuple):
    """One finished bucket file."""

    bucket: int
    rows: int
    root: str
    sha256: str


def seal_partition(
    con: duckdb.DuckDBPyConnection, partition: Path, keys: Path, out: Path
) -> list[Sealed]:
    """Write the bucket files of one partition.

    Args:
        con: Of one thread; a worker keeps it from partition to partition.
        partition: Arrow stream with PARTITION_SCHEMA.
        keys: NumPy file of member keys, shape (members, 32), by member ordinal.
        out: The snapshot in the making.
    """
    with pa.memory_map(str(partition)) as source:
        table = pa.ipc.open_stream(source).read_all().combine_chunks()
    own_keys = np.load(keys, mmap_mode="r")
    tags, digests = _hash_rows(con, table, own_keys)
    bucket = table["bucket"].to_numpy()
    order = _order(bucket, tags)
    tags, digests = tags[order], digests[order]
    hashes = _leaf_hashes(np.concatenate([tags, digests], axis=1))
    salts = _salts(table["member"].to_numpy()[order], own_keys)
    records = table.select(RECORD_COLUMNS.names).take(pa.array(order))
    for place, (name, column) in enumerate((("tag", tags), ("digest", digests), ("salt", salts))):
        records = records.add_column(place, name, fixed_binary(column))
    sealed = []
    numbers, starts = np.unique(bucket[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    for number, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True):
        path = out / bucket_name(number)
        write_bucket(records.slice(start, end - start), path)
        flush(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        sealed.append(Sealed(number, end - start, tree_root(hashes[start:end]).hex(), digest))
    return sealed


def _hash_rows(con: duckdb.DuckDBPyConnection, table: pa.Table, keys: Bytes) -> tuple[Bytes, Bytes]:
    """Return the tag and the digest of every row, each of shape (rows, 32)."""
    sha256 = hashlib.sha256
    own = fixed_binary(np.ascontiguousarray(keys[table["member"].to_numpy()]))
    try:
        con.register("records", table.append_column("key", own))
        fields = [_sql_field(name, table[name]) for name in RECORD_COLUMNS.names]
        found = con.sql(
            f"SELECT key || encode({sql_fields(TAG_LABEL, [sql_text('record_id')])}) t, "
            f"key || encode({sql_fields(RECORD_LABEL, fields)}) r FROM records"
        ).to_arrow_table()
    finally:
        con.unregister("records")
    tags = b"".join([sha256(one).digest() for one in found["t"].to_pylist()])
    digests = b"".join([sha256(one).digest() for one in found["r"].to_pylist()])
    return _matrix(tags), _matrix(digests)


def _salts(members: npt.NDArray[np.int32], keys: Bytes) -> Bytes:
    """Return the salt of every row, of shape (rows, SALT_BYTES); one per member."""
    numbers, place = np.unique(members, return_inverse=True)
    label = encode(SALT_LABEL)
    made = [hashlib.sha256(keys[one].tobytes() + label).digest() for one in numbers.tolist()]
    return np.ascontiguousarray(_matrix(b"".join(made))[place, :SALT_BYTES])


def _sql_field(name: str, column: pa.ChunkedArray) -> str:
    """SQL: one field, as `sql_text` and `sql_integer` write it, or part of the same concat."""
    if column.null_count == len(column):
        return "'-,'"
    if name == "written_at":
        return sql_integer("epoch_us(written_at)")
    # Where nothing is null no row need ask, and the outer concat takes the pieces.
    return sql_text(f'"{name}"') if column.null_count else sql_pieces(f'"{name}"')


def key_matrix(keys: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Return keys as bytes of shape (members, 32)."""
    fixed = keys.cast(pa.binary(KEY_BYTES))
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[
            KEY_BYTES * chunk.offset : KEY_BYTES * (chunk.offset + len(chunk))
        ]
        for chunk in fixed.chunks
        if len(chunk)
    ]
    joined = np.concatenate(parts) if parts else np.empty(0, np.uint8)
    return joined.reshape(-1, KEY_BYTES)


def _matrix(joined: bytes) -> Bytes:
    return np.frombuffer(joined, np.uint8).reshape(-1, HASH_BYTES)


def _leaf_hashes(leaves: Bytes) -> list[bytes]:
    """Return the RFC 6962 leaf hash of each row of shape (rows, 64)."""
    sha256 = hashlib.sha256
    prefixed = np.zeros((len(leaves), leaves.shape[1] + 1), np.uint8)
    prefixed[:, 1:] = leaves
    rows = iter_unpack(f"{prefixed.shape[1]}s", prefixed.tobytes())
    return [sha256(row).digest() for (row,) in rows]


def fixed_binary(matrix: Bytes) -> pa.Array:
    """Return the rows of a contiguous matrix of bytes as binary, without copying."""
    kind = pa.binary(matrix.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(matrix), [None, pa.py_buffer(matrix)])


def record_digest(key: bytes, record: dict[str, str | int | None]) -> bytes:
    """Return the digest of one record; the definition of what `seal_partition` writes.

    Args:
        key: The member's key.
        record: RECORD_COLUMNS by name; written_at in microseconds since 1970.
    """
    fields = [record[name] for name in RECORD_COLUMNS.names]
    return hashlib.sha256(key + encode(RECORD_LABEL, *fields)).digest()


def record_tag(key: bytes, record_id: str) -> bytes:
    """Return the tag of one record."""
    return hashlib.sha256(key + encode(TAG_LABEL, record_id)).digest()


def _order(bucket: npt.NDArray[np.int16], tags: Bytes) -> npt.NDArray[np.int64]:
    """Return the order by (bucket, tag)."""
    words = tags.view(">u8")
    # Ten bits of bucket and 54 of the tag: one sort settles all but a collision.
    head = bucket.astype(np.uint64) << np.uint64(54) | words[:, 0].astype(np.uint64) >> np.uint64(
        10
    )
    order = np.argsort(head)
    ordered = head[order]
    if (ordered[1:] == ordered[:-1]).any():
        return np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0], bucket))
    return order


def write_bucket(records: pa.Table, path: Path) -> None:
    """Write one bucket's records; the same rows give the same bytes."""
    codes = ["salt", "country", "category", "visibility", "authorship", "context", "licence"]
    pq.write_table(
        records.cast(BUCKET_SCHEMA).combine_chunks(),
        path,
        compression="lz4",
        use_dictionary=codes,
        write_statistics=["member_id", "country", "written_at"],
        row_group_size=1 << 20,
        store_schema=False,
    )


def bucket_root(path: Path, keys: dict[str, bytes]) -> str:
    """Return the root of a bucket file, computed row by row from the definition."""
    leaves = []
    for row in pq.read_table(path).to_pylist():
        digest = row["digest"]
        if row["member_id"] is not None:  # else it was erased, and the digest is what is left
            row["written_at"] = int(pc.cast(pa.scalar(row["written_at"]), pa.int64()).as_py())
            digest = record_digest(keys[row["member_id"]], row)
        leaves.append(row["tag"] + digest)
    return tree_root([hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]).hex()
