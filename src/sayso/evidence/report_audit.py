"""The report of an audit: what planted codes were told by, and what that does not show.

Promises: pure; every number is the audit's; says in plain words that scores are an alarm and
never proof, and where the evidence is.
"""

import json
from dataclasses import asdict
from datetime import datetime
from math import log2

from sayso.evidence.report import Fact, Table, templates
from sayso.evidence.report_parts import instant, plural
from sayso.training.audit import ADAPTER, AFTER, BEFORE, NEVER, Audit
from sayso.training.scores import CHANCE_BITS, mean

ALARM = (
    "These numbers are an alarm and never proof. A code that is found after forgetting shows that "
    "something is wrong. A code that is not found shows nothing of any member: tests of this kind "
    "miss most of what a model learned."
)
EVIDENCE = (
    "The evidence is re-execution: the shard was learned again without the planted, and every file "
    "of it was compared, byte for byte, with that of a run that never had them."
)
DEAF = (
    "The planted codes were hardly told before forgetting either, so this alarm could not have "
    "rung: plant more records, or train longer."
)
LIMITS = (
    "What is shown of the planted is shown of the way in which members are learned and forgotten.",
    "The same bytes are promised under one environment, which is named above.",
    "It reaches neither the base nor copies that others hold.",
    "The adapters that were made for this audit were never released, and were deleted.",
)
# Below this many bits more than without having learned, nothing was heard.
HEARD_BITS = 2.0


def heard(audit: Audit) -> bool:
    """Whether the shard's adapter told the planted codes before they were forgotten."""
    before, never = (mean(audit.of(when, ADAPTER).exposures) for when in (BEFORE, NEVER))
    return before - never >= HEARD_BITS


def json_of(audit: Audit) -> bytes:
    """Return the same for machines."""
    said = {
        "format": "sayso/audit/v1", **asdict(audit), "same_scores": audit.same_scores,
        "heard": heard(audit), "said": [ALARM, EVIDENCE],
    }  # fmt: skip
    return (json.dumps(said, indent=2, sort_keys=True) + "\n").encode()


def render_audit(audit: Audit, made_at: datetime) -> bytes:
    """Return the report as HTML."""
    before, after, never = (audit.of(when, ADAPTER) for when in (BEFORE, AFTER, NEVER))
    most = log2(audit.planting.candidates - audit.planting.canaries + 1)
    told = (
        f"Before forgetting, the shard's adapter told the planted codes by "
        f"{_bits(before.exposures)} of at most {most:.1f}; after forgetting by "
        f"{_bits(after.exposures)}, and where it never had them by {_bits(never.exposures)}. "
        f"Chance alone gives about {CHANCE_BITS:.1f} bits."
    )
    served = ", among them the adapter that the run itself serves" if audit.is_run else ""
    equal = f"{EVIDENCE} {plural(audit.equal, 'file is', 'files are')} equal{served}."
    answer = [told, equal, ALARM]
    return (
        templates()
        .get_template("audit.html")
        .render(
            made_at=instant(made_at),
            answer=answer if heard(audit) else [DEAF, *answer],
            about=_about(audit),
            tables=(_exposures(audit), _areas(audit)),
            limits=LIMITS,
            deleted=plural(len(audit.deleted), "file", "files"),
        )
        .encode()
    )


def _about(audit: Audit) -> tuple[Fact, ...]:
    planting = audit.planting
    return (
        Fact("run", audit.run),
        Fact("base", audit.base, f"exposure to members' data: {audit.base_exposure}"),
        Fact("shard", audit.shard),
        Fact(
            "planted",
            f"{plural(planting.canaries, 'member', 'members')} who never existed",
            f"{plural(planting.repeats, 'record', 'records')} each, codes drawn from "
            f"the number {planting.seed}",
        ),
        Fact("ranked among", f"{planting.candidates:,} codes", "of the same form"),
        Fact("environment", ", ".join(f"{k} {v}" for k, v in sorted(audit.environment.items()))),
    )


def _exposures(audit: Audit) -> Table:
    return Table(
        "Exposure of the planted codes in bits: log2 of the codes, less log2 of the rank",
        ("when", "model", "mean", "lowest", "highest"),
        tuple(
            (
                one.when, one.model, f"{mean(one.exposures):.2f}", f"{min(one.exposures):.2f}",
                f"{max(one.exposures):.2f}",
            )
            for one in audit.measured
        ),
        frozenset({2, 3, 4}),
        note="A release dilutes: each of its adapters has one part in their number.",
    )  # fmt: skip


def _areas(audit: Audit) -> Table:
    names = tuple(audit.measured[0].areas)
    return Table(
        "Membership scores: how likely a planted code ranks above one that was not (0.5: a guess)",
        ("when", "model", *names),
        tuple(
            (one.when, one.model, *(f"{one.areas[name]:.3f}" for name in names))
            for one in audit.measured
        ),
        frozenset(range(2, 2 + len(names))),
        note=(
            "loss: what a text costs the model. reference: the same, against adapters of other "
            "shards, which learned from no code. min-k: over the fifth of its tokens that cost "
            "most."
        ),
    )


def _bits(exposures: tuple[float, ...]) -> str:
    return f"{mean(exposures):.1f} bits"
