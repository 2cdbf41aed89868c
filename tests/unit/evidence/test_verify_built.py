"""The verifier on a snapshot that a workspace built, from the command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sayso.attest.keys import parse_public_key
from sayso.cli import main
from sayso.errors import IntegrityError
from sayso.evidence.case import Case, Given
from sayso.evidence.checks_manifest import check_leaves, parse_manifest
from sayso.evidence.files import FolderFiles
from sayso.evidence.verify import verify_path
from tests.town import AT
from tests.unit.evidence.builders import failed
from tests.unit.snapshot.builders import make_town


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    town = make_town(folder)
    town.workspace.build(town.content, folder / "snapshot", at=AT)
    town.close()
    return folder / "snapshot"


@pytest.fixture
def snapshot(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "snapshot"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(one) for one in arguments])
    told = capsys.readouterr()
    return int(stopped.value.code or 0), told.out, told.err


def test_a_built_snapshot_holds_with_its_leaves(snapshot: Path) -> None:
    key = parse_public_key((snapshot / "evidence" / "attest.pem").read_bytes())
    policy = (snapshot / "evidence" / "policy").read_bytes()
    report = verify_path(snapshot, Given((key,), policy))
    assert report.is_sound, report.lines()
    (leaves,) = [one for one in report.checks if one.name == "leaves"]
    assert "read from the records' files" in leaves.words


def test_every_file_of_a_built_snapshot_counts(snapshot: Path) -> None:
    names = sorted(path for path in snapshot.rglob("*") if path.is_file())
    assert len(names) > 20
    for path in names:
        raw = path.read_bytes()
        path.unlink()
        report = verify_path(snapshot, Given())
        if path.name not in {"build.json", "attest.pem"}:
            assert f"'{path.relative_to(snapshot).as_posix()}' is missing" in failed(report)[1]
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        assert not verify_path(snapshot, Given()).is_sound, path
        path.write_bytes(raw)
    assert verify_path(snapshot, Given()).is_sound


def test_leaves_that_are_not_those_of_the_manifest(snapshot: Path) -> None:
    manifest: dict[str, Any] = parse_manifest((snapshot / "manifest.json").read_bytes())
    case = Case(FolderFiles(snapshot), Given(), manifest=manifest)
    assert check_leaves(case)
    bucket = next(iter(manifest["buckets"].values()))
    path = snapshot / bucket["file"]
    table = pq.read_table(path)
    for broken in (
        table.slice(1),
        table.drop_columns(["tag"]),
        table.take([*range(len(table)), 0]),
    ):
        pq.write_table(broken, path)
        with pytest.raises(IntegrityError):
            check_leaves(case)
    path.write_bytes(b"")
    with pytest.raises(IntegrityError, match="holds no tags and digests"):
        check_leaves(case)


def test_the_command(snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "verify", snapshot)
    assert (code, "SOUND: every check" in out) == (0, True)
    evidence = snapshot / "evidence"
    own = ("--key", evidence / "attest.pem", "--policy", evidence / "policy")
    code, out, _ = run(capsys, "verify", snapshot, *own, "--json")
    value = json.loads(out)
    assert (code, value["verdict"]) == (0, "sound")
    assert [one["number"] for one in value["checks"]] == list(range(1, len(value["checks"]) + 1))
    assert value["limits"]
    (snapshot / "README.md").write_text("other")
    code, out, _ = run(capsys, "verify", snapshot)
    assert code == 1
    assert "NOT SOUND: check 7, 'digests', failed." in out
    for wrong in (["verify"], ["verify", tmp_path / "none"], ["verify", tmp_path]):
        code, _, err = run(capsys, *wrong)
        assert (code, err.startswith("error: ")) == (2, True)


def test_the_command_writes_the_verifier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sayso-verify.pyz"
    code, told, _ = run(capsys, "verify", "--write-verifier", out, "--json")
    assert (code, json.loads(told)["out"]) == (0, str(out))
    assert out.stat().st_size > 100_000
    code, _, err = run(capsys, "verify", tmp_path, "--write-verifier", out)
    assert (code, "leave PATH out" in err) == (2, True)
