"""Training: what a run keeps to, and what it says without PyTorch."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sayso.errors import ConflictError, InputError, RefusedError, UnavailableError
from sayso.snapshot import load_manifest
from sayso.training import Order, Recipe, Told, load_run, train
from sayso.training.environment import digest_of, fingerprint, prepare_torch
from sayso.training.foundation import digests_of
from sayso.training.learn import cut, learn, load_base, steps_of, tokens_of
from sayso.training.runs import ADAPTERS, WEIGHTS, load_origin
from sayso.workspace import Workspace
from tests.unit.training.lab import RECIPE, learned_files, make_lab, run, small_base

BLOCKED = """
import sys
for name in ("torch", "transformers", "peft", "safetensors", "tokenizers"):
    sys.modules[name] = None
import sayso.training
from sayso.errors import UnavailableError
from sayso.training.environment import need_torch
for fetch in (need_torch, lambda: sayso.training.SaysoCallback):
    try:
        fetch()
    except UnavailableError as error:
        print(error.hint)
"""


def test_without_pytorch_the_room_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True
    )

    assert done.stdout.split("\n")[:2] == ["install sayso[train]"] * 2


def test_steps_are_a_function_of_the_shard_alone() -> None:
    assert [len(block) for block in cut(range(10), 4)] == [4, 4, 2]
    assert [len(block) for block in cut(range(9), 4)] == [4, 4]
    assert steps_of(9, RECIPE) == 3
    assert steps_of(9, Recipe(epochs=2, batch_blocks=4)) == 6
    assert steps_of(9, Recipe(epochs=2, batch_blocks=4, steps=5)) == 5
    assert steps_of(0, RECIPE) == 0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Workspace]:
    pytest.importorskip("torch", reason="sayso[train] is not installed")
    pytest.importorskip("peft", reason="sayso[train] is not installed")
    made = make_lab(tmp_path)
    yield made
    made.close()


def test_a_shard_is_the_same_alone_and_after_others(lab: Workspace) -> None:
    device = prepare_torch("cpu")
    torch = sys.modules["torch"]
    base, again = load_base(small_base(), device), load_base(small_base(), device)
    texts = ["Write a post.\n\nSo it goes, and goes, and goes again. " * 3] * 5

    def lesson(loaded: object, words: list[str]) -> dict[str, object]:
        del loaded
        return learn(base, words, RECIPE, lambda _step: None, lambda *_told: None).weights

    alone = lesson(again, texts)
    lesson(base, ["Something else altogether. " * 20])
    after = lesson(base, texts)

    assert alone.keys() == after.keys()
    assert all(torch.equal(alone[name], after[name]) for name in alone)
    # The base is as it was, and every adapter has the same frozen half.
    for mine, other in zip(base.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(mine, other)
    other = lesson(base, ["Another shard. " * 30])
    halves = [name for name in alone if "lora_A" in name]
    assert halves
    assert all(torch.equal(alone[name], other[name]) for name in halves)


def test_a_run_says_what_it_stands_on(lab: Workspace, tmp_path: Path) -> None:
    told: list[Told] = []
    order = Order(tmp_path / "first", tmp_path / "run", RECIPE, small_base())

    done = train(lab, order, told.append)

    assert done.run == load_run(tmp_path / "run")
    table = fingerprint("cpu")
    assert done.run.environments == {digest_of(table): table}
    assert table["threads"] == "1"
    assert done.run.base.exposure == "unknown"
    assert sum(one.rows for one in done.run.shards.values()) == 72
    manifest = load_manifest(tmp_path / "first").digest
    assert load_origin(tmp_path / "run").manifest == manifest
    assert told[-1].part == pytest.approx(1.0)
    assert sum(one.steps for one in done.run.shards.values()) == len(told)
    entry = lab.ledger.latest("training-run", lab.ledger.size())
    assert entry is not None
    assert entry.payload["shards"] == {n: one.adapter for n, one in done.run.shards.items()}


def test_a_run_that_was_begun_goes_on_with_the_same_settings_only(
    lab: Workspace, tmp_path: Path
) -> None:
    def die(told: Told) -> None:
        if told.shard.startswith("US"):
            raise KeyboardInterrupt

    order = Order(tmp_path / "first", tmp_path / "run", RECIPE, small_base())
    with pytest.raises(KeyboardInterrupt):
        train(lab, order, die)
    other = Order(tmp_path / "first", tmp_path / "run", Recipe(), small_base())
    with pytest.raises(ConflictError, match="holds another run"):
        train(lab, other)
    with pytest.raises(InputError, match="no finished run"):
        load_run(tmp_path / "run.partial")

    done = train(lab, order)
    whole = run(lab, tmp_path / "first", tmp_path / "whole")

    assert {name[:2] for name in done.learned} == {"US"}
    assert done.run == whole.run
    assert digests_of(done.path / ADAPTERS) == digests_of(whole.path / ADAPTERS)


def test_an_adapter_that_was_damaged_meanwhile_is_learned_again(
    lab: Workspace, tmp_path: Path
) -> None:
    def die(told: Told) -> None:
        if told.shard.startswith("US"):
            raise KeyboardInterrupt

    order = Order(tmp_path / "first", tmp_path / "run", RECIPE, small_base())
    with pytest.raises(KeyboardInterrupt):
        train(lab, order, die)
    path = next((tmp_path / "run.partial" / ADAPTERS).glob("BR-*")) / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")

    done = train(lab, order)

    assert path.parent.name in done.learned
    assert done.run == run(lab, tmp_path / "first", tmp_path / "whole").run


def test_a_run_that_lost_its_ledger_goes_on_once_it_answers(lab: Workspace, tmp_path: Path) -> None:
    ledger, away = lab.path / "ledger.db", lab.path / "away.db"

    def tell(told: Told) -> None:
        if told.shard.startswith("US") and told.step == 1:
            ledger.rename(away)

    order = Order(tmp_path / "first", tmp_path / "lost", RECIPE, small_base())
    with pytest.raises(UnavailableError, match="the ledger did not answer"):
        train(lab, order, tell)
    away.rename(ledger)
    resumed = train(lab, order)
    whole = run(lab, tmp_path / "first", tmp_path / "whole")

    assert 0 < len(resumed.learned) < len(whole.learned)
    assert learned_files(resumed.path) == learned_files(whole.path)


def test_a_tokenizer_without_an_end_is_refused() -> None:
    with pytest.raises(InputError, match="no end of text"):
        tokens_of(SimpleNamespace(eos_token_id=None), ["text"])


def test_a_shard_count_is_a_power_of_two(lab: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="power of two"):
        run(lab, tmp_path / "first", tmp_path / "run", Recipe(shards=3))


def test_without_a_permit_nothing_is_written(lab: Workspace, tmp_path: Path) -> None:
    order = Order(tmp_path / "first", tmp_path / "run", RECIPE, small_base(), purpose="other")
    with pytest.raises(RefusedError):
        train(lab, order)
    assert not (tmp_path / "run.partial").exists()
