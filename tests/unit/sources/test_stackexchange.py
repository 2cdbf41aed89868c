from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.sources import stackexchange
from tests.unit.sources.builders import (
    STACKEXCHANGE,
    Row,
    reasons,
    run,
    utc,
    write_folder,
    xml,
)

POST = {"Id": "1", "PostTypeId": "2", "CreationDate": "2014-01-22T10:00:00.123", "Body": "b"}


def posts(tmp_path: Path, *rows: dict[str, str]) -> list[Row]:
    src = write_folder(tmp_path / "in", {"Posts.xml": xml("posts", *rows)})
    return run("stackexchange", src, tmp_path / "out")[2]


def test_a_whole_dump(tmp_path: Path) -> None:
    files = {**STACKEXCHANGE, "Votes.xml": b"<votes/>", "readme": b"x"}
    report, members, rows = run(
        "stackexchange", write_folder(tmp_path / "in", files), tmp_path / "out"
    )
    assert [(row["member_id"], row["status"]) for row in members] == [
        ("-1", "organisation"),
        ("7", None),
    ]
    assert all(row["country"] is row["birth_date"] is row["since"] is None for row in members)
    post, comment = rows
    assert post == {
        "record_id": "post-1",
        "member_id": "7",
        "category": "post",
        "visibility": "public",
        "authorship": "own",
        "context": None,
        "written_at": utc("2014-01-22T10:00:00.123Z"),
        "first_seen_at": None,
        "deleted_at": None,
        "licence": "CC BY-SA 3.0",
        "mentions": [],
        "text": "How long?\n\nA list & more.\n\nEnd",
    }
    assert comment["record_id"] == "comment-5"
    assert comment["category"] == "comment"
    assert comment["mentions"] == ["mina", "O'Hara"]
    assert comment["licence"] is None
    assert reasons(report)["Votes.xml"] == ["not on the allow-list"]
    assert "Users.xml" in reasons(report)


@pytest.mark.parametrize(
    ("edit", "authorship"),
    [
        ({}, "own"),
        ({"LastEditorUserId": "7", "LastEditDate": "2014"}, "own"),
        ({"LastEditorUserId": "7", "LastEditorDisplayName": "mina"}, "own"),
        ({"LastEditorUserId": "8"}, "edited"),
        ({"LastEditorUserId": "-1"}, "edited"),
        ({"LastEditorUserId": "?"}, "edited"),
        ({"LastEditorDisplayName": "user8"}, "edited"),
        ({"CommunityOwnedDate": "2014"}, "edited"),
        ({"LastEditDate": "2014"}, None),
    ],
)
def test_authorship(tmp_path: Path, edit: dict[str, str], authorship: str | None) -> None:
    assert posts(tmp_path, {**POST, "OwnerUserId": "7", **edit})[0]["authorship"] == authorship


def test_a_deleted_author_is_nobody(tmp_path: Path) -> None:
    row = posts(tmp_path, {**POST, "OwnerDisplayName": "user99"})[0]
    assert row["member_id"] is None
    assert row["text"] == "b"


def test_other_posts_and_posts_without_words_are_counted(tmp_path: Path) -> None:
    src = write_folder(
        tmp_path / "in",
        {
            "posts.xml": xml(
                "posts",
                {**POST, "PostTypeId": "5"},
                {"Id": "3"},
                {**POST, "Body": "<blockquote>theirs</blockquote>"},
                {**POST, "Body": "x" * (stackexchange.MAX_BODY_CHARS + 1)},
            )
        },
    )
    report, _, rows = run("stackexchange", src, tmp_path / "out")
    assert rows == []
    assert [(skipped.rows, skipped.why) for skipped in report.skipped] == [
        (2, "rows that are neither question nor answer"),
        (1, "rows without a text of the author"),
        (1, "rows longer than a post can be"),
    ]


def test_deleted_posts(tmp_path: Path) -> None:
    rows = posts(
        tmp_path,
        {**POST, "DeletionDate": "2015-01-01T00:00:00.000"},
        {**POST, "DeletionDate": "some day"},
    )
    assert [row["deleted_at"] for row in rows] == [
        utc("2015-01-01T00:00:00Z"),
        utc("1970-01-01T00:00:00Z"),
    ]


def test_odd_ids_and_times_are_unknown(tmp_path: Path) -> None:
    row = posts(tmp_path, {**POST, "Id": "x", "OwnerUserId": "007", "CreationDate": "today"})[0]
    assert row["record_id"] is None
    assert row["member_id"] == "7"
    assert row["written_at"] is None


def test_users_without_an_id_are_counted(tmp_path: Path) -> None:
    src = write_folder(tmp_path / "in", {"Users.xml": xml("users", {"DisplayName": "x"})})
    report, members, _ = run("stackexchange", src, tmp_path / "out")
    assert members == []
    assert (1, "rows without an id") in [(s.rows, s.why) for s in report.skipped]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not xml",
        b"<comments/>",
        b"<posts><row Id='1'",
        b"<?xml version='1.0' encoding='no-such'?><posts/>",
        b"<!DOCTYPE p [<!ENTITY a 'SECRET'>]><posts><row Id='&a;'/></posts>",
        b"<posts><row Id='&SECRET;'/></posts>",
        b"<posts><row Id='\xff'/></posts>",
    ],
)
def test_broken_files_are_refused_without_their_text(tmp_path: Path, data: bytes) -> None:
    src = write_folder(tmp_path / "in", {"Posts.xml": data})
    with pytest.raises(InputError) as caught:
        run("stackexchange", src, tmp_path / "out")
    assert str(caught.value).startswith("'Posts.xml' ")
    assert "SECRET" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_rows_deeper_down_are_not_rows(tmp_path: Path) -> None:
    row = b"<row Id='%d' PostTypeId='1' Body='b'/>"
    data = b"<posts><x>" + row % 1 + b"</x>" + row % 2 + b"</posts>"
    src = write_folder(tmp_path / "in", {"Posts.xml": data})
    assert [row["record_id"] for row in run("stackexchange", src, tmp_path / "out")[2]] == [
        "post-2"
    ]


def test_what_is_no_dump_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none of"):
        run("stackexchange", write_folder(tmp_path / "in", {"a": "x"}), tmp_path / "out")
    with pytest.raises(InputError, match="not a folder"):
        run("stackexchange", tmp_path / "in" / "a", tmp_path / "out")
    (tmp_path / "in" / "posts.xml").write_bytes(b"<posts/>")
    (tmp_path / "in" / "Posts.xml").write_bytes(b"<posts/>")
    with pytest.raises(InputError, match="twice"):
        run("stackexchange", tmp_path / "in", tmp_path / "out")
