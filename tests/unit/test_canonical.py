import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionContext
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sayso.canonical import (
    DATAFUSION,
    PUBLIC_KEY,
    commit,
    encode,
    sql_commit,
    sql_fields,
    sql_integer,
    sql_keyed,
    sql_pieces,
    sql_text,
)
from sayso.ledger.entries import canonical_choice
from sayso.ledger.rows import member_row_commitment
from sayso.tables import connect

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "canonical.json").read_text(encoding="utf-8")
)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
# Every plane, NUL, quotes; not surrogates, which are not text.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NASTY = (
    "", "'", '"', "''", "a'b\"c", "\x00", "\x00\x00a", "\n", "\r\n", "\\", "\\x00", "é", "e\u0301",
    "\ufb01", "\ufffe", "\uffff", "\U0010ffff", "\U0001f600", "\u202e", "\ufeff", "-,", "i7,",
    "0:,",
    "0:,", ",", ":", "10:", "%s%d{}", "$1", "NULL", "é" * 35_000, "x" * 70_000, "\u0000" * 500,
)  # fmt: skip


def in_sql(con: duckdb.DuckDBPyConnection, relation: str, label: str) -> list[bytes]:
    fields = [sql_text("a"), sql_text("b"), sql_integer("n"), sql_integer("m")]
    found = con.sql(f"SELECT encode({sql_fields(label, fields)}) c FROM {relation}")
    return [bytes(value) for (value,) in found.fetchall()]


def in_datafusion(table: pa.Table, label: str) -> list[bytes]:
    """As `in_sql`; `b` without asking for nulls where there are none."""
    writes = sql_text if table["b"].null_count else sql_pieces
    fields = [
        sql_text("a", DATAFUSION),
        writes("b", DATAFUSION),
        sql_integer("n"),
        sql_integer("m"),
    ]
    context = SessionContext()
    context.from_arrow(table.append_column("key", pa.array([b"k"] * len(table))), "listed")
    canonical = sql_keyed("key", sql_fields(label, fields), DATAFUSION)
    found = context.sql(f"SELECT {canonical} c FROM listed").to_arrow_table()["c"]
    return [value.removeprefix(b"k") for value in found.to_pylist()]


def rows_table(rows: Sequence[tuple[str | None, str | None, int | None, int | None]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    kinds = (pa.string(), pa.string(), pa.int64(), pa.int64())
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)],
        names=["a", "b", "n", "m"],
    )


@pytest.mark.parametrize("case", VECTORS["encode"])
def test_the_bytes_stay_what_they_are(case: dict[str, Any]) -> None:
    assert encode(case["label"], *case["fields"]) == case["bytes"].encode()


def test_the_commitments_stay_what_they_are() -> None:
    choice, member = VECTORS["choice"], VECTORS["member"]
    key = bytes.fromhex(choice["key"])
    assert canonical_choice(*choice["fields"]) == choice["canonical"].encode()
    assert commit(key, canonical_choice(*choice["fields"])).hex() == choice["commitment"]
    assert member_row_commitment(key, *member["fields"]).hex() == member["commitment"]
    assert commit(key, member["canonical"].encode()).hex() == member["commitment"]


def test_a_commitment_is_the_hash_of_key_and_bytes() -> None:
    assert commit(PUBLIC_KEY, b"x") == hashlib.sha256(bytes(32) + b"x").digest()
    assert bytes(32) == PUBLIC_KEY


def test_a_surrogate_is_not_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode("x", "\ud800")


FIELD = st.one_of(st.none(), INT64, TEXT, st.sampled_from(NASTY[:22]))


@given(st.lists(FIELD, max_size=4), st.lists(FIELD, max_size=4))
@example(["1:a,"], ["1:a", ""])
@example(["", ""], [""])
@example([None], ["-"])
@example([7], ["i7,"])
def test_different_fields_give_different_bytes(one: list[Any], other: list[Any]) -> None:
    same_kind = [type(value) for value in one] == [type(value) for value in other]
    assert (encode("x", *one) == encode("x", *other)) == (one == other and same_kind)


@given(TEXT, TEXT, st.lists(FIELD, max_size=3))
def test_a_label_never_runs_into_the_fields(one: str, other: str, fields: list[Any]) -> None:
    assert (encode(one, *fields) == encode(other, *fields)) == (one == other)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | TEXT | st.sampled_from(NASTY), st.none() | TEXT,
            st.none() | INT64, st.none() | INT64,
        ),
        min_size=1,
        max_size=50,
    ),
    TEXT,
)  # fmt: skip
def test_sql_writes_the_same_bytes(
    rows: list[tuple[str | None, str | None, int | None, int | None]], label: str
) -> None:
    expected = [encode(label, *row) for row in rows]
    with connect(threads=1) as con:
        con.register("rows", rows_table(rows))
        assert in_sql(con, "rows", label) == expected
    assert in_datafusion(rows_table(rows), label) == expected


def test_sql_writes_the_same_bytes_through_parquet(tmp_path: Path) -> None:
    planes = [chr(point) for point in range(0, 0x110000, 257) if not 0xD800 <= point < 0xE000]
    values: list[str | None] = [None, *NASTY, *planes]
    numbers = [None, 0, 1, -1, (1 << 63) - 1, -(1 << 63), 10**18]
    rows = [
        (value, values[-1 - place], numbers[place % len(numbers)], place)
        for place, value in enumerate(values)
    ]
    pq.write_table(rows_table(rows), tmp_path / "rows.parquet")
    expected = [encode("sayso/x/v1", *row) for row in rows]
    with connect() as con:
        relation = f"read_parquet('{tmp_path / 'rows.parquet'}')"
        assert in_sql(con, relation, "sayso/x/v1") == expected
    assert in_datafusion(pq.read_table(tmp_path / "rows.parquet"), "sayso/x/v1") == expected


def test_sql_commits_like_python() -> None:
    key = bytes(range(32))
    with connect(threads=1) as con:
        con.register("rows", pa.table({"key": pa.array([key] * len(NASTY)), "a": list(NASTY)}))
        made = sql_commit("key", sql_fields("sayso/x/v1", [sql_text("a")]))
        found = con.sql(f"SELECT {made} FROM rows").fetchall()
    assert [bytes(value) for (value,) in found] == [
        commit(key, encode("sayso/x/v1", text)) for text in NASTY
    ]
