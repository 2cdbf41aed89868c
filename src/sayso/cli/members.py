"""`sayso ingest`, `choose` and `explain`: what is about members."""

from datetime import datetime
from pathlib import Path

import click

from sayso.cli.shared import (
    FILE,
    INSTANT,
    Shared,
    emit,
    opened,
    purpose_option,
    shared_options,
    when_options,
)


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
    if taken.unchanged:
        text = f"'{file.name}' was taken before; nothing changed"
    else:
        text = f"{taken.rows:,} {kind} taken; the ledger has {taken.size:,} entries"
    if taken.flagged:
        text += f"\n{taken.flagged:,} back-dated `on` choices are flagged"
    if taken.ignored:
        text += f"\n{taken.ignored:,} rows without a member id were left out"
    emit(
        shared,
        {
            "kind": kind,
            "rows": taken.rows,
            "unchanged": taken.unchanged,
            "first": taken.first,
            "size": taken.size,
            "backdated_on": taken.flagged,
            "ignored": taken.ignored,
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
@shared_options
def choose(
    shared: Shared, *, member: str, choice: str, purpose: str, effective_at: datetime | None,
    country: str | None, channel: str | None, setting_version: str | None,
) -> None:  # fmt: skip
    """Record what MEMBER said; durable when this returns. `--purpose '*'` with off: every use."""
    with opened(shared) as workspace:
        receipt = workspace.choose(
            member, choice, purpose=purpose, effective_at=effective_at, country=country,
            channel=channel, setting_version=setting_version,
        )  # fmt: skip
    emit(
        shared,
        {
            "index": receipt.index,
            "commitment": receipt.commitment.hex(),
            "choice": choice,
            "purpose": purpose,
        },
        f"{choice} for {purpose} recorded as entry {receipt.index} "
        f"(commitment {receipt.commitment.hex()[:16]})",
    )


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


COMMANDS = (ingest, choose, explain)
