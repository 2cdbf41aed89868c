"""Tables for machines: fixed columns, types that hold, no formulas."""

import csv
import io
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.evidence.trace import Publication
from sayso.model import DEFAULT_PURPOSE
from sayso.publishing import template_files
from sayso.rulebook.civil import COUNTRIES
from sayso.rulebook.parse import parse_rulebook
from sayso.transparency import atlas_of, changes_of
from sayso.transparency.files import (
    Column,
    TableFile,
    changes_table,
    data_package,
    jurisdictions_table,
    timeline_table,
)

BOOK = parse_rulebook(template_files("linkedin-2024"))
TABLES = (
    jurisdictions_table({DEFAULT_PURPOSE: atlas_of(BOOK, DEFAULT_PURPOSE)}),
    timeline_table(BOOK, [DEFAULT_PURPOSE]),
    changes_table(changes_of([Publication(0, datetime(2026, 1, 1, tzinfo=UTC), BOOK)])),
)


def rows_of(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode(), newline="")))


@pytest.mark.parametrize("table", TABLES, ids=lambda one: one.name)
def test_csv_and_json_hold_the_same(table: TableFile) -> None:
    plain, told = rows_of(table.to_csv()), json.loads(table.to_json())

    assert len(plain) == len(told) == len(table.rows)
    for row, one in zip(plain, told, strict=True):
        assert list(row) == list(one) == [column.name for column in table.columns]
        for name, value in one.items():
            assert row[name].removeprefix("'") == ("" if value is None else str(value))


@pytest.mark.parametrize("table", TABLES, ids=lambda one: one.name)
def test_values_are_of_their_type(table: TableFile) -> None:
    for row in json.loads(table.to_json()):
        for column in table.columns:
            value = row[column.name]
            if value is None:
                continue
            if column.kind == "integer":
                assert isinstance(value, int)
            else:
                assert isinstance(value, str)
            if column.kind == "datetime":
                assert value.endswith("Z")
                datetime.fromisoformat(value)


def test_every_country_from_always_to_ever() -> None:
    rows = json.loads(TABLES[0].to_json())

    assert {row["country"] for row in rows} == COUNTRIES
    hong_kong = [(row["state"], row["begins"], row["until"]) for row in rows
                 if row["country"] == "HK"]  # fmt: skip
    assert hong_kong == [
        ("off", None, "2024-09-18"), ("on", "2024-09-18", "2024-10-11"),
        ("held", "2024-10-11", "2025-11-03"), ("on", "2025-11-03", None),
    ]  # fmt: skip
    held = next(row for row in rows if row["country"] == "GB" and row["state"] == "held")
    assert (held["begins"], held["begins_exactness"]) == ("2024-09-18", "by")
    assert held["until_at"] == "2025-11-03T00:00:00Z"
    assert (held["say_so"], held["asked_by"], held["ordered_by"]) == ("LinkedIn", "ICO", None)


@given(st.text(max_size=12))
def test_no_cell_begins_as_a_formula(text: str) -> None:
    table = TableFile("t", "", (Column("a", "string", ""), Column("b", "string", "")),
                      ((text, f"={text}"),))  # fmt: skip
    # What is no text in UTF-8 is replaced.
    row = next(iter(csv.reader(io.StringIO(table.to_csv().decode().split("\r\n", 1)[1],
                                           newline=""))))  # fmt: skip

    for cell in row:
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_the_package_describes_what_is_there() -> None:
    raw = data_package(
        TABLES, version=BOOK.digest, made_at=datetime(2026, 1, 1, tzinfo=UTC),
        period={"start": date(2026, 1, 1).isoformat(), "end": None},
    )  # fmt: skip
    package = json.loads(raw)

    assert package["licenses"][0]["name"] == "CC-BY-4.0"
    assert package["version"] == BOOK.digest
    assert [one["path"] for one in package["resources"]] == [
        f"{table.name}.{kind}" for table in TABLES for kind in ("csv", "json")
    ]
    for one, table in zip(package["resources"][::2], TABLES, strict=True):
        assert one["bytes"] == len(table.to_csv())
        names = [field["name"] for field in one["schema"]["fields"]]
        assert names == table.to_csv().decode().split("\r\n", 1)[0].split(",")
        assert len(set(names)) == len(names)
        assert all(field["description"] for field in one["schema"]["fields"])
