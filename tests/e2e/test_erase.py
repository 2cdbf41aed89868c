"""Erasing by command: what it prints, what it leaves, and what is said of the rest."""

import shutil
from pathlib import Path

import pytest

from sayso.erasure import OUT_OF_REACH, TOMBSTONE
from tests.e2e.cli import Done, sayso
from tests.town import choice_row, member_row, record_row, write_content, write_jsonl
from tests.traces import digests, traces

AT = "2026-01-15T12:00:00Z"
WHO = "vanish-4711-member"
TEXT = "unforgettable words of somebody"
WORDS = {WHO.encode(), TEXT.encode(), b"secret-record", b"their-own-channel"}


def told(done: Done) -> Done:
    assert done.code == 0, done.err
    assert WHO not in done.err
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a snapshot, all made by commands; to be copied."""
    tmp_path = tmp_path_factory.mktemp("made")
    ws = tmp_path / "ws"
    told(sayso("init", ws, "--template", "linkedin-2024"))
    ids = [*(f"stays-{n:02d}" for n in range(12)), WHO]
    files = {
        "members": write_jsonl(tmp_path / "m.jsonl", [member_row(one) for one in ids]),
        "choices": write_jsonl(
            tmp_path / "c.jsonl",
            [choice_row(one, "deferred", channel="their-own-channel") for one in ids[-3:]],
        ),
    }
    for kind, path in files.items():
        told(sayso("ingest", kind, path, "--workspace", ws))
    told(sayso("choose", WHO, "on", "--workspace", ws, "--channel", "their-own-channel"))
    rows = [record_row(f"r-{one}", one) for one in ids[:-1]]
    rows.append(record_row("secret-record", WHO, text=TEXT))
    content = write_content(tmp_path / "content.parquet", rows)
    out = tmp_path / "first"
    told(sayso("build", "--content", content, "--out", out, "--at", AT, "--workspace", ws))
    return tmp_path


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of all of it: paths of snapshots are relative to the workspace."""
    shutil.copytree(made, tmp_path / "here")
    return tmp_path / "here"


def places(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.is_dir()]


def test_erase_prints_what_went_what_it_cannot_reach_and_what_stays(place: Path) -> None:
    ws = place / "ws"
    # Others said something through the same channel.
    words = WORDS - {b"their-own-channel"}
    assert traces(places(place), words)
    shutil.copytree(place / "first", place / "held by another")
    done = told(sayso("erase", WHO, "--workspace", ws)).out
    assert WHO not in done
    assert "1 keys and 1 choices in the database" in done
    assert "2 rows in 1 segments and 1 tables" in done
    assert f"1 records in 1 files of '{place / 'first'}'" in done
    assert "content.parquet', the platform's own file" in done
    assert TOMBSTONE in done
    for one in OUT_OF_REACH:
        assert one in done
    left = {name for name, _ in traces(places(place), words)}
    assert {Path(name).relative_to(place).parts[0] for name in left} == {"held by another"}

    again = told(
        sayso("erase", WHO, "--in", place / "held by another", "--workspace", ws, "--json")
    ).value
    assert (again["new"], again["keys"], again["rows_in_files"]) == (False, 0, 0)
    assert [one["reached"] for one in again["snapshots"]] == ["clean", "erased"]
    assert traces(places(place), words) == set()
    found = told(sayso("explain", WHO, "--workspace", ws, "--json", "--known", "2")).value
    assert found["reasons"] == ["MEMBER_ERASED"]
    assert sayso("choose", WHO, "on", "--workspace", ws).code == 3
    report = told(sayso("log", "fsck", "--workspace", ws, "--json")).value
    assert (report["erased_rows"], report["left_rows"], report["tombstones"]) == (1, 0, 1)
    assert traces([ws, place / "first"], digests([WHO, TEXT])) == set()


def test_a_snapshot_that_is_not_where_it_was_is_named(place: Path) -> None:
    (place / "first").rename(place / "elsewhere")
    done = told(sayso("erase", WHO, "--workspace", place / "ws")).out
    assert f"'{place / 'first'}': it was moved or deleted" in done
    assert "sayso erase MEMBER --in DIR" in done


def test_erase_wants_one_of_two(place: Path) -> None:
    for given in ((), (WHO, "--reapply")):
        done = sayso("erase", *given, "--workspace", place / "ws")
        assert done.code == 2
        assert "name a member, or give --reapply" in done.err
    assert sayso("erase", WHO, "--in", place, "--workspace", place / "ws").code == 2


def test_reapply_after_a_restore(place: Path) -> None:
    ws = place / "ws"
    shutil.copytree(place, place.parent / "backup")
    told(sayso("erase", WHO, "--workspace", ws))
    shutil.rmtree(place / "first")
    shutil.copytree(place.parent / "backup" / "first", place / "first")
    words = WORDS - {b"their-own-channel"}
    assert traces(places(place), words)
    done = told(sayso("erase", "--reapply", "--workspace", ws)).out
    assert "looked everywhere for everybody" in done
    assert traces(places(place), words) == set()
    shutil.rmtree(place.parent / "backup")


def test_retention_is_shown_and_applied(place: Path) -> None:
    ws = place / "ws"
    shown = told(sayso("retention", "show", "--workspace", ws)).out
    assert "members      730 days" in shown
    assert "tombstones   forever" in shown
    assert "due: nothing" in shown
    dry = told(sayso("retention", "run", "--dry-run", "--workspace", ws, "--json")).value
    assert dry == {
        "dry_run": True,
        "deleted": {"tables": [], "snapshots": [], "reads": 0},
        "swept": [],
    }
    told(sayso("ingest", "members", write_jsonl(place / "m2.jsonl", [member_row("new")]),
               "--workspace", ws))  # fmt: skip
    (ws / "tables" / ".left.tmp").write_bytes(b"by a crash")
    done = told(sayso("retention", "run", "--workspace", ws)).out
    assert "deleted: nothing" in done
    assert "tables/.left.tmp, which nothing listed" in done


def test_settings_that_nobody_understands_stop_every_command(place: Path) -> None:
    config = place / "ws" / "sayso.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('keep = "730 days"', 'keep = "two years"', 1), encoding="utf-8")
    done = sayso("retention", "show", "--workspace", place / "ws")
    assert done.code == 2
    assert "'retention.members.keep' is no duration; write members = {" in done.err
