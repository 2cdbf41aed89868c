"""Every seed through its target (law 12); broken ones: `tests/property/test_law_12.py`."""

from pathlib import Path

import pytest

from sayso.errors import InputError
from tests.fuzz.broken import CORPUS, SEEDS
from tests.fuzz.targets import TARGETS, fuzz_note

FILES = [path for name in TARGETS for path in sorted((CORPUS / name).iterdir())]


def test_every_target_has_seeds_and_every_seed_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(SEEDS.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_a_target_tells_what_is_not_allowed() -> None:
    with pytest.raises(InputError):
        fuzz_note(b"")
    TARGETS["note"](b"")
    with pytest.raises(TypeError):
        TARGETS["note"](None)  # type: ignore[arg-type]
