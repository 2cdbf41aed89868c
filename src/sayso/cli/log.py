"""`sayso log fsck`."""

from dataclasses import asdict

import click

from sayso.cli.shared import Shared, emit, opened, shared_options
from sayso.ledger.fsck import fsck as check_ledger


@click.group("log")
def log() -> None:
    """Check the ledger."""


@log.command("fsck")
@shared_options
def fsck(shared: Shared) -> None:
    """Derive again everything that can be, and name the first difference (exit code 1)."""
    with opened(shared) as workspace:
        found = check_ledger(workspace.ledger, progress=workspace.progress)
    lines = [
        (
            f"{found.size:,} entries, indexes without a gap: {found.head_entries:,} in the "
            "database, "
            f"{found.segment_entries:,} in {found.segments} segments"
        ),
        f"{found.commitments:,} commitments computed again, {found.erased_entries:,} erased",
        f"{found.tables} tables of {found.table_rows:,} rows, {found.roots} roots computed again",
        (
            f"{found.rulebooks} rulebooks, {found.member_keys:,} member keys, "
            f"{found.tombstones:,} tombstones"
        ),
        *(
            [f"{found.left_rows:,} rows still to erase: run 'sayso erase --reapply'"]
            if found.left_rows
            else []
        ),
        *(f"left behind by a crash, listed nowhere: {name}" for name in found.orphans),
        "no difference",
    ]
    emit(shared, asdict(found), "\n".join(lines))


COMMANDS = (log,)
