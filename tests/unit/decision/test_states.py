from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.decision.cells import Cells, tabulate
from sayso.decision.one import of_age_at
from sayso.decision.states import (
    AGE_OFFSET_SECONDS,
    STANDING_BITS,
    STANDING_SCHEMA,
    classify_members,
    codes_of,
    microseconds,
)
from sayso.model import (
    DEFAULT_PURPOSE,
    Choice,
    MemberFacts,
    Presence,
    Reason,
    Status,
    reasons_of,
)
from sayso.rulebook.in_force import in_force
from tests.differential.books import make_book, make_rule

AT = datetime(2025, 6, 1, tzinfo=UTC)
EPOCH = date(1970, 1, 1)


@pytest.fixture(scope="module")
def cells() -> Cells:
    rules = [make_rule("world"), make_rule("HK", minimum_age=16), make_rule("US", minimum_age=0)]
    return tabulate(in_force(make_book(rules), DEFAULT_PURPOSE, AT))


def standing(**columns: Sequence[object]) -> pa.Table:
    (length,) = {len(values) for values in columns.values()}
    whole: dict[str, Sequence[object]] = {
        "member_id": [str(place) for place in range(length)],
        "presence": [Presence.KNOWN.value] * length,
        "country": ["HK"] * length,
        "born": [date(1980, 1, 1)] * length,
        "status": ["active"] * length,
        "choice": ["unset"] * length,
        "notice": [0] * length,
    }
    return pa.table(whole | columns, schema=STANDING_SCHEMA)


def reasons(cells: Cells, table: pa.Table) -> list[tuple[Reason, ...]]:
    states = classify_members(cells, table, integer_ids=False)
    place = states.packed & ((1 << STANDING_BITS) - 1)
    return [reasons_of(mask) for mask in states.mask[place].tolist()]


# ---- codes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["b", None, "zzz", "a"]),
        pa.array(["b", None, "zzz", "a"]).dictionary_encode(),
        pa.chunked_array([["b", None], ["zzz", "a"]]),
        pa.array(["x", "b", None, "zzz", "a"])[1:],
        pa.DictionaryArray.from_arrays(
            pa.array([1, 0, 2, 3], pa.int8()), pa.array([None, "b", "zzz", "a"])
        ),
    ],
)
def test_codes(column: pa.Array) -> None:
    assert codes_of(column, ("a", "b")).tolist() == [1, 2, 2, 0]


def test_codes_of_nothing() -> None:
    assert codes_of(pa.chunked_array([], pa.string()), ("a",)).tolist() == []
    assert codes_of(pa.nulls(2, pa.string()), ("a",)).tolist() == [1, 1]


def test_microseconds_are_exact() -> None:
    for moment, us in [
        (datetime(1, 1, 1, tzinfo=UTC), -62135596800000000),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 253402300799999999),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1),
    ]:
        assert microseconds(moment) == us


# ---- members ----------------------------------------------------------------------------


def test_reasons_of_members(cells: Cells) -> None:
    table = standing(
        country=["HK", None, "XX", "HK", "HK", "HK", "GB", "HK"],
        status=["active", "active", "active", None, "closed", "zzz", "active", "active"],
        choice=["on", "off", "unset", "unset", "deferred", "zzz", "unset", "off"],
        born=[date(2009, 6, 1)] * 6 + [date(2009, 6, 1), None],
    )
    assert reasons(cells, table) == [
        (),
        (Reason.JURISDICTION_UNKNOWN, Reason.CHOSEN_OFF),
        (Reason.JURISDICTION_UNKNOWN,),
        (Reason.STATUS_EXCLUDED,),
        (Reason.STATUS_EXCLUDED,),
        (Reason.STATUS_EXCLUDED,),
        (Reason.UNDER_AGE,),
        (Reason.AGE_UNKNOWN, Reason.CHOSEN_OFF),
    ]


def test_of_whom_nothing_is_known_the_country_is_none(cells: Cells) -> None:
    table = standing(
        presence=[Presence.UNKNOWN.value, Presence.ERASED.value], choice=["off", "unset"]
    )
    assert reasons(cells, table) == [
        (Reason.MEMBER_UNKNOWN, Reason.CHOSEN_OFF),
        (Reason.MEMBER_ERASED,),
    ]
    states = classify_members(cells, table, integer_ids=False)
    assert {states.countries[place] for place in states.country.tolist()} == {"unknown"}


def test_state_zero_is_nobody(cells: Cells) -> None:
    states = classify_members(cells, standing(country=["HK", "GB"]), integer_ids=False)
    assert reasons_of(int(states.mask[0])) == (Reason.MEMBER_UNKNOWN,)
    assert (states.packed & ((1 << STANDING_BITS) - 1) > 0).all()


def test_no_members(cells: Cells) -> None:
    for integer_ids in (False, True):
        states = classify_members(cells, standing(country=[]), integer_ids=integer_ids)
        assert len(states.ids) == len(states.packed) == 0


def test_integer_ids_are_canonical(cells: Cells) -> None:
    ids = ["7", "007", "-3", "x", "+7", "9223372036854775807", "9223372036854775808", "", "7.0"]
    states = classify_members(cells, standing(member_id=ids), integer_ids=True)
    assert states.ids.type == pa.int64()
    assert states.ids.to_pylist() == [7, -3, 9223372036854775807]
    assert len(states.packed) == 3


# ---- ages by columns --------------------------------------------------------------------


def check_ages(cells: Cells, at: datetime, country: str, births: list[date | None]) -> None:
    table = standing(born=[*births], country=[country] * len(births))
    states = classify_members(cells, table, integer_ids=False)
    packed = (states.packed >> STANDING_BITS).tolist()
    law = cells.in_force.jurisdiction(country)
    for born, found, given_reasons in zip(births, packed, reasons(cells, table), strict=True):
        facts = MemberFacts(Presence.KNOWN, law, Status.ACTIVE, born, Choice.UNSET)
        come = of_age_at(facts, at)
        if come is None:
            assert (found, given_reasons) == (0, (Reason.AGE_UNKNOWN,)), born
        else:
            assert found - AGE_OFFSET_SECONDS == microseconds(come) // 10**6, born
            assert given_reasons == (() if come <= at else (Reason.UNDER_AGE,)), born


@pytest.mark.parametrize("country", ["HK", "GB", "US", "LB", "CU", "BV", "KI", "AQ"])
def test_ages_about_every_bound(cells: Cells, country: str) -> None:
    days = [AT.date() + timedelta(days=day) for day in range(-3, 4)]
    births: list[date | None] = [None]
    for years in (0, 16, 18, 129, 130, 131):
        births += [day.replace(year=day.year - years) for day in days]
    births += [date(2008, 2, 28) + timedelta(days=day) for day in range(3)]
    births += [date(1895, 1, 1), date(1894, 12, 31), date(1, 1, 1), date(9999, 12, 31)]
    check_ages(cells, AT, country, births)


@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(
    births=st.lists(st.dates(min_value=date(1890, 1, 1), max_value=date(2030, 1, 1)), max_size=30)
)
def test_ages_of_any_births(cells: Cells, births: list[date]) -> None:
    for country in ("GB", "US"):
        check_ages(cells, AT, country, [None, *births])


def test_births_that_the_calendar_does_not_hold(cells: Cells) -> None:
    days = pa.array([10_000_000, -1_000_000, np.iinfo(np.int32).max], pa.int32())
    table = standing(country=["HK"] * 3)
    place = table.column_names.index("born")
    table = table.set_column(place, STANDING_SCHEMA.field("born"), days.cast(pa.date32()))
    assert reasons(cells, table) == [(Reason.AGE_UNKNOWN,)] * 3


def test_an_instant_in_the_first_years_of_the_calendar() -> None:
    at = datetime(100, 1, 1, tzinfo=UTC)
    early = tabulate(in_force(make_book([make_rule("world")]), DEFAULT_PURPOSE, at))
    assert reasons(early, standing(country=["HK"])) == [(Reason.AGE_UNKNOWN,)]


def test_where_no_age_is_asked() -> None:
    book = make_book([make_rule("world", minimum_age=None)])
    cells = tabulate(in_force(book, DEFAULT_PURPOSE, AT))
    table = standing(born=[None, date(2024, 1, 1)])
    assert reasons(cells, table) == [(), ()]
    assert not (classify_members(cells, table, integer_ids=False).packed >> STANDING_BITS).any()
