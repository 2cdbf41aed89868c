"""What staff do for a member: record an off. Never an on.

Promises: whoever asked by letter or telephone gets the same entry as by the setting; where there
are several settings, whoever records says which one, and none is chosen for them; nobody here
can say on for anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sayso.errors import SaysoError
from sayso.facts import standing_of_one
from sayso.model import EVERY_PURPOSE, Choice, Presence
from sayso.web.access import Role, allow
from sayso.web.desk import Desk
from sayso.web.languages import language_of, translations
from sayso.web.pages.purposes import NamedSetting, settings_of
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
        settings: Of the platform; where there is one alone, it is not asked which.
        member: As given before.
        purpose: As given before.
        every: Whether every training is objected to.
        entry: Of the off that was just recorded; empty for none.
        faults: Id of a field, and what is wrong.
    """

    above: ClassVar[Mapping[str, str]] = {"/": "Sayso"}
    settings: tuple[NamedSetting, ...]
    member: str = ""
    purpose: str = ""
    every: bool = False
    entry: str = ""
    faults: tuple[tuple[str, str], ...] = ()


@router.get(PATH)
@allow(Role.OFFICER, Role.ADMIN)
def form(request: Request, entry: str = "") -> Response:
    """Show the form."""
    done = entry if entry.isascii() and entry.isdigit() else ""
    page = StaffOff("Record an off for a member", settings_of(request), entry=done)
    return render(request, "console-off.html", page)


@router.post(PATH)
@allow(Role.OFFICER, Role.ADMIN)
def record_off(
    request: Request,
    member: Annotated[str, Form()] = "",
    purpose: Annotated[str, Form()] = "",
    every: Annotated[str, Form()] = "",
) -> Response:
    """Record an off."""
    desk, settings = desk_of(request), settings_of(request)
    gettext = translations(language_of(request)).gettext
    names = [one.purpose.name for one in settings]
    if len(names) == 1 and not purpose:
        purpose = names[0]
    faults = []
    who = _member(desk, member)
    if not who:
        faults.append(("member", gettext("Nobody with this id is a member")))
    if not every and purpose not in names:
        faults.append(("purpose", gettext("Choose a purpose from the list")))
    if faults:
        page = StaffOff(
            "Record an off for a member", settings, member, purpose, bool(every),
            faults=tuple(faults),
        )  # fmt: skip
        return render(request, "console-off.html", page, 422)
    what = EVERY_PURPOSE if every else purpose
    made = desk.choose(who, Choice.OFF, purpose=what, channel=CHANNEL, setting_version=None)
    return RedirectResponse(f"{PATH}?entry={made.index}", 303)


def _member(desk: Desk, given: str) -> str:
    """Return the id of a member; empty where nobody known has it."""
    try:
        who = member_id(given.strip())
    except SaysoError:
        return ""
    known = desk.workspace.ledger.size()
    at_us = desk.now_us()
    standing, _ = standing_of_one(desk.workspace.ledger, who, EVERY_PURPOSE, at_us, known, None)
    return who if standing.presence is Presence.KNOWN else ""
