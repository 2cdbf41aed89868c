"""A small town with a workspace, and what tests compare of snapshots."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sayso.opening import init_workspace, open_workspace
from sayso.snapshot.manifest import Manifest
from sayso.workspace import Workspace
from tests.town import (
    AT,
    MEMBER_COLUMNS,
    Clock,
    town_choices,
    town_content,
    town_members,
    town_notices,
    write_content,
    write_csv,
    write_jsonl,
)

Row = dict[str, Any]

MEMBERS, RECORDS = 50, 220


class Town:
    """A workspace with members, notices and choices, and content beside it."""

    def __init__(self, folder: Path, workspace: Workspace) -> None:
        self.folder = folder
        self.workspace = workspace

    @property
    def content(self) -> Path:
        return self.folder / "content.parquet"

    def close(self) -> None:
        self.workspace.close()


def make_town(folder: Path) -> Town:
    """Make a town in an empty folder."""
    workspace = init_workspace(folder / "ws", Clock(), template="linkedin-2024")
    town = Town(folder, workspace)
    write_content(town.content, town_content(RECORDS, MEMBERS))
    ingest_members(town, town_members(MEMBERS))
    workspace.ingest("notices", write_jsonl(folder / "notices.jsonl", town_notices(MEMBERS)))
    workspace.ingest("choices", write_jsonl(folder / "choices.jsonl", town_choices(20, MEMBERS)))
    return town


def copy_town(town: Path, folder: Path) -> Town:
    """Open a copy of a town that was closed."""
    shutil.copytree(town, folder, dirs_exist_ok=True)
    return Town(folder, open_workspace(folder / "ws", Clock()))


def ingest_members(town: Town, rows: Sequence[Row]) -> None:
    path = write_csv(town.folder / "members.csv", rows, MEMBER_COLUMNS)
    town.workspace.ingest("members", path)


def records(snapshot: Path) -> dict[str, bytes]:
    """Return the bytes of every file in `records/`."""
    return {path.name: path.read_bytes() for path in sorted((snapshot / "records").iterdir())}


def record_ids(snapshot: Path) -> list[str]:
    """Return the ids of all records, sorted."""
    return sorted(
        record_id
        for path in (snapshot / "records").iterdir()
        for record_id in pq.read_table(path, columns=["record_id"])["record_id"].to_pylist()
    )


def same_bytes(one: Path, other: Path) -> None:
    """Assert that two snapshots differ in nothing but `evidence/`."""
    assert (one / "manifest.json").read_bytes() == (other / "manifest.json").read_bytes()
    assert records(one) == records(other)
    for name in ("README.md", "croissant.json", "refusals.svg"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert sorted(path.name for path in one.iterdir()) == sorted(p.name for p in other.iterdir())
    counts = "counts.parquet"
    assert pq.read_table(one / counts).equals(pq.read_table(other / counts))


def same_but_inputs(one: Manifest, other: Manifest) -> None:
    """Assert that two manifests differ in nothing but the names and digests of inputs."""
    bare = [json.loads(manifest.to_bytes()) for manifest in (one, other)]
    for value in bare:
        value.pop("inputs")
        value.pop("files")
    assert bare[0] == bare[1]


__all__ = ["AT", "MEMBERS", "RECORDS", "Town", "copy_town", "make_town", "same_bytes"]
