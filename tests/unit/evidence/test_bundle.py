"""The verifier as one file: the same bytes each time, and nothing but Python and cryptography."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cryptography
import pytest

from sayso.errors import IntegrityError
from sayso.evidence import bundle
from sayso.evidence.bundle import build_verifier, modules, verifier_bytes
from sayso.evidence.command import main
from tests.unit.evidence.builders import KEY, POLICY, Town, packed
from tests.unit.evidence.test_verify import written

TOWN = Town()
# Nothing but the standard library, cryptography and what it stands on; anything else fails.
ALONE = """
import importlib.abc, sys
allowed = set(sys.stdlib_module_names) | {"cryptography", "_cffi_backend", "cffi", "__main__"}
class Fence(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in allowed and top != "sayso":
            raise ImportError(f"{name} is fenced off")
sys.meta_path.insert(0, Fence())
sys.path[:] = [one for one in sys.path if "site-packages" not in one and one != ""]
sys.path[:0] = [sys.argv[1]]
sys.path.append(sys.argv[2])
from sayso.evidence.command import main
import sayso
assert sys.argv[1] in sayso.__file__, sayso.__file__
code = main(sys.argv[3:])
ours = {name for name in sys.modules if name.split(".")[0] == "sayso"}
assert all(sys.argv[1] in (sys.modules[name].__file__ or "") for name in ours)
assert not {"pyarrow", "numpy", "pydantic", "click"} & set(sys.modules)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verifier") / "sayso-verify.pyz"
    digest = build_verifier(out)
    assert digest == hashlib.sha256(out.read_bytes()).hexdigest()
    return out


def alone(verifier: Path, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the file with nothing of this environment but cryptography."""
    site = Path(cryptography.__file__).parent.parent
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, str(verifier), str(site), *map(str, arguments)],
        capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


def test_the_same_sources_give_the_same_bytes(verifier: Path) -> None:
    assert verifier.read_bytes() == verifier_bytes()
    assert os.access(verifier, os.X_OK)
    with zipfile.ZipFile(verifier) as opened:
        names = opened.namelist()
        assert names == sorted(names)
        assert opened.testzip() is None
        assert b"importlib.metadata" not in opened.read("sayso/__init__.py")


def test_it_holds_pure_rooms_alone() -> None:
    found = modules()
    assert {name.split(".")[1] for name in found} == {
        "attest", "canonical", "errors", "evidence", "log",
    }  # fmt: skip
    for name in ("attest.trust", "attest.issue", "log.witness", "log.write", "evidence.bundle"):
        assert f"sayso.{name}" not in found


def test_it_fails_to_build_where_it_needs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "START", "sayso.cli.verify")
    with pytest.raises(IntegrityError, match="come to import"):
        modules()


def test_it_runs_alone(verifier: Path, tmp_path: Path) -> None:
    written(
        tmp_path,
        {
            "a.pack": packed(TOWN.member_pack()), "key.pem": KEY.public.to_pem(),
            "policy": POLICY, "known": TOWN.note(4), "receipt.json": TOWN.receipt(TOWN.proof(1)),
        },
    )  # fmt: skip
    folder = written(tmp_path / "snapshot", TOWN.folder)
    own = ("--key", tmp_path / "key.pem", "--policy", tmp_path / "policy")
    for path in (tmp_path / "a.pack", folder, tmp_path / "receipt.json"):
        done = alone(verifier, path, *own)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "SOUND: every check" in done.stdout
    done = alone(verifier, tmp_path / "a.pack", *own, "--known-checkpoint", tmp_path / "known")
    assert "known-checkpoint" not in done.stderr
    assert done.returncode == 0
    assert "no reader of Parquet is installed here" in alone(verifier, folder).stdout
    (folder / "manifest.json").write_bytes(TOWN.folder["manifest.json"].replace(b"DE", b"FR"))
    done = alone(verifier, folder, "--json")
    assert done.returncode == 1
    value = json.loads(done.stdout)
    assert value["verdict"] == "not sound"
    assert value["checks"][-1]["name"] == "statement"
    done = alone(verifier, tmp_path / "missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no file" in done.stderr


def test_it_runs_as_a_program(verifier: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pack").write_bytes(packed(TOWN.member_pack()))
    done = subprocess.run(
        [sys.executable, verifier, tmp_path / "a.pack"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_command_in_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pack").write_bytes(packed(TOWN.member_pack()))
    assert main([str(tmp_path / "a.pack"), "--json"]) == 0
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert value["verdict"] == "sound"
    (tmp_path / "a.pack").write_bytes(packed(TOWN.member_pack())[:-1])
    assert main([str(tmp_path / "a.pack")]) == 1
    assert "NOT SOUND" in capsys.readouterr().out
    assert main([str(tmp_path / "none")]) == 2
    with pytest.raises(SystemExit):
        main([])
