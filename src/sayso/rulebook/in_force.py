"""Which rules and holds are in force for a country, a purpose and an instant.

Promises: total over any `Rulebook`, checked or not, and never wider than the text. Does
not decide; see `sayso.decision.one`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property

from sayso.model import (
    EVERY_PURPOSE,
    Country,
    Dated,
    Group,
    Hold,
    Jurisdiction,
    Mode,
    Rule,
    Rulebook,
    RuleInForce,
    permits_at,
    stops_at,
)
from sayso.rulebook.civil import COUNTRIES, zones_of

WORLD = "world"


@dataclass(frozen=True)
class InForce:
    """What a rulebook says of one purpose at one instant; jurisdictions on demand."""

    book: Rulebook
    purpose: str
    at: datetime

    def jurisdiction(self, country: str | None) -> Jurisdiction | None:
        """Return what is in force for a country; None where the country is unknown."""
        if country not in COUNTRIES:
            return None
        found = self._cache.get(Country(country))
        if found is None:
            found = self._cache[Country(country)] = _jurisdiction(
                self.book, self.purpose, self.at, Country(country)
            )
        return found

    def moved(self, at: datetime) -> "InForce":
        """Return the same as of another instant, between which nothing begins or ends.

        See `sayso.rulebook.moments`; what was looked up stays looked up.
        """
        moved = InForce(self.book, self.purpose, at)
        moved.__dict__["_cache"] = self._cache
        return moved

    @cached_property
    def jurisdictions(self) -> Mapping[Country, Jurisdiction]:
        """Every country's jurisdiction, by ISO code in order."""
        return {
            Country(code): jurisdiction
            for code in sorted(COUNTRIES)
            if (jurisdiction := self.jurisdiction(code)) is not None
        }

    @cached_property
    def _cache(self) -> dict[Country, Jurisdiction]:
        return {}


def in_force(book: Rulebook, purpose: str, at: datetime) -> InForce:
    """Return the rules and holds of `purpose` in force at `at` (aware UTC)."""
    return InForce(book, purpose, at)


def scopes_of(book: Rulebook, country: Country, at: datetime) -> tuple[str, ...]:
    """Return the scopes that contain a country at an instant, `world` last.

    A membership runs from the first midnight of its first day to the last midnight of its
    last bound, so that in doubt more scopes apply and more reasons join.
    """
    zones = zones_of(country)
    groups = sorted(
        name for name, group in book.groups.items() if _holds(group, country, at, zones)
    )
    return (country, *groups, WORLD)


def _holds(group: Group, country: Country, at: datetime, zones: tuple[tzinfo, ...]) -> bool:
    return any(
        member.country == country
        and (member.begins is None or stops_at(member.begins, zones) <= at)
        and (member.until is None or at < permits_at(member.until, zones))
        for member in group.members
    )


def _jurisdiction(book: Rulebook, purpose: str, at: datetime, country: Country) -> Jurisdiction:
    zones = zones_of(country)
    scopes = scopes_of(book, country, at)
    by_scope: dict[str, list[Rule]] = {}
    for rule in book.rules:
        if rule.purpose == purpose and rule.scope in scopes:
            by_scope.setdefault(rule.scope, []).append(rule)
    # World's rules apply only where no narrower scope has a rule file for the purpose.
    if len(by_scope) > 1:
        by_scope.pop(WORLD, None)
    rules: list[RuleInForce] = []
    unruled: list[str] = []
    for scope, candidates in by_scope.items():
        begun = _latest_begun(candidates, at, zones)
        if begun is None:
            unruled.append(scope)
        else:
            rules.extend(_resolve(rule, zones) for rule in begun)
    if not by_scope:
        unruled.append(WORLD)
    ages = [r.rule.minimum_age for r in rules if r.rule.minimum_age is not None]
    return Jurisdiction(
        country=country,
        zones=zones,
        rules=tuple(rules),
        unruled=tuple(unruled),
        holds=tuple(hold for hold in book.holds if _stands(hold, purpose, at, scopes, zones)),
        minimum_age=max(ages, default=None),
    )


def begins_at(rule: Rule, zones: tuple[tzinfo, ...]) -> datetime | None:
    """Return when a rule begins in `zones`; None for always.

    What stops (`not-enabled`) begins with the first of the midnights, what permits with
    the last.
    """
    if rule.begins is None:
        return None
    side = stops_at if rule.mode is Mode.NOT_ENABLED else permits_at
    return side(rule.begins, zones)


def _latest_begun(rules: list[Rule], at: datetime, zones: tuple[tzinfo, ...]) -> list[Rule] | None:
    """Return the latest begun rule; several where they tie (a fault), None before the first.

    INVARIANT: a tie never widens: all that tie apply together and their reasons join.
    """
    starts = [(begins_at(rule, zones), rule) for rule in rules]
    begun = [(start, rule) for start, rule in starts if start is None or start <= at]
    if not begun:
        return None
    latest = max((start for start, _ in begun if start is not None), default=None)
    last = [rule for start, rule in begun if start == latest]
    # `until` ends what permits with the first midnight; a stop never ends by itself.
    if any(
        rule.until is not None
        and rule.mode is not Mode.NOT_ENABLED
        and stops_at(rule.until, zones) <= at
        for rule in last
    ):
        return None
    return last


def _resolve(rule: Rule, zones: tuple[tzinfo, ...]) -> RuleInForce:
    return RuleInForce(
        rule=rule,
        notice_since_at=_permits(rule.notice.since if rule.notice else None, zones),
        earliest_at=_permits(rule.earliest_written, zones),
    )


def _permits(bound: Dated | None, zones: tuple[tzinfo, ...]) -> datetime | None:
    return None if bound is None else permits_at(bound, zones)


def _stands(
    hold: Hold, purpose: str, at: datetime, scopes: tuple[str, ...], zones: tuple[tzinfo, ...]
) -> bool:
    return (
        hold.scope in scopes
        and (purpose in hold.purposes or EVERY_PURPOSE in hold.purposes)
        and (hold.begins is None or stops_at(hold.begins, zones) <= at)
        and (hold.lifted is None or at < permits_at(hold.lifted, zones))
    )
