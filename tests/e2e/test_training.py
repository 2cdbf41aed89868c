"""Training as processes: killed and resumed, stopped by another, released, forgotten."""

import importlib.util
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.cli import sayso, start, strike
from tests.town import MEMBER_COLUMNS, write_content, write_csv
from tests.unit.training.lab import content_rows, learned_files, member_rows, small_base

for _name in ("torch", "transformers", "peft"):
    if importlib.util.find_spec(_name) is None:
        pytest.skip("sayso[train] is not installed", allow_module_level=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace of the present, and a snapshot in it."""
    ws = tmp_path / "ws"
    write_csv(tmp_path / "members.csv", member_rows(), MEMBER_COLUMNS)
    write_content(tmp_path / "content.parquet", content_rows())
    for command in (
        ("init", ws, "--template", "linkedin-2024"),
        ("ingest", "members", tmp_path / "members.csv", "--workspace", ws),
        (
            "build", "--content", tmp_path / "content.parquet", "--out", tmp_path / "first",
            "--workspace", ws,
        ),
    ):  # fmt: skip
        done = sayso(*command)
        assert done.code == 0, done.err
    return tmp_path


def training(folder: Path, out: str, epochs: int) -> tuple[str | Path, ...]:
    return (
        "train", folder / "first", "--out", folder / out, "--base", small_base(),
        "--epochs", str(epochs), "--workspace", folder / "ws", "--json",
    )  # fmt: skip


def test_a_killed_run_goes_on_to_the_same_bytes(folder: Path) -> None:
    adapters = folder / "run.partial" / "adapters"

    def two_are_there() -> bool:
        names = adapters.iterdir() if adapters.is_dir() else ()
        return sum(not path.name.startswith(".") for path in names) >= 2

    killed = strike(start(*training(folder, "run", 4)), signal.SIGKILL, two_are_there)
    assert killed.code == -signal.SIGKILL
    assert not (folder / "run").exists()

    resumed = sayso(*training(folder, "run", 4))
    whole = sayso(*training(folder, "whole", 4))

    assert (resumed.code, whole.code) == (0, 0), resumed.err
    assert 0 < len(resumed.value["learned"]) < len(whole.value["learned"])
    assert learned_files(folder / "run") == learned_files(folder / "whole")
    assert "s left" in whole.err
    assert "loss" in whole.err


def test_a_hold_of_another_process_ends_a_run_with_3(folder: Path) -> None:
    adapters = folder / "run.partial" / "adapters"
    process = start(*training(folder, "run", 2000))
    until = time.monotonic() + 60
    while not adapters.is_dir() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
        adapters = folder / "run.partial"
    held = sayso(
        "hold", "place", "US", "--placed-by", "the officer", "--from", "2026-01-01",
        "--workspace", folder / "ws",
    )  # fmt: skip
    out, err = process.communicate(timeout=60)

    assert held.code == 0, held.err
    assert process.returncode == 3, err
    assert "hold 'us-2026-01-01' stands over US" in out
    assert (folder / "run.partial" / "SEALED").is_file()
    again = sayso(*training(folder, "run", 2000))
    assert again.code == 3
    assert "was sealed" in again.err


def test_from_training_to_forgetting(folder: Path) -> None:
    ws = ("--workspace", folder / "ws", "--json")
    base = ("--base", small_base())
    assert sayso(*training(folder, "run", 1)).code == 0

    released = sayso("release", folder / "run", "--out", folder / "releases", *base, *ws)
    forgotten = sayso(
        "forget", folder / "run", "--member", "m4", "--out", folder / "after", "--prove",
        "--by", "privacy officer", *base, *ws,
    )  # fmt: skip
    audited = sayso(
        "audit", folder / "after", "--out", folder / "audit", "--canaries", "1", "--repeats", "2",
        "--candidates", "16", *base, *ws,
    )  # fmt: skip
    unsaid = sayso("forget", folder / "after", *ws)

    assert released.code == 0, released.err
    assert Path(released.value["out"]).name == released.value["release"][:16]
    assert forgotten.code == 0, forgotten.err
    assert len(forgotten.value["shards"]) == 1
    assert forgotten.value["proved"] > 0
    assert [one["what"] for one in forgotten.value["dispositions"]] == ["forgotten", "forgotten"]
    assert audited.code == 0, audited.err
    assert audited.value["same_scores"]
    assert len(audited.value["measured"]) == 7
    assert {path.name for path in (folder / "audit").iterdir()} == {
        "report.html", "report.json", "deleted.json",
    }  # fmt: skip
    page = (folder / "audit" / "report.html").read_text(encoding="utf-8")
    assert "an alarm and never proof" in page
    assert unsaid.code == 2
