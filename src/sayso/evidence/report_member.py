"""The report of a member: what they said, what was used of theirs, what was not, and why.

Promises: pure; speaks of one member and of nobody else; every refusal has its sentence. For
that member alone: their words stand in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sayso.evidence import limits
from sayso.evidence.report import Check, Claim, Fact, Passage, Picture, Report, Table
from sayso.evidence.report_parts import instant, place, plural, purpose_title, sentence
from sayso.log import Policy
from sayso.model import Rulebook

READER = (
    "Yours, and private. This pack holds your words and your key: whoever has it can find your "
    "records in any training set of the platform, and open what your choices committed to. Give "
    "it only to somebody whom you would show all of that."
)
# A page shows this much of a text; the file of the record has all of it.
SHOWN_CHARACTERS = 400
KEPT_FOLDER = "member/kept/"
KEPT = (
    "Kept until you delete it, which you can. No entry of the ledger commits to it: that this is "
    "all, and word for word, is the platform's word."
)


@dataclass(frozen=True, slots=True)
class SaidFacts:
    """One choice, as its receipt calls it."""

    entry: int
    purpose: str
    choice: str
    called: str
    effective_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class KeptShown:
    """One thing that the platform keeps for the member.

    Attributes:
        kind: `reason` of an objection, or `exchange` with the assistant.
        value: As its file in the pack has it.
    """

    kind: str
    kept_at: datetime
    value: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecordShown:
    """One record of the member and what became of it.

    Attributes:
        reasons: Why it was refused; empty where it was admitted.
        text: Of an admitted record.
        is_proved: Whether a proof in the pack shows it; one without an id has none.
    """

    record_id: str
    category: str
    written_at: datetime | None
    text: str
    reasons: tuple[str, ...]
    is_proved: bool


@dataclass(frozen=True, slots=True)
class SnapshotShown:
    """One training set, as far as it is about the member.

    Attributes:
        country: As it counted; None where no standing was held.
        reasons: What stood against the member as a whole.
        explanation: The decision in words.
        records: Theirs; refused ones only where the content was at hand.
        is_complete: Whether it was.
    """

    entry: int
    purpose: str
    at: datetime
    known: int
    manifest: str
    country: str | None
    reasons: tuple[str, ...]
    explanation: str
    records: tuple[RecordShown, ...]
    is_complete: bool

    @property
    def admitted(self) -> int:
        """How many of the member's records it took."""
        return sum(not one.reasons for one in self.records)


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """What the report is made from."""

    member: str
    said: tuple[SaidFacts, ...]
    kept: tuple[KeptShown, ...]
    snapshots: tuple[SnapshotShown, ...]
    book: Rulebook
    policy: Policy
    picture: Picture | None
    checks: tuple[Check, ...]
    made_at: datetime


def report_member(facts: MemberFacts) -> Report:
    """Return the report of a member."""
    admitted = sum(one.admitted for one in facts.snapshots)
    sets = plural(len(facts.snapshots), "training set", "training sets")
    last = facts.said[-1] if facts.said else None
    records = plural(admitted, "record of yours was", "records of yours were")
    return Report(
        kind="Member",
        title="What the platform used of yours, and what you said",
        question=(
            "Which of my records went into which training set, which did not and why, and what "
            "did I choose?"
        ),
        made_at=instant(facts.made_at),
        reader=READER,
        answer=(
            (f"{records} admitted under published rules, in {sets}. A record that stands in "
            "several sets is counted in each."),
            f"Your last choice was “{last.choice}”, counting from {instant(last.effective_at)}."
            if last
            else "No choice of yours stands in the ledger. Silence is nobody's agreement; what it "
            "leads to is for the rules below to say.",
        ),
        figures=(
            Fact("records of yours used", f"{admitted:,}"),
            Fact("training sets looked at", f"{len(facts.snapshots):,}"),
            Fact("choices of yours", f"{len(facts.said):,}"),
        ),
        about=(
            Fact("Member", facts.member, "the platform's own id of you"),
            *(
                Fact(
                    f"Training set of {one.at:%Y-%m-%d}",
                    one.manifest,
                    f"entry {one.entry}, as of {instant(one.at)}, knowing {one.known} entries",
                )
                for one in facts.snapshots
            ),
        ),
        claims=_claims(facts),
        checks=facts.checks,
        numbers_title="What is yours",
        tables=(
            _said(facts),
            *_kept(facts),
            *(table for one in facts.snapshots for table in _tables(one)),
        ),
        passages=tuple(
            Passage(f"The decision about you as of {instant(one.at)}", one.explanation)
            for one in facts.snapshots
        ),
        picture=facts.picture,
        limits=(
            limits.ADMITTED, limits.SUBMITTED, limits.of_witnesses(facts.policy), limits.FACTS,
            limits.TIMES, limits.MODELS, limits.COPIES, BUCKET,
        ),
    )  # fmt: skip


BUCKET = (
    "That a record is absent is proved for the part of the training set in which all of yours "
    "would stand. Which part that is, is the platform's word."
)


def _claims(facts: MemberFacts) -> tuple[Claim, ...]:
    claims = [
        Claim(
            f"You said {plural(len(facts.said), 'thing', 'things')} about the use of your records, "
            "and no more.",
            "member/choices/, each with a signed receipt in receipts/",
        )
    ]
    claims += [
        Claim(
            f"The training set of {instant(one.at)} holds "
            f"{plural(one.admitted, 'record', 'records')} of yours.",
            f"snapshots/{one.entry}/, under roots that the platform signed and logged",
        )
        for one in facts.snapshots
    ]
    return tuple(claims)


def _said(facts: MemberFacts) -> Table:
    return Table(
        "What you said",
        ("Recorded", "Choice", "Called", "For", "Counts from", "Entry"),
        tuple(
            (
                instant(one.recorded_at), one.choice, one.called,
                _purpose(facts.book, one.purpose),
                instant(one.effective_at), str(one.entry),
            )
            for one in facts.said
        ),
        empty="No choice of yours stands in the ledger.",
        note=(
            "What a choice is called follows from the basis that the rules in force claim. An "
            "“on” under a claimed legitimate interest is no consent."
        ),
    )  # fmt: skip


def _kept(facts: MemberFacts) -> tuple[Table, ...]:
    """Return the tables of what is kept; none where nothing is."""
    reasons = [one for one in facts.kept if one.kind == "reason"]
    exchanges = [one for one in facts.kept if one.kind == "exchange"]
    found = []
    if reasons:
        found.append(
            Table(
                "Reasons that you gave for objecting",
                ("Given", "Against", "Entry", "Your words"),
                tuple(
                    (
                        instant(one.kept_at), _purpose(facts.book, one.value["purpose"]),
                        str(one.value["entry"]), _clipped(one.value["reason"], KEPT_FOLDER),
                    )
                    for one in reasons
                ),
                empty="",
                note=KEPT,
            )
        )  # fmt: skip
    if exchanges:
        found.append(
            Table(
                "What the assistant keeps for you",
                ("When", "Kind", "You asked", "It wrote"),
                tuple(
                    (
                        instant(one.kept_at), str(one.value["kind"]),
                        _clipped(one.value["asked"], KEPT_FOLDER),
                        _clipped("\n\n".join(one.value["written"]), KEPT_FOLDER),
                    )
                    for one in exchanges
                ),
                empty="",
                note=KEPT,
            )
        )  # fmt: skip
    return tuple(found)


def _purpose(book: Rulebook, purpose: str) -> str:
    return "every purpose" if purpose == "*" else purpose_title(book, purpose)


def _tables(one: SnapshotShown) -> tuple[Table, Table]:
    day = instant(one.at)
    home = place(one.country) if one.country else "nothing was held about you"
    standing = f"Held about you as of that instant: {home}. " + (
        f"Against all of yours stood: {' '.join(sentence(reason) for reason in one.reasons)}"
        if one.reasons
        else "Nothing stood against you as a whole; each record was looked at by itself."
    )
    used = [record for record in one.records if not record.reasons]
    refused = [record for record in one.records if record.reasons]
    return (
        Table(
            f"Yours in the training set as of {day}",
            ("Record", "Kind", "Written", "Your words"),
            tuple(
                (record.record_id, record.category, _day(record.written_at), _clipped(record.text))
                for record in used
            ),
            empty="None of your records is in it.",
            note=standing,
        ),
        Table(
            f"Yours and refused as of {day}",
            ("Record", "Kind", "Written", "Why"),
            tuple(
                (
                    record.record_id or "(without an id)", record.category or "unknown",
                    _day(record.written_at),
                    " ".join(sentence(reason) for reason in record.reasons)
                    + ("" if record.is_proved else " (No proof: it has no id of its own.)"),
                )
                for record in refused
            ),
            empty="None that the platform knows of."
            if one.is_complete
            else "Not known: the content that this set was made from is not at hand any more, "
            "or has changed since.",
        ),
    )  # fmt: skip


def _day(at: datetime | None) -> str:
    return instant(at) if at else "not known"


def _clipped(text: str, where: str = "the record's file") -> str:
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS].rstrip()} … (all of it stands in {where})"


def member_json(facts: MemberFacts) -> Mapping[str, object]:
    """Return what the report says, for machines."""
    return {
        "member": facts.member,
        "choices": [
            {
                "entry": one.entry, "purpose": one.purpose, "choice": one.choice,
                "called": one.called, "effective_at": instant(one.effective_at),
                "recorded_at": instant(one.recorded_at),
            }
            for one in facts.said
        ],
        "kept": [
            {"kind": one.kind, "kept_at": instant(one.kept_at), "value": dict(one.value)}
            for one in facts.kept
        ],
        "snapshots": [
            {
                "entry": one.entry, "manifest": one.manifest, "purpose": one.purpose,
                "at": instant(one.at), "known": one.known, "country": one.country,
                "reasons": list(one.reasons), "is_complete": one.is_complete,
                "records": [
                    {
                        "record_id": record.record_id, "admitted": not record.reasons,
                        "reasons": list(record.reasons), "proved": record.is_proved,
                    }
                    for record in one.records
                ],
            }
            for one in facts.snapshots
        ],
    }  # fmt: skip
