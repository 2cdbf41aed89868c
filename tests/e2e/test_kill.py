"""A handful of kills; `tests/soak/test_kills.py` has two hundred."""

from pathlib import Path

import pytest

from tests.e2e.commits import Commits
from tests.e2e.erasures import STEPS, Erasures
from tests.e2e.kills import (
    Appends,
    Builds,
    Imports,
    Ingests,
    Inits,
    Members,
    PartedBuilds,
    Rebuilds,
    Trial,
)

FEW: tuple[tuple[type[Trial], int], ...] = (
    (Appends, 3), (Ingests, 3), (Commits, 3), (Members, 2), (Imports, 1), (Builds, 2),
    (PartedBuilds, 2), (Rebuilds, 1), (Inits, 1),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "times"), FEW, ids=lambda value: getattr(value, "name", None))
def test_killed_on_sqlite(tmp_path: Path, kind: type[Trial], times: int) -> None:
    toll = kind(tmp_path, "sqlite:///ledger.db").run(times)
    assert toll.killed + toll.finished == times


@pytest.mark.postgres
@pytest.mark.parametrize(("kind", "times"), FEW[:3], ids=lambda value: getattr(value, "name", None))
def test_killed_on_postgresql(
    tmp_path: Path, postgres_url: str, kind: type[Trial], times: int
) -> None:
    toll = kind(tmp_path, postgres_url).run(times)
    assert toll.killed + toll.finished == times


def test_an_erasure_killed_at_every_fourth_step_on_sqlite(tmp_path: Path) -> None:
    trial = Erasures(tmp_path, "sqlite:///ledger.db")
    for number, step in enumerate(range(1, STEPS, 4)):
        trial.strike_at(number, step)
    assert trial.toll.finished  # the last steps are beyond the end
    assert trial.toll.killed > trial.toll.finished


@pytest.mark.postgres
def test_an_erasure_killed_at_some_steps_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    trial = Erasures(tmp_path, postgres_url)
    for number, step in enumerate(range(3, STEPS, 11)):
        trial.strike_at(number, step)
    assert trial.toll.killed
