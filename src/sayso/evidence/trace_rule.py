"""Trace: from a rule to everything that it touches, on both clocks.

Promises: pure; a rule is one of a purpose and a scope from one date; a bound whose day is not
known exactly makes an instant `unknown` and never one before or after; every build of the
purpose is in the answer, with the countries for which the rule was among those that decided.

Example:
    >>> trace_rule(rule, publications, builds).spans[0].begun_by     # doctest: +SKIP
    datetime.datetime(2024, 9, 17, 16, 0, tzinfo=datetime.timezone.utc)
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from sayso.errors import InputError
from sayso.evidence.trace import (
    Build,
    Publication,
    Relation,
    Span,
    countries_of,
    grouped,
    is_exact,
    related,
)
from sayso.ledger.store import PublicEntry
from sayso.model import Country, Dated, Exactness, Mode, Place, Rule, Rulebook, stops_at
from sayso.rulebook.civil import zones_of
from sayso.rulebook.in_force import begins_at, in_force
from sayso.training.follow import FollowedRun, follow

ALWAYS = "always"
PAST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """What one publication said of the rule; `what` is `published`, `changed` or `gone`."""

    entry: int
    recorded_at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Ruled:
    """A build and what the rule did in it.

    Attributes:
        relations: How its instant stands to the rule, by country of the scope.
        knew: Whether the rulebook that decided held the rule; None where that rulebook is not
            in this ledger.
        applied: Countries for which the rule was among those that decided.
        admitted: Records of their members; None where the manifest is not at hand.
        runs: What learned from those records.
    """

    build: Build
    relations: Mapping[Relation, tuple[Country, ...]]
    knew: bool | None
    applied: tuple[Country, ...]
    admitted: int | None
    runs: tuple[FollowedRun, ...] = ()


@dataclass(frozen=True)
class RuleTrace:
    """A rule and what it touches.

    Attributes:
        rule: As the last publication that holds it has it.
        versions: What each publication changed about it, in order.
        spans: From when until when it is the rule of its scope, by countries that share that.
        builds: Every build of its purpose, in the order of recording.
    """

    rule: Rule
    versions: tuple[RuleVersion, ...]
    spans: tuple[Span, ...]
    builds: tuple[Ruled, ...]


def find_rule(
    publications: Sequence[Publication], purpose: str, scope: str, begins: str | None
) -> Rule:
    """Return a published rule.

    Args:
        publications: Every published rulebook, in order.
        purpose: Of the rule.
        scope: Of the rule.
        begins: Its date as the rulebook writes it, or `always`; None: the only one.

    Raises:
        InputError: There is none, or none or several without a date.
    """
    found: dict[str, Rule] = {}
    for one in publications:
        for rule in one.book.rules:
            if (rule.purpose, rule.scope) == (purpose, scope):
                found[date_of(rule)] = rule
    dates = " or ".join(sorted(found))
    if not found:
        raise InputError(
            f"no rule for '{purpose}' in '{scope}' was published", hint="see 'sayso rulebook show'"
        )
    if begins is None and len(found) > 1:
        raise InputError(
            f"'{scope}' has {len(found)} rules for '{purpose}'", hint=f"add --from {dates}"
        )
    if begins is not None and begins not in found:
        raise InputError(f"no rule of '{scope}' begins on '{begins}'", hint=f"use {dates}")
    return found[begins] if begins is not None else next(iter(found.values()))


def date_of(rule: Rule) -> str:
    """Return the date by which a rule is told from the others of its scope."""
    return str(replace(rule.begins, exactness=Exactness.EXACT)) if rule.begins else ALWAYS


def trace_rule(
    rule: Rule,
    publications: Sequence[Publication],
    builds: Iterable[Build],
    training: Sequence[PublicEntry] = (),
) -> RuleTrace:
    """Return everything that a rule touches.

    Args:
        rule: Of `find_rule`.
        publications: Every published rulebook, in order.
        builds: Every snapshot's entry, in order.
        training: Of `sayso.training.training_entries`.
    """
    versions = tuple(_versions(rule, publications))
    last = next(one for one in reversed(publications) if _in(rule, one.book))
    current = _in(rule, last.book)
    assert current is not None  # noqa: S101  that is how it was found
    first_at = versions[0].recorded_at
    countries = countries_of(last.book, rule.scope)
    spans = tuple(grouped(_span(current, last.book, first_at, one) for one in countries))
    by_country = {country: span for span in spans for country in span.countries}
    books = {one.book.digest: one.book for one in publications}
    return RuleTrace(
        rule=current,
        versions=versions,
        spans=spans,
        builds=tuple(
            _ruled(current, build, by_country, books.get(build.rulebook), training)
            for build in builds
            if build.purpose == rule.purpose
        ),
    )


def _in(rule: Rule, book: Rulebook) -> Rule | None:
    """Return the rule of the same purpose, scope and date in a rulebook."""
    mine = (rule.purpose, rule.scope, date_of(rule))
    return next((one for one in book.rules if (one.purpose, one.scope, date_of(one)) == mine), None)


def _versions(rule: Rule, publications: Iterable[Publication]) -> Iterator[RuleVersion]:
    """Yield the publications that say something new of the rule; its line does not matter."""
    before: Rule | None = None
    for one in publications:
        found = _in(rule, one.book)
        bare = replace(found, place=Place("", 0)) if found else None
        if bare != before:
            what = "published" if before is None else "changed" if bare else "gone"
            yield RuleVersion(one.entry, one.recorded_at, what)
        before = bare


def _span(rule: Rule, book: Rulebook, first_at: datetime, country: Country) -> Span:
    """Return from when until when it is the rule of its scope, in one country's zones."""
    zones = zones_of(country)
    begun_by = begins_at(rule, zones) or PAST
    begun_from = begun_by if rule.begins is None or is_exact(rule.begins) else None
    if rule.begins is not None and rule.begins.exactness is Exactness.UNKNOWN:
        begun_by = max(begun_by, first_at)
    end = min(_ends(rule, book, zones), key=lambda one: one[0], default=None)
    if end is None:
        return Span((country,), begun_from, begun_by, None, None)
    at, bound = end
    ended_by = max(at, first_at) if bound.exactness is Exactness.UNKNOWN else at
    return Span((country,), begun_from, begun_by, at if is_exact(bound) else begun_by, ended_by)


def _ends(
    rule: Rule, book: Rulebook, zones: tuple[tzinfo, ...]
) -> Iterator[tuple[datetime, Dated]]:
    """Yield what may end a rule: its own last day, and the next rule of its scope."""
    begun = begins_at(rule, zones)
    if rule.until is not None and rule.mode is not Mode.NOT_ENABLED:
        yield stops_at(rule.until, zones), rule.until
    for other in book.rules:
        if (other.purpose, other.scope) == (rule.purpose, rule.scope) and other.begins is not None:
            next_at = begins_at(other, zones)
            if next_at is not None and (begun is None or next_at > begun):
                yield next_at, other.begins


def _ruled(
    rule: Rule,
    build: Build,
    by_country: Mapping[Country, Span],
    book: Rulebook | None,
    training: Sequence[PublicEntry],
) -> Ruled:
    inside, relations = related(rule.scope, build, by_country, book)
    known = _in(rule, book) if book is not None else None
    applied: tuple[Country, ...] = ()
    if book is None:
        # Which rules decided is not known here: whatever may have been touched is followed.
        applied = tuple(inside)
    elif known is not None:
        current = in_force(book, build.purpose, build.at)
        applied = tuple(
            country
            for country in inside
            if (law := current.jurisdiction(country)) is not None
            and any(held.rule == known for held in law.rules)
        )
    counts = build.counts
    runs = follow(training, build.manifest, applied) if applied else ()
    return Ruled(
        build=build,
        relations=relations,
        knew=None if book is None else known is not None,
        applied=applied,
        admitted=None
        if counts is None
        else sum(counts[one].admitted for one in applied if one in counts),
        runs=tuple(run for run in runs if run.adapters),
    )
