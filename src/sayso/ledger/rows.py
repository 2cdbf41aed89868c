"""Rows of the members and notices tables: what a file's columns become, and what is committed.

Promises: odd facts become null, never an error; Python and SQL commit to the same bytes.

A table commits to the RFC 6962 root over the commitments to its rows, each under its
member's key, in the order of the file. A row that was erased keeps its commitment and
nothing else.
"""

from pathlib import Path

import duckdb

from sayso.canonical import commit, encode, sql_commit, sql_fields, sql_integer, sql_text
from sayso.log import leaf_hash, tree_root
from sayso.tables import Table, quoted

MEMBERS, NOTICES = "members", "notices"


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


def row_commitments(duck: duckdb.DuckDBPyConnection, kind: str, path: Path) -> list[bytes]:
    """Return the commitment to every row of a table's file, in its order.

    `member_keys` must be loaded. An erased row has its commitment in the file.
    """
    relation = f"read_parquet({quoted(str(path))}, file_row_number = true)"
    found = duck.sql(
        f"SELECT coalesce(commitment, {row_commitment(kind)}) c FROM {relation} "
        "LEFT JOIN member_keys USING (member_id) ORDER BY file_row_number"
    ).to_arrow_table()["c"]
    return list(found.to_pylist())


def table_root(duck: duckdb.DuckDBPyConnection, kind: str, path: Path) -> bytes:
    """Return the Merkle root over the rows of a table, each committed under its member's key.

    `member_keys` must be loaded; rows are leaves in the order of the file.
    """
    return tree_root([leaf_hash(leaf) for leaf in row_commitments(duck, kind, path)])


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
