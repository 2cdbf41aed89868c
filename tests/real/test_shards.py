"""What sharding costs, in small: the whole way of `bench.shards` on real authors.

Skipped, and said so, where the real input does not stand beside the project.
"""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real input is not beside the project"),
]
for _name in ("torch", "transformers", "peft"):
    pytest.importorskip(_name, reason="sayso[train] is not installed")


def test_sharding_is_measured_on_real_authors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import shards, shards_report
    from bench.shards import Case, drawn, measure, part_of, texts_of

    from sayso.training import Recipe
    from tests.unit.training.lab import small_base

    monkeypatch.setattr(shards, "MOST_LEARNED", 8)
    monkeypatch.setattr(shards, "MOST_HEARD", 2)
    case, recipe = Case("polis", "own", 0), Recipe(shards=1, steps=3, batch_blocks=2)
    found = measure(case, DATA / "polis", tmp_path / "work", small_base(), recipe, (1, 4))

    learn = texts_of(tmp_path / "work" / "polis-0" / "learn")
    held = texts_of(tmp_path / "work" / "polis-0" / "held")
    assert len(learn) > 100
    assert len(held) > 20
    assert not learn.keys() & held.keys(), "an author who was kept back was learned from"
    assert {part_of(who, 0) for who in held} == {"held"}
    assert not [who for who in held if drawn("off-0", who) < 0.02], "an off was not honoured"
    assert found["sizes"]["1"]["adapters"] == 1
    assert found["sizes"]["4"]["adapters"] == 4
    assert found["sizes"]["1"]["tokens"] == found["sizes"]["4"]["tokens"]
    assert {(one["model"], one["shards"]) for one in found["lines"]} == {
        ("base", 0), ("mean", 1), ("single", 1), ("random", 1), ("mean", 4), ("single", 4),
        ("random", 4),
    }  # fmt: skip

    shards_report.write([found], tmp_path)
    (told,) = json.loads((tmp_path / "shards.json").read_text())
    assert told["turns"][0]["everything"] < told["turns"][0]["base"], "nothing was learned"
    words = " ".join(text.partition("\n\n")[2] for mine in held.values() for text in mine)
    page = (tmp_path / "shards.md").read_text() + (tmp_path / "shards.json").read_text()
    assert not [word for word in set(words.split()) if len(word) > 14 and word in page]
    ET.fromstring(shards_report.plot([told | {"base": "prose"}]))

    again = measure(case, DATA / "polis", tmp_path / "work", small_base(), recipe, (1, 4))
    assert again["lines"] == json.loads(json.dumps(found["lines"])), "it was measured twice"
