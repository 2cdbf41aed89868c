"""The command line: `sayso`.

Promises: every command takes `--json` (one object on stdout) and `--workspace`; progress and
messages go to stderr; the exit code says who must act. Holds no policy.

Exit codes: 0 done, 1 integrity failure, 2 bad input, 3 the rules forbid it, 4 unavailable,
5 conflict, 130 interrupted.
"""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click
import duckdb

from sayso.cli import (
    audit,
    content,
    demo,
    erasure,
    hold,
    log,
    members,
    pack,
    rulebook,
    serve,
    setup,
    snapshots,
    trace,
    training,
    verify,
    writing,
)
from sayso.cli.shared import fail_with, root_options
from sayso.errors import (
    ConflictError,
    InputError,
    IntegrityError,
    RefusedError,
    SaysoError,
    UnavailableError,
)
from sayso.tables import no_memory

# The one table from error families to exit codes.
EXIT_CODES: dict[type[SaysoError], int] = {
    IntegrityError: 1,
    InputError: 2,
    RefusedError: 3,
    UnavailableError: 4,
    ConflictError: 5,
}
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sayso")
@root_options
def cli() -> None:
    """No model learns against anyone's say-so."""


for _room in (
    setup,
    rulebook,
    hold,
    content,
    members,
    snapshots,
    training,
    audit,
    writing,
    log,
    trace,
    pack,
    erasure,
    demo,
    serve,
    verify,
):
    for _command in _room.COMMANDS:
        cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    wants_json = "--json" in given
    try:
        _need_text(given)
        with _hearing_interrupts():
            code = cli.main(given, prog_name="sayso", standalone_mode=False)
    except click.ClickException as error:
        if wants_json:
            click.echo(
                json.dumps({"error": {"family": "InputError", "message": error.format_message()}})
            )
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _interrupted(wants_json=wants_json)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except SaysoError as error:
        fail_with(error, wants_json=wants_json)
        sys.exit(next(code for family, code in EXIT_CODES.items() if isinstance(error, family)))
    except duckdb.OutOfMemoryException:
        fail_with(no_memory(), wants_json=wants_json)
        sys.exit(EXIT_CODES[UnavailableError])
    except OSError as error:
        reason = error.strerror or type(error).__name__
        where = f" ('{error.filename}')" if error.filename else ""
        problem = UnavailableError(f"the system refused: {reason.lower()}{where}")
        fail_with(problem, wants_json=wants_json)
        sys.exit(EXIT_CODES[UnavailableError])
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def _hearing_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt after Ctrl-C, whatever a library made of the one it met."""
    heard: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    try:
        before = signal.signal(signal.SIGINT, hear)
    except ValueError:  # not the main thread, which alone hears signals
        yield
        return
    try:
        yield
    except Exception:
        if heard:  # DuckDB, for one, raises errors of its own
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(*, wants_json: bool) -> NoReturn:
    message = "interrupted; nothing half-finished counts"
    click.echo(message, err=True)
    if wants_json:
        click.echo(json.dumps({"error": {"family": "Interrupted", "message": message}}))
    sys.exit(INTERRUPTED)


def _need_text(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no UTF-8: no id, file or answer could repeat them."""
    for place, argument in enumerate(arguments, 1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InputError(f"argument {place} is not UTF-8") from None
