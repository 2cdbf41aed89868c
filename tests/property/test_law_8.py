"""Law 8: in = admitted + sum of refused by first reason, per country and in total."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.errors import IntegrityError
from sayso.model import Presence, reasons_of
from sayso.snapshot.manifest import Counts, load_manifest, parse_manifest
from tests.differential.engines import Loaded, by_definition, facts_of
from tests.differential.stored import stored_world
from tests.world import Ask, World, asks, random_world

SEEDS = st.integers(0, 1 << 32)


def expected_counts(world: World, ask: Ask) -> dict[str, Counts]:
    """Count the definition's decisions by the country that the members live in."""
    masks: dict[str, list[int]] = {}
    for facts, mask in zip(facts_of(world, ask), by_definition(world, ask), strict=True):
        law = facts.member.jurisdiction if facts.member.presence is Presence.KNOWN else None
        masks.setdefault(str(law.country) if law else "unknown", []).append(mask)
    return {country: counts_of(found) for country, found in sorted(masks.items())}


def counts_of(masks: list[int]) -> Counts:
    first = Counter(str(reasons_of(mask)[0]) for mask in masks if mask)
    every = Counter(str(reason) for mask in masks for reason in reasons_of(mask))
    return Counts(
        records_in=len(masks), admitted=masks.count(0), refused=dict(first), reasons=dict(every)
    )


@pytest.mark.parametrize(("seed", "integer_ids"), [(2, True), (4, False), (6, True)])
def test_a_snapshot_reconciles(seed: int, *, integer_ids: bool, tmp_path: Path) -> None:
    world = random_world(seed, records=150, sound=True)
    stored = stored_world(world, tmp_path)
    ask, later = (Ask(one.at, world.size) for one in asks(world, seed, 2))
    content = stored.content(world.records, integer_ids=integer_ids)
    known = stored.known(world.size)
    built = stored.workspace.build(content, tmp_path / "one", at=ask.at, known=known)
    counts = load_manifest(built.path).counts
    assert counts.records_in == counts.admitted + sum(counts.refused.values()) == 150
    assert dict(built.manifest.by_country) == expected_counts(world, ask)
    assert counts == counts_of(by_definition(world, ask))

    rebuilt = stored.workspace.rebuild(built.path, tmp_path / "two", at=later.at, known=known)
    assert dict(rebuilt.manifest.by_country) == expected_counts(world, later)
    assert rebuilt.manifest.counts == counts_of(by_definition(world, later))
    stored.workspace.close()


@settings(max_examples=4)
@given(seed=SEEDS)
def test_counts_of_many_reconcile(seed: int) -> None:
    world = random_world(seed, records=100)
    ask = asks(world, seed, 1)[0]
    with Loaded(world, integer_ids=False) as loaded:
        decisions = loaded.decisions(ask)
    refused = decisions.refused()
    assert len(decisions) == int(decisions.allow.sum()) + sum(refused.values())
    expected = counts_of(by_definition(world, ask))
    assert refused == expected.refused
    assert decisions.counts() == expected.reasons
    table = decisions.to_arrow()
    assert table["allow"].to_pylist() == [not names for names in table["reasons"].to_pylist()]


def test_a_manifest_that_does_not_reconcile_is_noticed(tmp_path: Path) -> None:
    world = random_world(2, records=60, sound=True)
    stored = stored_world(world, tmp_path)
    content = stored.content(world.records, integer_ids=True)
    built = stored.workspace.build(content, tmp_path / "one", at=asks(world, 2, 1)[0].at)
    stored.workspace.close()
    counts = built.manifest.counts
    wrong = counts.model_construct(**(counts.model_dump() | {"records_in": counts.records_in + 1}))
    for manifest in (
        built.manifest.model_copy(update={"counts": wrong}),
        built.manifest.model_copy(update={"by_country": {}}),
    ):
        with pytest.raises(IntegrityError, match="disagrees with itself"):
            parse_manifest(manifest.to_bytes())
