"""The callback: anybody's trainer stops when told to."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sayso import training
from sayso.model import Dated
from sayso.training import Permit, StoppedError
from sayso.training.learn import cut, load_base, tokens_of
from sayso.training.runs import SEALED
from tests.unit.training.lab import make_lab, small_base

pytest.importorskip("torch", reason="sayso[train] is not installed")
transformers = pytest.importorskip("transformers", reason="sayso[train] is not installed")
pytest.importorskip("accelerate", reason="sayso[train] is not installed")
SaysoCallback = training.SaysoCallback


@pytest.mark.filterwarnings("ignore")  # those of somebody else's trainer
def test_a_trainer_stops_at_the_step_after_a_hold(tmp_path: Path) -> None:
    lab = make_lab(tmp_path)
    base = load_base(small_base(), "cpu")
    base.model.requires_grad_(True)
    blocks = cut(tokens_of(base.tokenizer, ["So it goes, and goes. " * 40]), 32)[:-1]
    rows = [{"input_ids": list(block), "labels": list(block)} for block in blocks]

    callback: Any = transformers.TrainerCallback

    class Officer(callback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_more: Any) -> None:
            if state.global_step == 2:
                held = Dated(datetime(2026, 1, 1, tzinfo=UTC))
                lab.place_hold("US", begins=held, placed_by="the officer")

    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"), max_steps=6, per_device_train_batch_size=2, use_cpu=True,
        report_to=[], disable_tqdm=True, save_strategy="no",
    )  # fmt: skip
    trainer = transformers.Trainer(
        base.model, arguments, train_dataset=rows,
        callbacks=[SaysoCallback(Permit.ask(lab, tmp_path / "first")), Officer()],
    )  # fmt: skip

    with pytest.raises(StoppedError, match="stopped before step 2"):
        trainer.train()

    assert trainer.state.global_step == 2
    assert (tmp_path / "out" / SEALED).is_file()
    lab.close()


def test_there_is_nothing_else_to_fetch() -> None:
    import sayso.training

    assert dataclasses.is_dataclass(sayso.training.Order)
    with pytest.raises(AttributeError):
        sayso.training.Nothing  # noqa: B018
