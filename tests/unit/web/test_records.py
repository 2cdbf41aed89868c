"""My records: what learned from them, each release once, with what became of it last."""

from pathlib import Path

from sayso.training.shards import shard_name
from sayso.web.pages.purposes import PATH
from tests.unit.web.house import House
from tests.unit.web.public_site import text_of

RUN, WEIGHTS, RELEASE = "a" * 64, "b" * 64, "c" * 64


def test_a_release_that_was_made_again_is_told_once(house: House, tmp_path: Path) -> None:
    workspace = house.workspace
    workspace.build(tmp_path / "content.parquet", tmp_path / "first")
    ledger = workspace.ledger
    [built] = ledger.public("snapshot", ledger.size())
    shard = shard_name("US", ledger.keys.bucket_of("maya"), 1)
    run = {"run": RUN, "before": "", "snapshot": built.payload["manifest"]}
    ledger.append_public("training-run", {**run, "shards": {shard: WEIGHTS}}, 1)
    made = {"release": RELEASE, "run": RUN, "purpose": "", "adapters": {shard: WEIGHTS}}
    became = {"run": RUN, "release": RELEASE, "shards": [shard], "why": [], "by": ""}
    ledger.append_public("release", made, 2)
    ledger.append_public("disposition", {**became, "disposition": "sealed"}, 3)
    ledger.append_public("release", made, 4)
    ledger.append_public("disposition", {**became, "disposition": "kept"}, 5)

    text = text_of(house.member("maya").get(f"{PATH}/records"))

    assert text.count(f"Release {RELEASE[:16]}:") == 1
    assert f"Release {RELEASE[:16]}: kept" in text
    assert "sealed" not in text
