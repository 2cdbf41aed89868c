"""Receipts and history: what a member said, each time with a signed receipt.

Promises: only a member's own; an id that is somebody else's is like one that nobody has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.attest.page import MEANINGS
from sayso.attest.receipts import sign_receipt
from sayso.facts import instant_of
from sayso.model import EVERY_PURPOSE
from sayso.receipting import Said, choices_of, plain_receipt, receipt_id
from sayso.web.access import Role, allow
from sayso.web.desk import Desk
from sayso.web.languages import language_of, translations
from sayso.web.problems import NotFoundError
from sayso.web.rendering import Page, render
from sayso.web.request import caller_of, desk_of

PATH = "/settings/ai-training/receipts"
CHOICES = {"on": "On", "off": "Off", "deferred": "Closed without an answer"}
SAID = {
    "on": "You chose on.",
    "off": "You chose off.",
    "deferred": "You closed the question without answering.",
}
# How a choice came here, for the channels that are ours; a platform names its own as it likes.
CHANNELS = {
    "settings": "the setting",
    "gpc": "Global Privacy Control",
    "objection-form": "the objection form",
    "staff": "staff, for the member",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class ReceiptPage(Page):
    """One receipt, as the member it belongs to reads it.

    Attributes:
        called: What the choice is called: an English word.
        local: Zone and time there.
        off_means: What off does, in English.
    """

    above: ClassVar[Mapping[str, str]] = {
        "/settings": "Settings",
        "/settings/ai-training": "Data for Generative AI Improvement",
    }
    receipt_id: str
    called: str
    said: str
    meaning: str
    effective_at: datetime
    recorded_at: datetime
    local: tuple[tuple[str, str], ...]
    channel: str
    before: str
    shown: str
    controllers: str
    recipients: str
    basis: str
    off_means: str
    how_to_change: str
    index: int
    origin: str
    is_proved: bool
    is_new: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One answer; `choice` is an English word, `purpose` the rulebook's own or translated."""

    receipt_id: str
    effective_at: datetime
    choice: str
    purpose: str
    channel: str


@dataclass(frozen=True)
class History(Page):
    """What a member said so far, the newest first."""

    above: ClassVar[Mapping[str, str]] = ReceiptPage.above
    rows: tuple[Row, ...]


@router.get("/settings/ai-training/history")
@allow(Role.MEMBER)
def history(request: Request) -> Response:
    """Show what a member said so far."""
    desk, who = desk_of(request), caller_of(request).member_id
    gettext = translations(language_of(request)).gettext
    titles = {name: one.title for name, one in desk.workspace.rules().book.purposes.items()}
    said = choices_of(desk.workspace.ledger, who, desk.workspace.ledger.size())
    rows = tuple(
        Row(
            receipt_id(desk.workspace.ledger, who, one.index),
            instant_of(one.effective_us),
            CHOICES[str(one.choice)],
            gettext("Every training, present and future")
            if one.purpose == EVERY_PURPOSE
            else titles.get(one.purpose, one.purpose),
            _channel(one.channel, gettext),
        )
        for one in reversed(said)
    )
    return render(request, "history.html", History("What you have said so far", rows))


@router.get(PATH + "/{name}.json")
@allow(Role.MEMBER)
def receipt_file(request: Request, name: str) -> Response:
    """Give a member the signed receipt of one of their choices."""
    desk, who = desk_of(request), caller_of(request).member_id
    workspace = desk.workspace
    made = plain_receipt(workspace.ledger, workspace.trust, who, _find(desk, who, name))
    file = f'attachment; filename="receipt-{name}.json"'
    return Response(
        sign_receipt(made, workspace.trust.key).to_bytes(),
        media_type="application/json",
        headers={"content-disposition": file},
    )


@router.get(PATH + "/{name}")
@allow(Role.MEMBER)
def receipt(request: Request, name: str, saved: str = "") -> Response:
    """Show the receipt of one choice."""
    desk, who = desk_of(request), caller_of(request).member_id
    workspace = desk.workspace
    made = plain_receipt(workspace.ledger, workspace.trust, who, _find(desk, who, name))
    gettext = translations(language_of(request)).gettext
    value, event = made.value, made.value["event"]
    before = CHOICES.get(event["before"] or "")
    one: dict[str, Any] = value["purposes"][0]
    missing = gettext("the rulebook does not say")
    shown = one["wording"]
    page = ReceiptPage(
        title="Receipt",
        receipt_id=value["receipt_id"],
        called=made.called,
        said=gettext(SAID[event["choice"]]),
        meaning=MEANINGS[made.called],
        effective_at=datetime.fromisoformat(event["effective_at"]),
        recorded_at=datetime.fromisoformat(event["recorded_at"]),
        local=tuple(
            (clock["zone"], _clock(clock["time"]))
            for clock in event["local"]["effective_at"]
        ),
        channel=_channel(event["channel"], gettext),
        before=gettext(before) if before else "",
        shown=f"{shown['label']} ({shown['version']})" if shown else "",
        controllers=", ".join(one["pii_controllers"]),
        recipients=", ".join(one["recipients"]) or missing,
        basis=", ".join(one["lawful_basis"]) or gettext("none"),
        off_means=one["withdrawal_means"],
        how_to_change=one["withdrawal_method"] or "",
        index=value["ledger"]["index"],
        origin=value["ledger"]["origin"],
        is_proved=value["proof"] is not None,
        is_new=bool(saved),
    )  # fmt: skip
    return render(request, "receipt.html", page)


def _channel(name: str | None, gettext: Callable[[str], str]) -> str:
    """Return how a choice came here, translated; a name that is not ours as it is."""
    words = CHANNELS.get(name or "")
    return gettext(words) if words else name or ""


def _clock(time: str) -> str:
    """Return a local time to the second, as a person reads it."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M:%S}"


def receipt_path(desk: Desk, who: str, index: int) -> str:
    """Return the address of the receipt of a member's entry."""
    return f"{PATH}/{receipt_id(desk.workspace.ledger, who, index)}"


def _find(desk: Desk, who: str, name: str) -> Said:
    """Return the member's choice whose receipt has this id.

    Raises:
        NotFoundError: They have none.
    """
    ledger = desk.workspace.ledger
    for one in choices_of(ledger, who, ledger.size()):
        if receipt_id(ledger, who, one.index) == name:
            return one
    raise NotFoundError("there is no such receipt", hint="see what you have said so far")
