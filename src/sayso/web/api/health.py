"""Health and readiness, for whoever runs the service."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sayso.web.access import allow_anyone
from sayso.web.request import desk_of

router = APIRouter(include_in_schema=False)


@router.get("/livez")
@allow_anyone
def livez() -> Response:
    """Say that the process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
@allow_anyone
def readyz(request: Request) -> Response:
    """Say that the ledger answers; 503 where it does not."""
    size = desk_of(request).workspace.ledger.size()
    return PlainTextResponse(f"ok, {size} entries\n")
