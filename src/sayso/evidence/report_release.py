"""The report of a release: what it is made of, what it learned from, what became of it.

Promises: pure; says what was signed and entered, hides small counts, and never that the model
forgot or may be used: under which rules its records were admitted, and what stands against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sayso.evidence import limits
from sayso.evidence.report import Check, Claim, Fact, Picture, Report, Table
from sayso.evidence.report_parts import (
    instant,
    instant_of,
    picture,
    place,
    plural,
    purpose_title,
    rules_table,
)
from sayso.evidence.suppress import FEW, Sum, few, hide, shown
from sayso.ledger.store import PublicEntry
from sayso.log import Policy
from sayso.model import Rulebook
from sayso.snapshot.manifest import Manifest
from sayso.training.follow import country_of
from sayso.training.release import Release
from sayso.training.runs import Run

READER = (
    "For an authority. This page hides small counts; run.json and the manifest in the same pack "
    "hold the exact ones. The bill of materials (bom.cdx.json) has no counts."
)
WEIGHTS = (
    "The pack holds digests and no weights. That a model somewhere is this release shows whoever "
    "has its files, by comparing their SHA-256 with those in release.json."
)
SERVED = (
    "That no hold stood and no record would have been refused when the release was made is what "
    "the platform signed. Whether it is served today, and by whom, the log cannot show."
)
EXPOSURE: Mapping[str, str] = {
    "none": "it saw no member's data",
    "unknown": "whether it saw members' data is unknown",
}


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What the report is made from.

    Attributes:
        became: Dispositions of the release, in order.
        book: The rulebook by which it was looked whether each adapter may be served.
        book_entry: The entry that published it.
        deciding: The rulebook by which the snapshot was built.
        checks: What was checked while the pack was made.
    """

    release: Release
    entry: PublicEntry
    run: Run
    run_entry: PublicEntry
    snapshot: PublicEntry
    manifest: Manifest
    became: tuple[PublicEntry, ...]
    book: Rulebook
    book_entry: int
    deciding: Rulebook
    policy: Policy
    checks: tuple[Check, ...]
    made_at: datetime


def report_release(facts: ReleaseFacts) -> Report:
    """Return the report of a release."""
    release, manifest = facts.release, facts.manifest
    left_out = sorted(facts.run.shards.keys() - release.adapters.keys())
    learned = sum(facts.run.shards[name].rows for name in release.adapters)
    return Report(
        kind="Release",
        title=f"What a released model is made of: {release.digest[:16]}",
        question=(
            "Which base and which adapters is this model made of, from which records did they "
            "learn, under which published rules, and what became of it since?"
        ),
        made_at=instant(facts.made_at),
        reader=READER,
        answer=tuple(_answer(facts, learned, len(left_out))),
        figures=(
            Fact("adapters", f"{len(release.adapters):,}"),
            Fact("records learned from", few(learned)),
            Fact("countries", f"{len(release.countries):,}"),
            Fact("left out", f"{len(left_out):,}", "adapters of the run"),
        ),
        about=_about(facts),
        claims=_claims(facts),
        checks=facts.checks,
        numbers_title="Adapters, countries and what became of the release",
        tables=(
            _countries(facts),
            _adapters(facts),
            _became(facts),
            rules_table(facts.deciding, manifest.purpose, manifest.at_instant, release.countries),
        ),
        picture=_picture(facts),
        limits=(
            WEIGHTS, SERVED, limits.ADMITTED, limits.SUBMITTED, limits.of_witnesses(facts.policy),
            limits.FACTS, limits.TIMES, limits.RECORDS, limits.FEW, limits.COPIES, limits.ERASED,
        ),
    )  # fmt: skip


def standing_now(facts: ReleaseFacts) -> str:
    """Return what the ledger says became of the release: `served` where it says nothing."""
    return str(facts.became[-1].payload["disposition"]) if facts.became else "served"


def _answer(facts: ReleaseFacts, learned: int, left_out: int) -> list[str]:
    release = facts.release
    base = release.base
    made = (
        f"The model is the base “{base.name}” ({EXPOSURE[base.exposure]}) plus the exact mean of "
        f"{plural(len(release.adapters), 'adapter', 'adapters')}. Each learned from one shard: the "
        f"records of some members of one country, and from nothing else. Together "
        f"{few(learned)} records."
    )
    entered = (
        f"It was recorded as entry {facts.entry.index} of the ledger on "
        f"{instant(instant_of(facts.entry.recorded_us))}, its run as entry "
        f"{facts.run_entry.index}, the snapshot that they learned from as entry "
        f"{facts.snapshot.index}."
    )
    lines = [made, entered]
    if left_out:
        lines.append(
            f"{plural(left_out, 'adapter', 'adapters')} of the run "
            f"{'is' if left_out == 1 else 'are'} not in it."
        )
    became = standing_now(facts)
    if became == "served":
        lines.append("Nothing in the ledger says that it was taken back since.")
    else:
        lines.append(f"What the ledger last says of it is “{became}”; see the table below.")
    return lines


def _about(facts: ReleaseFacts) -> tuple[Fact, ...]:
    release, base = facts.release, facts.release.base
    return (
        Fact("Release", release.digest, "SHA-256 of release.json, which lists every file"),
        Fact("Purpose", purpose_title(facts.book, release.purpose)),
        Fact("Base", f"{base.name}, SHA-256 {base.sha256}", EXPOSURE[base.exposure]),
        Fact("Merge", "exact mean of the adapters"),
        Fact("Run", release.run, f"entry {facts.run_entry.index}; SHA-256 of run.json"),
        Fact("Recipe", facts.run.recipe.digest, "SHA-256 of every setting of the training"),
        Fact(
            "Snapshot", facts.manifest.digest,
            f"entry {facts.snapshot.index}, as of {instant(facts.manifest.at_instant)}; SHA-256 "
            "of its manifest",
        ),
        Fact("Rulebook when it was released", facts.book.digest, f"entry {facts.book_entry}"),
    )  # fmt: skip


def _claims(facts: ReleaseFacts) -> tuple[Claim, ...]:
    own, run = facts.entry.index, facts.run_entry.index
    return (
        Claim(
            "This release is this base and the mean of these adapters, and of no other.",
            f"releases/{own}/statement.json, signed by the platform",
        ),
        Claim(
            "Each adapter learned from the records of one shard, whose root is named, and from "
            "nothing else.",
            f"runs/{run}/statement.json, signed by the platform",
        ),
        Claim(
            "When it was made, each adapter could be served: no hold stood over its country, and "
            "no record of it would have been refused but for an “off” under a rule that leaves "
            "models as they are.",
            f"releases/{own}/statement.json, as of the instant in it",
        ),
        Claim(
            "Release, run, snapshot and rulebooks were entered in this order, and nothing was put "
            "in between afterwards.",
            "entries/ with proofs/",
        ),
    )


def _countries(facts: ReleaseFacts) -> Table:
    rows: dict[str, int] = {}
    for name in facts.release.adapters:
        country = country_of(name)
        rows[country] = rows.get(country, 0) + facts.run.shards[name].rows
    cells = {**rows, "*": sum(rows.values())}
    hidden = hide(cells, [Sum("*", tuple(rows))])
    told = [
        (
            place(country),
            f"{sum(country_of(name) == country for name in facts.release.adapters):,}",
            shown(count, hidden.get(country)),
        )
        for country, count in sorted(rows.items())
    ]
    total = ("All", f"{len(facts.release.adapters):,}", shown(cells["*"], hidden.get("*")))
    return Table(
        "Countries whose members' records the adapters learned from",
        ("Country of residence", "Adapters", "Records"),
        (*told, total),
        numbers=frozenset({1, 2}),
        total=True,
    )


def _adapters(facts: ReleaseFacts) -> Table:
    return Table(
        "Adapters in the release",
        ("Shard", "Root over its records", "SHA-256 of the weights"),
        tuple(
            (name, facts.run.shards[name].root, digest)
            for name, digest in sorted(facts.release.adapters.items())
        ),
        empty="None.",
    )


def _became(facts: ReleaseFacts) -> Table:
    return Table(
        "What became of the release since",
        ("Entry", "Recorded", "What", "Shards", "Why", "Decided by"),
        tuple(
            (
                str(one.index), instant(instant_of(one.recorded_us)),
                str(one.payload["disposition"]), ", ".join(one.payload["shards"]),
                "; ".join(one.payload["why"]), str(one.payload.get("by", "")),
            )
            for one in facts.became
        ),
        empty="Nothing that the ledger knows of.",
        note="“sealed” and “forgotten”: Sayso does not serve it any more.",
    )  # fmt: skip


def _picture(facts: ReleaseFacts) -> Picture | None:
    return picture(
        facts.book, facts.release.purpose,
        "Rules and holds of this purpose. Uncertain dates fade; a hold stops everything.",
        instant_of(facts.entry.recorded_us).date(), "released",
    )  # fmt: skip


def release_json(facts: ReleaseFacts) -> dict[str, object]:
    """Return what the report says, for machines; small counts are hidden here as well."""
    release = facts.release
    return {
        "release": release.digest,
        "entry": facts.entry.index,
        "recorded_at": instant(instant_of(facts.entry.recorded_us)),
        "purpose": release.purpose,
        "base": release.base.model_dump(),
        "run": {"digest": release.run, "entry": facts.run_entry.index},
        "snapshot": {"manifest": facts.manifest.digest, "entry": facts.snapshot.index},
        "adapters": dict(release.adapters),
        "left_out": sorted(facts.run.shards.keys() - release.adapters.keys()),
        "records": few(sum(facts.run.shards[name].rows for name in release.adapters)),
        "threshold": FEW,
        "disposition": standing_now(facts),
        "dispositions": [
            {
                "entry": one.index, "disposition": one.payload["disposition"],
                "shards": list(one.payload["shards"]), "why": list(one.payload["why"]),
            }
            for one in facts.became
        ],
    }  # fmt: skip
