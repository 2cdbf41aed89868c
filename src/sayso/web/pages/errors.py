"""The page of an error: what is wrong, and what to do.

Promises: the title is a text of ours; what an error says, which may quote what was asked for,
is shown as it is, in English, and goes through no translation. What disagrees inside is not told.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from sayso.web.rendering import Page, render


@dataclass(frozen=True)
class ErrorPage(Page):
    """An error.

    Attributes:
        message: What is wrong, as the error says it, in English; empty where the title says it.
        detail: What to do, in English; empty where nothing can be done.
    """

    message: str = ""
    detail: str = ""


def page(request: Request, status: int, name: str, message: str, hint: str) -> Response:
    """Return the page of an error; `name` is the last word of its type."""
    title = TITLES.get(name, "This was refused")
    if name in _TOLD_BY_TITLE:
        message = ""
    told = ErrorPage(title, message[:1].upper() + message[1:], hint)
    return render(request, "error.html", told, status)


TITLES: Mapping[str, str] = {
    "bad-input": "What was asked for is not in order",
    "not-signed-in": "Nobody is signed in",
    "not-allowed": "This is not for you",
    "not-found": "There is no such page",
    "method-not-allowed": "This cannot be done here",
    "not-acceptable": "This is not to be had in that form",
    "body-too-slow": "What was sent came too slowly",
    "body-too-large": "What was sent is too large",
    "media-type": "What was sent has a form that is not taken here",
    "conflict": "Somebody else was first",
    "too-many": "Too many requests",
    "fault": "Something went wrong here",
    "integrity": "Something went wrong here",
    "unavailable": "This does not answer at the moment",
}
# What an error of these says more is the same in other words, or is not for who asks.
_TOLD_BY_TITLE = TITLES.keys() - {"bad-input", "conflict"}
