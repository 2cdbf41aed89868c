"""`sayso ingest`, `choose` and `explain`: what is about members."""

import json
from datetime import datetime
from pathlib import Path

import click

from sayso.attest.page import render_text
from sayso.attest.receipts import sign_receipt
from sayso.cli.shared import (
    FILE,
    INSTANT,
    Shared,
    emit,
    integrate_quietly,
    opened,
    purpose_option,
    shared_options,
    when_options,
)
from sayso.errors import InputError
from sayso.receipting import choices_of, plain_receipt, receipts_of
from sayso.workspace import Workspace, member_id


@click.command("ingest")
@click.argument("kind", type=click.Choice(["members", "choices", "notices"]))
@click.argument("file", type=FILE)
@shared_options
def ingest(shared: Shared, kind: str, file: Path) -> None:
    """Take FILE (Parquet, CSV or JSON Lines) whole, or not at all.

    Choices are added as entries. Members and notices are tables: a file replaces the last
    version. The same file twice changes nothing.
    """
    with opened(shared) as workspace:
        taken = workspace.ingest(kind, file)
        unknown = {} if kind == "members" else workspace.unknown_purposes(file)
    if taken.unchanged:
        text = f"'{file.name}' was taken before; nothing changed"
    else:
        text = f"{taken.rows:,} {kind} taken; the ledger has {taken.size:,} entries"
    if taken.backdated_on:
        text += f"\n{taken.backdated_on:,} back-dated `on` choices are flagged"
    if taken.ahead_on:
        text += f"\n{taken.ahead_on:,} `on` choices dated ahead are flagged: from then they "
        text += "stand above an `off` that is said before"
    if taken.ignored:
        text += f"\n{taken.ignored:,} rows without a member id were left out"
    for name, rows in unknown.items():
        which = f"purpose '{name}', which no rulebook declares" if name else "what is no purpose"
        click.echo(f"warning: {rows:,} rows are for {which}: they decide nothing", err=True)
    emit(
        shared,
        {
            "kind": kind,
            "rows": taken.rows,
            "unchanged": taken.unchanged,
            "first": taken.first,
            "size": taken.size,
            "backdated_on": taken.backdated_on,
            "ahead_on": taken.ahead_on,
            "ignored": taken.ignored,
            "unknown_purposes": unknown,
            "sha256": taken.sha256,
        },
        text,
    )


@click.command("choose")
@click.argument("member")
@click.argument("choice", type=click.Choice(["on", "off", "deferred"]))
@purpose_option
@click.option("--effective-at", type=INSTANT, help="When it was said [default: now].")
@click.option("--country", help="Where it was said [default: where the member's row says].")
@click.option("--channel", help="Through what it was said.")
@click.option("--setting-version", help="The version of the wording that was shown.")
@click.option("--receipt", "out", type=FILE, help="Where the member's signed receipt goes.")
@shared_options
def choose(
    shared: Shared, *, member: str, choice: str, purpose: str, effective_at: datetime | None,
    country: str | None, channel: str | None, setting_version: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Record what MEMBER said; durable when this returns. `--purpose '*'` with off: every use.

    Prints the member's receipt, which --receipt FILE keeps, signed and with its proof.
    """
    if out is not None and not out.parent.is_dir():  # told before the choice is recorded
        raise InputError(f"no folder '{out.parent}' for the receipt", hint="make it first")
    with opened(shared) as workspace:
        done = workspace.choose(
            member, choice, purpose=purpose, effective_at=effective_at, country=country,
            channel=channel, setting_version=setting_version,
        )  # fmt: skip
        integrate_quietly(workspace)
        envelope, text = _receipt(workspace, member_id(member), done.index)
    if out is not None:
        out.write_bytes(envelope)
    emit(
        shared,
        {
            "index": done.index,
            "commitment": done.commitment.hex(),
            "choice": choice,
            "purpose": purpose,
            "receipt": json.loads(envelope),
        },
        f"{choice} for {purpose} recorded as entry {done.index} "
        f"(commitment {done.commitment.hex()[:16]})\n\n{text}",
    )


def _receipt(workspace: Workspace, who: str, index: int) -> tuple[bytes, str]:
    """Return the signed receipt of a choice, and what it says in words."""
    said = next(one for one in choices_of(workspace.ledger, who, index + 1) if one.index == index)
    plain = plain_receipt(workspace.ledger, workspace.trust, who, said)
    return sign_receipt(plain, workspace.trust.key).to_bytes(), render_text(plain).rstrip("\n")


@click.command("receipts")
@click.argument("member")
@click.option("--out", type=FILE, required=True, help="A folder to make, one file a choice.")
@shared_options
def receipts(shared: Shared, member: str, out: Path) -> None:
    """Write the signed receipt of every choice of MEMBER, each with its proof."""
    with opened(shared) as workspace:
        integrate_quietly(workspace)
        who = member_id(member)
        made = receipts_of(workspace.ledger, workspace.trust, who)
    out.mkdir(parents=True)
    for number, envelope in enumerate(made, 1):
        (out / f"receipt-{number:04d}.json").write_bytes(envelope.to_bytes())
    emit(shared, {"receipts": len(made), "out": str(out)}, f"{len(made)} receipts in '{out}'")


@click.command("explain")
@click.argument("member")
@click.argument("record", required=False)
@click.option("--members", type=FILE, help="Replaces the ingested members table for this call.")
@click.option("--content", type=FILE, help="Where RECORD stands.")
@purpose_option
@when_options
@shared_options
def explain(
    shared: Shared, *, member: str, record: str | None, members: Path | None, content: Path | None,
    purpose: str, at: datetime | None, known: int | None,
) -> None:  # fmt: skip
    """Say whether RECORD of MEMBER may be used, and why; without RECORD, the member's part."""
    with opened(shared) as workspace:
        found = workspace.explain(
            member, record, content=content, purpose=purpose, at=at, known=known, members=members
        )
    emit(shared, found.to_json(), found.to_text())


COMMANDS = (ingest, choose, receipts, explain)
