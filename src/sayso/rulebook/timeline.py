"""The rulebook against time: as rows, and as a picture.

Promises: pure; rows and picture say the same; uncertain dates look uncertain; whatever
stands in the rulebook, the picture is well-formed SVG that reads without colour. Does not
resolve civil dates to instants: see `sayso.rulebook.in_force`.

Example:
    >>> timeline_rows(book, "content-generation-training")[0].scope
    'world'
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

from sayso.model import EVERY_PURPOSE, Dated, Exactness, Hold, Mode, Rule, Rulebook
from sayso.rulebook.civil import COUNTRY_NAMES
from sayso.rulebook.in_force import WORLD
from sayso.rulebook.picture import Bar, Lane, Note, day_of, draw, written_day

# A picture shows this much before the first and after the last dated fact.
_MARGIN = timedelta(days=75)
# Today is inside by default, unless that would squeeze the facts together.
_TODAY_WITHIN = timedelta(days=550)
# A rule that permitted for so many days or fewer before a hold began is pointed out.
_SHORT_WINDOW_DAYS = 120

_MODE_WORDS = {
    Mode.NOT_ENABLED: "not enabled",
    Mode.OPT_OUT: "opt-out",
    Mode.OPT_IN: "opt-in",
}


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One rule or hold; one row per scope and beginning.

    Attributes:
        label: What a reader would call it.
        begins: None is always (a rule) or not known (a hold).
        until: Where it ends, by itself or by the next rule; None while it lasts.
        exactness: The lesser of both bounds.
        mode: Of a rule; None for a hold.
        who: Who decided the rule, or placed, asked for or ordered the hold.
        source: Title of the source of its beginning.
    """

    scope: str
    kind: Literal["rule", "hold"]
    label: str
    begins: Dated | None
    until: Dated | None
    exactness: Exactness
    mode: Mode | None
    who: str
    source: str


def timeline_rows(book: Rulebook, purpose: str) -> list[TimelineRow]:
    """Return rules and holds of a purpose: by scope (world, groups, countries), then in time."""
    return [
        row
        for scope in _scopes(book, purpose)
        for row in (*_rule_rows(book, purpose, scope), *_hold_rows(book, purpose, scope))
    ]


def timeline_svg(
    book: Rulebook,
    purpose: str,
    *,
    today: date,
    start: date | None = None,
    end: date | None = None,
    mark: str = "today",
) -> str:
    """Draw rules and holds of a purpose as SVG, one lane per scope.

    Args:
        book: Any rulebook.
        purpose: Its name; one that the book does not have gives an empty picture.
        today: Marked where it is inside.
        start: First day shown; by default before the first dated fact.
        end: First day not shown; by default after the last dated fact and today.
        mark: What the day `today` is called.
    """
    rows = timeline_rows(book, purpose)
    first, last = _window(rows, today, start, end)
    declared = book.purposes.get(purpose)
    return draw(
        name=purpose,
        title=declared.title if declared else purpose,
        lanes=[_lane(book, scope, rows) for scope in _scopes(book, purpose)],
        start=first,
        end=last,
        today=today,
        digest=book.digest,
        mark=mark,
    )


# ---- rows -------------------------------------------------------------------------------


def _scopes(book: Rulebook, purpose: str) -> list[str]:
    found = {rule.scope for rule in book.rules if rule.purpose == purpose}
    found |= {hold.scope for hold in book.holds if _concerns(hold, purpose)}
    return sorted(found, key=lambda scope: (scope != WORLD, scope not in book.groups, scope))


def _concerns(hold: Hold, purpose: str) -> bool:
    return purpose in hold.purposes or EVERY_PURPOSE in hold.purposes


def _rule_rows(book: Rulebook, purpose: str, scope: str) -> Iterator[TimelineRow]:
    rules = [rule for rule in book.rules if rule.scope == scope and rule.purpose == purpose]
    rules.sort(key=lambda rule: _day(rule.begins))
    nexts = [later.begins for _, later in pairwise(rules)]
    for rule, following in zip(rules, [*nexts, None], strict=False):
        # A rule that stops ends only with the next one; see `in_force`.
        own = rule.until if rule.mode is not Mode.NOT_ENABLED else None
        until = min((b for b in (own, following) if b is not None), key=_day, default=None)
        yield TimelineRow(
            scope=scope,
            kind="rule",
            label=_rule_label(rule),
            begins=rule.begins,
            until=until,
            exactness=_exactness(rule.begins, until),
            mode=rule.mode,
            who=rule.decided_by,
            source=_source(rule),
        )


def _rule_label(rule: Rule) -> str:
    parts = [_MODE_WORDS[rule.mode]]
    if rule.mode is not Mode.NOT_ENABLED:
        if rule.minimum_age:
            parts.append(f"{rule.minimum_age} and over")
        if rule.notice:
            days = rule.notice.days
            parts.append(f"notice {days} day{'' if days == 1 else 's'} before")
    return ", ".join(parts)


def _hold_rows(book: Rulebook, purpose: str, scope: str) -> Iterator[TimelineRow]:
    holds = [hold for hold in book.holds if hold.scope == scope and _concerns(hold, purpose)]
    for hold in sorted(holds, key=lambda hold: (_day(hold.begins), hold.hold_id)):
        who = [hold.placed_by]
        who += [f"asked by {hold.asked_by}"] if hold.asked_by else []
        who += [f"ordered by {hold.ordered_by}"] if hold.ordered_by else []
        begun = Exactness.UNKNOWN if hold.begins is None else Exactness.EXACT
        yield TimelineRow(
            scope=scope,
            kind="hold",
            label=hold.hold_id,
            begins=hold.begins,
            until=hold.lifted,
            exactness=max(begun, _exactness(hold.begins, hold.lifted), key=_doubt),
            mode=None,
            who=", ".join(who),
            source=_source(hold),
        )


def _source(item: Rule | Hold) -> str:
    source = item.sources.get("from")
    return source.title if source else ""


def _doubt(exactness: Exactness) -> int:
    return list(Exactness).index(exactness)


def _exactness(*bounds: Dated | None) -> Exactness:
    known = [bound.exactness for bound in bounds if bound is not None]
    return max(known, key=_doubt, default=Exactness.EXACT)


def _day(bound: Dated | None) -> float:
    """A bound as days since year 1; always comes first."""
    return 0.0 if bound is None else day_of(bound)


# ---- picture ----------------------------------------------------------------------------


def _window(
    rows: Iterable[TimelineRow], today: date, start: date | None, end: date | None
) -> tuple[date, date]:
    bounds = [bound for row in rows for bound in (row.begins, row.until) if bound is not None]
    days = [date.fromordinal(int(_day(bound))) for bound in bounds] or [today]
    first, last = min(days), max(days)
    if today <= _later(last, _TODAY_WITHIN) and today >= _later(first, -_TODAY_WITHIN):
        first, last = min(first, today), max(last, today)
    begin = start or _later(first, -_MARGIN).replace(day=1)
    finish = end or _later(last, _MARGIN)
    begin = min(begin, date.max - timedelta(days=1))
    return begin, max(finish, begin + timedelta(days=1))


def _later(day: date, by: timedelta) -> date:
    try:
        return day + by
    except OverflowError:
        return date.max if by > timedelta(0) else date.min


def _lane(book: Rulebook, scope: str, rows: Iterable[TimelineRow]) -> Lane:
    mine = [row for row in rows if row.scope == scope]
    rules = [row for row in mine if row.kind == "rule"]
    holds = [row for row in mine if row.kind == "hold"]
    group = book.groups.get(scope)
    name = "Everywhere else" if scope == WORLD else COUNTRY_NAMES.get(scope, scope)
    return Lane(
        name=group.title if group else name,
        code=scope,
        # Where a scope has no rule at all the wider ones speak; with one, it is silent by itself.
        bands=(*_silences(rules), *map(_band, rules)) if rules or scope == WORLD else (),
        holds=tuple(_hold_bar(row) for row in holds),
        notes=tuple(_short_windows(rules, holds)),
    )


def _silences(rules: list[TimelineRow]) -> Iterator[Bar]:
    """Yield the times for which a scope has no rule."""
    ends: list[tuple[Dated | None, Dated | None]] = [
        (former.until, later.begins)
        for former, later in pairwise(rules)
        if former.until is not None and _day(former.until) < _day(later.begins)
    ]
    if not rules:
        ends.append((None, None))
    else:
        if rules[0].begins is not None:
            ends.append((None, rules[0].begins))
        if rules[-1].until is not None:
            ends.append((rules[-1].until, None))
    for begins, until in ends:
        yield Bar("no-rule", begins, until, ("no rule",), "no rule")


def _band(row: TimelineRow) -> Bar:
    mode, *terms = row.label.split(", ")
    since = _since(row.begins)
    begun = f"{mode} · {since}" if row.begins is None else f"{mode} {since}"
    labels = (" · ".join((begun, *terms)), begun, *([mode] if row.begins is None else []))
    told = f"{row.label}, {since}, decided by {row.who}; source: {row.source}"
    return Bar(row.mode or "no-rule", row.begins, row.until, labels, told)


def _hold_bar(row: TimelineRow) -> Bar:
    span = _span(row)
    placed = row.who.split(", ")[0]
    labels = (
        f"hold · {row.who} · {span}",
        f"hold · {row.who} · {_since(row.begins, 'beginning unknown')}",
        f"hold · {placed} · {span}",
        f"hold · {span}",
    )
    told = f"hold {row.label}, {row.who}, {span}; source: {row.source}"
    return Bar("hold", row.begins, row.until, labels, told)


def _short_windows(rules: list[TimelineRow], holds: list[TimelineRow]) -> Iterator[Note]:
    """Point out how long a rule permitted before the first hold on it began."""
    for rule in rules:
        if rule.mode is Mode.NOT_ENABLED or rule.begins is None:
            continue
        begin, end = _day(rule.begins), _day(rule.until) if rule.until else float("inf")
        after = [hold for hold in holds if hold.begins and begin < _day(hold.begins) < end]
        standing = [
            hold
            for hold in holds
            if _day(hold.begins) <= begin and (hold.until is None or _day(hold.until) > begin)
        ]
        if standing or not after:
            continue
        hold = min(after, key=lambda row: _day(row.begins))
        days = round(_day(hold.begins) - begin)
        if 0 < days <= _SHORT_WINDOW_DAYS:
            exact = rule.begins.exactness is hold.exactness is Exactness.EXACT
            few = f"{days} day{'s' if days > 1 else ''}"
            text = f"{few} without a hold" if exact else f"at most {few} without a hold"
            yield Note(begin, _day(hold.begins), text)


def _since(bound: Dated | None, unbounded: str = "always") -> str:
    if bound is None:
        return unbounded
    words = {Exactness.EXACT: "from", Exactness.BY: "by", Exactness.UNKNOWN: "around"}
    return f"{words[bound.exactness]} {written_day(bound)}"


def _span(row: TimelineRow) -> str:
    if row.until is None:
        return _since(row.begins, "beginning unknown")
    about = {Exactness.EXACT: "", Exactness.BY: "by ", Exactness.UNKNOWN: "around "}
    begun = "unknown"
    if row.begins is not None:
        begun = about[row.begins.exactness] + written_day(row.begins)
    if row.until.exactness is Exactness.BY:
        return f"{begun} to {written_day(row.until)} at the latest"
    return f"{begun} to {about[row.until.exactness]}{written_day(row.until)}"
