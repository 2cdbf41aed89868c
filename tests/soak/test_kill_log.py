"""An integrator killed at every operation, on both databases, with many entries and with few."""

from pathlib import Path

import pytest

from tests.e2e.integrations import Integrations
from tests.soak.conftest import TOLLS

pytestmark = pytest.mark.soak

GROWTHS = (1, 256, 700)


@pytest.mark.parametrize("growth", GROWTHS)
def test_killed_on_sqlite(tmp_path: Path, pytestconfig: pytest.Config, growth: int) -> None:
    toll = Integrations(tmp_path, growth=growth).run()
    pytestconfig.stash[TOLLS].append(toll)

    assert toll.finished == 1


@pytest.mark.postgres
@pytest.mark.parametrize("growth", GROWTHS)
def test_killed_on_postgresql(
    tmp_path: Path, postgres_url: str, pytestconfig: pytest.Config, growth: int
) -> None:
    toll = Integrations(tmp_path, postgres_url, growth=growth).run()
    pytestconfig.stash[TOLLS].append(toll)

    assert toll.finished == 1
