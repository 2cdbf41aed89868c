"""Settings: one question on each page, its answer, and what the answer does.

Promises: every purpose of training has the same page; only a stored answer is preselected; on
and off take the same steps; nothing is recorded but by Save; what is in force for this member
today stands below, with its source. A setting that has no words yet is not asked, and its page
leads to where one objects. A browser that sends Global Privacy Control says off for what is
shared outside, once, and on for nothing.

Source: EDPB Guidelines 03/2022, section 3; GDPR article 21(4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sayso.model import EVERY_PURPOSE, Category, Choice, Dated, Purpose, Wording
from sayso.receipting import choices_of
from sayso.web.access import Role, allow
from sayso.web.desk import Desk
from sayso.web.languages import language_of, translations
from sayso.web.once import SaidSinceError, once
from sayso.web.pages import law as laws
from sayso.web.pages.purposes import FOR, PATH, NamedSetting, setting_asked, settings_of
from sayso.web.pages.receipts import receipt_path
from sayso.web.privacy_control import says_so
from sayso.web.rendering import Page, render
from sayso.web.request import caller_of, desk_of

CHANNEL = "settings"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Settings(Page):
    """The list of settings; each with the answer as it stands, translated."""

    rows: tuple[tuple[NamedSetting, str], ...]


@dataclass(frozen=True)
class Setting(Page):
    """The one question.

    Attributes:
        setting: Whose page it is.
        answer: The setting as it stands, translated.
        meaning: What that means, translated.
        picked: The stored answer, or what was given with a fault: `on`, `off` or empty.
        ticked: Whether the objection to every training was ticked, with a fault elsewhere.
        objects_to_all: Whether an objection to every training stands.
        uses_messages: Whether the rules admit private messages.
        wording: Shown beside the question, from the rulebook; None where it has none.
        law: What is in force for this member.
        covers: What the rules admit: English words.
        off_does: What off does, translated.
        recipients: Who receives it.
        sharing: Whether others outside do.
        gpc: Whether the browser sends Global Privacy Control.
        faults: Id of a field, and what is wrong.
    """

    above: ClassVar[Mapping[str, str]] = {"/settings": "Settings"}
    setting: NamedSetting
    answer: str
    meaning: str
    picked: str
    ticked: bool
    objects_to_all: bool
    uses_messages: bool
    wording: Wording | None
    law: laws.Law
    covers: tuple[tuple[str, tuple[str, ...]], ...]
    off_does: str
    recipients: tuple[str, ...]
    sharing: bool
    gpc: bool
    faults: tuple[tuple[str, str], ...] = ()


@router.get("/settings")
@allow(Role.MEMBER)
def settings(request: Request) -> Response:
    """Show the list of settings."""
    desk, who = desk_of(request), caller_of(request).member_id
    gettext = translations(language_of(request)).gettext
    rows = []
    for one in settings_of(request):
        found = desk.explain(who, one.purpose.name)
        answer, _ = laws.answer_of(found.choice, found.jurisdiction)
        rows.append((one, gettext(answer)))
    return render(request, "settings.html", Settings("Settings", tuple(rows)))


@router.get(PATH)
@router.get(FOR)
@allow(Role.MEMBER)
def setting(request: Request) -> Response:
    """Show the question, and what stands."""
    return _page(request)


@router.post(PATH)
@router.post(FOR)
@allow(Role.MEMBER)
def choose(
    request: Request,
    choice: Annotated[str, Form()] = "",
    version: Annotated[str, Form()] = "",
    every: Annotated[str, Form()] = "",
    form_id: Annotated[str, Form()] = "",
) -> Response:
    """Record an answer, and show its receipt."""
    desk, who = desk_of(request), caller_of(request).member_id
    gettext = translations(language_of(request)).gettext
    asked, _ = setting_asked(request)
    versions = _versions(desk, asked.purpose)
    if not versions:
        # Nobody knows what was answered; an objection needs no words beside it.
        fault = gettext("This setting has no words yet, so it cannot be answered. Object instead")
        return _page(request, picked=choice, every=every, fault=fault)
    if choice not in {"on", "off"}:
        return _page(request, every=every, fault=gettext("Choose on or off"))
    if every and choice == "on":
        fault = gettext("Choose off, or do not object to every use")
        return _page(request, picked=choice, every=every, fault=fault)
    if version and version not in versions:
        # A receipt says which words were shown; these are not the ones that count by now.
        fault = gettext("The words beside the setting have changed: read them, and save again")
        return _page(request, picked=choice, every=every, fault=fault)
    purpose = EVERY_PURPOSE if every else asked.purpose.name

    def record() -> int:
        said = Choice(choice)
        return desk.choose(
            who, said, purpose=purpose, channel=CHANNEL, setting_version=version or None
        ).index

    try:
        entry = once(request, form_id, (choice, purpose, version), record, widens=choice == "on")
    except SaidSinceError:
        fault = gettext("This form was sent before. See how the setting stands, and save again")
        return _page(request, fault=fault)
    return RedirectResponse(f"{receipt_path(desk, who, entry)}?saved=1", 303)


def _page(
    request: Request, *, picked: str | None = None, every: str = "", fault: str = ""
) -> Response:
    desk, who = desk_of(request), caller_of(request).member_id
    asked, _ = setting_asked(request)
    found = desk.explain(who, asked.purpose.name)
    texts = translations(language_of(request))
    answer, meaning = laws.answer_of(found.choice, found.jurisdiction)
    stored = str(found.choice) if found.choice in {Choice.ON, Choice.OFF} else ""
    page = Setting(
        title="Setting",
        setting=asked,
        answer=texts.gettext(answer),
        meaning=" ".join(texts.gettext(one) for one in meaning),
        picked=stored if picked is None else picked,
        ticked=bool(every),
        objects_to_all=objects_to_all(desk, who),
        uses_messages=laws.CATEGORIES[Category.MESSAGE] in dict(laws.covers_of(found.jurisdiction)),
        wording=_wording(desk, request, asked.purpose),
        law=laws.law_of(found),
        covers=laws.covers_of(found.jurisdiction),
        off_does=texts.gettext(laws.OFF_DOES[laws.withdrawal_of(found.jurisdiction)]),
        recipients=asked.purpose.recipients,
        sharing=asked.purpose.sharing,
        gpc=says_so(request.headers),
        faults=(("choice", fault),) if fault else (),
    )
    return render(request, "setting.html", page, 422 if fault else 200)


def _versions(desk: Desk, purpose: Purpose) -> set[str]:
    """Return the version of the wording that counts now, in each language."""
    today = Dated(desk.clock().date())
    found = (laws.wording_of(purpose, one.language, today) for one in purpose.wordings)
    return {one.version for one in found if one is not None}


def _wording(desk: Desk, request: Request, purpose: Purpose) -> Wording | None:
    return laws.wording_of(purpose, language_of(request), Dated(desk.clock().date()))


def objects_to_all(desk: Desk, who: str) -> bool:
    """Whether an objection to every training stands; nothing takes one back."""
    said = choices_of(desk.workspace.ledger, who, desk.workspace.ledger.size())
    return any(one.purpose == EVERY_PURPOSE for one in said)
