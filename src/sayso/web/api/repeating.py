"""Repeating: a request with an idempotency key takes effect once, however often it comes.

Promises: the same key with the same request gives the same answer, byte for byte, and a
header that says so; with another request it is refused; while the first is under way, too.
The answer is kept for a day, sealed with caller and key, so that nobody without the key reads
it. A refusal is not kept: nothing was done. A worker that died amid a request takes its turn
with it, so that a repeat runs at once; `unfinished` tells the route from where on the ledger
may hold what the dead one did, and the route looks there before it does a thing again. What is
no entry and has a name of its own is noted in the transaction that makes it (`note_made`).

Source: draft-ietf-httpapi-idempotency-key-header-07 (lapsed; followed as it is used).
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from sayso.errors import InputError, SaysoError, UnavailableError
from sayso.web.problems import InFlightError, ReusedKeyError
from sayso.web.request import caller_of, desk_of

F = TypeVar("F", bound=Callable[..., Any])

HEADER, REPLAYED = "idempotency-key", "idempotency-replayed"
KEPT_US = 24 * 60 * 60 * 1_000_000
_MARK = "__sayso_repeatable__"
# A short key could be tried by whoever reads the database.
_KEY = re.compile(r"[\x21-\x7e]{16,200}")
_HEADERS = ("content-type", "location", "etag", "link")


@dataclass(frozen=True, slots=True)
class Begun:
    """When a request was begun whose worker is gone; nobody knows how far it came.

    Attributes:
        size: Of the ledger then.
        made: What it noted as its own; None where it made nothing that it notes.
    """

    size: int
    made: str | int | None


def unfinished(request: Request) -> Begun | None:
    """Return when this very request was begun before, by a worker that is gone; None for never."""
    found = getattr(request.state, "unfinished", None)
    return found if isinstance(found, Begun) else None


def note_made(request: Request, con: sa.Connection, made: str | int) -> None:
    """Note what a request makes as its own, in the transaction that makes it.

    Equal things may be made by others in the meantime; by its name alone a repeat knows which
    one is its own. Without a key there is no repeat, and nothing is noted.
    """
    keyed = getattr(request.state, "keyed", None)
    if keyed is not None:
        secret, note = keyed
        desk_of(request).answers.replace_with(con, secret, {**note, "made": made})


def repeatable(endpoint: F) -> F:
    """Have a route's function take effect once for each idempotency key.

    The function takes `request` by name; its body was read by a dependency of `bodies`.
    """

    @wraps(endpoint)
    def once(**given: Any) -> Response:
        request: Request = given["request"]
        key = request.headers.get(HEADER)
        if key is None:
            answer: Response = endpoint(**given)
            return answer
        return _once(request, key, lambda: endpoint(**given))

    setattr(once, _MARK, True)
    return once  # type: ignore[return-value]


def is_repeatable(endpoint: object) -> bool:
    """Whether a route's function takes effect once for each idempotency key."""
    return bool(getattr(endpoint, _MARK, False))


def _once(request: Request, key: str, work: Callable[[], Response]) -> Response:
    if not _KEY.fullmatch(key):
        raise InputError(
            "an idempotency key has 16 to 200 visible characters", hint="use a random UUID"
        )
    desk, caller = desk_of(request), caller_of(request)
    secret = f"{'client' if caller.is_client else 'person'}\n{caller.subject}\n{key}"
    asked = _digest(request)
    with desk.turns.take(secret) as is_mine:
        now_us = desk.now_us()
        kept = desk.answers.get(secret, now_us)
        if kept is not None and kept["asked"] != asked:
            raise ReusedKeyError(
                "this idempotency key came with another request", hint="use a new key"
            )
        if not is_mine:
            raise InFlightError(
                "a request with this idempotency key is under way", hint="repeat it in a moment"
            )
        if kept is not None and "status" in kept:
            return _again(kept)
        if kept is not None:
            request.state.unfinished = Begun(kept["size"], kept.get("made"))
        else:
            kept = {"asked": asked, "size": desk.workspace.ledger.size()}
            desk.answers.put(secret, kept, now_us=now_us, lasts_us=KEPT_US)
        request.state.keyed = secret, kept
        return _kept(request, secret, asked, work)


def _kept(request: Request, secret: str, asked: str, work: Callable[[], Response]) -> Response:
    """Do it, and keep the answer."""
    desk = desk_of(request)
    try:
        answer = work()
    except UnavailableError:  # nobody knows whether it was done
        raise
    except SaysoError:
        if unfinished(request) is None:
            desk.answers.drop(secret)
        raise
    kept = {
        "asked": asked, "status": answer.status_code,
        "headers": {name: answer.headers[name] for name in _HEADERS if name in answer.headers},
        "body": base64.b64encode(bytes(answer.body)).decode(),
    }  # fmt: skip
    desk.answers.replace(secret, kept, expires_us=desk.now_us() + KEPT_US)
    return answer


def _again(kept: dict[str, Any]) -> Response:
    headers = {**kept["headers"], REPLAYED: "true"}
    return Response(base64.b64decode(kept["body"]), kept["status"], headers=headers)


def _digest(request: Request) -> str:
    told = [
        request.method, request.url.path, request.url.query,
        request.headers.get("content-type", ""), getattr(request.state, "body_digest", ""),
    ]  # fmt: skip
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
