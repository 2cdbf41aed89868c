"""What a request carries with it: the desk, the session, who is asking; and whether they may.

Promises: `admit` stands before every route; it finds out who is asking, refuses whom the route
does not name, and takes no change from a browser without its token. A member who was erased is
nobody from the next request on.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

from anyio import CancelScope
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from sayso.ledger.spool import spooling
from sayso.web.access import Caller, access_of
from sayso.web.desk import Desk
from sayso.web.limits import work_of
from sayso.web.privacy_control import obey, says_so
from sayso.web.problems import NotAllowedError, NotSignedInError
from sayso.web.sessions import SAFE, Session, need_token


def desk_of(request: Request) -> Desk:
    """Return the worker's desk."""
    desk: Desk = request.app.state.desk
    return desk


async def spool_of(request: Request) -> AsyncIterator[Path]:
    """Yield a folder for files that are gone once the answer was sent, or the worker is.

    Its lock may be waited for, and a GiB in it takes a while to delete: both in a thread, so
    that nobody else waits, and both to their end, whoever gives up meanwhile.
    """
    async with _aside(spooling(desk_of(request).workspace.path)) as place:
        yield place


@asynccontextmanager
async def _aside(block: AbstractContextManager[Path]) -> AsyncIterator[Path]:
    """Enter and leave a block in a thread; it is left also where it was entered too late."""
    entering = asyncio.ensure_future(run_in_threadpool(block.__enter__))
    try:
        yield await asyncio.shield(entering)
    finally:
        leaving = asyncio.ensure_future(_leave(block, entering))
        _LEAVING.add(leaving)
        leaving.add_done_callback(_LEAVING.discard)
        with CancelScope(shield=True):
            await asyncio.shield(leaving)


async def _leave(block: AbstractContextManager[Path], entering: asyncio.Future[Path]) -> None:
    await asyncio.wait([entering])
    if not entering.cancelled() and entering.exception() is None:
        await run_in_threadpool(block.__exit__, None, None, None)


# The loop itself holds no task that nobody waits for any longer.
_LEAVING: set[asyncio.Task[None]] = set()


def session_of(request: Request) -> Session:
    """Return the session of a request; nobody's where there is none."""
    found = getattr(request.state, "session", None)
    return found if isinstance(found, Session) else Session()


def caller_of(request: Request) -> Caller:
    """Return who is asking."""
    found = getattr(request.state, "caller", None)
    return found if isinstance(found, Caller) else Caller()


def signal_changed(request: Request) -> bool:
    """Whether a browser's signal, which came with the request, changed something or may have."""
    return bool(getattr(request.state, "signal_changed", False))


async def admit(request: Request) -> None:
    """Refuse whoever the route does not name.

    Raises:
        NotSignedInError: Nobody is asking, and the route is not for anybody.
        NotAllowedError: The route is not for them, or a change carries no token.
        TooManyError: The route is dear, and they used it too often.
    """
    desk, access = desk_of(request), access_of(request.scope.get("endpoint"))
    request.state.request_id = secrets.token_hex(8)
    bearer = _bearer(request)
    if bearer is not None:
        # A client's token says all; a cookie beside it says nothing.
        caller = await run_in_threadpool(desk.clients.caller_of, bearer, desk.now_us())
        session = Session()
    else:
        session = await run_in_threadpool(_session, desk, request)
        caller = session.caller
    request.state.session, request.state.caller = session, caller
    if not caller.may(access):
        if not caller.is_known:
            raise NotSignedInError("sign in first", hint="then come back to this page")
        raise NotAllowedError("this is not for you", hint="ask whoever keeps the accounts")
    if session.secret and request.method not in SAFE:
        await need_token(request, session)
    if caller.member_id and says_so(request.headers):
        # If it fails it may have come after the first of several, and changed something.
        request.state.signal_changed = True
        request.state.signal_changed = await run_in_threadpool(obey, desk, caller.member_id)
    if (work := work_of(request.scope.get("endpoint"))) is not None:
        # Last: a signal that says off is obeyed before anything is counted.
        await run_in_threadpool(desk.limits.take, caller, work, desk.now_us())


def _session(desk: Desk, request: Request) -> Session:
    """Return the session of a request; it ends where its member was erased meanwhile."""
    session = desk.sessions.find(request, desk.now_us())
    if session.caller.member_id and desk.is_erased(session.caller.member_id):
        desk.sessions.end(session)
        return Session()
    return session


def _bearer(request: Request) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
