"""Webhooks: who is told of holds, lifts, releases and choices in bulk, and where.

Promises: a secret is shown once. What is sent, when and how often is the work of
`sayso.web.webhooks`.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from sayso.facts import instant_of
from sayso.snapshot.manifest import iso
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, told
from sayso.web.api.bodies import Given, json_of, takes
from sayso.web.api.repeating import note_made, repeatable, unfinished
from sayso.web.request import caller_of, desk_of
from sayso.web.webhooks import Event, Hook, Hooks

router = APIRouter(prefix="/api/v1", tags=["webhooks"])


class HookGiven(Given):
    """Where to tell what."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    events: Annotated[list[Event], Field(min_length=1, max_length=20)]


class HookTold(Shape):
    """A webhook; `disabled` says why nothing is sent to it any more."""

    webhook_id: str
    url: str
    events: list[str]
    made_at: str
    disabled: str | None


class HookMade(HookTold):
    """A webhook with its secret, which is not shown again."""

    secret: str


class HooksTold(Shape):
    """The webhooks of whoever asks."""

    webhooks: list[HookTold]


@router.post(
    "/webhooks",
    status_code=201,
    response_model=HookMade,
    responses=answers(409, 415),
    openapi_extra=takes(HookGiven),
)
@allow(Role.ADMIN, scopes={Scope.WEBHOOKS_WRITE})
@repeatable
def add(request: Request, given: Annotated[HookGiven, Depends(json_of(HookGiven))]) -> Response:
    """Register an address; it is told what happens from now on."""
    desk = desk_of(request)
    hooks = Hooks(desk.workspace.ledger, desk.settings.webhook_hosts_allowed)
    begun = unfinished(request)
    # Of one that a worker made which is gone, nobody ever saw the secret.
    lost = None if begun is None or begun.made is None else str(begun.made)
    hook, secret = hooks.add(
        _owner(request), given.url, frozenset(given.events), desk.now_us(), replaces=lost,
        note=lambda con, name: note_made(request, con, name),
    )  # fmt: skip
    return told({**_told(hook).model_dump(), "secret": secret}, 201)


@router.get("/webhooks", response_model=HooksTold, responses=answers())
@allow(Role.ADMIN, scopes={Scope.WEBHOOKS_WRITE})
def list_hooks(request: Request) -> Response:
    """List what was registered by whoever asks; an admin sees all."""
    desk = desk_of(request)
    hooks = Hooks(desk.workspace.ledger, desk.settings.webhook_hosts_allowed)
    return told(HooksTold(webhooks=[_told(one) for one in hooks.all(_owner(request))]))


@router.delete("/webhooks/{webhook_id}", status_code=204, responses=answers(404))
@allow(Role.ADMIN, scopes={Scope.WEBHOOKS_WRITE})
def drop(request: Request, webhook_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> Response:
    """Take a registration away, at once."""
    desk = desk_of(request)
    hooks = Hooks(desk.workspace.ledger, desk.settings.webhook_hosts_allowed)
    hooks.drop(_owner(request), webhook_id)
    return Response(status_code=204)


def _owner(request: Request) -> str | None:
    """Return whose webhooks a caller sees; None for everybody's."""
    caller = caller_of(request)
    return caller.subject if caller.is_client else None


def _told(hook: Hook) -> HookTold:
    return HookTold(
        webhook_id=hook.webhook_id,
        url=hook.url,
        events=sorted(hook.events),
        made_at=iso(instant_of(hook.made_us)),
        disabled=hook.disabled,
    )
