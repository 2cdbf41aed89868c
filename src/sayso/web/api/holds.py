"""Holds: one person stops, two lift.

Promises: a hold is placed and published in one step by one caller. Lifting is asked for by one
person and approved by another, never by a client; an ordered hold only where its authority
approved. Who asked and who approved is kept by the subject that the provider of identities
gives staff: an auditor must be able to read who answers for a lift, which a digest would
hide; it is nobody's member id.

Tables: `web_lift_request`, one row per request.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path
from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator
from starlette.requests import Request
from starlette.responses import Response

from sayso.errors import ConflictError, InputError, RefusedError
from sayso.evidence.trace import countries_of
from sayso.facts import instant_of
from sayso.ledger.store import Ledger
from sayso.model import DEFAULT_PURPOSE, Dated, Hold, Position, Source
from sayso.publishing import published
from sayso.rulebook.schema import read_bound
from sayso.snapshot.manifest import iso
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, told
from sayso.web.api.bodies import Given, PurposeName, Text, json_of, takes
from sayso.web.api.repeating import note_made, repeatable, unfinished
from sayso.web.desk import Desk
from sayso.web.problems import NotFoundError
from sayso.web.request import caller_of, desk_of
from sayso.web.sealed import metadata

router = APIRouter(prefix="/api/v1", tags=["holds"])

READERS = frozenset(Role) - {Role.MEMBER}
PLACERS = (Role.OFFICER, Role.APPROVER, Role.ADMIN)
APPROVERS = (Role.APPROVER, Role.ADMIN)

lift_request = sa.Table(
    "web_lift_request",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("hold_id", sa.String(100), nullable=False, index=True),
    # As it was written: a civil date or an instant.
    sa.Column("lifted", sa.String(40), nullable=False),
    sa.Column("source", sa.String(500), nullable=False),
    sa.Column("position", sa.String(20), nullable=False),
    sa.Column("asked_by", sa.String(500), nullable=False),
    sa.Column("asked_us", sa.BigInteger, nullable=False),
    sa.Column("approved_by", sa.String(500)),
    sa.Column("approved_us", sa.BigInteger),
    # The entry that published the lift.
    sa.Column("entry", sa.BigInteger),
)

Bound = Annotated[
    Dated,
    BeforeValidator(read_bound),
    WithJsonSchema({"type": "string", "description": "A civil date, or an instant."}),
]
HoldId = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
Who = Annotated[str, Field(max_length=200)]


def _stripped(value: object) -> object:
    """Return a text as the rulebook will keep it: without spaces at its ends."""
    return value.strip() if isinstance(value, str) else value


class HoldGiven(Given):
    """A hold to place."""

    scope: Annotated[str, Field(min_length=1, max_length=80)]
    begins: Annotated[Bound, Field(alias="from")]
    placed_by: Annotated[Who, Field(min_length=1)]
    asked_by: Who = ""
    ordered_by: Who = ""
    purposes: Annotated[tuple[PurposeName | Annotated[str, Field(pattern=r"^\*$")], ...],
                        Field(min_length=1, max_length=50)] = (DEFAULT_PURPOSE,)  # fmt: skip
    condition: Text = ""
    source: Text | None = None

    _strip = field_validator(
        "placed_by", "asked_by", "ordered_by", "condition", "source", mode="before"
    )(_stripped)


class HoldTold(Shape):
    """A published hold."""

    id: str
    scope: str
    purposes: list[str]
    begins: Annotated[str | None, Field(alias="from")]
    exactness: str
    lifted: str | None
    placed_by: str
    asked_by: str | None
    ordered_by: str | None
    position: str | None
    condition: str | None


class Holds(Shape):
    """Published holds, the lifted ones as well."""

    holds: list[HoldTold]


class Placed(Shape):
    """A hold that stands from now on."""

    hold_id: str
    entry: int


class LiftGiven(Given):
    """What is asked for: from when the hold is lifted, and what its authority said."""

    lifted: Annotated[Bound, Field(alias="from")]
    source: Annotated[str, Field(min_length=1, max_length=500)]
    position: Position

    _strip = field_validator("source", mode="before")(_stripped)


class LiftTold(Shape):
    """A request to lift a hold."""

    number: int
    hold_id: str
    begins: Annotated[str, Field(alias="from")]
    source: str
    position: str
    asked_by: str
    asked_at: str
    approved_by: str | None
    approved_at: str | None
    entry: int | None


class Lifts(Shape):
    """Requests to lift one hold, the oldest first."""

    requests: list[LiftTold]


@router.get("/holds", response_model=Holds, responses=answers())
@allow(*READERS, scopes={Scope.HOLDS_READ})
def list_holds(request: Request) -> Response:
    """List the published holds; to a regulator, those that concern their jurisdictions."""
    book = desk_of(request).workspace.rules().book
    caller = caller_of(request)
    holds = book.holds
    # Staff who are regulators as well see what their other role sees.
    if caller.roles & READERS == {Role.REGULATOR}:
        theirs = {one for place in caller.jurisdictions for one in countries_of(book, place)}
        holds = tuple(one for one in holds if theirs & {*countries_of(book, one.scope)})
    return told(Holds(holds=[hold_told(one) for one in holds]))


@router.post(
    "/holds",
    status_code=201,
    response_model=Placed,
    responses=answers(409, 415),
    openapi_extra=takes(HoldGiven),
)
@allow(*PLACERS, scopes={Scope.HOLDS_WRITE})
@repeatable
def place(request: Request, given: Annotated[HoldGiven, Depends(json_of(HoldGiven))]) -> Response:
    """Place a hold: from its beginning on, everything in its scope stops."""
    desk = desk_of(request)
    placed = _before(request, given)
    if placed is None:
        name, receipt = desk.workspace.place_hold(
            given.scope, begins=given.begins, placed_by=given.placed_by, asked_by=given.asked_by,
            ordered_by=given.ordered_by, purposes=given.purposes, condition=given.condition,
            source=_source(desk, given.source),
        )  # fmt: skip
        placed = Placed(hold_id=name, entry=receipt.index)
    desk.stir()
    return told(placed, 201)


def _before(request: Request, given: HoldGiven) -> Placed | None:
    """Return the hold that a worker which is gone placed for this very request, if any."""
    begun, ledger = unfinished(request), desk_of(request).workspace.ledger
    if begun is None:
        return None
    stood = {one.hold_id for one in published(ledger, begun.size).book.holds}
    for entry in ledger.public("rulebook", ledger.size()):
        if entry.index < begun.size:
            continue
        for one in published(ledger, entry.index + 1).book.holds:
            if one.hold_id not in stood and _is_as_given(one, given):
                return Placed(hold_id=one.hold_id, entry=entry.index)
    return None


def _is_as_given(one: Hold, given: HoldGiven) -> bool:
    return (
        one.scope, one.begins, set(one.purposes), one.placed_by, one.asked_by, one.ordered_by,
        one.condition,
    ) == (
        given.scope, given.begins, set(given.purposes), given.placed_by, given.asked_by,
        given.ordered_by, given.condition,
    )  # fmt: skip


@router.get("/holds/{hold_id}/lift-requests", response_model=Lifts, responses=answers(404))
@allow(*PLACERS, Role.AUDITOR)
def list_lifts(request: Request, hold_id: HoldId) -> Response:
    """List the requests to lift a hold."""
    desk = desk_of(request)
    _find(desk, hold_id)
    query = (
        sa.select(lift_request)
        .where(lift_request.c.hold_id == hold_id)
        .order_by(lift_request.c.number)
    )
    with desk.workspace.ledger.reading() as con:
        rows = con.execute(query).mappings().all()
    return told(Lifts(requests=[_lift(dict(row)) for row in rows]))


@router.post(
    "/holds/{hold_id}/lift-requests",
    status_code=201,
    response_model=LiftTold,
    responses=answers(404, 409, 415),
    openapi_extra=takes(LiftGiven),
)
@allow(*PLACERS)
@repeatable
def ask(
    request: Request, hold_id: HoldId, given: Annotated[LiftGiven, Depends(json_of(LiftGiven))]
) -> Response:
    """Ask that a hold be lifted; somebody else approves it."""
    desk, begun = desk_of(request), unfinished(request)
    ledger = desk.workspace.ledger
    if begun is not None and begun.made is not None:  # by a worker that is gone
        return told(_lift(_row(ledger, hold_id, int(begun.made))), 201)
    _need_liftable(_find(desk, hold_id), given.position)
    row = {
        "hold_id": hold_id, "lifted": _written(given.lifted), "source": given.source,
        "position": str(given.position), "asked_by": caller_of(request).subject,
        "asked_us": desk.now_us(), "approved_by": None, "approved_us": None, "entry": None,
    }  # fmt: skip
    with ledger.writing() as con:
        done = con.execute(sa.insert(lift_request).values(row).returning(lift_request.c.number))
        number = int(done.scalar_one())
        note_made(request, con, number)
    return told(_lift({**row, "number": number}), 201)


@router.post(
    "/holds/{hold_id}/lift-requests/{number}/approval",
    response_model=LiftTold,
    responses=answers(404, 409),
)
@allow(*APPROVERS)
@repeatable
def approve(
    request: Request, hold_id: HoldId, number: Annotated[int, Path(ge=1, lt=1 << 31)]
) -> Response:
    """Approve a request of somebody else's: the hold is lifted and published at once."""
    desk, who = desk_of(request), caller_of(request).subject
    ledger = desk.workspace.ledger
    row = _row(ledger, hold_id, number)
    if row["asked_by"] == who:
        raise RefusedError("you asked for it yourself", hint="somebody else approves it")
    hold = _find(desk, hold_id)
    # They may have approved it before, and nobody was told how far that came.
    entry = _lifted_by(ledger, row) if row["approved_by"] == who else None
    if entry is None:
        _need_liftable(hold, Position(row["position"]))
        row = _claimed(desk, row, who)
        entry = _lift_once(desk, row)
    row["entry"] = entry
    with ledger.writing() as con:
        done = {name: row[name] for name in ("approved_by", "approved_us", "entry")}
        con.execute(_open_row(row).values(done))
    desk.stir()
    return told(_lift(row))


def _claimed(desk: Desk, row: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Note who approves a request, before the hold is lifted; return the request.

    Raises:
        ConflictError: Somebody else approved it, or it was approved to its end.
    """
    column = lift_request.c
    is_theirs = sa.and_(column.approved_by == who, column.entry.is_(None))
    claim = (
        sa.update(lift_request)
        .where(column.number == row["number"], sa.or_(column.approved_by.is_(None), is_theirs))
        # The first time stands: what lifted the hold for this request is looked for from there.
        .values(approved_by=who, approved_us=sa.func.coalesce(column.approved_us, desk.now_us()))
        .returning(column.approved_us)
    )
    with desk.workspace.ledger.writing() as con:
        since_us = con.execute(claim).scalar()
    if since_us is None:
        raise ConflictError(
            "the request was approved before", hint="see the hold; if it stands, ask anew"
        )
    return {**row, "approved_by": who, "approved_us": int(since_us)}


def _lift_once(desk: Desk, row: Mapping[str, Any]) -> int:
    """Lift a hold as a claimed request asks; return the entry that did.

    The claim is taken back only where it is certain that nothing was published. After any
    other error whoever approved repeats it.
    """
    workspace = desk.workspace
    try:
        return workspace.lift_hold(
            row["hold_id"], lifted=read_bound(row["lifted"]), source=_source(desk, row["source"]),
            position=Position(row["position"]),
        ).index  # fmt: skip
    except (RefusedError, InputError, ConflictError):
        with workspace.ledger.writing() as con:  # nobody publishes while we look
            if _find(desk, row["hold_id"]).lifted is None:
                con.execute(_open_row(row).values(approved_by=None, approved_us=None))
        entry = _lifted_by(workspace.ledger, row)
        if entry is None:
            raise
        return entry


def _open_row(row: Mapping[str, Any]) -> sa.Update:
    """Return a change of a request that nobody else approved, and nobody to its end."""
    column = lift_request.c
    is_ours = sa.or_(column.approved_by.is_(None), column.approved_by == row["approved_by"])
    return sa.update(lift_request).where(
        column.number == row["number"], column.entry.is_(None), is_ours
    )


def _lifted_by(ledger: Ledger, row: Mapping[str, Any]) -> int | None:
    """Return the entry that lifted the hold as a request asks, since it was approved.

    None where none did, where it was lifted otherwise, and where another request notes it.
    """
    if row["approved_us"] is None or row["entry"] is not None:
        return None
    size, name = ledger.size(), row["hold_id"]
    for entry in ledger.public("rulebook", size):
        if entry.recorded_us < row["approved_us"]:
            continue
        before, after = (_hold_in(ledger, known, name) for known in (entry.index, entry.index + 1))
        if before is None or before.lifted is not None or after is None or after.lifted is None:
            continue
        is_ours = _is_lifted_as(after, row) and not _is_noted(ledger, entry.index, row["number"])
        return entry.index if is_ours else None
    return None


def _is_lifted_as(hold: Hold, row: Mapping[str, Any]) -> bool:
    source = hold.sources.get("lifted")
    if hold.lifted is None or source is None:
        return False
    asked = (read_bound(row["lifted"]).value, row["position"], row["source"])
    return asked == (hold.lifted.value, str(hold.position), source.title)


def _is_noted(ledger: Ledger, entry: int, number: int) -> bool:
    """Whether an entry lifted the hold for another request than this."""
    column = lift_request.c
    query = sa.select(column.number).where(column.entry == entry, column.number != number)
    with ledger.reading() as con:
        return con.execute(query).first() is not None


def _hold_in(ledger: Ledger, known: int, hold_id: str) -> Hold | None:
    holds = published(ledger, known).book.holds
    return next((one for one in holds if one.hold_id == hold_id), None)


def hold_told(one: Hold) -> HoldTold:
    """Return a hold as the API tells it."""
    return HoldTold.model_validate(
        {
            "id": one.hold_id,
            "scope": one.scope,
            "purposes": sorted(one.purposes),
            "from": _written(one.begins) if one.begins else None,
            "exactness": str(one.begins.exactness) if one.begins else "unknown",
            "lifted": _written(one.lifted) if one.lifted else None,
            "placed_by": one.placed_by,
            "asked_by": one.asked_by or None,
            "ordered_by": one.ordered_by or None,
            "position": str(one.position) if one.position else None,
            "condition": one.condition or None,
        }
    )


def _written(bound: Dated) -> str:
    return str(Dated(bound.value))


def _lift(row: Mapping[str, Any]) -> LiftTold:
    approved_us = row["approved_us"]
    return LiftTold.model_validate(
        {
            "number": row["number"],
            "hold_id": row["hold_id"],
            "from": row["lifted"],
            "source": row["source"],
            "position": row["position"],
            "asked_by": row["asked_by"],
            "asked_at": iso(instant_of(row["asked_us"])),
            "approved_by": row["approved_by"],
            "approved_at": None if approved_us is None else iso(instant_of(approved_us)),
            "entry": row["entry"],
        }
    )


def _row(ledger: Ledger, hold_id: str, number: int) -> dict[str, Any]:
    query = sa.select(lift_request).where(
        lift_request.c.number == number, lift_request.c.hold_id == hold_id
    )
    with ledger.reading() as con:
        row = con.execute(query).mappings().first()
    if row is None:
        raise NotFoundError("there is no such request", hint="list those of the hold")
    return dict(row)


def _find(desk: Desk, hold_id: str) -> Hold:
    for hold in desk.workspace.rules().book.holds:
        if hold.hold_id == hold_id:
            return hold
    raise NotFoundError("there is no such hold", hint="list the holds")


def _need_liftable(hold: Hold, position: Position) -> None:
    if hold.lifted is not None:
        raise ConflictError(f"the hold is lifted, from {hold.lifted}", hint="place a new one")
    if hold.ordered_by and position is not Position.APPROVED:
        raise RefusedError(
            f"the hold was ordered by '{hold.ordered_by}', who has not approved",
            hint="lift it once they have, with position 'approved'",
        )


def _source(desk: Desk, text: str | None) -> Source | None:
    if text is None or text.strip() in {"", "assumption"}:
        return None
    if any(ord(sign) < 32 for sign in text):
        raise InputError("the source is no line of text", hint="write a title or an address")
    address = text if text.startswith(("http://", "https://")) else ""
    return Source(title=text, address=address, seen=desk.clock().date())
