"""Law 1: nothing known about a member or a rule: not admitted."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.model import REASON_BIT, Reason
from tests.differential.books import make_book, make_rule
from tests.differential.engines import by_engine
from tests.world import Ask, Members, RecordLine, World, asks, flat_world, random_world

SEEDS = st.integers(0, 1 << 32)


def without_rules(world: World) -> World:
    return world.grown(make_book((), world.latest.book.holds, [*world.latest.book.groups.values()]))


def without_members(world: World) -> World:
    return world.grown(Members(()))


def without_countries(world: World) -> World:
    rng = Random(0)
    rows = tuple(
        replace(line, country=rng.choice((None, "", "XX", "world", "EEA")))
        for line in world.latest.members
    )
    return world.grown(Members(rows))


def of_another_purpose(world: World) -> World:
    return replace(world, purpose="a-purpose-that-no-rule-names")


Forget = Callable[[World], World]
NOTHING_KNOWN: dict[Forget, Reason] = {
    without_rules: Reason.NO_RULE,
    without_members: Reason.MEMBER_UNKNOWN,
    without_countries: Reason.JURISDICTION_UNKNOWN,
    of_another_purpose: Reason.NO_RULE,
}


@pytest.mark.parametrize("forget", NOTHING_KNOWN, ids=lambda one: one.__name__)
@settings(max_examples=60)
@given(seed=SEEDS)
def test_nothing_is_admitted(forget: Forget, seed: int) -> None:
    world = forget(random_world(seed))
    asked = [Ask(at, world.size) for at, _ in asks(world, seed, 3)]
    why = REASON_BIT[NOTHING_KNOWN[forget]]
    elsewhere = REASON_BIT[Reason.MEMBER_UNKNOWN] | REASON_BIT[Reason.MEMBER_ERASED]
    elsewhere |= REASON_BIT[Reason.JURISDICTION_UNKNOWN]
    for masks in by_engine("definition", world, asked):
        assert all(mask & (why | elsewhere) for mask in masks)


@pytest.mark.parametrize("forget", NOTHING_KNOWN, ids=lambda one: one.__name__)
def test_nothing_is_admitted_by_the_engine(forget: Forget) -> None:
    world = forget(random_world(7, records=80))
    (masks,) = by_engine("duckdb-text", world, [Ask(asks(world, 7, 1)[0].at, world.size)])
    assert 0 not in masks


@settings(max_examples=60)
@given(seed=SEEDS)
def test_a_member_without_a_row_is_refused(seed: int) -> None:
    world = random_world(seed)
    for ask in asks(world, seed, 3):
        known = {line.member_id for line in world.as_of(ask.known).members}
        for record, mask in zip(
            world.records, by_engine("definition", world, [ask])[0], strict=True
        ):
            if record.member_id not in known:
                assert mask & (REASON_BIT[Reason.MEMBER_UNKNOWN] | REASON_BIT[Reason.MEMBER_ERASED])


def test_an_empty_world_admits_nothing() -> None:
    world = flat_world(
        make_book([make_rule()]), records=[RecordLine("1", "1"), RecordLine(None, None)]
    )
    ask = asks(world, 1, 1)[0]
    for engine in ("definition", "duckdb-int", "duckdb-text"):
        assert 0 not in by_engine(engine, world, [Ask(ask.at, world.size)])[0]
