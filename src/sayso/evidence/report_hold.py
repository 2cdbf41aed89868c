"""The report of a hold: whom it covers, when builds stopped, what had been built before.

Promises: pure; a day that is not known exactly is a window called unknown, never an empty one;
where this ledger knows of no build, it says that others may exist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sayso.decision.explain import cite
from sayso.evidence import limits
from sayso.evidence.report import Check, Claim, Fact, Picture, Report, Table
from sayso.evidence.report_parts import (
    instant,
    locally,
    name_of,
    names,
    place,
    places,
    plural,
    purpose_title,
    titled,
)
from sayso.evidence.suppress import FEW, Sum, few, hide, shown
from sayso.evidence.trace import HoldTrace, Relation, Span, Touched, Window
from sayso.log import Policy
from sayso.model import Dated, Exactness, Hold, Rulebook, Withdrawal

READER = (
    "For the authority concerned. This page hides small counts; the manifests in the same pack "
    "hold the exact ones."
)
_RELATIONS: Mapping[Relation, str] = {
    Relation.BEFORE: "before the hold",
    Relation.UNKNOWN: "unknown: the hold may have stood",
    Relation.UNDER: "under the hold",
    Relation.AFTER: "after the hold",
}
OUTSIDE = (
    "This ledger knows the builds that went through Sayso. Where a window names none, that is not "
    "to say that nothing was trained in it: what was trained elsewhere, or before this ledger "
    "began, is unknown here."
)
COLLECTED = (
    "A hold stops later use. What was built before it stays as it was built; what happens to "
    "models that learned from it follows from the withdrawal of the rule that admitted it."
)
WITHDRAWALS: Mapping[Withdrawal, str] = {
    Withdrawal.FUTURE_RUNS: "models that learned then stay as they are",
    Withdrawal.FORGET: "models that learned then have to forget it",
}


@dataclass(frozen=True, slots=True)
class HoldFacts:
    """What the report is made from.

    Attributes:
        members: Members by country of the scope, as of the instant named; None where the
            tables of that time are gone.
        members_at: That instant.
        first_recorded_at: When the ledger begins.
    """

    trace: HoldTrace
    book: Rulebook
    members: Mapping[str, int] | None
    members_at: datetime
    first_recorded_at: datetime
    policy: Policy
    picture: Picture | None
    checks: tuple[Check, ...]
    made_at: datetime


def report_hold(facts: HoldFacts) -> Report:
    """Return the report of a hold."""
    trace = facts.trace
    hold = trace.hold
    builds = plural(len(trace.builds), "build", "builds")
    unknown = _count(trace, Relation.UNKNOWN)
    return Report(
        kind="Hold",
        title=f"The hold on {_scope(facts)}: {_span_words(hold)}",
        question=(
            "Who was placed under this hold, when did each build stop, and what had been built "
            "from their records before?"
        ),
        made_at=instant(facts.made_at),
        reader=READER,
        answer=tuple(answer_of(facts.trace)),
        figures=(
            Fact("members in scope", _members_total(facts), "when it began"),
            Fact("builds before it", _count(trace, Relation.BEFORE)),
            *([Fact("builds at an unknown point", unknown)] if unknown != "0" else []),
            Fact("builds under it", _count(trace, Relation.UNDER)),
            Fact("not stopped by it", f"{sum(one.slipped for one in trace.builds):,}"),
        ),
        about=_about(facts),
        claims=_claims(facts),
        checks=facts.checks,
        numbers_title="Windows, builds and numbers",
        tables=(
            _windows(facts),
            builds_of(trace, f"All {builds} of its purposes, in the order of recording"),
            _versions(facts),
            _members(facts),
        ),
        picture=facts.picture,
        limits=(
            OUTSIDE, COLLECTED, limits.ADMITTED, limits.SUBMITTED,
            limits.of_witnesses(facts.policy), limits.FACTS, limits.TIMES, limits.RECORDS,
            limits.FEW, limits.MODELS, limits.COPIES,
        ),
    )  # fmt: skip


# ---- words ------------------------------------------------------------------------------


def _scope(facts: HoldFacts) -> str:
    scope = facts.trace.hold.scope
    group = facts.book.groups.get(scope)
    if group is not None:
        return group.title
    return name_of(scope) if scope != "world" else "all countries"


def _span_words(hold: Hold) -> str:
    until = f"lifted {_dated(hold.lifted)}" if hold.lifted else "still standing"
    return f"{_since(hold.begins)}, {until}"


def _since(bound: Dated | None) -> str:
    if bound is None:
        return "since a day that is not known"
    words = {Exactness.EXACT: "from", Exactness.BY: "from, at the latest,"}
    return f"{words.get(bound.exactness, 'from about')} {_day(bound)}"


def _dated(bound: Dated) -> str:
    words = {Exactness.EXACT: "", Exactness.BY: "at the latest "}
    return f"{words.get(bound.exactness, 'about ')}{_day(bound)}"


def _day(bound: Dated) -> str:
    value = bound.value
    return instant(value) if isinstance(value, datetime) else value.isoformat()


def _who(hold: Hold) -> str:
    asked = f", asked by {hold.asked_by}" if hold.asked_by else ""
    ordered = f", ordered by {hold.ordered_by}" if hold.ordered_by else ""
    return f"{hold.placed_by}{asked}{ordered}"


def answer_of(trace: HoldTrace) -> list[str]:
    """Return what a trace says, in sentences."""
    tense = "stood" if trace.hold.lifted else "stands"
    lines = [f"Placed by {_who(trace.hold)}, it {tense} {_span_words(trace.hold)}."]
    for window in trace.windows:
        inside = trace.inside(window)
        at_most = "" if window.is_exact else "at most "
        length = f"{at_most}{_rounded(window)} days" if window.begins else "as long as it is told"
        began = f"from {locally(window.begins, window.countries)}" if window.begins else "always"
        lines.append(
            f"Before it, members in {names(window.countries)} stood under a rule that permitted "
            f"this use and under no hold for {length}: {began} until "
            f"{locally(window.until, window.countries)}. "
            + (
                f"This ledger knows of {plural(len(inside), 'build', 'builds')} as of an instant "
                "in that window."
                if inside
                else "This ledger knows of no build as of an instant in that window; what was "
                "trained elsewhere is unknown here, not none."
            )
            + f" What had been collected: by that rule, {_kept(window)}."
        )
    if not trace.windows:
        lines.append(
            "No rule in the rulebook permitted this use in its scope before it began, as far as "
            "the dates are known."
        )
    lines.append(_stopping(trace))
    if unknown := sum(Relation.UNKNOWN in one.relations for one in trace.builds):
        lines.append(
            f"{plural(unknown, 'build is', 'builds are')} as of an instant at which the hold may "
            "or may not have stood, since its day is not known exactly."
        )
    return lines


def _kept(window: Window) -> str:
    """Return what becomes of models that learned in a window; the stricter rule counts."""
    forget = any(rule.withdrawal is Withdrawal.FORGET for rule in window.rules)
    return WITHDRAWALS[Withdrawal.FORGET if forget else Withdrawal.FUTURE_RUNS]


def _stopping(trace: HoldTrace) -> str:
    slipped = [one for one in trace.builds if one.slipped]
    if not slipped:
        return (
            "Every build as of an instant under the hold was stopped by it for all of its scope."
            if any(Relation.UNDER in one.relations for one in trace.builds)
            else "No build of this ledger is as of an instant under the hold."
        )
    unaware = sum(not one.knew for one in slipped)
    told = (
        f"{plural(len(slipped), 'build', 'builds')} as of an instant under the hold "
        f"{'was' if len(slipped) == 1 else 'were'} not stopped by it"
    )
    if unaware:
        told += f"; {unaware:,} did not know of it, since it was published later"
    if trace.late:
        last = trace.late[-1].build.recorded_at
        hours = (last - trace.published_at).total_seconds() / 3600
        told += f". The last one was recorded {hours:,.1f} hours after the hold was published"
    return told + "."


# ---- parts ------------------------------------------------------------------------------


def _about(facts: HoldFacts) -> tuple[Fact, ...]:
    trace, hold = facts.trace, facts.trace.hold
    purposes = ", ".join(
        "every purpose" if one == "*" else purpose_title(facts.book, one)
        for one in sorted(hold.purposes)
    )
    facts_ = [
        Fact("Hold", hold.hold_id, str(hold.place)),
        Fact("Scope", _scope(facts), plural(len(trace.countries), "country", "countries")),
        Fact("Stops", purposes),
        Fact("Placed by", _who(hold), f"source: {cite(hold.sources.get('from'))}"),
    ]
    if hold.condition:
        facts_.append(Fact("Condition", hold.condition))
    if hold.position is not None:
        facts_.append(
            Fact(
                "Position on the lift", str(hold.position),
                f"what the authority said of it; source: {cite(hold.sources.get('position'))}",
            )
        )  # fmt: skip
    facts_ += [_span(span) for span in trace.spans[:6]]
    if len(trace.spans) > 6:
        facts_.append(Fact("Stands elsewhere", f"{len(trace.spans) - 6} more, in report.json"))
    return tuple(facts_)


def _span(span: Span) -> Fact:
    where = span.countries
    begun = f"from {locally(span.begun_by, where)}"
    if span.begun_from is None:
        begun = f"surely from {locally(span.begun_by, where)}, since when before that is unknown"
    ended = ""
    if span.ended_by is not None:
        ended = f", until {locally(span.ended_by, where)}"
        if span.ended_from != span.ended_by:
            ended = f", ended by {locally(span.ended_by, where)}, on a day that is unknown"
    return Fact(f"Stands in {places(span.countries)}", f"{begun}{ended}")


def _claims(facts: HoldFacts) -> tuple[Claim, ...]:
    trace = facts.trace
    claims = [
        Claim(
            f"The hold was {one.what} in the rulebook published on {instant(one.recorded_at)}.",
            f"entries/{one.entry}.json",
        )
        for one in trace.versions
    ]
    claims.append(
        Claim(
            f"{plural(len(trace.builds), 'build', 'builds')} of its purposes stand in the ledger, "
            "and no more.",
            "entries/ with proofs/; their counts in snapshots/, signed",
        )
    )
    return tuple(claims)


def _windows(facts: HoldFacts) -> Table:
    rows = []
    for window in facts.trace.windows:
        inside = facts.trace.inside(window)
        rows.append(
            (
                places(window.countries),
                instant(window.begins) if window.begins else "always",
                instant(window.until),
                _length(window),
                "; ".join(
                    f"{rule.place} ({rule.mode}), by {rule.decided_by}: "
                    f"{WITHDRAWALS[rule.withdrawal]}"
                    for rule in window.rules
                ),
                _inside(inside),
            )
        )
    return Table(
        "When the use was permitted before the hold, and no hold stood",
        ("Members in", "From", "Until", "Days", "Under which rule", "Builds known here"),
        tuple(rows),
        empty="No rule in the rulebook permitted this use in the scope before the hold.",
        note=OUTSIDE if rows else "",
    )


def _rounded(window: Window) -> str:
    """Return the days of a window: to a tenth, or no fewer than they can be."""
    days = window.days or 0.0
    return f"{round(days, 1):g}" if window.is_exact else f"{ceil(days):,}"


def _length(window: Window) -> str:
    if window.days is None:
        return "since always"
    return _rounded(window) if window.is_exact else f"unknown, at most {_rounded(window)}"


def _inside(inside: Sequence[Touched]) -> str:
    if not inside:
        return "unknown: none in this ledger"
    entries = ", ".join(str(one.build.entry) for one in inside)
    counts = [one.admitted for one in inside]
    if any(count is None for count in counts):
        return f"entry {entries}; counts not at hand"
    total = few(sum(count or 0 for count in counts))
    return f"entry {entries}: {total} records of the scope admitted"


def builds_of(trace: HoldTrace, caption: str) -> Table:
    """Return the builds of a trace, with how each stands to the hold."""
    return Table(
        caption,
        ("Entry", "Recorded", "As of", "To the hold", "Admitted", "On hold"),
        tuple(
            (
                str(one.build.entry), instant(one.build.recorded_at), instant(one.build.at),
                _related(one), *_counts(one),
            )
            for one in trace.builds
        ),
        numbers=frozenset({4, 5}),
        empty="No build of its purposes stands in this ledger.",
        note=(
            "Counts are of records of members in the scope. On hold: refused with the hold as the "
            "first reason; a record with an earlier reason is refused under that one."
        ),
    )  # fmt: skip


def _related(one: Touched) -> str:
    if not one.relations:
        return "outside of its scope"
    if one.relation is not None:
        told = _RELATIONS[one.relation]
    else:
        told = "; ".join(
            f"{_RELATIONS[relation]} in {places(countries)}"
            for relation, countries in one.relations.items()
        )
    if one.slipped:
        told += ", which it did not know" if not one.knew else ", which did not stop it"
    elif Relation.UNDER in one.relations:
        told += ", stopped"
    return told


def _counts(one: Touched) -> tuple[str, str]:
    """Return what was admitted and what the hold refused; their sum is shown nowhere."""
    if one.admitted is None or one.on_hold is None:
        return ("not at hand", "not at hand")
    return (few(one.admitted), few(one.on_hold))


def _versions(facts: HoldFacts) -> Table:
    return Table(
        "What was published about the hold, and when",
        ("Entry", "Published", "What", "Stands", "Source"),
        tuple(
            (
                str(one.entry), instant(one.recorded_at), one.what, _span_words(one.hold),
                titled(one.hold.sources.get("lifted" if one.what == "lifted" else "from")),
            )
            for one in facts.trace.versions
        ),
        note=(
            f"This ledger begins on {instant(facts.first_recorded_at)}. A date before a "
            "publication is what the rulebook says of the past; that it was published then is "
            "not claimed."
        ),
    )  # fmt: skip


def _members(facts: HoldFacts) -> Table:
    caption = f"Members in the scope as of {instant(facts.members_at)}"
    head = ("Country of residence", "Members")
    if facts.members is None:
        gone = "Not to be told: the members' table of that time is not there, or was deleted."
        return Table(caption, head, (), empty=gone)
    if not facts.members:
        return Table(caption, head, (), empty="No member of the platform lived in the scope.")
    total = sum(facts.members.values())
    cells = {**facts.members, "*": total}
    hidden = hide(cells, [Sum("*", tuple(facts.members))])
    rows = [
        (place(country), shown(count, hidden.get(country)))
        for country, count in sorted(facts.members.items())
    ]
    rows.append(("All", shown(total, hidden.get("*"))))
    return Table(caption, head, tuple(rows), numbers=frozenset({1}), total=True)


def _members_total(facts: HoldFacts) -> str:
    return "unknown" if facts.members is None else few(sum(facts.members.values()))


def _count(trace: HoldTrace, relation: Relation) -> str:
    return f"{sum(relation in one.relations for one in trace.builds):,}"


# ---- for machines -----------------------------------------------------------------------


def hold_json(facts: HoldFacts) -> dict[str, object]:
    """Return what the report says, for machines; small counts are hidden here as well."""
    members = {
        "at": instant(facts.members_at), "threshold": FEW, "total": _members_total(facts),
    }  # fmt: skip
    return {**trace_json(facts.trace), "members": members}


def trace_json(trace: HoldTrace) -> dict[str, object]:
    """Return a trace for machines; small counts are hidden."""
    hold = trace.hold
    return {
        "hold": hold.hold_id,
        "scope": hold.scope,
        "purposes": sorted(hold.purposes),
        "placed_by": hold.placed_by,
        "asked_by": hold.asked_by or None,
        "ordered_by": hold.ordered_by or None,
        "from": str(hold.begins) if hold.begins else None,
        "lifted": str(hold.lifted) if hold.lifted else None,
        "versions": [
            {"entry": one.entry, "recorded_at": instant(one.recorded_at), "what": one.what}
            for one in trace.versions
        ],
        "spans": [
            {
                "countries": list(one.countries),
                "begun_from": _maybe(one.begun_from), "begun_by": instant(one.begun_by),
                "ended_from": _maybe(one.ended_from), "ended_by": _maybe(one.ended_by),
            }
            for one in trace.spans
        ],
        "windows": [
            {
                "countries": list(one.countries), "purpose": one.purpose,
                "from": _maybe(one.begins), "until": instant(one.until), "exact": one.is_exact,
                "rules": [str(rule.place) for rule in one.rules],
                "builds": [found.build.entry for found in trace.inside(one)],
            }
            for one in trace.windows
        ],
        "builds": [_build_json(one) for one in trace.builds],
    }  # fmt: skip


def _build_json(one: Touched) -> dict[str, object]:
    admitted, on_hold = _counts(one)
    return {
        "entry": one.build.entry, "recorded_at": instant(one.build.recorded_at),
        "at": instant(one.build.at), "known": one.build.known, "manifest": one.build.manifest,
        "knew": one.knew, "stopped": one.stopped, "admitted": admitted, "on_hold": on_hold,
        "relations": {str(name): list(found) for name, found in one.relations.items()},
    }  # fmt: skip


def _maybe(at: datetime | None) -> str | None:
    return instant(at) if at else None
