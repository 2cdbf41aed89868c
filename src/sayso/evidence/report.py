"""Reports: a page that an authority's staff can read, print and check.

Promises: one HTML file without scripts and without anything to fetch; the same report gives
the same bytes; whatever stands in it is escaped; headings in order, tables with captions,
pictures with words. Says what it was given and computes nothing.

Example:
    >>> render(Report("Snapshot", "A title", "A question?", made_at="2026-01-01"))[:15]
    b'<!doctype html>'
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

# What must not break, and what may break anywhere. The text around is escaped already.
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b(?!/)|\b\d{2}:\d{2}:\d{2} UTC\b")
_LONG = re.compile(r"https?://[^\s,;]+|\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value, with a word of explanation."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """Something the platform says; `where` it is written, signed or committed to."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at when the pack was made, and what came out."""

    what: str
    result: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first cell of each names the row.

    Attributes:
        numbers: Columns whose cells are counts and stand to the right.
        total: Whether the last row sums up.
        empty: What to say where there are no rows.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    note: str = ""
    total: bool = False
    empty: str = "Nothing."


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing of our own, and the same in words.

    Attributes:
        svg: Well-formed and escaped, with a title; not checked again.
        caption: What it shows.
        table: What it shows, as rows.
    """

    svg: str
    caption: str
    table: Table

    @property
    def markup(self) -> Markup:
        """The drawing, as it is."""
        return Markup(self.svg)  # noqa: S704  drawn by sayso.rulebook.picture, which escapes


@dataclass(frozen=True, slots=True)
class Passage:
    """A text with its line breaks, such as a decision in words."""

    title: str
    text: str


@dataclass(frozen=True)
class Report:
    """What a report says, in the order in which it is read.

    Attributes:
        kind: `Snapshot`, `Member`, `Hold` or `Period`.
        question: The one question that it answers.
        made_at: When, as the pack says.
        reader: Whom it is for, and who should not get it.
        answer: The answer in a few sentences.
        figures: The numbers to remember, four at most.
        about: What it is about: purpose, instants, digests.
        claims: What was claimed.
        checks: What was checked.
        commands: What to type to check it again.
        tables: The numbers.
        passages: Longer texts.
        limits: What this cannot show.
    """

    kind: str
    title: str
    question: str
    made_at: str
    reader: str = ""
    answer: tuple[str, ...] = ()
    figures: tuple[Fact, ...] = ()
    about: tuple[Fact, ...] = ()
    claims: tuple[Claim, ...] = ()
    checks: tuple[Check, ...] = ()
    commands: tuple[str, ...] = ("sayso verify PACK --key PLATFORM.pem",)
    numbers_title: str = "Numbers by jurisdiction and reason"
    tables: tuple[Table, ...] = ()
    passages: tuple[Passage, ...] = ()
    picture: Picture | None = None
    limits: tuple[str, ...] = field(default=())


def told(text: str) -> Markup:
    """Return text with dates kept whole, and with addresses and digests that may break."""
    parts: list[str] = []
    at = 0
    whole = str(escape(text))
    for found in _LONG.finditer(whole):
        parts += _dated(whole[at : found.start()]), f'<span class="long">{found[0]}</span>'
        at = found.end()
    return Markup("".join([*parts, _dated(whole[at:])]))  # noqa: S704  escaped above


def _dated(escaped: str) -> str:
    return _DATE.sub(lambda found: f'<span class="whole">{found[0]}</span>', escaped)


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Return the room's templates: everything is escaped, and nothing may be missing."""
    made = Environment(
        loader=PackageLoader("sayso.evidence"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["told"] = told
    return made


def render(report: Report) -> bytes:
    """Return a report as HTML."""
    return templates().get_template("report.html").render(report=report).encode()
