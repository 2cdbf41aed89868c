"""The API: version 1, for jobs of the platform and whoever works here.

Promises: OpenAPI 3.1 says every answer; errors are problems (RFC 9457); what changes
something may be repeated under an idempotency key.

    answers.py    the form of answers, and how they are declared
    bodies.py     what a request brings
    parquet.py, streams.py  what a file may become
    paging.py     long lists in parts
    repeating.py  idempotency keys
    document.py   openapi.json
    choices.py, tables.py, decisions.py, rulebook.py, holds.py, snapshots.py, permits.py,
    log.py, hooks.py, reads.py, tokens.py, health.py, metrics.py  one resource each
"""

from collections.abc import Mapping

from fastapi import APIRouter

from sayso.web.api import (
    choices,
    decisions,
    document,
    health,
    holds,
    hooks,
    log,
    metrics,
    permits,
    reads,
    rulebook,
    snapshots,
    tables,
    tokens,
)

API = "/api/v1"
_MIB = 1024 * 1024

routers: tuple[APIRouter, ...] = (
    health.router, metrics.router, document.router, tokens.router, choices.router,
    tables.router, decisions.router, rulebook.router, holds.router, snapshots.router,
    permits.router, log.router, hooks.router, reads.router,
)  # fmt: skip
# Path -> bytes, for bulk.
BULK_BYTES: Mapping[str, int] = {
    f"{API}/choices": 1024 * _MIB,
    f"{API}/members": 1024 * _MIB,
    f"{API}/notices": 1024 * _MIB,
    f"{API}/decisions/batch": 64 * _MIB,
    f"{API}/rulebook": 4 * _MIB,
}
