"""Texts, lines and bars as SVG elements.

Promises: every text is escaped and stands for itself in XML 1.0; every bar is told apart by
its pattern as well as by its colour; no style sheet, script, font or address. Does not know
where things go: see `sayso.rulebook.picture`.

Example:
    >>> fit("International Business Machines", 12, 120)
    'International…'
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

# The plot's left and right edge, the tip of what goes on, and how far a doubt fades.
LEFT, RIGHT = 214.0, 1160.0
TIP, FADE = 9.0, 34.0
SIZE = 12.0
INK, SOFT, LINE, FAINT = "#1b1f24", "#57606a", "#c9d1d9", "#edf0f3"
FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

# Fill and edge of each kind: tints and shades of Okabe and Ito's colours ("Color Universal
# Design", 2008), which people of every colour vision can tell apart.
PAINT = {
    "no-rule": ("#ffffff", "#8c959f"),
    "not-enabled": ("#eceef0", "#6e7781"),
    "opt-out": ("#cfe6f5", "#0072b2"),
    "opt-in": ("#cdebe0", "#00745a"),
    "hold": ("#fbe0cf", "#b34700"),
}
_MARKS = {
    "hold": '<path d="M-2 10L10 -2M-2 2L2 -2M6 10L10 6" stroke="#b34700" stroke-opacity=".5"/>',
    "not-enabled": '<circle cx="4" cy="4" r="1" fill="#6e7781" fill-opacity=".55"/>',
    "opt-in": '<path d="M2 0V8" stroke="#00745a" stroke-opacity=".4"/>',
}


# ---- text -------------------------------------------------------------------------------


def safe(raw: str) -> str:
    """Escape for XML 1.0, which has no place for most control characters at all."""
    kept = (
        sign for sign in raw if sign in "\t\n" or unicodedata.category(sign) not in {"Cc", "Cs"}
    )
    return escape("".join(kept).replace("\ufffe", "").replace("\uffff", ""))


def id_of(name: str) -> str:
    """Return a prefix of ids for a name, so that several pictures may share a page."""
    return (
        "sayso-"
        + "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name)
        + "-"
    )


def wide(raw: str, size: float = SIZE) -> float:
    """Estimate the width of a text in pixels, for a wide sans serif (DejaVu Sans)."""
    return sum(_em(sign) for sign in raw) * size


def _em(sign: str) -> float:
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.0
    if sign in "ijl.,:;|'!()· ":
        return 0.36
    if sign in "mwMW@%…":
        return 0.96
    return 0.70 if sign.isupper() else 0.615


def fit(raw: str, size: float, width: float) -> str:
    """Shorten a text to a width, with an ellipsis where something is left out."""
    kept = " ".join(raw.split())
    room, ellipsis = width / size, _em("…")
    end = 0
    for place, sign in enumerate(kept):
        room -= _em(sign)
        if room < 0:
            return kept[:end].rstrip() + "…"
        end = place + 1 if room >= ellipsis else end
    return kept


def text(
    x: float,
    y: float,
    raw: str,
    *,
    size: float = SIZE,
    weight: int = 400,
    colour: str = INK,
    anchor: str = "start",
    halo: str = "",
) -> str:
    """Return a text whose base line begins (or ends, by its anchor) at a point.

    A halo is a text of its own below it: not every renderer knows `paint-order`, and one that
    does not would paint it over the letters.
    """
    place = (
        f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" font-weight="{weight}" '
        f'text-anchor="{anchor}"'
    )
    ring = (
        f'<text aria-hidden="true" {place} fill="{halo}" stroke="{halo}" stroke-width="4" '
        f'stroke-linejoin="round">{safe(raw)}</text>'
    )
    return f'{ring if halo else ""}<text {place} fill="{colour}">{safe(raw)}</text>'


def line(start: tuple[float, float], end: tuple[float, float], colour: str, more: str = "") -> str:
    """Return a line between two points."""
    (x1, y1), (x2, y2) = start, end
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'
    )


@dataclass(frozen=True, slots=True)
class Sheet:
    """The plot: days to pixels, and the prefix of all ids."""

    prefix: str
    first: float
    last: float

    def x(self, day: float) -> float:
        """Return where a day begins, inside or outside of the plot."""
        return LEFT + (day - self.first) / (self.last - self.first) * (RIGHT - LEFT)

    def url(self, name: str) -> str:
        """Return a reference to a definition."""
        return f"url(#{self.prefix}{name})"


def definitions(sheet: Sheet) -> Iterator[str]:
    """Yield the patterns and fades that bars refer to."""
    yield "<defs>"
    for kind, (fill, _) in PAINT.items():
        for side, (near, far) in {"in": (0, 1), "out": (1, 0)}.items():
            yield (
                f'<linearGradient id="{sheet.prefix}{side}-{kind}">'
                f'<stop offset="0" stop-color="{fill}" stop-opacity="{near}"/>'
                f'<stop offset="1" stop-color="{fill}" stop-opacity="{far}"/></linearGradient>'
            )
    for kind, drawn in _MARKS.items():
        yield (
            f'<pattern id="{sheet.prefix}mark-{kind}" width="8" height="8" '
            f'patternUnits="userSpaceOnUse">{drawn}</pattern>'
        )
    yield "</defs>"


# ---- bars -------------------------------------------------------------------------------

# How a bar ends: on a day, on a day that is uncertain, or beyond the edge of the plot.
EXACT, FUZZY, OPEN = "exact", "fuzzy", "open"


def shape(
    sheet: Sheet,
    kind: str,
    span: tuple[float, float],
    rows: tuple[float, float],
    ends: tuple[str, str],
) -> Iterator[str]:
    """Yield the elements of one bar.

    Args:
        sheet: What it is drawn on.
        kind: A key of `PAINT`.
        span: Left and right, in pixels.
        rows: Top and bottom, in pixels.
        ends: How it begins and ends: a fuzzy end fades beyond its dashed edge, an open one
            has a tip.
    """
    (x1, x2), (y1, y2), (begins, finishes) = span, rows, ends
    middle = (y1 + y2) / 2
    left = f"L{x1 - TIP:.1f} {middle:.1f}" if begins == OPEN else ""
    right = f"L{x2 + TIP:.1f} {middle:.1f}" if finishes == OPEN else ""
    outline = f"M{x1:.1f} {y1:.1f}H{x2:.1f}{right}L{x2:.1f} {y2:.1f}H{x1:.1f}{left}Z"
    fill, edge = PAINT[kind]
    yield f'<path d="{outline}" fill="{fill}"/>'
    if kind in _MARKS:
        yield f'<path d="{outline}" fill="{sheet.url(f"mark-{kind}")}"/>'
    if begins == FUZZY:
        yield from _fade(sheet, kind, (x1 - FADE, x1), rows, "in")
    if finishes == FUZZY:
        yield from _fade(sheet, kind, (x2, x2 + FADE), rows, "out")
    dashes = ' stroke-dasharray="3 3"'
    along = dashes if kind == "no-rule" else ""
    yield line((x1, y1), (x2, y1), edge, along)
    yield line((x1, y2), (x2, y2), edge, along)
    for x, tip, end in ((x1, -TIP, begins), (x2, TIP, finishes)):
        if end == OPEN:
            peak = f"M{x:.1f} {y1:.1f}L{x + tip:.1f} {middle:.1f}L{x:.1f} {y2:.1f}"
            yield f'<path d="{peak}" fill="none" stroke="{edge}"{along}/>'
        else:
            bold = ' stroke-width="1.6"' if end == EXACT and not along else dashes
            yield line((x, y1), (x, y2), edge, bold)


def _fade(
    sheet: Sheet, kind: str, span: tuple[float, float], rows: tuple[float, float], side: str
) -> Iterator[str]:
    (x1, x2), (y1, y2) = span, rows
    yield (
        f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}" '
        f'fill="{sheet.url(f"{side}-{kind}")}"/>'
    )
    for y in rows:
        dots = ' stroke-dasharray="1 4" stroke-opacity=".8"'
        yield line((x1, y), (x2, y), PAINT[kind][1], dots)
