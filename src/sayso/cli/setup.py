"""`sayso init`."""

from pathlib import Path

import click

from sayso.cli.shared import FILE, Shared, emit, now, shared_options
from sayso.opening import init_workspace
from sayso.publishing import TEMPLATES


@click.command("init")
@click.argument("directory", type=FILE)
@click.option(
    "--template", metavar="NAME", help=f"A rulebook to begin with: {', '.join(TEMPLATES)}."
)
@click.option("--database", metavar="URL", default="sqlite:///ledger.db", show_default=True,
              help="Where the ledger's head stands; postgresql://user@host/name for "
                   "a service.")  # fmt: skip
@shared_options
def init(shared: Shared, directory: Path, template: str | None, database: str) -> None:
    """Make a workspace in DIRECTORY and publish its rulebook."""
    workspace = init_workspace(directory, now, template=template, url=database)
    rules = workspace.rules()
    workspace.integrate()
    workspace.close()
    emit(
        shared,
        {
            "workspace": str(directory),
            "rulebook_digest": rules.book.digest,
            "entry": rules.entry,
            "log_key": workspace.trust.log.verifier().to_text(),
        },
        f"made workspace '{directory}'; rulebook {rules.book.digest[:16]} published as entry "
        f"{rules.entry}\nits log is {workspace.trust.log.verifier().to_text()}\n"
        f"next: sayso --workspace {directory} rulebook show",
    )


COMMANDS = (init,)
