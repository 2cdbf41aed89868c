"""Guards: what every answer carries, and which requests are not even looked at.

Promises: every answer tells browsers to run nothing and load nothing that is not ours; a body
that is too large, or that comes too slowly, is refused before anything reads it whole; a host
that is not ours is refused. Holds no route.
"""

import asyncio
import logging
import re
import traceback
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePath

from starlette.datastructures import Headers as GivenHeaders
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sayso.web.problems import problem_body

LOG = logging.getLogger("sayso.web")
# A page's form; what bulk routes take is written beside them.
PAGE_BYTES = 256 * 1024
# For a whole body, however small its pieces. A file of members takes its time.
BODY_SECONDS = 20.0
BULK_SECONDS = 600.0

_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "browsing-topics=(), camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Headers:
    """Puts the headers on every answer that does not say otherwise itself.

    Args:
        app: What answers.
        is_encrypted: Whether members come by https, and must from then on.
    """

    def __init__(self, app: ASGIApp, *, is_encrypted: bool) -> None:
        self._app = app
        self._more = {"strict-transport-security": "max-age=31536000"} if is_encrypted else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (*HEADERS.items(), *self._more.items()):
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class Hosts:
    """Refuses a request under a name that is not ours.

    Args:
        app: What answers.
        hosts: Our names, without ports.
        tell: Makes the answer.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], tell: Callable[[Request], Response]
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and host_in(scope) not in self._hosts:
            await self._tell(Request(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def host_in(scope: Scope) -> str:
    """Return the name under which a request asks, without a port; empty for none that is one."""
    given = GivenHeaders(scope=scope).getlist("host")
    found = _HOST.fullmatch(given[0].lower()) if len(given) == 1 else None
    return found[1].strip("[]") if found else ""


class Faults:
    """Answers for an error that nobody foresaw, and logs where it was, never what it said.

    Whoever runs the application would log its message, which may quote a member.

    Args:
        app: What answers.
        tell: Makes the answer.
    """

    def __init__(self, app: ASGIApp, *, tell: Callable[[Request], Response]) -> None:
        self._app = app
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # noqa: BLE001  whatever it is, its words go nowhere
            frames = traceback.extract_tb(error.__traceback__)[-8:]
            where = " < ".join(
                f"{PurePath(one.filename).name}:{one.lineno} {one.name}" for one in reversed(frames)
            )
            route = getattr(scope.get("route"), "path_format", "no route")
            LOG.error(  # noqa: TRY400  the traceback would quote the error
                "%s at %s %s: %s", type(error).__name__, scope.get("method"), route, where
            )
            if scope["type"] == "http" and not begun:
                await self._tell(Request(scope))(scope, receive, send)


class _RefusedBodyError(Exception):
    def __init__(self, status: int, title: str, detail: str) -> None:
        self.status, self.title, self.detail = status, title, detail


class Bodies:
    """Refuses bodies that are too large or too slow.

    Args:
        app: What answers.
        large: Path -> bytes that a route may be given; others get `PAGE_BYTES`.
    """

    def __init__(self, app: ASGIApp, *, large: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._large = large or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._large.get(scope["path"], PAGE_BYTES)
        seconds = BULK_SECONDS if most > PAGE_BYTES else BODY_SECONDS
        begun, read, ended = False, 0, False
        refused: _RefusedBodyError | None = None
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds

        async def counted() -> Message:
            nonlocal read, ended, refused
            if ended:  # after the body only a hang-up comes, whenever it comes
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.001, until - loop.time()))
            except TimeoutError:
                refused = _RefusedBodyError(
                    408,
                    "the body came too slowly",
                    f"send all of it within {seconds:.0f} seconds",
                )
                raise refused from None
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                ended = not message.get("more_body", False)
                if read > most:
                    refused = _too_large(most)
                    raise refused
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            if refused is not None and not begun:
                return  # whatever was made of the refusal, it is told below
            begun = True
            await send(message)

        try:
            _need_small(scope, most)
            await self._app(scope, counted, noted)
        except _RefusedBodyError as error:
            refused = error
        if refused is not None and not begun:
            await _refuse(send, refused)


def _need_small(scope: Scope, most: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise _too_large(most)


def _too_large(most: int) -> _RefusedBodyError:
    return _RefusedBodyError(413, f"the body is larger than {most} bytes", "send less, or in parts")


async def _refuse(send: Send, refused: _RefusedBodyError) -> None:
    name = "body-too-large" if refused.status == 413 else "body-too-slow"
    body = problem_body(refused.status, name, refused.title, refused.detail)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
