"""`sayso trace`: what a hold touches."""

from pathlib import Path

import click

from sayso.cli.shared import FILE, Shared, emit, opened, shared_options
from sayso.evidence.entries import Folders
from sayso.evidence.pack_hold import trace_of
from sayso.evidence.report_trace import answer_of, builds_of, trace_json


@click.group("trace")
def trace() -> None:
    """Say what something touches: builds before it, under it, after it."""


@trace.command("hold")
@click.argument("hold_id")
@click.option(
    "--snapshot", "folders", type=FILE, multiple=True,
    help="A snapshot's folder that the workspace does not know; may be repeated.",
)  # fmt: skip
@shared_options
def hold(shared: Shared, *, hold_id: str, folders: tuple[Path, ...]) -> None:
    """Say when HOLD_ID stood, what was permitted before it, and how each build stands to it."""
    with opened(shared) as workspace:
        known = Folders(workspace.ledger, workspace.trust, folders)
        found = trace_of(workspace.ledger, known, hold_id)
    table = builds_of(found, "Builds")
    lines = [*answer_of(found), ""]
    lines += ["  ".join(table.head), *("  ".join(row) for row in table.rows)]
    emit(shared, trace_json(found), "\n".join(lines if table.rows else [*lines[:-2], table.empty]))


COMMANDS = (trace,)
