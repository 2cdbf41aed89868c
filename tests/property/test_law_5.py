"""Law 5: the answer at (at, known) never changes as the ledger grows.

Except for an erased member, who is refused at every (at, known).
"""

from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.model import REASON_BIT, Choice, Dated, Reason, Rulebook
from tests.differential.books import edited_book, instant
from tests.differential.engines import by_engine
from tests.differential.stored import Stored
from tests.world import Ask, ChoiceLine, World, asks, random_world

ERASED = REASON_BIT[Reason.MEMBER_ERASED]
SEEDS = st.integers(0, 1 << 32)


@settings(max_examples=100)
@given(seed=SEEDS)
def test_what_comes_later_changes_nothing(seed: int) -> None:
    world, other = random_world(seed), random_world(seed + 1)
    asked = asks(world, seed, 3)
    grown = world.grown(*other.history)
    assert by_engine("definition", world, asked) == by_engine("definition", grown, asked)


def grow(stored: Stored, world: World, rng: Random) -> None:
    """Let a workspace grow in every way there is, by what bears on old instants as well."""
    workspace = stored.workspace
    later = random_world(rng.randrange(1 << 32), sound=True)
    stored.seal()
    book = edited_book(rng, world.latest.book, sound=True)
    stored.replay(
        [book, *(one for one in later.history if not isinstance(one, Rulebook))], bulk=True
    )
    ids = sorted({record.member_id for record in world.records if record.member_id})
    offs = [ChoiceLine(who, Choice.OFF, instant(rng)) for who in ids]
    stored.replay(offs[::2], bulk=True)
    stored.replay(offs[1::2])
    stored.seal()
    workspace.place_hold("world", begins=Dated(date(2000, 1, 1)), placed_by="platform")


@pytest.mark.parametrize("seed", [1, 3])
def test_a_workspace_that_grows(seed: int, tmp_path: Path) -> None:
    world, rng = random_world(seed, records=100, sound=True), Random(seed)
    stored = Stored(tmp_path)
    stored.replay(world.history)
    asked = most_admitting(world, asks(world, seed, 12), 3)
    before = [stored.masks(world.records, ask, integer_ids=True) for ask in asked]
    assert before == by_engine("definition", World(world.history, world.records), asked)
    content = stored.content(world.records, integer_ids=True)
    last = asked[0]
    known = stored.known(last.known)
    first = stored.workspace.build(content, tmp_path / "first", at=last.at, known=known)

    grow(stored, world, rng)
    assert [stored.masks(world.records, ask, integer_ids=True) for ask in asked] == before
    second = stored.workspace.build(content, tmp_path / "second", at=last.at, known=known)
    assert second.manifest.digest == first.manifest.digest
    assert _records_of(tmp_path / "second") == _records_of(tmp_path / "first")

    erased = next(r.member_id for r, mask in zip(world.records, before[0], strict=True) if not mask)
    assert erased
    stored.workspace.erase(erased)
    for ask, masks in zip(asked, before, strict=True):
        found = stored.masks(world.records, ask, integer_ids=True)
        for record, mask, now in zip(world.records, masks, found, strict=True):
            if record.member_id == erased:
                assert now & ERASED
            else:
                assert now == mask
    third = stored.workspace.build(content, tmp_path / "third", at=last.at, known=known)
    gone = [record.member_id == erased for record in world.records]
    kept = [mask for mask, erased_one in zip(before[0], gone, strict=True) if not erased_one]
    assert 0 < third.manifest.counts.admitted == kept.count(0)
    assert third.manifest.counts.reasons["MEMBER_ERASED"] == sum(gone)
    stored.workspace.close()


def most_admitting(world: World, asked: list[Ask], count: int) -> list[Ask]:
    plain = replace(world, erased=frozenset())
    found = by_engine("definition", plain, asked)
    ranked = sorted(zip(found, asked, strict=True), key=lambda one: -one[0].count(0))
    return [ask for _, ask in ranked[:count]]


def _records_of(snapshot: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (snapshot / "records").iterdir()}
