"""The assistant: from a member's wish to texts, and to what is kept of them.

Promises: whether it may write is asked before anything is read, and again whenever the
ledger grew while it writes; a prompt holds what this member said, or what their own profile
says, and nothing of anybody else; a choice about training, or a hold on it, changes neither
prompt nor text. What was asked and what was written is kept until the member deletes it,
also where the writing ended early. Texts are marked as generated wherever they go.

Life of a text: `ask_bio` or `ask_post` looks and makes the prompt; the caller names the
recipient to the member, if there is one; `stream` yields the pieces; the last thing it does
is to keep them.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sayso.decision.states import microseconds
from sayso.errors import RefusedError
from sayso.ledger.kept import keep
from sayso.workspace import Workspace
from sayso.writing.exchange import Exchange
from sayso.writing.material import load_material
from sayso.writing.permission import need_assistance, need_recipient
from sayso.writing.prompt import Prompt, bio_prompt, post_prompt
from sayso.writing.provider import Provider, Sampling


@dataclass(frozen=True, slots=True)
class Asked:
    """What a member asked for, ready to be written.

    Attributes:
        who: The member's id, canonical text.
        kind: `bio` or `post`.
        said: The member's own words for this; empty where they said nothing but to write.
        made_from: Ids of the records that the prompt's material comes from.
    """

    who: str
    kind: str
    prompt: Prompt
    said: str = field(default="", repr=False)
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of one of the texts; they come one text after the other, from 1."""

    number: int
    text: str = field(repr=False)


def ask_bio(workspace: Workspace, who: str, content: Path) -> Asked:
    """Return a biography as it is to be written, from the member's own profile.

    Args:
        workspace: Asked as of now.
        who: The member's id, canonical text.
        content: A content table of the platform.

    Raises:
        InputError: There is no such member, no profile of theirs, or no content.
        RefusedError: They may not be assisted now.
        UnavailableError: The ledger did not answer.
    """
    need_assistance(workspace, who)
    pieces = load_material(content, who, workspace.clock())
    prompt = bio_prompt([one.text for one in pieces])
    return Asked(who, "bio", prompt, made_from=tuple(one.record_id for one in pieces))


def ask_post(workspace: Workspace, who: str, about: str) -> Asked:
    """Return a post as it is to be written, about what the member says.

    Raises:
        InputError: There is no such member, or nothing is said.
        RefusedError: They may not be assisted now.
        UnavailableError: The ledger did not answer.
    """
    need_assistance(workspace, who)
    return Asked(who, "post", post_prompt(about), said=about)


def stream(
    workspace: Workspace,
    provider: Provider,
    asked: Asked,
    sampling: Sampling,
    *,
    alternatives: int,
    kept_id: str,
) -> Iterator[Piece]:
    """Yield the pieces of so many texts, and keep what was asked and written.

    Args:
        workspace: Asked before every text, and whenever its ledger grew.
        provider: Who writes. A recipient has been named to the member before.
        asked: What is to be written.
        sampling: Of the first text; each further one has the next seed.
        alternatives: How many texts.
        kept_id: Under which id it is kept; made at random.

    Raises:
        InputError: The provider can never answer this.
        RefusedError: The recipient is none of the purpose, or a hold ends it.
        UnavailableError: The provider or the ledger does not answer.
    """
    watch = _Watch(workspace, asked.who, workspace.ledger.size())
    purpose = need_assistance(workspace, asked.who)
    if provider.recipient is not None:
        need_recipient(purpose, provider.recipient)
    named = provider.recipient.name if provider.recipient else ""
    exchange = Exchange(asked.kind, asked.said, asked.made_from, (), provider.name, named)
    try:
        for number in range(1, alternatives + 1):
            watch.look()
            pieces: list[str] = []
            drawn = replace(sampling, seed=sampling.seed + number - 1)
            for text in provider.stream(asked.prompt, drawn):
                watch.look()
                pieces.append(text)
                yield Piece(number, text)
            exchange = replace(exchange, written=(*exchange.written, "".join(pieces)))
    finally:
        # Of whoever was erased meanwhile nothing is kept.
        with suppress(RefusedError):
            kept_us = microseconds(workspace.clock())
            keep(workspace.ledger, asked.who, kept_id, exchange.to_bytes(), kept_us)


class _Watch:
    """Whether a member may still be assisted, looked at whenever the ledger grew."""

    def __init__(self, workspace: Workspace, who: str, size: int) -> None:
        self._workspace = workspace
        self._who = who
        self._size = size

    def look(self) -> None:
        """Raise as `need_assistance` does."""
        size = self._workspace.ledger.size()
        if size != self._size:
            need_assistance(self._workspace, self._who)
            self._size = size
