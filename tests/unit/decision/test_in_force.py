from datetime import UTC, date, datetime, timedelta

import pytest

from sayso.model import (
    DEFAULT_PURPOSE,
    EVERY_PURPOSE,
    Country,
    Dated,
    Exactness,
    Group,
    Hold,
    Jurisdiction,
    Mode,
    Notice,
    Rule,
)
from sayso.rulebook.in_force import in_force, scopes_of
from tests.differential.books import OTHER_PURPOSE, make_book, make_group, make_hold, make_rule

US = timedelta(microseconds=1)
DAY = Dated(date(2025, 6, 15))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def law(
    at: str | datetime,
    country: str,
    *rules: Rule,
    holds: tuple[Hold, ...] = (),
    groups: tuple[Group, ...] = (),
) -> Jurisdiction:
    moment = at if isinstance(at, datetime) else utc(at)
    found = in_force(make_book(rules, holds, groups), DEFAULT_PURPOSE, moment)
    jurisdiction = found.jurisdiction(country)
    assert jurisdiction
    return jurisdiction


def modes(found: Jurisdiction) -> list[Mode]:
    return [held.rule.mode for held in found.rules]


# ---- which midnight ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "mode", "begins"),
    [
        ("HK", Mode.OPT_OUT, "2025-06-14T16:00"),
        ("HK", Mode.NOT_ENABLED, "2025-06-14T16:00"),
        ("US", Mode.OPT_OUT, "2025-06-15T10:00"),  # Hawaii
        ("US", Mode.OPT_IN, "2025-06-15T10:00"),
        ("US", Mode.NOT_ENABLED, "2025-06-15T04:00"),  # New York
        ("KI", Mode.OPT_OUT, "2025-06-14T12:00"),
        ("KI", Mode.NOT_ENABLED, "2025-06-14T10:00"),
        ("BV", Mode.OPT_OUT, "2025-06-15T12:00"),  # nowhere in zone.tab: a day of the clock
        ("BV", Mode.NOT_ENABLED, "2025-06-14T12:00"),
    ],
)
def test_what_permits_begins_last_and_what_stops_begins_first(
    country: str, mode: Mode, begins: str
) -> None:
    rule = make_rule(country, DAY, mode=mode)
    assert law(utc(begins) - US, country, rule).unruled == (country,)
    assert modes(law(begins, country, rule)) == [mode]


@pytest.mark.parametrize(
    ("country", "day", "begins"),
    [
        ("LB", date(2025, 3, 30), "2025-03-29T22:00"),  # 00:00 became 01:00
        ("CU", date(2025, 3, 9), "2025-03-09T05:00"),
        ("EG", date(2025, 4, 25), "2025-04-24T22:00"),
        ("PY", date(2024, 10, 6), "2024-10-06T04:00"),
        ("WS", date(2011, 12, 30), "2011-12-30T10:00"),  # the day that Samoa skipped
        ("CU", date(2025, 11, 2), "2025-11-02T04:00"),  # 00:00 came twice; the first counts
    ],
)
def test_midnights_that_are_skipped_or_come_twice(country: str, day: date, begins: str) -> None:
    rule = make_rule(country, Dated(day))
    assert not law(utc(begins) - US, country, rule).rules
    assert law(begins, country, rule).rules


@pytest.mark.parametrize("exactness", Exactness)
def test_an_instant_is_the_same_everywhere(exactness: Exactness) -> None:
    moment = utc("2025-06-15T01:02:03.000004")
    for country in ("HK", "US", "BV"):
        rule = make_rule(country, Dated(moment, exactness))
        assert not law(moment - US, country, rule).rules
        assert law(moment, country, rule).rules


def test_notice_and_earliest_writing_begin_with_the_last_midnight() -> None:
    rule = make_rule(notice=Notice(1, DAY), earliest_written=DAY)
    (held,) = law("2026-01-01", "US", rule).rules
    assert held.notice_since_at == held.earliest_at == utc("2025-06-15T10:00")


# ---- scopes -----------------------------------------------------------------------------


def test_world_applies_only_where_no_narrower_scope_has_a_rule_file() -> None:
    world, own = make_rule("world"), make_rule("HK", Dated(date(2030, 1, 1)))
    assert modes(law("2025-01-01", "GB", world, own)) == [Mode.OPT_OUT]
    found = law("2025-01-01", "HK", world, own)
    assert found.rules == ()
    assert found.unruled == ("HK",)


def test_a_file_with_holds_or_rules_of_another_purpose_is_no_rule_file() -> None:
    world = make_rule("world")
    other = make_rule("HK", purpose=OTHER_PURPOSE, mode=Mode.NOT_ENABLED)
    found = law("2025-01-01", "HK", world, other, holds=(make_hold("HK"),))
    assert modes(found) == [Mode.OPT_OUT]
    assert [hold.scope for hold in found.holds] == ["HK"]


def test_without_any_rule_the_world_is_unruled() -> None:
    found = law("2025-01-01", "HK")
    assert found.unruled == ("world",)
    assert found.minimum_age is None


def test_rules_of_all_narrower_scopes_join() -> None:
    groups = (make_group("EEA", ("DE", None, None)), make_group("PACT", ("DE", None, None)))
    rules = [make_rule("world", minimum_age=99), make_rule("EEA", minimum_age=21)]
    rules += [make_rule("DE", minimum_age=16, line=2), make_rule("PACT", DAY, line=3)]
    found = law("2025-01-01", "DE", *rules, groups=groups)
    assert sorted(held.rule.scope for held in found.rules) == ["DE", "EEA"]
    assert found.unruled == ("PACT",)
    assert found.minimum_age == 21


def test_membership_begins_first_and_ends_last() -> None:
    group = make_group("PACT", ("US", DAY, Dated(date(2025, 8, 1))))
    book = make_book([], [], [group])

    def inside(at: str | datetime) -> bool:
        moment = at if isinstance(at, datetime) else utc(at)
        return "PACT" in scopes_of(book, Country("US"), moment)

    assert not inside(utc("2025-06-15T04:00") - US)
    assert inside("2025-06-15T04:00")
    assert inside(utc("2025-08-01T10:00") - US)
    assert not inside("2025-08-01T10:00")


@pytest.mark.parametrize("country", [None, "", "XX", "hk", "UK", "EU", "EEA", "world"])
def test_what_is_no_country_has_no_jurisdiction(country: str | None) -> None:
    book = make_book([make_rule()], [], [make_group("EEA", ("DE", None, None))])
    assert in_force(book, DEFAULT_PURPOSE, utc("2025-01-01")).jurisdiction(country) is None


# ---- one after the other ----------------------------------------------------------------


def test_the_latest_begun_rule_applies() -> None:
    rules = [
        make_rule("HK", DAY, mode=Mode.OPT_IN, line=2),
        make_rule("HK", line=1),
        make_rule("HK", Dated(date(2025, 8, 1)), mode=Mode.NOT_ENABLED, line=3),
    ]
    lines = [
        [held.rule.place.line for held in law(at, "HK", *rules).rules]
        for at in ("2025-06-14T15:59:59.999999", "2025-06-14T16:00", "2025-07-31T16:00")
    ]
    assert lines == [[1], [2], [3]]


def test_rules_that_tie_apply_together() -> None:
    rules = [make_rule("HK", DAY, line=1), make_rule("HK", DAY, mode=Mode.OPT_IN, line=2)]
    rules.append(make_rule("HK", Dated(utc("2025-06-14T16:00")), minimum_age=21, line=3))
    found = law("2025-07-01", "HK", *rules)
    assert [held.rule.place.line for held in found.rules] == [1, 2, 3]
    assert found.minimum_age == 21
    always = [make_rule("HK", line=1), make_rule("HK", line=2)]
    assert len(law("2025-07-01", "HK", *always).rules) == 2


def test_what_permits_ends_with_the_first_midnight_of_until() -> None:
    rule = make_rule("US", until=DAY)
    assert law(utc("2025-06-15T04:00") - US, "US", rule).rules
    found = law("2025-06-15T04:00", "US", rule)
    assert found.rules == ()
    assert found.unruled == ("US",)


def test_a_stop_does_not_end_by_itself() -> None:
    rule = make_rule("US", until=DAY, mode=Mode.NOT_ENABLED)
    assert modes(law("2026-01-01", "US", rule)) == [Mode.NOT_ENABLED]


def test_what_ended_does_not_hand_back_to_what_was_before() -> None:
    rules = [make_rule("HK", line=1), make_rule("HK", DAY, until=Dated(date(2025, 7, 1)), line=2)]
    assert law("2025-08-01", "HK", *rules).unruled == ("HK",)


# ---- holds ------------------------------------------------------------------------------


def held(at: str | datetime, country: str, hold: Hold, *groups: Group) -> bool:
    return bool(law(at, country, make_rule(), holds=(hold,), groups=groups).holds)


def test_a_hold_begins_first_and_is_lifted_last() -> None:
    hold = make_hold("US", DAY, Dated(date(2025, 8, 1)))
    assert not held(utc("2025-06-15T04:00") - US, "US", hold)
    assert held("2025-06-15T04:00", "US", hold)
    assert held(utc("2025-08-01T10:00") - US, "US", hold)
    assert not held("2025-08-01T10:00", "US", hold)
    assert not held("2025-07-01", "HK", hold)


def test_a_hold_of_unknown_beginning_holds_from_always() -> None:
    assert held("1975-01-01", "HK", make_hold("HK"))
    assert not held("2025-06-14T16:00", "HK", make_hold("HK", None, DAY))


def test_a_hold_on_the_world_or_a_group_reaches_every_country_in_it() -> None:
    assert held("2025-01-01", "HK", make_hold("world"))
    group = make_group("PACT", ("DE", None, None))
    assert held("2025-01-01", "DE", make_hold("PACT"), group)
    assert not held("2025-01-01", "FR", make_hold("PACT"), group)


@pytest.mark.parametrize(
    ("purposes", "holds"),
    [({DEFAULT_PURPOSE}, True), ({EVERY_PURPOSE}, True), ({OTHER_PURPOSE}, False)],
)
def test_a_hold_is_for_its_purposes(purposes: set[str], *, holds: bool) -> None:
    hold = make_hold("HK", purposes=frozenset(purposes))
    assert held("2025-01-01", "HK", hold) is holds


# ---- all countries ----------------------------------------------------------------------


def test_every_country_has_a_jurisdiction() -> None:
    found = in_force(make_book([make_rule()]), DEFAULT_PURPOSE, utc("2025-01-01")).jurisdictions
    assert len(found) == 249
    assert list(found) == sorted(found)
    assert all(modes(one) == [Mode.OPT_OUT] for one in found.values())


@pytest.mark.parametrize("country", ["BV", "HM", "AQ", "US", "RU", "HK"])
def test_a_stop_of_the_next_day_outlasts_a_permit(country: str) -> None:
    """However wide a country is, no day begins last after the next one has begun first."""
    rules = [
        make_rule(country, DAY, line=1),
        make_rule(country, Dated(date(2025, 6, 16)), mode=Mode.NOT_ENABLED, line=2),
    ]
    assert Mode.NOT_ENABLED in modes(law("2026-01-01", country, *rules))
