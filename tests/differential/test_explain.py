"""One record explained by a workspace against the definition over the raw world."""

from pathlib import Path

import pytest

from sayso.model import reasons_of
from tests.differential.engines import by_definition
from tests.differential.stored import stored_world
from tests.world import Ask, asks, random_world


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_explained_is_what_is_decided(seed: int, tmp_path: Path) -> None:
    world = random_world(seed, records=14, sound=True)
    stored = stored_world(world, tmp_path)
    stored.seal()
    content = stored.content(world.records, integer_ids=seed % 2 == 0)
    for ask in (Ask(one.at, world.size) for one in asks(world, seed, 2)):
        for record, mask in zip(world.records, by_definition(world, ask), strict=True):
            if record.member_id is None or record.record_id is None:
                continue
            same = [r for r in world.records if r.record_id == record.record_id]
            if len([r for r in same if r.member_id == record.member_id]) > 1:
                continue  # it cannot be said which of them is meant
            found = stored.workspace.explain(
                record.member_id, record.record_id, content=content, at=ask.at
            )
            assert found.decision.reasons == reasons_of(mask), record
            assert found.to_json()["allow"] is (mask == 0)
    stored.workspace.close()
