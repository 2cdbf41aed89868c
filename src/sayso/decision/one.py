"""The definition: may this record of this member be used, and if not, why not.

Promises: `decide` is pure and total; unknown means no, with a reason; every reason comes
from exactly one check over a few classes. Everything else that answers the question is
checked against this page. Does not read a clock, a file or a rulebook.

`classify_member` and `classify_record` compare dates; the checks look at classes only, so
that a rulebook tabulates (`sayso.decision.cells` runs the same checks over every class).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from sayso.model import (
    REASONS,
    Choice,
    Decision,
    Facts,
    Jurisdiction,
    MemberFacts,
    Mode,
    Others,
    Place,
    Presence,
    Reason,
    RecordFacts,
    RuleInForce,
    Status,
    birthday,
    last_midnight,
)

# Nobody has been known to live longer; an earlier birth date is an error of the table.
OLDEST_YEARS = 130

Causes = tuple[Place, ...] | None  # None: no reason; (): the member's or the record's own


ADMITTED = Decision((), {})


class Age(IntEnum):
    """A member's age against the strictest minimum age in force."""

    NOT_ASKED = 0
    UNKNOWN = 1
    UNDER = 2
    REACHED = 3


class MemberClass(NamedTuple):
    """What the member's checks look at."""

    presence: Presence
    status: Status | None
    jurisdiction: Jurisdiction | None
    unnoticed: tuple[RuleInForce, ...]  # rules that ask for a notice and saw none
    waiting: tuple[RuleInForce, ...]  # rules whose notice days have not passed
    age: Age
    choice: Choice


class RecordClass(NamedTuple):
    """What the record's checks look at; `jurisdiction` is the member's."""

    facts: RecordFacts
    jurisdiction: Jurisdiction | None
    deleted: bool
    written: bool  # whether the writing time is known, and not after `at`
    too_early: tuple[RuleInForce, ...]
    as_minor: bool


def decide(facts: Facts) -> Decision:
    """Return the decision with every reason; without a record, the member's part."""
    member, at = facts.member, facts.at
    come = of_age_at(member, at)
    causes = member_causes(classify_member(member, at, come))
    if facts.record is not None:
        law = member.jurisdiction if member.presence is Presence.KNOWN else None
        causes |= record_causes(classify_record(facts.record, law, at, come))
    if not causes:
        return ADMITTED
    return Decision(tuple(reason for reason in REASONS if reason in causes), causes)


def member_causes(member: MemberClass) -> dict[Reason, tuple[Place, ...]]:
    """Run the member's checks over one class."""
    return {
        reason: places
        for reason, check in MEMBER_CHECKS.items()
        if (places := check(member)) is not None
    }


def record_causes(record: RecordClass) -> dict[Reason, tuple[Place, ...]]:
    """Run the record's checks over one class."""
    return {
        reason: places
        for reason, check in RECORD_CHECKS.items()
        if (places := check(record)) is not None
    }


# ---- classify: comparisons of dates, nothing else ---------------------------------------


def of_age_at(member: MemberFacts, at: datetime) -> datetime | None:
    """Return when the member comes of age everywhere in their country.

    Returns:
        None where no age is asked, or the birth date is missing, impossible or after `at`.
    """
    law, born = member.jurisdiction, member.born
    if law is None or law.minimum_age is None or born is None:
        return None
    if born.year < at.year - OLDEST_YEARS or last_midnight(born, law.zones) > at:
        return None
    day = birthday(born, law.minimum_age)
    return None if day is None else last_midnight(day, law.zones)


def classify_member(member: MemberFacts, at: datetime, come: datetime | None) -> MemberClass:
    """Turn a member's facts into classes as of `at`; `come` is their coming of age."""
    law = member.jurisdiction if member.presence is Presence.KNOWN else None
    unnoticed: list[RuleInForce] = []
    waiting: list[RuleInForce] = []
    for held in law.rules if law else ():
        if (notice := held.rule.notice) is None:
            continue
        since = held.notice_since_at
        served = [one for one in member.notices_at if one <= at and (since is None or since <= one)]
        if not served:
            unnoticed.append(held)
        elif at - min(served) < timedelta(hours=24 * notice.days):
            waiting.append(held)
    age = Age.NOT_ASKED
    if law is not None and law.minimum_age is not None:
        age = Age.UNKNOWN if come is None else Age.REACHED if come <= at else Age.UNDER
    return MemberClass(
        member.presence, member.status, law, tuple(unnoticed), tuple(waiting), age, member.choice
    )


def classify_record(
    record: RecordFacts, law: Jurisdiction | None, at: datetime, come: datetime | None
) -> RecordClass:
    """Turn a record's facts into classes as of `at`, under its member's jurisdiction."""
    written_at = record.written_at
    early: tuple[RuleInForce, ...] = ()
    minor = False
    written = written_at is not None and written_at <= at
    if law is not None and written_at is not None and written:
        early = tuple([r for r in law.rules if r.earliest_at and written_at < r.earliest_at])
        minor = come is not None and written_at < come
    deleted = record.deleted_at is not None and record.deleted_at <= at
    return RecordClass(record, law, deleted, written, early, minor)


# ---- the checks: each adds at most one reason -------------------------------------------


def _if(condition: bool) -> Causes:
    return () if condition else None


def _of(rules: Sequence[RuleInForce]) -> Causes:
    return tuple([held.rule.place for held in rules]) if rules else None


def _in_mode(law: Jurisdiction | None, mode: Mode) -> Causes:
    return _of([held for held in law.rules if held.rule.mode is mode]) if law else None


def _aged(law: Jurisdiction | None) -> Causes:
    return _of([r for r in law.rules if r.rule.minimum_age == law.minimum_age]) if law else None


def _category(c: RecordClass) -> Causes:
    """A category must be listed by every rule; where no rule applies, none lists it."""
    if c.jurisdiction is None:
        return None
    if not c.jurisdiction.rules:
        return ()
    return _of([r for r in c.jurisdiction.rules if c.facts.category not in r.rule.categories])


def _visibility(c: RecordClass) -> Causes:
    """Asked only of a category that is listed."""
    category, seen = c.facts.category, c.facts.visibility
    if c.jurisdiction is None or category is None:
        return None
    return _of(
        [r for r in c.jurisdiction.rules if seen not in r.rule.categories.get(category, (seen,))]
    )


def _authorship(c: RecordClass) -> Causes:
    if c.jurisdiction is None:
        return None
    return _of([r for r in c.jurisdiction.rules if c.facts.authorship not in r.rule.authorship])


def _context(c: RecordClass) -> Causes:
    """An unknown context may be any of those that a rule excludes."""
    if c.jurisdiction is None:
        return None
    context = c.facts.context
    excluding = [r for r in c.jurisdiction.rules if r.rule.excluded_contexts]
    return _of([r for r in excluding if context is None or context in r.rule.excluded_contexts])


def _others(c: RecordClass) -> Causes:
    """Where others must not be mentioned, not knowing is no answer."""
    if c.jurisdiction is None or c.facts.mentions is False:
        return None
    return _of([r for r in c.jurisdiction.rules if r.rule.others is Others.REFUSE])


MEMBER_CHECKS: Mapping[Reason, Callable[[MemberClass], Causes]] = {
    Reason.MEMBER_UNKNOWN: lambda c: _if(c.presence is Presence.UNKNOWN),
    Reason.MEMBER_ERASED: lambda c: _if(c.presence is Presence.ERASED),
    Reason.STATUS_EXCLUDED: lambda c: _if(
        c.presence is Presence.KNOWN and c.status is not Status.ACTIVE
    ),
    Reason.JURISDICTION_UNKNOWN: lambda c: _if(
        c.presence is Presence.KNOWN and c.jurisdiction is None
    ),
    Reason.NO_RULE: lambda c: _if(c.jurisdiction is not None and bool(c.jurisdiction.unruled)),
    Reason.NOT_ENABLED: lambda c: _in_mode(c.jurisdiction, Mode.NOT_ENABLED),
    Reason.ON_HOLD: lambda c: (
        tuple([hold.place for hold in c.jurisdiction.holds]) or None if c.jurisdiction else None
    ),
    Reason.NOT_NOTIFIED: lambda c: _of(c.unnoticed),
    Reason.NOTICE_PERIOD: lambda c: _of(c.waiting),
    Reason.AGE_UNKNOWN: lambda c: _aged(c.jurisdiction) if c.age is Age.UNKNOWN else None,
    Reason.UNDER_AGE: lambda c: _aged(c.jurisdiction) if c.age is Age.UNDER else None,
    Reason.CHOSEN_OFF: lambda c: _if(c.choice is Choice.OFF),
    Reason.NOT_CHOSEN: lambda c: (
        _in_mode(c.jurisdiction, Mode.OPT_IN) if c.choice is not Choice.ON else None
    ),
}

RECORD_CHECKS: Mapping[Reason, Callable[[RecordClass], Causes]] = {
    Reason.RECORD_UNKNOWN: lambda c: _if(not c.facts.is_single),
    Reason.CATEGORY_EXCLUDED: _category,
    Reason.NOT_VISIBLE_ENOUGH: _visibility,
    Reason.NOT_OWN_WORDS: _authorship,
    Reason.CONTEXT_EXCLUDED: _context,
    Reason.OTHERS_PRESENT: _others,
    Reason.RECORD_DELETED: lambda c: _if(c.deleted),
    Reason.WRITTEN_UNKNOWN: lambda c: _if(not c.written),
    Reason.WRITTEN_TOO_EARLY: lambda c: _of(c.too_early),
    Reason.WRITTEN_AS_MINOR: lambda c: _aged(c.jurisdiction) if c.as_minor else None,
}
