"""Cedar's answers against the definition's: allow or deny, cell by cell and world by world."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

import cedarpy
import pytest

from sayso.decision.cells import UNNAMED_CONTEXT
from sayso.decision.one import decide
from sayso.model import (
    DEFAULT_PURPOSE,
    Country,
    Facts,
    Notice,
    Presence,
    Rulebook,
    first_midnight,
    last_midnight,
)
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.rulebook.in_force import in_force
from tests.differential.books import LIVED_IN, make_book, make_rule, random_book
from tests.differential.case import template
from tests.differential.cedar import allowed, day_begins_at, policies_of, request_of
from tests.differential.cells import rows_of
from tests.differential.engines import facts_of
from tests.world import asks, boundaries, flat_world, random_world

# One for every scope of the story: the world's rule answers for US.
STORY = ("HK", "GB", "DE", "CH", "CA", "US")
INSTANTS = (
    "2024-09-17T15:59:59.999999", "2024-09-17T16:00:00", "2024-10-10T15:59:59.999999",
    "2024-10-10T16:00:00", "2025-11-02T15:59:59.999999", "2025-11-02T16:00:00",
    "2025-11-02T23:59:59.999999", "2025-11-03T08:00:00",
)  # fmt: skip


def contexts_of(book: Rulebook) -> tuple[str | None, ...]:
    named = {context for rule in book.rules for context in rule.excluded_contexts}
    return (*sorted(named), UNNAMED_CONTEXT, None)


def country_of(facts: Facts) -> str | None:
    law = facts.member.jurisdiction
    return law.country if law and facts.member.presence is Presence.KNOWN else None


def check(policies: cedarpy.PolicySet, asked: Sequence[Facts]) -> int:
    """Compare; return how many are allowed."""
    defined = [decide(facts).allow for facts in asked]
    found = allowed(policies, [request_of(facts, country_of(facts)) for facts in asked])
    apart = [facts for facts, one, other in zip(asked, defined, found, strict=True) if one != other]
    assert not apart, apart[0]
    return sum(defined)


@pytest.mark.parametrize("at", INSTANTS)
def test_every_cell_of_the_story(at: str) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    book = template()
    policies = policies_of(book, DEFAULT_PURPOSE, STORY)
    current = in_force(book, DEFAULT_PURPOSE, moment)
    for country in (*STORY, None):
        rows = rows_of(current.jurisdiction(country), contexts_of(book), moment)
        asked = [Facts(moment, row.member.facts, row.record) for row in rows]
        if not any(decide(facts).allow for facts in asked):
            asked = asked[::10]  # nothing can be allowed; a tenth shows that nothing is
        check(policies, asked)


def test_something_is_allowed() -> None:
    """The comparison is not of nothing with nothing."""
    moment = datetime(2025, 11, 3, 8, tzinfo=UTC)
    policies = policies_of(template(), DEFAULT_PURPOSE, STORY)
    law = in_force(template(), DEFAULT_PURPOSE, moment).jurisdiction("GB")
    rows = rows_of(law, contexts_of(template()), moment)
    assert check(policies, [Facts(moment, row.member.facts, row.record) for row in rows]) > 10


@pytest.mark.parametrize("seed", range(8))
def test_cells_of_random_rulebooks(seed: int) -> None:
    rng = Random(seed)
    book = random_book(rng)
    countries = rng.sample(LIVED_IN, 3)
    policies = policies_of(book, DEFAULT_PURPOSE, countries)
    moments = sorted(boundaries(flat_world(book))) or [datetime(2025, 6, 1, tzinfo=UTC)]
    for country in countries:
        for _ in range(2):
            at = rng.choice(moments) + timedelta(microseconds=rng.choice((-1, 0, 1)))
            law = in_force(book, DEFAULT_PURPOSE, at).jurisdiction(country)
            rows = rows_of(law, contexts_of(book), at)
            some = rng.sample(rows, min(400, len(rows)))
            # Any member with any record: the product of both, at random.
            pairs = [(rng.choice(some).member, rng.choice(some).record) for _ in range(200)]
            pairs += [(row.member, row.record) for row in some]
            check(policies, [Facts(at, member.facts, record) for member, record in pairs])


def test_random_worlds() -> None:
    admitted = 0
    for seed in range(40):
        world = random_world(seed)
        for ask in asks(world, seed, 2):
            policies = policies_of(world.as_of(ask.known).book, DEFAULT_PURPOSE, LIVED_IN)
            admitted += check(policies, facts_of(world, ask))
    assert admitted > 50


# ---- that Cedar denies where it cannot tell ---------------------------------------------


@pytest.mark.parametrize("key", ["choice", "status", "years", "isSingle", "at", "served0"])
@pytest.mark.parametrize("odd", ["missing", "odd", -1, None, []])
def test_what_the_schema_does_not_know_is_denied(key: str, odd: object) -> None:
    moment = datetime(2025, 6, 1, tzinfo=UTC)
    book = make_book([make_rule(notice=Notice(0))])
    policies = policies_of(book, DEFAULT_PURPOSE, ["HK"])
    law = in_force(book, DEFAULT_PURPOSE, moment).jurisdiction("HK")
    asked = [
        Facts(moment, row.member.facts, row.record)
        for row in rows_of(law, contexts_of(book), moment)
    ]
    request = request_of(next(facts for facts in asked if decide(facts).allow), "HK")
    assert allowed(policies, [request]) == [True]
    request["context"][key] = odd
    if odd == "missing":
        del request["context"][key]
    if (key, odd) != ("served0", -1):  # in 1969: early enough where no days are asked
        assert allowed(policies, [request]) == [False]


@pytest.mark.parametrize("country", [*sorted(COUNTRIES)[::5], "LB", "CU", "WS", "CL", "EG", "US"])
def test_midnights_are_found_alike(country: str) -> None:
    zones = zones_of(Country(country))
    days = [date(2011, 12, 30), date(2024, 9, 8), date(2025, 3, 9), date(2025, 3, 30)]
    days += [date(1970, 1, 1), date(2025, 4, 25), date(2025, 11, 3)]
    for day in days:
        begins = [day_begins_at(day, zone) for zone in zones]
        assert first_midnight(day, zones) == min(begins), day
        assert last_midnight(day, zones) == max(begins), day
