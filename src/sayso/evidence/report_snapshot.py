"""The report of a snapshot: what was admitted, under which rules, and what was refused why.

Promises: pure; every number is the manifest's, or hidden where it is small.
"""

from dataclasses import dataclass
from datetime import datetime

from sayso.evidence import limits
from sayso.evidence.report import Check, Claim, Fact, Report
from sayso.evidence.report_parts import (
    ALL,
    instant,
    numbers_of,
    picture,
    plural,
    purpose_title,
    question_facts,
    rules_table,
)
from sayso.log import Policy
from sayso.model import Rulebook
from sayso.snapshot.manifest import Manifest

READER = (
    "For an authority. This page hides small counts, but manifest.json in the same pack holds the "
    "exact ones, also where they count few people: it cannot be changed without being another "
    "manifest. For the public there is the summary of training content, which has no such counts."
)


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What the report is made from.

    Attributes:
        book: The rulebook that decided.
        entry: The ledger's entry about the snapshot.
        recorded_at: When that was recorded.
        tree_size: Entries of the log under the checkpoint in the pack.
        checks: What was checked while the pack was made.
    """

    manifest: Manifest
    book: Rulebook
    policy: Policy
    entry: int
    recorded_at: datetime
    tree_size: int
    checks: tuple[Check, ...]
    made_at: datetime


def report_snapshot(facts: SnapshotFacts) -> Report:
    """Return the report of a snapshot."""
    manifest, book = facts.manifest, facts.book
    numbers = numbers_of(manifest)
    admitted = [name for name, counts in manifest.by_country.items() if counts.admitted]
    title = purpose_title(book, manifest.purpose)
    total = {one: numbers.cell(ALL, one) for one in ("in", "admitted", "refused")}
    return Report(
        kind="Snapshot",
        title=f"What a training set holds, as of {manifest.at_instant:%Y-%m-%d}",
        question=(
            "Which records of members did this training set take, under which published rules, "
            "and why were the others refused?"
        ),
        made_at=instant(facts.made_at),
        reader=READER,
        answer=(
            (f"Of {total['in']} records, {total['admitted']} were admitted under published rules "
            f"for “{title}”, and {total['refused']} were refused, each for a stated reason."),
            (
                f"The set was recorded as entry {facts.entry} of the ledger on "
                f"{instant(facts.recorded_at)}. Each record in it, and any that is not, can be "
                "checked."
            ),
        ),
        figures=(
            Fact("records in", total["in"]),
            Fact("admitted under rules", total["admitted"]),
            Fact("refused", total["refused"]),
            Fact("jurisdictions", f"{len(manifest.by_country):,}", "with any record"),
        ),
        about=question_facts(manifest, book),
        claims=_claims(facts),
        checks=facts.checks,
        tables=(
            numbers.by_jurisdiction("Records by jurisdiction"),
            numbers.by_reason("Reasons, in the order in which they are looked at"),
            rules_table(book, manifest.purpose, manifest.at_instant, admitted),
        ),
        picture=picture(
            book, manifest.purpose,
            "Rules and holds of this purpose. Uncertain dates fade; a hold stops everything.",
            manifest.at_instant.date(), "as of",
        ),
        limits=(
            limits.ADMITTED, limits.SUBMITTED, limits.of_witnesses(facts.policy), limits.FACTS,
            limits.TIMES, limits.RECORDS, limits.FEW, limits.MODELS, limits.COPIES, limits.ERASED,
        ),
    )  # fmt: skip


def _claims(facts: SnapshotFacts) -> tuple[Claim, ...]:
    manifest = facts.manifest
    return (
        Claim(
            "This manifest, with all its counts and digests, is what was built.",
            "evidence/statement.json, signed by the platform",
        ),
        Claim(
            f"Exactly {plural(len(manifest.buckets), 'file', 'files')} of records belong to it, "
            "each with the root of a tree over its records.",
            "manifest.json, and leaves/ with a keyed digest for every record",
        ),
        Claim(
            "Every member's standing as of the instant was committed to before anybody asked.",
            "evidence/standing.bin, whose root is in manifest.json and evidence/statement.json",
        ),
        Claim(
            f"The rules that decided were published before, as entry {manifest.rulebook.entry}.",
            f"entries/{manifest.rulebook.entry}.json",
        ),
        Claim(
            f"The set was entered in the ledger as entry {facts.entry}, and the log with "
            f"{plural(facts.tree_size, 'entry', 'entries')} grew out of the one that was known.",
            "evidence/entry.json, evidence/snapshot.tlog-proof, evidence/consistency.json",
        ),
    )
