"""Answers: how the API says what it says, and declares beforehand what it may say.

Promises: every route names every status that it may give; a problem always has the one shape
of RFC 9457. What is declared here is checked against what is answered by the tests.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from sayso.web.problems import MEDIA_TYPE, PLAIN

# What any route may answer, whatever it does.
ALWAYS = (400, 401, 403, 408, 413, 422, 503)
PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


class Problem(BaseModel):
    """Why there is no answer. Source: RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None


class Shape(BaseModel):
    """What an answer looks like."""

    model_config = ConfigDict(extra="forbid")


def answers(*more: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems that a route declares: those of any route, and `more`."""
    return {status: declared(status) for status in sorted({*ALWAYS, *more})}


def declared(status: int) -> dict[str, Any]:
    """Return how a route declares a problem."""
    _, title = PLAIN[status]
    return {"description": title, "content": {MEDIA_TYPE: {"schema": PROBLEM_REF}}}


def gives(media_type: str, description: str) -> dict[str, Any]:
    """Return how a route declares an answer that is no JSON."""
    binary = {"type": "string", "format": "binary"}
    return {"description": description, "content": {media_type: {"schema": binary}}}


def told(
    value: BaseModel | Mapping[str, object],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a value as JSON."""
    body = (
        value.model_dump(mode="json", by_alias=True)
        if isinstance(value, BaseModel)
        else dict(value)
    )
    return JSONResponse(body, status, headers=dict(headers or {}))
