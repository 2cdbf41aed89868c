"""Member keys, buckets and tombstones.

Promises: one random 32-byte key per member, in one table; deleting it makes every
commitment under it unreadable for ever. A bucket and a tombstone are keyed hashes, so that
neither tells an id to someone without the workspace's secrets.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from sayso.errors import IntegrityError
from sayso.ledger import schema
from sayso.tables import write_once

BUCKETS = 1024
KEY_BYTES = 32
# Rows per statement: bounds the memory of one round trip.
BATCH_ROWS = 20_000
LOAD_ROWS = 100_000

KEYS_SCHEMA = pa.schema(
    [("member_id", pa.string()), ("key", pa.binary(KEY_BYTES)), ("bucket", pa.int16())]
)


class Fetched(NamedTuple):
    """Every key of a workspace at one moment.

    Attributes:
        keys: Columns of KEYS_SCHEMA, one row per member.
        erased: How many members were erased by then.
    """

    keys: pa.Table
    erased: int


class MemberKeys:
    """Keys of the members of one workspace; the secrets stand in `keys/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "keys"
        self._held: dict[str, bytes] = {}

    def _secret(self, name: str) -> bytes:
        """Return a workspace secret.

        Raises:
            IntegrityError: It is lost. A new one would put members into other buckets, and
                admit the erased again.
        """
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise IntegrityError(
                f"the workspace's secret 'keys/{name}' is missing", hint="restore it from backup"
            ) from None

    def _hold(self, name: str) -> bytes:
        """Return a secret that was read once; it never changes."""
        if name not in self._held:
            self._held[name] = self._secret(name)
        return self._held[name]

    def make_secrets(self) -> None:
        """Make the secrets of a new workspace; only with the ledger's first migration."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for name in ("bucket.key", "tombstone.key", "source.key"):
            if not (self._folder / name).exists():
                write_once(self._folder / name, os.urandom(KEY_BYTES))

    def bucket_of(self, member_id: str) -> int:
        """Return the bucket of a member: a keyed hash, the same for ever."""
        digest = hashlib.sha256(self._hold("bucket.key") + member_id.encode()).digest()
        return int.from_bytes(digest[:2], "big") % BUCKETS

    def _sql_hash(self, secret: str, member_id: str) -> str:
        return f"sha256(unhex('{self._secret(secret).hex()}') || encode({member_id}))"

    def sql_bucket(self, member_id: str) -> str:
        """SQL: `bucket_of` an expression."""
        digest = self._sql_hash("bucket.key", member_id)
        return f"(('0x' || left({digest}, 4))::INTEGER % {BUCKETS})"

    def tag_of(self, member_id: str) -> bytes:
        """Return the tombstone tag of a member."""
        return hashlib.sha256(self._hold("tombstone.key") + member_id.encode()).digest()

    def source_of(self, sha256: str) -> str:
        """Return the keyed digest by which a file is known again, in hex.

        A bare digest of a small file would tell whether a guess at its rows is right.
        """
        digest = bytes.fromhex(sha256)
        return hashlib.sha256(self._secret("source.key") + digest).hexdigest()

    def keyed(self, label: str, text: str) -> bytes:
        """Return a digest of a text that nobody without the workspace tries guesses against.

        Args:
            label: What it is for; other digests for each.
            text: Whatever must be known again.
        """
        told = f"{label}\n{text}".encode()
        return hmac.digest(self._hold("source.key"), told, "sha256")

    def ensure(self, con: sa.Connection, member_id: str) -> bytes:
        """Return the key of a member, made on first use; only inside `Ledger.writing`."""
        table = schema.member_key
        found = con.execute(sa.select(table.c.key).where(table.c.member_id == member_id)).scalar()
        if found is not None:
            return bytes(found)
        key = os.urandom(KEY_BYTES)
        con.execute(
            sa.insert(table).values(member_id=member_id, key=key, bucket=self.bucket_of(member_id))
        )
        return key

    def ensure_many(
        self,
        con: sa.Connection,
        duck: duckdb.DuckDBPyConnection,
        ids: str,
        known: Callable[[], object] = lambda: None,
        fetched: Fetched | None = None,
    ) -> None:
        """Make the keys that are missing, and leave all keys as DuckDB table `member_keys`.

        Args:
            con: Inside `Ledger.writing`.
            duck: Where `ids` is known.
            ids: SQL that gives distinct non-null member ids as column member_id.
            known: Called once the table is there, before the database has the new keys; from
                then on `duck` is not touched.
            fetched: The keys of a while ago, which save loading them where they still stand.
        """
        if fetched is not None and self._still_stand(con, fetched):
            _fill(duck, [fetched.keys])
        else:
            self.load(con, duck)
        missing = duck.sql(
            f"SELECT member_id FROM ({ids}) ANTI JOIN member_keys USING (member_id)"
        ).to_arrow_table()
        if not missing.num_rows:
            known()
            return
        made = _fixed(os.urandom(KEY_BYTES * missing.num_rows))
        duck.register("made_keys", missing.append_column("key", made))
        bucket = self.sql_bucket("member_id")
        # In the order of the ids, so that the B-tree grows at its end.
        new = duck.sql(
            f"SELECT member_id, key::BLOB key, {bucket}::SMALLINT bucket FROM made_keys "
            "ORDER BY member_id"
        ).to_arrow_table()
        duck.unregister("made_keys")
        duck.register("new_keys", new)
        duck.execute("INSERT INTO member_keys FROM new_keys")
        duck.unregister("new_keys")
        known()
        self._insert(con, new)

    @staticmethod
    def _insert(con: sa.Connection, new: pa.Table) -> None:
        if con.dialect.name == "sqlite":
            statement = (
                f"INSERT INTO {schema.member_key.name} (member_id, key, bucket) VALUES (?, ?, ?)"
            )
            for batch in new.to_batches(max_chunksize=BATCH_ROWS):
                rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
                con.exec_driver_sql(statement, list(rows))
            return
        driver: Any = con.connection.driver_connection
        copy = f"COPY {schema.member_key.name} (member_id, key, bucket) FROM STDIN (FORMAT BINARY)"
        with driver.cursor().copy(copy) as out:
            out.set_types(["text", "bytea", "int4"])
            for batch in new.to_batches(max_chunksize=BATCH_ROWS):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    out.write_row(row)

    def load(
        self,
        con: sa.Connection,
        duck: duckdb.DuckDBPyConnection,
        buckets: frozenset[int] | None = None,
    ) -> None:
        """Leave the keys of some buckets, or all, as DuckDB table `member_keys`."""
        _fill(duck, self._read(con, buckets))

    def fetch(self, con: sa.Connection) -> Fetched:
        """Return every key; only inside a reading."""
        return Fetched(
            pa.concat_tables([KEYS_SCHEMA.empty_table(), *self._read(con, None)]),
            self.count_erased(con),
        )

    def _still_stand(self, con: sa.Connection, fetched: Fetched) -> bool:
        """Whether no key was made and none deleted since."""
        # A key is deleted by an erasure alone, so that as many keys are the same keys.
        rows = con.execute(sa.select(sa.func.count()).select_from(schema.member_key)).scalar_one()
        return (int(rows), self.count_erased(con)) == (len(fetched.keys), fetched.erased)

    @staticmethod
    def _read(con: sa.Connection, buckets: frozenset[int] | None) -> Iterator[pa.Table]:
        read = _sqlite_keys if con.dialect.name == "sqlite" else _keys
        # The driver's own cursor: SQLAlchemy's rows cost three times the query.
        cursor = con.connection.cursor()
        try:
            yield from read(cursor, buckets)
        finally:
            cursor.close()

    # ---- erasure ----

    def is_erased(self, con: sa.Connection, member_id: str) -> bool:
        """Whether a tombstone stands for a member."""
        query = sa.select(schema.erased.c.tag).where(schema.erased.c.tag == self.tag_of(member_id))
        return con.execute(query).first() is not None

    def count_erased(self, con: sa.Connection) -> int:
        """Return how many members were erased."""
        return int(con.execute(sa.select(sa.func.count()).select_from(schema.erased)).scalar_one())

    def erased_among(
        self, con: sa.Connection, duck: duckdb.DuckDBPyConnection, ids: Iterable[str]
    ) -> bool:
        """Leave the erased of some ids as DuckDB table `erased_members` (member_id).

        Args:
            con: A reading.
            duck: Where `ids` are known.
            ids: SQL of relations that have a column member_id.

        Returns:
            Whether anybody was ever erased; if not, no id is hashed.
        """
        duck.execute("CREATE OR REPLACE TEMP TABLE erased_members (member_id VARCHAR)")
        found = self.erasures_among(con, duck, ids)
        if found is None:
            return False
        duck.register("found", found)
        duck.execute("INSERT INTO erased_members SELECT member_id FROM found")
        duck.unregister("found")
        return True

    def erasures_among(
        self, con: sa.Connection, duck: duckdb.DuckDBPyConnection, ids: Iterable[str]
    ) -> pa.Table | None:
        """Return the erased of some ids, and the entries that erased them.

        Args:
            con: A reading.
            duck: Where `ids` are known.
            ids: SQL of relations that have a column member_id.

        Returns:
            Columns member_id and entry, one row per member; None where nobody was ever
            erased.
        """
        rows = con.execute(sa.select(schema.erased.c.tag, schema.erased.c.entry)).all()
        if not rows:
            return None
        tags = pa.table(
            {"tag": [bytes(tag).hex() for tag, _ in rows], "entry": [int(one) for _, one in rows]}
        )
        duck.register("tags", tags)
        union = " UNION ".join(
            f"SELECT member_id FROM {relation} WHERE member_id IS NOT NULL" for relation in ids
        )
        tag = self._sql_hash("tombstone.key", "member_id")
        found = duck.sql(
            f"SELECT member_id, tags.entry FROM (SELECT member_id, {tag} AS tag FROM ({union})) "
            "JOIN tags USING (tag)"
        ).to_arrow_table()
        duck.unregister("tags")
        return found


def _fill(duck: duckdb.DuckDBPyConnection, parts: Iterable[pa.Table]) -> None:
    """Leave keys as DuckDB table `member_keys`."""
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE member_keys (member_id VARCHAR, key BLOB, bucket SMALLINT)"
    )
    for rows in parts:
        duck.register("key_rows", rows)
        duck.execute("INSERT INTO member_keys FROM key_rows")
        duck.unregister("key_rows")


def _among(buckets: frozenset[int] | None) -> str:
    return f"bucket IN ({', '.join(map(str, sorted(buckets)))})" if buckets else "true"


def _keys(cursor: Any, buckets: frozenset[int] | None) -> Iterator[pa.Table]:
    cursor.execute(
        f"SELECT member_id, key, bucket FROM {schema.member_key.name} WHERE {_among(buckets)}"
    )
    while rows := cursor.fetchmany(LOAD_ROWS):
        ids, keys, numbers = zip(*rows, strict=True)
        yield _keys_table(ids, _fixed(b"".join(map(bytes, keys))), numbers)


def _sqlite_keys(cursor: Any, buckets: frozenset[int] | None) -> Iterator[pa.Table]:
    """Read keys by the page, each gathered inside SQLite: half the time of single rows."""
    page = (
        f"SELECT member_id, key, bucket FROM {schema.member_key.name} "
        f"WHERE member_id > ? AND {_among(buckets)} ORDER BY member_id LIMIT {LOAD_ROWS}"
    )
    gathered = (
        "SELECT json_group_array(member_id), group_concat(hex(key), ''), "
        f"json_group_array(bucket), max(member_id) FROM ({page})"
    )
    last = ""
    while True:
        ids, keys, numbers, last = cursor.execute(gathered, (last,)).fetchone()
        if last is None:
            return
        yield _keys_table(json.loads(ids), _fixed(bytes.fromhex(keys)), json.loads(numbers))


def _keys_table(ids: Sequence[str], keys: pa.Array, buckets: Sequence[int]) -> pa.Table:
    columns = [pa.array(ids, pa.string()), keys, pa.array(buckets, pa.int16())]
    return pa.table(columns, schema=KEYS_SCHEMA)


def _fixed(joined: bytes) -> pa.Array:
    """Return joined keys, one a row."""
    rows = len(joined) // KEY_BYTES
    buffers = [None, pa.py_buffer(joined)]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), rows, buffers)
