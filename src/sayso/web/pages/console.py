"""What staff do for a member: record an off. Never an on.

Promises: whoever asked by letter or telephone gets the same entry as by the setting; nobody
here can say on for anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sayso.errors import SaysoError
from sayso.model import DEFAULT_PURPOSE, EVERY_PURPOSE, Choice, Presence
from sayso.web.access import Role, allow
from sayso.web.languages import language_of, translations
from sayso.web.rendering import Page, render
from sayso.web.request import desk_of
from sayso.workspace import member_id

PATH = "/console/off"
CHANNEL = "staff"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class StaffOff(Page):
    """The form.

    Attributes:
        member: As given before.
        every: Whether every training is objected to.
        entry: Of the off that was just recorded; empty for none.
        faults: Id of a field, and what is wrong.
    """

    above: ClassVar[Mapping[str, str]] = {"/": "Sayso"}
    member: str = ""
    every: bool = False
    entry: str = ""
    faults: tuple[tuple[str, str], ...] = ()


@router.get(PATH)
@allow(Role.OFFICER, Role.ADMIN)
def form(request: Request, entry: str = "") -> Response:
    """Show the form."""
    done = entry if entry.isascii() and entry.isdigit() else ""
    return render(request, "console-off.html", StaffOff("Record an off for a member", entry=done))


@router.post(PATH)
@allow(Role.OFFICER, Role.ADMIN)
def record_off(
    request: Request,
    member: Annotated[str, Form()] = "",
    every: Annotated[str, Form()] = "",
) -> Response:
    """Record an off."""
    desk = desk_of(request)
    gettext = translations(language_of(request)).gettext
    try:
        who = member_id(member.strip())
        is_known = desk.member_facts(who).presence is Presence.KNOWN
    except SaysoError:
        is_known = False
    if not is_known:
        fault = gettext("Nobody with this id is a member")
        page = StaffOff(
            "Record an off for a member", member, bool(every), faults=(("member", fault),)
        )
        return render(request, "console-off.html", page, 422)
    purpose = EVERY_PURPOSE if every else DEFAULT_PURPOSE
    made = desk.choose(who, Choice.OFF, purpose=purpose, channel=CHANNEL, setting_version=None)
    return RedirectResponse(f"{PATH}?entry={made.index}", 303)
