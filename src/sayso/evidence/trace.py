"""Trace: from a hold to everything that it touches, on both clocks.

Promises: pure; a bound whose day is not known exactly gives a window that is `unknown`, and
never one in which nothing happened; every build of the hold's purposes is in the answer,
also one that did not know of the hold. What was trained outside of this ledger it does not
know, and says so where it is read. Adapters and releases are followed from each build by the
ledger's entries about training (`sayso.training.follow`).

Example:
    >>> trace_hold("hk-2024-10-11", publications, builds).windows[0].days     # doctest: +SKIP
    23.0
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from sayso.errors import InputError
from sayso.ledger.store import PublicEntry
from sayso.model import (
    EVERY_PURPOSE,
    Country,
    Dated,
    Exactness,
    Hold,
    Mode,
    Place,
    Reason,
    Rule,
    Rulebook,
    permits_at,
    stops_at,
)
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.rulebook.in_force import WORLD, begins_at, in_force, scopes_of
from sayso.snapshot.manifest import Counts
from sayso.training.follow import FollowedRun, follow


class Relation(StrEnum):
    """How an instant stands to a hold, in the order in which a hold lives."""

    BEFORE = "before"
    UNKNOWN = "unknown"
    UNDER = "under"
    AFTER = "after"


# ---- what goes in -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Publication:
    """A rulebook and the entry that published it."""

    entry: int
    recorded_at: datetime
    book: Rulebook


@dataclass(frozen=True, slots=True)
class Build:
    """A snapshot's entry, with its counts by country where the manifest is at hand."""

    entry: int
    recorded_at: datetime
    purpose: str
    at: datetime
    known: int
    rulebook: str
    manifest: str
    counts: Mapping[str, Counts] | None = None


# ---- what comes out ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Version:
    """What one publication said of the hold; `what` is `placed`, `changed` or `lifted`."""

    entry: int
    recorded_at: datetime
    what: str
    hold: Hold


@dataclass(frozen=True, slots=True)
class Span:
    """When a hold stands for some countries.

    Attributes:
        begun_from: Before this it surely did not stand; None where nobody knows.
        begun_by: From here on it surely stood.
        ended_from: Before this it surely had not ended; None while it stands.
        ended_by: From here on it surely had ended; None while it stands.
    """

    countries: tuple[Country, ...]
    begun_from: datetime | None
    begun_by: datetime
    ended_from: datetime | None
    ended_by: datetime | None

    def relation(self, at: datetime) -> Relation:
        """Return how an instant stands to the hold."""
        if self.ended_by is not None and at >= self.ended_by:
            return Relation.AFTER
        if at >= self.begun_by:
            is_sure = self.ended_from is None or at < self.ended_from
            return Relation.UNDER if is_sure else Relation.UNKNOWN
        if self.begun_from is None or at >= self.begun_from:
            return Relation.UNKNOWN
        return Relation.BEFORE


@dataclass(frozen=True, slots=True)
class Window:
    """A time before the hold in which a rule permitted the use and no hold stood.

    Attributes:
        begins: None where the rule holds since always.
        is_exact: Whether both ends are known to the day; else the window is at most this.
        rules: What permitted it.
    """

    countries: tuple[Country, ...]
    purpose: str
    begins: datetime | None
    until: datetime
    is_exact: bool
    rules: tuple[Rule, ...]

    @property
    def days(self) -> float | None:
        """Return how long it was; None since always."""
        return (self.until - self.begins) / timedelta(days=1) if self.begins else None


@dataclass(frozen=True, slots=True)
class Touched:
    """A build and what the hold did to it.

    Attributes:
        relations: Country by country; several where midnights or memberships differ.
        knew: Whether the rulebook that decided held the hold.
        stopped: Whether the hold refused all of its scope in this build.
        records_in: Of the scope; None where the manifest is not at hand. So the others.
        on_hold: Refused with the hold as the first reason.
        runs: What learned from its records of the scope.
    """

    build: Build
    relations: Mapping[Relation, tuple[Country, ...]]
    knew: bool
    stopped: bool
    records_in: int | None
    admitted: int | None
    on_hold: int | None
    runs: tuple[FollowedRun, ...] = ()

    @property
    def relation(self) -> Relation | None:
        """Return the one relation of all countries; None where they differ."""
        return next(iter(self.relations)) if len(self.relations) == 1 else None

    @property
    def slipped(self) -> bool:
        """Whether it was made as of an instant under the hold, and the hold did not stop it."""
        return Relation.UNDER in self.relations and not self.stopped


@dataclass(frozen=True)
class HoldTrace:
    """A hold and what it touches.

    Attributes:
        hold: As the last publication has it.
        versions: What each publication changed about it, in order.
        spans: When it stands, by countries that share it.
        windows: When the use was permitted before it.
        builds: Every build of its purposes, in the order of recording.
    """

    hold: Hold
    versions: tuple[Version, ...]
    spans: tuple[Span, ...]
    windows: tuple[Window, ...]
    builds: tuple[Touched, ...]

    @property
    def countries(self) -> tuple[Country, ...]:
        """Every country that its scope contains or contained."""
        return tuple(sorted(country for span in self.spans for country in span.countries))

    @property
    def published_at(self) -> datetime:
        """When the hold was first published."""
        return self.versions[0].recorded_at

    @property
    def late(self) -> tuple[Touched, ...]:
        """Builds recorded after the hold was published that it should have stopped."""
        first = self.versions[0].entry
        return tuple(one for one in self.builds if one.slipped and one.build.entry > first)

    def inside(self, window: Window) -> tuple[Touched, ...]:
        """Return the builds as of an instant in a window."""
        return tuple(
            one
            for one in self.builds
            if one.build.purpose == window.purpose
            and (window.begins is None or window.begins <= one.build.at)
            and one.build.at < window.until
        )


# ---- tracing ----------------------------------------------------------------------------


def trace_hold(
    hold_id: str,
    publications: Sequence[Publication],
    builds: Iterable[Build],
    training: Sequence[PublicEntry] = (),
) -> HoldTrace:
    """Return everything that a hold touches.

    Args:
        hold_id: Its id in the rulebook.
        publications: Every published rulebook, in order.
        builds: Every snapshot's entry, in order.
        training: Of `sayso.training.training_entries`.

    Raises:
        InputError: No published rulebook holds it.
    """
    versions = tuple(_versions(hold_id, publications))
    if not versions:
        raise InputError(f"no published hold '{hold_id}'", hint="see 'sayso hold list'")
    hold, book = versions[-1].hold, _last_with(hold_id, publications)
    countries = countries_of(book, hold.scope)
    spans = tuple(grouped(_span(hold, versions, country) for country in countries))
    by_country = {country: span for span in spans for country in span.countries}
    books = {one.book.digest: one.book for one in publications}
    return HoldTrace(
        hold=hold,
        versions=versions,
        spans=spans,
        windows=tuple(_windows(book, hold, by_country)),
        builds=tuple(
            _touched(hold, build, by_country, books.get(build.rulebook), training)
            for build in builds
            if concerns(hold, build.purpose)
        ),
    )


def concerns(hold: Hold, purpose: str) -> bool:
    """Whether a hold stops a purpose."""
    return purpose in hold.purposes or EVERY_PURPOSE in hold.purposes


def _find(hold_id: str, book: Rulebook) -> Hold | None:
    return next((hold for hold in book.holds if hold.hold_id == hold_id), None)


def _last_with(hold_id: str, publications: Sequence[Publication]) -> Rulebook:
    return next(one.book for one in reversed(publications) if _find(hold_id, one.book))


def _versions(hold_id: str, publications: Iterable[Publication]) -> Iterator[Version]:
    """Yield the publications that say something new of the hold; its line does not matter."""
    nowhere = Place("", 0)
    before: Hold | None = None
    for one in publications:
        found = _find(hold_id, one.book)
        if found is None:
            continue
        if before is None:
            yield Version(one.entry, one.recorded_at, "placed", found)
        elif replace(found, place=nowhere) != replace(before, place=nowhere):
            is_lifted = before.lifted is None and found.lifted is not None
            what = "lifted" if is_lifted else "changed"
            yield Version(one.entry, one.recorded_at, what, found)
        before = found


def countries_of(book: Rulebook, scope: str) -> tuple[Country, ...]:
    """Return the countries that a scope contains or ever contained."""
    if scope == WORLD:
        return tuple(Country(code) for code in sorted(COUNTRIES))
    group = book.groups.get(scope)
    if group is None:
        return (Country(scope),)
    return tuple(sorted({member.country for member in group.members}))


def _span(hold: Hold, versions: Sequence[Version], country: Country) -> Span:
    zones = zones_of(country)
    begins, lifted = hold.begins, hold.lifted
    begun_by = stops_at(begins, zones) if begins is not None else versions[0].recorded_at
    if begins is not None and begins.exactness is Exactness.UNKNOWN:
        begun_by = max(begun_by, versions[0].recorded_at)
    begun_from = begun_by if is_exact(begins) else None
    if lifted is None:
        return Span((country,), begun_from, begun_by, None, None)
    ended_by = permits_at(lifted, zones)
    if lifted.exactness is Exactness.UNKNOWN:
        told = next((one for one in versions if one.hold.lifted is not None), versions[-1])
        ended_by = max(ended_by, told.recorded_at)
    ended_from = ended_by if is_exact(lifted) else begun_by
    return Span((country,), begun_from, begun_by, ended_from, ended_by)


def is_exact(bound: Dated | None) -> bool:
    """Whether the day of a bound is known exactly."""
    return bound is not None and bound.exactness is Exactness.EXACT


def grouped(spans: Iterable[Span]) -> Iterator[Span]:
    """Join the countries for which everything is alike."""
    found: dict[Span, list[Country]] = {}
    for span in spans:
        found.setdefault(replace(span, countries=()), []).extend(span.countries)
    for bare, countries in found.items():
        yield replace(bare, countries=tuple(countries))


# ---- what was permitted before ----------------------------------------------------------


def _windows(book: Rulebook, hold: Hold, by_country: Mapping[Country, Span]) -> Iterator[Window]:
    """Yield the times before the hold in which the use was permitted, longest past first."""
    found: dict[tuple[object, ...], tuple[Window, list[Country]]] = {}
    for purpose in sorted(book.purposes):
        if not concerns(hold, purpose):
            continue
        for country, span in by_country.items():
            for window in _windows_of(book, hold, purpose, country, span):
                rules = tuple(rule.place for rule in window.rules)
                key = (purpose, window.begins, window.until, window.is_exact, rules)
                found.setdefault(key, (window, []))[1].append(country)
    for window, countries in found.values():
        yield replace(window, countries=tuple(countries))


def _windows_of(
    book: Rulebook, hold: Hold, purpose: str, country: Country, span: Span
) -> Iterator[Window]:
    """Yield one country's windows: neighbours that the same rules permit are one."""
    zones = zones_of(country)
    past = datetime.min.replace(tzinfo=UTC)
    rules = [rule for rule in book.rules if rule.purpose == purpose]
    instants = {past, span.begun_by, *_membership(book, country)}
    instants |= {begun for rule in rules if (begun := begins_at(rule, zones)) is not None}
    instants |= {stops_at(rule.until, zones) for rule in rules if rule.until is not None}
    for one in book.holds:
        instants |= {stops_at(one.begins, zones)} if one.begins is not None else set()
        instants |= {permits_at(one.lifted, zones)} if one.lifted is not None else set()
    ordered = sorted(instant for instant in instants if instant <= span.begun_by)
    open_: Window | None = None
    for begin, end in pairwise(ordered):
        permitting = _permitting(book, hold, purpose, country, begin)
        if open_ and permitting == open_.rules and open_.until == begin:
            open_ = replace(open_, until=end)
            continue
        if open_:
            yield open_
        open_ = None
        if permitting:
            starts = None if begin == past else begin
            # It may have ended where the hold began, on a day that nobody knows.
            exact = span.begun_from is not None and all(
                rule.begins is None or is_exact(rule.begins) for rule in permitting
            )
            open_ = Window((country,), purpose, starts, end, exact, permitting)
    if open_:
        yield open_


def _membership(book: Rulebook, country: Country) -> Iterator[datetime]:
    zones = zones_of(country)
    for group in book.groups.values():
        for member in group.members:
            if member.country == country:
                yield from (stops_at(member.begins, zones),) if member.begins else ()
                yield from (permits_at(member.until, zones),) if member.until else ()


def _permitting(
    book: Rulebook, hold: Hold, purpose: str, country: Country, at: datetime
) -> tuple[Rule, ...]:
    """Return the rules that permit the use at an instant; none where anything stops it."""
    law = in_force(book, purpose, at).jurisdiction(country)
    if law is None or law.unruled or any(one.hold_id != hold.hold_id for one in law.holds):
        return ()
    rules = tuple(held.rule for held in law.rules)
    return () if any(rule.mode is Mode.NOT_ENABLED for rule in rules) else rules


# ---- builds -----------------------------------------------------------------------------


def related(
    scope: str, build: Build, by_country: Mapping[Country, Span], book: Rulebook | None
) -> tuple[list[Country], dict[Relation, tuple[Country, ...]]]:
    """Return the countries of a scope as of a build, and how the build stands to each.

    Where the rulebook of the build is not known, every country counts: unknown is never none.
    """
    inside = [
        country
        for country in by_country
        if book is None or scope in scopes_of(book, country, build.at)
    ]
    relations: dict[Relation, tuple[Country, ...]] = {}
    for relation in Relation:
        mine = tuple(one for one in inside if by_country[one].relation(build.at) is relation)
        if mine:
            relations[relation] = mine
    return inside, relations


def _touched(
    hold: Hold,
    build: Build,
    by_country: Mapping[Country, Span],
    book: Rulebook | None,
    training: Sequence[PublicEntry],
) -> Touched:
    inside, relations = related(hold.scope, build, by_country, book)
    knew = book is not None and _find(hold.hold_id, book) is not None
    counts = [one for country in inside if (one := (build.counts or {}).get(country))]
    has_counts = build.counts is not None
    return Touched(
        build=build,
        relations=relations,
        knew=knew,
        stopped=book is not None and bool(inside) and _stops(hold, build, book, inside),
        records_in=sum(one.records_in for one in counts) if has_counts else None,
        admitted=sum(one.admitted for one in counts) if has_counts else None,
        on_hold=sum(one.refused.get(str(Reason.ON_HOLD), 0) for one in counts)
        if has_counts
        else None,
        runs=tuple(run for run in follow(training, build.manifest, inside) if run.adapters),
    )


def _stops(hold: Hold, build: Build, book: Rulebook, countries: Iterable[Country]) -> bool:
    """Whether the rulebook that decided had the hold stand in every country at the instant."""
    current = in_force(book, build.purpose, build.at)
    for country in countries:
        law = current.jurisdiction(country)
        if law is None or all(one.hold_id != hold.hold_id for one in law.holds):
            return False
    return True
