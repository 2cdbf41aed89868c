"""The objection form: an off, for any reason or none; and the reasons, for who may read them.

Promises: it is an objection to one purpose, or to every training where that is ticked; no
reason is asked for; one that is given is kept for the officers, sealed with the
member's key, shown to the member, deleted when they say so, and goes with an erasure; an
objection counts at once, whoever reads it when.

Source: GDPR article 21; ICO, 2024-09-13.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sayso.canonical import canonical_json
from sayso.facts import instant_of
from sayso.ledger.kept import REASON, Kept, delete_kept, keep, kept_of, kept_of_all
from sayso.model import EVERY_PURPOSE, Choice
from sayso.web.access import Role, allow
from sayso.web.languages import language_of, translations
from sayso.web.once import once
from sayso.web.pages.purposes import FOR, PATH, PageOfSetting, called, setting_asked
from sayso.web.pages.receipts import receipt_path
from sayso.web.reads import note_read
from sayso.web.rendering import Page, render
from sayso.web.request import caller_of, desk_of

CHANNEL = "objection-form"
MOST_LETTERS = 4000
# On one page of an officer.
MOST_REASONS = 200

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a member objected, and to what; `member` is empty where it is whoever reads."""

    kept_id: str
    at: datetime
    member: str
    called: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Objection(PageOfSetting):
    """The form.

    Attributes:
        reason: As given before; empty at first.
        every: Whether every training is objected to.
        faults: Id of a field, and what is wrong.
        reasons: Given before, the newest first.
    """

    reason: str = ""
    every: bool = False
    most: int = MOST_LETTERS
    faults: tuple[tuple[str, str], ...] = ()
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Reasons(Page):
    """Reasons of members, the newest first, for officers."""

    above: ClassVar[Mapping[str, str]] = {"/console/off": "Record an off for a member"}
    reasons: tuple[Reason, ...]


@router.get(PATH + "/objection")
@router.get(FOR + "/objection")
@allow(Role.MEMBER)
def objection(request: Request) -> Response:
    """Show the form, and the reasons that were given before."""
    desk, who = desk_of(request), caller_of(request).member_id
    asked, others = setting_asked(request)
    kept = kept_of(desk.workspace.ledger, who, REASON)
    reasons = tuple(_reason(request, one) for one in reversed(kept))
    page = Objection("Object to training", asked, others, reasons=reasons)
    return render(request, "objection.html", page)


@router.post(PATH + "/objection/reasons")
@router.post(FOR + "/objection/reasons")
@allow(Role.MEMBER)
def delete_reason(request: Request, kept_id: Annotated[str, Form()] = "") -> Response:
    """Delete a reason; the objection itself stands."""
    desk, who = desk_of(request), caller_of(request).member_id
    asked, _ = setting_asked(request)
    delete_kept(desk.workspace.ledger, who, [kept_id], desk.now_us(), REASON)
    return RedirectResponse(f"{asked.path}/objection", 303)


@router.get("/console/objections")
@allow(Role.OFFICER)
def read_reasons(request: Request) -> Response:
    """Show officers why members object."""
    found = kept_of_all(desk_of(request).workspace.ledger, REASON)
    newest = sorted(found, key=lambda one: one[1].kept_us, reverse=True)[:MOST_REASONS]
    note_read(request, *sorted({who for who, _ in newest}))
    page = Reasons("Why members object", tuple(_reason(request, one, who) for who, one in newest))
    return render(request, "console-objections.html", page)


def _reason(request: Request, kept: Kept, member: str = "") -> Reason:
    told = json.loads(kept.raw)
    book = desk_of(request).workspace.rules().book
    gettext = translations(language_of(request)).gettext
    what = called(book, str(told["purpose"]), gettext)
    return Reason(kept.kept_id, instant_of(kept.kept_us), member, what, str(told["reason"]))


@router.post(PATH + "/objection")
@router.post(FOR + "/objection")
@allow(Role.MEMBER)
def object_(
    request: Request,
    reason: Annotated[str, Form()] = "",
    every: Annotated[str, Form()] = "",
    form_id: Annotated[str, Form()] = "",
) -> Response:
    """Record the objection and, where one is given, keep its reason."""
    desk, who = desk_of(request), caller_of(request).member_id
    asked, others = setting_asked(request)
    words = reason.replace("\r\n", "\n").strip()
    if len(words) > MOST_LETTERS or "\x00" in words:
        gettext = translations(language_of(request)).gettext
        fault = gettext("Write a shorter reason, or none")
        page = Objection(
            "Object to training", asked, others, words.replace("\x00", ""), bool(every),
            faults=(("reason", fault),),
        )  # fmt: skip
        return render(request, "objection.html", page, 422)
    purpose = EVERY_PURPOSE if every else asked.purpose.name

    def record() -> int:
        made = desk.choose(who, Choice.OFF, purpose=purpose, channel=CHANNEL, setting_version=None)
        if words:
            raw = canonical_json({"entry": made.index, "purpose": purpose, "reason": words})
            kept_id = f"reason-{secrets.token_hex(8)}"
            keep(desk.workspace.ledger, who, kept_id, raw, desk.now_us(), REASON)
        return made.index

    entry = once(request, form_id, (purpose, words), record)
    return RedirectResponse(f"{receipt_path(desk, who, entry)}?saved=1", 303)
