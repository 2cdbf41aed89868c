"""The head of the ledger: a database table, SQLite or PostgreSQL, one code path.

Promises: an append is durable when it returns; indexes run from 0 without a gap, whoever
writes; bulk files are taken whole or not at all; reading back sees your own write. Does not
interpret payloads. Erasure has a page of its own: `sayso.ledger.erase`.

Life of an append: take the writers' lock (a file lock for SQLite, an advisory lock for
PostgreSQL), read the size, insert, raise the size, commit, release. Choices go through
`sayso.ledger.appending`, which does it for many at once.
"""

import fcntl
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import event

from sayso.canonical import PUBLIC_KEY, commit, encode
from sayso.errors import (
    InputError,
    IntegrityError,
    SaysoError,
    UnavailableError,
)
from sayso.ledger import schema
from sayso.ledger.appending import FLUSH, append_choices
from sayso.ledger.entries import NewChoice, Receipt
from sayso.ledger.keys import MemberKeys

T = TypeVar("T")

# Writers wait this long for each other.
BUSY_SECONDS = 60

HEAD_CHOICES = pa.schema(
    [
        ("index", pa.int64()),
        ("member_id", pa.string()),
        ("purpose", pa.string()),
        ("choice", pa.string()),
        ("effective_us", pa.int64()),
        ("country", pa.string()),
        ("recorded_us", pa.int64()),
        ("channel", pa.string()),
        ("setting_version", pa.string()),
        ("claimed_us", pa.int64()),
        ("commitment", pa.binary(32)),
    ]
)


@dataclass(frozen=True, slots=True)
class Segment:
    """An immutable Parquet file holding the choices of the index range [first, end)."""

    first: int
    end: int
    rows: int
    kind: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class PublicEntry:
    """An entry that is about no member, with its payload."""

    index: int
    kind: str
    recorded_us: int
    payload: Mapping[str, Any]


class Ledger:
    """The ledger of one workspace. Use `open_ledger`.

    Attributes:
        folder: The workspace: `segments/`, `tables/`, `keys/` and the lock stand in it.
        keys: Member keys, buckets and tombstones.
    """

    def __init__(self, engine: sa.Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.keys = MemberKeys(folder)

    def close(self) -> None:
        """Release the connections."""
        self.engine.dispose()

    # ---- transactions ----

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent reading."""
        with self.told(), self.engine.connect() as con:
            if con.dialect.name == "postgresql":
                # Its default would give every statement a snapshot of its own.
                con.execution_options(isolation_level="REPEATABLE READ")
            with con.begin():
                yield con

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One writer at a time; what it wrote is durable when the block ends."""
        with self.told(), self._writers_lock(), self.engine.connect() as plain:
            con = plain.execution_options(sayso_writing=True)
            with con.begin():
                if con.dialect.name == "postgresql":
                    con.execute(sa.select(sa.func.pg_advisory_xact_lock(schema.LOCK)))
                yield con

    @contextmanager
    def noting(self) -> Iterator[sa.Connection]:
        """Write what is no entry and takes no index: PostgreSQL's writers do not wait for it."""
        with self.told(), self._writers_lock(), self.engine.connect() as plain:
            con = plain.execution_options(sayso_writing=True)
            with con.begin():
                yield con

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn the database's complaints into ours; those of a driver used bare as well."""
        driver: Any = self.engine.dialect.dbapi
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise _wrapped(error.orig or error) from None
        except driver.Error as error:
            raise _wrapped(error) from None
        except sa.exc.TimeoutError:
            raise UnavailableError(
                "every connection to the ledger's database is in use", hint="retry in a moment"
            ) from None

    @contextmanager
    def _writers_lock(self) -> Iterator[None]:
        if self.engine.dialect.name != "sqlite":
            yield
            return
        # SQLite's own waiting starves writers; a file lock in front is fair.
        descriptor = os.open(self.folder / "ledger.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def alone(self, lock: int) -> Iterator[None]:
        """Hold a lock of PostgreSQL's, which releases it for the dead; with SQLite none."""
        if self.engine.dialect.name != "postgresql":
            yield
            return
        with self.told(), self.engine.connect() as plain:
            con = plain.execution_options(isolation_level="AUTOCOMMIT")
            con.execute(sa.select(sa.func.pg_advisory_lock(lock)))
            try:
                yield
            finally:
                con.invalidate()  # closes the session, and its locks with it

    def flush(self) -> None:
        """Wait until every entry that can be seen is durable; whoever publishes asks first.

        SQLite shows nothing before; see `sayso.ledger.appending` for PostgreSQL.
        """
        if self.engine.dialect.name == "postgresql":
            with self.told(), self.engine.begin() as con:
                con.execute(sa.text(FLUSH))

    def write_ahead(self) -> None:
        """Put a new SQLite file into write-ahead mode, which the file then keeps.

        SQLite does not wait for others while it changes the mode (its busy handler is not
        asked), so of several who open a new ledger at once one changes it, the rest wait here.
        """
        if self.engine.dialect.name != "sqlite":
            return
        mode = sa.text("PRAGMA journal_mode")
        with self.told(), self.engine.connect() as con:
            if con.execute(mode).scalar_one() == "wal":
                return
        with self.told(), self._writers_lock(), self.engine.connect() as con:
            con.connection.execute("PRAGMA journal_mode = WAL")

    def maintain(self, statement: str, *, patient: bool = True) -> list[Any]:
        """Run a statement that no transaction may hold, such as VACUUM; return its rows.

        Args:
            statement: Of SQLite or of PostgreSQL, as the ledger stands.
            patient: Whether SQLite waits for its readers.
        """
        with self.told(), self._writers_lock(), self.engine.connect() as con:
            if con.dialect.name == "postgresql":
                con.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)
                return []
            driver: Any = con.connection
            driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000 if patient else 0}")
            try:
                return list(driver.execute(statement).fetchall())
            finally:
                driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")

    @staticmethod
    def reserve(con: sa.Connection, rows: int) -> int:
        """Take the next `rows` indexes and return the first; only inside `writing`."""
        first = con.execute(sa.select(schema.head.c.size)).scalar_one()
        con.execute(sa.update(schema.head).values(size=first + rows))
        return int(first)

    # ---- appending ----

    def append_choice(self, said: NewChoice) -> Receipt:
        """Append what a member said, durably.

        Raises:
            InputError: The database cannot hold a value.
            RefusedError: The member was erased.
            UnavailableError: The database did not answer.
        """
        (outcome,) = append_choices(self, [said])
        if isinstance(outcome, SaysoError):
            raise outcome
        return outcome

    def append_public(
        self,
        kind: str,
        payload: Mapping[str, Any],
        recorded_us: int,
        con: sa.Connection | None = None,
    ) -> Receipt:
        """Append an entry that is about no member (a rulebook, a table version, a snapshot)."""
        text = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        commitment = commit(PUBLIC_KEY, encode(f"sayso/{kind}/v1", text, recorded_us))
        if con is None:
            with self.writing() as own:
                return self._insert_public(own, kind, text, recorded_us, commitment)
        return self._insert_public(con, kind, text, recorded_us, commitment)

    def _insert_public(
        self, con: sa.Connection, kind: str, text: str, recorded_us: int, commitment: bytes
    ) -> Receipt:
        index = self.reserve(con, 1)
        con.execute(
            sa.insert(schema.entry).values(
                index=index, kind=kind, recorded_us=recorded_us, payload=text, commitment=commitment
            )
        )
        return Receipt(index, commitment)

    # ---- reading ----

    def size(self) -> int:
        """Return the number of entries: the known clock."""
        with self.reading() as con:
            return int(con.execute(sa.select(schema.head.c.size)).scalar_one())

    def known(self, known: int | None) -> int:
        """Return a checked `known`; None is all of it.

        Raises:
            InputError: The ledger has never been that long.
        """
        size = self.size()
        if known is None:
            return size
        if not 0 <= known <= size:
            raise InputError(f"known {known} is outside the ledger", hint=f"give 0 to {size}")
        return known

    def latest(self, kind: str, known: int, **match: str) -> PublicEntry | None:
        """Return the last public entry of a kind below `known` whose payload matches."""
        only = None if match else 1
        for found in self.public(kind, known, newest_first=True, limit=only):
            if all(found.payload.get(name) == value for name, value in match.items()):
                return found
        return None

    def public(
        self, kind: str, known: int, *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[PublicEntry]:
        """Yield the public entries of a kind below `known`, so many at most."""
        column = schema.entry.c
        order = column.index.desc() if newest_first else column.index.asc()
        query = (
            sa.select(column.index, column.kind, column.recorded_us, column.payload)
            .where(column.kind == kind, column.index < known)
            .order_by(order)
            .limit(limit)
        )
        with self.reading() as con:
            rows = con.execute(query).all()
        for index, name, recorded_us, payload in rows:
            yield PublicEntry(int(index), name, int(recorded_us), json.loads(payload))

    def rewritten(self) -> int:
        """Return how often files were put in the place of others."""
        with self.reading() as con:
            return int(con.execute(sa.select(schema.head.c.rewritten)).scalar_one())

    def steadily(self, work: Callable[[], T]) -> T:
        """Return what `work` returns; do it again where files that it read were replaced.

        An erasure deletes a listed file as soon as another is listed in its place; whoever
        read the list before that finds the file missing.
        """
        while True:
            before = self.rewritten()
            try:
                return work()
            except (SaysoError, OSError, duckdb.Error):
                if self.rewritten() == before:
                    raise

    def choices(self, known: int, member_id: str | None = None) -> tuple[pa.Table, list[Segment]]:
        """Return the head's choices and the segments that hold entries below `known`."""
        names = ", ".join(f'"{name}"' for name in HEAD_CHOICES.names)
        mine = "IS NOT NULL"
        given: tuple[str, ...] = ()
        ranges = sa.select(schema.segment).where(schema.segment.c.first < known)
        with self.reading() as con:
            if member_id is not None:
                mine = "= ?" if con.dialect.name == "sqlite" else "= %s"
                given = (member_id,)
            # The driver's own cursor: SQLAlchemy's rows cost three times the query.
            cursor = con.connection.cursor()
            try:
                cursor.execute(
                    f"SELECT {names} FROM {schema.entry.name} WHERE kind = 'choice' "
                    f'AND "index" < {known:d} AND member_id {mine} ORDER BY "index"',
                    given,
                )
                rows = cursor.fetchall()
            finally:
                cursor.close()
            segments = [self._segment(row) for row in con.execute(ranges).mappings()]
        return _table(rows, HEAD_CHOICES), segments

    def _segment(self, row: sa.RowMapping) -> Segment:
        path = self.folder / "segments" / row["name"]
        if not path.is_file():
            raise IntegrityError(
                f"segment '{row['name']}' of the ledger is missing", hint="restore it from backup"
            )
        return Segment(
            int(row["first"]), int(row["first"] + row["span"]), int(row["rows"]),
            row["kind"], path, row["sha256"],
        )  # fmt: skip


def _table(rows: Sequence[Any], columns: pa.Schema) -> pa.Table:
    if not rows:
        return columns.empty_table()
    arrays = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=columns)


def _wrapped(error: BaseException) -> BaseException:
    """Return the error for whoever must act. Source: PEP 249, Exceptions."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    name = type(error).__name__
    if kinds & {"OperationalError", "InterfaceError"}:
        return UnavailableError(
            f"the ledger's database did not answer ({name})",
            hint="check the address in sayso.toml and that it is running, then retry",
        )
    if "DataError" in kinds:
        return InputError(
            f"the ledger's database cannot hold a value ({name})",
            hint="look for NUL characters in ids and texts",
        )
    if name == "DatabaseError":  # what SQLite says of a file that makes no sense
        return IntegrityError(
            f"the ledger's database is damaged ({name})", hint="restore it from backup"
        )
    return error


def open_ledger(url: str, folder: Path) -> Ledger:
    """Open a ledger and bring its tables up to date.

    Args:
        url: A SQLAlchemy URL, `sqlite:///...` or `postgresql+psycopg://...`.
        folder: The workspace.

    Raises:
        InputError: The URL is not one of these.
        UnavailableError: The database did not answer.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise InputError("the database URL cannot be read", hint="see sayso.toml") from None
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(parsed, connect_args={"timeout": BUSY_SECONDS})
        _prepare_sqlite(engine)
    elif parsed.get_backend_name() == "postgresql":
        engine = sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            # A service holds five of them for appends and glances; see committing and asking.
            pool_size=8,
            max_overflow=8,
        )
        _prepare_postgresql(engine)
    else:
        raise InputError(
            f"unknown database '{parsed.get_backend_name()}'", hint="use sqlite or postgresql"
        )
    ledger = Ledger(engine, folder)
    try:
        ledger.write_ahead()
        schema.migrate(ledger)
    except engine.dialect.dbapi.ProgrammingError as error:  # type: ignore[union-attr]
        raise InputError(
            f"the database URL cannot be used ({str(error).strip()})", hint="see sayso.toml"
        ) from None
    except BaseException:
        ledger.close()
        raise
    return ledger


def _prepare_sqlite(engine: sa.Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes too late for reads; ours below is explicit.
        connection.isolation_level = None
        for pragma in (
            "synchronous = FULL",
            "secure_delete = ON",
            f"busy_timeout = {BUSY_SECONDS * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(con: sa.Connection) -> None:
        writes = con.get_execution_options().get("sayso_writing")
        con.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgresql(engine: sa.Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        # Acknowledged means durable, whatever the server's default; more than `on` stays.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()


def temporary_name(name: str) -> str:
    """Return a name that no other writer uses and that nothing takes for finished."""
    return f".{name}.{zlib.crc32(os.urandom(8)):08x}{secrets.token_hex(4)}.tmp"


def now_us(instant: datetime) -> int:
    """Return microseconds since 1970 of an aware instant."""
    return int(instant.timestamp() * 1_000_000)
