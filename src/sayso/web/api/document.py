"""The API's own document: OpenAPI 3.1, with who may use what and every answer.

Promises: made from the routes themselves; names the ways to be known (a client's token, a
session with its token), the scopes of each route, and where a request may be repeated.
"""

from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sayso.web.access import Scope, access_of, allow_anyone
from sayso.web.api.answers import Problem, declared
from sayso.web.api.bodies import BODIES
from sayso.web.api.repeating import is_repeatable
from sayso.web.limits import work_of
from sayso.web.sessions import COOKIE, CSRF_HEADER

router = APIRouter(include_in_schema=False)

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sixteen characters or more that nobody guesses; repeats then change nothing.",
    "schema": {"type": "string", "minLength": 16, "maxLength": 200, "pattern": "^[!-~]+$"},
}
_SCHEMES = {
    "client": {
        "type": "oauth2",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/oauth2/token",
                "scopes": {str(scope): str(scope).replace(":", ": ") for scope in Scope},
            }
        },
    },
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    "session_token": {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
}


@router.get("/api/v1/openapi.json")
@allow_anyone
def openapi(request: Request) -> Response:
    """Give the document."""
    app: FastAPI = request.app
    return JSONResponse(document_of(app))


def document_of(app: FastAPI) -> dict[str, Any]:
    """Return the document of an application; made once."""
    kept: dict[str, Any] | None = getattr(app.state, "document", None)
    if kept is None:
        kept = app.state.document = _made(app)
    return kept


def _made(app: FastAPI) -> dict[str, Any]:
    from sayso.web.app import routes_of  # noqa: PLC0415  the application imports this room

    document = dict(app.openapi())
    parts = document.setdefault("components", {})
    models = [(one, "validation") for one in sorted(BODIES, key=lambda one: one.__name__)]
    _, definitions = models_json_schema(
        [*models, (Problem, "serialization")],  # type: ignore[list-item]
        ref_template="#/components/schemas/{model}",
    )
    parts["schemas"] = {**parts.get("schemas", {}), **definitions["$defs"]}
    parts["securitySchemes"] = _SCHEMES
    for method, path, endpoint in routes_of(app):
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is not None:
            _complete(operation, endpoint)
    return document


def _complete(operation: dict[str, Any], endpoint: object) -> None:
    access = access_of(endpoint)
    operation["security"] = []
    if access.scopes:
        operation["security"] += [{"client": [str(one)]} for one in sorted(access.scopes)]
    if access.roles:
        operation["security"].append({"session": [], "session_token": []})
        operation["x-roles"] = sorted(access.roles)
    if work_of(endpoint) is not None:
        operation["responses"].update({"429": declared(429)})
    if is_repeatable(endpoint):
        operation.setdefault("parameters", []).append(_KEY)
