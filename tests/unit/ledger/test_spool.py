"""What a request brought goes with it, or with the next who looks where its process is gone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sayso.ledger import ingest
from sayso.ledger.spool import FOLDER, is_spooling, spooling, sweep_spool
from sayso.opening import init_workspace, open_workspace
from sayso.tables import connect
from tests.e2e.cli import environment
from tests.town import Clock, choice_row, member_row, write_jsonl

HOLDER = """
import sys, time
from pathlib import Path
from sayso.ledger.spool import spooling

with spooling(Path(sys.argv[1])) as place:
    (place / "body.csv").write_text("somebody's")
    print(place, flush=True)
    time.sleep(600)
"""


def test_a_folder_is_its_own_and_goes_with_the_block(tmp_path: Path) -> None:
    with spooling(tmp_path) as one, spooling(tmp_path) as other:
        (one / "body").write_text("x")
        assert one != other
        assert {one.parent, other.parent} == {tmp_path / FOLDER}
        assert one.stat().st_mode & 0o077 == 0
    with pytest.raises(ValueError, match="amid"), spooling(tmp_path) as failed:
        raise ValueError("amid it")

    assert not failed.exists()
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_what_the_living_are_at_stays(tmp_path: Path) -> None:
    with spooling(tmp_path) as mine:
        swept = sweep_spool(tmp_path)
        assert (swept.names, swept.is_complete) == ((), False)
        assert is_spooling(tmp_path)
        assert mine.is_dir()
    assert sweep_spool(tmp_path).is_complete
    assert not is_spooling(tmp_path)


def test_opening_sweeps_what_the_dead_left(tmp_path: Path) -> None:
    init_workspace(tmp_path / "ws", Clock()).close()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "ws")], stdout=subprocess.PIPE,
        encoding="utf-8", env=environment(),
    )  # fmt: skip
    try:
        assert holder.stdout
        place = Path(holder.stdout.readline().strip())
        open_workspace(tmp_path / "ws", Clock()).close()
        stays = (place / "body.csv").read_text()
    finally:
        holder.kill()
        holder.communicate()
    left = place.is_dir()
    open_workspace(tmp_path / "ws", Clock()).close()

    assert stays == "somebody's"
    assert left, "nobody tidied up behind the dead"
    assert not place.exists()


def test_what_cannot_be_deleted_is_not_told_as_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / FOLDER / name).mkdir(parents=True)
        (tmp_path / FOLDER / name / "body").write_text("somebody's")
    unlink = os.unlink

    def keeps_one(path: object, *args: Any, **how: Any) -> None:
        if (tmp_path / FOLDER / "b").exists() and not (tmp_path / FOLDER / "a" / "body").exists():
            raise PermissionError(path)
        unlink(path, *args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "unlink", keeps_one)
    swept = sweep_spool(tmp_path)
    monkeypatch.undo()

    assert (swept.names, swept.is_complete) == ((f"{FOLDER}/a",), False)
    assert (tmp_path / FOLDER / "b" / "body").exists()
    again = sweep_spool(tmp_path)
    assert (again.names, again.is_complete) == ((f"{FOLDER}/b",), True)


@pytest.mark.parametrize("kind", ["choices", "members"])
def test_what_an_ingest_has_no_memory_for_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    workspace = init_workspace(tmp_path / "ws", Clock())
    row = choice_row("maya") if kind == "choices" else member_row("maya")
    path = write_jsonl(tmp_path / "rows.jsonl", [row])
    spills: list[str] = []

    def watched(**how: Any) -> duckdb.DuckDBPyConnection:
        con = connect(**how)
        ((where,),) = con.sql("SELECT current_setting('temp_directory')").fetchall()
        spills.append(where)
        assert is_spooling(workspace.path)
        return con

    monkeypatch.setattr(ingest, "connect", watched)
    workspace.ingest(kind, path)

    assert [Path(one).parent for one in spills] == [workspace.path / FOLDER] * len(spills)
    assert spills
    assert list((workspace.path / FOLDER).iterdir()) == []
    workspace.close()


def test_a_workspace_that_never_had_any_is_swept(tmp_path: Path) -> None:
    assert sweep_spool(tmp_path).is_complete
    assert not is_spooling(tmp_path)
