"""Bulk ingest: a whole file or nothing, and the same file twice changes nothing.

Promises: what is acknowledged is durable; a file with one bad choice or instant is refused
whole, with the first rows at fault; odd facts never refuse a members file. Rows never pass
through Python one by one.

Life of a choices file: read and checked; keys made for new members; written with its
commitments and buckets to a temporary segment; flushed; renamed; its index range
taken in one transaction. A crash before that leaves a file that nobody lists. Where one of
its members was erased meanwhile, it is written again without them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import duckdb
import pyarrow.parquet as pq
import sqlalchemy as sa

from sayso.errors import InputError
from sayso.ledger import schema
from sayso.ledger.files import working
from sayso.ledger.rows import MEMBERS, NOTICES, member_columns, notice_columns, table_root
from sayso.ledger.segments import BATCH_ROWS, write_segment
from sayso.ledger.spool import spooling
from sayso.ledger.store import Ledger, temporary_name
from sayso.ledger.versions import version_at
from sayso.model import EVERY_PURPOSE, Choice, Outcome
from sayso.rulebook.civil import COUNTRIES
from sayso.tables import Table, connect, flush, open_table, quoted, reading, sha256_of

Progress = Callable[[str, int], None]

# Rows at fault that a message names.
FAULTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a file.

    Attributes:
        rows: Rows taken; 0 where the file was known.
        first: Index of its first entry; None where it was known.
        backdated_on: `on` that count from before their recording, as the file says.
        ahead_on: `on` that count from after it: they will stand above an `off` said until then.
        ignored: Rows without a member id in a table.
        unchanged: Whether the same file was taken before.
        warnings: Columns that look like something is missing.
    """

    kind: str
    rows: int
    first: int | None
    size: int
    backdated_on: int = 0
    ahead_on: int = 0
    ignored: int = 0
    unchanged: bool = False
    sha256: str = ""


def _codes(values: frozenset[str] | tuple[str, ...]) -> str:
    return "(" + ", ".join(quoted(str(value)) for value in sorted(values)) + ")"


def _need(table: Table, path: Path, columns: tuple[str, ...]) -> None:
    if missing := [name for name in columns if name not in table.types]:
        raise InputError(
            f"'{path.name}' has no column '{missing[0]}'",
            hint=f"it needs {', '.join(columns)}; found {', '.join(table.types)}",
        )


def _reject(con: duckdb.DuckDBPyConnection, path: Path, faults: dict[str, str], view: str) -> None:
    """Raise for the first rows that meet a fault; `faults` is message -> SQL condition."""
    conditions = " OR ".join(f"coalesce({condition}, true)" for condition in faults.values())
    (bad,) = con.sql(f"SELECT count(*) FROM {view} WHERE {conditions}").fetchall()
    if not bad[0]:
        return
    which = " ".join(
        f"WHEN coalesce({condition}, true) THEN {quoted(message)}"
        for message, condition in faults.items()
    )
    rows = con.sql(
        f"SELECT row, CASE {which} END FROM (SELECT *, row_number() OVER () AS row FROM {view}) "
        f"WHERE {conditions} ORDER BY row LIMIT {FAULTS_SHOWN}"
    ).fetchall()
    shown = ", ".join(f"row {row}: {message}" for row, message in rows)
    raise InputError(
        f"'{path.name}' has {bad[0]} bad rows, nothing was taken ({shown})",
        hint="correct them and ingest the file again",
        rows=[row for row, _ in rows],
    )


# ---- choices ----------------------------------------------------------------------------


def ingest_choices(
    ledger: Ledger,
    path: Path,
    recorded_us: int,
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Ingested:
    """Append every choice of a file, or none.

    Args:
        ledger: Where to.
        path: Parquet, CSV or JSON Lines with member_id, purpose, choice, effective_at.
        recorded_us: The time of recording.
        progress: Told the name of each stage and the rows it handles.
        threads: DuckDB threads; None for all.

    Raises:
        InputError: The file cannot be read, or a row has a bad code or instant.
    """
    tell = progress or (lambda _stage, _rows: None)
    with spooling(ledger.folder) as spill, connect(threads=threads, spill=spill) as duck:
        with reading(path):
            table = open_table(duck, path)
            _need(table, path, ("member_id", "purpose", "choice", "effective_at"))
        sha256 = sha256_of(table.paths)
        source = ledger.keys.source_of(sha256)
        if (known := _known_segment(ledger, source, sha256)) is not None:
            return known
        with reading(path):
            tell("reading", 0)
            rows = _read_choices(duck, table, path)
        if not rows:
            return Ingested("choices", 0, None, ledger.size(), sha256=sha256)
        with working(ledger.folder / "segments"):
            while True:
                taken = _take_choices(ledger, duck, rows, sha256, recorded_us, tell)
                if taken is not None:
                    return taken


def _known_segment(ledger: Ledger, source: str, sha256: str) -> Ingested | None:
    with ledger.reading() as con:
        column = schema.segment.c
        found = con.execute(sa.select(column.first).where(column.source == source)).first()
    if found is None:
        return None
    return Ingested("choices", 0, int(found[0]), ledger.size(), unchanged=True, sha256=sha256)


def _read_choices(duck: duckdb.DuckDBPyConnection, table: Table, path: Path) -> int:
    duck.execute(
        f"CREATE TEMP VIEW typed AS SELECT {table.id('member_id')} AS member_id, "
        f"{table.text('purpose')} AS purpose, {table.text('choice')} AS choice, "
        f"epoch_us({table.instant('effective_at')}) AS effective_us, "
        f"nullif({table.text('country')}, '') AS country, "
        f"nullif({table.text('channel')}, '') AS channel, "
        f"nullif({table.text('setting_version')}, '') AS setting_version FROM {table.sql}"
    )
    said = tuple(str(choice) for choice in Choice if choice is not Choice.UNSET)
    faults = {
        "member_id is missing": "member_id IS NULL",
        "purpose is missing": "purpose IS NULL OR purpose = ''",
        f"choice is not one of {', '.join(said)}": (
            f"choice IS NULL OR choice NOT IN {_codes(said)}"
        ),
        "purpose * goes only with choice off": f"purpose = '{EVERY_PURPOSE}' AND choice <> 'off'",
        "effective_at is not an instant": "effective_us IS NULL",
        "country is not an ISO 3166-1 code": (
            f"country IS NOT NULL AND country NOT IN {_codes(COUNTRIES)}"
        ),
    }
    _reject(duck, path, faults, "typed")
    # Every text is decoded here: bytes that are no UTF-8 stop before anything is written.
    ((rows, *_),) = duck.sql(
        "SELECT count(*), max(strlen(channel)), max(strlen(setting_version)) FROM typed"
    ).fetchall()
    return int(rows)


@contextmanager
def _keyed(ledger: Ledger, duck: duckdb.DuckDBPyConnection, relation: str) -> Iterator[None]:
    """Leave `erased_members` among a relation's members, and `member_keys` of the others.

    The new keys go into the database while the body runs, and are there when it ends. Nothing
    that the body makes may be listed before.
    """
    known = Event()

    def work() -> None:
        with ledger.writing() as con:
            ledger.keys.erased_among(con, duck, [relation])
            ledger.keys.ensure_many(
                con, duck,
                f"SELECT DISTINCT member_id FROM {relation} WHERE member_id IS NOT NULL "
                "AND member_id NOT IN (FROM erased_members)",
                known.set,
            )  # fmt: skip

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        done.add_done_callback(lambda _: known.set())
        known.wait()
        if done.done():
            done.result()
        yield
        done.result()


def _more_were_erased(
    ledger: Ledger, con: sa.Connection, duck: duckdb.DuckDBPyConnection, relation: str
) -> bool:
    """Whether members of a relation were erased since `_keyed`."""
    count = "SELECT count(*) FROM erased_members"
    before = duck.sql(count).fetchall()
    ledger.keys.erased_among(con, duck, [relation])
    return bool(duck.sql(count).fetchall() != before)


def _take_choices(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    rows: int,
    sha256: str,
    recorded_us: int,
    tell: Progress,
) -> Ingested | None:
    """Take the choices; None where a member was erased meanwhile."""
    name = f"choices-{ledger.keys.source_of(sha256)[:32]}.parquet"
    target = ledger.folder / "segments" / name
    made = target.with_name(temporary_name(name))
    tell("keys", rows)
    try:
        with _keyed(ledger, duck, "typed"):
            tell("writing", rows)
            # An erased member's rows are dropped here and nowhere else.
            said = duck.sql(
                f"SELECT bucket, member_id, purpose, choice, effective_us, country, "
                f"{recorded_us}::BIGINT recorded_us, channel, setting_version, key "
                "FROM typed JOIN member_keys USING (member_id) "
                "WHERE member_id NOT IN (FROM erased_members)"
            )
            written = write_segment(said.to_arrow_reader(BATCH_ROWS), made)
        if not written:  # every row is of somebody erased; an empty range would stand in the way
            return Ingested("choices", 0, None, ledger.size(), sha256=sha256)
        ((before, ahead),) = duck.sql(
            f"SELECT count(*) FILTER (effective_us < {recorded_us}), "
            f"count(*) FILTER (effective_us > {recorded_us}) FROM typed WHERE choice = 'on'"
        ).fetchall()
        taken = Ingested(
            "choices", written, None, 0, backdated_on=before, ahead_on=ahead, sha256=sha256
        )
        return _list_segment(ledger, duck, made, target, taken, recorded_us)
    finally:
        made.unlink(missing_ok=True)


def _list_segment(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    made: Path,
    target: Path,
    taken: Ingested,
    recorded_us: int,
) -> Ingested | None:
    """Give a written segment its name and its index range."""
    digest = sha256_of((made,))
    flush(made)
    source = ledger.keys.source_of(taken.sha256)
    with ledger.writing() as con:
        known = _known_segment(ledger, source, taken.sha256)
        if known is not None:  # another process took the same file meanwhile
            return known
        if _more_were_erased(ledger, con, duck, "typed"):
            return None
        # Only now: the other process's segment has the same name and other bytes.
        made.rename(target)
        flush(target.parent)
        first = ledger.reserve(con, taken.rows)
        con.execute(
            sa.insert(schema.segment).values(
                first=first, span=taken.rows, rows=taken.rows, kind=taken.kind, name=target.name,
                sha256=digest, source=source, recorded_us=recorded_us,
            )
        )  # fmt: skip
    return replace(taken, first=first, size=first + taken.rows)


# ---- tables: members and notices --------------------------------------------------------


def ingest_table(
    ledger: Ledger, kind: str, path: Path, recorded_us: int, *, progress: Progress | None = None
) -> Ingested:
    """Take a whole new version of the members or notices table.

    The last version known at `known` counts; a file that equals the current version
    changes nothing.

    Raises:
        InputError: The file cannot be read, or a notice has a bad code or instant.
    """
    tell = progress or (lambda _stage, _rows: None)
    with spooling(ledger.folder) as spill, connect(spill=spill) as duck, reading(path):
        table = open_table(duck, path)
        sha256 = sha256_of(table.paths)
        if (known := _known_version(ledger, kind, sha256)) is not None:
            return known
        tell("reading", 0)
        if kind == MEMBERS:
            _need(table, path, ("member_id",))
            columns = member_columns(table)
        else:
            _need(table, path, ("member_id", "purpose", "served_at"))
            columns = notice_columns(table)
        duck.execute(f"CREATE TEMP TABLE incoming AS SELECT {columns} FROM {table.sql}")
        if kind == NOTICES:
            faults = {
                "member_id is missing": "member_id IS NULL",
                "purpose is missing": "purpose IS NULL OR purpose = ''",
                "served_at is not an instant": "served_us IS NULL",
                f"outcome is not one of {', '.join(Outcome)}": (
                    f"outcome NOT IN {_codes(tuple(Outcome))}"
                ),
            }
            _reject(duck, path, faults, "incoming")
        with working(ledger.folder / "tables"):
            while True:
                taken = _take_table(ledger, duck, kind, sha256, recorded_us, tell)
                if taken is not None:
                    return taken


def _known_version(ledger: Ledger, kind: str, sha256: str) -> Ingested | None:
    """Return what is said of a file that equals the version that counts."""
    size = ledger.size()
    current = version_at(ledger, kind, size)
    if current is None or current.source != ledger.keys.source_of(sha256):
        return None
    return Ingested(kind, 0, current.entry, size, unchanged=True, sha256=sha256)


def _take_table(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    kind: str,
    sha256: str,
    recorded_us: int,
    tell: Progress,
) -> Ingested | None:
    """Take a version; None where a member was erased meanwhile."""
    ((total, kept),) = duck.sql("SELECT count(*), count(member_id) FROM incoming").fetchall()
    tell("keys", kept)
    name = f"{kind}-{ledger.keys.source_of(sha256)[:32]}-{recorded_us}.parquet"
    target = ledger.folder / "tables" / name
    made = target.with_name(temporary_name(name))
    try:
        with _keyed(ledger, duck, "incoming"):
            tell("writing", kept)
            # Sorted throughout, so that the same rows make the same file and root.
            duck.execute(
                f"COPY (SELECT bucket, incoming.*, NULL::BLOB AS commitment FROM incoming "
                "JOIN member_keys USING (member_id) "
                "WHERE member_id NOT IN (FROM erased_members) ORDER BY ALL) "
                f"TO {quoted(str(made))} (FORMAT PARQUET)"
            )
        rows = int(pq.read_metadata(made).num_rows)
        taken = Ingested(kind, rows, None, 0, ignored=total - kept, sha256=sha256)
        return _list_version(ledger, duck, made, target, taken, recorded_us)
    finally:
        made.unlink(missing_ok=True)


def _list_version(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    made: Path,
    target: Path,
    taken: Ingested,
    recorded_us: int,
) -> Ingested | None:
    """Give a written version its name and its entry."""
    kind, digest = taken.kind, sha256_of((made,))
    root, single = table_root(duck, kind, made), _is_single(duck, kind, made)
    flush(made)
    with ledger.writing() as con:
        known = _known_version(ledger, kind, taken.sha256)
        if known is not None:  # another process took the same file meanwhile
            return known
        if _more_were_erased(ledger, con, duck, "incoming"):
            return None
        made.rename(target)
        flush(target.parent)
        # The entry will be published: it tells nothing that counts few people.
        payload = {"table": kind, "root": root.hex()}
        entry = ledger.append_public("table", payload, recorded_us, con).index
        con.execute(
            sa.insert(schema.table).values(
                entry=entry, kind=kind, root=root.hex(), name=target.name, sha256=digest,
                rows=taken.rows, single=single, source=ledger.keys.source_of(taken.sha256),
                expired_us=None,
            )
        )  # fmt: skip
    return replace(taken, first=entry, size=entry + 1)


def _is_single(duck: duckdb.DuckDBPyConnection, kind: str, path: Path) -> bool:
    """Whether every member has one row, which counts always."""
    dated = "since_us IS NOT NULL OR since_day IS NOT NULL OR since_odd"
    ((rows, members, late),) = duck.sql(
        f"SELECT count(*), count(DISTINCT member_id), "
        f"{f'count(*) FILTER ({dated})' if kind == MEMBERS else '0'} "
        f"FROM read_parquet({quoted(str(path))})"
    ).fetchall()
    return bool(rows == members and not late)
