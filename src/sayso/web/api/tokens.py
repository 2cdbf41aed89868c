"""`POST /oauth2/token`: a token for a service client.

Source: RFC 6749, sections 2.3.1, 4.4 and 5.
"""

import base64
import binascii
from typing import Annotated
from urllib.parse import unquote_plus

from fastapi import APIRouter, Form
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sayso.errors import InputError
from sayso.web.access import allow_anyone
from sayso.web.api.answers import answers
from sayso.web.clients import TOKEN_SECONDS
from sayso.web.problems import NotSignedInError
from sayso.web.request import desk_of

GRANT = "client_credentials"

router = APIRouter(tags=["tokens"])


class Token(BaseModel):
    """A token, and for how long."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  the name of the kind
    expires_in: int = TOKEN_SECONDS
    scope: str


class TokenFault(BaseModel):
    """Why there is none. Source: RFC 6749, section 5.2."""

    error: str
    error_description: str


@router.post(
    "/oauth2/token",
    response_model=Token,
    responses={**answers(), 400: {"model": TokenFault}, 401: {"model": TokenFault}},
)
@allow_anyone
def give_token(
    request: Request,
    grant_type: Annotated[str, Form()] = "",
    scope: Annotated[str | None, Form()] = None,
    client_id: Annotated[str, Form()] = "",
    client_secret: Annotated[str, Form()] = "",
) -> Response:
    """Give a service client a token for some of its scopes."""
    desk = desk_of(request)
    if grant_type != GRANT:
        return _fault(400, "unsupported_grant_type", f"the grant is '{GRANT}'")
    named = _basic(request.headers.get("authorization", ""))
    who, secret = named or (client_id, client_secret)
    try:
        made, scopes = desk.clients.give_token(who, secret, scope, desk.now_us())
    except NotSignedInError as error:
        return _fault(401, "invalid_client", error.message)
    except InputError as error:
        return _fault(400, "invalid_scope", error.message)
    told = Token(access_token=made, scope=" ".join(sorted(scopes)))
    return JSONResponse(told.model_dump(), headers={"cache-control": "no-store"})


def _fault(status: int, error: str, description: str) -> Response:
    headers = {"www-authenticate": 'Basic realm="sayso"'} if status == 401 else {}
    told = TokenFault(error=error, error_description=description)
    return JSONResponse(told.model_dump(), status, headers=headers)


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, text = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        who, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(who), unquote_plus(secret)
