"""`sayso rulebook check / publish / show / diff / timeline / table`."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from sayso.cli.shared import (
    FILE,
    INSTANT,
    Shared,
    emit,
    now,
    opened,
    purpose_option,
    shared_options,
    when_options,
)
from sayso.decision.cells import Cells
from sayso.decision.compare import CellsDiffer
from sayso.decision.explain import cite
from sayso.decision.read import MEMBER_AXES, WHEN_AXES, grouped_cells, what_axes
from sayso.model import REASONS, Country, Jurisdiction, Presence
from sayso.publishing import need_purpose
from sayso.rulebook.check import check_files
from sayso.rulebook.parse import RulebookError, load_files
from sayso.rulebook.timeline import timeline_rows, timeline_svg
from sayso.whatif import Moved, compare_rulebooks, named_rulebook, what_if

# Countries named before "and n more".
SHOWN_COUNTRIES = 8


@click.group("rulebook")
def rulebook() -> None:
    """Check, publish, show and compare rulebooks."""


@rulebook.command("check")
@click.argument("directory", type=FILE, required=False)
@shared_options
def check(shared: Shared, directory: Path | None) -> None:
    """Report every fault of the drafts (or of DIRECTORY) at once, with file and line."""
    if directory is None:
        with opened(shared) as workspace:
            files = workspace.draft_files(lossy=True)
    else:
        files = load_files(directory, lossy=True)
    if faults := check_files(files):
        raise RulebookError(faults)
    emit(shared, {"faults": [], "files": len(files)}, f"{len(files)} files, no faults")


@rulebook.command("publish")
@shared_options
def publish(shared: Shared) -> None:
    """Publish the drafts: from now on they are what decisions read."""
    with opened(shared) as workspace:
        receipt, book = workspace.publish()
    emit(
        shared,
        {"entry": receipt.index, "rulebook_digest": book.digest},
        f"rulebook {book.digest[:16]} published as entry {receipt.index}",
    )


@rulebook.command("show")
@purpose_option
@when_options
@shared_options
def show(shared: Shared, purpose: str, at: datetime | None, known: int | None) -> None:
    """Say what is in force, jurisdiction by jurisdiction."""
    with opened(shared) as workspace:
        rules = need_purpose(workspace.rules(known), purpose)
        cells = workspace.cells(purpose, at, known)
    when = cells.in_force.at.isoformat().replace("+00:00", "Z")
    rows = [_profile(profile.jurisdiction, profile.countries) for profile in cells.profiles[1:]]
    lines = [f"{purpose}, as of {when}, rulebook {rules.book.digest[:16]} (entry {rules.entry})"]
    for row in rows:
        lines += ["", f"{_countries(row['countries'])}: {row['words']}"]
        lines += [
            f"  rule {one['place']}: {one['mode']} from {one['from']}; {one['source']}"
            for one in row["rules"]
        ]
        lines += [
            f"  hold {one['id']} ({one['place']}), placed by {one['placed_by']}"
            for one in row["holds"]
        ]
    emit(
        shared,
        {
            "purpose": purpose, "at": when, "entry": rules.entry,
            "rulebook_digest": rules.book.digest, "in_force": rows,
        },
        "\n".join(lines),
    )  # fmt: skip


def _profile(law: Jurisdiction | None, countries: tuple[Country, ...]) -> dict[str, Any]:
    words = []
    if law and law.unruled:
        words.append(f"no rule has begun for {', '.join(law.unruled)}")
    words += [str(held.rule.mode) for held in law.rules] if law else []
    if law and law.holds:
        words.append("on hold")
    return {
        "countries": list(countries),
        "words": ", ".join(words),
        "unruled": list(law.unruled) if law else [],
        "minimum_age": law.minimum_age if law else None,
        "rules": [
            {
                "place": str(held.rule.place),
                "scope": held.rule.scope,
                "mode": str(held.rule.mode),
                "from": str(held.rule.begins) if held.rule.begins else "always",
                "decided_by": held.rule.decided_by,
                "source": cite(held.rule.sources.get("mode")),
            }
            for held in (law.rules if law else ())
        ],
        "holds": [
            {"id": hold.hold_id, "place": str(hold.place), "placed_by": hold.placed_by}
            for hold in (law.holds if law else ())
        ],
    }


def _countries(codes: list[str]) -> str:
    shown = ", ".join(codes[:SHOWN_COUNTRIES])
    return shown + (
        f" and {len(codes) - SHOWN_COUNTRIES} more" if len(codes) > SHOWN_COUNTRIES else ""
    )


@rulebook.command("diff")
@click.argument("first")
@click.argument("second")
@click.option("--members", type=FILE, help="Count in these members what would move.")
@click.option("--content", type=FILE, help="Count in these records what would move.")
@click.option("--at", type=INSTANT, metavar="T", help="The instant asked about [default: now].")
@purpose_option
@shared_options
def diff(
    shared: Shared, *, first: str, second: str, members: Path | None, content: Path | None,
    at: datetime | None, purpose: str,
) -> None:  # fmt: skip
    """Say what two rulebooks decide differently.

    FIRST and SECOND are each `draft`, `published`, the number of the entry that published
    one, or a folder.
    """
    when = at or now()
    with opened(shared) as workspace:
        one, other = named_rulebook(workspace, first), named_rulebook(workspace, second)
        changes = compare_rulebooks(one, other, purpose, when)
        moved = None
        if members or content:
            moved = what_if(
                workspace, one, other, purpose=purpose, at=when, members=members, content=content
            )
    stamp = when.isoformat().replace("+00:00", "Z")
    lines = [f"{purpose} as of {stamp}: {first} -> {second}"]
    lines += [] if changes else ["  no cell differs at this instant"]
    for change in changes:
        lines += _change_lines(change)
    if moved is not None:
        lines += _moved_lines(moved)
    value = {
        "purpose": purpose,
        "at": stamp,
        "first": one.digest,
        "second": other.digest,
        "cells": [asdict(change) for change in changes],
        "what_if": None if moved is None else asdict(moved),
    }
    emit(shared, value, "\n".join(lines))


def _change_lines(change: CellsDiffer) -> list[str]:
    return [
        f"{_countries(list(change.countries))}:",
        *(f"  + {reason} in {cells:,} cells" for reason, cells in change.gained.items()),
        *(f"  - {reason} in {cells:,} cells" for reason, cells in change.lost.items()),
        *(f"  {bound}" for bound in change.bounds),
    ]


def _moved_lines(moved: Moved) -> list[str]:
    return [
        (
            f"of {moved.members:,} members, {moved.members_out:,} would begin to be refused and "
            f"{moved.members_in:,} would no longer be"
        ),
        (
            f"of {moved.records:,} records, {moved.leaving:,} would leave and "
            f"{moved.entering:,} would enter"
        ),
        *(f"  leaving for {reason}: {rows:,}" for reason, rows in moved.leaving_for.items()),
    ]


@rulebook.command("timeline")
@click.option("--out", type=FILE, help="Where to write the picture [default: timeline.svg].")
@click.option("--known", type=int, metavar="N", help="The rulebook as of N entries.")
@purpose_option
@shared_options
def timeline(shared: Shared, out: Path | None, known: int | None, purpose: str) -> None:
    """Draw jurisdictions against time as an SVG, and print the same as a table."""
    target = out or Path("timeline.svg")
    with opened(shared) as workspace:
        book = need_purpose(workspace.rules(known), purpose).book
    target.write_text(timeline_svg(book, purpose, today=now().date()), encoding="utf-8")
    rows = timeline_rows(book, purpose)
    lines = [f"{'scope':8}{'what':6}{'from':18}{'until':18}label"]
    lines += [
        f"{row.scope:8}{row.kind:6}{_bound(row.begins, row.kind):18}"
        f"{str(row.until) if row.until else '':18}{row.label}"
        for row in rows
    ]
    emit(
        shared,
        {
            "svg": str(target),
            "rows": [
                {
                    "scope": row.scope, "kind": row.kind, "label": row.label,
                    "from": str(row.begins.value) if row.begins else None,
                    "until": str(row.until.value) if row.until else None,
                    "exactness": str(row.exactness), "mode": str(row.mode) if row.mode else None,
                    "who": row.who, "source": row.source,
                }
                for row in rows
            ],
        },
        "\n".join([*lines, "", f"picture in '{target}'"]),
    )  # fmt: skip


def _bound(bound: object, kind: str) -> str:
    if bound is not None:
        return str(bound)
    return "always" if kind == "rule" else "unknown"


@rulebook.command("table")
@purpose_option
@when_options
@shared_options
def table(shared: Shared, purpose: str, at: datetime | None, known: int | None) -> None:
    """Print the cells: every class of member and of record, with its reasons.

    Classes that share their reasons stand in one line; --json has every cell as a bit mask.
    """
    with opened(shared) as workspace:
        need_purpose(workspace.rules(known), purpose)
        cells = workspace.cells(purpose, at, known)
    lines: list[str] = []
    for place, profile in enumerate(cells.profiles):
        lines += [f"== {_countries(list(profile.countries)) or 'unknown country'}"]
        known_members = cells.member[place, int(Presence.KNOWN)]
        for title, masks, axes in (
            ("member", known_members, MEMBER_AXES),
            ("what the record is", cells.what[place], what_axes(cells)),
            ("when it was", cells.when[place], WHEN_AXES),
        ):
            lines.append(f"{title}:")
            lines += [
                f"  {', '.join(row.reasons) or 'no reason'}: {row.classes:,} classes"
                + (f"; {row.shared}" if row.shared else "")
                for row in grouped_cells(masks, axes)
            ]
    emit(shared, _cells_json(cells, purpose), "\n".join(lines))


def _cells_json(cells: Cells, purpose: str) -> dict[str, object]:
    return {
        "purpose": purpose,
        "at": cells.in_force.at.isoformat().replace("+00:00", "Z"),
        "cells": cells.member.size + cells.what.size + cells.when.size,
        "reasons": [str(reason) for reason in REASONS],
        "axes": {
            "member": [["presence", [one.name.lower() for one in Presence]], *MEMBER_AXES],
            "what": what_axes(cells),
            "when": WHEN_AXES,
        },
        "profiles": [
            {
                "countries": list(profile.countries),
                "member": cells.member[place].tolist(),
                "what": cells.what[place].tolist(),
                "when": cells.when[place].tolist(),
            }
            for place, profile in enumerate(cells.profiles)
        ],
    }


COMMANDS = (rulebook,)
