"""The report of a hold: whom it covers, when builds stopped, what had been built before.

Promises: pure; a day that is not known exactly is a window called unknown, never an empty one;
where this ledger knows of no build, it says that others may exist. What a trace says in words
is `sayso.evidence.report_trace`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sayso.decision.explain import cite
from sayso.evidence import limits
from sayso.evidence.report import Check, Claim, Fact, Picture, Report, Table
from sayso.evidence.report_parts import (
    instant,
    locally,
    name_of,
    place,
    places,
    plural,
    purpose_title,
    titled,
)
from sayso.evidence.report_trace import (
    OUTSIDE,
    answer_of,
    builds_of,
    learned_of,
    span_words,
    trace_json,
    who,
    windows_of,
)
from sayso.evidence.suppress import FEW, Sum, few, hide, shown
from sayso.evidence.trace import HoldTrace, Relation, Span
from sayso.log import Policy
from sayso.model import Rulebook

READER = (
    "For the authority concerned. This page hides small counts; the manifests in the same pack "
    "hold the exact ones."
)
COLLECTED = (
    "A hold stops later use. What was built before it stays as it was built; what happens to "
    "models that learned from it follows from the withdrawal of the rule that admitted it."
)
TRAINED = (
    "Models are followed as far as this ledger holds their training and their releases. Dropping "
    "an adapter reaches neither the base that it stood on nor copies that others hold."
)


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
        title=f"The hold on {_scope(facts)}: {span_words(hold)}",
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
            windows_of(trace),
            builds_of(trace, f"All {builds} of its purposes, in the order of recording"),
            learned_of(trace),
            _versions(facts),
            _members(facts),
        ),
        picture=facts.picture,
        limits=(
            OUTSIDE, COLLECTED, limits.ADMITTED, limits.SUBMITTED,
            limits.of_witnesses(facts.policy), limits.FACTS, limits.TIMES, limits.RECORDS,
            limits.FEW, TRAINED, limits.COPIES,
        ),
    )  # fmt: skip


# ---- parts ------------------------------------------------------------------------------


def _scope(facts: HoldFacts) -> str:
    scope = facts.trace.hold.scope
    group = facts.book.groups.get(scope)
    if group is not None:
        return group.title
    return name_of(scope) if scope != "world" else "all countries"


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
        Fact("Placed by", who(hold), f"source: {cite(hold.sources.get('from'))}"),
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


def _versions(facts: HoldFacts) -> Table:
    return Table(
        "What was published about the hold, and when",
        ("Entry", "Published", "What", "Stands", "Source"),
        tuple(
            (
                str(one.entry), instant(one.recorded_at), one.what, span_words(one.hold),
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


def hold_json(facts: HoldFacts) -> dict[str, object]:
    """Return what the report says, for machines; small counts are hidden here as well."""
    members = {
        "at": instant(facts.members_at), "threshold": FEW, "total": _members_total(facts),
    }  # fmt: skip
    return {**trace_json(facts.trace), "members": members}
