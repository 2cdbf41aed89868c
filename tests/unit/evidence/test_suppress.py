import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sayso.evidence.suppress import FEW, Sum, Why, few, hide, shown

Key = tuple[int, int]


def test_zero_is_shown_and_small_counts_are_not() -> None:
    assert [few(count) for count in (0, 1, 9, 10, 1234)] == [
        "0", "fewer than 10", "fewer than 10", "10", "1,234",
    ]  # fmt: skip


def test_a_single_hidden_part_hides_another() -> None:
    cells = {"all": 112, "HK": 4, "GB": 20, "US": 88}

    hidden = hide(cells, [Sum("all", ("HK", "GB", "US"))])

    assert hidden == {"HK": Why.SMALL, "GB": Why.SECOND}


def test_a_small_rest_hides_the_total() -> None:
    assert hide({"all": 4, "HK": 4, "GB": 0}, [Sum("all", ("HK", "GB"))]) == {
        "all": Why.SMALL, "HK": Why.SMALL,
    }  # fmt: skip
    # 9 and 9 could be told from their sum, 18.
    hidden = hide({"all": 38, "a": 9, "b": 9, "c": 20}, [Sum("all", ("a", "b", "c"))])
    assert hidden.keys() == {"a", "b", "c"}


def test_how_a_count_is_written() -> None:
    assert shown(1234) == "1,234"
    assert shown(4, Why.SMALL) == "fewer than 10"
    assert shown(40, Why.SECOND) == "not shown"


@given(
    st.integers(1, 4).flatmap(
        lambda columns: st.lists(
            st.lists(st.integers(0, 30), min_size=columns, max_size=columns),
            min_size=1,
            max_size=4,
        )
    )
)
def test_no_hidden_count_follows_by_adding_and_subtracting(table: list[list[int]]) -> None:
    """Rows and columns with their totals: no small cell is fixed by what is shown."""
    cells, sums = with_totals(table)

    hidden = hide(cells, sums)

    assert all(key in hidden for key, count in cells.items() if 0 < count < FEW)
    unknown = [key for key in cells if key in hidden]
    rows = []
    for one in sums:
        row = [float(key in one.parts) - float(key == one.total) for key in unknown]
        rows.append(row)
    # Zeros are shown, so what is left to find are the hidden ones alone.
    matrix = np.array(rows).reshape(len(sums), len(unknown))
    rank = np.linalg.matrix_rank(matrix) if unknown else 0
    for place, key in enumerate(unknown):
        axis = np.zeros(len(unknown))
        axis[place] = 1
        follows = np.linalg.matrix_rank(np.vstack([matrix, axis])) == rank
        assert not follows or hidden[key] is Why.SECOND, key


def with_totals(table: list[list[int]]) -> tuple[dict[Key, int], list[Sum[Key]]]:
    high, wide = len(table), len(table[0])
    cells = {(r, c): table[r][c] for r in range(high) for c in range(wide)}
    sums = []
    for r in range(high):
        cells[r, -1] = sum(table[r])
        sums.append(Sum((r, -1), tuple((r, c) for c in range(wide))))
    for c in (*range(wide), -1):
        cells[-1, c] = sum(cells[r, c] for r in range(high))
        sums.append(Sum((-1, c), tuple((r, c) for r in range(high))))
    sums.append(Sum((-1, -1), tuple((-1, c) for c in range(wide))))
    return cells, sums
