"""Sessions: who is signed in at this browser, and the token that each of their forms carries.

Promises: a session begins with a secret of its own at every sign-in and ends at sign-out or
after twelve hours, of staff after one; its cookie is for this host, encrypted transport and
this site's own requests; a form or request that changes anything is taken only with the
session's token. Who was erased is for `request` to ask.
"""

import hmac
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from sayso.web.access import NOBODY, Caller, Role
from sayso.web.problems import NotAllowedError
from sayso.web.sealed import Sealed, derived, new_secret

COOKIE = "__Host-sayso"
LASTS_SECONDS = 12 * 60 * 60
# Of whoever works here: what they may do is asked of the provider again after so long.
STAFF_LASTS_SECONDS = 60 * 60
CSRF_FIELD, CSRF_HEADER = "csrf_token", "x-csrf-token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person at one browser; nobody without a secret."""

    secret: str = field(default="", repr=False)
    caller: Caller = NOBODY

    @property
    def csrf(self) -> str:
        """The token of every form; empty where nobody is signed in."""
        return derived(self.secret, "csrf").hex() if self.secret else ""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one service."""

    kept: Sealed

    def begin(self, caller: Caller, now_us: int) -> Session:
        """Return a new session."""
        secret = new_secret()
        value = {
            "subject": caller.subject, "member_id": caller.member_id,
            "roles": sorted(caller.roles), "jurisdictions": sorted(caller.jurisdictions),
        }  # fmt: skip
        is_staff = bool(caller.roles - {Role.MEMBER})
        seconds = STAFF_LASTS_SECONDS if is_staff else LASTS_SECONDS
        self.kept.put(secret, value, now_us=now_us, lasts_us=seconds * 1_000_000)
        return Session(secret, caller)

    def find(self, request: Request, now_us: int) -> Session:
        """Return the session of a request; nobody's where there is none."""
        secret = request.cookies.get(COOKIE, "")
        value = self.kept.get(secret, now_us) if secret else None
        if value is None:
            return Session()
        caller = Caller(
            subject=str(value["subject"]),
            member_id=str(value["member_id"]),
            roles=frozenset(Role(name) for name in value["roles"]),
            jurisdictions=frozenset(str(place) for place in value["jurisdictions"]),
        )
        return Session(secret, caller)

    def end(self, session: Session) -> None:
        """End a session, for every copy of its cookie."""
        if session.secret:
            self.kept.drop(session.secret)


def set_cookie(response: Response, session: Session) -> None:
    """Give a browser the cookie of its session."""
    response.set_cookie(
        COOKIE, session.secret, max_age=LASTS_SECONDS, path="/", secure=True, httponly=True,
        samesite="lax",
    )  # fmt: skip


def unset_cookie(response: Response) -> None:
    """Take the cookie away."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")


async def need_token(request: Request, session: Session) -> None:
    """Refuse a request that changes something and does not come from a page of ours.

    Raises:
        NotAllowedError: It carries no token of this session, in its form or its header.
    """
    given = request.headers.get(CSRF_HEADER)
    if given is None and is_form(request):
        found = (await request.form()).get(CSRF_FIELD)
        given = found if isinstance(found, str) else None
    if not given or not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise NotAllowedError(
            "the form was not one of this session", hint="go back, load the page again and repeat"
        )


def is_form(request: Request) -> bool:
    """Whether a request carries a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in {"application/x-www-form-urlencoded", "multipart/form-data"}
