"""A trace in words: what a hold touches, for the command line and for the report of a hold.

Promises: pure; what is not known is said to be unknown; small counts are hidden, also in what
is made for machines.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil

from sayso.evidence.report import Table
from sayso.evidence.report_parts import instant, locally, names, places, plural
from sayso.evidence.suppress import few
from sayso.evidence.trace import HoldTrace, Relation, Span, Touched, Window
from sayso.model import Dated, Exactness, Hold, Withdrawal
from sayso.training.follow import FollowedRun

_RELATIONS: Mapping[Relation, str] = {
    Relation.BEFORE: "before the hold",
    Relation.UNKNOWN: "unknown: the hold may have stood",
    Relation.UNDER: "under the hold",
    Relation.AFTER: "after the hold",
}
# So many windows are told in sentences; more stand in their table alone.
SHOWN_WINDOWS = 3
OUTSIDE = (
    "This ledger knows the builds that went through Sayso. Where a window names none, that is not "
    "to say that nothing was trained in it: what was trained elsewhere, or before this ledger "
    "began, is unknown here."
)
WITHDRAWALS: Mapping[Withdrawal, str] = {
    Withdrawal.FUTURE_RUNS: "models that learned then stay as they are",
    Withdrawal.FORGET: "models that learned then have to forget it",
}


# ---- sentences --------------------------------------------------------------------------


def span_words(hold: Hold) -> str:
    """Return when a hold stands, as its rulebook dates it."""
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


def who(hold: Hold) -> str:
    """Return who placed a hold, and who asked for it or ordered it."""
    asked = f", asked by {hold.asked_by}" if hold.asked_by else ""
    ordered = f", ordered by {hold.ordered_by}" if hold.ordered_by else ""
    return f"{hold.placed_by}{asked}{ordered}"


def answer_of(trace: HoldTrace) -> list[str]:
    """Return what a trace says, in sentences."""
    tense = "stood" if trace.hold.lifted else "stands"
    lines = [f"Placed by {who(trace.hold)}, it {tense} {span_words(trace.hold)}."]
    if len(trace.windows) > SHOWN_WINDOWS:
        covered = {country for window in trace.windows for country in window.countries}
        lines.append(
            f"Before it, members in {plural(len(covered), 'country', 'countries')} stood under a "
            "rule that permitted this use and under no hold; each such window is in a table below."
        )
    for window in trace.windows if len(trace.windows) <= SHOWN_WINDOWS else ():
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
    lines += _learned(trace)
    lines.append(_stopping(trace))
    if unknown := sum(Relation.UNKNOWN in one.relations for one in trace.builds):
        lines.append(
            f"{plural(unknown, 'build is', 'builds are')} as of an instant at which the hold may "
            "or may not have stood, since its day is not known exactly."
        )
    return lines


def _learned(trace: HoldTrace) -> list[str]:
    """Return what learned from builds before the hold, and whether it is served."""
    runs = [
        run
        for one in trace.builds
        if {Relation.BEFORE, Relation.UNKNOWN} & one.relations.keys()
        for run in one.runs
    ]
    if not runs:
        return []
    adapters = sum(len(run.adapters) for run in runs)
    dropped = sum(len(run.forgotten) for run in runs)
    told = (
        f"{plural(adapters, 'adapter', 'adapters')} of {plural(len(runs), 'run', 'runs')} learned "
        f"from records of the scope in builds before it; {dropped:,} of them "
        f"{'was' if dropped == 1 else 'were'} dropped since."
    )
    for out in {out.entry: out for run in runs for out in run.releases}.values():
        told += f" The release of entry {out.entry} held some: {out.disposition}."
    return [told]


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


# ---- tables -----------------------------------------------------------------------------


def windows_of(trace: HoldTrace) -> Table:
    """Return the windows before a hold, with the builds inside each."""
    rows = []
    for window in trace.windows:
        inside = trace.inside(window)
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


def learned_of(trace: HoldTrace) -> Table:
    """Return what learned from records of the scope, and what became of it."""
    rows = []
    for one in trace.builds:
        for run in one.runs:
            releases = [f"entry {out.entry}: {out.disposition}" for out in run.releases]
            rows.append(
                (
                    str(run.entry), str(one.build.entry), _related(one),
                    ", ".join(sorted(run.adapters)), ", ".join(run.forgotten) or "none",
                    "; ".join(releases) or "in none",
                )
            )  # fmt: skip
    return Table(
        "What learned from records of the scope",
        ("Run", "From build", "To the hold", "Adapters", "Dropped since", "Releases"),
        tuple(rows),
        empty="No training of this ledger learned from records of the scope.",
    )


# ---- for machines -----------------------------------------------------------------------


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
            span_json(one)
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
        "runs": runs_json(one.runs), "relations": relations_json(one.relations),
    }  # fmt: skip


def span_json(span: Span) -> dict[str, object]:
    """Return a span for machines; null where nobody knows, or it has not ended."""
    begun = span.begun_by
    return {
        "countries": list(span.countries),
        "begun_from": _maybe(span.begun_from), "begun_by": _maybe(begun),
        "ended_from": _maybe(span.ended_from), "ended_by": _maybe(span.ended_by),
    }  # fmt: skip


def relations_json(relations: Mapping[Relation, Sequence[str]]) -> dict[str, object]:
    """Return how a build stands to a hold or a rule, by country."""
    return {str(name): list(found) for name, found in relations.items()}


def runs_json(runs: Iterable[FollowedRun]) -> list[dict[str, object]]:
    """Return runs and the releases that hold their adapters."""
    return [
        {
            "entry": run.entry, "run": run.run, "adapters": dict(run.adapters),
            "forgotten": list(run.forgotten),
            "releases": [
                {"entry": out.entry, "release": out.release, "disposition": out.disposition}
                for out in run.releases
            ],
        }
        for run in runs
    ]  # fmt: skip


def _maybe(at: datetime | None) -> str | None:
    """Return an instant in words; `always` for the beginning of time."""
    if at is None:
        return None
    return "always" if at == datetime.min.replace(tzinfo=UTC) else instant(at)
