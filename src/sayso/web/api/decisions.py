"""Decisions: may this record of this member be used, for what, and why not.

Promises: the answers of the workspace, which are the definition's; what a caller leaves out is
unknown, and unknown is refused. Many records at once come and go as Arrow or as JSON.

Columns of an Arrow answer: mask (uint32: bit i is the i-th reason of the schema's metadata
`reasons`; 0 is admitted), one row per record, in their order.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import duckdb
import pyarrow as pa
from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, RootModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sayso.decision.many import Decisions
from sayso.decision.states import microseconds
from sayso.errors import InputError
from sayso.facts import record_facts
from sayso.model import DEFAULT_PURPOSE, REASONS, RecordFacts, reasons_of
from sayso.snapshot.manifest import iso
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, told
from sayso.web.api.bodies import (
    ARROW,
    JSON,
    Given,
    Instant,
    Known,
    MemberId,
    PurposeName,
    Text,
    json_of,
    need_media_type,
    parse,
    read_arrow,
    read_bytes,
    takes,
)
from sayso.web.limits import Work, dear
from sayso.web.problems import NotFoundError
from sayso.web.reads import note_read
from sayso.web.request import caller_of, desk_of
from sayso.workspace import member_id

router = APIRouter(prefix="/api/v1", tags=["decisions"])

BATCH_ROWS = 1_000_000
READERS = (Role.OFFICER, Role.ENGINEER, Role.AUDITOR, Role.ADMIN)


class RecordGiven(Given):
    """What is known about a record; what is left out is unknown."""

    record_id: MemberId | None = None
    category: Text | None = None
    visibility: Text | None = None
    authorship: Text | None = None
    context: Text | None = None
    mentions: list[str] | None = None
    written_at: Instant | None = None
    first_seen_at: Instant | None = None
    deleted_at: Instant | None = None

    def facts(self) -> RecordFacts:
        """Return what a decision depends on."""
        times = [one for one in (self.written_at, self.first_seen_at) if one is not None]
        row = {
            "category": self.category, "visibility": self.visibility,
            "authorship": self.authorship, "context": self.context,
            "mentions": None if self.mentions is None else int(bool(self.mentions)),
            "written_us": microseconds(min(times)) if times else None,
            "deleted_us": None if self.deleted_at is None else microseconds(self.deleted_at),
        }  # fmt: skip
        return record_facts(row, is_single=self.record_id not in {None, ""})


class BatchRow(RecordGiven):
    """One record of many, with whose it is."""

    member_id: MemberId | None = None


class Batch(RootModel[list[BatchRow]]):
    """Records, each with whose it is."""


class Question(Given):
    """Which decision is asked for."""

    member: MemberId
    record: RecordGiven | None = None
    purpose: PurposeName = DEFAULT_PURPOSE
    at: Instant | None = None
    known: Known | None = None


class Wanted(Given):
    """Which decision is to be explained; the record stands in the platform's content."""

    member: MemberId
    record_id: MemberId | None = None
    purpose: PurposeName = DEFAULT_PURPOSE
    at: Instant | None = None
    known: Known | None = None


class Because(Shape):
    """A reason, in words, and what gave it."""

    reason: str
    sentence: str
    given_by: list[str]


class Decided(Shape):
    """A decision, and what was in force."""

    model_config = ConfigDict(extra="forbid")

    allow: bool
    reasons: list[str]
    country: str | None
    rules: list[dict[str, Any]]
    holds: list[dict[str, Any]]
    at: str
    known: int
    purpose: str
    choice: str
    because: list[Because]


class Explained(Decided):
    """A decision with the page that a person reads."""

    text: str


class Row(Shape):
    """The decision about one record."""

    allow: bool
    reasons: list[str]


class DecidedMany(Shape):
    """Decisions, in the order of the records; `refused` counts by first reason."""

    purpose: str
    at: str
    known: int
    records: int
    admitted: int
    refused: dict[str, int]
    decisions: list[Row]


@router.post(
    "/decisions", response_model=Decided, responses=answers(415), openapi_extra=takes(Question)
)
@allow(*READERS, scopes={Scope.DECISIONS_READ})
def decide(request: Request, asked: Annotated[Question, Depends(json_of(Question))]) -> Response:
    """Decide about a member, or one of their records."""
    record = None if asked.record is None else asked.record.facts()
    found = desk_of(request).decide(
        asked.member, record, purpose=asked.purpose, at=asked.at, known=asked.known
    )
    if not caller_of(request).is_client:
        note_read(request, member_id(asked.member))
    return told(found.to_json())


@router.post(
    "/explanations",
    response_model=Explained,
    responses=answers(404, 415),
    openapi_extra=takes(Wanted),
)
@allow(Role.MEMBER, *READERS, scopes={Scope.DECISIONS_READ})
@dear(Work.SCAN)
def explain(request: Request, asked: Annotated[Wanted, Depends(json_of(Wanted))]) -> Response:
    """Explain a decision about a member, or about a record in the platform's content."""
    desk, caller, who = desk_of(request), caller_of(request), member_id(asked.member)
    if not caller.is_client and not caller.roles & set(READERS) and caller.member_id != who:
        raise NotFoundError("there is no such member, or none that you may ask about")
    if asked.record_id is not None and desk.content is None:
        raise NotFoundError("no content is at hand here", hint="send the record's facts")
    found = desk.workspace.explain(
        who, None if asked.record_id is None else member_id(asked.record_id),
        content=desk.content, purpose=asked.purpose, at=asked.at, known=asked.known,
    )  # fmt: skip
    note_read(request, who)
    return told({**found.to_json(), "text": found.to_text()})


_ARROW_BODY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/decisions/batch",
    response_model=DecidedMany,
    responses={
        200: {"content": {ARROW: _ARROW_BODY}, "description": "The decisions"}, **answers(406, 415)
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {**takes(Batch)["requestBody"]["content"], ARROW: _ARROW_BODY},
        }
    },
)  # fmt: skip
@allow(Role.ENGINEER, Role.ADMIN, scopes={Scope.DECISIONS_READ})
@dear(Work.BATCH)
async def decide_many(
    request: Request,
    purpose: Annotated[PurposeName, Query()] = DEFAULT_PURPOSE,
    at: Annotated[str | None, Query(max_length=40, description="An instant; now.")] = None,
    known: Annotated[Known | None, Query()] = None,
) -> Response:
    """Decide about many records; the answer has the form of the body."""
    kind = need_media_type(request, JSON, ARROW)
    body = await read_bytes(request)
    return await run_in_threadpool(_decide_many, request, kind, body, purpose, at, known)


def _decide_many(
    request: Request, kind: str, body: bytes, purpose: str, at: str | None, known: int | None
) -> Response:
    desk = desk_of(request)
    content = read_arrow(body, BATCH_ROWS) if kind == ARROW else _table(parse(list[BatchRow], body))
    if content.num_rows > BATCH_ROWS:
        raise InputError(f"more than {BATCH_ROWS} records", hint="send them in parts")
    try:
        decided = desk.decide_many(content, purpose=purpose, at=_instant(at), known=known)
    except duckdb.OutOfMemoryException:
        raise  # which is no fault of the table's
    except (pa.ArrowException, duckdb.Error, ValueError, TypeError):
        # Columns of a form that nothing here reads; what they hold is quoted nowhere.
        raise InputError(
            "the table is no content", hint="give ids as text or integers, times as timestamps"
        ) from None
    found, when, size = decided.decisions, decided.at, decided.known
    note_read(request, None, rows=len(found))
    if kind == ARROW:
        return Response(_arrow(found, purpose, when, size), media_type=ARROW)
    names = {mask: [str(one) for one in reasons_of(mask)] for mask in set(found.masks.tolist())}
    return told(
        {
            "purpose": purpose, "at": iso(when), "known": size, "records": len(found),
            "admitted": int(found.allow.sum()), "refused": found.refused(),
            "decisions": [
                {"allow": not mask, "reasons": names[mask]} for mask in found.masks.tolist()
            ],
        }
    )  # fmt: skip


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError("'at' is no instant", hint="write 2025-11-02T16:00:00Z") from None


_TEXTS = ("record_id", "member_id", "category", "visibility", "authorship", "context")
_TIMES = ("written_at", "first_seen_at", "deleted_at")


def _table(rows: list[BatchRow]) -> pa.Table:
    """Return rows as content: ids as text, as they count."""
    columns: dict[str, pa.Array] = {}
    for name in _TEXTS:
        values = [getattr(row, name) for row in rows]
        texts = [None if value is None else str(value) for value in values]
        columns[name] = pa.array(texts, pa.string())
    for name in _TIMES:
        moments = [getattr(row, name) for row in rows]
        instants = [None if one is None else one.replace(tzinfo=None) for one in moments]
        columns[name] = pa.array(instants, pa.timestamp("us"))
    columns["mentions"] = pa.array([row.mentions for row in rows], pa.list_(pa.string()))
    return pa.table(columns)


def _arrow(found: Decisions, purpose: str, at: datetime, known: int) -> bytes:
    told_of = {
        "reasons": json.dumps([str(one) for one in REASONS]), "purpose": purpose, "at": iso(at),
        "known": str(known),
    }  # fmt: skip
    table = pa.table({"mask": pa.array(found.masks)}).replace_schema_metadata(told_of)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
