"""When what is in force can change by itself: the moments of a rulebook, by country.

Promises: between two moments of a country its jurisdiction is the same, so that one that was
looked up once is given again. Says what `sayso.rulebook.in_force` says, and decides nothing.

Example:
    >>> laws = Jurisdictions(book, "content-generation-training")   # doctest: +SKIP
    >>> laws.at("HK", now) is laws.at("HK", now)                    # doctest: +SKIP
    True
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime

from sayso.model import Country, Dated, Jurisdiction, Rulebook, permits_at, stops_at
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.rulebook.in_force import in_force


def moments_of(book: Rulebook, purpose: str, country: Country) -> tuple[datetime, ...]:
    """Return every instant from which other rules or holds may be in force, in order."""
    zones = zones_of(country)
    sides = (stops_at, permits_at)
    bounds = dict.fromkeys(_bounds(book, purpose))
    return tuple(sorted({side(bound, zones) for bound in bounds for side in sides}))


def _bounds(book: Rulebook, purpose: str) -> Iterator[Dated]:
    for rule in book.rules:
        if rule.purpose == purpose:
            yield from (bound for bound in (rule.begins, rule.until) if bound)
    for hold in book.holds:
        yield from (bound for bound in (hold.begins, hold.lifted) if bound)
    for group in book.groups.values():
        for member in group.members:
            yield from (bound for bound in (member.begins, member.until) if bound)


class Jurisdictions:
    """What is in force for a purpose, by country and instant; safe for many threads."""

    def __init__(self, book: Rulebook, purpose: str) -> None:
        self._book = book
        self.purpose = purpose
        self._moments: dict[str, tuple[datetime, ...]] = {}
        self._found: dict[tuple[str, int], Jurisdiction | None] = {}

    def _moments_of(self, country: str) -> tuple[datetime, ...]:
        found = self._moments.get(country)
        if found is None:
            found = moments_of(self._book, self.purpose, Country(country))
            self._moments[country] = found
        return found

    def at(self, country: str | None, at: datetime) -> Jurisdiction | None:
        """Return what is in force for a country; None where the country is unknown."""
        if country not in COUNTRIES:
            return None
        # INVARIANT: everything in force begins and ends at a moment, and holds from it on.
        place = (country, bisect_right(self._moments_of(country), at))
        if place not in self._found:
            self._found[place] = in_force(self._book, self.purpose, at).jurisdiction(country)
        return self._found[place]

    def next_after(self, at: datetime) -> datetime | None:
        """Return the next moment of any country; None where nothing changes any more."""
        later = []
        for country in COUNTRIES:
            found = self._moments_of(country)
            if (place := bisect_right(found, at)) < len(found):
                later.append(found[place])
        return min(later, default=None)
