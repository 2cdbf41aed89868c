"""`sayso write bio / post / kept / delete / export`: the assistant.

The recipient of what a member says is named on stderr before anything leaves; whoever is not
at a terminal accepts it with `--yes`, or has written it into `sayso.toml`.
"""

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq

from sayso.cli.shared import FILE, Shared, emit, opened, shared_options
from sayso.decision.states import microseconds
from sayso.errors import ConflictError, InputError, RefusedError
from sayso.facts import instant_of
from sayso.ledger.kept import delete_kept, kept_of, kept_of_all
from sayso.settings import RemoteModel, load_settings
from sayso.snapshot.manifest import iso
from sayso.sources import CONTENT_SCHEMA
from sayso.workspace import Workspace, member_id
from sayso.writing import (
    LABEL,
    Asked,
    Endpoint,
    Provider,
    Recipient,
    Remote,
    Sampling,
    ServedRelease,
    ask_bio,
    ask_post,
    need_assistance,
    need_recipient,
    parse_exchange,
    records_of,
    stream,
)
from sayso.writing.configured import configured_remote, need_key, read_key

KEY_VARIABLE = "SAYSO_ASSISTANT_KEY"
ID_BYTES = 8
SEEDS = 2**31
MOST_ALTERNATIVES = 10


@dataclass(frozen=True)
class Wish:
    """How a text is to be written, as the command line says it."""

    release: Path | None
    url: str
    model: str
    recipient: str
    api_version: str
    key_file: Path | None
    alternatives: int
    tokens: int
    seed: int | None
    yes: bool


def writing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what `bio` and `post` share; the options become a `Wish`."""

    def wrapper(shared: Shared, member: str, **given: Any) -> Any:
        own = {name: given.pop(name) for name in ("content", "about") if name in given}
        return function(shared, member_id(member), wish=Wish(**given), **own)

    wrapped = update_wrapper(wrapper, function)
    for option in reversed(
        (
            click.option("--member", required=True, metavar="M", help="For whom."),
            click.option("--release", type=FILE, help="Write with this release of ours."),
            click.option("--url", default="", help="Write with a model that answers here."),
            click.option("--model", default="", help="Its name there."),
            click.option("--recipient", default="", help="Who answers, as the rulebook names it."),
            click.option("--api-version", default="", help="Azure's, where it is Azure's form."),
            click.option("--key-file", type=FILE, help=f"Holds the key [default: {KEY_VARIABLE}]."),
            click.option(
                "--alternatives", type=click.IntRange(1, MOST_ALTERNATIVES), default=1,
                show_default=True, help="So many texts.",
            ),
            click.option(
                "--tokens", type=click.IntRange(1, 4096), default=200, show_default=True,
                help="At most so many for each text.",
            ),
            click.option("--seed", type=int, help="Of the first text [default: a new one]."),
            click.option("--yes", is_flag=True, help="The member accepts the recipient."),
        )
    ):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped


@click.group("write")
def write() -> None:
    """Write for a member who asks for it, whatever they chose about training."""


@write.command("bio")
@shared_options
@writing_options
@click.option("--content", type=FILE, required=True, help="Where the member's profile stands.")
def bio(shared: Shared, who: str, *, wish: Wish, content: Path) -> None:
    """Write a biography from the member's own profile."""
    _write(shared, wish, lambda workspace: ask_bio(workspace, who, content))


@write.command("post")
@shared_options
@writing_options
@click.option("--about", required=True, metavar="TEXT", help="What it is about; - reads stdin.")
def post(shared: Shared, who: str, *, wish: Wish, about: str) -> None:
    """Write a post about what the member says."""
    words = sys.stdin.read() if about == "-" else about
    _write(shared, wish, lambda workspace: ask_post(workspace, who, words))


def _write(shared: Shared, wish: Wish, ask: Callable[[Workspace], Asked]) -> None:
    with opened(shared) as workspace:
        asked = ask(workspace)
        configured = load_settings(workspace.path).assistant
        provider = _provider(workspace, wish, configured)
        if provider.recipient is not None:
            _accept(workspace, asked, provider.recipient, wish, configured)
        seed = secrets.randbelow(SEEDS) if wish.seed is None else wish.seed
        sampling = Sampling(seed, wish.tokens)
        kept_id = secrets.token_hex(ID_BYTES)
        is_cut = asked.prompt.is_cut or provider.cuts(asked.prompt, sampling)
        if is_cut:
            click.echo("note: there is more than the model reads; the rest was cut", err=True)
        texts: dict[int, list[str]] = {}
        name = provider.name
        for piece in stream(
            workspace, provider, asked, sampling, alternatives=wish.alternatives, kept_id=kept_id
        ):
            if not shared.json:
                _show(
                    piece.number, piece.text, wish.alternatives, is_first=piece.number not in texts
                )
            texts.setdefault(piece.number, []).append(piece.text)
    told = {
        "kind": asked.kind,
        "generated": True,
        "label": LABEL,
        "texts": ["".join(texts.get(number, ())) for number in range(1, wish.alternatives + 1)],
        "model": name,
        "recipient": _recipient_told(provider.recipient),
        "made_from": list(asked.made_from),
        "seed": seed,
        "is_cut": is_cut,
        "kept": kept_id,
    }
    emit(shared, told, f"\n\n[{LABEL}: {name}; kept as {kept_id}]")


def _recipient_told(recipient: Recipient | None) -> dict[str, str] | None:
    return {"name": recipient.name, "url": recipient.url} if recipient else None


def _show(number: int, text: str, alternatives: int, *, is_first: bool) -> None:
    """Print a piece as it comes, each text under its label."""
    if is_first:
        which = f", {number} of {alternatives}" if alternatives > 1 else ""
        before = "\n\n" if number > 1 else ""
        click.echo(f"{before}[{LABEL}{which}]\n")
    click.echo(_shown(text), nl=False)
    sys.stdout.flush()


def _shown(text: str) -> str:
    """Return text without signs that steer a terminal: a model may write anything."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)


def _provider(workspace: Workspace, wish: Wish, configured: RemoteModel | None) -> Provider:
    """Return who writes: what was named, or else what `sayso.toml` names."""
    if wish.release is not None:
        if wish.url:
            raise click.UsageError("give --release or --url")
        return ServedRelease(workspace, wish.release)
    if wish.url:
        if not (wish.model and wish.recipient):
            raise click.UsageError("--url needs --model and --recipient")
        where = Recipient(wish.recipient, wish.url)
        return Remote(Endpoint(where, wish.model, wish.api_version, _key(wish.key_file)))
    if configured is None:
        raise InputError(
            "nobody is named who would write",
            hint="add --release or --url, or fill [assistant] of sayso.toml",
        )
    return configured_remote(workspace.path, configured, _key(wish.key_file))


def _key(file: Path | None) -> str:
    """Return the key, from a file or from the environment; never from an argument."""
    return need_key(os.environ.get(KEY_VARIABLE, "") if file is None else read_key(file))


def _accept(
    workspace: Workspace,
    asked: Asked,
    recipient: Recipient,
    wish: Wish,
    configured: RemoteModel | None,
) -> None:
    """Name the recipient to the member, and go on only where it was accepted.

    Raises:
        RefusedError: The purpose does not list it, or nobody accepted it.
    """
    need_recipient(need_assistance(workspace, asked.who), recipient)
    given = "the member's profile" if asked.made_from else "what the member says"
    click.echo(f"{given} goes to '{recipient.name}' at {recipient.url}", err=True)
    known = configured and Recipient(configured.recipient, configured.url) == recipient
    if wish.yes or known:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RefusedError(
            f"nobody accepted '{recipient.name}' as a recipient",
            hint="add --yes where the member did, or name it in [assistant] of sayso.toml",
        )
    if not click.confirm("send it?", default=False, err=True):
        raise RefusedError(f"the member did not accept '{recipient.name}'", hint="nothing was sent")


# ---- what is kept -----------------------------------------------------------------------


@write.command("kept")
@click.option("--member", required=True, metavar="M", help="Whose.")
@shared_options
def kept(shared: Shared, *, member: str) -> None:
    """Show a member what the assistant was given by them, and what it wrote."""
    with opened(shared) as workspace:
        found = kept_of(workspace.ledger, member_id(member))
    read = [(one, parse_exchange(one.raw)) for one in found]
    told = [
        {
            "id": one.kept_id, "at": iso(instant_of(one.kept_us)), "kind": exchange.kind,
            "asked": exchange.asked, "made_from": list(exchange.made_from),
            "written": list(exchange.written), "model": exchange.model,
            "recipient": exchange.recipient or None,
        }
        for one, exchange in read
    ]  # fmt: skip
    lines = [
        line
        for one, exchange in read
        for line in (
            f"{one.kept_id}  {iso(instant_of(one.kept_us))}  {exchange.kind}  {exchange.model}",
            *([f"  asked: {_shown(exchange.asked)}"] if exchange.asked else []),
            *(f"  [{LABEL}] {_shown(text)}" for text in exchange.written),
        )
    ]
    emit(shared, {"kept": told, "label": LABEL}, "\n".join(lines) or "nothing is kept")


@write.command("delete")
@click.argument("kept_id", nargs=-1)
@click.option("--member", required=True, metavar="M", help="Whose.")
@click.option("--all", "everything", is_flag=True, help="All that is kept for them.")
@shared_options
def delete(shared: Shared, *, kept_id: tuple[str, ...], member: str, everything: bool) -> None:
    """Delete what is kept for a member; what learned from it must forget it."""
    if bool(kept_id) == everything:
        raise click.UsageError("name what to delete, or give --all")
    with opened(shared) as workspace:
        deleted_us = microseconds(workspace.clock())
        gone = delete_kept(
            workspace.ledger, member_id(member), None if everything else kept_id, deleted_us
        )
    if missing := sorted(set(kept_id) - set(gone)):
        raise InputError(
            f"nothing of this member is kept as '{missing[0]}'", hint="see 'sayso write kept'"
        )
    emit(
        shared,
        {"deleted": list(gone)},
        f"{len(gone)} deleted; 'sayso forget RUN --pending' takes out what learned from them",
    )


@write.command("export")
@click.option("--out", type=FILE, required=True, help="A Parquet file to make.")
@shared_options
def export(shared: Shared, *, out: Path) -> None:
    """Write what is kept as content, which 'sayso build' takes like any other."""
    if out.exists():
        raise ConflictError(f"'{out}' is there already", hint="choose another name")
    with opened(shared) as workspace:
        rows = [
            record._asdict()
            for who, one in kept_of_all(workspace.ledger)
            for record in records_of(who, one)
        ]
    pq.write_table(pa.Table.from_pylist(rows, schema=CONTENT_SCHEMA), out)
    emit(shared, {"out": str(out), "records": len(rows)}, f"{len(rows)} records in '{out}'")


COMMANDS = (write,)
