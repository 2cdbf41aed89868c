"""Faults of a rulebook that show only when all of it is read.

Promises: pure; every fault names file, line and what to write instead; a rulebook without
faults has at most one rule in force for a scope, purpose and day, and holds that name who
placed them. Does not judge whether a rule is lawful.

Example:
    >>> check_files({})
    ()
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

from sayso.model import (
    EVERY_PURPOSE,
    Country,
    Dated,
    Group,
    Hold,
    Membership,
    Mode,
    Place,
    Position,
    Rule,
    Rulebook,
)
from sayso.rulebook.civil import COUNTRIES
from sayso.rulebook.in_force import WORLD
from sayso.rulebook.parse import Fault, Sheet, book_of, read_sheets
from sayso.rulebook.refusal import Path
from sayso.rulebook.schema import GroupDoc, ScopeDoc, country_hint, one_of, told

# A civil date begins somewhere between these two (UTC+14 and UTC-12).
_EARLIEST, _LATEST = timedelta(hours=-14), timedelta(hours=12)


def check_files(files: Mapping[str, str]) -> tuple[Fault, ...]:
    """Return the faults of rulebook files, by file and line.

    What needs the whole book is looked at only where every file can be read by itself.
    """
    sheets, faults = read_sheets(files)
    return faults or _check(book_of(sheets, files), sheets)


def check_rulebook(book: Rulebook) -> tuple[Fault, ...]:
    """Return the faults of a rulebook that need all of it, by file and line."""
    sheets, faults = read_sheets(book.files)
    return faults or _check(book, sheets)


def _check(book: Rulebook, sheets: tuple[Sheet, ...]) -> tuple[Fault, ...]:
    lines = _Lines(sheets)
    found = (
        *_check_scopes(book, sheets),
        *_check_sources(sheets),
        *_check_purposes(book, lines),
        *(fault for group in book.groups.values() for fault in _check_group(group, lines)),
        *_check_rules(book.rules, lines),
        *(fault for hold in book.holds for fault in _check_hold(hold, lines)),
        *_check_hold_ids(book.holds, lines),
    )
    return tuple(sorted(set(found)))


class _Lines:
    """Finds the line of one key of a rule, hold or group."""

    def __init__(self, sheets: Iterable[Sheet]) -> None:
        self._lines = {sheet.file: sheet.lines for sheet in sheets}

    def of(self, place: Place, *keys: str | int) -> int:
        """Return the line of a key; where it is not written, of what it belongs to."""
        lines = self._lines.get(place.file, {})
        starts = [path for path, line in lines.items() if line == place.line]
        for start in starts:
            if (line := lines.get((*start, *keys))) is not None:
                return line
        return place.line

    def fault(self, place: Place, keys: Path, message: str, hint: str) -> Fault:
        """Return a fault at one key."""
        return Fault(place.file, self.of(place, *keys), message, hint)


# ---- names ------------------------------------------------------------------------------


def _check_scopes(book: Rulebook, sheets: Iterable[Sheet]) -> Iterator[Fault]:
    for sheet in sheets:
        if isinstance(sheet.doc, ScopeDoc):
            known = sheet.stem in COUNTRIES or sheet.stem in book.groups or sheet.stem == WORLD
            if not known:
                names = [*book.groups, WORLD]
                hint = one_of(sheet.stem, names)
                if len(sheet.stem) == 2 and not hint.startswith("did you"):
                    hint = country_hint(sheet.stem)
                message = f"scope {told(sheet.stem)} is neither a country, nor a group, nor world"
                yield Fault(sheet.file, sheet.lines["scope",], message, hint)
        elif isinstance(sheet.doc, GroupDoc) and (sheet.stem in COUNTRIES or sheet.stem == WORLD):
            message = f"group {told(sheet.stem)} has the name of a country or of the world"
            yield Fault(sheet.file, 1, message, "give the group another name")


def _check_sources(sheets: Iterable[Sheet]) -> Iterator[Fault]:
    """Find sources that are declared and never cited."""
    for sheet in sheets:
        doc = sheet.doc
        if isinstance(doc, ScopeDoc):
            maps = [rule.source for rule in doc.rules] + [hold.source for hold in doc.holds]
        else:
            maps = [doc.source]
        cited = {value for source in maps for value in source.values() if isinstance(value, str)}
        for name in doc.sources:
            if name not in cited:
                line = sheet.lines["sources", name]
                yield Fault(sheet.file, line, f"source {told(name)} is not used", "remove it")


def _check_purposes(book: Rulebook, lines: _Lines) -> Iterator[Fault]:
    known = sorted(book.purposes)
    for rule in book.rules:
        if rule.purpose not in book.purposes:
            message = f"a rule for the undeclared purpose {told(rule.purpose)}"
            hint = f"{one_of(rule.purpose, known)} or add purposes/{rule.purpose}.yaml"
            yield lines.fault(rule.place, ("purpose",), message, hint)
    for hold in book.holds:
        for purpose in sorted(hold.purposes - book.purposes.keys() - {EVERY_PURPOSE}):
            message = f"a hold on the undeclared purpose {told(purpose)}"
            hint = f"{one_of(purpose, [*known, EVERY_PURPOSE])} or add purposes/{purpose}.yaml"
            yield lines.fault(hold.place, ("purposes",), message, hint)


def _check_group(group: Group, lines: _Lines) -> Iterator[Fault]:
    by_country: dict[Country, list[tuple[int, Membership]]] = {}
    for place, member in enumerate(group.members):
        by_country.setdefault(member.country, []).append((place, member))
        if _ends_before_it_begins(member.begins, member.until):
            message = f"{member.country} leaves {group.name} before it joins"
            hint = f"write 'until' after {member.begins}"
            yield lines.fault(group.place, ("members", place, "until"), message, hint)
    for country, times in by_country.items():
        times.sort(key=lambda placed: _rank(placed[1].begins))
        for (_, former), (place, later) in pairwise(times):
            if former.until is None or _order(former.until, later.begins) == 1:
                message = f"{country} is in {group.name} twice at the same time"
                hint = f"end the membership that begins {former.begins or 'always'} before this one"
                yield lines.fault(group.place, ("members", place), message, hint)


# ---- rules ------------------------------------------------------------------------------


def _check_rules(rules: Iterable[Rule], lines: _Lines) -> Iterator[Fault]:
    by_scope: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        by_scope.setdefault((rule.scope, rule.purpose), []).append(rule)
        yield from _check_end(rule, lines)
    for written in by_scope.values():
        for rule in written[1:]:
            if rule.begins is None:
                message = f"a rule of {rule.scope} begins always and is not the first one"
                hint = "write it first, or give it the date from which it holds"
                yield lines.fault(rule.place, ("from",), message, hint)
        for former, later in pairwise(sorted(written, key=lambda rule: _rank(rule.begins))):
            yield from _check_neighbours(former, later, lines)


def _check_end(rule: Rule, lines: _Lines) -> Iterator[Fault]:
    if rule.until is None:
        return
    if _ends_before_it_begins(rule.begins, rule.until):
        message = f"the rule ends {rule.until} and begins {rule.begins}"
        yield lines.fault(rule.place, ("until",), message, "write 'until' after 'from'")
    if rule.mode is Mode.NOT_ENABLED:
        message = "a not-enabled rule ends only with the next rule of its scope"
        yield lines.fault(rule.place, ("until",), message, "remove 'until'")


def _check_neighbours(former: Rule, later: Rule, lines: _Lines) -> Iterator[Fault]:
    if later.begins is None:
        return  # two that begin always: told by _check_rules
    if former.begins is not None and _order(former.begins, later.begins) in (0, None):
        first, second = sorted((former, later), key=lambda rule: rule.place.line)
        message = f"two rules of {second.scope} begin {second.begins}"
        hint = f"remove one, or change its date; the other stands on line {first.place.line}"
        yield lines.fault(second.place, ("from",), message, hint)
    if former.until is None:
        return
    order = _order(former.until, later.begins)
    if order == 1:
        message = f"the rule overlaps the next one, which begins {later.begins}"
        yield lines.fault(former.place, ("until",), message, "remove 'until', or change a date")
    elif order == -1:
        message = f"no rule from {former.until} until the next one begins {later.begins}"
        hint = "remove 'until', or write a not-enabled rule for the time between"
        yield lines.fault(former.place, ("until",), message, hint)


# ---- holds ------------------------------------------------------------------------------


def _check_hold(hold: Hold, lines: _Lines) -> Iterator[Fault]:
    if not hold.placed_by:
        hint = "write placed_by: and who placed it"
        yield lines.fault(hold.place, (), f"nobody placed hold {told(hold.hold_id)}", hint)
    if hold.lifted is None:
        if hold.position is not None:
            message = f"hold {told(hold.hold_id)} has a position and is not lifted"
            hint = "write lifted: and the date, or remove 'position'"
            yield lines.fault(hold.place, ("position",), message, hint)
        return
    if _ends_before_it_begins(hold.begins, hold.lifted):
        message = f"hold {told(hold.hold_id)} is lifted {hold.lifted} and begins {hold.begins}"
        yield lines.fault(hold.place, ("lifted",), message, "write 'lifted' after 'from'")
    if "lifted" not in hold.sources:
        message = f"hold {told(hold.hold_id)} is lifted without a source"
        hint = "write lifted: and an id of 'sources' under 'source'"
        yield lines.fault(hold.place, ("lifted",), message, hint)
    if hold.position is None:
        message = f"hold {told(hold.hold_id)} is lifted without a position"
        hint = f"write position: {', '.join(Position)}; what did the authority say?"
        yield lines.fault(hold.place, ("lifted",), message, hint)
    elif hold.ordered_by and hold.position is not Position.APPROVED:
        message = (
            f"hold {told(hold.hold_id)} was ordered by {hold.ordered_by}, who approved no lift"
        )
        hint = "remove 'lifted' until they do, then write position: approved"
        yield lines.fault(hold.place, ("position",), message, hint)


def _check_hold_ids(holds: Iterable[Hold], lines: _Lines) -> Iterator[Fault]:
    first: dict[str, Hold] = {}
    for hold in holds:
        other = first.setdefault(hold.hold_id, hold)
        if other is not hold:
            message = f"hold {told(hold.hold_id)} is written twice"
            hint = f"give it another id; the other stands in {other.place}"
            yield lines.fault(hold.place, ("id",), message, hint)


# ---- dates ------------------------------------------------------------------------------


def _rank(bound: Dated | None) -> tuple[bool, datetime]:
    """Sort key of a beginning; always comes first."""
    return (False, _FIRST) if bound is None else (True, _middle(bound))


_FIRST = datetime.min.replace(tzinfo=UTC)


def _middle(bound: Dated) -> datetime:
    if isinstance(bound.value, datetime):
        return bound.value
    return datetime.combine(bound.value, time(), UTC)


def _ends_before_it_begins(begins: Dated | None, ends: Dated | None) -> bool:
    return begins is not None and ends is not None and _order(begins, ends) in (0, 1)


def _order(one: Dated, other: Dated | None) -> int | None:
    """Compare two bounds: -1, 0 or 1; None where it depends on the zone of the member.

    A bound of None is always, before everything.
    """
    if other is None:
        return 1
    mixed = isinstance(one.value, datetime) != isinstance(other.value, datetime)
    apart = _middle(one) - _middle(other)
    if not mixed:
        return (apart > timedelta(0)) - (apart < timedelta(0))
    one_is_civil = not isinstance(one.value, datetime)
    low, high = (-_LATEST, -_EARLIEST) if one_is_civil else (_EARLIEST, _LATEST)
    return -1 if apart < low else 1 if apart > high else None
