"""Transparency: what anybody may know, without asking who they are.

Promises: pure, over rulebooks, publications and counts that are handed in; whatever is told
of a country at an instant is what a decision as of that instant would meet; no count from 1 to
9 is told, and none follows from those that are. Shows nothing and reads nothing by itself: see
`sayso.web.pages.public`.

    state.py    where training is on, off or held, country by country, at every instant
    covers.py   what data, for whom, and why regions differ
    history.py  every version of wording, rule, notice and hold, with what changed
    holds.py    what became of what was built before a hold
    counts.py   which numbers are not told
    files.py    the same as tables with fixed columns, for machines

Example:
    >>> line_of(course_of(book, "content-generation-training", "HK"), at).state  # doctest: +SKIP
    <State.HELD: 'held'>
"""

from sayso.transparency.covers import Cover, Difference, covers_of, differences_of
from sayso.transparency.history import Change, Item, Piece, changes_of, compare_words
from sayso.transparency.holds import Became, HoldTold, tell_hold
from sayso.transparency.state import (
    Course,
    Line,
    Say,
    Span,
    State,
    atlas_of,
    board_of,
    course_of,
    instant_in,
    line_of,
    parse_when,
    say_so,
)

__all__ = [
    "Became",
    "Change",
    "Course",
    "Cover",
    "Difference",
    "HoldTold",
    "Item",
    "Line",
    "Piece",
    "Say",
    "Span",
    "State",
    "atlas_of",
    "board_of",
    "changes_of",
    "compare_words",
    "course_of",
    "covers_of",
    "differences_of",
    "instant_in",
    "line_of",
    "parse_when",
    "say_so",
    "tell_hold",
]
