"""The page of an error: what is wrong, and what to do."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from sayso.web.rendering import Page, render
from sayso.web.sessions import is_form


@dataclass(frozen=True)
class ErrorPage(Page):
    """An error.

    Attributes:
        detail: What to do; empty where nothing can be done.
        words: What was written into the form that was refused.
        sign_in: Where to sign in again; empty where that is not it.
    """

    detail: str = ""
    words: tuple[str, ...] = field(default=(), repr=False)
    sign_in: str = ""


def page(
    request: Request, status: int, name: str, message: str, hint: str,
    words: tuple[str, ...] = (), sign_in: str = "",
) -> Response:  # fmt: skip
    """Return the page of an error; `name` is the last word of its type."""
    title = _TITLES.get(name, message[:1].upper() + message[1:])
    return render(request, "error.html", ErrorPage(title, hint, words, sign_in), status)


async def unsent(request: Request, status: int, name: str, message: str, hint: str) -> Response:
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
        message, hint = "you are signed out", "sign in again and send it once more"
        sign_in = f"/sign-in?to={request.url.path}"
    return page(request, status, name, message, hint, words, sign_in)


# Fields of forms that hold a person's own words.
_WRITTEN = ("reason", "about")


_TITLES = {
    "not-found": "There is no such page",
    "fault": "Something went wrong here",
    "integrity": "Something went wrong here",
    "unavailable": "This does not answer at the moment",
}
