"""Reads: who of the staff, and which job, read what of which member.

Promises: the newest first, in pages; a member is named by the tag of their receipts, which
nobody can tell any more once they were erased. To ask about one member is a read of its own.
"""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from sayso.facts import instant_of
from sayso.ledger.reads import noted_reads, receipt_tag
from sayso.receipting import key_of
from sayso.snapshot.manifest import iso
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, told
from sayso.web.api.paging import Cursor, Limit, page_of, place_in
from sayso.web.reads import note_read
from sayso.web.request import desk_of
from sayso.workspace import member_id

router = APIRouter(prefix="/api/v1", tags=["reads"])

Of = Annotated[str | None, Query(max_length=500, description="Only reads of this member.")]


class ReadTold(Shape):
    """One read.

    Attributes:
        by: The subject of a person, or the id of a client.
        role: Roles with spaces between, or `client`.
        route: Method and template.
        member: The tag of whom it was about, in hex; null for many, or for nobody known here.
        rows: How many records or members it was about.
    """

    number: int
    at: str
    by: str
    role: str
    route: str
    member: str | None
    rows: int
    request_id: str


class ReadsTold(Shape):
    """Reads, the newest first."""

    reads: list[ReadTold]
    next: str | None


@router.get("/reads", response_model=ReadsTold, responses=answers())
@allow(Role.AUDITOR, scopes={Scope.READS_READ})
def list_reads(
    request: Request, member: Of = None, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """List who read what of which member."""
    ledger = desk_of(request).workspace.ledger
    who = None if member is None else member_id(member)
    tag = None
    if who is not None:
        key = key_of(ledger, who)
        if key is None:
            note_read(request, who)
            return told(ReadsTold(reads=[], next=None))
        tag = receipt_tag(key)
    rows, headers, following = page_of(
        request, noted_reads(ledger, before=place_in(cursor), tag=tag), lambda one: one.number,
        cursor=cursor, limit=limit, newest_first=True,
    )  # fmt: skip
    found = [
        ReadTold(
            number=one.number, at=iso(instant_of(one.at_us)), by=one.subject, role=one.role,
            route=one.route, member=None if one.tag is None else one.tag.hex(), rows=one.rows,
            request_id=one.request_id,
        )
        for one in rows
    ]  # fmt: skip
    if who is not None:
        note_read(request, who)
    return told(ReadsTold(reads=found, next=following), headers=headers)
