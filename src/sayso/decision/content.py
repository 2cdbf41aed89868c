"""Content in the shape that the engine classifies.

Promises: one Arrow table with fixed columns and types, whatever came in; a column that is
missing is unknown throughout. Does not decide.

Columns: record_id, member_id (int64 or text); category, visibility, authorship, context
(text or dictionary); mentions (int8: 0 nobody, 1 somebody, 2 unknown); written_at,
first_seen_at, deleted_at (timestamp[us], UTC). One row per record.
"""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sayso.errors import InputError
from sayso.tables import Table, connect, need_each_once, open_table, reading, relation_table

CODES = ("category", "visibility", "authorship", "context")
TIMES = ("written_at", "first_seen_at", "deleted_at")
# An unreadable deletion time: the record counts as deleted since always.
DELETED_ALWAYS = "TIMESTAMP '0001-01-01'"


def content_columns(table: Table, *, integer_ids: bool) -> str:
    """Return the SELECT list that turns a table into content.

    Raises:
        InputError: The table has no record_id.
    """
    if "record_id" not in table.types:
        raise InputError(
            "content has no column 'record_id'",
            hint=f"rename one of {', '.join(sorted(table.types)) or 'its columns'}",
        )
    member = table.id("member_id")
    if integer_ids:
        if table.has_integers("member_id"):
            member = '"member_id"::BIGINT'
        else:
            # Only the canonical text of an integer can equal one.
            number = f"TRY_CAST({member} AS BIGINT)"
            member = f"CASE WHEN {number}::VARCHAR = {member} THEN {number} END"
    record = '"record_id"::BIGINT' if table.has_integers("record_id") else table.id("record_id")
    codes = ", ".join(f"{table.text(name)} AS {name}" for name in CODES)
    deleted = (
        f"CASE WHEN {table.present('deleted_at')} "
        f"THEN coalesce({table.instant('deleted_at')}, {DELETED_ALWAYS}) END"
    )
    # Null is absent and the other time counts; what stands there unreadable is unknown, and
    # might have been the earlier one.
    unreadable = " OR ".join(
        f"({table.present(name)} AND {table.instant(name)} IS NULL)"
        for name in ("written_at", "first_seen_at")
    )
    return (
        f"{record} AS record_id, {member} AS member_id, {codes}, "
        f"{table.mentions('mentions')} AS mentions, "
        f"CASE WHEN NOT ({unreadable}) THEN {table.instant('written_at')} END AS written_at, "
        f"CASE WHEN NOT ({unreadable}) THEN {table.instant('first_seen_at')} END AS first_seen_at, "
        f"{deleted} AS deleted_at"
    )


def content_table(content: pa.Table | Path | str | duckdb.DuckDBPyRelation) -> pa.Table:
    """Return what a file or a relation holds as a table, with integer ids where they are.

    Raises:
        InputError: It cannot be read, has no record_id, or a column of ours twice.
    """
    if isinstance(content, pa.Table):
        need_each_once(content.column_names, "content")
        return content
    if isinstance(content, duckdb.DuckDBPyRelation):
        need_each_once(content.columns, "content")
        return content.to_arrow_table()
    with connect() as con, reading(content):
        table = open_table(con, Path(content))
        columns = content_columns(table, integer_ids=table.has_integers("member_id"))
        return con.sql(f"SELECT {columns} FROM {table.sql}").to_arrow_table()


def as_content(
    content: pa.Table | Path | str | duckdb.DuckDBPyRelation, *, integer_ids: bool
) -> pa.Table:
    """Return content as one Arrow table, in its order.

    Raises:
        InputError: It cannot be read, or has no record_id.
    """
    if isinstance(content, pa.Table):
        need_each_once(content.column_names, "content")
        if (direct := _direct(content, integer_ids=integer_ids)) is not None:
            return direct
        with connect() as con:
            con.register("content", content)
            return _through_sql(con.table("content"), con, "content", integer_ids=integer_ids)
    if isinstance(content, (str, Path)):
        with connect() as con, reading(content):
            table = open_table(con, Path(content))
            columns = content_columns(table, integer_ids=integer_ids)
            return con.sql(f"SELECT {columns} FROM {table.sql}").to_arrow_table()
    arrow = content_table(content)
    return as_content(arrow, integer_ids=integer_ids)


def _through_sql(
    relation: duckdb.DuckDBPyRelation,
    con: duckdb.DuckDBPyConnection,
    name: str,
    *,
    integer_ids: bool,
) -> pa.Table:
    with reading(name):
        columns = content_columns(relation_table(relation, name), integer_ids=integer_ids)
        return con.sql(f"SELECT {columns} FROM {name}").to_arrow_table()


def _direct(table: pa.Table, *, integer_ids: bool) -> pa.Table | None:
    """Take the columns as they are where their types allow it, without a copy."""
    names = set(table.column_names)
    if not {"record_id", "member_id"} <= names:
        return None
    if integer_ids != pa.types.is_integer(table["member_id"].type):
        return None
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for name in ("record_id", "member_id"):
        kind = table[name].type
        if not (pa.types.is_int64(kind) or pa.types.is_string(kind)):
            return None
        columns[name] = table[name]
    for name in CODES:
        column = table[name] if name in names else pa.nulls(table.num_rows, pa.string())
        plain = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not pa.types.is_string(plain):
            return None
        columns[name] = column
    for name in TIMES:
        column = table[name] if name in names else pa.nulls(table.num_rows, pa.timestamp("us"))
        if not (pa.types.is_timestamp(column.type) and column.type.unit == "us"):
            return None
        columns[name] = column
    if (mentions := _mentions(table)) is None:
        return None
    columns["mentions"] = mentions
    if any(pa.types.is_string(columns[n].type) for n in ("record_id", "member_id")) and _has_empty(
        columns
    ):
        return None
    return pa.table(columns)


def _has_empty(columns: dict[str, pa.ChunkedArray | pa.Array]) -> bool:
    """Whether a text id is empty, which SQL turns into null."""
    return any(
        pa.types.is_string(columns[name].type)
        and pc.any(pc.equal(columns[name], ""), skip_nulls=True).as_py()
        for name in ("record_id", "member_id")
    )


def _mentions(table: pa.Table) -> pa.Array | None:
    """Return 0 nobody, 1 somebody, 2 unknown; None for what only SQL reads."""
    rows = table.num_rows
    if "mentions" not in table.column_names or table["mentions"].null_count == rows:
        return pa.array(np.full(rows, 2, np.int8))
    if not pa.types.is_list(table["mentions"].type):
        return None
    lengths = pc.fill_null(pc.list_value_length(table["mentions"]), -1).to_numpy()
    return pa.array(np.where(lengths < 0, 2, lengths > 0).astype(np.int8))
