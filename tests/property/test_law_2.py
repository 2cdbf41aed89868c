"""Law 2: adding an `off`, a hold, or an unknown never enlarges the admitted set.

Two unknowns are none of these. Where `written_at` alone is missing, `first_seen_at` is the
writing time. Where one of two records of one id loses it, the other stands alone.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.model import EVERY_PURPOSE, Choice
from tests.differential.books import bound, make_hold, some, weighted
from tests.differential.engines import by_engine
from tests.world import (
    ODD_COUNTRIES,
    ODD_SINCES,
    Ask,
    ChoiceLine,
    Members,
    Notices,
    World,
    asks,
    random_world,
)

SEEDS = st.integers(0, 1 << 32)
# Not those that are only odd at some instants (in the future, too long ago).
NO_BIRTHS = (None, "", "2001-02-30", "0000", "19x0")


def an_off(world: World, rng: Random, at: datetime) -> World:
    said_at = rng.choice((at, at, bound_instant(rng, world, at)))
    member_id = rng.choice([record.member_id or "1" for record in world.records])
    purpose = rng.choice((world.purpose, EVERY_PURPOSE))
    return world.grown(
        ChoiceLine(member_id, Choice.OFF, said_at, purpose, rng.choice((None, "HK")))
    )


def bound_instant(rng: Random, world: World, at: datetime) -> datetime:
    return rng.choice([record.written_at or at for record in world.records])


def a_hold(world: World, rng: Random, at: datetime) -> World:
    book = world.latest.book
    scopes = ["world", "HK", "US", *book.groups, *(rule.scope for rule in book.rules)]
    purpose = weighted(rng, {world.purpose: 3, EVERY_PURPOSE: 1})
    hold = make_hold(
        rng.choice(scopes), some(rng, 0.5, bound), some(rng, 0.3, bound),
        purposes=frozenset({purpose}), hold_id="another",
    )  # fmt: skip
    return world.grown(replace(book, holds=(*book.holds, hold), files={}, digest=""))


def an_unknown_of_a_member(world: World, rng: Random, at: datetime) -> World:
    rows = list(world.latest.members)
    if not rows:
        return world
    place = rng.randrange(len(rows))
    row = rows[place]
    rows[place] = rng.choice(
        (
            replace(row, country=rng.choice(ODD_COUNTRIES)),
            replace(row, birth_date=rng.choice(NO_BIRTHS)),
            replace(row, status=rng.choice(("Active", "zzz"))),
            replace(row, since=rng.choice(ODD_SINCES)),
        )
    )
    return world.grown(Members(tuple(rows)))


def an_unknown_notice(world: World, rng: Random, at: datetime) -> World:
    rows = list(world.latest.notices)
    if rows:
        place = rng.randrange(len(rows))
        if rng.random() < 0.5:
            rows[place] = replace(rows[place], outcome="bounced")
        else:
            del rows[place]
    return world.grown(Notices(tuple(rows)))


def an_unknown_of_a_record(world: World, rng: Random, at: datetime) -> World:
    records = list(world.records)
    place = rng.randrange(len(records))
    unknown: list[dict[str, object]] = [
        {"record_id": None}, {"record_id": records[0].record_id}, {"member_id": None},
        {"category": None}, {"visibility": "secret"}, {"authorship": None}, {"context": None},
        {"mentions": None}, {"written_at": None, "first_seen_at": None},
    ]  # fmt: skip
    ids = [record.record_id for record in records]
    if ids.count(ids[place]) > 1:
        del unknown[:2]
    records[place] = replace(records[place], **rng.choice(unknown))  # type: ignore[arg-type]
    return replace(world, records=tuple(records))


Addition = Callable[[World, Random, datetime], World]
ADDITIONS: tuple[Addition, ...] = (
    an_off, a_hold, an_unknown_of_a_member, an_unknown_notice, an_unknown_of_a_record,
)  # fmt: skip


def admitted(engine: str, world: World, at: datetime) -> set[int]:
    (masks,) = by_engine(engine, world, [Ask(at, world.size)])
    return {place for place, mask in enumerate(masks) if not mask}


@settings(max_examples=150)
@given(seed=SEEDS)
def test_nothing_that_is_added_enlarges(seed: int) -> None:
    world, rng = random_world(seed), Random(seed)
    at = asks(world, seed, 1)[0].at
    before = admitted("definition", world, at)
    for add in (*ADDITIONS, *ADDITIONS):
        world = add(world, rng, at)
        after = admitted("definition", world, at)
        assert after <= before, add.__name__
        before = after


@settings(max_examples=2)
@given(seed=SEEDS)
def test_nothing_that_is_added_enlarges_for_the_engine(seed: int) -> None:
    world, rng = random_world(seed, records=200), Random(seed)
    at = asks(world, seed, 1)[0].at
    before = admitted("duckdb-text", world, at)
    for add in ADDITIONS:
        world = add(world, rng, at)
        after = admitted("duckdb-text", world, at)
        assert after <= before, add.__name__
        before = after


def test_there_is_something_to_enlarge() -> None:
    worlds = [random_world(seed) for seed in range(40)]
    found = [admitted("definition", one, asks(one, 1, 1)[0].at) for one in worlds]
    assert sum(map(bool, found)) > 10
