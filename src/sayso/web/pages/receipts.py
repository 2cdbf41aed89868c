"""Receipts and history: what a member said, each time with a signed receipt.

Promises: only a member's own; an id that is somebody else's is like one that nobody has. Each
says to what it was said, and who said it: `you chose` only where the member did.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.attest.page import MEANINGS, said_of
from sayso.attest.receipts import sign_receipt
from sayso.facts import instant_of
from sayso.model import EVERY_PURPOSE, Rulebook
from sayso.receipting import Said, choices_of, plain_receipt, receipt_id
from sayso.web.access import Role, allow
from sayso.web.desk import Desk
from sayso.web.languages import language_of, translations
from sayso.web.pages.purposes import called, path_of
from sayso.web.problems import NotFoundError
from sayso.web.rendering import Page, render
from sayso.web.request import caller_of, desk_of

PATH = "/settings/ai-training/receipts"
CHOICES = {"on": "On", "off": "Off", "deferred": "Closed without an answer"}
# How a choice came here, for the channels that are ours; a platform names its own as it likes.
CHANNELS = {
    "settings": "the setting",
    "gpc": "Global Privacy Control",
    "objection-form": "the objection form",
    "staff": "staff, for the member",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Part:
    """What a receipt says of one purpose.

    Attributes:
        setting: What its setting is called, as it is shown.
        off_means: What off does, in English.
    """

    setting: str
    shown: str
    controllers: str
    recipients: str
    basis: str
    off_means: str
    how_to_change: str


@dataclass(frozen=True)
class ReceiptPage(Page):
    """One receipt, as the member it belongs to reads it.

    Attributes:
        called: What the choice is called: an English word.
        setting: To what it was said, as it is shown.
        back: Where that setting stands; of all settings for an objection to everything.
        is_every: Whether it is said to every training.
        said: Who said what, translated.
        local: Zone and time there.
        parts_of: What stands there for each purpose.
    """

    above: ClassVar[Mapping[str, str]] = {"/settings": "Settings"}
    receipt_id: str
    called: str
    setting: str
    back: str
    is_every: bool
    said: str
    meaning: str
    effective_at: datetime
    recorded_at: datetime
    local: tuple[tuple[str, str], ...]
    channel: str
    before: str
    parts_of: tuple[Part, ...]
    index: int
    origin: str
    is_proved: bool
    is_new: bool

    @property
    def named_above(self) -> tuple[tuple[str, str], ...]:
        """Return the setting, where it was said to one that is there."""
        return () if self.back == "/settings" else ((self.back, self.setting),)


@dataclass(frozen=True, slots=True)
class Row:
    """One answer; `choice` is an English word, `purpose` what its setting is called."""

    receipt_id: str
    effective_at: datetime
    choice: str
    purpose: str
    channel: str


@dataclass(frozen=True)
class History(Page):
    """What a member said so far, the newest first."""

    above: ClassVar[Mapping[str, str]] = {"/settings": "Settings"}
    rows: tuple[Row, ...]


@router.get("/settings/ai-training/history")
@allow(Role.MEMBER)
def history(request: Request) -> Response:
    """Show what a member said so far."""
    desk, who = desk_of(request), caller_of(request).member_id
    gettext = translations(language_of(request)).gettext
    book = desk.workspace.rules().book
    said = choices_of(desk.workspace.ledger, who, desk.workspace.ledger.size())
    rows = tuple(
        Row(
            receipt_id(desk.workspace.ledger, who, one.index),
            instant_of(one.effective_us),
            CHOICES[str(one.choice)],
            called(book, one.purpose, gettext),
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
    book = workspace.rules().book
    before, purpose = CHOICES.get(event["before"] or ""), event["purpose"]
    page = ReceiptPage(
        title="Receipt",
        receipt_id=value["receipt_id"],
        called=made.called,
        setting=called(book, purpose, gettext),
        back=path_of(purpose) if purpose in book.trainings else "/settings",
        is_every=purpose == EVERY_PURPOSE,
        said=" ".join(gettext(one) for one in said_of(event["choice"], event["channel"])),
        meaning=MEANINGS[made.called],
        effective_at=datetime.fromisoformat(event["effective_at"]),
        recorded_at=datetime.fromisoformat(event["recorded_at"]),
        local=tuple(
            (clock["zone"], _clock(clock["time"]))
            for clock in event["local"]["effective_at"]
        ),
        channel=_channel(event["channel"], gettext),
        before=gettext(before) if before else "",
        parts_of=tuple(_part(one, book, gettext) for one in value["purposes"]),
        index=value["ledger"]["index"],
        origin=value["ledger"]["origin"],
        is_proved=value["proof"] is not None,
        is_new=bool(saved),
    )  # fmt: skip
    return render(request, "receipt.html", page)


def _part(one: Mapping[str, Any], book: Rulebook, gettext: Callable[[str], str]) -> Part:
    shown = one["wording"]
    return Part(
        setting=called(book, one["purpose"], gettext),
        shown=f"{shown['label']} ({shown['version']})" if shown else "",
        controllers=", ".join(one["pii_controllers"]),
        recipients=", ".join(one["recipients"]) or gettext("the rulebook does not say"),
        basis=", ".join(one["lawful_basis"]) or gettext("none"),
        off_means=one["withdrawal_means"],
        how_to_change=one["withdrawal_method"] or "",
    )


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
