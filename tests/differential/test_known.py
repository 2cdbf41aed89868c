"""Every size of a ledger, one after another: half a segment is no more than was known."""

from datetime import datetime
from pathlib import Path

import pytest

from sayso.model import Choice
from tests.differential.books import make_book, make_rule
from tests.differential.engines import by_engine
from tests.differential.stored import Stored
from tests.world import Ask, ChoiceLine, MemberLine, RecordLine, World, flat_world

AT = datetime.fromisoformat("2025-06-01T00:00:00Z")
MEMBERS = 8


def growing() -> World:
    """Return a world in which every choice changes an answer."""
    members = [MemberLine(str(number), "HK", "1980") for number in range(MEMBERS)]
    records = [RecordLine(line.member_id, line.member_id) for line in members]
    choices = [
        ChoiceLine(str(number), said, AT.replace(day=1, month=month))
        for month, said in ((1, Choice.OFF), (2, Choice.ON))
        for number in range(MEMBERS)
    ]
    return flat_world(make_book([make_rule()]), members, records, choices)


@pytest.mark.parametrize("engine", ["duckdb-int", "duckdb-text"])
def test_every_size(engine: str) -> None:
    world = growing()
    asked = [Ask(AT, known) for known in range(2, world.size + 1)]
    defined = by_engine("definition", world, asked)
    assert by_engine(engine, world, asked) == defined
    assert len(set(map(tuple, defined))) == 2 * MEMBERS


def test_every_size_of_a_sealed_ledger(tmp_path: Path) -> None:
    world = growing()
    stored = Stored(tmp_path)
    first = 3 + MEMBERS // 2
    stored.replay(world.history[:first])
    stored.seal()
    stored.replay(world.history[first : first + MEMBERS])
    stored.seal()
    stored.replay(world.history[first + MEMBERS :])
    asked = [Ask(AT, known) for known in range(3, world.size + 1)]
    found = [stored.masks(world.records, ask, integer_ids=True) for ask in asked]
    assert found == by_engine("definition", world, asked)
    for ask in asked[::3]:
        decided = [
            not stored.workspace.decide(
                str(who), at=AT, known=stored.known(ask.known)
            ).decision.reasons
            for who in range(MEMBERS)
        ]
        assert decided == [mask == 0 for mask in by_engine("definition", world, [ask])[0]]
    stored.workspace.close()
