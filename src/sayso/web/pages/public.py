"""Transparency: where training is on, off or held, since when and on whose say-so.

Promises: everything on these pages follows from the published rulebook and the ledger; they
answer for any past or coming instant; nobody need sign in. An address that asks for nothing
that exists is answered with what is wrong with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.errors import InputError
from sayso.evidence.trace import Publication
from sayso.model import DEFAULT_PURPOSE, Country, Dated, Hold, Mode, Rulebook
from sayso.rulebook.civil import COUNTRIES
from sayso.rulebook.timeline import TimelineRow, timeline_rows, timeline_svg
from sayso.transparency import (
    Course,
    Line,
    Say,
    State,
    atlas_of,
    board_of,
    instant_in,
    line_of,
    parse_when,
    say_so,
)
from sayso.web.access import allow_anyone
from sayso.web.languages import language_of, translations
from sayso.web.pages import law as laws
from sayso.web.pages import public_about, public_files, public_records, public_words
from sayso.web.pages.public_answer import public_file, public_page
from sayso.web.pages.public_reading import Reading, reading_of
from sayso.web.problems import NotFoundError
from sayso.web.rendering import Page, environment, render
from sayso.web.request import desk_of

PATH = "/transparency"
# The picture has its styles inside, and loads nothing.
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class SpanTold:
    """One time of a country's course."""

    state: State
    begins: Dated | None
    until: Dated | None
    says: tuple[Say, ...]
    is_asked: bool


@dataclass(frozen=True, slots=True)
class LineTold:
    """Countries of which the same is so; `group` is the scope that names them, or empty."""

    line: Line
    group: str
    title: str
    countries: tuple[str, ...]
    says: tuple[Say, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is so in one country: now, and from always to ever."""

    country: str
    told: LineTold
    course: tuple[SpanTold, ...]


@dataclass(frozen=True)
class Transparency(Page):
    """The board.

    Attributes:
        purposes: Name and title of each purpose of training.
        countries: Code and name, in the order of the language.
        at: What was asked about, as given; empty for now.
        day: The same as a date; None for now.
        answer: For the country that was asked about.
        states: State -> word and modifier.
    """

    published: Publication | None
    purpose: str
    purposes: tuple[tuple[str, str], ...]
    countries: tuple[tuple[str, str], ...]
    country: str
    at: str
    day: Dated | None
    lines: tuple[LineTold, ...]
    answer: Answer | None
    states: Mapping[State, tuple[str, str]]
    decided: Mapping[str, str]
    modes: Mapping[Mode, str]
    faults: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Timeline(Page):
    """The picture, and the same as a table; a row with the title of its scope, and its hold.

    Attributes:
        purposes: Name and title of each purpose of training.
        is_unknown: Whether the purpose that was asked about is none of these: no rows then.
    """

    above: ClassVar[Mapping[str, str]] = {"/transparency": "Transparency"}
    purpose: str
    purposes: tuple[tuple[str, str], ...]
    is_unknown: bool
    published: Publication | None
    rows: tuple[tuple[TimelineRow, str, Hold | None], ...]
    decided: Mapping[str, str]
    modes: Mapping[Mode, str]


@router.get(PATH)
@allow_anyone
def transparency(request: Request, country: str = "", at: str = "", purpose: str = "") -> Response:
    """Show where training is on, off or held."""
    reading, desk = reading_of(request), desk_of(request)
    gettext = translations(language_of(request)).gettext
    faults: list[tuple[str, str]] = []
    when: date | datetime = desk.clock().astimezone(UTC)
    day = None
    if at.strip():
        try:
            when = parse_when(at)
            day = Dated(when)
        except InputError:
            faults.append(
                ("at", gettext("Write the day as 2025-01-15, or leave it empty for today"))
            )
    if country and country not in COUNTRIES:
        faults.append(("country", gettext("Choose a country from the list")))
    if is_unknown(reading, purpose):
        faults.append(("purpose", gettext("Choose a purpose from the list")))
    asked = purpose_of(reading, purpose)
    atlas = reading.atlases.get(asked) or atlas_of(reading.book, asked)
    found = country if country in COUNTRIES and not faults else ""
    page = Transparency(
        title="Where training is on, off or held",
        published=reading.published,
        purpose=asked,
        purposes=_titled(reading),
        countries=_named_countries(language_of(request)),
        country=country if country in COUNTRIES else "",
        at=at.strip()[:40],
        day=day,
        lines=_lines(reading.book, board_of(atlas, when), gettext("Everywhere else"),
                     gettext("Everywhere")) if reading.publications else (),
        answer=_answer(reading.book, found, atlas[Country(found)], when) if found else None,
        states=public_words.STATES,
        decided=public_words.DECIDED,
        modes=laws.MODES,
        faults=tuple(faults),
    )  # fmt: skip
    if faults:
        return render(request, "public-transparency.html", page, 422)
    return public_page(request, "public-transparency.html", page)


def purpose_of(reading: Reading, asked: str) -> str:
    """Return the purpose that is asked about, or the one that a page is about by itself."""
    if asked in reading.purposes:
        return asked
    if DEFAULT_PURPOSE in reading.purposes or not reading.purposes:
        return DEFAULT_PURPOSE
    return reading.purposes[0]


def is_unknown(reading: Reading, asked: str) -> bool:
    """Whether a purpose is asked about that is none of those with a page."""
    return bool(asked) and asked not in reading.purposes


def _titled(reading: Reading) -> tuple[tuple[str, str], ...]:
    return tuple((one, reading.book.purposes[one].title) for one in reading.purposes)


def _lines(
    book: Rulebook, board: Sequence[Line], elsewhere: str, everywhere: str
) -> tuple[LineTold, ...]:
    found = []
    for line in board:
        group = next((one for one in line.scopes if one in book.groups), "")
        is_world = not group and line.scopes[-1:] == ("world",)
        title = book.groups[group].title if group else ""
        if is_world:
            title = everywhere if len(line.countries) == len(COUNTRIES) else elsewhere
        if len(line.countries) == 1:
            group, title = "", ""
        found.append(
            LineTold(line, group or ("world" if is_world else ""), title,
                     tuple(map(str, line.countries)), say_so(line.span))
        )  # fmt: skip
    return tuple(found)


def _answer(book: Rulebook, country: str, course: Course, when: date | datetime) -> Answer:
    at = instant_in(country, when)
    told = _lines(book, (line_of(course, at, country),), "", "")[0]
    spans = tuple(
        SpanTold(span.state, span.begins_day, span.until_day, say_so(span), span.holds_at(at))
        for span in course
    )
    return Answer(country, told, spans)


def _named_countries(language: str) -> tuple[tuple[str, str], ...]:
    name = environment(language).filters["country"]
    return tuple(sorted(((code, name(code)) for code in COUNTRIES), key=lambda one: one[1]))


@router.get(PATH + "/timeline")
@allow_anyone
def timeline(request: Request, purpose: str = "") -> Response:
    """Show rules and holds against time."""
    reading = reading_of(request)
    gettext = translations(language_of(request)).gettext
    asked, unknown = purpose_of(reading, purpose), is_unknown(reading, purpose)
    holds = {hold.hold_id: hold for hold in reading.book.holds}
    page = Timeline(
        title="Rules and holds in time",
        purpose=asked,
        purposes=_titled(reading),
        is_unknown=unknown,
        published=reading.published,
        rows=tuple(
            (
                row,
                scope_title(
                    reading.book,
                    row.scope,
                    # A hold on the world stands everywhere; a rule, where no narrower one does.
                    gettext("Everywhere" if row.kind == "hold" else "Everywhere else"),
                ),
                holds.get(row.label) if row.kind == "hold" else None,
            )
            for row in (() if unknown else timeline_rows(reading.book, asked))
        ),
        decided=public_words.DECIDED,
        modes=laws.MODES,
    )
    return public_page(request, "public-timeline.html", page, 422 if unknown else 200)


@router.get(PATH + "/timeline.svg")
@allow_anyone
def picture(request: Request, purpose: str = "") -> Response:
    """Give the picture of rules and holds against time."""
    reading = reading_of(request)
    if is_unknown(reading, purpose):
        raise NotFoundError("there is no such purpose", hint=f"{PATH}/timeline shows each")
    drawn = timeline_svg(
        reading.book, purpose_of(reading, purpose), today=desk_of(request).clock().date()
    )
    policy = {"content-security-policy": _PICTURE_POLICY}
    return public_file(request, drawn.encode("utf-8", "replace"), "image/svg+xml", policy)


def scope_title(book: Rulebook, scope: str, world: str) -> str:
    """Return the title of a group or of the world; empty for a country, which has a name."""
    if scope == "world":
        return world
    return book.groups[scope].title if scope in book.groups else ""


for _more in (public_about.router, public_records.router, public_files.router):
    router.include_router(_more)
