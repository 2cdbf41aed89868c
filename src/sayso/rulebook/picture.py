"""Lanes of bars against time, as one SVG that stands alone.

Promises: well-formed for any text; no script, no style sheet, no font and no address; every
bar is told apart by pattern and label as well as by colour (Okabe and Ito's palette); no
label overlaps another. Does not know rules: `sayso.rulebook.timeline` says what to draw.

Example:
    >>> draw(name="p", title="P", lanes=[], start=date(2025, 1, 1), end=date(2026, 1, 1),
    ...     today=date(2025, 6, 1))[:4]
    '<svg'
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sayso.model import Dated, Exactness
from sayso.rulebook.shapes import (
    EXACT,
    FADE,
    FAINT,
    FONT,
    FUZZY,
    INK,
    LEFT,
    LINE,
    OPEN,
    PAINT,
    RIGHT,
    SIZE,
    SOFT,
    TIP,
    Sheet,
    definitions,
    fit,
    id_of,
    line,
    safe,
    shape,
    text,
    wide,
)

_WIDTH, _MARGIN = 1200.0, 36.0
_AXIS_TOP, _LANES_TOP = 78.0, 140.0
_HOLD_HEIGHT, _BAND_HEIGHT, _NOTE_HEIGHT, _PADDING = 22.0, 28.0, 18.0, 13.0
_SWATCH_HEIGHT = 16.0
_LEGEND = (
    ("hold", "hold: stops everything"),
    ("not-enabled", "not enabled"),
    ("opt-out", "opt-out: silence admits"),
    ("opt-in", "opt-in: silence refuses"),
    ("no-rule", "no rule: refused"),
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Bar:
    """One span.

    Attributes:
        kind: `no-rule`, `not-enabled`, `opt-out`, `opt-in` or `hold`.
        begins: None reaches back beyond the left edge.
        until: None goes on beyond the right edge.
        labels: What to write on it, the longest first; one of them is shown.
        told: Everything about it, for a pointer or a screen reader.
    """

    kind: str
    begins: Dated | None
    until: Dated | None
    labels: tuple[str, ...]
    told: str


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on the days from `begin` until `end` (days since year 1)."""

    begin: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Lane:
    """Everything about one scope; bands do not overlap each other, holds may."""

    name: str
    code: str
    bands: tuple[Bar, ...]
    holds: tuple[Bar, ...]
    notes: tuple[Note, ...]


def written_day(bound: Dated) -> str:
    """Write a bound as people do: 3 Nov 2025, with the time where it is an instant."""
    value = bound.value
    day = f"{value.day} {_MONTHS[value.month - 1]} {value.year}"
    return f"{day} {value:%H:%M} UTC" if isinstance(value, datetime) else day


def day_of(bound: Dated) -> float:
    """Return a bound as days since year 1; an instant has a fraction."""
    value = bound.value
    if isinstance(value, datetime):
        return value.toordinal() + (value.hour + value.minute / 60) / 24
    return float(value.toordinal())


def draw(
    *,
    name: str,
    title: str,
    lanes: Sequence[Lane],
    start: date,
    end: date,
    today: date,
    digest: str = "",
    mark: str = "today",
) -> str:
    """Draw lanes from `start` until `end`.

    Args:
        name: Purpose; part of every id, so that several pictures may share a page.
        title: What the purpose is called.
        lanes: From top to bottom.
        start: Left edge.
        end: Right edge, later than `start`.
        today: Marked where it is inside.
        digest: Of the rulebook, for the foot.
        mark: What the day `today` is called.
    """
    sheet = Sheet(id_of(name), start.toordinal(), end.toordinal())
    lines: list[str] = []
    top = _LANES_TOP
    for lane in lanes:
        drawn, height = _lane(sheet, lane, top)
        lines += drawn
        top += height
    if not lanes:
        empty = "no rule and no hold for this purpose: nothing is admitted"
        lines.append(text(LEFT, top + 30, empty, colour=SOFT))
        top += 56
    grid = list(_grid(sheet, start, end, top))
    marked = list(_today(sheet, today, mark, top))
    legend, height = _legend(sheet, top + 30)
    foot = top + 30 + height + 18
    bars = ((lane.name, bar.told) for lane in lanes for bar in (*lane.bands, *lane.holds))
    told = "; ".join(f"{place}: {what}" for place, what in bars) or "nothing to show"
    heading = f"{title}: rules and holds against time"
    size = f'viewBox="0 0 {_WIDTH:.0f} {foot + 24:.0f}" width="{_WIDTH:.0f}"'
    named = f'role="img" aria-labelledby="{sheet.prefix}title {sheet.prefix}desc"'
    style = f'font-family="{FONT}" font-size="{SIZE:.0f}" fill="{INK}"'
    parts = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {named} {style}>',
        f'<title id="{sheet.prefix}title">{safe(heading)}</title>',
        f'<desc id="{sheet.prefix}desc">{safe(told)}</desc>',
        *definitions(sheet),
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        text(_MARGIN, 38, fit(title, 21, RIGHT - _MARGIN), size=21, weight=600),
        text(_MARGIN, 60, fit(f"rules and holds for {name}", 13, 900), size=13, colour=SOFT),
        *grid,
        *marked,
        *lines,
        *legend,
        text(_MARGIN, foot, _foot(digest), size=11, colour=SOFT),
    )
    return "\n".join((*parts, "</svg>\n"))


def _foot(digest: str) -> str:
    book = f"rulebook {digest[:12]} · " if digest else ""
    return (
        f"{book}a civil date begins at midnight where the member lives · "
        "what a rule admits is admitted under that rule, not approved by anyone"
    )


# ---- axis ------------------------------------------------------------------------------


def _grid(sheet: Sheet, start: date, end: date, bottom: float) -> Iterator[str]:
    """Yield years, quarters and months: as fine as they can be told apart."""
    month = (RIGHT - LEFT) / max((end - start).days / 30.44, 0.01)
    every = next((n for n in (1, 3, 6) if n * month >= 30), 0)
    years = next((n for n in (1, 2, 5, 10, 20, 50, 100, 500, 1000) if n * 12 * month >= 40), 5000)
    base = _LANES_TOP - 12
    yield line((LEFT, base), (RIGHT, base), LINE)
    labelled = [start.year] if sheet.x(date(start.year, 12, 31).toordinal()) - LEFT > 44 else []
    for year in labelled:
        yield text(LEFT, _AXIS_TOP + 30, str(year), size=13, weight=600)
    for year in range(start.year, end.year + 1):
        for number in range(1, 13) if month >= 4 else (1,):
            day = date(year, number, 1)
            x = sheet.x(day.toordinal())
            if not LEFT <= x < RIGHT:
                continue
            is_year = number == 1 and year % years == 0
            is_label = bool(every) and (number - 1) % every == 0
            if is_year:
                yield line((x, _AXIS_TOP + 20), (x, bottom), LINE)
                if x > LEFT and x < RIGHT - 36:
                    yield text(x + 5, _AXIS_TOP + 30, str(year), size=13, weight=600)
            elif is_label or number == 1:
                yield line((x, base - 6), (x, bottom), FAINT)
            else:
                yield line((x, base - 4), (x, base), LINE)
            for number_of_day in (8, 15, 22) if month >= 300 else ():
                week = sheet.x(day.replace(day=number_of_day).toordinal())
                if LEFT <= week < RIGHT - 26:
                    yield line((week, base - 4), (week, base), LINE)
                    yield text(week + 5, base - 5, str(number_of_day), size=11, colour=SOFT)
            if is_label and x < RIGHT - 26:
                yield text(
                    x + 5, base - 5, _MONTHS[number - 1], size=11, colour=SOFT, halo="#ffffff"
                )


def _today(sheet: Sheet, today: date, mark: str, bottom: float) -> Iterator[str]:
    x = sheet.x(today.toordinal())
    if not LEFT <= x <= RIGHT:
        return
    label = f"{mark}, {written_day(Dated(today))}"
    middle = min(max(x, LEFT + wide(label, 11) / 2), _WIDTH - 12 - wide(label, 11) / 2)
    yield line((x, _AXIS_TOP + 8), (x, bottom), INK, ' stroke-width="1.4" stroke-dasharray="1 3"')
    yield text(middle, _AXIS_TOP + 2, label, size=11, weight=600, anchor="middle")


def _legend(sheet: Sheet, top: float) -> tuple[list[str], float]:
    """Draw what the patterns mean; return the height that they take."""
    drawn: list[str] = []
    x, y = _MARGIN, top
    uncertain = ("opt-out", "uncertain; by = no later than")
    for kind, meaning in (*_LEGEND, uncertain):
        width = 44 + wide(meaning) + 8
        if x + width > _WIDTH - 20:
            x, y = _MARGIN, y + 26
        is_fuzzy = (kind, meaning) == uncertain
        span = (x + FADE, x + FADE + 3) if is_fuzzy else (x, x + 36)
        ends = (FUZZY if is_fuzzy else EXACT, EXACT)
        drawn += shape(sheet, kind, span, (y, y + _SWATCH_HEIGHT), ends)
        drawn.append(text(x + 44, y + 12, meaning, colour=SOFT))
        x += width
    return drawn, y - top + 24


# ---- lanes ------------------------------------------------------------------------------


def _lane(sheet: Sheet, lane: Lane, top: float) -> tuple[list[str], float]:
    """Draw one lane; return the height that it takes."""
    holds, tracks = _holds(sheet, lane.holds, top + _PADDING)
    band = top + _PADDING + tracks * _HOLD_HEIGHT
    heading = list(_heading(lane, band))
    drawn = [line((_MARGIN, top), (RIGHT + TIP, top), LINE), *heading]
    remarks: list[_Remark] = []
    if not lane.bands:
        drawn.append(text(LEFT + 9, band + 18.5, "no rule of its own", colour=SOFT, halo="#ffffff"))
    for bar in lane.bands:
        span = _span(sheet, bar)
        if span is None:
            continue
        drawn.append(_bar(sheet, bar, span, band, _BAND_HEIGHT))
        room = span[1] - span[0] - 16
        label = next((one for one in bar.labels if wide(one) <= room), None)
        if label is not None:
            fill = PAINT[bar.kind][0]
            drawn.append(text(span[0] + 9, band + 18.5, label, halo=fill))
        elif bar.kind != "no-rule":
            middle = (span[0] + span[1]) / 2
            remarks.append(_Remark(middle, middle, fit(bar.labels[0], SIZE, 700)))
    remarks += (
        _Remark(max(sheet.x(note.begin), LEFT), sheet.x(note.end), note.text)
        for note in lane.notes
        if sheet.x(note.end) > LEFT and sheet.x(note.begin) < RIGHT and sheet.x(note.end) <= RIGHT
    )
    below, rows = _remarks(remarks, band + _BAND_HEIGHT)
    used = _BAND_HEIGHT + (rows * _NOTE_HEIGHT + 5 if rows else 0)
    height = _PADDING * 2 + tracks * _HOLD_HEIGHT + max(used, len(heading) * 15.0)
    return [*drawn, *holds, *below], height


def _heading(lane: Lane, band: float) -> Iterator[str]:
    words = " ".join(lane.name.split()).split(" ")
    first = words.pop(0)
    while words and wide(f"{first} {words[0]}", 13.5) <= LEFT - 60:
        first += f" {words.pop(0)}"
    rest = " ".join(words)
    lines = [fit(first, 13.5, LEFT - 52), *([fit(rest, 13.5, LEFT - 52)] if rest else [])]
    y = band + (13 if rest or lane.code != lane.name else 18)
    for words_of_line in lines:
        yield text(_MARGIN, y, words_of_line, size=13.5, weight=600)
        y += 16
    if lane.code != lane.name:
        yield text(_MARGIN, y, fit(lane.code, 11, LEFT - 52), size=11, colour=SOFT)


def _span(sheet: Sheet, bar: Bar) -> tuple[float, float] | None:
    """Return the visible part of a bar, at least three pixels wide; None outside the plot."""
    x1 = LEFT if bar.begins is None else sheet.x(day_of(bar.begins))
    x2 = RIGHT if bar.until is None else sheet.x(day_of(bar.until))
    if x2 < LEFT or x1 > RIGHT or x2 < x1:
        return None
    x1, x2 = max(x1, LEFT), min(x2, RIGHT)
    return (min(x1, RIGHT - 3), max(x2, min(x1, RIGHT - 3) + 3))


def _holds(sheet: Sheet, holds: Iterable[Bar], top: float) -> tuple[list[str], int]:
    """Draw holds in as few tracks as their labels allow, the last track on the band."""
    ends: list[float] = []
    placed: list[tuple[int, Bar, tuple[float, float], tuple[float, str, str]]] = []
    for bar in sorted(holds, key=lambda bar: day_of(bar.begins) if bar.begins else 0):
        span = _span(sheet, bar)
        if span is None:
            continue
        room = span[1] - span[0] - 16
        label = next((one for one in bar.labels if wide(one) <= room), None)
        low, high = span
        where = (span[0] + 9, "start", label or "")
        if label is None:
            is_fuzzy = bar.until is not None and bar.until.exactness is not Exactness.EXACT
            after = span[1] + 8 + (FADE if is_fuzzy else 0)
            before = span[0] - 8
            is_right = RIGHT - after >= before - LEFT
            label = fit(bar.labels[0], SIZE, RIGHT - after if is_right else before - LEFT)
            if is_right or after + wide(label) <= RIGHT:
                where, high = (after, "start", label), after + wide(label)
            else:
                where, low = (before, "end", label), before - wide(label)
        low -= FADE if bar.begins and bar.begins.exactness is not Exactness.EXACT else 0
        track = next((n for n, end in enumerate(ends) if end + 10 <= low), len(ends))
        ends[track:] = [high, *ends[track + 1 :]]
        placed.append((track, bar, span, where))
    drawn: list[str] = []
    for track, bar, span, (x, anchor, label) in placed:
        y = top + (len(ends) - 1 - track) * _HOLD_HEIGHT
        drawn.append(_bar(sheet, bar, span, y, _HOLD_HEIGHT))
        halo = PAINT["hold"][0] if span[0] <= x <= span[1] else "#ffffff"
        drawn.append(text(x, y + 15.5, label, anchor=anchor, halo=halo, weight=500))
    return drawn, len(ends)


def _bar(sheet: Sheet, bar: Bar, span: tuple[float, float], top: float, height: float) -> str:
    def end(bound: Dated | None) -> str:
        if bound is None or not LEFT <= sheet.x(day_of(bound)) <= RIGHT:
            return OPEN
        return EXACT if bound.exactness is Exactness.EXACT else FUZZY

    ends = (end(bar.begins), end(bar.until))
    drawn = shape(sheet, bar.kind, span, (top, top + height), ends)
    return "".join(("<g>", f"<title>{safe(bar.told)}</title>", *drawn, "</g>"))


# ---- remarks ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Remark:
    """A text below a band, and the part of the band that it speaks of, in pixels."""

    begin: float
    end: float
    text: str


def _remarks(remarks: Iterable[_Remark], top: float) -> tuple[list[str], int]:
    """Write remarks below a band, from right to left; return the rows that they take.

    INVARIANT: no two texts overlap. Leaders cross no text where that can be had, and pass
    behind it elsewhere.
    """
    taken: list[list[tuple[float, float]]] = []
    leaders: list[str] = []
    texts: list[str] = []
    for remark in sorted(remarks, key=lambda remark: -remark.begin):
        middle, width = (remark.begin + remark.end) / 2, wide(remark.text) + 10
        is_left = middle + width > RIGHT
        span = (middle - width, middle) if is_left else (middle, middle + width)
        rows = [row for row in range(len(taken) + 1) if _is_free(taken[row : row + 1], span)]
        stem = (middle - 4, middle + 4)
        row = next((row for row in rows if _is_free(taken[:row], stem)), rows[0])
        taken += [[]] if row == len(taken) else []
        taken[row].append(span)
        y = top + 17 + row * _NOTE_HEIGHT
        is_bracket = remark.end - remark.begin > 4
        if is_bracket:
            bracket = f"M{remark.begin + 1:.1f} {top + 3:.1f}v3H{remark.end - 1:.1f}v-3"
            leaders.append(f'<path d="{bracket}" fill="none" stroke="{SOFT}"/>')
        leaders.append(line((middle, top + (6 if is_bracket else 1)), (middle, y), SOFT))
        x, anchor = (middle - 5, "end") if is_left else (middle + 5, "start")
        texts.append(text(x, y + 1, remark.text, anchor=anchor, halo="#ffffff"))
    return [*leaders, *texts], len(taken)


def _is_free(rows: Iterable[list[tuple[float, float]]], span: tuple[float, float]) -> bool:
    return all(span[1] + 4 <= low or high + 4 <= span[0] for row in rows for low, high in row)
