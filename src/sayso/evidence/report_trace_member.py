"""The trace of a member in words and for machines.

Promises: pure; speaks of one member, and names nobody; what is not known is said to be unknown.
For that member, and for whoever answers them.
"""

from sayso.evidence.report import Table
from sayso.evidence.report_parts import instant, instant_of, place, plural
from sayso.evidence.trace_member import MemberBuild, MemberRun, MemberTrace

OUTSIDE = (
    "What was trained outside of this ledger, a base that saw records before, and copies that "
    "others hold are unknown here."
)


def answer_of_member(trace: MemberTrace) -> list[str]:
    """Return what the trace of a member says, in sentences."""
    held = [one for one in trace.snapshots if one.records]
    unknown = [one for one in trace.snapshots if one.records is None]
    every = plural(len(trace.snapshots), "snapshot", "snapshots")
    holds = "holds" if len(held) == 1 else "hold"
    lines = [f"Of {every} in this ledger, {len(held):,} {holds} records of this member."]
    if unknown:
        lines.append(
            f"{plural(len(unknown), 'snapshot', 'snapshots')} cannot be looked at (the folder is "
            "not at hand, or retention deleted the records): unknown, not none."
        )
    runs = [run for one in held for run in one.runs]
    learned = [run for run in runs if run.learned]
    forgotten = [run for run in learned if run.forgotten]
    dropped = [run for run in learned if run.dropped and not run.forgotten]
    if learned:
        left = len(learned) - len(forgotten) - len(dropped)
        lines.append(
            f"{plural(len(learned), 'run', 'runs')} learned from them. {left:,} still "
            f"{'holds' if left == 1 else 'hold'} what was learned; {len(dropped):,} had the "
            f"adapter dropped, and no run without them took the place yet; {len(forgotten):,} had "
            "it dropped and a run without them in the place."
        )
    else:
        lines.append("No run of this ledger is known to have learned from them.")
    if doubtful := sum(run.learned is None for one in trace.touched for run in one.runs):
        lines.append(
            f"Of {plural(doubtful, 'run', 'runs')} nobody can tell here whether they learned from "
            "them: unknown, not none."
        )
    return [*lines, *_said(trace), OUTSIDE]


def _said(trace: MemberTrace) -> list[str]:
    if not trace.said:
        return ["They chose nothing here."]
    last = max(trace.said, key=lambda one: (one.effective_us, one.index))
    every = plural(len(trace.said), "choice", "choices")
    since = instant(instant_of(last.effective_us))
    return [f"The last of {every}: {last.choice} for '{last.purpose}', from {since}."]


def became(run: MemberRun) -> str:
    """Return what became of what a run learned from the member."""
    if run.learned is None:
        return "unknown whether it learned from them"
    if not run.learned:
        return "learned without them"
    if run.forgotten:
        return f"dropped; the run of entry {run.after} took the place, without them"
    if run.dropped:
        return "dropped; no run without them took the place yet"
    return "learned from them, and holds it"


def runs_of_member(trace: MemberTrace) -> Table:
    """Return every run that touches the member, or may, with its releases."""
    rows = []
    for one in trace.touched:
        if not one.runs:
            rows.append((*_about(one), "none", "", "", ""))
        for run in one.runs:
            releases = [f"entry {out.entry}: {out.disposition}" for out in run.releases]
            rows.append(
                (
                    *_about(one), f"entry {run.entry}", run.shard or "unknown", became(run),
                    "; ".join(releases) or "in none",
                )
            )  # fmt: skip
    return Table(
        "Snapshots, runs and releases",
        ("Snapshot", "As of", "Their records", "Run", "Shard", "What became of it", "Releases"),
        tuple(rows),
        empty="No snapshot of this ledger holds anything of theirs.",
    )


def _about(one: MemberBuild) -> tuple[str, str, str]:
    count = "unknown" if one.records is None else f"{one.records:,} in {place(one.country or '')}"
    return f"entry {one.build.entry}", instant(one.build.at), count


def member_trace_json(trace: MemberTrace) -> dict[str, object]:
    """Return the trace of a member for machines; null where something is unknown."""
    return {
        "choices": [
            {
                "entry": one.index, "purpose": one.purpose, "choice": str(one.choice),
                "effective_at": instant(instant_of(one.effective_us)),
            }
            for one in trace.said
        ],
        "snapshots": [
            {
                "entry": one.build.entry, "recorded_at": instant(one.build.recorded_at),
                "purpose": one.build.purpose, "at": instant(one.build.at),
                "known": one.build.known, "manifest": one.build.manifest,
                "records": one.records, "country": one.country,
                "runs": [_run_json(run) for run in one.runs],
            }
            for one in trace.snapshots
        ],
    }  # fmt: skip


def _run_json(run: MemberRun) -> dict[str, object]:
    return {
        "entry": run.entry, "run": run.run, "shard": run.shard, "adapter": run.adapter,
        "learned": run.learned, "dropped": run.dropped, "after": run.after,
        "forgotten": run.forgotten,
        "releases": [
            {"entry": out.entry, "release": out.release, "disposition": out.disposition}
            for out in run.releases
        ],
    }  # fmt: skip
