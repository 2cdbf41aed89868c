import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.decision.probe import MULTIPLIER, STEP_ROWS, ProbeTable

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(
    known=st.dictionaries(INT64 | st.integers(-5, 40), st.integers(1, 1 << 62), max_size=60),
    others=st.lists(INT64 | st.integers(-5, 40), max_size=60),
)
def test_every_key_is_found_and_no_other(known: dict[int, int], others: list[int]) -> None:
    table = ProbeTable(
        np.array(list(known), np.int64).reshape(-1), np.array(list(known.values()), np.int64)
    )
    asked = [*known, *others, 0]
    found = table.take(np.array(asked, np.int64)).tolist()
    assert found == [known.get(key, 0) for key in asked]


def test_keys_that_share_a_home() -> None:
    """Keys whose products begin alike all want the first slots, or the last."""
    inverse = pow(int(MULTIPLIER), -1, 1 << 64)
    for top in (0, (1 << 64) - 1):
        keys = [((top - place) % (1 << 64)) * inverse % (1 << 64) for place in range(300)]
        column = np.array(keys, np.uint64).view(np.int64)
        table = ProbeTable(column, np.arange(1, 301))
        assert table.take(column).tolist() == list(range(1, 301))
        strangers = np.array([(top // 2 + place) % (1 << 63) for place in range(1, 301)], np.int64)
        assert not table.take(strangers).any()


def test_nobody() -> None:
    table = ProbeTable(np.empty(0, np.int64), np.empty(0, np.int64))
    assert table.take(np.array([0, 1, -1], np.int64)).tolist() == [0, 0, 0]
    assert table.take(np.empty(0, np.int64)).tolist() == []


@pytest.mark.parametrize("zero_is_known", [False, True])
def test_key_zero_is_a_key_like_others(*, zero_is_known: bool) -> None:
    keys = np.array([*([0] if zero_is_known else []), 5, 1 << 40], np.int64)
    table = ProbeTable(keys, np.arange(10, 10 + len(keys)))
    assert table.take(np.array([0], np.int64)).tolist() == [10 if zero_is_known else 0]


def test_more_rows_than_one_step() -> None:
    keys = np.arange(0, 4 * STEP_ROWS, 3, dtype=np.int64)
    table = ProbeTable(keys, keys + 1)
    asked = np.arange(2 * STEP_ROWS + 7, dtype=np.int64)
    assert (table.take(asked) == np.where(asked % 3 == 0, asked + 1, 0)).all()
