"""Files that anybody may fetch: tables, their description, keys, policy and checkpoint.

Promises: the same for everybody; what they hold is what the pages say. Source for `gpc.json`:
Global Privacy Control, W3C Working Draft, section on the support resource.
"""

import json
from datetime import UTC

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.ledger.integrate import published_note
from sayso.transparency.files import TableFile, data_package
from sayso.web.access import allow_anyone
from sayso.web.pages.public_answer import public_file
from sayso.web.pages.public_reading import reading_of
from sayso.web.problems import NotFoundError
from sayso.web.request import desk_of

PLAIN = "text/plain; charset=utf-8"
# The day on which what this site does with the signal last changed.
GPC_SINCE = "2026-11-26"

router = APIRouter(include_in_schema=False)


@router.get("/transparency/datapackage.json")
@allow_anyone
def package(request: Request) -> Response:
    """Describe every table."""
    reading = reading_of(request)
    first = reading.publications[0].recorded_at if reading.publications else None
    last = reading.published.recorded_at if reading.published else None
    period = {
        "start": first.astimezone(UTC).date().isoformat() if first else None,
        "end": None,
        "about": (
            "When the ledger began; rules of earlier days are told as the rulebook dates them."
        ),
    }
    made = data_package(
        reading.tables.values(), version=reading.book.digest, made_at=last, period=period
    )
    return public_file(request, made, "application/json")


@router.get("/transparency/{name}.csv")
@allow_anyone
def table_csv(request: Request, name: str) -> Response:
    """Give a table as CSV."""
    found = _table(request, name)
    named = _saved_as(f"{found.name}.csv")
    return public_file(request, found.to_csv(), "text/csv; charset=utf-8", named)


@router.get("/transparency/{name}.json")
@allow_anyone
def table_json(request: Request, name: str) -> Response:
    """Give a table as JSON."""
    return public_file(request, _table(request, name).to_json(), "application/json")


def _table(request: Request, name: str) -> TableFile:
    found = reading_of(request).tables.get(name)
    if found is None:
        raise NotFoundError("there is no such table", hint="see /transparency/datapackage.json")
    return found


@router.get("/transparency/keys/attest.pem")
@allow_anyone
def attest_key(request: Request) -> Response:
    """Give the public key of receipts, statements and packs."""
    key = desk_of(request).workspace.trust.key.public.to_pem()
    return public_file(request, key, "application/x-pem-file", _saved_as("attest.pem"))


@router.get("/transparency/keys/log.vkey")
@allow_anyone
def log_key(request: Request) -> Response:
    """Give the public key of the log, as C2SP signed-note writes it."""
    key = desk_of(request).workspace.trust.log.verifier().to_text()
    return public_file(request, f"{key}\n".encode(), PLAIN, _saved_as("log.vkey"))


@router.get("/transparency/keys/policy")
@allow_anyone
def policy(request: Request) -> Response:
    """Give the policy: which log is believed, and how many witnesses must have seen it."""
    text = desk_of(request).workspace.trust.policy_bytes
    # Browsers add the ending to a name that has none; the receipt's page prints it so.
    return public_file(request, text, PLAIN, _saved_as("policy.txt"))


def _saved_as(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


@router.get("/transparency/checkpoint")
@allow_anyone
def checkpoint(request: Request) -> Response:
    """Give the last published checkpoint of the log."""
    note = published_note(desk_of(request).workspace.ledger)
    if note is None:
        raise NotFoundError("the log has no checkpoint yet", hint="try again in a second")
    return public_file(request, note, PLAIN)


@router.get("/.well-known/gpc.json")
@allow_anyone
def gpc(request: Request) -> Response:
    """Say that this site obeys Global Privacy Control."""
    body = json.dumps({"gpc": True, "lastUpdate": GPC_SINCE}).encode()
    return public_file(request, body, "application/json")
