"""Permits for jobs elsewhere: asked for before the first step, renewed before every other.

Promises: asks `sayso.training.permit`, whose objections these are; a permit stands in the
database, so that any worker renews it, and one that ended stays ended. Renewing costs two
reads of the database; only when the ledger grew, or a minute passed, is the rulebook looked at
and the step noted. A ledger that does not answer is 503, and that means no.

Tables: `web_permit`, one row per permit.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from sayso.errors import ConflictError, InputError, RefusedError
from sayso.ledger import schema
from sayso.rulebook.in_force import in_force
from sayso.snapshot.manifest import Manifest, iso, load_manifest
from sayso.training.objections import against_countries, law_then
from sayso.training.permit import LOOK_AGAIN, Permit, StoppedError
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, told
from sayso.web.api.bodies import Given, PurposeName, json_of, takes
from sayso.web.api.snapshots import folder_of
from sayso.web.desk import Desk
from sayso.web.problems import NotFoundError, PermitEndedError
from sayso.web.request import caller_of, desk_of
from sayso.web.sealed import metadata

router = APIRouter(prefix="/api/v1", tags=["permits"])

LOOK_US = int(LOOK_AGAIN.total_seconds()) * 1_000_000
# A permit that nobody looked after for so long is none any more.
LAPSE_US = 24 * 60 * 60 * 1_000_000

permit = sa.Table(
    "web_permit",
    metadata,
    sa.Column("permit_id", sa.String(40), primary_key=True),
    # Whose: a client's id, or the subject of a person.
    sa.Column("holder", sa.String(500), nullable=False),
    sa.Column("manifest", sa.String(64), nullable=False),
    sa.Column("countries", sa.Text, nullable=False),
    sa.Column("asked_us", sa.BigInteger, nullable=False),
    # When the rulebook was looked at last, the ledger's size then, and the steps done.
    sa.Column("looked_us", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("ended_us", sa.BigInteger),
    # The objections, as JSON; null where the job itself ended it.
    sa.Column("why", sa.Text),
)

PermitId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class PermitGiven(Given):
    """What leave is asked for: to learn from one snapshot."""

    snapshot: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    purpose: PurposeName | None = None


class PermitTold(Shape):
    """Leave to learn, for now.

    Attributes:
        left_out: Tags (hex) of records of the snapshot that nothing may learn from.
        look_again_seconds: The rulebook is looked at at least so often.
    """

    permit_id: str
    snapshot: str
    purpose: str
    at: str
    known: int
    countries: list[str]
    left_out: list[str]
    look_again_seconds: int


class StepGiven(Given):
    """How many steps are done."""

    step: Annotated[int, Field(ge=0, lt=1 << 62)]


class Renewed(Shape):
    """Leave to take the next step."""

    permit_id: str
    step: int
    known: int


@router.post(
    "/permits",
    status_code=201,
    response_model=PermitTold,
    responses=answers(404, 409, 415),
    openapi_extra=takes(PermitGiven),
)
@allow(Role.ENGINEER, Role.ADMIN, scopes={Scope.PERMITS_WRITE})
def ask(request: Request, given: Annotated[PermitGiven, Depends(json_of(PermitGiven))]) -> Response:
    """Ask for leave to learn from a snapshot; without it nothing may be learned.

    An idempotency key counts for nothing here: leave is of the moment, and an answer of
    yesterday would have a job learn what was taken out since.
    """
    desk = desk_of(request)
    folder = folder_of(desk, given.snapshot)
    if folder is None:
        raise NotFoundError("there is no such snapshot at hand", hint="list the snapshots")
    try:
        made = Permit.ask(desk.workspace, folder, given.purpose)
    except StoppedError as error:
        raise RefusedError(
            error.message, hint=error.hint, holds=list(error.holds),
            objections=[asdict(one) for one in error.objections],
        ) from None  # fmt: skip
    try:
        found = PermitTold(
            permit_id=secrets.token_hex(16),
            snapshot=given.snapshot,
            purpose=made.manifest.purpose,
            at=iso(made.at),
            known=made.known,
            countries=list(made.countries),
            left_out=sorted(tag.hex() for tag in made.left_out),
            look_again_seconds=int(LOOK_AGAIN.total_seconds()),
        )
    finally:
        made.close()
    now_us = desk.now_us()
    with desk.workspace.ledger.writing() as con:
        con.execute(
            sa.insert(permit).values(
                permit_id=found.permit_id, holder=_holder(request), manifest=found.snapshot,
                countries=json.dumps(found.countries), asked_us=now_us, looked_us=now_us,
                # Whatever came while the records were looked at is looked at by the first renewal.
                size=found.known, step=0, ended_us=None, why=None,
            )
        )  # fmt: skip
    return told(found, 201)


@router.post(
    "/permits/{permit_id}/renewal",
    response_model=Renewed,
    responses=answers(404, 415),
    openapi_extra=takes(StepGiven),
)
@allow(Role.ENGINEER, Role.ADMIN, scopes={Scope.PERMITS_WRITE})
def renew(
    request: Request,
    permit_id: PermitId,
    given: Annotated[StepGiven, Depends(json_of(StepGiven))],
) -> Response:
    """Say whether the job may take its next step. Anything but 200 means no."""
    desk = desk_of(request)
    row, size = _read(desk, permit_id, _holder(request))
    if row["ended_us"] is not None:
        raise _ended(row["why"])
    now_us = desk.now_us()
    if now_us - row["looked_us"] > LAPSE_US:
        _end(desk, permit_id, given.step, json.dumps([]))
        raise PermitEndedError("the permit lapsed", hint="ask for a new one", holds=[])
    if size != row["size"] or not 0 <= now_us - row["looked_us"] < LOOK_US:
        _look(desk, row, size, given.step, now_us)
    return told(Renewed(permit_id=permit_id, step=given.step, known=size))


@router.delete("/permits/{permit_id}", status_code=204, responses=answers(404))
@allow(Role.ENGINEER, Role.ADMIN, scopes={Scope.PERMITS_WRITE})
def end(request: Request, permit_id: PermitId) -> Response:
    """Give a permit back: the job is done."""
    desk = desk_of(request)
    row, _ = _read(desk, permit_id, _holder(request))
    if row["ended_us"] is None:
        _end(desk, permit_id, int(row["step"]), None)
    return Response(status_code=204)


def _holder(request: Request) -> str:
    caller = caller_of(request)
    return f"{'client' if caller.is_client else 'person'}:{caller.subject}"


def _read(desk: Desk, permit_id: str, holder: str) -> tuple[Mapping[str, Any], int]:
    """Return a permit of this holder's and the ledger's size, of one moment."""
    size = sa.select(schema.head.c.size).scalar_subquery()
    query = sa.select(permit, size.label("now")).where(
        permit.c.permit_id == permit_id, permit.c.holder == holder
    )
    with desk.workspace.ledger.reading() as con:
        row = con.execute(query).mappings().first()
    if row is None:
        raise NotFoundError("there is no such permit of yours", hint="ask for one")
    return dict(row), int(row["now"])


def _look(desk: Desk, row: Mapping[str, Any], size: int, step: int, now_us: int) -> None:
    """Read the rulebook that is published now, and note that it was read.

    Raises:
        PermitEndedError: Something stands against a country of the snapshot.
    """
    workspace = desk.workspace
    folder = folder_of(desk, row["manifest"])
    if folder is None:
        raise InputError("the snapshot is not at hand any more", hint="stop, and build again")
    manifest = _manifest(folder, row["manifest"])
    then = law_then(workspace, manifest)
    now = in_force(workspace.rules(size).book, manifest.purpose, workspace.clock())
    found = against_countries(json.loads(row["countries"]), then, now)
    if found:
        why = json.dumps([asdict(one) for one in found])
        _end(desk, row["permit_id"], step, why)
        raise _ended(why)
    with workspace.ledger.writing() as con:
        con.execute(
            sa.update(permit)
            .where(permit.c.permit_id == row["permit_id"], permit.c.ended_us.is_(None))
            .values(looked_us=now_us, size=size, step=step)
        )


@lru_cache(maxsize=64)
def _manifest(folder: FilePath, digest: str) -> Manifest:
    found = load_manifest(folder)
    if found.digest != digest:
        raise ConflictError("another snapshot stands in the folder", hint="stop, and build again")
    return found


def _end(desk: Desk, permit_id: str, step: int, why: str | None) -> None:
    with desk.workspace.ledger.writing() as con:
        con.execute(
            sa.update(permit)
            .where(permit.c.permit_id == permit_id, permit.c.ended_us.is_(None))
            .values(ended_us=desk.now_us(), step=step, why=why)
        )


def _ended(why: str | None) -> PermitEndedError:
    objections = [] if why is None else json.loads(why)
    return PermitEndedError(
        "the permit ended",
        hint="stop before the next step; nothing of it may be learned from until a new one",
        holds=sorted({one["hold"] for one in objections if one["hold"]}),
        objections=objections,
    )
