"""`sayso erase` and `sayso retention run / show`: what is deleted, and what stays."""

from pathlib import Path

import click

from sayso.cli.shared import FILE, Shared, emit, opened, shared_options
from sayso.erasure import OUT_OF_REACH, TOMBSTONE, Erasure
from sayso.errors import InputError
from sayso.retention import FOR_EVER, Due
from sayso.snapshot.erase import Reached


@click.command("erase")
@click.argument("member", required=False)
@click.option(
    "--in", "copies", type=FILE, multiple=True, metavar="DIR",
    help="A copy of a snapshot that was moved here; may be repeated. It is kept in mind.",
)  # fmt: skip
@click.option(
    "--reapply", is_flag=True,
    help="Erase everybody again who was ever erased: after restoring a backup.",
)  # fmt: skip
@shared_options
def erase(shared: Shared, *, member: str | None, copies: tuple[Path, ...], reapply: bool) -> None:
    """Delete MEMBER's key, choices, rows and records; they are refused from now on, always."""
    if (member is None) != reapply:
        raise InputError("name a member, or give --reapply", hint="see 'sayso erase --help'")
    with opened(shared) as workspace:
        if member is None:
            done = workspace.reapply_erasures(copies=copies)
        else:
            done = workspace.erase(member, copies=copies)
    emit(shared, _erased(done), "\n".join(_told(done)))


def _erased(done: Erasure) -> dict[str, object]:
    ledger = done.ledger
    return {
        "entry": done.entry,
        "new": done.is_new,
        "returned": done.returned,
        "keys": ledger.keys,
        "choices_in_database": ledger.head_rows,
        "kept_in_database": ledger.kept_rows,
        "rows_in_files": ledger.rows,
        "segments": list(ledger.segments),
        "tables": list(ledger.tables),
        "swept": list(done.swept),
        "snapshots": [
            {
                "path": str(one.path), "reached": str(one.reached), "files": list(one.files),
                "records": one.rows, "why": one.why or None,
            }
            for one in done.snapshots
        ],
        "waiting": list(done.waiting),
        "inputs": list(done.inputs),
        "out_of_reach": list(OUT_OF_REACH),
        "tombstone": TOMBSTONE,
    }  # fmt: skip


def _told(done: Erasure) -> list[str]:
    ledger = done.ledger
    if done.entry is None:
        lines = [f"looked everywhere for everybody who was erased; {done.returned} came back"]
    elif done.is_new:
        lines = [f"erased, as entry {done.entry}"]
    else:
        lines = [f"erased before, as entry {done.entry}; looked everywhere again"]
    lines += [
        "deleted:",
        f"  {ledger.keys} keys and {ledger.head_rows} choices in the database",
        f"  {ledger.kept_rows} things that the assistant was given or gave",
        f"  {ledger.rows} rows in {len(ledger.segments)} segments and {len(ledger.tables)} tables",
        *(f"  {name}" for name in (*ledger.segments, *ledger.tables)),
        *(f"  {name}, which nothing listed" for name in done.swept),
    ]
    for one in done.snapshots:
        if one.reached is Reached.ERASED:
            lines.append(f"  {one.rows} records in {len(one.files)} files of '{one.path}'")
        elif one.reached is Reached.CLEARED:
            lines.append(f"  what a killed build left beside '{one.path}'")
    if done.waiting:
        lines.append("left for now, since somebody is at work there or it could not be deleted:")
        lines += [f"  {one}" for one in done.waiting]
    lines.append("out of reach:")
    lines += [
        f"  '{one.path}': {one.why}; if it is elsewhere: 'sayso erase MEMBER --in DIR'"
        for one in done.missed
    ]
    lines += [f"  '{path}', the platform's own file" for path in done.inputs]
    lines += [f"  {one}" for one in OUT_OF_REACH]
    return [*lines, f"what stays: {TOMBSTONE}"]


@click.group("retention")
def retention() -> None:
    """Delete what no longer decides anything, after as long as sayso.toml says."""


@retention.command("show")
@shared_options
def show(shared: Shared) -> None:
    """Say how long each kind of data is kept, why, and what is due."""
    with opened(shared) as workspace:
        kept, due = workspace.retention, workspace.due()
    lines = [f"{'kind':12} {'kept':10} why"]
    for kind, one in kept.items():
        lines.append(f"{kind:12} {one!s:10} {one.reason}")
        if kind in FOR_EVER:
            lines.append(f"{'':23} ({FOR_EVER[kind]})")
    emit(
        shared,
        {
            "retention": {
                kind: {"keep": str(one), "reason": one.reason} for kind, one in kept.items()
            },
            "due": _due(due),
        },
        "\n".join([*lines, *_due_lines(due, "due")]),
    )


@retention.command("run")
@click.option("--dry-run", is_flag=True, help="Delete nothing; say what would be deleted.")
@shared_options
def run(shared: Shared, *, dry_run: bool) -> None:
    """Delete what was kept for as long as sayso.toml says; commitments and manifests stay."""
    swept: tuple[str, ...] = ()
    with opened(shared) as workspace:
        if dry_run:
            due = workspace.due()
        else:
            done = workspace.apply_retention()
            due, swept = done.due, done.swept
    lines = _due_lines(due, "would be deleted" if dry_run else "deleted")
    lines += [f"deleted: {name}, which nothing listed" for name in swept]
    emit(
        shared,
        {"dry_run": dry_run, "deleted": _due(due), "swept": list(swept)},
        "\n".join(lines),
    )


def _due(due: Due) -> dict[str, object]:
    return {
        "tables": [
            {"kind": one.kind, "entry": one.entry, "rows": one.rows} for one in due.versions
        ],
        "snapshots": [{"path": str(one.path), "entry": one.entry} for one in due.snapshots],
        "reads": due.reads,
    }


def _due_lines(due: Due, what: str) -> list[str]:
    lines = [
        f"{what}: {one.rows:,} rows of the {one.kind} of entry {one.entry}, which others replaced"
        for one in due.versions
    ]
    lines += [f"{what}: the records of '{one.path}'" for one in due.snapshots]
    if due.reads:
        lines.append(f"{what}: {due.reads:,} notes of who read what of a member")
    return lines or [f"{what}: nothing"]


COMMANDS = (erase, retention)
