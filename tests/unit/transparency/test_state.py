"""Where training is on, off or held: the cases of the story, and what holds for any rulebook."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.errors import InputError
from sayso.model import DEFAULT_PURPOSE, Mode
from sayso.publishing import NO_RULES, template_files
from sayso.rulebook.civil import COUNTRIES
from sayso.rulebook.in_force import in_force
from sayso.rulebook.parse import parse_rulebook
from sayso.transparency import (
    Course,
    State,
    atlas_of,
    board_of,
    course_of,
    covers_of,
    differences_of,
    instant_in,
    line_of,
    parse_when,
    say_so,
)

BOOK = parse_rulebook(template_files("linkedin-2024"))
EMPTY = parse_rulebook(template_files("empty"))
ATLAS = atlas_of(BOOK, DEFAULT_PURPOSE)


def course(country: str) -> Course:
    return course_of(BOOK, DEFAULT_PURPOSE, country)


class Case(NamedTuple):
    country: str
    at: str
    state: State
    since: str | None
    then: State | None


CASES = (
    Case("HK", "2024-09-17", State.OFF, None, State.ON),
    Case("HK", "2024-09-18", State.ON, "2024-09-18", State.HELD),
    Case("HK", "2024-10-10", State.ON, "2024-09-18", State.HELD),
    Case("HK", "2024-10-11", State.HELD, "2024-10-11", State.ON),
    Case("HK", "2025-01-15", State.HELD, "2024-10-11", State.ON),
    Case("HK", "2025-11-02", State.HELD, "2024-10-11", State.ON),
    Case("HK", "2025-11-03", State.ON, "2025-11-03", None),
    # One second before the rule begins in Hong Kong, and London, which waits.
    Case("HK", "2025-11-02T15:59:59Z", State.HELD, "2024-10-11", State.ON),
    Case("HK", "2025-11-02T16:00:00Z", State.ON, "2025-11-03", None),
    Case("GB", "2025-11-02T16:00:00Z", State.HELD, "2024-09-18 (by)", State.ON),
    Case("GB", "2025-11-03T00:00:00Z", State.ON, "2025-11-03", None),
    Case("GB", "2024-09-17", State.OFF, None, State.HELD),
    Case("GB", "2024-09-18", State.HELD, "2024-09-18 (by)", State.ON),
    Case("CA", "2024-10-15", State.ON, "2024-09-18", State.HELD),
    Case("CA", "2024-12-10", State.HELD, "2024-12-10 (by)", State.ON),
    Case("DE", "2025-01-15", State.OFF, None, State.ON),
    Case("DE", "2025-11-03", State.ON, "2025-11-03", None),
    Case("US", "2025-01-15", State.ON, "2024-09-18", None),
)


@pytest.mark.parametrize("case", CASES, ids=lambda one: f"{one.country}@{one.at}")
def test_what_is_so(case: Case) -> None:
    line = line_of(
        course(case.country), instant_in(case.country, parse_when(case.at)), case.country
    )

    assert line.state is case.state
    assert (str(line.since) if line.since else None) == case.since
    assert line.then is case.then


def test_on_whose_say_so() -> None:
    held = line_of(course("HK"), instant_in("HK", date(2025, 1, 15)), "HK")
    (hold,) = say_so(held.span)
    assert (hold.kind, hold.who, hold.asked_by, hold.ordered_by) == ("hold", "LinkedIn", "PCPD", "")
    assert hold.source is not None
    assert hold.source.title.startswith("PCPD")

    off = line_of(course("HK"), instant_in("HK", date(2024, 9, 1)), "HK")
    assert say_so(off.span) == ()
    on = line_of(course("US"), instant_in("US", date(2025, 1, 1)), "US")
    assert [(one.kind, one.who) for one in say_so(on.span)] == [("rule", "platform")]


def test_the_board_says_every_country_once() -> None:
    for when in (date(2024, 9, 17), date(2025, 1, 15), date(2025, 11, 3)):
        lines = board_of(ATLAS, when)
        told = [country for line in lines for country in line.countries]
        assert sorted(told) == sorted(COUNTRIES)
        assert len(lines) == 6

    first = board_of(ATLAS, date(2025, 1, 15))[0]
    assert first.state is State.HELD


def test_without_rules_nothing_is_on() -> None:
    for book in (EMPTY, NO_RULES.book):
        (line,) = board_of(atlas_of(book, DEFAULT_PURPOSE), date(2026, 1, 1))
        assert line.state is State.OFF
        assert line.since is None
        assert line.then is None
        assert len(line.countries) == len(COUNTRIES)


def test_spans_follow_each_other() -> None:
    for spans in ATLAS.values():
        assert spans[0].begins is None
        assert spans[-1].until is None
        for former, later in itertools.pairwise(spans):
            assert former.until == later.begins
            assert former.until_day == later.begins_day
            assert former.until is not None


@given(st.sampled_from(sorted(COUNTRIES)), st.integers(0, 900), st.integers(-1, 1))
def test_a_span_says_what_a_decision_would_meet(country: str, days: int, seconds: int) -> None:
    at = datetime(2024, 8, 1, tzinfo=UTC) + timedelta(days=days, seconds=seconds)
    law = in_force(BOOK, DEFAULT_PURPOSE, at).jurisdiction(country)
    (span,) = [one for one in ATLAS[country] if one.holds_at(at)]  # type: ignore[index]

    assert law is not None
    assert span.rules == tuple(held.rule for held in law.rules)
    assert span.holds == law.holds
    assert span.unruled == law.unruled
    may = not law.holds and not law.unruled and all(
        held.rule.mode is not Mode.NOT_ENABLED for held in law.rules
    )  # fmt: skip
    assert (span.state in {State.ON, State.ASKED}) is may


@pytest.mark.parametrize("text", ["hello", "2025-13-01", "2025-02-30", "20250115x", "9" * 400, ""])
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(InputError):
        parse_when(text)


def test_days_and_instants() -> None:
    assert parse_when(" 2025-01-15 ") == date(2025, 1, 15)
    assert parse_when("2025-01-15T10:00:00") == datetime(2025, 1, 15, 10, tzinfo=UTC)
    assert parse_when("2025-01-15T10:00:00+08:00") == datetime(2025, 1, 15, 2, tzinfo=UTC)
    with pytest.raises(InputError):
        parse_when("0001-01-01T00:00:00+14:00")
    for extreme in (date.min, date.max):
        assert len(board_of(ATLAS, extreme)) >= 1


def test_no_such_country() -> None:
    with pytest.raises(InputError):
        course_of(BOOK, DEFAULT_PURPOSE, "XX")


def test_what_is_covered_and_what_never() -> None:
    covers = {str(one.category): one.seen for one in covers_of(board_of(ATLAS, date(2026, 1, 1)))}

    assert covers["message"] == covers["salary"] == covers["group_message"] == ()
    ((seen, scopes),) = covers["post"]
    assert [str(one) for one in seen] == ["public"]
    assert sorted(scopes) == ["CA", "CH", "EEA", "GB", "HK", "world"]


def test_why_regions_differ() -> None:
    found = {one.scope: one for one in differences_of(board_of(ATLAS, date(2025, 1, 15)))}

    assert found["EEA"].mode is Mode.NOT_ENABLED
    assert [who for who, _ in found["HK"].asked] == ["PCPD"]
    ((_, source),) = found["HK"].asked
    assert source is not None
    assert source.is_assumption
