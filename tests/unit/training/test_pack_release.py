"""The pack of a release that was really made: verified offline, and without anybody's data."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sayso.decision.states import microseconds
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.evidence.bundle import build_verifier
from sayso.evidence.case import Given
from sayso.evidence.container import read_pack
from sayso.evidence.pack_release import pack_release
from sayso.evidence.packs import Source, pack_snapshot
from sayso.evidence.verify import verify_path
from sayso.ledger.logged import export_log
from sayso.rotation import rotate_key
from sayso.training import ForgetRequest, Released, forget, release
from sayso.workspace import Workspace
from tests.town import AT
from tests.traces import digests, traces
from tests.unit.training.lab import MEMBERS, content_rows, make_lab, run, small_base

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Released]]:
    """A workspace with a release; the tests add entries, and break copies."""
    folder = tmp_path_factory.mktemp("released")
    workspace = make_lab(folder)
    run(workspace, folder / "first", folder / "run")
    rotate_key(workspace, "statements")
    released = release(workspace, folder / "run", folder / "releases", base=small_base())
    workspace.integrate()
    yield workspace, released
    workspace.close()


def source_of(workspace: Workspace) -> Source:
    return Source(workspace.ledger, workspace.trust, microseconds(AT))


def test_a_stranger_finds_it_sound_also_with_the_single_file(
    made: tuple[Workspace, Released], tmp_path: Path
) -> None:
    workspace, released = made
    out = tmp_path / "release.zip"

    packed = pack_release(source_of(workspace), released.path, out)

    report = verify_path(out, Given((workspace.trust.key.public,), workspace.trust.policy_bytes))
    assert report.is_sound, report.lines()
    assert "releases" in [one.name for one in report.checks]
    assert packed.kind == "release"
    (tmp_path / "key.pem").write_bytes(workspace.trust.key.public.to_pem())
    build_verifier(tmp_path / "verify.pyz")
    alone = subprocess.run(
        [sys.executable, "-I", "verify.pyz", "release.zip", "--key", "key.pem", "--json"],
        cwd=tmp_path, capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    assert json.loads(alone.stdout)["verdict"] == "sound"
    again = pack_release(source_of(workspace), released.path, tmp_path / "again.zip")
    assert again.digest == packed.digest
    with pytest.raises(ConflictError, match="exists"):
        pack_release(source_of(workspace), released.path, out)


def test_it_tells_what_the_release_is_made_of_and_of_no_member(
    made: tuple[Workspace, Released], tmp_path: Path
) -> None:
    workspace, released = made
    pack_release(source_of(workspace), released.path, tmp_path / "a.zip")
    pack = read_pack(tmp_path / "a.zip")

    bom = pack.files["bom.cdx.json"].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom) is None
    names = {one["name"] for one in json.loads(bom)["components"]}
    assert set(released.release.adapters) < names
    told = json.loads(pack.files["report.json"])
    assert told["release"] == released.release.digest
    assert told["disposition"] == "served"
    assert told["left_out"] == []
    html = pack.files["report.html"].decode()
    assert "Nothing in the ledger says that it was taken back since." in html
    assert "not a finding that the use is lawful" in html
    raw = (tmp_path / "a.zip").read_bytes()
    assert str(released.path.parent).encode() not in raw
    assert [
        n for n in range(MEMBERS) if f'"m{n}"'.encode() in raw or f"r{n}-0".encode() in raw
    ] == []
    assert b"so it goes" not in raw
    assert not [name for name in pack.files if "safetensors" in name]


def test_an_unkeyed_digest_of_an_id_or_a_text_stands_nowhere(
    made: tuple[Workspace, Released], tmp_path: Path
) -> None:
    """Over a whole workspace with its snapshot, run, release, keys handed over, and packs."""
    workspace, released = made
    source = source_of(workspace)
    pack_release(source, released.path, tmp_path / "release.zip")
    pack_snapshot(source, released.path.parents[1] / "first", tmp_path / "snapshot.zip")
    export_log(workspace.ledger, workspace.trust.policy_bytes, tmp_path / "public")
    folder = released.path.parents[1]
    places = [workspace.path, folder / "first", folder / "run", folder / "releases", tmp_path]
    rows = content_rows()
    words = {str(row[name]) for row in rows for name in ("record_id", "member_id", "text")}
    assert len(words) > MEMBERS
    assert traces(places, digests(words)) == set()


def test_what_is_not_at_hand_or_another_is_told(
    made: tuple[Workspace, Released], tmp_path: Path
) -> None:
    workspace, released = made
    source, out = source_of(workspace), tmp_path / "a.zip"
    with pytest.raises(InputError, match="no release in"):
        pack_release(source, tmp_path, out)
    with pytest.raises(InputError, match="is not at hand"):
        pack_release(source, released.path, out, run=tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(released.path, copy)
    (weights,) = (copy / "model").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(IntegrityError, match="not those of the release"):
        pack_release(source, copy, out)
    assert not out.exists()


def test_a_release_that_was_forgotten_can_still_be_shown(tmp_path: Path) -> None:
    workspace = make_lab(tmp_path)
    run(workspace, tmp_path / "first", tmp_path / "run")
    released = release(workspace, tmp_path / "run", tmp_path / "out", base=small_base())
    forget(workspace, tmp_path / "run", ForgetRequest(countries=("BR",), by="an office"))
    workspace.integrate()

    pack_release(source_of(workspace), released.path, tmp_path / "a.zip")

    report = verify_path(tmp_path / "a.zip", Given((workspace.trust.key.public,)))
    (told,) = [one for one in report.checks if one.name == "releases"]
    assert "The last that the ledger says of it here: 'forgotten'." in told.words
    page = read_pack(tmp_path / "a.zip").files["report.html"].decode()
    assert "What the ledger last says of it is “forgotten”" in page
    assert "They are not there any more: they were forgotten." in page
    workspace.close()
