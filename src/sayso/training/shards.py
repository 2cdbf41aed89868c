"""Shards: the members of one country whose bucket is b mod S, in canonical order.

Promises: which shard a record is in depends on its member's country and bucket and on
nothing else; a shard's records stand in the order (bucket, tag), whatever order they came
in; a record that was erased or left out leaves no trace in a shard. Holds all texts of a
snapshot in memory. Does not train.

Example:
    >>> shard_name("HK", 5, 4)
    'HK-0001-of-0004'
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.errors import InputError
from sayso.ledger.keys import BUCKETS
from sayso.log.merkle import leaf_hash, tree_root
from sayso.snapshot.load import verified_buckets
from sayso.training.text import prepare

TAG_BYTES = 32
LEAF_BYTES = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One record as a shard takes it.

    Attributes:
        tag, digest: 32 bytes each, as in the snapshot.
        text: What is read of it.
    """

    country: str
    bucket: int
    tag: bytes
    digest: bytes
    text: str


@dataclass
class Shard:
    """What one adapter learns from.

    Attributes:
        leaves: Tag ‖ digest of every record, as in the snapshot, in canonical order.
        texts: What is read of each, in the same order.
    """

    name: str
    country: str
    number: int
    leaves: list[bytes] = field(default_factory=list, repr=False)
    texts: list[str] = field(default_factory=list, repr=False)

    @property
    def root(self) -> bytes:
        """Merkle root over the leaves."""
        return tree_root([leaf_hash(leaf) for leaf in self.leaves])


def check_count(count: int) -> int:
    """Return a shard count that is a power of two up to the number of buckets.

    Raises:
        InputError: It is none.
    """
    if not 1 <= count <= BUCKETS or count & (count - 1):
        raise InputError(
            f"{count} shards for each country", hint=f"give a power of two from 1 to {BUCKETS}"
        )
    return count


def shard_name(country: str, bucket: int, count: int) -> str:
    """Return the name of the shard of a country's bucket."""
    return f"{country}-{bucket % count:04d}-of-{count:04d}"


def bucket_tables(snapshot: Path) -> Iterator[tuple[int, pa.Table]]:
    """Yield the records of every bucket that still are there, after checking its file.

    Raises:
        InputError: There is no finished snapshot, or retention deleted its records.
        IntegrityError: A file is missing, unlisted or differs.
    """
    for number, path, _ in verified_buckets(snapshot):
        table = pq.read_table(path)
        yield number, table.filter(pc.is_valid(table["member_id"]))


def read_shards(
    snapshot: Path,
    count: int,
    left_out: Collection[bytes] = frozenset(),
    planted: Sequence[Row] = (),
) -> dict[str, Shard]:
    """Return the shards of a snapshot by name, in order; one that would be empty is not there.

    Args:
        snapshot: A finished snapshot.
        count: Shards for each country; a power of two.
        left_out: Tags of records that nothing may learn from.
        planted: Records of nobody, which take their place in the order; of an audit.

    Raises:
        InputError: The count is no power of two; there is no finished snapshot.
        IntegrityError: A file differs from the manifest.
    """
    check_count(count)
    found: dict[str, Shard] = {}
    read = [*_rows(snapshot, left_out), *planted]
    for row in sorted(read, key=lambda one: (one.bucket, one.tag)):
        name = shard_name(row.country, row.bucket, count)
        shard = found.setdefault(name, Shard(name, row.country, row.bucket % count))
        shard.leaves.append(row.tag + row.digest)
        shard.texts.append(row.text)
    return {name: found[name] for name in sorted(found)}


def _rows(snapshot: Path, left_out: Collection[bytes]) -> Iterator[Row]:
    columns = ["tag", "digest", "country", "category", "text"]
    for bucket, table in bucket_tables(snapshot):
        for row in table.select(columns).to_pylist():
            if row["tag"] not in left_out:
                text = prepare(row["category"], row["text"])
                yield Row(row["country"], bucket, row["tag"], row["digest"], text)


def leaf_bytes(shard: Shard) -> bytes:
    """Return the bytes of `leaves.bin`."""
    return b"".join(shard.leaves)


def parse_tags(leaves: bytes) -> list[bytes]:
    """Return the tags in the bytes of `leaves.bin`."""
    return [leaves[at : at + TAG_BYTES] for at in range(0, len(leaves), LEAF_BYTES)]


def root_of_leaves(leaves: bytes) -> str:
    """Return the root (hex) over the bytes of `leaves.bin`."""
    cut = [leaves[at : at + LEAF_BYTES] for at in range(0, len(leaves), LEAF_BYTES)]
    return tree_root([leaf_hash(leaf) for leaf in cut]).hex()


def sha256_bytes(data: bytes) -> str:
    """Return SHA-256 in hex."""
    return sha256(data).hexdigest()
