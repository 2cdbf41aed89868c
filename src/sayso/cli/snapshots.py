"""`sayso build`, `rebuild` and `diff`."""

from datetime import datetime
from pathlib import Path

import click
import pyarrow as pa

from sayso.cli.shared import (
    FILE,
    Shared,
    emit,
    opened,
    purpose_option,
    shared_options,
    when_options,
)
from sayso.snapshot import Built, compare
from sayso.snapshot.manifest import Counts
from sayso.whatif import why_moved
from sayso.workspace import ENGINES

# Records that a printed difference names; --json has all.
SHOWN_ROWS = 20


@click.command("build")
@click.option(
    "--content", type=FILE, required=True, help="Records: a file, or a folder of Parquet."
)
@click.option("--members", type=FILE, help="Replaces the ingested members table for this call.")
@click.option("--engine", type=click.Choice(list(ENGINES)), default="duckdb", show_default=True,
              help="What decides; the snapshot is the same.")  # fmt: skip
@click.option("--out", type=FILE, required=True, help="Folder for the snapshot; must not exist.")
@purpose_option
@when_options
@shared_options
def build(
    shared: Shared, *, content: Path, members: Path | None, engine: str, out: Path, purpose: str,
    at: datetime | None, known: int | None,
) -> None:  # fmt: skip
    """Build a snapshot: the records that a published rule admits, as of an instant."""
    with opened(shared) as workspace:
        built = workspace.build(
            content, out, members=members, purpose=purpose, at=at, known=known, engine=engine
        )
    _report(shared, built)


@click.command("rebuild")
@click.argument("base", type=FILE)
@click.option("--content", type=FILE, help="Records [default: those of BASE].")
@click.option("--members", type=FILE, help="Replaces the members table [default: as BASE did].")
@click.option("--out", type=FILE, required=True, help="Folder for the snapshot; must not exist.")
@when_options
@shared_options
def rebuild(
    shared: Shared, *, base: Path, content: Path | None, members: Path | None, out: Path,
    at: datetime | None, known: int | None,
) -> None:  # fmt: skip
    """Build again after changes, touching only the buckets that may have changed."""
    with opened(shared) as workspace:
        built = workspace.rebuild(base, out, content=content, members=members, at=at, known=known)
    _report(shared, built)


def _report(shared: Shared, built: Built) -> None:
    manifest = built.manifest
    lines = [
        (
            f"snapshot '{built.path}' as of {manifest.at}, knowing {manifest.known} entries: "
            f"{manifest.counts.admitted:,} of {manifest.counts.records_in:,} records admitted"
        ),
        *(f"  {rows:>12,}  {reason}" for reason, rows in manifest.counts.refused.items()),
        f"manifest {manifest.digest}, entry {built.entry}; read '{built.path}/README.md'",
    ]
    emit(
        shared,
        {
            **manifest.counts.model_dump(),
            "by_country": {name: _counts(part) for name, part in manifest.by_country.items()},
            "manifest_digest": manifest.digest,
            "rulebook_digest": manifest.rulebook.digest,
            "at": manifest.at,
            "known": manifest.known,
            "purpose": manifest.purpose,
            "entry": built.entry,
            "buckets_written": built.buckets_written,
            "out": str(built.path),
        },
        "\n".join(lines),
    )


def _counts(counts: Counts) -> dict[str, object]:
    return counts.model_dump()


@click.command("diff")
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@shared_options
def diff(shared: Shared, first: Path, second: Path) -> None:
    """Say what entered and what left between two snapshots, and why."""
    found = compare(first, second)
    with opened(shared) as workspace:
        entered = why_moved(workspace, first, found.entered)
        left = why_moved(workspace, second, found.left)
    lines = [
        (
            f"{found.before.counts.admitted:,} -> {found.after.counts.admitted:,} records; "
            f"{found.entered.num_rows:,} entered, {found.left.num_rows:,} left, "
            f"{found.changed.num_rows:,} changed; {found.buckets_compared} buckets differ"
        )
    ]
    if found.erased:
        lines.append(f"{found.erased:,} records in one of them were erased since")
    for title, table in (("entered, refused before for", entered), ("left, refused now for", left)):
        lines += [f"{title}:"] if table.num_rows else []
        for row in table.slice(0, SHOWN_ROWS).to_pylist():
            lines.append(
                f"  {row['record_id']} ({row['country']}): "
                f"{', '.join(row['reasons'] or ()) or 'not there'}"
            )
        if table.num_rows > SHOWN_ROWS:
            lines.append(f"  ... and {table.num_rows - SHOWN_ROWS:,} more (--json has all)")
    emit(
        shared,
        {
            "before": found.before.digest,
            "after": found.after.digest,
            "buckets_compared": found.buckets_compared,
            "entered": _rows(entered),
            "left": _rows(left),
            "changed": found.changed.to_pylist(),
            "erased": found.erased,
        },
        "\n".join(lines),
    )


def _rows(table: pa.Table) -> list[dict[str, object]]:
    return list(table.to_pylist())


COMMANDS = (build, rebuild, diff)
