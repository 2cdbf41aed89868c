"""A workspace with a release, trained once for all tests of a process."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sayso.training import Released, release
from sayso.workspace import Workspace
from tests.unit.training.lab import make_lab, run, small_base


@dataclass(frozen=True)
class Trained:
    """A workspace, the run in it and a release of all its adapters."""

    workspace: Workspace
    folder: Path
    released: Released


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """What is here must be left as it was found; holds are lifted again."""
    pytest.importorskip("torch", reason="sayso[train] is not installed")
    pytest.importorskip("peft", reason="sayso[train] is not installed")
    folder = tmp_path_factory.mktemp("writing")
    lab = make_lab(folder)
    done = run(lab, folder / "first", folder / "run")
    yield Trained(lab, folder, release(lab, done.path, folder / "releases", base=small_base()))
    lab.close()
