"""The first page; in a demonstration it offers people to sign in as."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.web.access import allow_anyone
from sayso.web.pages.purposes import NamedSetting, settings_of
from sayso.web.people import PEOPLE, Person
from sayso.web.rendering import Page, render
from sayso.web.request import desk_of

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Start(Page):
    """The first page.

    Attributes:
        setting: The one setting of the platform; None where there are several, or none yet.
        people: Whom a visitor can be; nobody outside of a demonstration.
    """

    setting: NamedSetting | None
    people: tuple[Person, ...] = ()


@router.get("/")
@allow_anyone
def start(request: Request) -> Response:
    """Show the first page."""
    people = PEOPLE if desk_of(request).is_demonstration else ()
    found = settings_of(request)
    only = found[0] if len(found) == 1 else None
    return render(request, "start.html", Start("No model learns against your say-so", only, people))
