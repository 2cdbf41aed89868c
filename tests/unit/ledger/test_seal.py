"""Sealing moves choices out of the database and changes no reading."""

from pathlib import Path

import pyarrow.parquet as pq

from sayso.erasure import erase
from sayso.ledger import Ledger, ingest_choices
from sayso.ledger.fsck import fsck
from sayso.ledger.sealing import seal
from sayso.model import Choice
from tests.town import START_US, choice_row, write_jsonl
from tests.unit.ledger.builders import entries, head_rows, say, standings

SAID = (Choice.ON, Choice.OFF, Choice.DEFERRED)


def busy_ledger(ledger: Ledger, folder: Path) -> None:
    """Choices, public entries, a bulk file and an erasure, one amid the other."""
    for number in range(9):
        say(
            ledger, f"m{number % 3}", SAID[number % 3], at_us=START_US + number,
            country=("HK", None)[number % 2], channel="web" if number % 4 else None,
        )  # fmt: skip
        if number % 3 == 0:
            ledger.append_public("note", {"n": number}, START_US)
        if number == 4:
            rows = [choice_row(f"m{n}", "on", f"2026-01-0{n + 1}") for n in range(4)]
            ingest_choices(ledger, write_jsonl(folder / "some.jsonl", rows), START_US)
    say(ledger, "gone", Choice.OFF)
    erase(ledger, "gone", START_US)
    say(ledger, "m1", Choice.ON, at_us=START_US - 9, recorded_us=START_US)


def readings(ledger: Ledger) -> list[object]:
    """Everything that can be read, at every known."""
    sizes = range(ledger.size() + 1)
    return [
        *(entries(ledger, known) for known in sizes),
        *([found.payload for found in ledger.public("note", known)] for known in sizes),
    ]


def folds(ledger: Ledger) -> list[object]:
    """What the engine reads, before, amid and after the bulk file."""
    asked = ((3, 1), (10, 4), (13, 4), (ledger.size(), 20))
    return [standings(ledger, known, START_US + at) for known, at in asked]


def test_every_reading_is_the_same_before_and_after(ledger: Ledger, folder: Path) -> None:
    busy_ledger(ledger, folder)
    before = readings(ledger), folds(ledger)
    in_head = [row for row in head_rows(ledger) if row["member_id"] is not None]
    assert seal(ledger, START_US, threshold_rows=1) == len(in_head) == 10
    assert (readings(ledger), folds(ledger)) == before
    assert [row for row in head_rows(ledger) if row["member_id"] is not None] == []
    assert fsck(ledger).segments == 2


def test_sealing_again_and_again_changes_nothing_either(ledger: Ledger, folder: Path) -> None:
    busy_ledger(ledger, folder)
    assert seal(ledger, START_US, threshold_rows=1) == 10
    for number in range(3):
        say(ledger, f"m{number}", Choice.ON, at_us=START_US + 50 + number)
        ledger.append_public("note", {"n": 100 + number}, START_US)
        before = entries(ledger)
        assert seal(ledger, START_US, threshold_rows=1) == 1
        assert entries(ledger) == before
    assert seal(ledger, START_US, threshold_rows=1) == 0
    report = fsck(ledger)
    assert report.segments == 5
    assert report.commitments + report.erased_entries == report.size == ledger.size()


def test_a_small_head_stays_where_it_is(ledger: Ledger) -> None:
    for _ in range(4):
        say(ledger, "7")
    assert seal(ledger, START_US, threshold_rows=5) == 0
    assert seal(ledger, START_US, threshold_rows=0) == 4
    assert seal(ledger, START_US, threshold_rows=0) == 0
    assert seal(ledger, START_US) == 0


def test_an_empty_ledger_has_nothing_to_seal(ledger: Ledger) -> None:
    ledger.append_public("note", {}, START_US)
    assert seal(ledger, START_US, threshold_rows=0) == 0


def test_a_sealed_segment_holds_no_file_left_behind(ledger: Ledger, folder: Path) -> None:
    say(ledger, "7")
    seal(ledger, START_US, threshold_rows=1)
    (only,) = (folder / "segments").iterdir()
    assert pq.read_metadata(only).num_rows == 1
    assert fsck(ledger).orphans == ()


def test_appending_goes_on_where_it_was(ledger: Ledger) -> None:
    for _ in range(3):
        say(ledger, "7")
    seal(ledger, START_US, threshold_rows=1)
    assert say(ledger, "7").index == 3
    assert list(entries(ledger)) == [0, 1, 2, 3]
