from pathlib import Path

import pytest

from sayso.errors import InputError
from tests.unit.sources.builders import (
    POLIS,
    POLIS_HEADER,
    Row,
    reasons,
    run,
    utc,
    write_folder,
)


def rows_of(tmp_path: Path, text: str) -> list[Row]:
    src = write_folder(tmp_path / "talk", {"comments.csv": text})
    return run("polis", src, tmp_path / "out")[2]


def test_a_conversation(tmp_path: Path) -> None:
    src = write_folder(tmp_path / "talk", {"comments.csv": POLIS, "votes.csv": "x", "f.md": ""})
    report, members, rows = run("polis", src, tmp_path / "out")
    assert [(row["member_id"], row["status"]) for row in members] == [
        ("talk:29", None),
        ("talk:0", "organisation"),
        ("talk:30", None),
    ]
    assert [(r["record_id"], r["member_id"], r["visibility"]) for r in rows] == [
        ("talk:12", "talk:29", "private"),
        ("talk:13", "talk:0", "public"),
        ("talk:14", "talk:29", "public"),
        ("talk:15", "talk:30", None),
    ]
    assert rows[1]["text"] == 'A seed, "quoted"'
    assert rows[1]["written_at"] == utc("2022-04-27T14:51:34.558Z")
    for row in rows:
        assert (row["category"], row["authorship"], row["context"]) == ("comment", "own", "talk")
        assert row["licence"] == "CC BY 4.0"
        assert row["mentions"] is None
    why = reasons(report)
    assert why["talk/votes.csv"] == why["talk/*.md"] == ["not on the allow-list"]
    assert why["talk/comments.csv"] == ["rows that nobody moderated: kept, visibility unknown"]


def test_many_conversations_keep_their_authors_apart(tmp_path: Path) -> None:
    other = "id,body\n1,SECRET\n"
    src = write_folder(
        tmp_path / "all",
        {
            "a/comments.csv": POLIS,
            "b/comments.csv": POLIS,
            "c/comments.csv": other,
            "d/x.csv": "",
            "README.md": "x",
        },
    )
    report, members, rows = run("polis", src, tmp_path / "out")
    assert {row["member_id"] for row in members} == {
        "a:29",
        "a:0",
        "a:30",
        "b:29",
        "b:0",
        "b:30",
    }
    assert len({row["record_id"] for row in rows}) == len(rows) == 8
    why = reasons(report)
    assert why["c/comments.csv"] == ["its header is not that of a Polis conversation"]


def test_newer_files_have_no_datetime_and_tell_seeds(tmp_path: Path) -> None:
    header = (
        "timestamp,comment-id,author-id,agrees,disagrees,moderated,is-meta,is-seed,"
        "group-informed-consensus,comment-body\n"
    )
    rows = rows_of(
        tmp_path,
        header
        + "1726860676783,1,5,1,0,1,false,false,0.5,mine\n"
        + "1726860676783,2,0,1,0,1,false,true,0.5,seed\n"
        + "1726860676783,3,5,1,0,1,false,true,0.5,whose\n",
    )
    assert [row["authorship"] for row in rows] == ["own", "own", None]


@pytest.mark.parametrize("stamp", ["", "x", "1651682293", "9" * 18, "-1", "1e12"])
def test_times_that_are_no_milliseconds_are_unknown(tmp_path: Path, stamp: str) -> None:
    line = f"{stamp},Wed May 04 23:38:13 WIB 2022,12,29,3,1,1,text\n"
    assert rows_of(tmp_path, POLIS_HEADER + line)[0]["written_at"] is None


def test_odd_rows(tmp_path: Path) -> None:
    src = write_folder(
        tmp_path / "talk",
        {
            "comments.csv": POLIS_HEADER
            + "1651682293119,d,x,,3,1,1,nobody's\n"
            + "1651682293119,d,1,07,3,1,1,\n"
            + "1651682293119,d,1,07,3,1,true,seven\n"
            + "too,short\n"
        },
    )
    report, members, rows = run("polis", src, tmp_path / "out")
    assert [row["member_id"] for row in members] == ["talk:7"]
    assert [(row["record_id"], row["member_id"], row["visibility"]) for row in rows] == [
        (None, None, "public"),
        ("talk:1", "talk:7", None),
    ]
    assert {skipped.why: skipped.rows for skipped in report.skipped} == {
        "rows without an author: kept, author unknown": 1,
        "rows without a text": 1,
        "rows that nobody moderated: kept, visibility unknown": 1,
        "rows with another number of cells than the header": 1,
    }


def test_windows_encoding(tmp_path: Path) -> None:
    data = (POLIS_HEADER + "1651682293119,d,1,7,3,1,1,für dich\n").encode("cp1252")
    src = write_folder(tmp_path / "talk", {"comments.csv": data})
    report, _, rows = run("polis", src, tmp_path / "out")
    assert rows[0]["text"] == "für dich"
    assert "not UTF-8: read as cp1252" in reasons(report)["talk/comments.csv"]


@pytest.mark.parametrize(
    "files", [{"x.csv": "1"}, {"comments.csv": "a,b\n1,2\n"}, {"comments.csv": ""}]
)
def test_what_is_no_conversation_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(InputError, match="'talk' holds no Polis conversation"):
        run("polis", write_folder(tmp_path / "talk", files), tmp_path / "out")


def test_a_file_is_no_conversation(tmp_path: Path) -> None:
    (tmp_path / "comments.csv").write_text(POLIS)
    with pytest.raises(InputError):
        run("polis", tmp_path / "comments.csv", tmp_path / "out")
