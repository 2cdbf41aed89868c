"""The pack of a period: one country between two dates.

Promises: every rulebook and snapshot of that time that the ledger holds is in it with its
proof; counts come from signed manifests; no data of a member.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from sayso.canonical import canonical_json
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
from sayso.evidence.period import Period, stretches
from sayso.evidence.report import Check, Picture, render
from sayso.evidence.report_parts import only, picture, plural
from sayso.evidence.report_period import PeriodFacts, period_json, report_period
from sayso.evidence.trace import Build
from sayso.model import Rulebook
from sayso.publishing import purposes_hint


def pack_period(
    source: Source, period: Period, purpose: str, out: Path, *, folders: Sequence[Path] = ()
) -> Packed:
    """Write the pack of a period.

    Args:
        source: What it is made from.
        period: Which country, from which day to which.
        purpose: Of the rules and snapshots.
        out: The file; nothing stands there yet.
        folders: Snapshots that the workspace does not know where to find.

    Raises:
        InputError: The purpose is unknown, or an entry is not in the log yet.
        IntegrityError: Something does not hold.
        ConflictError: Something stands at `out`.
    """
    need_room(out)
    ledger = source.ledger
    logged = Logged(ledger, source.trust)
    known = Folders(ledger, source.trust, folders)
    published = publications(ledger)
    last = published[-1]
    if purpose not in last.book.purposes:
        raise InputError(f"unknown purpose '{purpose}'", hint=purposes_hint(last.book))
    inside = tuple(one for one in published if period.holds(one.recorded_at))
    builds = tuple(
        one
        for one in known.builds(ledger)
        if one.purpose == purpose and (period.holds(one.recorded_at) or period.holds(one.at))
    )
    books = {one.book.digest: one.entry for one in published}
    rulebooks = {last.entry, *(one.entry for one in inside)}
    rulebooks |= {books[one.rulebook] for one in builds if one.rulebook in books}
    files = logged.trusted()
    for entry in entries_at(ledger, RULEBOOK, rulebooks):
        files |= logged.public(entry)
    for entry in entries_at(ledger, SNAPSHOT, [one.entry for one in builds]):
        files |= logged.public(entry) | known.files(entry.index, manifest=True)
    facts = PeriodFacts(
        period=period,
        purpose=purpose,
        publication=last,
        stretches=stretches(last.book, purpose, period),
        published=inside,
        builds=builds,
        policy=source.trust.policy,
        picture=_picture(last.book, period, purpose, source.made_at.date()),
        checks=_checks(len(rulebooks), builds),
        made_at=source.made_at,
    )  # fmt: skip
    files |= {
        REPORT: render(report_period(facts)),
        "report.json": canonical_json(period_json(facts)),
    }
    return finish(source, out, "period", _question(period, purpose), files)


def _picture(book: Rulebook, period: Period, purpose: str, today: date) -> Picture | None:
    mine = only(book, [period.country], purpose, period.begins)
    told = "Rules and holds that speak of this country. Uncertain dates fade."
    return picture(mine, purpose, told, today, "today")


def _question(period: Period, purpose: str) -> dict[str, object]:
    return {
        "country": period.country, "from": period.first.isoformat(),
        "to": period.last.isoformat(), "purpose": purpose,
    }  # fmt: skip


def _checks(rulebooks: int, builds: Sequence[Build]) -> tuple[Check, ...]:
    at_hand = sum(one.counts is not None for one in builds)
    return (
        Check(
            f"{plural(rulebooks, 'rulebook', 'rulebooks')} and "
            f"{plural(len(builds), 'snapshot', 'snapshots')}: each entry is what the ledger "
            "committed to, and stands in the log at its place.",
            HELD,
        ),
        Check(
            "Counts come from manifests that the platform signed and whose digests stand in the "
            f"entries: {at_hand:,} of {len(builds):,} were at hand.",
            HELD if at_hand == len(builds) else "The counts of the others are not shown.",
        ),
    )
