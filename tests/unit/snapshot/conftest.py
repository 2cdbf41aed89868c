from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import pytest

from sayso.decision.cells import Cells, tabulate
from sayso.model import Rulebook
from sayso.rulebook import tree
from sayso.rulebook.in_force import InForce, in_force
from tests.town import AT
from tests.unit.snapshot.builders import Town, copy_town, make_town

# The package's own name `build` is the function.
MODULE = import_module("sayso.snapshot.build")


@pytest.fixture(autouse=True, scope="session")
def _tabulate_once() -> Iterator[None]:
    """Keep cells and parsed YAML: they are pure, and cost most of a small build."""
    resolved: dict[tuple[str, str, datetime], InForce] = {}
    cells: dict[int, Cells] = {}

    def in_force_once(book: Rulebook, purpose: str, at: datetime) -> InForce:
        key = (book.digest, purpose, at)
        if key not in resolved:
            resolved[key] = in_force(book, purpose, at)
        return resolved[key]

    def tabulate_once(current: InForce) -> Cells:
        if id(current) not in cells:
            cells[id(current)] = tabulate(current)
        return cells[id(current)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "read_tree", lru_cache(None)(tree.read_tree))
        patch.setattr(MODULE, "in_force", in_force_once)
        patch.setattr(MODULE, "tabulate", tabulate_once)
        yield


@pytest.fixture(scope="session")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town that is copied and never changed, with a snapshot `base`."""
    folder = tmp_path_factory.mktemp("town")
    town = make_town(folder)
    town.workspace.build(town.content, folder / "base", at=AT)
    town.close()
    return folder


@pytest.fixture
def town(town_folder: Path, tmp_path: Path) -> Iterator[Town]:
    """A town of one's own."""
    mine = copy_town(town_folder, tmp_path / "town")
    yield mine
    mine.close()
