"""Whether a member may be assisted now, and who may be given what they say.

Promises: assistance is a purpose of its own. A choice about training, and a hold on it, say
nothing here; a hold on this purpose or on every purpose stops, and so does an `off` to this
purpose by its name. What is unknown stops where anything does. A recipient that the purpose
does not list is refused before anything leaves.

An objection to every training purpose (`*`) is none to a text that the member asks for.
"""

from sayso.decision.states import microseconds
from sayso.errors import InputError, RefusedError
from sayso.facts import standing_of_one
from sayso.model import ASSISTANCE, Choice, Presence, Purpose, Status
from sayso.receipting import choices_of
from sayso.rulebook.in_force import InForce, in_force
from sayso.workspace import Workspace
from sayso.writing.provider import Recipient


def need_assistance(workspace: Workspace, who: str) -> Purpose:
    """Return the purpose under which a member may be assisted now.

    Raises:
        InputError: There is no such member.
        RefusedError: The rulebook has no such purpose, a hold stands over the member's
            country, they were erased, are not active, or chose off for it.
        UnavailableError: The ledger did not answer.
    """
    known, at = workspace.ledger.size(), workspace.clock()
    book = workspace.rules(known).book
    if ASSISTANCE not in book.purposes:
        raise RefusedError(
            f"the published rulebook has no purpose '{ASSISTANCE}'",
            hint=f"write 'purposes/{ASSISTANCE}.yaml' and run 'sayso rulebook publish'",
        )
    at_us = microseconds(at)
    standing, _ = standing_of_one(workspace.ledger, who, ASSISTANCE, at_us, known, None)
    if standing.presence is Presence.ERASED:
        raise RefusedError("the member was erased", hint="nothing is written for them")
    if standing.presence is Presence.UNKNOWN:
        raise InputError("no such member", hint="run 'sayso ingest members' first")
    if standing.status != Status.ACTIVE:
        raise RefusedError("the member's account is not active", hint="wait until it is")
    if hold := _hold(in_force(book, ASSISTANCE, at), standing.country):
        raise RefusedError(f"hold '{hold}' stands over assistance", hint="wait until it is lifted")
    # What they said of every purpose counts in the standing as well; here it does not.
    if standing.choice is Choice.OFF and _said_off(workspace, who, known, at_us):
        raise RefusedError(
            f"the member chose off for '{ASSISTANCE}'", hint="they can choose on again"
        )
    return book.purposes[ASSISTANCE]


def need_recipient(purpose: Purpose, recipient: Recipient) -> None:
    """Refuse a recipient that the purpose does not list.

    Raises:
        RefusedError: It does not.
    """
    if recipient.name not in purpose.recipients:
        raise RefusedError(
            f"'{recipient.name}' is no recipient of the purpose '{purpose.name}'",
            hint=f"use {', '.join(purpose.recipients)}, or publish a rulebook that names it",
        )


def _hold(now: InForce, country: str | None) -> str:
    """Return the id of a hold that stands over a country; of any, where it is unknown."""
    own = now.jurisdiction(country)
    laws = now.jurisdictions.values() if own is None else (own,)
    return next((hold.hold_id for law in laws for hold in law.holds), "")


def _said_off(workspace: Workspace, who: str, known: int, at_us: int) -> bool:
    """Whether the last that a member said of this purpose by its name is `off`."""
    said = [
        one
        for one in choices_of(workspace.ledger, who, known)
        if one.purpose == ASSISTANCE
        and one.choice in {Choice.ON, Choice.OFF}
        and one.effective_us <= at_us
    ]
    last_us = max((one.effective_us for one in said), default=0)
    return any(one.choice is Choice.OFF for one in said if one.effective_us == last_us)
