"""The demo: the whole story in small, and how it ends where PyTorch is missing."""

import importlib.util
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sayso.cli import cli, demo_training
from sayso.errors import UnavailableError
from sayso.training.foundation import Size, own_base

MISSING = [name for name in ("torch", "transformers", "peft") if not importlib.util.find_spec(name)]
# A model that writes nothing to read, and takes a second.
SMALL = partial(own_base, size=Size(width=32, layers=2, heads=2, texts=30))


@pytest.mark.skipif(bool(MISSING), reason="sayso[train] is not installed")
def test_the_story_from_the_first_rule_to_forgetting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_training, "PUPILS", 12)
    monkeypatch.setattr(demo_training, "own_base", SMALL)
    monkeypatch.setattr("sayso.training.run.own_base", SMALL)
    out = tmp_path / "out"

    done = CliRunner().invoke(cli, ["demo", "--members", "250", "--out", str(out), "--json"])

    assert done.exit_code == 0, done.exception
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["reproduced"]
    assert told["verified"] == {"snapshot": True, "member": True, "hold": True, "flipped": False}
    trained = told["training"]
    assert 4 < trained["adapters"] <= 12
    assert trained["stopped_after_steps"] == demo_training.HELD_AFTER
    assert trained["same_after_lift"]
    assert trained["learned_again"] == 1
    assert trained["proved"] == 3 * trained["adapters"] + 1
    assert trained["forgotten_records"] > 0
    assert set(trained["biographies"]) == {"base", "before", "after"}
    assert (out / "second.partial" / "SEALED").is_file()
    assert not (out / "releases" / trained["release"][:16] / "model").exists(), "it was forgotten"
    assert "those of Hong Kong are dropped" in done.stderr
    assert "which is a fault" not in done.stderr
    for name in ("run/run.json", "releases", "second.partial/SEALED"):
        assert str(out / name) in done.stderr


def test_without_pytorch_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise UnavailableError("the package 'torch' is not installed", hint="install it")

    monkeypatch.setattr(demo_training, "need_torch", missing)
    said: list[str] = []
    nothing: Any = None  # asked for nothing

    told = demo_training.tell_training(nothing, nothing, [], tmp_path / "out", said.append)

    assert told is None
    assert "the package 'torch' is not installed" in said[0]
    assert "pip install 'sayso[train]'" in said[1]
    assert not (tmp_path / "out").exists()
