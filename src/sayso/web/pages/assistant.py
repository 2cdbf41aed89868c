"""The assistant: a text for a member who asks for one, what is kept of it, and its deletion.

Promises: works alike whatever the member chose about training; names who else gets their
words above the button; marks what was written as generated; sends the words as they come,
also to browsers that run no scripts.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from sayso.errors import InputError, SaysoError
from sayso.facts import instant_of
from sayso.ledger.kept import delete_kept, kept_of
from sayso.web.access import Role, allow
from sayso.web.desk import Desk
from sayso.web.languages import language_of, translations
from sayso.web.limits import Work, dear
from sayso.web.rendering import Page, environment, frame_of, render
from sayso.web.request import caller_of, desk_of
from sayso.writing import Asked, Sampling, ask_bio, ask_post, parse_exchange, stream

PATH = "/assistant"
MOST_LETTERS, MOST_TEXTS, TOKENS = 2000, 3, 200
SEEDS = 2**31

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Assistant(Page):
    """The form.

    Attributes:
        is_there: Whether anybody would write.
        recipient: Who else gets what a member says; empty for nobody.
        has_content: Whether a biography can be made of a profile.
        about: As given before.
        faults: Id of a field, and what is wrong.
    """

    is_there: bool
    recipient: str
    has_content: bool
    about: str = field(default="", repr=False)
    texts: int = 1
    most_texts: int = MOST_TEXTS
    faults: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text as it comes.

    Attributes:
        number: Of the text, from 1.
        begins: Whether it is the first piece of that text.
        text: The piece.
        fault: Why there is no more; empty where there is.
    """

    number: int
    begins: bool
    text: str = field(default="", repr=False)
    fault: str = ""


@dataclass(frozen=True)
class Written(Page):
    """Texts as they come; `is_cut` where the model reads less than it was given."""

    above: ClassVar[Mapping[str, str]] = {PATH: "Assistant"}
    model: str
    is_cut: bool
    written: Iterator[Part] = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptRow:
    """One exchange that is kept."""

    kept_id: str
    at: datetime
    kind: str
    asked: str = field(repr=False)
    made_from: tuple[str, ...]
    written: tuple[str, ...] = field(repr=False)
    model: str
    recipient: str


@dataclass(frozen=True)
class KeptPage(Page):
    """What the assistant keeps; `deleted` is how many things were just deleted, or empty."""

    above: ClassVar[Mapping[str, str]] = {PATH: "Assistant"}
    rows: tuple[KeptRow, ...]
    deleted: str = ""


@router.get(PATH)
@allow(Role.MEMBER)
def assistant(request: Request) -> Response:
    """Show the form."""
    return _form(request)


@router.post(PATH)
@allow(Role.MEMBER)
@dear(Work.TEXT)
def write(
    request: Request,
    kind: Annotated[str, Form()] = "post",
    about: Annotated[str, Form()] = "",
    texts: Annotated[str, Form()] = "1",
) -> Response:
    """Write, and send the words as they come."""
    desk, who = desk_of(request), caller_of(request).member_id
    gettext = translations(language_of(request)).gettext
    number = int(texts) if texts in {"1", "2", "3"} else 1
    if kind != "bio" and not about.strip():
        return _form(request, texts=number, fault=gettext("Say what the post is about"))
    if len(about) > MOST_LETTERS:
        return _form(request, about=about, texts=number, fault=gettext("Say it in fewer words"))
    asked = _ask(desk, who, kind, about)
    provider = desk.writer.provider()
    sampling = Sampling(secrets.randbelow(SEEDS), TOKENS)
    pieces = stream(
        desk.workspace, provider, asked, sampling, alternatives=number,
        kept_id=secrets.token_hex(8),
    )  # fmt: skip
    page = Written(
        "What was written", provider.name,
        asked.prompt.is_cut or provider.cuts(asked.prompt, sampling), _parts(pieces),
    )  # fmt: skip
    template = environment(language_of(request)).get_template("assistant-written.html")
    values = {one.name: getattr(page, one.name) for one in fields(page)}
    sent = template.generate(page=page, frame=frame_of(request), **values)
    # A proxy that waits for the end would undo the streaming.
    return StreamingResponse(sent, media_type="text/html", headers={"x-accel-buffering": "no"})


def _ask(desk: Desk, who: str, kind: str, about: str) -> Asked:
    if kind != "bio":
        return ask_post(desk.workspace, who, about)
    if desk.content is None:
        raise InputError("this service was not told where profiles stand", hint="ask for a post")
    return ask_bio(desk.workspace, who, desk.content)


def _parts(pieces: Iterator[object]) -> Iterator[Part]:
    """Yield the pieces with the beginnings of texts marked, and an end that went wrong told."""
    last = 0
    try:
        for piece in pieces:
            number, text = piece.number, piece.text  # type: ignore[attr-defined]
            yield Part(number, begins=number != last, text=text)
            last = number
    except SaysoError as error:
        yield Part(last, begins=False, fault=error.message)


def _form(request: Request, *, about: str = "", texts: int = 1, fault: str = "") -> Response:
    desk = desk_of(request)
    recipient = desk.writer.recipient
    page = Assistant(
        title="Assistant",
        is_there=desk.writer.is_there,
        recipient=recipient.name if recipient else "",
        has_content=desk.content is not None,
        about=about,
        texts=texts,
        faults=(("about", fault),) if fault else (),
    )
    return render(request, "assistant.html", page, 422 if fault else 200)


@router.get(PATH + "/kept")
@allow(Role.MEMBER)
def kept(request: Request, deleted: str = "") -> Response:
    """Show a member what is kept for them."""
    desk, who = desk_of(request), caller_of(request).member_id
    rows = []
    for one in reversed(kept_of(desk.workspace.ledger, who)):
        told = parse_exchange(one.raw)
        rows.append(
            KeptRow(
                one.kept_id, instant_of(one.kept_us), told.kind, told.asked, told.made_from,
                told.written, told.model, told.recipient,
            )
        )  # fmt: skip
    count = deleted if deleted.isascii() and deleted.isdigit() and len(deleted) < 6 else ""
    page = KeptPage("What the assistant keeps", tuple(rows), count)
    return render(request, "assistant-kept.html", page)


@router.post(PATH + "/kept")
@allow(Role.MEMBER)
def delete(request: Request, kept_id: Annotated[str, Form()] = "") -> Response:
    """Delete one thing, or all where none is named; whatever learned from it must forget it."""
    desk, who = desk_of(request), caller_of(request).member_id
    ids = [kept_id] if kept_id else None
    gone = delete_kept(desk.workspace.ledger, who, ids, desk.now_us())
    return RedirectResponse(f"{PATH}/kept?deleted={len(gone)}", 303)
