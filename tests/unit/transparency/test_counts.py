"""Suppression is a law of its own: no small count can be computed from what is told."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sayso.evidence.suppress import FEW, Sum, Why
from sayso.model import Reason
from sayso.snapshot.manifest import Counts
from sayso.transparency.counts import ADMITTED, ALL, IN, REFUSED, Told, given_away, hide_firmly

REASONS = ("CHOSEN_OFF", "UNDER_AGE", "ON_HOLD")
PLACES = ("HK", "GB", "US", "DE")
NUMBERS = st.one_of(st.integers(0, 12), st.integers(0, 300))


def counts(admitted: int, refused: Mapping[str, int]) -> Counts:
    return Counts(
        records_in=admitted + sum(refused.values()), admitted=admitted, refused=dict(refused),
        reasons=dict(refused),
    )  # fmt: skip


@st.composite
def snapshots(draw: Any) -> dict[str, Counts]:
    places = PLACES[: draw(st.integers(1, len(PLACES)))]
    return {
        place: counts(draw(NUMBERS), {reason: draw(NUMBERS) for reason in REASONS})
        for place in places
    }


def sums_of(told: Told) -> list[Sum[tuple[str, str]]]:
    columns = (IN, ADMITTED, REFUSED, *told.reasons)
    found = [Sum((ALL, one), tuple((place, one) for place in told.countries)) for one in columns]
    for place in (ALL, *told.countries):
        found.append(Sum((place, IN), ((place, ADMITTED), (place, REFUSED))))
        found.append(Sum((place, REFUSED), tuple((place, one) for one in told.reasons)))
    return found


@settings(max_examples=150, deadline=None)
@given(snapshots())
def test_no_small_count_is_told_or_follows(by_country: dict[str, Counts]) -> None:
    told = Told.of(by_country)

    for key, count in told.cells.items():
        number = told.cell(*key).number
        assert number is None or number == count
        assert number is None or number == 0 or number >= FEW
    # From one total, by subtracting all other parts that are told.
    for one in sums_of(told):
        hidden = [part for part in one.parts if part in told.hidden]
        if len(hidden) == 1 and one.total not in told.hidden:
            assert not 0 < told.cells[hidden[0]] < FEW
    # From all sums together.
    assert given_away(told.cells, sums_of(told), told.hidden) == []


@settings(max_examples=100, deadline=None)
@given(snapshots(), st.sets(st.sampled_from(PLACES)))
def test_a_scope_says_nothing_that_the_table_does_not(
    by_country: dict[str, Counts], scope: set[str]
) -> None:
    told = Told.of(by_country)
    cell = told.of_scope(sorted(scope))

    parts = [told.cell(place, ADMITTED) for place in scope if place in by_country]
    if cell.number is not None:
        assert cell.number == sum(one.number or 0 for one in parts)
        assert all(one.number is not None for one in parts)
        assert cell.number == 0 or cell.number >= FEW
    else:
        assert any(one.number is None for one in parts)


def test_going_around_through_two_tables_is_seen() -> None:
    # Two squares of hidden counts, joined by one: each row and column hides two or more, and
    # the one that joins them follows all the same.
    small = {("r1", "c1"), ("r1", "c2"), ("r2", "c1"), ("r2", "c2")}
    small |= {("r3", "c3"), ("r3", "c4"), ("r4", "c3"), ("r4", "c4"), ("r2", "c3")}
    rows, columns = ("r1", "r2", "r3", "r4"), ("c1", "c2", "c3", "c4")
    cells = {(r, c): 7 if (r, c) in small else 100 for r, c in product(rows, columns)}
    sums: list[Sum[tuple[str, str]]] = []
    for row in rows:
        cells[row, "*"] = sum(cells[row, c] for c in columns)
        sums.append(Sum((row, "*"), tuple((row, c) for c in columns)))
    for column in columns:
        cells["*", column] = sum(cells[r, column] for r in rows)
        sums.append(Sum(("*", column), tuple((r, column) for r in rows)))

    naive = dict.fromkeys(small, Why.SMALL)
    assert ("r2", "c3") in given_away(cells, sums, naive)
    assert given_away(cells, sums, hide_firmly(cells, sums)) == []


def test_where_all_is_told_nothing_is_hidden() -> None:
    told = Told.of({"HK": counts(40, {"CHOSEN_OFF": 20}), "US": counts(60, {"CHOSEN_OFF": 30})})

    assert told.hidden == {}
    assert told.cell(ALL, IN).number == 150
    assert told.of_scope(["HK", "US", "DE"]).number == 100
    assert told.reasons == (str(Reason.CHOSEN_OFF),)


def test_one_member_alone() -> None:
    told = Told.of({"HK": counts(1, {})})

    assert {told.cell(place, IN).number for place in ("HK", ALL)} == {None}
    assert told.cell("HK", REFUSED).number == 0
    assert told.of_scope(["HK"]).why is Why.SMALL


def test_a_table_of_every_country_gives_nothing_away() -> None:
    by_country = {
        f"{a}{b}": counts((n * 7919) % 23, dict.fromkeys(REASONS, n * 104729 % 31))
        for n, (a, b) in enumerate(product("ABCDEFGHIJKLMNO", "ABCDEFGHIJKLMNOP"))
    }
    told = Told.of(by_country)

    assert len(told.countries) == 240
    assert given_away(told.cells, sums_of(told), told.hidden) == []


# ---- an attacker who tries every table ----------------------------------------------------

# No count of these tables is larger, so that all can be tried.
MOST = 36


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(st.integers(0, 11), st.sampled_from((10, 15, 30))), min_size=3, max_size=3
        ),
        min_size=2,
        max_size=2,
    )
)
def test_whoever_tries_every_table_still_has_a_choice(numbers: list[list[int]]) -> None:
    by_country = {
        place: counts(row[0], dict(zip(REASONS, row[1:], strict=False)))
        for place, row in zip(PLACES, numbers, strict=False)
    }
    told = Told.of(by_country)
    free = [(place, one) for place in told.countries for one in (ADMITTED, *told.reasons)]
    unknown = [key for key in free if key in told.hidden]
    assume(unknown and len(unknown) <= 4)
    tried = np.meshgrid(*(possible(told.hidden[key]) for key in unknown))
    table: dict[tuple[str, str], Any] = {key: told.cells[key] for key in free}
    table |= {key: values.ravel() for key, values in zip(unknown, tried, strict=True)}
    mask = fits(told, table)

    for key, why in told.hidden.items():
        found = np.unique(np.broadcast_to(table[key], mask.shape)[mask])
        assert told.cells[key] in found
        assert why is not Why.SMALL or len(found) > 1, key


def possible(why: Why) -> Any:
    return np.arange(1, FEW) if why is Why.SMALL else np.arange(FEW, MOST)


def fits(told: Told, table: dict[tuple[str, str], Any]) -> Any:
    """Add everything up, and say which tables are what was told."""
    for place in told.countries:
        table[place, REFUSED] = sum(table[place, one] for one in told.reasons)
        table[place, IN] = table[place, ADMITTED] + table[place, REFUSED]
    for column in (IN, ADMITTED, REFUSED, *told.reasons):
        table[ALL, column] = sum(table[place, column] for place in told.countries)
    mask: Any = True
    for key, number in table.items():
        if key not in told.hidden:
            mask = mask & (number == told.cells[key])
        elif told.hidden[key] is Why.SMALL:
            mask = mask & (number > 0) & (number < FEW)
        else:
            mask = mask & (number >= FEW)
    return mask
