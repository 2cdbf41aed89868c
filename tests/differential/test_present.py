"""The present against the workspace's own answers: after every entry, and as time goes by."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sayso.decision.many import decide_many
from sayso.errors import InputError
from sayso.model import DEFAULT_PURPOSE
from sayso.present import Present
from sayso.present.folded import Folded, fold_everybody
from tests.differential.books import OTHER_PURPOSE
from tests.differential.engines import content_table
from tests.differential.stored import Stored, stored_world
from tests.world import World, boundaries, random_world

MICROSECOND = timedelta(microseconds=1)
NOBODY = "nobody at all"
# Members whose single answers are compared at a time; the workspace takes its time.
ASKED = 1


def people(world: World) -> list[str]:
    """Return every id of a world, and one that it lacks."""
    ids = {one.member_id for one in world.records if one.member_id}
    return [*sorted(ids | world.erased), NOBODY]


def agree(stored: Stored, present: Present, world: World, purpose: str, turn: int) -> None:
    """Hold the present against the workspace, for some of the members and every record."""
    workspace, at = stored.workspace, stored.clock.now
    everybody = people(world)
    for number in range(ASKED):
        who = everybody[(turn * ASKED + number) % len(everybody)]
        assert present.decide(who, purpose=purpose) == workspace.decide(who, purpose=purpose)
    table = content_table(world.records, integer_ids=turn % 2 == 0)
    found = present.decide_many(table, purpose=purpose).masks.tolist()
    assert found == workspace.decide_many(table, purpose=purpose, at=at).masks.tolist()


def opened(stored: Stored) -> Iterator[Present]:
    present = Present(stored.workspace)
    yield present
    present.close()
    stored.workspace.close()


@pytest.mark.parametrize("seed", range(2))
def test_after_every_entry(seed: int, tmp_path: Path) -> None:
    world = random_world(seed, records=12, sound=True)
    stored = Stored(tmp_path)
    moment = max(world.focus)
    for present in opened(stored):
        for number, entry in enumerate(world.history):
            stored.replay([entry], bulk=(number + seed) % 3 == 0)
            stored.clock.now = moment
            if number % 3 == 0:
                agree(stored, present, world, DEFAULT_PURPOSE, number)
            if number % 8 == 4:
                stored.seal()
                stored.clock.now = moment
                agree(stored, present, world, DEFAULT_PURPOSE, number + 1)
        for turn, who in enumerate([*people(world)[:2], NOBODY]):
            stored.workspace.erase(who)
            assert not present.decide(who).decision.allow
            agree(stored, present, world, DEFAULT_PURPOSE, turn)
        agree(stored, present, world, OTHER_PURPOSE, 0)
        for ask in (present.decide, stored.workspace.decide):
            with pytest.raises(InputError, match="unknown purpose"):
                ask("7", purpose="a purpose that no rulebook declares")


@pytest.mark.parametrize("seed", range(1, 2))
def test_as_time_goes_by(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = random_world(seed, records=12, sound=True)
    stored = stored_world(world, tmp_path, bulk=seed % 2 == 0)
    folds = 0

    def count(*given: Any) -> Folded:
        nonlocal folds
        folds += 1
        return fold_everybody(*given)

    monkeypatch.setattr("sayso.present.fold_everybody", count)
    moments = sorted(boundaries(world))[:: 1 + len(boundaries(world)) // 5]
    for present in opened(stored):
        for turn, moment in enumerate(moments):
            for at in (moment - MICROSECOND, moment, moment + MICROSECOND):
                stored.clock.now = at
                agree(stored, present, world, DEFAULT_PURPOSE, turn)
        stored.clock.now = moments[0]  # a clock may be set back
        agree(stored, present, world, DEFAULT_PURPOSE, 0)
    assert folds <= 2 * len(moments) + 1  # nothing changes just before a moment


def test_mended_states_are_those_of_a_fold(tmp_path: Path) -> None:
    world = random_world(5, records=30, sound=True)
    stored = stored_world(world, tmp_path)
    table = content_table(world.records, integer_ids=False)
    for present in opened(stored):
        stored.clock.now = max(world.focus)
        present.decide_many(table)
        for who in people(world)[:-1]:
            if who not in world.erased:
                stored.workspace.choose(who, "off")
        stored.workspace.choose("somebody new", "off")
        found = decide_many(table, present.states()).masks.tolist()
        assert found == stored.workspace.decide_many(table).masks.tolist()
        ids = present.states().ids.to_pylist()
        assert ids == sorted(ids, key=str.encode)
        assert "somebody new" in ids
