"""The page of an error: what is wrong, and what to do."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from sayso.web.rendering import Page, render


@dataclass(frozen=True)
class ErrorPage(Page):
    """An error.

    Attributes:
        detail: What to do; empty where nothing can be done.
    """

    detail: str = ""


def page(request: Request, status: int, name: str, message: str, hint: str) -> Response:
    """Return the page of an error; `name` is the last word of its type."""
    title = _TITLES.get(name, message[:1].upper() + message[1:])
    return render(request, "error.html", ErrorPage(title, hint), status)


_TITLES = {
    "not-found": "There is no such page",
    "fault": "Something went wrong here",
    "integrity": "Something went wrong here",
    "unavailable": "This does not answer at the moment",
}
