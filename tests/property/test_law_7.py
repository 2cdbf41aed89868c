"""Law 7: `decide_many(rows) == [decide(r) for r in rows]`.

For every engine, over every cell and at every boundary instant. Cells: every reachable class
of members and of records has an invented one, whose decision must equal what the tables say
and what the engine gives. Instants: random worlds are asked at every bound that stands in
them, and a microsecond beside it.
"""

from datetime import UTC, datetime
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.decision.cells import PRESENCES, Cells
from sayso.decision.many import decide_many
from sayso.decision.one import decide
from sayso.decision.states import STANDING_SCHEMA, classify_members
from sayso.model import (
    DEFAULT_PURPOSE,
    Facts,
    Presence,
    Rulebook,
    mask_of,
)
from tests.differential.books import random_book
from tests.differential.case import template, told
from tests.differential.cells import Row, rows_of
from tests.differential.engines import by_engine, cells_of, content_table, integer_world
from tests.world import Ask, RecordLine, World, asks, boundaries, flat_world, random_world

INSTANTS = (
    "2024-09-17T16:00:00", "2024-10-10T15:59:59.999999", "2025-11-02T16:00:00",
    "2025-11-03T12:00:00",
)  # fmt: skip


def masks_of(rows: list[Row], at: datetime) -> list[int]:
    return [mask_of(decide(Facts(at, row.member.facts, row.record)).reasons) for row in rows]


def tabulated(rows: list[Row], cells: Cells, profile: int) -> list[int]:
    unknown = PRESENCES.index(Presence.KNOWN)
    found = []
    for row in rows:
        # A member of whom no country is known falls into the first profile.
        place = profile if row.member.place[0] == unknown else 0
        what = cells.what[place].reshape(-1)[row.what]
        when = cells.when[place][row.when]
        found.append(int(cells.member[(place, *row.member.place)] | what | when))
    return found


def engine(rows: list[Row], cells: Cells, country: str | None, *, integer_ids: bool) -> list[int]:
    known = [row.member.facts.presence is Presence.KNOWN for row in rows]
    standing = pa.table(
        {
            "member_id": pa.array([str(place) for place in range(len(rows))]),
            "presence": [row.member.facts.presence.value for row in rows],
            "country": [country if here else None for here in known],
            "born": [row.member.facts.born for row in rows],
            "status": [row.member.facts.status for row in rows],
            "choice": [row.member.facts.choice for row in rows],
            "notice": [row.member.place[2] for row in rows],
        },
        schema=STANDING_SCHEMA,
    )
    content = content_table(
        [
            RecordLine(
                record_id=str(place) if row.record.is_single else None,
                member_id=str(place),
                category=row.record.category,
                visibility=row.record.visibility,
                authorship=row.record.authorship,
                context=row.record.context,
                mentions=MENTIONED[row.record.mentions],
                written_at=row.record.written_at,
                deleted_at=row.record.deleted_at,
            )
            for place, row in enumerate(rows)
        ],
        integer_ids=integer_ids,
    )
    states = classify_members(cells, standing, integer_ids=integer_ids)
    found: list[int] = decide_many(content, states).masks.tolist()
    return found


MENTIONED: dict[bool | None, tuple[str, ...] | None] = {
    None: None,
    False: (),
    True: ("Invented Person",),
}


def check_cells(book: Rulebook, at: datetime) -> int:
    """Check every cell of every profile; return how many rows that took."""
    cells = cells_of(book, DEFAULT_PURPOSE, at)
    checked = 0
    for place, profile in enumerate(cells.profiles):
        country = profile.countries[0] if profile.countries else None
        rows = rows_of(profile.jurisdiction, cells.contexts, at)
        defined = masks_of(rows, at)
        assert tabulated(rows, cells, place) == defined
        assert engine(rows, cells, country, integer_ids=place % 2 == 0) == defined
        checked += len(rows)
    return checked


@pytest.mark.parametrize("at", INSTANTS)
def test_every_cell_of_the_story(at: str) -> None:
    checked = check_cells(template(), datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert checked > 4 * 4032, "four profiles at least, and every cell of what a record is"


@settings(max_examples=3)
@given(seed=st.integers(0, 1 << 32))
def test_every_cell_of_a_random_rulebook(seed: int) -> None:
    rng = Random(seed)
    book = random_book(rng)
    moments = sorted(boundaries(flat_world(book)))
    check_cells(book, rng.choice(moments))


@settings(max_examples=8)
@given(seed=st.integers(0, 1 << 32))
def test_every_engine_at_boundary_instants(seed: int) -> None:
    world = random_world(seed, records=80, odd_ids=seed % 3 == 0)
    asked = asks(world, seed, 2)
    agree("duckdb-text", world, asked)
    agree("duckdb-int", integer_world(world), asked)


def agree(engine: str, world: World, asked: list[Ask]) -> None:
    found = by_engine(engine, world, asked)
    for ask, defined, masks in zip(
        asked, by_engine("definition", world, asked), found, strict=True
    ):
        assert masks == defined, told(world, ask, engine)
