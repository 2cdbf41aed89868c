"""Every case of `cases/`, replayed with every engine; see `tests.differential.case`."""

from functools import lru_cache
from pathlib import Path

import pytest

from sayso.model import reasons_of
from tests.differential.case import CASES, Case, case_text, load_case
from tests.differential.engines import ENGINES, by_engine, integer_world
from tests.differential.stored import stored_world

NAMES = sorted(path.name for path in CASES.glob("*.json"))


@lru_cache(maxsize=4)
def case_of(name: str) -> Case:
    return load_case(CASES / name)


def said(masks: list[int] | tuple[int, ...]) -> list[list[str]]:
    return [list(map(str, reasons_of(mask))) for mask in masks]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, engine: str) -> None:
    case = case_of(name)
    if engine == "duckdb-int" and integer_world(case.world) != case.world:
        return  # content with integer ids cannot name these members
    found = by_engine(engine, case.world, [ask for ask, _ in case.expected])
    for (ask, masks), given in zip(case.expected, found, strict=True):
        assert said(given) == said(masks), (ask, case.why)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("found-")])
def test_case_in_a_workspace(name: str, tmp_path: Path) -> None:
    case = case_of(name)
    integer_ids = integer_world(case.world) == case.world
    stored = stored_world(case.world, tmp_path)
    stored.seal()
    try:
        for ask, masks in case.expected[:: max(1, len(case.expected) // 2)]:
            found = stored.masks(case.world.records, ask, integer_ids=integer_ids)
            assert said(found) == said(masks), (ask, case.why)
    finally:
        stored.workspace.close()


@pytest.mark.parametrize("name", NAMES)
def test_case_is_written_as_it_is_read(name: str, tmp_path: Path) -> None:
    case = case_of(name)
    path = tmp_path / name
    path.write_text(case_text(case.title, case.why, case.world, case.expected))
    again = load_case(path)
    assert again.world.records == case.world.records
    assert again.expected == case.expected
    for known in range(1, case.world.size + 1):
        assert again.world.as_of(known)[1:] == case.world.as_of(known)[1:]


def test_there_are_cases() -> None:
    assert len(NAMES) >= 12
