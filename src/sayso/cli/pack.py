"""`sayso pack`: the evidence for one question, in one file."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from sayso.cli.shared import FILE, Shared, emit, now, opened, purpose_option, shared_options
from sayso.decision.states import microseconds
from sayso.evidence.article53 import Provider
from sayso.evidence.pack_hold import pack_hold
from sayso.evidence.pack_member import pack_member
from sayso.evidence.pack_period import pack_period
from sayso.evidence.pack_release import pack_release
from sayso.evidence.packs import Packed, Source, pack_snapshot
from sayso.evidence.period import parse_period
from sayso.workspace import Workspace, member_id

DAY = click.DateTime(["%Y-%m-%d"])
out_option = click.option("--out", type=FILE, required=True, help="The file; must not exist.")
folders_option = click.option(
    "--snapshot", "folders", type=FILE, multiple=True,
    help="A snapshot's folder that the workspace does not know; may be repeated.",
)  # fmt: skip


@click.group("pack")
def pack() -> None:
    """Make the evidence for one question, to be verified offline."""


@pack.command("snapshot")
@click.argument("directory", type=FILE)
@out_option
@click.option("--provider", default="", help="Provider's name and contact, for the summary.")
@click.option("--model", default="", help="Versioned names of the models, for the summary.")
@click.option("--services", default="", help="Services that the data come from, for the summary.")
@shared_options
def snapshot(
    shared: Shared, *, directory: Path, out: Path, provider: str, model: str, services: str
) -> None:
    """Show what the snapshot in DIRECTORY took, under which rules, and why not the rest."""
    told = Provider(name=provider, models=model, services=services)
    with opened(shared) as workspace:
        packed = pack_snapshot(_source(workspace), directory, out, provider=told)
    _report(shared, packed)


@pack.command("member")
@click.argument("member")
@out_option
@click.option(
    "--snapshot", "folders", type=FILE, multiple=True,
    help="A snapshot to look at; may be repeated [default: all that are at hand].",
)  # fmt: skip
@shared_options
def member(shared: Shared, *, member: str, out: Path, folders: tuple[Path, ...]) -> None:
    """Show MEMBER what is theirs: choices, receipts, records. For them alone."""
    with opened(shared) as workspace:
        source = _source(workspace)
        packed = pack_member(source, workspace, member_id(member), out, folders=folders)
    _report(shared, packed)


@pack.command("hold")
@click.argument("hold_id")
@out_option
@folders_option
@shared_options
def hold(shared: Shared, *, hold_id: str, out: Path, folders: tuple[Path, ...]) -> None:
    """Show whom HOLD_ID covers, when each build stopped, and what had been built before."""
    with opened(shared) as workspace:
        packed = pack_hold(_source(workspace), hold_id, out, folders=folders)
    _report(shared, packed)


@pack.command("release")
@click.argument("release", type=FILE)
@out_option
@click.option("--run", type=FILE, help="The folder of its run [default: where it was made].")
@folders_option
@shared_options
def release(
    shared: Shared, *, release: Path, out: Path, run: Path | None, folders: tuple[Path, ...]
) -> None:
    """Show what the release in RELEASE is made of, down to the snapshot, and what became of it."""
    with opened(shared) as workspace:
        packed = pack_release(_source(workspace), release, out, run=run, folders=folders)
    _report(shared, packed)


@pack.command("period")
@click.argument("country")
@click.option("--from", "first", type=DAY, required=True, help="First day, in the country.")
@click.option("--to", "last", type=DAY, required=True, help="Last day, in the country.")
@out_option
@purpose_option
@folders_option
@shared_options
def period(
    shared: Shared, *, country: str, first: datetime, last: datetime, out: Path, purpose: str,
    folders: tuple[Path, ...],
) -> None:  # fmt: skip
    """Show what was in force in COUNTRY between two dates, and what was built."""
    asked = parse_period(country, _day(first), _day(last))
    with opened(shared) as workspace:
        packed = pack_period(_source(workspace), asked, purpose, out, folders=folders)
    _report(shared, packed)


def _day(value: datetime) -> date:
    return value.date()


def _source(workspace: Workspace) -> Source:
    """Bring every entry into the log, and return what packs are made from."""
    workspace.integrate()
    return Source(workspace.ledger, workspace.trust, microseconds(now()))


def _report(shared: Shared, packed: Packed) -> None:
    told: dict[str, Any] = packed.to_json()
    emit(
        shared, told,
        f"pack of {packed.files:,} files in '{packed.path}' (digest {packed.digest[:16]}); "
        f"check it with 'sayso verify {packed.path}', read report.html in it",
    )  # fmt: skip


COMMANDS = (pack,)
