"""What every command shares: options, clock, output, progress.

Promises: the only place that reads the environment and the clock.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sayso.errors import InputError, SaysoError, UnavailableError
from sayso.ledger.integrate import is_behind
from sayso.model import Dated, Source
from sayso.opening import OpenedWorkspace, open_workspace
from sayso.rulebook.parse import RulebookError
from sayso.workspace import Workspace


@dataclass
class Shared:
    """What was given before or after the command's name."""

    workspace: str | None = None
    json: bool = False


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object on stdout."
    )(function)
    return click.option(
        "--workspace", metavar="DIR", help="The workspace [default: SAYSO_WORKSPACE, or here]."
    )(function)


def root_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to the group."""

    def wrapper(workspace: str | None, as_json: bool, **rest: Any) -> Any:
        click.get_current_context().obj = Shared(workspace, as_json)
        return function(**rest)

    return _options(update_wrapper(wrapper, function))


def shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a command, whose first argument becomes `Shared`."""

    def wrapper(workspace: str | None, as_json: bool, **rest: Any) -> Any:
        before = click.get_current_context().find_object(Shared) or Shared()
        return function(Shared(workspace or before.workspace, as_json or before.json), **rest)

    return _options(update_wrapper(wrapper, function))


def now() -> datetime:
    """Return the present, aware UTC."""
    return datetime.now(UTC)


@contextmanager
def opened(shared: Shared) -> Iterator[OpenedWorkspace]:
    """Open the workspace that was named, with progress on stderr."""
    place = shared.workspace or os.environ.get("SAYSO_WORKSPACE") or "."
    with shown_progress() as progress:
        workspace = open_workspace(Path(place), now, progress)
        try:
            yield workspace
            integrate_quietly(workspace)
        finally:
            workspace.close()


def integrate_quietly(workspace: Workspace) -> None:
    """Bring what a command appended into the log; a silent witness fails no command."""
    if not is_behind(workspace.ledger):
        return
    try:
        workspace.integrate()
    except UnavailableError as error:
        click.echo(f"warning: no new checkpoint was published: {error}", err=True)


@contextmanager
def shown_progress() -> Iterator[Callable[[str, int], None]]:
    """Show stages on stderr: a live line on a terminal, else one line a stage."""
    console = Console(stderr=True)
    if not console.is_terminal:
        seen: list[str] = []

        def tell(stage: str, _rows: int) -> None:
            if not seen or seen[-1] != stage:
                seen.append(stage)
                click.echo(f"  {stage} ...", err=True)

        yield tell
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda stage, rows: bar.update(
            task, description=f"{stage} {rows:,}" if rows else stage
        )


def emit(shared: Shared, value: Mapping[str, object], text: str) -> None:
    """Print the object or the text."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2) if shared.json else text)


def fail_with(error: SaysoError, *, wants_json: bool) -> None:
    """Print an error on stderr, and as an object on stdout where JSON was asked for."""
    click.echo(f"error: {error}", err=True)
    faults = error.faults if isinstance(error, RulebookError) else ()
    for fault in faults:
        click.echo(f"  {fault}", err=True)
    if wants_json:
        told: dict[str, object] = {
            "family": _family(error), "message": error.message, "hint": error.hint,
        }  # fmt: skip
        if faults:
            told["faults"] = [fault._asdict() for fault in faults]
        click.echo(json.dumps({"error": told}, ensure_ascii=False))
    sys.stderr.flush()


def _family(error: SaysoError) -> str:
    """Return the name of the family, which says who must act."""
    lineage = [kind.__name__ for kind in type(error).__mro__]
    return lineage[lineage.index("SaysoError") - 1]


# ---- values on the command line ---------------------------------------------------------


def parse_instant(text: str) -> datetime:
    """Return an instant: ISO 8601; a naive time is UTC, a date alone its UTC midnight.

    Raises:
        InputError: It is none.
    """
    try:
        value = datetime.fromisoformat(text)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"'{text}' is no instant", hint="write 2025-11-03 or 2025-11-02T16:00:00Z"
        ) from None


def parse_bound(text: str) -> Dated:
    """Return a bound: a civil date, or an exact instant where a time is given.

    Raises:
        InputError: It is neither.
    """
    try:
        return Dated(date.fromisoformat(text))
    except ValueError:
        return Dated(parse_instant(text))


def parse_source(text: str | None) -> Source | None:
    """Return a source seen today; None for none and for the word `assumption`."""
    if text is None or text.strip() in {"", "assumption"}:
        return None
    address = text if text.startswith(("http://", "https://")) else ""
    return Source(title=text, address=address, seen=now().date())


class Instant(click.ParamType[datetime]):
    """Click's view of `parse_instant`."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert one value."""
        if isinstance(value, datetime):
            return value
        try:
            return parse_instant(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class Bound(click.ParamType[Dated]):
    """Click's view of `parse_bound`."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert one value."""
        if isinstance(value, Dated):
            return value
        try:
            return parse_bound(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


INSTANT, BOUND = Instant(), Bound()
FILE = click.Path(path_type=Path)


def purpose_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--purpose`."""
    return click.option(
        "--purpose", default="content-generation-training", show_default=True,
        help="What the data would be used for.",
    )(function)  # fmt: skip


def when_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--at` and `--known`."""
    function = click.option(
        "--known", type=int, metavar="N", help="Look only at the first N entries of the ledger."
    )(function)
    return click.option(
        "--at", type=INSTANT, metavar="T", help="The instant asked about [default: now]."
    )(function)
