"""A third evaluation: the rulebook as Cedar policies, evaluated by Cedar's own engine.

`policies_of` writes one `permit` for each country from the text of a rulebook: its scopes,
its dates and its rules. Nothing of `in_force`, of the checks or of the tables takes part:
which rule is in force, whether a group contains the country, notice days and age are all
comparisons of `context.at` inside Cedar, and the midnights come from `day_begins_at`, which
looks for the first instant whose local date is the day.

Cedar's `forbid` fails open on errors, so the policies are an allow-list (they permit only
where all holds), schema and validation are on, and an error in the diagnostics is a deny.
Only allow and deny are compared: Cedar knows no reasons.

Source: Cedar Policy Language Reference, "Authorization": a policy whose condition errs is
skipped.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Any

import cedarpy

from sayso.model import (
    EVERY_PURPOSE,
    Country,
    Dated,
    Facts,
    Group,
    Hold,
    MemberFacts,
    Mode,
    Others,
    RecordFacts,
    Rule,
    Rulebook,
)
from sayso.rulebook.civil import zones_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
US_PER_DAY = 86_400_000_000
# Notices that a request has room for.
SLOTS = 3
ALWAYS_US, NEVER_US = -(1 << 61), 1 << 61
OLDEST_YEARS = 130

_SLOTS = "".join(f"served{slot}: Long, isServed{slot}: Bool, " for slot in range(SLOTS))
SCHEMA = (
    "entity Member; entity Record;"
    'action "train" appliesTo { principal: [Member], resource: [Record], context: {'
    f"at: Long, country: String, presence: String, status: String, choice: String, {_SLOTS}"
    "isBorn: Bool, years: Long, "
    "isSingle: Bool, category: String, visibility: String, authorship: String, "
    "isPlaced: Bool, place: String, mentions: String, "
    "isWritten: Bool, written: Long, writtenYears: Long, isDeleted: Bool, deleted: Long } };"
)


# ---- civil time, on its own -------------------------------------------------------------


@lru_cache(maxsize=1 << 14)
def day_begins_at(day: date, zone: tzinfo) -> datetime:
    """Return the first whole second at which the local date is `day`, or later."""
    hour = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    while hour.astimezone(zone).date() < day:
        hour += timedelta(hours=1)
    low, high = -3600, 0
    while low < high:
        middle = (low + high) // 2
        if (hour + timedelta(seconds=middle)).astimezone(zone).date() < day:
            low = middle + 1
        else:
            high = middle
    return hour + timedelta(seconds=low)


def first_us(bound: Dated | None, country: str, unbounded: int) -> int:
    """Return when a bound begins anywhere in a country."""
    return _bound(bound, country, unbounded, min)


def last_us(bound: Dated | None, country: str, unbounded: int) -> int:
    """Return when a bound has begun everywhere in a country."""
    return _bound(bound, country, unbounded, max)


def _bound(bound: Dated | None, country: str, unbounded: int, side: Any) -> int:
    if bound is None:
        return unbounded
    if isinstance(bound.value, datetime):
        return _us(bound.value)
    return _us(side(day_begins_at(bound.value, zone) for zone in zones_of(Country(country))))


def _us(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def completed_years(born: date, country: str, moment: datetime) -> int:
    """Return the birthdays that have begun everywhere in a country, less one for the first."""
    years = moment.year - born.year + 1
    while years >= 0 and _birthday_us(born, years, country) > _us(moment):
        years -= 1
    return years


@lru_cache(maxsize=1 << 14)
def _birthday_us(born: date, years: int, country: str) -> int:
    try:
        day = date(born.year + years, born.month, born.day)
    except ValueError:  # 29 February
        day = date(born.year + years, 3, 1)
    return last_us(Dated(day), country, NEVER_US)


# ---- policies ---------------------------------------------------------------------------


def policies_of(book: Rulebook, purpose: str, countries: Iterable[str]) -> cedarpy.PolicySet:
    """Return a rulebook as Cedar policies, validated against the schema."""
    text = "\n".join(_policy(book, purpose, country) for country in countries)
    result = cedarpy.validate_policies(text, SCHEMA)
    assert result.validation_passed, result.errors
    return cedarpy.PolicySet.from_str(text)


def _policy(book: Rulebook, purpose: str, country: str) -> str:
    conditions = [
        f"context.country == {_quoted(country)}",
        'context.presence == "known"',
        'context.status == "active"',
        "context.isSingle",
        "context.isWritten && context.written <= context.at",
        "(!context.isDeleted || context.at < context.deleted)",
        *_rules(book, purpose, country),
        *_holds(book, purpose, country),
    ]
    when = "\n  && ".join(conditions)
    return f'permit (principal, action == Action::"train", resource) when {{\n  {when}\n}};'


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _within(low: int, high: int) -> str:
    return f"(context.at >= {_long(low)} && context.at < {_long(high)})"


def _long(value: int) -> str:
    return str(value) if value >= 0 else f"({value})"


def _any(parts: Sequence[str]) -> str:
    return f"({' || '.join(parts)})" if parts else "false"


def _all(parts: Sequence[str]) -> str:
    return f"({' && '.join(parts)})" if parts else "true"


def _applies(book: Rulebook, scope: str, country: str) -> str:
    """Write when a scope contains a country."""
    if scope in {country, "world"}:
        return "true"
    group: Group | None = book.groups.get(scope)
    return _any(
        [
            _within(first_us(one.begins, country, ALWAYS_US), last_us(one.until, country, NEVER_US))
            for one in (group.members if group else ())
            if one.country == country
        ]
    )


def _rules(book: Rulebook, purpose: str, country: str) -> Iterator[str]:
    by_scope: dict[str, list[Rule]] = {}
    for rule in book.rules:
        if rule.purpose == purpose:
            by_scope.setdefault(rule.scope, []).append(rule)
    world = by_scope.pop("world", [])
    narrower = []
    for scope, rules in by_scope.items():
        applies = _applies(book, scope, country)
        if applies != "false":
            narrower.append(applies)
            yield f"(!{applies} || {_scope(rules, country)})"
    yield f"({_any(narrower)} || {_scope(world, country)})"


def _scope(rules: Sequence[Rule], country: str) -> str:
    """Write what the rules of one scope permit, each in its own time."""
    begins: dict[int, list[Rule]] = {}
    for rule in rules:
        side = first_us if rule.mode is Mode.NOT_ENABLED else last_us
        begins.setdefault(side(rule.begins, country, ALWAYS_US), []).append(rule)
    times = [*sorted(begins), NEVER_US]
    return _any(
        [
            _all([_within(begin, end), *(_rule(rule, country) for rule in begins[begin])])
            for begin, end in pairwise(times)
        ]
    )


def _rule(rule: Rule, country: str) -> str:
    if rule.mode is Mode.NOT_ENABLED:
        return "false"
    said = ["on"] if rule.mode is Mode.OPT_IN else ["on", "unset", "deferred"]
    conditions = [
        _one_of("choice", said),
        _any(
            [
                _all([_one_of("category", [kind]), _one_of("visibility", seen)])
                for kind, seen in rule.categories.items()
            ]
        ),
        _one_of("authorship", rule.authorship),
    ]
    if rule.until is not None:
        conditions.append(f"context.at < {_long(first_us(rule.until, country, NEVER_US))}")
    if (age := rule.minimum_age) is not None:
        conditions.append(
            f"context.isBorn && context.years >= {age} && context.writtenYears >= {age}"
        )
    if rule.others is Others.REFUSE:
        conditions.append('context.mentions == "nobody"')
    if rule.excluded_contexts:
        conditions.append(f"context.isPlaced && !{_one_of('place', rule.excluded_contexts)}")
    if rule.earliest_written is not None:
        earliest = last_us(rule.earliest_written, country, ALWAYS_US)
        conditions.append(f"context.written >= {_long(earliest)}")
    if rule.notice is not None:
        since = last_us(rule.notice.since, country, ALWAYS_US)
        wait = rule.notice.days * US_PER_DAY
        conditions.append(
            _any(
                [
                    f"(context.isServed{slot} && context.served{slot} >= {_long(since)}"
                    f" && context.at - context.served{slot} >= {wait})"
                    for slot in range(SLOTS)
                ]
            )
        )
    return _all(conditions)


def _one_of(name: str, words: Iterable[str]) -> str:
    listed = ", ".join(_quoted(str(word)) for word in sorted(words))
    return f"[{listed}].contains(context.{name})" if listed else "false"


def _holds(book: Rulebook, purpose: str, country: str) -> Iterator[str]:
    for hold in book.holds:
        if purpose in hold.purposes or EVERY_PURPOSE in hold.purposes:
            yield f"!{_all([_applies(book, hold.scope, country), _stands(hold, country)])}"


def _stands(hold: Hold, country: str) -> str:
    return _within(
        first_us(hold.begins, country, ALWAYS_US), last_us(hold.lifted, country, NEVER_US)
    )


# ---- requests ---------------------------------------------------------------------------


def request_of(facts: Facts, country: str | None) -> dict[str, Any]:
    """Return facts as a request; the member's jurisdiction is not looked at."""
    assert facts.record is not None
    return {
        "principal": {"type": "Member", "id": "1"},
        "action": {"type": "Action", "id": "train"},
        "resource": {"type": "Record", "id": "1"},
        "context": {
            "at": _us(facts.at),
            "country": country or "unknown",
            **_member(facts.member, country, facts.at),
            **_record(facts.record),
            **_years(facts, country),
        },
    }


def _member(member: MemberFacts, country: str | None, at: datetime) -> dict[str, Any]:
    assert len(member.notices_at) <= SLOTS, "more notices than a request has room for"
    served = [_us(one) for one in member.notices_at if one <= at]
    slots: dict[str, bool | int] = {}
    for slot in range(SLOTS):
        here = slot < len(served)
        slots |= {f"isServed{slot}": here, f"served{slot}": served[slot] if here else 0}
    return {
        "presence": member.presence.name.lower(),
        "status": str(member.status or "unknown"),
        "choice": str(member.choice),
        **slots,
    }


def _record(record: RecordFacts) -> dict[str, Any]:
    mentions = {None: "unknown", False: "nobody", True: "somebody"}[record.mentions]
    return {
        "isSingle": record.is_single,
        "category": str(record.category or "unknown"),
        "visibility": str(record.visibility or "unknown"),
        "authorship": str(record.authorship or "unknown"),
        "isPlaced": record.context is not None,
        "place": record.context or "",
        "mentions": mentions,
        "isWritten": record.written_at is not None,
        "written": _us(record.written_at) if record.written_at else 0,
        "isDeleted": record.deleted_at is not None,
        "deleted": _us(record.deleted_at) if record.deleted_at else 0,
    }


def _years(facts: Facts, country: str | None) -> dict[str, Any]:
    born, at = facts.member.born, facts.at
    assert facts.record is not None
    years = written = -1
    is_born = born is not None and country is not None and born.year >= at.year - OLDEST_YEARS
    if is_born and born and country:
        years = completed_years(born, country, at)
        if facts.record.written_at:
            written = completed_years(born, country, facts.record.written_at)
    return {"isBorn": is_born and years >= 0, "years": years, "writtenYears": written}


_SCHEMA = cedarpy.Schema.from_str(SCHEMA)
_NOBODY = cedarpy.Entities.from_json_str("[]")


def allowed(policies: cedarpy.PolicySet, requests: list[dict[str, Any]]) -> list[bool]:
    """Return what Cedar allows; an error in the diagnostics is a deny."""
    results = cedarpy.is_authorized_batch(requests, policies, _NOBODY, _SCHEMA)
    return [
        result.decision is cedarpy.Decision.Allow and not result.diagnostics.errors
        for result in results
    ]
