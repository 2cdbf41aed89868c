"""What is read of a snapshot is what its manifest lists, or nothing."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import sayso
from sayso.errors import InputError, IntegrityError, UnavailableError
from sayso.snapshot import load_dataset, load_manifest, load_records
from sayso.snapshot.seal import BUCKET_SCHEMA
from sayso.workspace import Workspace
from tests.town import AT, write_content
from tests.unit.snapshot.builders import record_ids


@pytest.fixture
def snapshot(town_folder: Path, tmp_path: Path) -> Path:
    """A copy of the town's snapshot, to be spoilt."""
    shutil.copytree(town_folder / "base", tmp_path / "s")
    return tmp_path / "s"


def first(snapshot: Path) -> Path:
    return min((snapshot / "records").iterdir())


def test_all_records_are_read_in_order(snapshot: Path) -> None:
    table = load_records(snapshot)
    assert table.num_rows == load_manifest(snapshot).counts.admitted
    assert sorted(table["record_id"].to_pylist()) == record_ids(snapshot)
    assert table.schema.equals(BUCKET_SCHEMA)


def test_an_empty_snapshot_has_the_columns_all_the_same(
    workspace: Workspace, tmp_path: Path
) -> None:
    content = write_content(tmp_path / "c.parquet", [])
    built = workspace.build(content, tmp_path / "s", at=AT)
    table = load_records(built.path)
    assert (table.num_rows, table.schema) == (0, BUCKET_SCHEMA)


@pytest.mark.parametrize(
    "what", ["flipped", "shortened", "missing", "extra", "swapped", "no folder"]
)
def test_a_file_that_differs_stops_the_reading(snapshot: Path, what: str) -> None:
    path = first(snapshot)
    if what == "flipped":
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(bytes(raw))
    elif what == "shortened":
        path.write_bytes(path.read_bytes()[:-1])
    elif what == "missing":
        path.unlink()
    elif what == "extra":
        shutil.copy(path, snapshot / "records" / "bucket-9999.parquet")
    elif what == "swapped":
        path.write_bytes(max((snapshot / "records").iterdir()).read_bytes())
    else:
        shutil.rmtree(snapshot / "records")
    with pytest.raises(IntegrityError):
        load_records(snapshot)


def test_a_changed_manifest_stops_the_reading(snapshot: Path) -> None:
    path = snapshot / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"known": ', b'"known":  '))
    with pytest.raises(IntegrityError, match="canonical"):
        load_records(snapshot)


def test_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load_records(tmp_path)


def test_bucket_files_say_only_what_was_admitted(snapshot: Path) -> None:
    for path in (snapshot / "records").iterdir():
        assert pq.read_schema(path).equals(BUCKET_SCHEMA)
        assert pq.read_metadata(path).metadata is None


@pytest.mark.skipif(find_spec("datasets") is not None, reason="the package is installed")
def test_without_the_package_a_dataset_is_unavailable(snapshot: Path) -> None:
    with pytest.raises(UnavailableError, match="datasets"):
        load_dataset(snapshot)
    assert sayso.load_dataset is load_dataset


@pytest.mark.skipif(find_spec("datasets") is None, reason="the package datasets is not installed")
def test_a_dataset_holds_the_records(snapshot: Path) -> None:
    dataset = load_dataset(snapshot)
    assert sorted(dataset["record_id"]) == record_ids(snapshot)
    first(snapshot).unlink()
    with pytest.raises(IntegrityError):
        load_dataset(snapshot)
