"""Atheris on every target: inputs that reach new branches are kept and broken further (law 12).

Run by `make soak`; `SAYSO_SOAK_FUZZ_RUNS` (default 200,000) chooses how many runs a target has.
What makes a target fail is kept in its corpus, where `tests/fuzz/test_corpus.py` replays it from
then on.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
RUNS = int(os.environ.get("SAYSO_SOAK_FUZZ_RUNS", "200000"))
MAX_INPUT_BYTES = 8192


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    found, broke = tmp_path / "found", tmp_path / "broke"
    found.mkdir()
    broke.mkdir()
    options = ["-seed=1", "-timeout=20", "-use_value_profile=1"]
    options += [f"-runs={RUNS}", f"-max_len={MAX_INPUT_BYTES}"]
    command = [sys.executable, "-m", "tests.fuzz.run", name, *options]
    done = subprocess.run(
        [*command, f"-artifact_prefix={broke}/", str(found), str(CORPUS / name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    kept = [shutil.copy(path, CORPUS / name / path.name) for path in broke.iterdir()]
    assert not done.returncode, f"kept as {kept}\n{done.stderr[-4000:]}"
    runs = re.findall(r"^Done (\d+) runs in (\d+) second", done.stderr, re.MULTILINE)
    reached = re.findall(r"cov: (\d+)", done.stderr)
    assert runs, done.stderr[-4000:]
    print(  # noqa: T201  (what a soak is for)
        f"\n{name}: {runs[-1][0]} runs in {runs[-1][1]} s, {reached[-1]} branches, "
        f"{len(list(found.iterdir()))} inputs that reached new ones"
    )
