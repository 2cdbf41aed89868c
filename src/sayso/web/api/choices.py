"""Choices and receipts: what a member said, through whatever said it for them.

Promises: a client says what a member did on the platform's own surface; a member says it
themselves; staff say `off` for a member and never anything that widens. A receipt is had by
whoever may read the member's choices, under an id that nobody guesses; another member's is as
if it were not there.
"""

from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from sayso.attest.page import OWN, TELLERS
from sayso.attest.receipts import sign_receipt
from sayso.decision.states import microseconds
from sayso.errors import ConflictError, InputError, RefusedError
from sayso.facts import instant_of
from sayso.model import DEFAULT_PURPOSE, EVERY_PURPOSE, Choice
from sayso.receipting import Said, choices_of, key_of, plain_receipt, receipt_id
from sayso.snapshot.manifest import iso
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, told
from sayso.web.api.bodies import (
    Given,
    Instant,
    PurposeName,
    Text,
    file_of,
    json_of,
    takes,
    takes_file,
)
from sayso.web.api.paging import Cursor, Limit, page_of
from sayso.web.api.repeating import repeatable, unfinished
from sayso.web.api.tables import Taken, taken_of
from sayso.web.problems import NotFoundError
from sayso.web.reads import note_read
from sayso.web.request import caller_of, desk_of
from sayso.workspace import member_id

router = APIRouter(prefix="/api/v1", tags=["choices"])

Member = Annotated[str, Path(description="The platform's own id.", max_length=500)]
STAFF = (Role.OFFICER, Role.ADMIN)
# By these a receipt says who gave the answer: on the service's pages, or by what it saw itself.
OWN_CHANNELS = OWN | set(TELLERS)


class ChoiceGiven(Given):
    """What a member said."""

    choice: Literal["on", "off", "deferred"]
    purpose: PurposeName | Literal["*"] = DEFAULT_PURPOSE
    channel: Text | None = None
    setting_version: Text | None = None
    effective_at: Instant | None = None
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None


class Recorded(Shape):
    """A choice that stands in the ledger, durably."""

    index: int
    commitment: str
    receipt_id: str
    receipt: str


class ChoiceTold(Shape):
    """A choice as its entry holds it."""

    index: int
    receipt_id: str
    purpose: str
    choice: str
    effective_at: str
    recorded_at: str
    claimed_at: str | None
    country: str | None
    channel: str | None
    setting_version: str | None


class Choices(Shape):
    """Choices of one member, in the order of the ledger."""

    choices: list[ChoiceTold]
    next: str | None


@router.post(
    "/members/{member:path}/choices",
    status_code=201,
    response_model=Recorded,
    responses=answers(404, 409, 415),
    openapi_extra=takes(ChoiceGiven),
)
@allow(Role.MEMBER, *STAFF, scopes={Scope.CHOICES_WRITE})
@repeatable
def choose(
    request: Request,
    member: Member,
    given: Annotated[ChoiceGiven, Depends(json_of(ChoiceGiven))],
) -> Response:
    """Record what a member said; durable, and seen by every worker, when this answers."""
    desk, who = desk_of(request), _whom(request, member)
    channel, effective_at, country = given.channel, given.effective_at, given.country
    caller = caller_of(request)
    if caller.is_client and channel in OWN_CHANNELS:
        raise InputError(
            f"the channel '{channel}' is the service's own", hint="name the application's, as 'app'"
        )
    if not caller.is_client:
        is_own = caller.member_id == who
        if not is_own and given.choice != "off":
            raise RefusedError(
                "staff record an off for a member, and never anything else",
                hint="the member says it themselves",
            )
        if given.choice != "off" and effective_at is not None:
            raise InputError("an answer counts from now", hint="leave out effective_at")
        # When, where and through what it was said is not for a person to claim.
        channel, effective_at, country = ("web" if is_own else "staff"), None, None
    told_by: dict[str, Any] = {
        "purpose": given.purpose, "channel": channel or "api",
        "setting_version": given.setting_version, "country": country,
    }  # fmt: skip
    done = _before(request, who, given.choice, effective_at, told_by) or desk.choose(
        who, Choice(given.choice), effective_at=effective_at, **told_by
    )
    name = receipt_id(desk.workspace.ledger, who, done.index)
    where = f"/api/v1/members/{quote(who, safe='')}/receipts/{name}"
    made = Recorded(
        index=done.index, commitment=done.commitment.hex(), receipt_id=name, receipt=where
    )
    return told(made, 201, {"location": where})


def _before(
    request: Request, who: str, choice: str, effective_at: datetime | None, told_by: dict[str, Any]
) -> Said | None:
    """Return the choice that a worker which is gone recorded for this very request, if any.

    An off is never looked for: said twice it is said, whatever came between the two. An on
    that is recorded now would stand above an off that came between.

    Raises:
        ConflictError: None was recorded, and something else was said since.
    """
    begun, ledger = unfinished(request), desk_of(request).workspace.ledger
    if begun is None or choice == "off":
        return None
    since = [one for one in choices_of(ledger, who, ledger.size()) if one.index >= begun.size]
    for one in since:
        claimed_us = one.effective_us if one.claimed_us is None else one.claimed_us
        is_when = effective_at is None or claimed_us == microseconds(effective_at)
        is_same = all(getattr(one, name) == value for name, value in told_by.items())
        if str(one.choice) == choice and is_when and is_same:
            return one
    if any(one.purpose in {told_by["purpose"], EVERY_PURPOSE} for one in since):
        raise ConflictError(
            "something else was said since this was first sent",
            hint="read what was said; send it with a new key where it still holds",
        )
    return None


@router.get("/members/{member:path}/choices", response_model=Choices, responses=answers(404))
@allow(Role.MEMBER, *STAFF, scopes={Scope.CHOICES_READ})
def list_choices(
    request: Request, member: Member, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """List what a member said."""
    ledger, who = desk_of(request).workspace.ledger, _whom(request, member)
    note_read(request, who)
    said = choices_of(ledger, who, ledger.size())
    rows, headers, following = page_of(
        request, said, lambda one: one.index, cursor=cursor, limit=limit
    )
    found = Choices(
        choices=[_told(one, receipt_id(ledger, who, one.index)) for one in rows], next=following
    )
    return told(found, headers=headers)


def _told(said: Said, name: str) -> ChoiceTold:
    return ChoiceTold(
        index=said.index,
        receipt_id=name,
        purpose=said.purpose,
        choice=str(said.choice),
        effective_at=iso(instant_of(said.effective_us)),
        recorded_at=iso(instant_of(said.recorded_us)),
        claimed_at=None if said.claimed_us is None else iso(instant_of(said.claimed_us)),
        country=said.country,
        channel=said.channel,
        setting_version=said.setting_version,
    )


@router.get(
    "/members/{member:path}/receipts/{name}",
    response_model=dict[str, object],
    responses=answers(404),
)
@allow(Role.MEMBER, *STAFF, scopes={Scope.CHOICES_READ})
def receipt(request: Request, member: Member, name: str) -> Response:
    """Give the signed receipt of one choice, with its proof once the log covers it."""
    workspace, who = desk_of(request).workspace, _whom(request, member)
    ledger = workspace.ledger
    note_read(request, who)
    if key_of(ledger, who) is not None:
        for one in choices_of(ledger, who, ledger.size()):
            if receipt_id(ledger, who, one.index) == name:
                made = plain_receipt(ledger, workspace.trust, who, one)
                signed = sign_receipt(made, workspace.trust.key).to_bytes()
                return Response(signed, media_type="application/json")
    raise NotFoundError("there is no such receipt", hint="list the member's choices")


@router.post(
    "/choices",
    response_model=Taken,
    responses=answers(409, 415),
    openapi_extra=takes_file(),
)
@allow(scopes={Scope.CHOICES_WRITE})
@repeatable
def take_choices(request: Request, file: Annotated[FilePath, Depends(file_of)]) -> Response:
    """Record every choice of a file, or none; the same file twice changes nothing."""
    return taken_of(request, "choices", file)


def _whom(request: Request, member: str) -> str:
    """Return the canonical id of a member whom the caller may ask about.

    Raises:
        NotFoundError: A member asks about another.
        InputError: It is no id.
    """
    caller, who = caller_of(request), member_id(member)
    if caller.is_client or caller.roles & set(STAFF) or caller.member_id == who:
        return who
    raise NotFoundError("there is no such member, or none that you may ask about")
