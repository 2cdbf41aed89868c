import io
from datetime import date
from pathlib import PurePosixPath
from typing import BinaryIO

import pytest

from sayso.errors import InputError
from sayso.sources.archive import Entry
from sayso.sources.dialects import (
    Quoting,
    open_rows,
    parse_day,
    parse_instant,
    read_head,
    unwrap_breaks,
)
from tests.unit.sources.builders import utc


def entry(data: bytes, name: str = "a.csv") -> Entry:
    def opened() -> BinaryIO:
        return io.BytesIO(data)

    return Entry(PurePosixPath(name), len(data), opened)


def cells(data: bytes, native: Quoting = Quoting.DOUBLED) -> list[list[str]]:
    return [row for _, row in open_rows(entry(data), native)]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-07 16:41:18", "2026-05-07T16:41:18+00:00"),
        ("2026-08-31 21:20:46 UTC", "2026-08-31T21:20:46+00:00"),
        ("2026-08-31T21:20:46.5+02:00", "2026-08-31T19:20:46.500000+00:00"),
        ("2025/05/02 10:00:00 UTC", "2025-05-02T10:00:00+00:00"),
        ("9/5/26, 1:12 AM", "2026-09-05T01:12:00+00:00"),
        ("9/5/26, 12:12\u202fAM", "2026-09-05T00:12:00+00:00"),
        ("12/31/26, 12:00 PM", "2026-12-31T12:00:00+00:00"),
        ("Sat Sep 05 08:12:14 UTC 2026", "2026-09-05T08:12:14+00:00"),
        ("05 Sep 2026", "2026-09-05T00:00:00+00:00"),
        ("Mar 4, 1990", "1990-03-04T00:00:00+00:00"),
        ("25/02/25", "2025-02-25T00:00:00+00:00"),
        ("05/05/25", "2025-05-05T00:00:00+00:00"),
    ],
)
def test_date_forms(text: str, instant: str) -> None:
    assert parse_instant(text) == utc(instant)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Jan 2020",
        "2018",
        "Mar 4",
        "05/02/25",
        "2026-13-01",
        "2026-02-30 10:00:00",
        "13/1/26, 1:12 AM",
        "9/5/26, 13:12 AM",
        "9/5/26, 0:12 AM",
        "05 Foo 2026",
        "0001-01-01 00:00:00+14:00",
        "2026-01-01 00:00:00+99:99",
        "31/31/26",
        "now",
    ],
)
def test_what_is_no_single_instant_is_unknown(text: str) -> None:
    assert parse_instant(text) is None


def test_a_day_needs_its_year() -> None:
    assert parse_day("Mar 4, 1990") == date(1990, 3, 4)
    assert parse_day("Mar 4") is None


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('First."\n"Second "line".', 'First.\nSecond "line".'),
        ('First."\r\n"Second', "First.\nSecond"),
        ('a"\n""\n"b', "a\n\nb"),
        ('"hi""\n""yo"', '"hi"\n"yo"'),
        ("plain\nbreak", "plain\nbreak"),
        ('"quoted"\n"lines"\nand more', '"quoted"\n"lines"\nand more'),
    ],
)
def test_line_breaks_of_shares(cell: str, text: str) -> None:
    assert unwrap_breaks(cell) == text


def test_doubled_quotes() -> None:
    assert cells(b'a,b\r\n"x ""y""\r\nz",1\r\n') == [['x "y"\r\nz', "1"]]


def test_backslash_quotes() -> None:
    data = b'a,b\n"x \\"y\\", z\n",1\n'
    assert cells(data, Quoting.BACKSLASH) == [['x "y", z\n', "1"]]


def test_a_file_saved_anew_by_a_spreadsheet_is_read_in_its_new_quoting() -> None:
    data = b'a,b\n"x ""y"", z\nw",1\n'
    assert cells(data, Quoting.BACKSLASH) == [['x "y", z\nw', "1"]]


def test_misshapen_rows_are_left_out_and_counted() -> None:
    rows = open_rows(entry(b"a,b\n1,2\n\n1\n1,2,3\n3,4\n"), Quoting.DOUBLED)
    assert list(rows) == [(1, ["1", "2"]), (5, ["3", "4"])]
    assert rows.misshapen_rows == 2


@pytest.mark.parametrize(
    ("data", "encoding", "cell"),
    [
        ("\ufeffa\nü".encode(), "utf-8-sig", "ü"),
        ("a\nü “q”".encode("cp1252"), "cp1252", "ü “q”"),
        (b"a\n\x81\xfc", "latin-1", "\x81ü"),
    ],
)
def test_encodings(data: bytes, encoding: str, cell: str) -> None:
    rows = open_rows(entry(data), Quoting.DOUBLED)
    assert rows.encoding == encoding
    assert rows.header == ("a",)
    assert [row for _, row in rows] == [[cell]]


def test_a_cell_without_end_is_refused_without_its_text() -> None:
    data = b'a,b\n"secret' + b"x" * 200_000
    with pytest.raises(InputError) as caught:
        cells(data)
    assert "secret" not in str(caught.value)
    assert "'a.csv' cannot be read" in str(caught.value)


def test_a_head_is_read_from_any_bytes() -> None:
    assert read_head(entry(b'\xff"a\x00')) != []
    assert read_head(entry(b"x" * 200_000)) == [["x" * 65536]] or read_head(entry(b"")) == []
