"""`/metrics`: what was measured, for Prometheus, which gets its token as any client does."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from sayso.web.access import Role, Scope, allow
from sayso.web.request import desk_of
from sayso.web.telemetry import LEDGER_ENTRIES, measured

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
@allow(Role.ENGINEER, Role.ADMIN, scopes={Scope.METRICS_READ})
def metrics(request: Request) -> Response:
    """Give what was measured."""
    LEDGER_ENTRIES.set(desk_of(request).workspace.ledger.size())
    return Response(measured(), headers={"content-type": CONTENT_TYPE_LATEST})
