"""The tools themselves: worlds reach everything, rulebooks survive their files, cutting cuts."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from sayso.model import REASONS, Place, Rule, reasons_of
from sayso.rulebook.check import check_files
from sayso.rulebook.parse import parse_rulebook
from tests.differential import case
from tests.differential.books import files_of, random_book
from tests.differential.engines import by_definition, by_engine
from tests.world import Ask, MemberLine, Members, World, asks, random_world


def test_worlds_reach_every_reason_and_admit() -> None:
    seen: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for seed in range(200):
        world = random_world(seed)
        for ask in asks(world, seed, 2):
            for mask in by_definition(world, ask):
                seen.update(map(str, reasons_of(mask)) if mask else ["admitted"])
                alone.update(map(str, reasons_of(mask)) if mask.bit_count() == 1 else [])
    assert set(seen) == {*map(str, REASONS), "admitted"}
    # Where no rule has begun, no category is listed; who is a minor wrote as a minor.
    assert {*alone, "NO_RULE", "UNDER_AGE"} == set(map(str, REASONS)), "each decides by itself"
    assert seen["admitted"] > 500


def test_a_seed_is_a_world() -> None:
    assert random_world(5) == random_world(5)
    assert random_world(5) != random_world(6)
    assert asks(random_world(5), 1, 3) == asks(random_world(5), 1, 3)


def bare(rule: Rule) -> Rule:
    return replace(rule, sources={}, place=Place("", 0))


@pytest.mark.parametrize("seed", range(10))
def test_a_rulebook_survives_its_files(seed: int) -> None:
    book = random_book(Random(seed), sound=seed % 2 == 0)
    again = parse_rulebook(files_of(replace(book, files={})))
    written = [bare(rule) for rule in again.rules]
    assert len(written) == len(book.rules)
    assert all(bare(rule) in written for rule in book.rules)
    assert [hold.begins for hold in again.holds] == [
        hold.begins for hold in sorted(book.holds, key=lambda one: one.place.file)
    ]
    assert set(again.groups) == set(book.groups)
    if seed % 2 == 0:
        assert check_files(book.files) == ()


def test_what_fails_is_cut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that forgets every closed account differs in one row about one member."""

    def forgetful(name: str, world: World, asked: list[Ask]) -> list[list[int]]:
        if name == "definition":
            return by_engine(name, world, asked)
        rows = tuple(line for line in world.latest.members if line.status != "closed")
        open_only = world.grown(Members(rows))
        return by_engine("definition", open_only, [Ask(at, open_only.size) for at, _ in asked])

    monkeypatch.setattr(case, "by_engine", forgetful)
    world = random_world(1, members=30)
    rows = tuple(replace(line, status="closed") for line in world.latest.members[:9])
    world = world.grown(Members((*rows, *world.latest.members[9:])))
    ask = next(
        ask
        for ask in (Ask(one.at, world.size) for one in asks(world, 2, 50))
        if forgetful("forgetful", world, [ask]) != by_engine("definition", world, [ask])
    )
    text = case.told(world, ask, "forgetful")
    assert text.count('"record_id"') == 1
    assert text.count('"member_id"') <= 2 + 1
    assert "closed" in text


def test_a_kept_case_is_a_case(tmp_path: Path) -> None:
    world = random_world(3, records=3, sound=True)
    asked = asks(world, 3, 2)
    expected = [case.Expected(ask, tuple(by_definition(world, ask))) for ask in asked]
    path = case.keep_case(case.case_text("title", "why", world, expected), tmp_path)
    found = case.load_case(path)
    assert found.world.records == world.records
    for ask, masks in found.expected:
        assert by_definition(found.world, ask) == list(masks)
    assert MemberLine in {type(line) for line in found.world.latest.members}
