"""What data and for whom, how to switch off, how numbers are made, who can use these pages.

Promises: labels are those of the rulebook, in the page's language where it has them; what is
said of rules follows from the rules in force now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.evidence.suppress import FEW
from sayso.evidence.trace import Publication
from sayso.model import (
    Category,
    Dated,
    Mode,
    Purpose,
    Source,
    Visibility,
    Withdrawal,
    Wording,
)
from sayso.transparency import Cover, Difference, Line, State, board_of, covers_of, differences_of
from sayso.web.access import allow_anyone
from sayso.web.languages import language_of, translations
from sayso.web.pages import law as laws
from sayso.web.pages import public_words
from sayso.web.pages.public_answer import public_page
from sayso.web.pages.public_reading import Reading, reading_of
from sayso.web.pages.purposes import NamedSetting, settings_in
from sayso.web.rendering import Page
from sayso.web.request import desk_of

ABOVE: Mapping[str, str] = {"/transparency": "Transparency"}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class PurposeTold:
    """One purpose of training, and what the rules in force say of it.

    Attributes:
        covers: Categories that a rule in force admits.
        never: Categories that none admits.
        recipients_source: Of who receives it.
    """

    name: str
    purpose: Purpose
    covers: tuple[Cover, ...]
    never: tuple[Category, ...]
    differences: tuple[tuple[Difference, str], ...]
    recipients_source: Source | None


@dataclass(frozen=True)
class Data(Page):
    """What data, for whom, and why regions differ."""

    above: ClassVar[Mapping[str, str]] = ABOVE
    published: Publication | None
    purposes: tuple[PurposeTold, ...]
    categories: Mapping[Category, str]
    visibilities: Mapping[Visibility, str]
    scopes: Mapping[str, str]
    states: Mapping[State, tuple[str, str]]
    decided: Mapping[str, str]
    modes: Mapping[Mode, str]


@dataclass(frozen=True, slots=True)
class SwitchTold:
    """One setting: its words, where it stands, and what off does not undo.

    Attributes:
        setting: With its purpose.
        wording: The latest that has begun, in the page's language where there is one; None
            where there is none, and the setting cannot be answered.
        undoes: English sentences: what off does to models trained before, with the scopes.
    """

    setting: NamedSetting
    wording: Wording | None
    undoes: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class SwitchOff(Page):
    """How to switch off; `only` is the one setting, None where there are several, or none."""

    above: ClassVar[Mapping[str, str]] = ABOVE
    switches: tuple[SwitchTold, ...]
    only: NamedSetting | None
    scopes: Mapping[str, str]


@dataclass(frozen=True)
class Methodology(Page):
    """How numbers are made; `few` is the first count that is told."""

    above: ClassVar[Mapping[str, str]] = ABOVE
    few: int


@dataclass(frozen=True)
class Accessibility(Page):
    """What was tested, what falls short, and whom to tell."""

    contacts: tuple[str, ...]


@router.get("/transparency/data")
@allow_anyone
def data(request: Request) -> Response:
    """Show what data is used, who receives it, and why regions differ."""
    reading = reading_of(request)
    now = desk_of(request).clock().astimezone(UTC)
    page = Data(
        title="What data, for whom, and why regions differ",
        published=reading.published,
        purposes=tuple(
            _told(reading, name, board_of(reading.atlases[name], now)) for name in reading.purposes
        ),
        categories=laws.CATEGORIES,
        visibilities=laws.VISIBILITIES,
        scopes=titles_of(request, reading),
        states=public_words.STATES,
        decided=public_words.DECIDED,
        modes=laws.MODES,
    )
    return public_page(request, "public-data.html", page)


def _told(reading: Reading, name: str, board: tuple[Line, ...]) -> PurposeTold:
    purpose, covers = reading.book.purposes[name], covers_of(board)
    return PurposeTold(
        name=name,
        purpose=purpose,
        covers=tuple(one for one in covers if one.seen),
        never=tuple(one.category for one in covers if not one.seen),
        differences=tuple((one, one.scope) for one in differences_of(board)),
        recipients_source=purpose.sources.get("recipients"),
    )


def titles_of(request: Request, reading: Reading) -> Mapping[str, str]:
    """Return the title of every group, and of everywhere else."""
    elsewhere = translations(language_of(request)).gettext("Everywhere else")
    found = {name: group.title for name, group in reading.book.groups.items()}
    return {**found, "world": elsewhere}


@router.get("/transparency/switch-off")
@allow_anyone
def switch_off(request: Request) -> Response:
    """Show how to switch off, step by step."""
    reading, clock = reading_of(request), desk_of(request).clock
    now = clock().astimezone(UTC)
    found = []
    settings = settings_in(reading.book, language_of(request))
    for setting in settings:
        purpose = setting.purpose
        undoes: dict[Withdrawal, list[str]] = {}
        for line in board_of(reading.atlases[purpose.name], now):
            for rule in line.span.rules:
                if rule.mode is not Mode.NOT_ENABLED:
                    scopes = undoes.setdefault(rule.withdrawal, [])
                    scopes += [rule.scope] if rule.scope not in scopes else []
        found.append(
            SwitchTold(
                setting,
                laws.wording_of(purpose, language_of(request), Dated(now.date())),
                tuple(
                    (public_words.UNDOES[one], tuple(scopes)) for one, scopes in undoes.items()
                ),
            )
        )  # fmt: skip
    only = settings[0] if len(settings) == 1 else None
    page = SwitchOff("How to switch off", tuple(found), only, titles_of(request, reading))
    return public_page(request, "public-switch-off.html", page)


@router.get("/methodology")
@allow_anyone
def methodology(request: Request) -> Response:
    """Show how numbers are made, and what a log can and cannot show."""
    page = Methodology("How these pages are made, and how to check them", FEW)
    return public_page(request, "public-methodology.html", page)


@router.get("/accessibility")
@allow_anyone
def accessibility(request: Request) -> Response:
    """Show what was tested, what falls short, and whom to tell."""
    purposes = reading_of(request).book.purposes.values()
    contacts = dict.fromkeys(one.contact for one in purposes if one.contact)
    page = Accessibility("Accessibility statement", tuple(contacts))
    return public_page(request, "public-accessibility.html", page)
