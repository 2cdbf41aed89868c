"""Law 3: lifting a hold changes no choice; notice days count only from actual service."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.model import REASON_BIT, Dated, Notice, Position, Reason, Source
from tests.differential.books import bound, instant, make_book, make_hold, make_rule, some
from tests.differential.engines import by_engine, member_facts
from tests.differential.stored import stored_world
from tests.world import (
    MICROSECOND,
    Ask,
    MemberLine,
    NoticeLine,
    RecordLine,
    asks,
    flat_world,
    random_world,
)

SEEDS = st.integers(0, 1 << 32)
ON_HOLD = REASON_BIT[Reason.ON_HOLD]
NOTICE = REASON_BIT[Reason.NOT_NOTIFIED] | REASON_BIT[Reason.NOTICE_PERIOD]
DAY = timedelta(days=1)


@settings(max_examples=100)
@given(seed=SEEDS)
def test_lifting_changes_no_choice_and_no_other_reason(seed: int) -> None:
    world, rng = random_world(seed), Random(seed)
    book = replace(world.latest.book, files={}, digest="")
    scope = rng.choice(["world", "HK", *(rule.scope for rule in book.rules)])
    hold = make_hold(scope, some(rng, 0.5, bound), hold_id="another")
    held = world.grown(replace(book, holds=(*book.holds, hold)))
    lifted = world.grown(replace(book, holds=(*book.holds, replace(hold, lifted=bound(rng)))))
    for at, _ in asks(world, seed, 3):
        asked = [Ask(at, held.size)]
        before, after = by_engine("definition", held, asked), by_engine("definition", lifted, asked)
        for one, other in zip(before[0], after[0], strict=True):
            assert one | ON_HOLD == other | ON_HOLD
            assert one & ON_HOLD >= other & ON_HOLD
        choices = [
            {who: facts.choice for who, facts in member_facts(one, one.latest, at).items()}
            for one in (held, lifted)
        ]
        assert choices[0] == choices[1]


def test_lifting_in_a_workspace_leaves_every_choice(tmp_path: Path) -> None:
    world = random_world(3, sound=True)
    stored = stored_world(world, tmp_path)
    workspace = stored.workspace
    members = sorted({line.member_id for line in world.latest.members} - world.erased)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    hold_id, _ = workspace.place_hold("world", begins=Dated(date(2025, 1, 1)), placed_by="platform")
    size = workspace.ledger.size()
    choices, _ = workspace.ledger.choices(size)
    said = [workspace.decide(member, at=at).choice for member in members]
    workspace.lift_hold(
        hold_id, lifted=Dated(date(2025, 6, 1)), source=Source("assumption"), position=Position.NONE
    )
    assert workspace.ledger.choices(size + 1)[0].equals(choices)
    assert [workspace.decide(member, at=at).choice for member in members] == said
    workspace.close()


@settings(max_examples=200)
@given(seed=SEEDS)
def test_notice_days_count_from_the_first_service_that_counts(seed: int) -> None:
    rng = Random(seed)
    days = rng.choice((0, 1, 14, 90))
    since = instant(rng) if rng.random() < 0.7 else None
    served = [
        near + rng.choice((-MICROSECOND, timedelta(), MICROSECOND))
        for near in (since or instant(rng), instant(rng), instant(rng))
    ][: rng.randint(0, 3)]
    rule = make_rule(notice=Notice(days, Dated(since) if since else None))
    # Neither the rule's beginning nor a hold that is lifted has a part in it.
    rule = replace(rule, begins=some(rng, 0.3, bound))
    hold = make_hold("world", some(rng, 0.5, bound), bound(rng))
    notices = [NoticeLine("1", moment) for moment in served]
    notices.append(NoticeLine("1", served[0] if served else instant(rng), outcome="bounced"))
    world = flat_world(
        make_book([rule], [hold]), [MemberLine("1", "HK", "1980")], [RecordLine("1", "1")],
        notices=notices,
    )  # fmt: skip
    counted = [moment for moment in served if since is None or since <= moment]
    ready_at = min(counted, default=None)
    for at in {*served, *(one + days * DAY for one in served), instant(rng)}:
        for beside in (-MICROSECOND, timedelta(), MICROSECOND):
            asked = Ask(at + beside, world.size)
            ((mask,),) = by_engine("definition", world, [asked])
            begun = not mask & REASON_BIT[Reason.NO_RULE]
            waited = ready_at is not None and at + beside >= max(ready_at, ready_at + days * DAY)
            assert bool(mask & NOTICE) == (begun and not waited)


def test_notice_days_for_the_engine() -> None:
    since = datetime(2025, 9, 1, tzinfo=UTC)
    rule = make_rule(notice=Notice(30, Dated(since)))
    served = [since + k * 5 * DAY + beside for k in range(4) for beside in (-MICROSECOND, 0 * DAY)]
    members = [MemberLine(str(number), "HK", "1980") for number in range(len(served))]
    world = flat_world(
        make_book([rule]), members,
        [RecordLine(line.member_id, line.member_id) for line in members],
        notices=[NoticeLine(str(number), moment) for number, moment in enumerate(served)],
    )  # fmt: skip
    asked = [
        Ask(served[-2] + 30 * DAY + beside, world.size)
        for beside in (-MICROSECOND, 0 * DAY, MICROSECOND)
    ]
    expected = [
        [moment >= since and at - moment >= 30 * DAY for moment in served] for at, _ in asked
    ]
    found = by_engine("duckdb-int", world, asked)
    assert [[mask == 0 for mask in masks] for masks in found] == expected
