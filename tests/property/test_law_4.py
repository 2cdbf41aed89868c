"""Law 4: `deferred` never admits what was not admitted without it, and never undoes an `off`."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.model import Choice
from tests.differential.engines import by_engine
from tests.world import Ask, ChoiceLine, World, asks, random_world

SEEDS = st.integers(0, 1 << 32)


def deferring(world: World, rng: Random) -> World:
    """Return the world after many members have put the question off, at any time."""
    ids = sorted({record.member_id for record in world.records if record.member_id})
    moments = [line.effective_at for line in world.latest.choices]
    moments += [record.written_at for record in world.records if record.written_at]
    return world.grown(
        *(ChoiceLine(rng.choice(ids), Choice.DEFERRED, rng.choice(moments)) for _ in range(12))
    )


@settings(max_examples=100)
@given(seed=SEEDS)
def test_deferring_changes_no_reason(seed: int) -> None:
    world = random_world(seed)
    more = deferring(world, Random(seed))
    for at, _ in asks(world, seed, 3):
        assert by_engine("definition", world, [Ask(at, world.size)]) == by_engine(
            "definition", more, [Ask(at, more.size)]
        )


@pytest.mark.parametrize("engine", ["duckdb-int", "duckdb-text"])
def test_deferring_changes_no_reason_for_the_engine(engine: str) -> None:
    world = random_world(11, records=200)
    more = deferring(world, Random(11))
    at = asks(world, 11, 1)[0].at
    assert by_engine(engine, world, [Ask(at, world.size)]) == by_engine(
        engine, more, [Ask(at, more.size)]
    )
