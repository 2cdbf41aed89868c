"""Signing in: OpenID Connect, code flow with PKCE, through Authlib.

Promises: what a sign-in under way needs (state, nonce, the verifier of the code) is kept
sealed for ten minutes, and used once; nobody is sent to a page that is not ours afterwards; a
session begins with a new secret, and never for a member who was erased. The provider's tokens
are not kept. A provider that is down, or says what nobody understands, is told as one that does
not answer, and is asked anew at the next sign-in.

Source: OpenID Connect Core 1.0, section 3.1; RFC 7636.
"""

import importlib
import logging
from dataclasses import replace
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter
from joserfc.errors import JoseError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sayso.errors import InputError, RefusedError, UnavailableError
from sayso.settings import WebSettings
from sayso.web.access import NOBODY, Caller, Role, allow_anyone, read_roles
from sayso.web.desk import Desk
from sayso.web.guards import host_in
from sayso.web.local import local_path
from sayso.web.rendering import Page, render
from sayso.web.request import desk_of, session_of
from sayso.web.sealed import new_secret
from sayso.web.sessions import Session, set_cookie, unset_cookie
from sayso.workspace import member_id

LOG = logging.getLogger("sayso.web")
COOKIE = "__Host-sayso-sign-in"
LASTS_SECONDS = 600
CALLBACK = "/signed-in"
_PROVIDER = "provider"
# What Authlib cannot do without, of what a provider says of itself.
_NEEDED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")


def _unreachable() -> tuple[type[Exception], ...]:
    """Return the errors of whatever Authlib asks with: httpx2 where it is installed."""
    found: list[type[Exception]] = []
    for name in ("httpx", "httpx2"):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        found += [module.HTTPError, module.InvalidURL]
    return tuple(found)


UNREACHABLE = _unreachable()
# What is raised where an answer is no JSON, or holds something else than it should.
_NO_VALUES = (ValueError, TypeError, KeyError, AttributeError, RuntimeError)
_REFUSED: tuple[type[Exception], ...] = (AuthlibBaseError, JoseError, *_NO_VALUES)
_UNANSWERED: tuple[type[Exception], ...] = (AuthlibBaseError, *_NO_VALUES, *UNREACHABLE)

router = APIRouter(include_in_schema=False)


def make_client(desk: Desk) -> OAuth:
    """Return the client of the provider that the settings name."""
    settings = desk.settings
    oauth = OAuth()
    oauth.register(
        _PROVIDER,
        client_id=settings.client_id,
        client_secret=_client_secret(desk) or None,
        server_metadata_url=f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile",
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": (
                "client_secret_basic" if settings.client_secret_file else "none"
            ),
        },
    )
    return oauth


def _client_secret(desk: Desk) -> str:
    if not desk.settings.client_secret_file:
        return ""
    path = desk.workspace.path / desk.settings.client_secret_file
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"the secret '{path}' cannot be read", hint="check client_secret_file of [web]"
        ) from None


@router.get("/sign-in")
@allow_anyone
async def sign_in(request: Request, to: str = "/settings", as_: str = "") -> Response:
    """Send a browser to the provider."""
    desk = desk_of(request)
    if not desk.settings.issuer:
        raise UnavailableError(
            "nobody can sign in here yet", hint="name an OpenID Connect provider in sayso.toml"
        )
    if host_in(request.scope) != desk.settings.host:
        # The provider leads back to the address, where a cookie of another name is not sent.
        return RedirectResponse(f"{desk.settings.address}/sign-in?{request.url.query}", 303)
    request.scope["session"] = {}
    hint = {"login_hint": as_} if as_ else {}
    provider = await _known_provider(request)
    try:
        answer: Response = await provider.authorize_redirect(
            request, desk.settings.address + CALLBACK, **hint
        )
    except _UNANSWERED as error:
        raise _unanswered(error) from None
    secret = new_secret()
    value = {"session": request.scope["session"], "to": local_path(to)}
    await run_in_threadpool(
        lambda: desk.sign_ins.put(
            secret, value, now_us=desk.now_us(), lasts_us=LASTS_SECONDS * 1_000_000
        )
    )
    answer.set_cookie(
        COOKIE, secret, max_age=LASTS_SECONDS, path="/", secure=True, httponly=True, samesite="lax"
    )
    return answer


@router.get(CALLBACK)
@allow_anyone
async def signed_in(request: Request) -> Response:
    """Take a browser back from the provider, and begin a session."""
    desk = desk_of(request)
    secret = request.cookies.get(COOKIE, "")
    now_us = desk.now_us()
    begun = await run_in_threadpool(lambda: desk.sign_ins.take(secret, now_us) if secret else None)
    if begun is None:
        raise RefusedError("this sign-in was not begun here, or long ago", hint="sign in again")
    request.scope["session"] = begun["session"]
    provider = await _known_provider(request)
    try:
        token: dict[str, Any] = await provider.authorize_access_token(request)
        claims = dict(token.get("userinfo") or {})
    except UNREACHABLE as error:
        raise _unanswered(error) from None
    except _REFUSED as error:
        LOG.warning("a sign-in was refused: %s", type(error).__name__)
        raise RefusedError("the sign-in did not succeed", hint="sign in again") from None
    caller = caller_of(claims, desk.settings)
    await run_in_threadpool(lambda: desk.sessions.end(session_of(request)))
    is_erased = await run_in_threadpool(desk.is_erased, caller.member_id)
    if caller.member_id and is_erased:
        # Who works here goes on to; of the member there is nothing to sign in to.
        caller = replace(caller, member_id="", roles=caller.roles - {Role.MEMBER})
        if not caller.roles:
            return _say_erased(request)
    session = await run_in_threadpool(lambda: desk.sessions.begin(caller, now_us))
    answer = RedirectResponse(local_path(str(begun["to"])), 303)
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    set_cookie(answer, session)
    return answer


def _say_erased(request: Request) -> Response:
    """Answer whoever was erased; whoever was signed in at this browser before is not any more."""
    request.state.session, request.state.caller = Session(), NOBODY
    answer = render(request, "erased.html", Page("What was held of you here was erased"), 403)
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    unset_cookie(answer)
    return answer


def _provider(request: Request) -> Any:
    return request.app.state.oauth.create_client(_PROVIDER)


async def _known_provider(request: Request) -> Any:
    """Return the client of a provider that has said where it answers.

    Raises:
        UnavailableError: It did not answer, or with no metadata.
    """
    provider = _provider(request)
    try:
        told = await provider.load_server_metadata()
    except _UNANSWERED as error:
        raise _unanswered(error) from None
    if not all(isinstance(told.get(name), str) and told[name] for name in _NEEDED):
        told.clear()  # Authlib would keep it, and never ask again
        raise _unanswered(ValueError())
    return provider


def _unanswered(error: Exception) -> UnavailableError:
    LOG.warning("the provider of identities did not answer: %s", type(error).__name__)
    return UnavailableError(
        "the provider of identities does not answer", hint="try again in a moment"
    )


def caller_of(claims: dict[str, Any], settings: WebSettings) -> Caller:
    """Return who the provider says somebody is.

    Raises:
        RefusedError: They are neither a member nor staff.
    """
    subject = claims.get("sub")
    roles, places = read_roles(claims.get(settings.roles_claim))
    member = claims.get(settings.member_claim)
    who = ""
    if isinstance(member, str | int) and not isinstance(member, bool) and member != "":
        who = member_id(member)
        roles |= {Role.MEMBER}
    if not isinstance(subject, str) or not subject or not roles:
        raise RefusedError(
            "you are neither a member nor anybody who works here",
            hint="ask whoever keeps the accounts",
        )
    return Caller(subject=subject, member_id=who, roles=roles, jurisdictions=places)


@router.post("/sign-out")
@allow_anyone
def sign_out(request: Request) -> Response:
    """End the session."""
    desk_of(request).sessions.end(session_of(request))
    answer = RedirectResponse("/", 303)
    unset_cookie(answer)
    return answer
