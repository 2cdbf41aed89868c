"""`sayso trace`: what a hold, a rule or a member touches."""

from pathlib import Path

import click

from sayso.cli.shared import FILE, Shared, emit, opened, purpose_option, shared_options
from sayso.evidence.report import Table
from sayso.evidence.report_trace import answer_of, builds_of, learned_of, trace_json
from sayso.evidence.report_trace_member import answer_of_member, member_trace_json, runs_of_member
from sayso.evidence.report_trace_rule import answer_of_rule, builds_of_rule, rule_json

folders_option = click.option(
    "--snapshot", "folders", type=FILE, multiple=True,
    help="A snapshot's folder that the workspace does not know; may be repeated.",
)  # fmt: skip


@click.group("trace")
def trace() -> None:
    """Say what a hold, a rule or a member touches: snapshots, runs, adapters, releases."""


@trace.command("hold")
@click.argument("hold_id")
@folders_option
@shared_options
def hold(shared: Shared, *, hold_id: str, folders: tuple[Path, ...]) -> None:
    """Say when HOLD_ID stood, what was permitted before it, and how each build stands to it."""
    with opened(shared) as workspace:
        found = workspace.trace(hold=hold_id, snapshots=folders)
    tables = (builds_of(found, "Builds"), learned_of(found))
    emit(shared, trace_json(found), _told(answer_of(found), *tables))


@trace.command("rule")
@click.argument("scope")
@click.option("--from", "begins", metavar="DATE", help="Its first day, or 'always'.")
@purpose_option
@folders_option
@shared_options
def rule(
    shared: Shared, *, scope: str, begins: str | None, purpose: str, folders: tuple[Path, ...]
) -> None:
    """Say when the rule of SCOPE was in force, in which builds it decided, and what learned."""
    with opened(shared) as workspace:
        found = workspace.trace(rule=scope, begins=begins, purpose=purpose, snapshots=folders)
    emit(shared, rule_json(found), _told(answer_of_rule(found), builds_of_rule(found)))


@trace.command("member")
@click.argument("member")
@folders_option
@shared_options
def member(shared: Shared, *, member: str, folders: tuple[Path, ...]) -> None:
    """Say which snapshots, shards, adapters and releases hold something of MEMBER."""
    with opened(shared) as workspace:
        found = workspace.trace(member=member, snapshots=folders)
    emit(shared, member_trace_json(found), _told(answer_of_member(found), runs_of_member(found)))


def _told(sentences: list[str], *tables: Table) -> str:
    lines = list(sentences)
    for table in tables:
        rows = ["  ".join(row) for row in table.rows]
        lines += ["", *(["  ".join(table.head), *rows] if rows else [table.empty])]
    return "\n".join(lines)


COMMANDS = (trace,)
