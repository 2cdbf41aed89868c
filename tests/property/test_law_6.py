"""Law 6: order of arrival and duplicates do not matter; where entries tie, `off` wins."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.model import REASON_BIT, Choice, Reason
from tests.differential.engines import by_engine
from tests.differential.stored import stored_world
from tests.world import Ask, ChoiceLine, Entry, Members, Notices, World, asks, random_world

SEEDS = st.integers(0, 1 << 32)
CHOSEN_OFF = REASON_BIT[Reason.CHOSEN_OFF]


def shuffled(world: World, rng: Random, *, twice: bool = True) -> World:
    """Return the world as held now, from entries and rows in another order, some twice."""
    held = world.latest

    def again(rows: list[Entry]) -> list[Entry]:
        more = [*rows, *rng.sample(rows, len(rows) // 2)] if twice else list(rows)
        rng.shuffle(more)
        return more

    members = [*held.members, *(rng.sample(held.members, len(held.members) // 2) if twice else ())]
    notices = [*held.notices, *(rng.sample(held.notices, len(held.notices) // 2) if twice else ())]
    rng.shuffle(members)
    rng.shuffle(notices)
    history: list[Entry] = again(list(held.choices))
    for table in (Members(tuple(members)), Notices(tuple(notices))):
        history.insert(rng.randrange(len(history) + 1), table)
    return replace(world, history=(held.book, *history))


@settings(max_examples=100)
@given(seed=SEEDS)
def test_order_and_duplicates(seed: int) -> None:
    world = random_world(seed)
    other = shuffled(world, Random(seed))
    for at, _ in asks(world, seed, 3):
        assert by_engine("definition", world, [Ask(at, world.size)]) == by_engine(
            "definition", other, [Ask(at, other.size)]
        )


@pytest.mark.parametrize("engine", ["duckdb-int", "duckdb-text"])
def test_order_and_duplicates_for_the_engine(engine: str) -> None:
    world = random_world(5, records=200)
    other = shuffled(world, Random(5))
    at = asks(world, 5, 1)[0].at
    assert by_engine(engine, world, [Ask(at, world.size)]) == by_engine(
        engine, other, [Ask(at, other.size)]
    )


def test_order_in_a_workspace(tmp_path: Path) -> None:
    world = random_world(9, records=100, sound=True)
    other = shuffled(world, Random(9), twice=False)
    ask = asks(world, 9, 1)[0]
    found = []
    for number, (one, bulk) in enumerate([(world, False), (other, True)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        stored = stored_world(one, folder, bulk=bulk)
        found.append(stored.masks(one.records, Ask(ask.at, one.size), integer_ids=bulk))
        stored.workspace.close()
    assert found[0] == found[1] == by_engine("definition", world, [Ask(ask.at, world.size)])[0]


def offs_beside(world: World, rng: Random) -> World:
    """Return the world in which every `on` has an `off` of the same instant, somewhere."""
    history = list(world.history)
    for line in world.latest.choices:
        if line.choice is Choice.ON and line.purpose == world.purpose:
            off = ChoiceLine(line.member_id, Choice.OFF, line.effective_at)
            history.insert(rng.randrange(3, len(history) + 1), off)
    return replace(world, history=tuple(history))


@settings(max_examples=100)
@given(seed=SEEDS)
def test_off_wins_where_entries_tie(seed: int) -> None:
    world = offs_beside(random_world(seed), Random(seed))
    for at, _ in asks(world, seed, 3):
        said = {who for who, moment in ons_of(world) if moment <= at} - world.erased
        (masks,) = by_engine("definition", world, [Ask(at, world.size)])
        for record, mask in zip(world.records, masks, strict=True):
            if record.member_id in said:
                assert mask & CHOSEN_OFF


def ons_of(world: World) -> list[tuple[str, datetime]]:
    return [
        (line.member_id, line.effective_at)
        for line in world.latest.choices
        if line.choice is Choice.ON and line.purpose == world.purpose
    ]
