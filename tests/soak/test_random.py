"""A million random cases: a rulebook, a history, an instant, what was known, and a record.

Each world comes with its own rulebooks and history, is asked at several (at, known), mostly
at the instants at which something turns, and every record is decided by the definition and
by the engine. A disagreement is cut down and written to `tests/differential/cases`, where
`test_cases.py` replays it from then on.

Run by `make soak`; `SAYSO_SOAK_CASES` (default 1,000,000) and `SAYSO_SOAK_SEED` (default 0)
choose how many and which.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sayso.model import REASONS, reasons_of
from tests.differential.case import keep_case, told
from tests.differential.engines import Loaded, by_definition, integer_world
from tests.world import Ask, World, asks, random_world

CASES = int(os.environ.get("SAYSO_SOAK_CASES", "1000000"))
SEED = int(os.environ.get("SAYSO_SOAK_SEED", "0"))
MEMBERS, RECORDS, ASKS = 150, 1500, 3
# Failures that are cut down and written; more are only counted.
KEPT = 5


def worlds() -> Iterator[tuple[str, World, list[Ask]]]:
    """Yield an engine, a world that it can hold, and asks, for ever."""
    seed = SEED
    while True:
        odd_ids = seed % 4 < 2
        world = random_world(seed, members=MEMBERS, records=RECORDS, odd_ids=odd_ids)
        engine = "duckdb-text" if seed % 2 else "duckdb-int"
        if engine == "duckdb-int":
            world = integer_world(world)
        yield engine, world, asks(world, seed, ASKS)
        seed += 1


def masks_of(loaded: Loaded, ask: Ask, rows: int) -> list[int]:
    """Return the engine's masks; one that raises differs about every record."""
    try:
        return loaded.masks(ask)
    except Exception:  # noqa: BLE001  (what it raised shows when the case is replayed)
        return [-1] * rows


@pytest.mark.soak
def test_random_cases() -> None:
    began = time.monotonic()
    ran = disagreed = admitted = asked = 0
    seen: Counter[str] = Counter()
    kept: list[Path] = []
    for engine, world, some in worlds():
        if ran >= CASES:
            break
        with Loaded(world, integer_ids=engine == "duckdb-int") as loaded:
            for ask in some:
                defined, found = (
                    by_definition(world, ask),
                    masks_of(loaded, ask, len(world.records)),
                )
                apart = sum(one != other for one, other in zip(defined, found, strict=True))
                ran, disagreed = ran + len(defined), disagreed + apart
                asked, admitted = asked + 1, admitted + defined.count(0)
                for mask in set(defined):
                    seen.update(map(str, reasons_of(mask)))
                if apart and len(kept) < KEPT:
                    kept.append(keep_case(told(world, ask, engine)))
    seconds = time.monotonic() - began
    print(  # noqa: T201  (what a soak is for)
        f"\n{ran} random cases at {asked} (at, known), {admitted} admitted, "
        f"{disagreed} disagreed, in {seconds:.0f} s"
    )
    assert not disagreed, f"written to {', '.join(path.name for path in kept)}"
    if ran >= 100_000:
        assert set(seen) == set(map(str, REASONS)), "every reason was given somewhere"
        assert admitted > ran // 100
