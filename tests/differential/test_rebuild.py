"""Rebuilding gives what building anew gives, whatever came between: bytes and counts."""

from pathlib import Path
from random import Random

import pytest

from tests.differential.stored import Stored
from tests.world import Ask, World, asks, random_world


def later_of(world: World, rng: Random) -> list[Ask]:
    """Return two asks, the second knowing more; often at one instant."""
    first, second = (ask.at for ask in asks(world, rng.randrange(1 << 32), 2))
    return [
        Ask(first, rng.randint(2, world.size)),
        Ask(first if rng.random() < 0.4 else second, world.size),
    ]


def read(snapshot: Path) -> dict[str, bytes]:
    paths = [snapshot / "manifest.json", *(snapshot / "records").iterdir()]
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("seed", range(5))
def test_rebuilding_is_building(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    world = random_world(seed, members=30, records=150, sound=True)
    first, second = later_of(world, rng)
    stored = Stored(tmp_path)
    stored.replay(world.history[: first.known])
    content = stored.content(world.records, integer_ids=seed % 2 == 0)
    workspace = stored.workspace
    base = workspace.build(content, tmp_path / "base", at=first.at)
    stored.replay(world.history[first.known :])
    for member_id in sorted(world.erased):
        workspace.erase(member_id)
    known = workspace.ledger.size()
    rebuilt = workspace.rebuild(base.path, tmp_path / "rebuilt", at=second.at, known=known)
    built = workspace.build(content, tmp_path / "built", at=second.at, known=known)
    assert rebuilt.manifest.by_country == built.manifest.by_country
    assert read(rebuilt.path) == read(built.path)
    workspace.close()
