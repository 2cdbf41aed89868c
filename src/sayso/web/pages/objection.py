"""The objection form: an off, for any reason or none.

Promises: no reason is asked for; one that is given is kept for the officers, sealed with the
member's key, and goes with an erasure; an objection counts at once, whoever reads it when.

Source: GDPR article 21; ICO, 2024-09-13.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sayso.canonical import canonical_json
from sayso.ledger.kept import REASON, keep
from sayso.model import DEFAULT_PURPOSE, EVERY_PURPOSE, Choice
from sayso.web.access import Role, allow
from sayso.web.languages import language_of, translations
from sayso.web.once import once
from sayso.web.pages.receipts import receipt_path
from sayso.web.rendering import Page, render
from sayso.web.request import caller_of, desk_of

PATH = "/settings/ai-training/objection"
CHANNEL = "objection-form"
MOST_LETTERS = 4000

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Objection(Page):
    """The form.

    Attributes:
        reason: As given before; empty at first.
        every: Whether every training is objected to.
        faults: Id of a field, and what is wrong.
    """

    above: ClassVar[Mapping[str, str]] = {
        "/settings": "Settings",
        "/settings/ai-training": "Data for Generative AI Improvement",
    }
    reason: str = ""
    every: bool = False
    most: int = MOST_LETTERS
    faults: tuple[tuple[str, str], ...] = ()


@router.get(PATH)
@allow(Role.MEMBER)
def objection(request: Request) -> Response:
    """Show the form."""
    return render(request, "objection.html", Objection("Object to training"))


@router.post(PATH)
@allow(Role.MEMBER)
def object_(
    request: Request,
    reason: Annotated[str, Form()] = "",
    every: Annotated[str, Form()] = "",
    form_id: Annotated[str, Form()] = "",
) -> Response:
    """Record the objection and, where one is given, keep its reason."""
    desk, who = desk_of(request), caller_of(request).member_id
    words = reason.replace("\r\n", "\n").strip()
    if len(words) > MOST_LETTERS or "\x00" in words:
        gettext = translations(language_of(request)).gettext
        fault = gettext("Write a shorter reason, or none")
        page = Objection(
            "Object to training",
            words.replace("\x00", ""),
            bool(every),
            faults=(("reason", fault),),
        )
        return render(request, "objection.html", page, 422)
    purpose = EVERY_PURPOSE if every else DEFAULT_PURPOSE

    def record() -> int:
        made = desk.choose(who, Choice.OFF, purpose=purpose, channel=CHANNEL, setting_version=None)
        if words:
            raw = canonical_json({"entry": made.index, "reason": words})
            kept_id = f"reason-{secrets.token_hex(8)}"
            keep(desk.workspace.ledger, who, kept_id, raw, desk.now_us(), REASON)
        return made.index

    entry = once(request, form_id, (purpose, words), record)
    return RedirectResponse(f"{receipt_path(desk, who, entry)}?saved=1", 303)
