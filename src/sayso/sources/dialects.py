"""How exports write text, rows and dates.

Promises: two quoting dialects, three encodings and the date forms that real exports use,
each read the one way that it can be read. Where a date can be read in two ways the
answer is None, never a guess. Does not know which file uses what.

Example:
    >>> parse_instant("Sat Sep 05 08:12:14 UTC 2026").isoformat()
    '2026-09-05T08:12:14+00:00'
    >>> parse_instant("05/02/25") is None  # 5 February or 2 May
    True
"""

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum

from sayso.sources.archive import Entry, reading

# Enough for the header of any file of an export, with its preamble.
HEAD_BYTES = 64 << 10
_CHUNK_BYTES = 1 << 20
# Two quotes that are not an empty cell.
_DOUBLED = re.compile(r'[^,\r\n]""[^,\r\n]|[,\r\n]"""|"""[,\r\n]')


class Quoting(StrEnum):
    """How a quote inside a quoted cell is written."""

    DOUBLED = "doubled"  # RFC 4180
    BACKSLASH = "backslash"


@dataclass(slots=True)
class Rows:
    """Rows of one file as they are read.

    Attributes:
        header: The first row.
        encoding: Which one the bytes turned out to be.
        misshapen_rows: How many had another number of cells than the header; complete
            once the rows have been read.
    """

    entry: Entry
    header: tuple[str, ...]
    encoding: str
    quoting: Quoting
    misshapen_rows: int = 0

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (row number from 1, cells) of every row that fits the header.

        Raises:
            InputError: The bytes cannot be read as a table.
        """
        self.misshapen_rows = 0
        number = 0
        for cells in _cells(self.entry, self.encoding, self.quoting):
            number += 1
            if number == 1:
                continue
            if len(cells) == len(self.header):
                yield number - 1, cells
            elif cells:
                self.misshapen_rows += 1


def read_head(entry: Entry) -> list[list[str]]:
    """Return the first rows of a file, as far as `HEAD_BYTES` reach; never fails on bytes.

    For telling what a file is: nothing read here leaves the room.

    Raises:
        InputError: The file cannot be opened or inflated.
    """
    with reading(entry.label), entry.open() as file:
        text = file.read(HEAD_BYTES).decode("utf-8-sig", "replace")
    rows: list[list[str]] = []
    try:
        for cells in csv.reader(io.StringIO(text, newline="")):
            rows.append(cells)
            if len(rows) == 20:
                break
    except csv.Error:
        pass  # what was read so far has to do
    return rows


def open_rows(entry: Entry, native: Quoting) -> Rows:
    """Find out how a table is written and return its rows.

    Args:
        entry: The file.
        native: How the platform quotes in it. A spreadsheet that saved the file anew
            doubles quotes, and then that counts.

    Raises:
        InputError: The bytes cannot be read as a table.
    """
    encoding = encoding_of(entry)
    quoting = native
    if native is Quoting.BACKSLASH and _is_saved_anew(entry, encoding):
        quoting = Quoting.DOUBLED
    with contextlib.closing(_cells(entry, encoding, quoting)) as cells:
        header = next(cells, [])
    return Rows(entry, tuple(header), encoding, quoting)


def _is_saved_anew(entry: Entry, encoding: str) -> bool:
    """Whether quotes are doubled in some cell and none is written with a backslash."""
    doubled = False
    with (
        reading(entry.label),
        entry.open() as file,
        io.TextIOWrapper(file, encoding=encoding, newline="") as text,
    ):
        last = ""
        while chunk := text.read(_CHUNK_BYTES):
            window = last + chunk
            if '\\"' in window:
                return False
            doubled = doubled or _DOUBLED.search(window) is not None
            last = window[-3:]
    return doubled


def encoding_of(entry: Entry) -> str:
    """Return `utf-8-sig` where the bytes are that, else `cp1252`, else `latin-1`.

    Spreadsheets save "CSV" as Windows-1252; Latin-1 reads what that leaves open.
    """
    for encoding in ("utf-8-sig", "cp1252"):
        if _is_in(entry, encoding):
            return encoding
    return "latin-1"


def _is_in(entry: Entry, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with reading(entry.label), entry.open() as file:
        while True:
            chunk = file.read(_CHUNK_BYTES)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                return False
            if not chunk:
                return True


def _cells(entry: Entry, encoding: str, quoting: Quoting) -> Generator[list[str], None, None]:
    with (
        reading(entry.label),
        entry.open() as file,
        io.TextIOWrapper(file, encoding=encoding, newline="") as text,
    ):
        if quoting is Quoting.BACKSLASH:
            yield from csv.reader(text, escapechar="\\", doublequote=False)
        else:
            yield from csv.reader(text)


def unwrap_breaks(text: str) -> str:
    r"""Undo the quotes that `Shares` puts around every inner line break.

    `first"\n"second` is `first\nsecond`; a text in which some break stands without its
    quotes was not written that way and stays as it is. Line breaks become `\n`.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\n" in text and text.count("\n") == text.count('"\n"'):
        return text.replace('"\n"', "\n")
    return text


# ---- dates ------------------------------------------------------------------------------

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<part>\d{1,9}))?)?"
_ZONE = r"(?:\s*(?P<zone>UTC|GMT|Z|[+-]\d{2}:?\d{2}))?"
_DATE = r"(?P<year>\d{4})(?P<mark>[-/])(?P<month>\d{2})(?P=mark)(?P<day>\d{2})"
_MONTH = r"(?P<name>[A-Za-z]{3})[a-z]*\.?"

# Seen in real exports. Each has a day, so each is an instant; `Jan 2020` and
# `2018` are not, and are None.
_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.ASCII)
    for form in (
        rf"{_DATE}(?:[T ]{_CLOCK}{_ZONE})?",
        rf"(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/(?P<short>\d{{2}}), {_CLOCK}\s(?P<half>[AP]M)",
        rf"[A-Za-z]{{3}} {_MONTH} (?P<day>\d{{1,2}}) {_CLOCK} (?P<zone>UTC|GMT) (?P<year>\d{{4}})",
        rf"(?P<day>\d{{1,2}}) {_MONTH} (?P<year>\d{{4}})",
        rf"{_MONTH} (?P<day>\d{{1,2}}), (?P<year>\d{{4}})",
    )
)
_SHORT = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})", re.ASCII)
# The network that writes two-digit years opened in 2003.
_CENTURY = 2000


def parse_instant(text: str) -> datetime | None:
    """Return the instant (UTC) that a date of an export names; without a zone it is UTC.

    A day without a time is its midnight. None for anything else, for a month or a year
    alone, and for `05/02/25`, whose day and month nobody can tell apart.
    """
    text = " ".join(text.split())
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            return _instant(match)
    match = _SHORT.fullmatch(text)
    return None if match is None else _unambiguous(*(int(part) for part in match.groups()))


def parse_day(text: str) -> date | None:
    """Return the civil date that a text names in full; None without a year or a day."""
    instant = parse_instant(text)
    return None if instant is None else instant.date()


def _instant(match: re.Match[str]) -> datetime | None:
    part = match.groupdict()
    month = int(part.get("month") or _month(part.get("name") or ""))
    year = int(part["year"]) if part.get("year") else _CENTURY + int(part["short"])
    hour = int(part.get("hour") or 0)
    if part.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if part["half"].upper() == "PM" else 0)
    micro = int((part.get("part") or "0")[:6].ljust(6, "0"))
    try:
        local = datetime(
            year,
            month,
            int(part["day"]),
            hour,
            int(part.get("minute") or 0),
            int(part.get("second") or 0),
            micro,
            tzinfo=_zone(part.get("zone")),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _month(name: str) -> int:
    """Return 1 to 12, or 0 where no month begins like this."""
    place = _MONTHS.find(name[:3].lower())
    return place // 4 + 1 if place >= 0 and place % 4 == 0 else 0


def _zone(text: str | None) -> timezone:
    if text is None or text.upper() in {"UTC", "GMT", "Z"}:
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _unambiguous(first: int, second: int, year: int) -> datetime | None:
    """Return the midnight of `first/second/year` where only one order makes a date."""
    year = _CENTURY + year if year < 100 else year
    days = set()
    for month, day in ((first, second), (second, first)):
        try:
            days.add(datetime(year, month, day, tzinfo=UTC))
        except ValueError:
            continue
    return days.pop() if len(days) == 1 else None
