"""The pack of a hold: its publications, every build that it concerns, and the trace.

Promises: every entry that the report names stands in it with its proof; counts come from
signed manifests; no data of a member.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sayso.canonical import canonical_json
from sayso.decision.cells import tabulate
from sayso.decision.states import STANDING_BITS
from sayso.errors import InputError
from sayso.evidence.entries import (
    RULEBOOK,
    SNAPSHOT,
    Folders,
    Logged,
    entries_at,
    publications,
)
from sayso.evidence.packs import HELD, REPORT, Packed, Source, finish, need_room
from sayso.evidence.report import Check, render
from sayso.evidence.report_hold import HoldFacts, hold_json, report_hold
from sayso.evidence.report_parts import only, picture, plural
from sayso.evidence.trace import HoldTrace, concerns, trace_hold
from sayso.ledger.store import Ledger
from sayso.model import EVERY_PURPOSE, Rulebook
from sayso.rulebook.in_force import in_force
from sayso.snapshot.request import fold_states
from sayso.tables import connect, reading
from sayso.training.follow import training_entries


def trace_of(ledger: Ledger, folders: Folders, hold_id: str) -> HoldTrace:
    """Return what a hold touches, from the ledger.

    Raises:
        InputError: No published rulebook holds it.
    """
    training = training_entries(ledger, ledger.size())
    return trace_hold(hold_id, publications(ledger), list(folders.builds(ledger)), training)


def pack_hold(source: Source, hold_id: str, out: Path, *, folders: Sequence[Path] = ()) -> Packed:
    """Write the pack of a hold.

    Args:
        source: What it is made from.
        hold_id: Its id in the rulebook.
        out: The file; nothing stands there yet.
        folders: Snapshots that the workspace does not know where to find.

    Raises:
        InputError: No published rulebook holds it, or an entry is not in the log yet.
        IntegrityError: Something does not hold.
        ConflictError: Something stands at `out`.
    """
    need_room(out)
    ledger = source.ledger
    logged = Logged(ledger, source.trust)
    known = Folders(ledger, source.trust, folders)
    published = publications(ledger)
    trace = trace_of(ledger, known, hold_id)
    books = {one.book.digest: one for one in published}
    rulebooks = {one.entry for one in trace.versions}
    rulebooks |= {
        books[one.build.rulebook].entry for one in trace.builds if one.build.rulebook in books
    }
    files = logged.trusted()
    for entry in entries_at(ledger, RULEBOOK, rulebooks):
        files |= logged.public(entry)
    for entry in entries_at(ledger, SNAPSHOT, [one.build.entry for one in trace.builds]):
        files |= logged.public(entry) | known.files(entry.index, manifest=True)
    followed = {run.entry for one in trace.builds for run in one.runs}
    followed |= {out.entry for one in trace.builds for run in one.runs for out in run.releases}
    runs = {run.run for one in trace.builds for run in one.runs}
    for entry in training_entries(ledger, logged.size):
        if entry.index in followed or entry.payload.get("run") in runs:
            files |= logged.public(entry)
    book = published[-1].book
    purpose = _purpose(trace, book)
    at = _members_at(trace, source.made_at)
    facts = HoldFacts(
        trace=trace,
        book=book,
        members=members_in(ledger, book, purpose, at, trace.countries),
        members_at=at,
        first_recorded_at=published[0].recorded_at,
        policy=source.trust.policy,
        picture=picture(
            only(book, trace.countries, purpose, at), purpose,
            "Rules and holds of the scope. Uncertain dates fade.", source.made_at.date(), "today",
        ),
        checks=_checks(trace, known),
        made_at=source.made_at,
    )  # fmt: skip
    files |= {
        REPORT: render(report_hold(facts)),
        "report.json": canonical_json(hold_json(facts)),
    }
    return finish(source, out, "hold", {"hold": hold_id}, files)


def _purpose(trace: HoldTrace, book: Rulebook) -> str:
    """Return the purpose that the picture shows: the first one that the hold stops."""
    named = sorted(name for name in book.purposes if concerns(trace.hold, name))
    return named[0] if named else min(trace.hold.purposes - {EVERY_PURPOSE}, default="")


def _members_at(trace: HoldTrace, made_at: datetime) -> datetime:
    """Return the instant at which members are counted: the hold's beginning, if that is past."""
    begun = min(span.begun_by for span in trace.spans)
    return min(begun, made_at) if begun > datetime.min.replace(tzinfo=UTC) else made_at


def members_in(
    ledger: Ledger, book: Rulebook, purpose: str, at: datetime, countries: Sequence[str]
) -> Mapping[str, int] | None:
    """Return how many members lived in each of some countries; None where nobody knows.

    Counted are the members of the table that counts now, as of the instant.
    """
    cells = tabulate(in_force(book, purpose, at))
    try:
        with connect() as duck, reading("the workspace's tables"):
            states = fold_states(
                ledger, duck, cells, ledger.size(), members=None, integer_ids=False
            )
    except InputError:
        return None
    standing = states.packed & ((1 << STANDING_BITS) - 1)
    codes, counts = np.unique(states.country[standing], return_counts=True)
    found: Counter[str] = Counter()
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        found[states.countries[code]] += count
    return {country: found[country] for country in sorted(countries) if found[country]}


def _checks(trace: HoldTrace, known: Folders) -> tuple[Check, ...]:
    at_hand = sum(one.build.entry in known.by_entry for one in trace.builds)
    return (
        Check(
            f"{plural(len(trace.versions), 'publication', 'publications')} of the hold: what each "
            "rulebook says is what its entry committed to, and stands in the log.",
            HELD,
        ),
        Check(
            f"{plural(len(trace.builds), 'build', 'builds')}: each entry stands in the log at its "
            "place, so that none was put in or taken out between them.",
            HELD,
        ),
        Check(
            f"Counts of {at_hand:,} of them come from manifests that the platform signed and "
            "whose digests stand in the entries.",
            HELD
            if at_hand == len(trace.builds)
            else "The folders of the others are not at hand: their counts are not shown.",
        ),
    )
