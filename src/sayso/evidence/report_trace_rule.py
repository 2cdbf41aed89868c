"""The trace of a rule in words and for machines.

Promises: pure; what is not known is said to be unknown; small counts are hidden.
"""

from sayso.evidence.report import Table
from sayso.evidence.report_parts import instant, locally, names, places, plural
from sayso.evidence.report_trace import OUTSIDE, WITHDRAWALS, relations_json, runs_json, span_json
from sayso.evidence.suppress import few
from sayso.evidence.trace import Relation, Span
from sayso.evidence.trace_rule import PAST, Ruled, RuleTrace, date_of

# So many spans are told in sentences; more are counted.
SHOWN_SPANS = 3
_RELATIONS = {
    Relation.BEFORE: "before it began",
    Relation.UNKNOWN: "unknown: it may or may not have been in force",
    Relation.UNDER: "while it was in force",
    Relation.AFTER: "after it ended",
}


def answer_of_rule(trace: RuleTrace) -> list[str]:
    """Return what the trace of a rule says, in sentences."""
    rule = trace.rule
    said = f"The rule of '{rule.scope}' from {date_of(rule)} ({rule.mode})"
    lines = [f"{said}, decided by {rule.decided_by}; {rule.place}."]
    if len(trace.spans) > SHOWN_SPANS:
        total = sum(len(span.countries) for span in trace.spans)
        lines.append(
            f"It is the rule of its scope for {plural(total, 'country', 'countries')}, at "
            f"{len(trace.spans)} different spans of time, by their midnights."
        )
    else:
        lines += [_span(span) for span in trace.spans]
    applied = [one for one in trace.builds if one.applied]
    unknown = sum(Relation.UNKNOWN in one.relations for one in trace.builds)
    lines.append(
        f"Of {plural(len(trace.builds), 'build', 'builds')} of its purpose in this ledger, it "
        f"decided in {len(applied):,}."
    )
    if unknown:
        lines.append(
            f"{plural(unknown, 'build is', 'builds are')} as of an instant at which it may or may "
            "not have been in force, since its day is not known exactly: unknown, not none."
        )
    runs = [run for one in applied for run in one.runs]
    if runs:
        served = sum(out.disposition == "served" for run in runs for out in run.releases)
        lines.append(
            f"{plural(len(runs), 'run', 'runs')} learned from records that it admitted; "
            f"{plural(served, 'release', 'releases')} with them "
            f"{'is' if served == 1 else 'are'} served. By this rule, if a member chooses off, "
            f"{WITHDRAWALS[rule.withdrawal]}."
        )
    return [*lines, OUTSIDE]


def _span(span: Span) -> str:
    where = names(span.countries)
    begun = locally(span.begun_by, span.countries)
    told = f"For {where} it is in force "
    if span.begun_by == PAST:
        told += "since always"
    elif span.begun_from is None:
        told += f"surely from {begun}; since when before that is unknown"
    else:
        told += f"from {begun}"
    if span.ended_by is None:
        return f"{told}; nothing has ended it."
    ended = locally(span.ended_by, span.countries)
    if span.ended_from != span.ended_by:
        return f"{told}; it ended by {ended}, on a day that is unknown."
    return f"{told} until {ended}."


def builds_of_rule(trace: RuleTrace) -> Table:
    """Return the builds of the trace of a rule."""
    return Table(
        "Builds of its purpose, in the order of recording",
        ("Entry", "Recorded", "As of", "To the rule", "It decided for", "Admitted there"),
        tuple(
            (
                str(one.build.entry), instant(one.build.recorded_at), instant(one.build.at),
                _related(one), _decided(one),
                "not at hand" if one.admitted is None else few(one.admitted),
            )
            for one in trace.builds
        ),
        numbers=frozenset({5}),
        empty="No build of its purpose stands in this ledger.",
    )  # fmt: skip


def _related(one: Ruled) -> str:
    if not one.relations:
        return "outside of its scope"
    if len(one.relations) == 1:
        return _RELATIONS[next(iter(one.relations))]
    return "; ".join(
        f"{_RELATIONS[relation]} in {places(countries)}"
        for relation, countries in one.relations.items()
    )


def _decided(one: Ruled) -> str:
    if one.knew is None:
        return "unknown: its rulebook is not in this ledger"
    if not one.knew:
        return "nobody: it was published later"
    return places(one.applied) or "nobody"


def rule_json(trace: RuleTrace) -> dict[str, object]:
    """Return the trace of a rule for machines; small counts are hidden."""
    rule = trace.rule
    return {
        "purpose": rule.purpose,
        "scope": rule.scope,
        "from": date_of(rule),
        "mode": str(rule.mode),
        "place": str(rule.place),
        "decided_by": rule.decided_by,
        "withdrawal": str(rule.withdrawal),
        "versions": [
            {"entry": one.entry, "recorded_at": instant(one.recorded_at), "what": one.what}
            for one in trace.versions
        ],
        "spans": [span_json(span) for span in trace.spans],
        "builds": [
            {
                "entry": one.build.entry, "recorded_at": instant(one.build.recorded_at),
                "at": instant(one.build.at), "known": one.build.known,
                "manifest": one.build.manifest, "knew": one.knew, "applied": list(one.applied),
                "admitted": "not at hand" if one.admitted is None else few(one.admitted),
                "relations": relations_json(one.relations), "runs": runs_json(one.runs),
            }
            for one in trace.builds
        ],
    }  # fmt: skip
