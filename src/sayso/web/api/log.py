"""The log: checkpoints, proofs, tiles.

Promises: what the log publishes to everybody and nothing else. An entry that is about a member
is its commitment, whoever asks; what a public entry says is told. Tiles are those of C2SP
tlog-tiles, under `/log/`, and are served as they stand.
"""

import re
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sayso.errors import InputError
from sayso.facts import instant_of
from sayso.ledger import schema
from sayso.ledger.integrate import published
from sayso.ledger.logged import prove_entry, reader_of
from sayso.snapshot.manifest import iso
from sayso.web.access import allow_anyone
from sayso.web.api.answers import Shape, answers, gives, told
from sayso.web.problems import NotFoundError
from sayso.web.request import desk_of

router = APIRouter(tags=["log"])

# Source: C2SP tlog-tiles, "Merkle Tree" and "Log entries".
_TILE = re.compile(
    r"(entries|[0-9]|[1-5][0-9]|6[0-3])(/x[0-9]{3}){0,6}/[0-9]{3}(\.p/[0-9]{1,3})?", re.ASCII
)
_SOON = "no checkpoint covers it yet"
Index = Annotated[int, Path(ge=0, lt=1 << 62)]


class LogEntry(Shape):
    """An entry of the log: its commitment, and what it says where it is public."""

    index: int
    commitment: str
    kind: str | None
    recorded_at: str | None
    payload: dict[str, Any] | None


@router.get("/api/v1/log/checkpoint", response_class=PlainTextResponse,
            responses={200: gives("text/plain", "A signed note"), **answers(404)})  # fmt: skip
@router.get("/log/checkpoint", include_in_schema=False)
@allow_anyone
def checkpoint(request: Request) -> Response:
    """Give the published checkpoint: a signed note."""
    found = published(desk_of(request).workspace.ledger)
    if found is None:
        raise NotFoundError("there is no checkpoint yet", hint="try again in a moment")
    return Response(found[1], media_type="text/plain")


@router.get("/api/v1/log/entries/{index}", response_model=LogEntry, responses=answers(404))
@allow_anyone
def entry(request: Request, index: Index) -> Response:
    """Show one entry under the published checkpoint."""
    ledger = desk_of(request).workspace.ledger
    try:
        reader, _ = reader_of(ledger)
    except InputError:
        raise NotFoundError(_SOON, hint="try again in a moment") from None
    if index >= reader.size:
        raise NotFoundError(_SOON, hint="try again in a moment")
    commitment = reader.entry(index).hex()
    column = schema.entry.c
    query = sa.select(column.kind, column.recorded_us, column.payload).where(
        column.index == index, column.kind != "choice"
    )
    with ledger.reading() as con:
        row = con.execute(query).first()
    if row is None:
        found = LogEntry(
            index=index, commitment=commitment, kind=None, recorded_at=None, payload=None
        )
        return told(found)
    public = next(one for one in ledger.public(row.kind, index + 1, newest_first=True))
    recorded_at = iso(instant_of(public.recorded_us))
    return told(
        LogEntry(
            index=index, commitment=commitment, kind=public.kind, recorded_at=recorded_at,
            payload=dict(public.payload),
        )
    )  # fmt: skip


@router.get("/api/v1/log/entries/{index}/proof", response_class=PlainTextResponse,
            responses={200: gives("text/plain", "A C2SP tlog-proof"), **answers(404)})  # fmt: skip
@allow_anyone
def proof(request: Request, index: Index) -> Response:
    """Give the proof that an entry is in the log; whoever has the entry can check it."""
    try:
        made = prove_entry(desk_of(request).workspace.ledger, index)
    except InputError:
        raise NotFoundError(_SOON, hint="try again in a moment") from None
    return Response(made.to_bytes(), media_type="text/plain")


@router.get("/log/tile/{path:path}", include_in_schema=False)
@allow_anyone
def tile(request: Request, path: str) -> Response:
    """Give a tile of the log, or a bundle of its entries, as it stands."""
    if _TILE.fullmatch(path):
        place = desk_of(request).workspace.path / "log" / "tile" / path
        try:
            data = place.read_bytes()
        except OSError:
            data = b""
        if data:
            # A full tile never changes, and a partial one has its width in its name.
            headers = {"cache-control": "public, max-age=31536000, immutable"}
            return Response(data, media_type="application/octet-stream", headers=headers)
    raise NotFoundError("there is no such tile", hint="see the checkpoint for the size")
