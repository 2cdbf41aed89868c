"""The application: rooms of pages and API put together, behind guards.

Promises: does not start with a route that says nobody may use it; every request is admitted
before its route runs; an error is answered as a page or as a problem, and its words are in no
log. `make_app` is given its desk, so that tests bring their own.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files

import duckdb
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

import sayso
from sayso.errors import SaysoError
from sayso.tables import no_memory
from sayso.web import access, signing_in
from sayso.web.api import API, BULK_BYTES
from sayso.web.api import routers as api_routers
from sayso.web.desk import Desk, OpenDesk
from sayso.web.guards import Bodies, Faults, Headers, Hosts
from sayso.web.local import sign_in_path
from sayso.web.pages import errors
from sayso.web.pages import routers as page_routers
from sayso.web.problems import PLAIN, TooManyError, problem, problem_of, status_of
from sayso.web.request import admit
from sayso.web.sessions import SAFE
from sayso.web.telemetry import Watch, make_tracer

LOG = logging.getLogger("sayso.web")


def make_app(open_desk: OpenDesk, *, hosts: tuple[str, ...], is_encrypted: bool) -> FastAPI:
    """Return the application.

    Args:
        open_desk: Opens what a worker holds, when the application starts.
        hosts: Names under which it may be asked.
        is_encrypted: Whether members come by https.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        desk = open_desk()
        app.state.desk = desk
        app.state.oauth = signing_in.make_client(desk)
        desk.start()
        try:
            yield
        finally:
            desk.close()

    app = FastAPI(
        title="Sayso",
        version=sayso.__version__,
        summary="What may be learned from, on whose say-so.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(admit)],
        middleware=[
            Middleware(Watch, tracer=make_tracer()),
            Middleware(Headers, is_encrypted=is_encrypted),
            Middleware(Hosts, hosts=hosts, tell=_tell_host),
            Middleware(Bodies, large=BULK_BYTES),
            Middleware(Faults, tell=_tell_fault),
        ],
        redirect_slashes=False,
    )
    for router in (signing_in.router, *page_routers, *api_routers):
        app.include_router(router)
    static = StaticFiles(directory=str(files("sayso.web") / "static"))
    app.mount("/static", static, name="static")
    app.add_exception_handler(SaysoError, _tell_ours)
    app.add_exception_handler(duckdb.OutOfMemoryException, _tell_no_memory)
    app.add_exception_handler(HTTPException, _tell_plain)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    need_access(app)
    return app


def routes_of(app: FastAPI) -> list[tuple[str, str, Callable[..., object]]]:
    """Return method, template and function of every route, those of included routers as well."""
    found = []
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            endpoint = context.original_route.endpoint
            found += [
                (method, str(context.path_format), endpoint)
                for method in sorted(context.methods or ())
            ]
    return found


def need_access(app: FastAPI) -> None:
    """Refuse to start with a route that does not say who may use it."""
    silent = [path for _, path, endpoint in routes_of(app) if not access.says_who(endpoint)]
    if silent:
        raise AssertionError(f"routes that nobody may use: {', '.join(silent)}")


def is_api(request: Request) -> bool:
    """Whether a request is a job's, which reads problems and not pages."""
    path = request.url.path
    return path.startswith((API, "/oauth2/")) or path in {"/metrics", "/livez", "/readyz"}


async def _tell_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, SaysoError)  # noqa: S101  as it was registered
    status, name = status_of(error)
    if status == 500:
        LOG.error("%s at %s", type(error).__name__, _route(request))
    if is_api(request):
        return problem_of(error)
    wait = error.seconds if isinstance(error, TooManyError) else 0
    if request.method not in SAFE:
        return await errors.unsent(request, status, name, error.message, error.hint, wait)
    if status == 401:
        return RedirectResponse(sign_in_path(request.url.path), 303)
    return errors.page(request, status, name, error.message, error.hint, wait_seconds=wait)


async def _tell_no_memory(request: Request, _error: Exception) -> Response:
    LOG.error("too little memory at %s", _route(request))
    return await _tell_ours(request, no_memory())


async def _tell_plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  as it was registered
    name, title = PLAIN.get(error.status_code, PLAIN[400 if error.status_code < 500 else 500])
    if is_api(request):
        headers = {key.lower(): value for key, value in (error.headers or {}).items()}
        taken = {405: headers.get("allow"), 415: headers.get("accept")}.get(error.status_code)
        detail = f"send {taken.replace(', ', ' or ')}" if taken else ""
        answer = problem(error.status_code, name, title, detail)
    else:
        answer = errors.page(request, error.status_code, name, title, "")
    answer.headers.update(error.headers or {})
    return answer


async def _tell_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  as it was registered
    name, title = PLAIN[422]
    if not is_api(request):
        return errors.page(request, 422, name, title, "")
    # Where, and what is wrong; never what was given, which may be a member's words.
    faults = [
        {"at": ".".join(str(part) for part in fault["loc"]), "fault": fault["msg"]}
        for fault in error.errors()[:20]
    ]
    return problem(422, name, title, faults=faults)


def _tell_fault(request: Request) -> Response:
    name, title = PLAIN[500]
    if is_api(request):
        return problem(500, name, title)
    return errors.page(request, 500, name, title, "")


def _tell_host(request: Request) -> Response:
    """Say that this is not our name; a page would ask for its style under the same name."""
    message = "this service does not answer under this name"
    hint = "its name is web.address in sayso.toml"
    if is_api(request):
        return problem(400, "bad-input", message, hint)
    return PlainTextResponse(f"{message.capitalize()}: {hint}.\n", 400)


def _route(request: Request) -> str:
    """Return the route's own path: the one asked for may hold an id."""
    route = request.scope.get("route")
    return f"{request.method} {getattr(route, 'path', 'no route')}"


def app_for(desk: Desk) -> FastAPI:
    """Return the application around a desk that is open; for tests and tools."""
    web = desk.settings
    return make_app(lambda: desk, hosts=web.hosts, is_encrypted=web.address.startswith("https://"))
