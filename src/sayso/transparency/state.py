"""Where training is on, off or held: for every country, from always to ever.

Promises: pure; the spans of a country follow each other without a gap, and each says what a
decision as of any instant in it would meet (`sayso.rulebook.in_force`). A civil day is asked
about as of the moment at which it had begun everywhere in the country. Does not know members.

Example:
    >>> [str(span.state) for span in course_of(book, purpose, "HK")]        # doctest: +SKIP
    ['off', 'on', 'held', 'on']
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from sayso.errors import InputError
from sayso.evidence.period import Period, Stretch, stretches
from sayso.model import (
    Country,
    Dated,
    Hold,
    Mode,
    Rule,
    Rulebook,
    Source,
    last_midnight,
    permits_at,
    stops_at,
)
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.rulebook.in_force import WORLD

# Every civil day that has a neighbour on both sides.
_FIRST, _LAST = date(1, 1, 2), date(9999, 12, 30)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class State(StrEnum):
    """What is so of a use in a country: held before all, on only where nothing stands against."""

    HELD = "held"
    ON = "on"
    ASKED = "on-where-chosen"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which the same rules and holds stand in a country.

    Attributes:
        begins: First instant; None for always.
        until: First instant after it; None while nothing is announced.
        begins_day: The same as the rulebook dates it; None for always, or a day not known.
        until_day: The same of its end.
        unruled: Scopes whose first rule has not begun: nothing is admitted.
    """

    state: State
    begins: datetime | None
    until: datetime | None
    begins_day: Dated | None
    until_day: Dated | None
    rules: tuple[Rule, ...]
    holds: tuple[Hold, ...]
    unruled: tuple[str, ...]

    def holds_at(self, at: datetime) -> bool:
        """Whether an instant is in it."""
        return (self.begins is None or self.begins <= at) and (
            self.until is None or at < self.until
        )


Course: TypeAlias = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """Countries of which the same is so at an instant, for the same reason and since one day.

    Attributes:
        since: Begin of the time for which the state has been the same; None for always.
        span: What stands, as in the first of the countries.
        then: The next state that is announced; None for none.
        ends: When that begins.
    """

    countries: tuple[Country, ...]
    state: State
    since: Dated | None
    span: Span
    then: State | None
    ends: Dated | None

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that speak, narrow ones first."""
        found = {rule.scope for rule in self.span.rules} | set(self.span.unruled)
        found |= {hold.scope for hold in self.span.holds}
        return tuple(sorted(found, key=lambda scope: (scope == WORLD, len(scope), scope)))


@dataclass(frozen=True, slots=True)
class Say:
    """On whose say-so something stands: a hold's or a rule's.

    Attributes:
        who: Who placed the hold, or decided the rule (`law`, `authority`, `platform`).
        source: Of its beginning; None and an assumption are both nobody's word.
    """

    kind: Literal["hold", "rule"]
    name: str
    scope: str
    begins: Dated | None
    until: Dated | None
    who: str
    asked_by: str
    ordered_by: str
    mode: Mode | None
    source: Source | None


def say_so(span: Span) -> tuple[Say, ...]:
    """Return on whose say-so a state stands: holds where there are any, else rules."""
    if span.holds:
        return tuple(
            Say(
                "hold", hold.hold_id, hold.scope, hold.begins, hold.lifted, hold.placed_by,
                hold.asked_by, hold.ordered_by, None, hold.sources.get("from"),
            )
            for hold in span.holds
        )  # fmt: skip
    return tuple(
        Say(
            "rule", str(rule.place), rule.scope, rule.begins, rule.until, rule.decided_by, "", "",
            rule.mode, rule.sources.get("from") or rule.sources.get("mode"),
        )
        for rule in span.rules
    )  # fmt: skip


# ---- from the rulebook --------------------------------------------------------------------


def course_of(book: Rulebook, purpose: str, country: str) -> Course:
    """Return what is so in a country, from always to ever.

    Raises:
        InputError: There is no such country.
    """
    if country not in COUNTRIES:
        raise InputError(f"unknown country '{country}'", hint="give an ISO 3166-1 code")
    place = Country(country)
    found = stretches(book, purpose, Period(place, _FIRST, _LAST))
    return tuple(_span(book, place, one, found) for one in found)


def atlas_of(book: Rulebook, purpose: str) -> Mapping[Country, Course]:
    """Return the course of every country, by ISO code."""
    return {Country(code): course_of(book, purpose, code) for code in sorted(COUNTRIES)}


def _span(book: Rulebook, country: Country, one: Stretch, all_: Sequence[Stretch]) -> Span:
    begins = one.begins if one is not all_[0] else None
    until = one.until if one is not all_[-1] else None
    after = all_[all_.index(one) + 1] if until is not None else one
    return Span(
        state=_state(one),
        begins=begins,
        until=until,
        begins_day=_dated(book, country, begins, one),
        until_day=_dated(book, country, until, after),
        rules=one.rules,
        holds=one.holds,
        unruled=one.unruled,
    )


def _state(one: Stretch) -> State:
    modes = {rule.mode for rule in one.rules}
    if one.holds:
        return State.HELD
    if one.unruled or not modes or Mode.NOT_ENABLED in modes:
        return State.OFF
    return State.ASKED if Mode.OPT_IN in modes else State.ON


def _dated(
    book: Rulebook, country: Country, at: datetime | None, begun: Stretch
) -> Dated | None:  # fmt: skip
    """Return the bound that changed something at an instant: of what began, before of others."""
    if at is None:
        return None
    zones = zones_of(country)
    own = [hold.begins for hold in begun.holds] + [rule.begins for rule in begun.rules]
    for bound in (*own, *_bounds(book, country)):
        if bound is not None and at in {stops_at(bound, zones), permits_at(bound, zones)}:
            return bound
    return Dated(at)


def _bounds(book: Rulebook, country: Country) -> Iterator[Dated | None]:
    for hold in book.holds:
        yield from (hold.lifted, hold.begins)
    for rule in book.rules:
        yield from (rule.until, rule.begins)
    for group in book.groups.values():
        for member in group.members:
            if member.country == country:
                yield from (member.begins, member.until)


# ---- at an instant ------------------------------------------------------------------------


def parse_when(text: str) -> date | datetime:
    """Return a civil day or an instant (aware UTC; a naive one is UTC).

    Raises:
        InputError: It is neither.
    """
    given = text.strip()
    try:
        if _DAY.fullmatch(given):
            return date.fromisoformat(given)
        at = datetime.fromisoformat(given)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"'{given[:40]}' is no day", hint="write it as 2025-01-15 or 2025-01-15T10:00:00Z"
        ) from None


def instant_in(country: str, when: date | datetime) -> datetime:
    """Return the instant that is asked about: a day once it has begun everywhere in a country."""
    if isinstance(when, datetime):
        return when
    return last_midnight(when, zones_of(Country(country)))


def line_of(course: Course, at: datetime, country: str) -> Line:
    """Return what is so in one country at an instant."""
    place = next(i for i, span in enumerate(course) if span.holds_at(at))
    state = first = course[place]
    for span in reversed(course[:place]):
        if span.state is not state.state:
            break
        first = span
    after = next((span for span in course[place + 1 :] if span.state is not state.state), None)
    return Line(
        countries=(Country(country),),
        state=state.state,
        since=first.begins_day,
        span=state,
        then=after.state if after else None,
        ends=after.begins_day if after else None,
    )


def board_of(atlas: Mapping[Country, Course], when: date | datetime) -> tuple[Line, ...]:
    """Return every country's state as few lines: held first, then on, then off."""
    found: dict[tuple[object, ...], list[Line]] = {}
    for country, course in atlas.items():
        line = line_of(course, instant_in(country, when), country)
        found.setdefault(_likeness(line), []).append(line)
    lines = [
        Line(
            tuple(one.countries[0] for one in alike), alike[0].state, alike[0].since,
            alike[0].span, alike[0].then, alike[0].ends,
        )
        for alike in found.values()
    ]  # fmt: skip
    order = list(State)
    return tuple(
        sorted(
            lines,
            key=lambda one: (
                order.index(one.state), one.scopes[:1] == (WORLD,), len(one.countries),
                one.countries,
            ),
        )
    )  # fmt: skip


def _likeness(line: Line) -> tuple[object, ...]:
    span = line.span
    return (
        line.state, line.since, line.then, line.ends, span.unruled,
        tuple(str(rule.place) for rule in span.rules),
        tuple(hold.hold_id for hold in span.holds),
    )  # fmt: skip
