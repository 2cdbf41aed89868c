import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sayso.errors import InputError, UnavailableError
from sayso.model import Authorship, Category, Status, Visibility
from sayso.sources import (
    CONTENT_SCHEMA,
    KINDS,
    MEMBERS_SCHEMA,
    ImportReport,
    Skipped,
    import_source,
    linkedin,
    polis,
    sink,
)
from sayso.sources.sink import Member, Record, open_sink
from tests.unit.sources.builders import POLIS, run, write_folder

RECORD = Record("1", "7", "post", "public", "own", text="x")


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def talk(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "talk", {"comments.csv": POLIS})


def test_tables_have_the_schemas_and_the_report_is_the_same_on_disk(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    report = import_source("polis", talk(tmp_path), out)
    assert pq.read_schema(out / "members.parquet").equals(MEMBERS_SCHEMA)
    assert pq.read_schema(out / "content.parquet").equals(CONTENT_SCHEMA)
    assert listing(out) == ["content.parquet", "members.parquet", "report.json"]
    assert json.loads((out / "report.json").read_text()) == {
        "kind": "polis",
        "members_rows": 3,
        "content_rows": 4,
        "skipped": [
            {
                "file": "talk/comments.csv",
                "rows": 1,
                "why": "rows that nobody moderated: kept, visibility unknown",
            }
        ],
    }
    why = "rows that nobody moderated: kept, visibility unknown"
    assert report == ImportReport("polis", 3, 4, (Skipped("talk/comments.csv", 1, why),))


def test_an_import_gives_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        import_source("polis", talk(tmp_path), tmp_path / name)
    for name in ("members.parquet", "content.parquet", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "BATCH_ROWS", 2)
    monkeypatch.setattr(sink, "PENDING_ROWS", 2)
    told: list[tuple[str, int]] = []
    import_source(
        "polis", talk(tmp_path), tmp_path / "out", progress=lambda *step: told.append(step)
    )
    assert told[-2:] == [("members.parquet", 3), ("content.parquet", 4)]
    assert ("content.parquet", 3) in told  # two rows pend while a third makes a batch


def stop(out: Path, error: BaseException) -> None:
    with open_sink(out, None) as opened:
        opened.add_record(RECORD)
        raise error


@pytest.mark.parametrize("error", [InputError("no"), KeyboardInterrupt(), MemoryError()])
def test_nothing_is_left_of_an_import_that_fails(tmp_path: Path, error: BaseException) -> None:
    out = tmp_path / "out"
    with pytest.raises(type(error)):
        stop(out, error)
    assert not out.exists()
    out.mkdir()
    with pytest.raises(type(error)):
        stop(out, error)
    assert listing(out) == []


def test_an_import_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_source("polis", talk(tmp_path), out)
    before = {name: (out / name).read_bytes() for name in listing(out)}
    with pytest.raises(InputError):
        import_source("stackexchange", talk(tmp_path), out)
    assert {name: (out / name).read_bytes() for name in listing(out)} == before


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_full_disk_leaves_nothing_that_looks_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    out = tmp_path / "out"
    import_source("polis", talk(tmp_path), out)
    calls = 0
    replace = Path.replace

    def replaced(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replaced)
    with pytest.raises(UnavailableError, match="no space left on device"):
        import_source("polis", talk(tmp_path), out)
    assert listing(out) == []


def test_a_disk_that_fills_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink._Part, "add", full)
    with pytest.raises(UnavailableError):
        import_source("polis", talk(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_reason_of_a_file_adds_up(tmp_path: Path) -> None:
    with open_sink(tmp_path / "out", None) as opened:
        opened.skip("a", "b", 1)
        opened.skip("a", "b", 2)
        opened.skip("a", "c")
        opened.skip("a", "c")
        opened.add_member(Member("1"))
        report = opened.finish("table")
    assert report.skipped == (Skipped("a", 3, "b"), Skipped("a", None, "c"))
    assert report.members_rows == 1


def test_ids_that_no_table_can_hold_are_refused(tmp_path: Path) -> None:
    src = write_folder(tmp_path / "in", {"Shares.csv": ""})
    (src / "Comments.csv").write_text("Date,Link,Message\n,,text\n")
    with pytest.raises(InputError, match="cannot be written as a table"):
        run("linkedin", src, tmp_path / "out", {"member_id": "\udcff"})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "src", "out", "message"),
    [
        ("facebook", "talk", "out", "unknown kind 'facebook'; use one of table,"),
        ("polis", "nowhere", "out", "nowhere' is not there"),
        ("polis", "talk\0", "out", "is not"),
        ("polis", "talk", "out\0", "is not a path"),
        ("polis", "talk", "file", "cannot write to"),
        ("polis", "talk", "file/below", "cannot write to"),
        ("polis", "talk", "talk", "would overwrite the source"),
        ("table", "o/content.parquet", "o", "would overwrite the source"),
    ],
)
def test_calls_that_cannot_be_meant(
    tmp_path: Path, kind: str, src: str, out: str, message: str
) -> None:
    talk(tmp_path)
    write_folder(tmp_path, {"file": "x", "o/content.parquet": "x"})
    with pytest.raises(InputError) as caught:
        import_source(kind, tmp_path / src, tmp_path / out)
    assert message in str(caught.value)
    assert (tmp_path / "o/content.parquet").read_bytes() == b"x"


@pytest.mark.parametrize("kind", ["polis", "linkedin", "stackexchange"])
def test_a_mapping_without_a_meaning_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match=f"a mapping of 'text' has no meaning for '{kind}'"):
        import_source(kind, talk(tmp_path), tmp_path / "out", mapping={"text": "x"})


def test_an_out_that_is_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(InputError):
        import_source("polis", talk(tmp_path), tmp_path / "a")


def test_readers_speak_in_the_words_of_the_model() -> None:
    words = {*Category, *Visibility, *Authorship, *Status}
    assert {*linkedin.VISIBILITY.values(), *polis.VISIBILITY.values()} <= words
    assert {"post", "comment", "profile", "article", "recommendation"} <= set(Category)
    assert "organisation" in words
    assert KINDS == ("table", "stackexchange", "linkedin", "polis")
