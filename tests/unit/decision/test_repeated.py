from collections import Counter

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.decision import repeated
from sayso.decision.repeated import repeated_ids, repeated_rows

TEXTS = ["a", "A", "a ", "", "é", "7", "07", None]
NUMBERS = [0, 1, -1, (1 << 63) - 1, -(1 << 63), 7, None]


def expected(ids: list[object]) -> list[bool]:
    counts = Counter(ids)
    return [one is None or counts[one] > 1 for one in ids]


def check(ids: list[object], kind: pa.DataType) -> None:
    half = len(ids) // 2
    column = pa.chunked_array([pa.array(ids[:half], kind), pa.array(ids[half:], kind)])
    found = repeated_rows(column)
    wanted = expected(ids)
    assert (found.tolist() if found is not None else [False] * len(ids)) == wanted
    assert (found is None) == (not any(wanted))


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from(NUMBERS) | st.integers(0, 30), max_size=20))
def test_integers(ids: list[object]) -> None:
    check(ids, pa.int64())


@settings(max_examples=15, derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from(TEXTS) | st.text(max_size=2), max_size=20))
def test_texts(ids: list[object]) -> None:
    check(ids, pa.string())


def test_nothing_is_repeated_in_nothing() -> None:
    assert repeated_rows(pa.chunked_array([], pa.int64())) is None
    assert repeated_rows(pa.chunked_array([pa.array([], pa.string())])) is None


@pytest.mark.parametrize("pass_rows", [1, 7, 1 << 24])
def test_passes_find_the_same(pass_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "PASS_ROWS", pass_rows)
    numbers = np.random.default_rng(1).integers(0, 60, 80)
    with duckdb.connect() as con:
        con.register("content", pa.table({"id": numbers}))
        found = repeated_ids(con, "content", '"id"', len(numbers)).to_pylist()
    twice = sorted(int(one) for one, count in Counter(numbers.tolist()).items() if count > 1)
    assert sorted(found) == twice
