"""At least two hundred SIGKILLs, at random moments and at the appearance of files.

After each: fsck passes, no acknowledged entry is lost, indexes have no gap, nothing half
finished counts, and the same command again gives the same result.
"""

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
    Toll,
    Trial,
)
from tests.soak.conftest import TOLLS

pytestmark = pytest.mark.soak

SQLITE: tuple[tuple[type[Trial], int], ...] = (
    (Appends, 60), (Commits, 30), (Ingests, 40), (Members, 28), (Imports, 24), (Builds, 28),
    (PartedBuilds, 28), (Rebuilds, 21), (Inits, 15), (Erasures, STEPS),
)  # fmt: skip
POSTGRES: tuple[tuple[type[Trial], int], ...] = (
    (Appends, 40), (Commits, 30), (Ingests, 20), (Members, 12), (Erasures, STEPS),
)  # fmt: skip
# Of those sent, some come too late; so many must have found their process at work.
LEAST = 200


@pytest.fixture
def tolls(pytestconfig: pytest.Config) -> list[Toll]:
    """Gathers what became of every process; `conftest.py` tells it at the end."""
    return pytestconfig.stash[TOLLS]


@pytest.mark.parametrize(("kind", "times"), SQLITE, ids=lambda value: getattr(value, "name", None))
def test_killed_on_sqlite(tmp_path: Path, tolls: list[Toll], kind: type[Trial], times: int) -> None:
    tolls.append(kind(tmp_path, "sqlite:///ledger.db").run(times))


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("kind", "times"), POSTGRES, ids=lambda value: getattr(value, "name", None)
)
def test_killed_on_postgresql(
    tmp_path: Path, postgres_url: str, tolls: list[Toll], kind: type[Trial], times: int
) -> None:
    tolls.append(kind(tmp_path, postgres_url).run(times))


def test_that_was_two_hundred(tolls: list[Toll]) -> None:
    assert sum(toll.killed for toll in tolls) >= LEAST
