"""From a partition of admitted records to bucket files with tags, digests and roots.

Promises: the same records and keys give the same bytes, whatever order they came in. Holds one
partition in memory for each thread; what takes time in it holds no lock of Python.

A record's *tag* is SHA-256 over its member's key and its id; its *digest* over the key and
the canonical bytes of all its columns. Leaves are tag ‖ digest, sorted by tag. Both stand in
the file, so that they stay when the record is erased. The *salt*, from the member's key as
well, goes with the record: without it nobody can try guesses at erased words against the
digest of the file as it was.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.canonical import (
    DATAFUSION,
    encode,
    encode_field,
    sql_fields,
    sql_integer,
    sql_keyed,
    sql_pieces,
    sql_text,
)
from sayso.digests import is_worth_a_query, sha256_of_rows
from sayso.ledger.keys import KEY_BYTES
from sayso.log import tree_root
from sayso.log.bulk import hashes_of, leaf_hashes, roots_of_hashes
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
# Neighbours of few values: their canonical bytes are made once for each combination.
CODES = ("country", "category", "visibility", "authorship", "context")
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


class Part(NamedTuple):
    """Some buckets of the snapshot in the making.

    Attributes:
        buckets: Their numbers.
        path: Arrow stream with PARTITION_SCHEMA of their records; None: no records.
    """

    buckets: range
    path: Path | None


class Kept(NamedTuple):
    """What of an earlier snapshot goes into the buckets that are sealed.

    Attributes:
        buckets: The numbers of these buckets.
        files: Their files in the earlier snapshot, verified, by number.
        gone: Ids of members whose records there are passed over.
    """

    buckets: frozenset[int]
    files: dict[int, Path]
    gone: pa.Array

    def read(self, buckets: range) -> Iterator[pa.Table]:
        """Yield what stays of these buckets, with BUCKET_SCHEMA and `bucket`."""
        for number in buckets:
            if number in self.files:
                table = pq.read_table(self.files[number])
                # An erased record has no member, and goes with the others of its member.
                other = pc.and_(
                    table["member_id"].is_valid(),
                    pc.invert(pc.is_in(table["member_id"], self.gone)),
                )
                table = table.filter(other).cast(BUCKET_SCHEMA)
                bucket = np.full(len(table), number, np.int16)
                yield table.append_column("bucket", pa.array(bucket))


def seal_all(
    parts: list[Part], keys: Path, out: Path, threads: int, kept: Kept | None
) -> Iterator[list[Sealed]]:
    """Seal parts in several threads; yield the results of each, in their order.

    Args:
        parts: Their streams are deleted once they are sealed.
        keys: NumPy file of the members' keys, shape (members, 32), by member ordinal.
        out: The snapshot in the making.
        threads: How many.
        kept: What of an earlier snapshot goes in as well.
    """
    own_keys = np.load(keys, mmap_mode="r")

    def seal(part: Part) -> list[Sealed]:
        sealed = seal_part(part, own_keys, out, kept)
        if part.path is not None:
            part.path.unlink()
        return sealed

    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(seal, parts)
    finally:
        pool.shutdown(cancel_futures=True)


def seal_part(part: Part, keys: Bytes, out: Path, kept: Kept | None = None) -> list[Sealed]:
    """Write the bucket files of one part.

    Args:
        part: Whose.
        keys: Of the members, shape (members, 32), by member ordinal.
        out: The snapshot in the making.
        kept: What of an earlier snapshot goes in as well.
    """
    records = _hashed(part, keys)
    if kept is not None:
        records = pa.concat_tables([records, *kept.read(part.buckets)])
    records = records.combine_chunks()
    bucket = records["bucket"].to_numpy()
    order = _order(bucket, _bytes_of(records["tag"]))
    records = records.select(BUCKET_SCHEMA.names).take(pa.array(order)).combine_chunks()
    numbers, rows = np.unique(bucket, return_counts=True)
    leaves = np.concatenate([_bytes_of(records["tag"]), _bytes_of(records["digest"])], axis=1)
    roots = roots_of_hashes(leaf_hashes(leaves.tobytes(), 2 * HASH_BYTES), rows.tolist())
    sealed, start = [], 0
    for number, count, root in zip(numbers.tolist(), rows.tolist(), roots, strict=True):
        path = out / bucket_name(number)
        digest = write_bucket(records.slice(start, count), path)
        start += count
        flush(path)
        sealed.append(Sealed(number, count, root.hex(), digest))
    return sealed


def _hashed(part: Part, keys: Bytes) -> pa.Table:
    """Return the records of a part with tag, digest and salt: BUCKET_SCHEMA and `bucket`."""
    if part.path is None:
        return pa.schema([*BUCKET_SCHEMA, PARTITION_SCHEMA.field("bucket")]).empty_table()
    with pa.memory_map(str(part.path)) as source:
        table = pa.ipc.open_stream(source).read_all().combine_chunks()
    tags, digests = _hash_rows(table, keys)
    made = (tags, digests, _salts(table["member"].to_numpy(), keys))
    hashes = [fixed_binary(column) for column in made]
    columns = [*hashes, *(table[name] for name in RECORD_COLUMNS.names), table["bucket"]]
    return pa.table(columns, names=[*BUCKET_SCHEMA.names, "bucket"])


def _bytes_of(column: pa.ChunkedArray) -> Bytes:
    """Return digests, in one chunk and without nulls, of shape (rows, 32)."""
    (chunk,) = column.chunks or [pa.array([], column.type)]
    start = chunk.offset * HASH_BYTES
    joined = memoryview(chunk.buffers()[1])[start : start + len(chunk) * HASH_BYTES]
    return np.frombuffer(joined, np.uint8).reshape(-1, HASH_BYTES)


def _hash_rows(table: pa.Table, keys: Bytes) -> tuple[Bytes, Bytes]:
    """Return the tag and the digest of every row, each of shape (rows, 32)."""
    own = keys[table["member"].to_numpy()]
    records = table.select(RECORD_COLUMNS.names)
    written = records["written_at"].cast(pa.int64())
    place = RECORD_COLUMNS.get_field_index("written_at")
    records = records.set_column(place, "written_at", written)
    if not is_worth_a_query(len(records)):
        rows = list(zip(own, records.to_pylist(), strict=True))
        tags = b"".join(record_tag(key.tobytes(), row["record_id"]) for key, row in rows)
        digests = b"".join(record_digest(key.tobytes(), row) for key, row in rows)
        return _matrix(tags), _matrix(digests)
    fields = [
        "codes" if name == CODES[0] else _sql_field(name, records[name])
        for name in records.schema.names
        if name not in CODES[1:]
    ]
    records = records.append_column("codes", _encoded_codes(records))
    tags, digests = sha256_of_rows(
        records.append_column("own_key", fixed_binary(np.ascontiguousarray(own))),
        sql_keyed("own_key", sql_fields(TAG_LABEL, fields[:1]), DATAFUSION),
        sql_keyed("own_key", sql_fields(RECORD_LABEL, fields), DATAFUSION),
    )
    return _matrix(tags), _matrix(digests)


def _encoded_codes(records: pa.Table) -> pa.Array:
    """Return the canonical bytes of every row's codes, as text."""
    texts = np.array([""], dtype=object)
    numbers = np.zeros(len(records), np.int64)
    for name in CODES:
        column = records[name].combine_chunks().dictionary_encode(null_encoding="encode")
        values = [encode_field(value).decode() for value in column.dictionary.to_pylist()]
        # Numbered anew after each, so that there are never more than occur.
        pairs = pa.array(numbers * len(values) + column.indices.to_numpy()).dictionary_encode()
        before, value = np.divmod(pairs.dictionary.to_numpy(), len(values))
        texts = texts[before] + np.array(values, dtype=object)[value]
        numbers = pairs.indices.to_numpy().astype(np.int64)
    return pa.array(texts.tolist(), pa.string()).take(pa.array(numbers))


def _salts(members: npt.NDArray[np.int32], keys: Bytes) -> Bytes:
    """Return the salt of every row, of shape (rows, SALT_BYTES); one per member."""
    numbers, place = np.unique(members, return_inverse=True)
    made = hashes_of(keys[numbers].tobytes(), KEY_BYTES, suffix=encode(SALT_LABEL))
    return np.ascontiguousarray(_matrix(made)[place, :SALT_BYTES])


def _sql_field(name: str, column: pa.ChunkedArray) -> str:
    """SQL: one field, as `sql_text` and `sql_integer` write it, or part of the same concat."""
    if column.null_count == len(column):
        return "'-,'"
    if name == "written_at":
        return sql_integer("written_at")
    # Where nothing is null no row need ask, and the outer concat takes the pieces.
    return sql_text(name, DATAFUSION) if column.null_count else sql_pieces(name, DATAFUSION)


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


def write_bucket(records: pa.Table, path: Path) -> str:
    """Write one bucket's records, the same bytes for the same rows; return their SHA-256."""
    codes = ["country", "category", "visibility", "authorship", "context", "licence"]
    made = pa.BufferOutputStream()
    pq.write_table(
        records.cast(BUCKET_SCHEMA).combine_chunks(),
        made,
        compression={"text": "lz4"},  # the rest is digests, or short
        use_dictionary=codes,
        write_statistics=["member_id", "country", "written_at"],
        row_group_size=1 << 20,
        store_schema=False,
    )
    whole = made.getvalue()
    path.write_bytes(whole)
    return hashlib.sha256(whole).hexdigest()


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
