"""The house of each module's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.web.house import House, made_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with made_house(tmp_path) as made:
        yield made
