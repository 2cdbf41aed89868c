"""Telemetry: what is measured, traced and logged of every request.

Promises: a route is named by its template, never by the path that was asked for, which may
hold a member's id; no query, address, header or body is in a metric, a span or a log line. Who
reads what of a member has a line of its own: see `sayso.web.reads`. The
metrics of several workers are one. Traces go out only where OTEL_EXPORTER_OTLP_ENDPOINT says
where to.
"""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("sayso.web.access")
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
NO_ROUTE = "no route"
REQUEST_ID = "x-request-id"
# Where the workers of one service keep what they measured, for whichever is asked.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
# Others are counted as one: a label has no room for what anybody may invent.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

REQUESTS = Counter("sayso_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram(
    "sayso_request_seconds", "Time to the end of an answer.", ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)  # fmt: skip
UNDER_WAY = Gauge(
    "sayso_requests_under_way", "Requests being answered.", multiprocess_mode="livesum"
)
DELIVERED = Counter("sayso_webhooks_delivered", "Webhooks that were taken.")
LEDGER_ENTRIES = Gauge(
    "sayso_ledger_entries", "Entries of the ledger.", multiprocess_mode="mostrecent"
)


def measured() -> bytes:
    """Return what all workers measured, in the form of Prometheus."""
    registry: CollectorRegistry = REGISTRY
    if values.ValueClass is not values.MutexValue:  # several workers, each with files
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class Watch:
    """Measures, traces and logs every request.

    Args:
        app: What answers.
        tracer: Makes spans; None for no traces.
    """

    def __init__(self, app: ASGIApp, tracer: Any = None) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500
        scope.setdefault("state", {})

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if request_id := scope["state"].get("request_id"):
                    MutableHeaders(scope=message).setdefault(REQUEST_ID, request_id)
            await send(message)

        UNDER_WAY.inc()
        try:
            if self._tracer is None:
                await self._app(scope, receive, noted)
            else:
                with self._span(scope) as span:
                    try:
                        await self._app(scope, receive, noted)
                    finally:
                        _finish(span, scope, status)
        finally:
            UNDER_WAY.dec()
            _note(scope, status, time.perf_counter() - begun)

    def _span(self, scope: Scope) -> Any:
        from opentelemetry.propagate import extract  # noqa: PLC0415  an extra
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        carried = {name.decode("latin-1"): value.decode("latin-1")
                   for name, value in scope["headers"] if name == b"traceparent"}  # fmt: skip
        # An exception's words may quote a request: only that there was one is told.
        return self._tracer.start_as_current_span(
            _method(scope), extract(carried), SpanKind.SERVER, record_exception=False,
            set_status_on_exception=False,
        )  # fmt: skip


def _finish(span: Any, scope: Scope, status: int) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    span.update_name(f"{_method(scope)} {route_of(scope)}")
    span.set_attribute("http.request.method", _method(scope))
    span.set_attribute("http.route", route_of(scope))
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"


def route_of(scope: Scope) -> str:
    """Return the template of the route that answered."""
    path = getattr(scope.get("route"), "path_format", None)
    return path if isinstance(path, str) and path else NO_ROUTE


def _note(scope: Scope, status: int, seconds: float) -> None:
    method, route = _method(scope), route_of(scope)
    REQUESTS.labels(method, route, str(status)).inc()
    SECONDS.labels(method, route).observe(seconds)
    request_id = scope["state"].get("request_id", "-")
    LOG.info("%s %s %d %.1f ms %s", method, route, status, seconds * 1000, request_id)


def make_tracer(environment: Mapping[str, str] = os.environ) -> Any:
    """Return what makes spans and sends them; None where nobody said where to."""
    if not environment.get(ENDPOINT):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "sayso"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("sayso.web")
