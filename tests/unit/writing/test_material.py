"""A profile is one member's own, by allow-list."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.model import Authorship, Category, Visibility
from sayso.writing.material import ALLOWED, load_material
from tests.town import AT, Row, record_row, write_content
from tests.unit.writing.lab import profile_row


def profile(folder: Path, *rows: Row, who: str = "m1") -> list[tuple[str, str]]:
    path = write_content(folder / "c.parquet", rows)
    return [(one.record_id, one.text) for one in load_material(path, who, AT)]


def test_categories_and_visibilities_are_allowed_one_by_one(tmp_path: Path) -> None:
    rows = [
        record_row(f"{category}/{visibility}", "m1", category=category, visibility=visibility)
        for category in (*Category, "strange", None)
        for visibility in (*Visibility, "strange", None)
    ]
    wanted = {f"{category}/{one}" for category, shown in ALLOWED.items() for one in shown}

    assert {record_id for record_id, _ in profile(tmp_path, *rows)} == wanted
    assert not {Category.MESSAGE, Category.SALARY, Category.PROMPT} & ALLOWED.keys()


def test_words_of_others_are_not_taken(tmp_path: Path) -> None:
    rows = [
        profile_row(str(authorship), "m1", "words", authorship=authorship)
        for authorship in (*Authorship, "strange", None)
    ]

    assert [name for name, _ in profile(tmp_path, *rows)] == [str(Authorship.OWN)]


def test_a_record_of_an_unsure_id_is_nobodys(tmp_path: Path) -> None:
    rows = [
        profile_row("twice", "m1", "first"),
        profile_row("twice", "m2", "second"),
        profile_row("again", "m1", "third"),
        profile_row("again", "m1", "fourth"),
        record_row(None, "m1", category="profile"),
        profile_row("mine", "m1", "fifth"),
        profile_row("none", None, "sixth"),
    ]

    assert profile(tmp_path, *rows) == [("mine", "fifth")]


def test_what_was_deleted_by_then_is_not_taken(tmp_path: Path) -> None:
    past, future = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    rows = [
        profile_row("gone", "m1", "a", deleted_at=past),
        profile_row("stands", "m1", "b", deleted_at=future),
        profile_row("empty", "m1", ""),
    ]

    assert profile(tmp_path, *rows) == [("stands", "b")]


def test_the_order_is_fixed_and_contacts_are_masked(tmp_path: Path) -> None:
    rows = [
        record_row(
            "a-resume", "m1", category="resume", visibility="platform", text="Call 0 44 555 01 23"
        ),
        profile_row("z", "m1", "Write to ann@example.org"),
        profile_row("b", "m1", "First."),
    ]

    wanted = [("b", "First."), ("z", "Write to [e-mail]"), ("a-resume", "Call [phone]")]
    assert profile(tmp_path, *rows) == wanted
    assert profile(tmp_path, *rows[::-1]) == wanted


def test_integer_ids_and_other_tables_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        "record_id,member_id,category,visibility,authorship,text\n"
        "1,7,profile,public,own,Seven\n2,77,profile,public,own,Other\n"
    )

    assert [one.text for one in load_material(path, "7", AT)] == ["Seven"]
    with pytest.raises(InputError):
        load_material(tmp_path / "nothing.parquet", "7", AT)
