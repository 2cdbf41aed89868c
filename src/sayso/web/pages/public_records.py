"""What changed, what became of what was built before each hold, and what models learned from.

Promises: every publication and every hold of the ledger stands here, none left out; a count is
told as `sayso.transparency.counts` tells it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sayso.evidence.article53 import OPEN, Summary
from sayso.evidence.trace import Publication, Relation
from sayso.model import Mode, Position
from sayso.transparency import Change, HoldTold, Piece
from sayso.transparency.counts import ADMITTED, ALL, IN, REFUSED, Cell
from sayso.web.access import allow_anyone
from sayso.web.languages import language_of, translations
from sayso.web.pages import law as laws
from sayso.web.pages import public_words
from sayso.web.pages.public_about import ABOVE, titles_of
from sayso.web.pages.public_answer import public_page
from sayso.web.pages.public_reading import ReleaseTold, reading_of
from sayso.web.pages.public_terms import Terms
from sayso.web.rendering import Page

router = APIRouter(include_in_schema=False)

# In this order stand the changes of a publication.
_ORDER = ("wording", "rule", "hold", "purpose", "group")


@dataclass(frozen=True, slots=True)
class ChangeTold:
    """One change: with the differences, word by word, by English word of the aspect.

    Attributes:
        mode: What silence means under it; None for what is no rule.
        before_mode: The same before.
    """

    change: Change
    mode: str | None
    before_mode: str | None
    differences: tuple[tuple[str, tuple[Piece, ...]], ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """One publication, with what it changed, by kind."""

    entry: int
    recorded_at: datetime
    digest: str
    is_first: bool
    groups: tuple[tuple[str, tuple[ChangeTold, ...]], ...]


@dataclass(frozen=True)
class Changes(Page):
    """Every publication, the newest first."""

    above: ClassVar[Mapping[str, str]] = ABOVE
    editions: tuple[Edition, ...]
    purposes: Mapping[str, str]
    scopes: Mapping[str, str]
    done: Mapping[str, str]
    positions: Mapping[Position, str]


@dataclass(frozen=True)
class Holds(Page):
    """Every hold, the first first."""

    above: ClassVar[Mapping[str, str]] = ABOVE
    holds: tuple[HoldTold, ...]
    scopes: Mapping[str, str]
    relations: Mapping[Relation, str]
    dispositions: Mapping[str, str]
    positions: Mapping[Position, str]
    undoes: Mapping[Any, str]


@dataclass(frozen=True, slots=True)
class SetTold:
    """One training set, with its counts; cells are empty where its manifest is not at hand."""

    entry: int
    recorded_at: datetime
    at: datetime
    purpose: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class TrainingContent(Page):
    """The summary of what models learned from.

    Attributes:
        outlook: The summary of the newest training set, where no release exists yet.
        open_: What stands where the provider has to fill in.
    """

    above: ClassVar[Mapping[str, str]] = ABOVE
    releases: tuple[ReleaseTold, ...]
    outlook: Summary | None
    outlook_entry: int
    sets: tuple[SetTold, ...]
    dispositions: Mapping[str, str]
    open_: str


@router.get("/transparency/changes")
@allow_anyone
def changes(request: Request) -> Response:
    """Show every version of wording, rule and notice, and what changed."""
    reading = reading_of(request)
    words = Terms(language_of(request))
    page = Changes(
        title="What changed, and when",
        editions=tuple(
            _edition(
                one,
                [c for c in reading.changes if c.entry == one.entry],
                words,
                is_first=not place,
            )
            for place, one in reversed(list(enumerate(reading.publications)))
        ),
        purposes={
            name: purpose.title
            for one in reading.publications
            for name, purpose in one.book.purposes.items()
        },
        scopes=titles_of(request, reading),
        done=public_words.DONE,
        positions=public_words.POSITIONS,
    )
    return public_page(request, "public-changes.html", page)


def _edition(one: Publication, found: list[Change], words: Terms, *, is_first: bool) -> Edition:
    groups = []
    for kind in _ORDER:
        mine = tuple(_change(change, words) for change in found if change.item.kind == kind)
        if mine:
            groups.append((public_words.KINDS[kind], mine))
    return Edition(one.entry, one.recorded_at, one.book.digest, is_first, tuple(groups))


def _change(one: Change, words: Terms) -> ChangeTold:
    old = one.before.terms.get("mode") if one.before else None
    return ChangeTold(
        change=one,
        mode=_mode(one.item.terms.get("mode")),
        before_mode=_mode(old),
        differences=tuple(
            (public_words.ASPECTS[aspect], words.compare(aspect, before, after))
            for aspect, before, after in one.differences
        ),
    )


def _mode(name: str | None) -> str | None:
    return laws.MODES[Mode(name)] if name else None


@router.get("/transparency/holds")
@allow_anyone
def holds(request: Request) -> Response:
    """Show every hold, and what became of what was built before it."""
    reading = reading_of(request)
    # A hold on the world stands everywhere; a rule for it, where no narrower one does.
    everywhere = translations(language_of(request)).gettext("Everywhere")
    page = Holds(
        title="Holds, and what became of what was built before them",
        holds=reading.holds,
        scopes={**titles_of(request, reading), "world": everywhere},
        relations=public_words.RELATIONS,
        dispositions=public_words.DISPOSITIONS,
        positions=public_words.POSITIONS,
        undoes=public_words.UNDOES,
    )
    return public_page(request, "public-holds.html", page)


@router.get("/transparency/training-content")
@allow_anyone
def training_content(request: Request) -> Response:
    """Show the public summary of training content."""
    reading = reading_of(request)
    newest = reading.builds[-1].entry if reading.builds else -1
    sets = []
    for one in reversed(reading.builds):
        told = reading.told.get(one.entry)
        cells = tuple(told.cell(ALL, name) for name in (IN, ADMITTED, REFUSED)) if told else ()
        sets.append(SetTold(one.entry, one.recorded_at, one.at, one.purpose, cells))
    page = TrainingContent(
        title="What models learned from",
        releases=reading.releases,
        outlook=None if reading.releases else reading.summary(newest),
        outlook_entry=newest,
        sets=tuple(sets),
        dispositions=public_words.DISPOSITIONS,
        open_=OPEN,
    )
    return public_page(request, "public-training-content.html", page)
