"""Bulk ingest: a whole file or nothing, and the same file twice changes nothing.

Promises: what is acknowledged is durable; a file with one bad choice or instant is refused
whole, with the first rows at fault; odd facts never refuse a members file. Rows never pass
through Python one by one.

Life of a choices file: read and checked; keys made for new members; written with its
commitments and buckets to a temporary segment; flushed; renamed; its index range
taken in one transaction. A crash before that leaves a file that nobody lists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import sqlalchemy as sa

from sayso.canonical import commit, encode, sql_commit, sql_fields, sql_integer, sql_text
from sayso.errors import InputError
from sayso.ledger import schema
from sayso.ledger.store import CHOICE_LABEL, SEAL_ROWS, Ledger, temporary_name
from sayso.log import leaf_hash, tree_root
from sayso.model import EVERY_PURPOSE, Choice, Outcome
from sayso.rulebook.civil import COUNTRIES
from sayso.tables import Table, connect, flush, open_table, quoted, reading, sha256_of

Progress = Callable[[str, int], None]

# Rows at fault that a message names.
FAULTS_SHOWN = 5
MEMBERS, NOTICES = "members", "notices"


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a file.

    Attributes:
        rows: Rows taken; 0 where the file was known.
        first: Index of its first entry; None where it was known.
        flagged: Back-dated `on` choices, counted as said and flagged.
        ignored: Rows without a member id in a table.
        unchanged: Whether the same file was taken before.
        warnings: Columns that look like something is missing.
    """

    kind: str
    rows: int
    first: int | None
    size: int
    flagged: int = 0
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
    with connect(threads=threads) as duck:
        with reading(path):
            table = open_table(duck, path)
            _need(table, path, ("member_id", "purpose", "choice", "effective_at"))
        sha256 = sha256_of(table.paths)
        if (known := _known_segment(ledger, sha256)) is not None:
            return known
        with reading(path):
            tell("reading", 0)
            rows = _read_choices(duck, table, path)
        if not rows:
            return Ingested("choices", 0, None, ledger.size(), sha256=sha256)
        return _take_choices(ledger, duck, rows, sha256, recorded_us, tell)


def _known_segment(ledger: Ledger, sha256: str) -> Ingested | None:
    with ledger.reading() as con:
        column = schema.segment.c
        found = con.execute(sa.select(column.first).where(column.source_sha256 == sha256)).first()
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


def _take_choices(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    rows: int,
    sha256: str,
    recorded_us: int,
    tell: Progress,
) -> Ingested:
    with ledger.writing() as con:
        tell("keys", rows)
        ledger.keys.erased_among(con, duck, ["typed"])
        ledger.keys.ensure_many(
            con, duck,
            "SELECT DISTINCT member_id FROM typed WHERE member_id NOT IN (FROM erased_members)",
        )  # fmt: skip
    canonical = sql_fields(
        CHOICE_LABEL,
        (
            sql_text("purpose"), sql_text("choice"), sql_integer("effective_us"),
            f"'i{recorded_us},'", sql_text("country"), sql_text("channel"),
            sql_text("setting_version"), "'-,'",
        ),
    )  # fmt: skip
    name = f"choices-{sha256[:32]}.parquet"
    target = ledger.folder / "segments" / name
    made = target.with_name(temporary_name(name))
    tell("writing", rows)
    try:
        # An erased member's rows are dropped here and nowhere else.
        duck.execute(
            f"COPY (SELECT (row_number() OVER () - 1)::INTEGER ordinal, * FROM ("
            f"SELECT bucket, member_id, purpose, choice, effective_us, country, "
            f"{recorded_us}::BIGINT recorded_us, channel, setting_version, "
            f"{sql_commit('key', canonical)} AS commitment "
            f"FROM typed JOIN member_keys USING (member_id) "
            f"WHERE member_id NOT IN (FROM erased_members))) "
            f"TO {quoted(str(made))} (FORMAT PARQUET)"
        )
        written = int(pq.read_metadata(made).num_rows)
        if not written:  # every row is of somebody erased; an empty range would stand in the way
            return Ingested("choices", 0, None, ledger.size(), sha256=sha256)
        ((flagged,),) = duck.sql(
            f"SELECT count(*) FROM typed WHERE choice = 'on' AND effective_us < {recorded_us}"
        ).fetchall()
        return _list_segment(
            ledger, made, target, "choices", written, sha256, recorded_us, flagged=int(flagged)
        )
    finally:
        made.unlink(missing_ok=True)


def _list_segment(
    ledger: Ledger,
    made: Path,
    target: Path,
    kind: str,
    rows: int,
    source_sha256: str,
    recorded_us: int,
    *,
    flagged: int,
) -> Ingested:
    digest = sha256_of((made,))
    flush(made)
    with ledger.writing() as con:
        known = con.execute(
            sa.select(schema.segment.c.first).where(schema.segment.c.source_sha256 == source_sha256)
        ).first()
        if known is not None:  # another process took the same file meanwhile
            return Ingested(
                kind, 0, int(known[0]), ledger.size(), unchanged=True, sha256=source_sha256
            )
        # Only now: the other process's segment has the same name and other bytes.
        made.rename(target)
        flush(target.parent)
        first = ledger.reserve(con, rows)
        con.execute(
            sa.insert(schema.segment).values(
                first=first, span=rows, rows=rows, kind=kind, name=target.name, sha256=digest,
                source_sha256=source_sha256, recorded_us=recorded_us,
            )
        )  # fmt: skip
    return Ingested(kind, rows, first, first + rows, flagged=flagged, sha256=source_sha256)


def seal(ledger: Ledger, recorded_us: int, *, threshold_rows: int = SEAL_ROWS) -> int:
    """Move the head's choices into a segment once there are many; return how many moved.

    Every reading is the same before and after: the segment keeps each entry's index.
    """
    with ledger.writing() as con:
        column = schema.entry.c
        bounds = con.execute(
            sa.select(sa.func.count(), sa.func.min(column.index), sa.func.max(column.index)).where(
                column.kind == "choice", column.member_id.is_not(None)
            )
        ).one()
        rows, first, last = int(bounds[0]), bounds[1], bounds[2]
        if rows < max(threshold_rows, 1):
            return 0
        choices, _ = ledger.choices(int(last) + 1)
        name = f"head-{first}-{last}.parquet"
        target = ledger.folder / "segments" / name
        made = target.with_name(temporary_name(name))
        try:
            with connect() as duck:
                duck.register("choices", choices)
                duck.execute(
                    f"COPY (SELECT (index - {first})::INTEGER ordinal, "
                    f"* EXCLUDE (index, commitment), "
                    f"commitment::BLOB AS commitment FROM choices) "
                    f"TO {quoted(str(made))} (FORMAT PARQUET)"
                )
            digest = sha256_of((made,))
            flush(made)
            made.rename(target)
            flush(target.parent)
        finally:
            made.unlink(missing_ok=True)
        con.execute(
            sa.insert(schema.segment).values(
                first=first, span=int(last) - int(first) + 1, rows=rows, kind="head", name=name,
                sha256=digest, source_sha256=None, recorded_us=recorded_us,
            )
        )  # fmt: skip
        con.execute(
            sa.delete(schema.entry).where(column.kind == "choice", column.member_id.is_not(None))
        )
    return rows


# ---- tables: members and notices --------------------------------------------------------


def member_columns(table: Table) -> str:
    """Return the SELECT list that turns a table into member rows.

    Columns: member_id, country, born, status, since_us (null: always or civil), since_day
    (a civil date), since_odd (whether a `since` stands there that cannot be read).
    """
    day = table.civil("since")
    instant = f"epoch_us({table.instant('since')})"
    return (
        f"{table.id('member_id')} AS member_id, nullif({table.text('country')}, '') AS country, "
        f"{table.birth('birth_date')} AS born, "
        f"coalesce(nullif({table.text('status')}, ''), 'active') AS status, "
        f"CASE WHEN {day} IS NULL THEN {instant} END AS since_us, {day} AS since_day, "
        f"coalesce({table.present('since')} AND coalesce({_text_or_one(table)}, '') <> '' "
        f"AND {instant} IS NULL, false) AS since_odd"
    )


def _text_or_one(table: Table) -> str:
    kind = table.types.get("since", "")
    return table.text("since") if kind in {"VARCHAR", "JSON"} else "'1'"


def notice_columns(table: Table) -> str:
    """Return the SELECT list that turns a table into notices."""
    return (
        f"{table.id('member_id')} AS member_id, {table.text('purpose')} AS purpose, "
        f"epoch_us({table.instant('served_at')}) AS served_us, "
        f"coalesce(nullif({table.text('outcome')}, ''), 'delivered') AS outcome, "
        f"nullif({table.text('notice_id')}, '') AS notice_id, "
        f"nullif({table.text('channel')}, '') AS channel"
    )


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
    with connect() as duck, reading(path):
        table = open_table(duck, path)
        sha256 = sha256_of(table.paths)
        current = ledger.latest("table", ledger.size(), table=kind)
        if current is not None and current.payload["source_sha256"] == sha256:
            return Ingested(kind, 0, current.index, ledger.size(), unchanged=True, sha256=sha256)
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
        return _take_table(ledger, duck, kind, sha256, recorded_us, tell)


def _take_table(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    kind: str,
    source_sha256: str,
    recorded_us: int,
    tell: Progress,
) -> Ingested:
    ((total, kept, members),) = duck.sql(
        "SELECT count(*), count(member_id), count(DISTINCT member_id) FROM incoming"
    ).fetchall()
    with ledger.writing() as con:
        tell("keys", kept)
        ledger.keys.erased_among(con, duck, ["incoming"])
        ledger.keys.ensure_many(
            con, duck,
            "SELECT DISTINCT member_id FROM incoming WHERE member_id IS NOT NULL "
            "AND member_id NOT IN (FROM erased_members)",
        )  # fmt: skip
    name = f"{kind}-{source_sha256[:32]}-{recorded_us}.parquet"
    target = ledger.folder / "tables" / name
    made = target.with_name(temporary_name(name))
    tell("writing", kept)
    try:
        # Sorted throughout, so that the same rows make the same file and root.
        duck.execute(
            f"COPY (SELECT bucket, incoming.* FROM incoming JOIN member_keys USING (member_id) "
            f"WHERE member_id NOT IN (FROM erased_members) ORDER BY ALL) "
            f"TO {quoted(str(made))} (FORMAT PARQUET)"
        )
        root = table_root(duck, kind, made)
        dated = kind == MEMBERS and bool(
            duck.sql(
                f"SELECT count(*) FROM read_parquet({quoted(str(made))}) "
                "WHERE since_us IS NOT NULL "
                "OR since_day IS NOT NULL OR since_odd"
            ).fetchall()[0][0]
        )
        rows = int(pq.read_metadata(made).num_rows)
        payload = {
            "table": kind, "name": name, "rows": rows, "root": root.hex(),
            "sha256": sha256_of((made,)), "source_sha256": source_sha256,
            "single": members == kept and not dated,
        }  # fmt: skip
        flush(made)
        with ledger.writing() as con:
            current = ledger.latest("table", ledger.size(), table=kind)
            if current is not None and current.payload["source_sha256"] == source_sha256:
                # another process took the same file meanwhile
                return Ingested(
                    kind, 0, current.index, ledger.size(), unchanged=True, sha256=source_sha256
                )
            made.rename(target)
            flush(target.parent)
            receipt = ledger.append_public("table", payload, recorded_us, con)
    finally:
        made.unlink(missing_ok=True)
    return Ingested(
        kind, rows, receipt.index, receipt.index + 1, ignored=total - kept, sha256=source_sha256
    )


def table_root(duck: duckdb.DuckDBPyConnection, kind: str, path: Path) -> bytes:
    """Return the Merkle root over the rows of a table, each committed under its member's key.

    `member_keys` must be loaded; rows are leaves in the order of the file.
    """
    leaves = duck.sql(
        f"SELECT {row_commitment(kind)} c FROM (SELECT *, file_row_number FROM "
        f"read_parquet({quoted(str(path))}, file_row_number = true)) "
        "JOIN member_keys USING (member_id) ORDER BY file_row_number"
    ).to_arrow_table()["c"]
    return tree_root([leaf_hash(leaf) for leaf in leaves.to_pylist()])


def row_commitment(kind: str) -> str:
    """SQL: the commitment to one row of a table, under `key`, as a BLOB."""
    fields = (
        (
            sql_text("country"), sql_integer("datediff('day', DATE '1970-01-01', born)"),
            sql_text("status"), sql_integer("since_us"),
            sql_integer("datediff('day', DATE '1970-01-01', since_day)"),
            sql_integer("since_odd::INTEGER"),
        )
        if kind == MEMBERS
        else (
            sql_text("purpose"), sql_integer("served_us"), sql_text("outcome"),
            sql_text("notice_id"), sql_text("channel"),
        )
    )  # fmt: skip
    return sql_commit("key", sql_fields(f"sayso/{kind}/v1", fields))


def member_row_commitment(
    key: bytes, country: str | None, born_days: int | None, status: str, since_us: int | None,
    since_day: int | None, since_odd: bool,
) -> bytes:  # fmt: skip
    """Return the commitment to one member row; `table_root` computes the same in SQL."""
    return commit(
        key,
        encode(
            f"sayso/{MEMBERS}/v1", country, born_days, status, since_us, since_day, int(since_odd)
        ),
    )
