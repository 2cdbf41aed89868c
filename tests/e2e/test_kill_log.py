"""An integrator killed at every operation; `tests/soak/test_kill_log.py` has the long ones."""

from pathlib import Path

import pytest

from tests.e2e.integrations import Integrations


def test_killed_at_every_operation_on_sqlite(tmp_path: Path) -> None:
    toll = Integrations(tmp_path).run()

    assert toll.finished == 1
    assert toll.killed > 30


@pytest.mark.postgres
def test_killed_at_some_operations_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    toll = Integrations(tmp_path, postgres_url).run(first=2, stride=5)

    assert toll.finished == 1
    assert toll.killed > 5


def test_killed_while_the_second_pass_writes(tmp_path: Path) -> None:
    toll = Integrations(tmp_path, growth=700).run(first=3, stride=11)

    assert toll.finished == 1
    assert toll.killed > 3
