"""The faults of a rulebook: all of them at once, those of one file and those between files.

Promises: pure; every fault names file, line and what to write instead; a rulebook without
faults has at most one rule in force for a scope, purpose and day, and holds that name who
placed them. Does not judge whether a rule is lawful.

Example:
    >>> check_files({})
    ()
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from sayso.rulebook.parse import Fault, Sheet, Sheets, book_of, read_sheets
from sayso.rulebook.refusal import Path
from sayso.rulebook.rough import (
    Rough,
    cited_in,
    declared_in,
    group_of,
    has_hidden_rules,
    holds_of,
    rules_of,
)
from sayso.rulebook.schema import (
    GroupDoc,
    PurposeDoc,
    ScopeDoc,
    country_hint,
    one_of,
    told,
)

# A civil date begins somewhere between these two (UTC+14 and UTC-12).
_EARLIEST, _LATEST = timedelta(hours=-14), timedelta(hours=12)


def check_files(files: Mapping[str, str]) -> tuple[Fault, ...]:
    """Return the faults of rulebook files, by file and line: all of them at once.

    What needs the whole book is looked at as far as files with faults can be read.
    """
    read = read_sheets(files)
    sound = {sheet.file: files[sheet.file] for sheet in read.sheets}
    return _check(book_of(read.sheets, sound), read)


def check_rulebook(book: Rulebook) -> tuple[Fault, ...]:
    """Return the faults of a rulebook, by file and line."""
    return _check(book, read_sheets(book.files))


def _check(book: Rulebook, read: Sheets) -> tuple[Fault, ...]:
    lines = _Lines([*read.sheets, *read.roughs])
    scopes = [rough for rough in read.roughs if rough.kind is ScopeDoc]
    groups = [group_of(rough) for rough in read.roughs if rough.kind is GroupDoc]
    purposes = [rough.stem for rough in read.roughs if rough.kind is PurposeDoc]
    rules = [found for rough in scopes for found in rules_of(rough)]
    holds = (*book.holds, *(hold for rough in scopes for hold in holds_of(rough)))
    # Where a date or a purpose cannot be read, no gap and no overlap can be told.
    doubted = {found.rule.scope for found in rules if not found.is_dated}
    doubted |= {rough.stem for rough in scopes if has_hidden_rules(rough)}
    dated = (*book.rules, *(found.rule for found in rules if found.is_dated))
    found = (
        *read.faults,
        *_check_scopes([*book.groups, *(group.name for group in groups)], read),
        *_check_sources(read),
        *_check_purposes(
            (*book.rules, *(one.rule for one in rules)), holds, [*book.purposes, *purposes], lines
        ),
        *(
            fault
            for group in (*book.groups.values(), *groups)
            for fault in _check_group(group, lines)
        ),
        *(fault for rule in dated for fault in _check_end(rule, lines)),
        *_check_rules([rule for rule in dated if rule.scope not in doubted], lines),
        *(fault for hold in holds for fault in _check_hold(hold, lines)),
        *_check_hold_ids([hold for hold in holds if hold.hold_id], lines),
    )
    return tuple(sorted(set(found)))


class _Lines:
    """Finds the line of one key of a rule, hold or group."""

    def __init__(self, sheets: Iterable[Sheet | Rough]) -> None:
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


def _check_scopes(groups: Sequence[str], read: Sheets) -> Iterator[Fault]:
    sheets: list[Sheet | Rough] = [*read.sheets, *read.roughs]
    for sheet in sheets:
        kind = sheet.kind if isinstance(sheet, Rough) else type(sheet.doc)
        is_taken = sheet.stem in COUNTRIES or sheet.stem == WORLD
        if kind is ScopeDoc and not is_taken and sheet.stem not in groups:
            hint = one_of(sheet.stem, [*groups, WORLD])
            if len(sheet.stem) == 2 and not hint.startswith("did you"):
                hint = country_hint(sheet.stem)
            message = f"scope {told(sheet.stem)} is neither a country, nor a group, nor world"
            line = sheet.lines.get(("scope",), sheet.lines[()])
            yield Fault(sheet.file, line, message, hint)
        elif kind is GroupDoc and is_taken:
            message = f"group {told(sheet.stem)} has the name of a country or of the world"
            yield Fault(sheet.file, 1, message, "give the group another name")


def _check_sources(read: Sheets) -> Iterator[Fault]:
    """Find sources that are declared and never cited."""
    for sheet in read.sheets:
        doc = sheet.doc
        if isinstance(doc, ScopeDoc):
            maps = [rule.source for rule in doc.rules] + [hold.source for hold in doc.holds]
        else:
            maps = [doc.source]
        cited = {value for source in maps for value in source.values() if isinstance(value, str)}
        yield from _unused(sheet, doc.sources, cited)
    for rough in read.roughs:
        cited, are_declared = cited_in(rough)
        if are_declared:  # otherwise one of them may be meant
            yield from _unused(rough, declared_in(rough), cited)


def _unused(sheet: Sheet | Rough, declared: Iterable[str], cited: set[str]) -> Iterator[Fault]:
    for name in declared:
        if name not in cited:
            line = sheet.lines["sources", name]
            yield Fault(sheet.file, line, f"source {told(name)} is not used", "remove it")


def _check_purposes(
    rules: Iterable[Rule], holds: Iterable[Hold], declared: Sequence[str], lines: _Lines
) -> Iterator[Fault]:
    known = sorted(declared)
    for rule in rules:
        if rule.purpose not in known:
            message = f"a rule for the undeclared purpose {told(rule.purpose)}"
            hint = f"{one_of(rule.purpose, known)} or add purposes/{rule.purpose}.yaml"
            yield lines.fault(rule.place, ("purpose",), message, hint)
    for hold in holds:
        for purpose in sorted(hold.purposes - {*known, EVERY_PURPOSE}):
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
