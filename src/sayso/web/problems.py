"""Problems: the one table from error families to HTTP statuses, and how they are told.

Promises: the API answers `application/problem+json` with a type that does not change, pages
answer a page; neither tells a stack, a secret, or what a member wrote. An error that is none
of ours is told as a fault without a word of what it was.

Source: RFC 9457.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from sayso.errors import (
    ConflictError,
    InputError,
    IntegrityError,
    RefusedError,
    SaysoError,
    UnavailableError,
)
from sayso.rulebook.parse import RulebookError

TYPE_BASE = "https://sayso.example/problems/"
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2

# The one table from error families to statuses; the last word of the type beside it.
STATUSES: Mapping[type[SaysoError], tuple[int, str]] = {
    InputError: (400, "bad-input"),
    RefusedError: (403, "refused"),
    ConflictError: (409, "conflict"),
    IntegrityError: (500, "integrity"),
    UnavailableError: (503, "unavailable"),
}
# Statuses that routing and FastAPI give by themselves.
PLAIN: Mapping[int, tuple[str, str]] = {
    400: ("bad-input", "the request cannot be read"),
    401: ("not-signed-in", "nobody is signed in"),
    403: ("not-allowed", "this is not for you"),
    404: ("not-found", "there is nothing here"),
    405: ("method-not-allowed", "this cannot be done here"),
    406: ("not-acceptable", "this is not to be had in that form"),
    408: ("body-too-slow", "the body came too slowly"),
    409: ("conflict", "somebody else was first"),
    412: ("changed", "it is not what it was"),
    413: ("body-too-large", "the body is too large"),
    415: ("media-type", "the body has a form that is not taken here"),
    422: ("bad-input", "the request does not say what is needed"),
    428: ("needs-if-match", "say which version is to be changed"),
    429: ("too-many", "too many requests"),
    500: ("fault", "something went wrong here"),
    503: ("unavailable", "try again later"),
}


class NotSignedInError(RefusedError):
    """Nobody is signed in, or a token is none that is valid."""


class NotAllowedError(RefusedError):
    """It is not for whoever asks; the rules had no word in it."""


class NotFoundError(InputError):
    """There is no such thing, or none for whoever asks."""


class ChangedError(ConflictError):
    """What was to be changed is not the version that the caller named."""


class NeedsMatchError(InputError):
    """The caller did not say which version is to be changed."""


class ReusedKeyError(ConflictError):
    """An idempotency key came again with another request."""


class InFlightError(ConflictError):
    """A request with the same idempotency key is under way."""


class TooManyError(RefusedError):
    """A caller asked too often for what is dear.

    Args:
        seconds: After which they may ask again.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "this was asked for too often within a minute",
            hint=f"ask again in {seconds} seconds",
            seconds=seconds,
        )
        self.seconds = seconds


class PermitEndedError(RefusedError):
    """A permit ended: the job stops before its next step."""


# More particular than the families; looked at first.
_NARROW: Mapping[type[SaysoError], tuple[int, str]] = {
    NotSignedInError: (401, "not-signed-in"),
    NotAllowedError: (403, "not-allowed"),
    NotFoundError: (404, "not-found"),
    ChangedError: (412, "changed"),
    NeedsMatchError: (428, "needs-if-match"),
    ReusedKeyError: (422, "idempotency-key-reused"),
    InFlightError: (409, "in-flight"),
    PermitEndedError: (403, "permit-ended"),
    TooManyError: (429, "too-many"),
    RulebookError: (400, "rulebook-faults"),
}
# What an error carries and a problem may tell: row numbers, and what is public.
_TOLD = ("rows", "holds", "objections")


def names() -> frozenset[str]:
    """Return the last word of every type that a problem may have."""
    ours = {name for table in (STATUSES, _NARROW) for _, name in table.values()}
    return frozenset(ours | {name for name, _ in PLAIN.values()})


def status_of(error: SaysoError) -> tuple[int, str]:
    """Return the status of an error, and the last word of its type."""
    for table in (_NARROW, STATUSES):
        for family, told in table.items():
            if isinstance(error, family):
                return told
    return 500, "fault"


def problem_body(status: int, name: str, title: str, detail: str = "", **more: Any) -> bytes:
    """Return a problem as JSON.

    Args:
        status: Of the answer.
        name: Last word of the type.
        title: What is wrong, in a few words.
        detail: What to do.
        more: Members of its own.
    """
    told = {"type": TYPE_BASE + name, "title": title, "status": status}
    if detail:
        told["detail"] = detail
    return json.dumps({**told, **more}, ensure_ascii=False).encode()


def problem(status: int, name: str, title: str, detail: str = "", **more: Any) -> Response:
    """Return a problem as an answer."""
    waits = status in {429, 503} or name == "in-flight"
    headers = {"retry-after": str(RETRY_SECONDS)} if waits else {}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="sayso"'
    body = problem_body(status, name, title, detail, **more)
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(error: SaysoError) -> Response:
    """Return one of our errors as an answer of the API."""
    status, name = status_of(error)
    if status == 500:  # what disagreed is for the log, which has row numbers only
        return problem(500, name, PLAIN[500][1])
    more = {key: error.data[key] for key in _TOLD if key in error.data}
    if isinstance(error, RulebookError):
        more["faults"] = [fault._asdict() for fault in error.faults]
    answer = problem(status, name, error.message, error.hint, **more)
    if isinstance(error, TooManyError):
        answer.headers["retry-after"] = str(error.seconds)
    return answer
