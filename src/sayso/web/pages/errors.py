"""The page of an error: what is wrong, and what to do.

Promises: the title is a text of ours; what an error says, which may quote what was asked for,
is shown as it is, in English, and goes through no translation. What disagrees inside is not told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from sayso.web.local import sign_in_path
from sayso.web.rendering import Page, render
from sayso.web.request import signal_changed
from sayso.web.sessions import is_form


@dataclass(frozen=True)
class ErrorPage(Page):
    """An error.

    Attributes:
        message: What is wrong, as the error says it, in English; empty where the title says it.
        detail: What to do, in English; empty where nothing can be done.
        words: What was written into the form that was refused.
        sign_in: Where to sign in again; empty where that is not it.
        wait_seconds: After which it may be asked for again; 0 where that is not it.
        signal_changed: Whether a signal of the browser's changed something all the same.
    """

    message: str = ""
    detail: str = ""
    words: tuple[str, ...] = field(default=(), repr=False)
    sign_in: str = ""
    wait_seconds: int = 0
    signal_changed: bool = False


def page(
    request: Request, status: int, name: str, message: str, hint: str,
    words: tuple[str, ...] = (), sign_in: str = "", wait_seconds: int = 0,
) -> Response:  # fmt: skip
    """Return the page of an error; `name` is the last word of its type."""
    title = TITLES.get(name, "This was refused")
    if name in _TOLD_BY_TITLE:
        message = ""
    if wait_seconds:  # said in the language of the page, which a hint is not
        hint = ""
    told = ErrorPage(
        title, message[:1].upper() + message[1:], hint, words, sign_in, wait_seconds,
        signal_changed(request),
    )  # fmt: skip
    answer = render(request, "error.html", told, status)
    if wait_seconds:
        answer.headers["retry-after"] = str(wait_seconds)
    return answer


async def unsent(
    request: Request, status: int, name: str, message: str, hint: str, wait_seconds: int = 0
) -> Response:
    """Return the page of a form that was refused, with the words that somebody wrote into it.

    A form is never answered by a way to the provider of identities: its page's policy keeps
    browsers from following one that leaves this site, and nothing at all would be seen.
    """
    words: tuple[str, ...] = ()
    if is_form(request):
        found = await request.form()
        written = (found.get(one) for one in _WRITTEN)
        words = tuple(one for one in written if isinstance(one, str) and one.strip())
    sign_in = ""
    if status == 401:
        message = hint = ""
        sign_in = sign_in_path(request.url.path)
    return page(request, status, name, message, hint, words, sign_in, wait_seconds)


# Fields of forms that hold a person's own words.
_WRITTEN = ("reason", "about")


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
