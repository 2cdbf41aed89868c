from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.evidence.packing import make_packed_town
from tests.unit.snapshot.builders import Town, copy_town


@pytest.fixture(scope="session")
def packed_town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town with two snapshots and some choices; copied, never changed."""
    folder = tmp_path_factory.mktemp("packs")
    make_packed_town(folder)
    return folder


@pytest.fixture
def town(packed_town: Path, tmp_path: Path) -> Iterator[Town]:
    """A town of one's own."""
    mine = copy_town(packed_town, tmp_path / "town")
    yield mine
    mine.close()
