"""The API: version 1, for jobs of the platform and whoever works here.

Promises: OpenAPI 3.1 says every answer; errors are problems (RFC 9457); what changes
something may be repeated under an idempotency key.
"""

from collections.abc import Mapping

from fastapi import APIRouter

from sayso.web.api import health, tokens

API = "/api/v1"
routers: tuple[APIRouter, ...] = (health.router, tokens.router)
# Path -> bytes, for bulk.
BULK_BYTES: Mapping[str, int] = {}
