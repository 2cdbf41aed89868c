"""The first page; in a demonstration it offers people to sign in as."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.web.access import allow_anyone
from sayso.web.people import PEOPLE, Person
from sayso.web.rendering import Page, render
from sayso.web.request import desk_of

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Start(Page):
    """The first page.

    Attributes:
        people: Whom a visitor can be; nobody outside of a demonstration.
    """

    people: tuple[Person, ...] = ()


@router.get("/")
@allow_anyone
def start(request: Request) -> Response:
    """Show the first page."""
    people = PEOPLE if desk_of(request).is_demonstration else ()
    return render(request, "start.html", Start("No model learns against your say-so", people))
