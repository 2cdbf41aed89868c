"""A period in one country: what was in force from when to when.

Promises: pure; the stretches of a period follow each other without a gap, each with exactly
the rules and holds that a decision as of any instant in it would meet. A civil day begins at
the first midnight in the country, and a period ends where its last day does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sayso.errors import InputError
from sayso.model import (
    Country,
    Dated,
    Hold,
    Mode,
    Rule,
    Rulebook,
    first_midnight,
    permits_at,
    stops_at,
)
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.rulebook.in_force import begins_at, in_force


@dataclass(frozen=True, slots=True)
class Period:
    """Some civil days in one country, the last one included."""

    country: Country
    first: date
    last: date

    @property
    def begins(self) -> datetime:
        """When the first day begins, in the first zone of the country."""
        return first_midnight(self.first, zones_of(self.country))

    @property
    def until(self) -> datetime:
        """When the day after the last begins."""
        return first_midnight(self.last + timedelta(days=1), zones_of(self.country))

    def holds(self, at: datetime) -> bool:
        """Whether an instant is in it."""
        return self.begins <= at < self.until


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the same rules and holds stand.

    Attributes:
        unruled: Scopes whose first rule has not begun: nothing is admitted.
    """

    begins: datetime
    until: datetime
    rules: tuple[Rule, ...]
    holds: tuple[Hold, ...]
    unruled: tuple[str, ...]

    @property
    def permits(self) -> bool:
        """Whether anything could be admitted."""
        stops = self.holds or self.unruled
        return not stops and all(rule.mode is not Mode.NOT_ENABLED for rule in self.rules)


def parse_period(country: str, first: date, last: date) -> Period:
    """Return a checked period.

    Raises:
        InputError: There is no such country, or the period ends before it begins.
    """
    if country not in COUNTRIES:
        raise InputError(f"unknown country '{country}'", hint="give an ISO 3166-1 code")
    if not date.min < first <= last < date.max:
        raise InputError(
            f"a period from {first} to {last}", hint="the first day comes before the last"
        )
    return Period(Country(country), first, last)


def stretches(book: Rulebook, purpose: str, period: Period) -> tuple[Stretch, ...]:
    """Return what was in force in a period, by a rulebook; neighbours that are alike are one."""
    found: list[Stretch] = []
    bounds = sorted({period.begins, *_changes(book, period)})
    for begin, end in zip(bounds, [*bounds[1:], period.until], strict=True):
        law = in_force(book, purpose, begin).jurisdiction(period.country)
        if law is None:
            continue
        rules = tuple(held.rule for held in law.rules)
        stretch = Stretch(begin, end, rules, law.holds, law.unruled)
        if found and replace(stretch, begins=found[-1].begins) == replace(found[-1], until=end):
            found[-1] = replace(found[-1], until=end)
        else:
            found.append(stretch)
    return tuple(found)


def _changes(book: Rulebook, period: Period) -> Iterator[datetime]:
    """Yield every instant inside the period at which something may change."""
    zones = zones_of(period.country)
    for at in _bounds(book, period.country):
        for change in (stops_at(at, zones), permits_at(at, zones)):
            if period.begins < change < period.until:
                yield change
    for rule in book.rules:
        begun = begins_at(rule, zones)
        if begun is not None and period.begins < begun < period.until:
            yield begun


def _bounds(book: Rulebook, country: Country) -> Iterator[Dated]:
    found = [bound for hold in book.holds for bound in (hold.begins, hold.lifted)]
    found += [rule.until for rule in book.rules]
    found += [
        bound
        for group in book.groups.values()
        for member in group.members
        if member.country == country
        for bound in (member.begins, member.until)
    ]
    return (bound for bound in found if bound is not None)
