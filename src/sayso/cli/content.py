"""`sayso import`."""

from pathlib import Path

import click

from sayso.cli.shared import FILE, Shared, emit, shared_options, shown_progress
from sayso.errors import InputError
from sayso.sources import KINDS, import_source


@click.command("import")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("src", type=FILE)
@click.option(
    "--out", type=FILE, required=True, help="Folder for members.parquet and content.parquet."
)
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="OURS=THEIRS",
    help="A column's name there; may be repeated.",
)
@shared_options
def import_(shared: Shared, kind: str, src: Path, out: Path, pairs: tuple[str, ...]) -> None:
    """Read SRC as KIND into OUT, by allow-list; whatever is left out is reported."""
    mapping = dict(_pair(pair) for pair in pairs)
    with shown_progress() as progress:
        report = import_source(kind, src, out, mapping=mapping or None, progress=progress)
    lines = [
        f"{report.content_rows:,} records and {report.members_rows:,} members in '{out}'",
        *(
            f"  skipped {one.file}"
            + (f" ({one.rows:,} rows)" if one.rows is not None else "")
            + f": {one.why}"
            for one in report.skipped
        ),
    ]
    emit(
        shared,
        {
            "kind": kind,
            "members": report.members_rows,
            "content": report.content_rows,
            "out": str(out),
            "skipped": [
                {"file": one.file, "rows": one.rows, "why": one.why} for one in report.skipped
            ],
        },
        "\n".join(lines),
    )


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise InputError(f"'{text}' is no mapping", hint="write OURS=THEIRS")
    return ours, theirs


COMMANDS = (import_,)
