"""A release in memory: the weights that were signed, and the same text for the same seed."""

import shutil
import threading
from pathlib import Path

import pytest

from sayso.errors import InputError, IntegrityError, RefusedError, UnavailableError
from sayso.training.learn import Loaded, load_base
from sayso.training.runs import STATEMENT
from sayso.writing import Sampling
from sayso.writing.local import WORKER, LocalModel, load_release
from sayso.writing.prompt import Prompt, Task, post_prompt
from tests.unit.writing.conftest import Trained

PROMPT = post_prompt("a quiet week in the workshop")


@pytest.fixture(scope="module")
def model(trained: Trained) -> LocalModel:
    return load_release(trained.workspace, trained.released.path)


def go_on() -> None:
    """Nothing stands against it."""


def text(model: LocalModel, seed: int, tokens: int = 24, temperature: float = 0.8) -> str:
    sampling = Sampling(seed, tokens, temperature)
    return "".join(model.stream(PROMPT, sampling, go_on))


def test_the_same_seed_gives_the_same_text_also_when_others_write(model: LocalModel) -> None:
    alone = text(model, 1)
    others = [threading.Thread(target=text, args=(model, seed)) for seed in (2, 3)]
    for one in others:
        one.start()
    among = text(model, 1)
    for one in others:
        one.join()

    assert alone
    assert among == alone
    assert text(model, 2) != alone
    assert text(model, 1, temperature=0) == text(model, 9, temperature=0)


def test_it_writes_no_further_than_it_is_read(model: LocalModel) -> None:
    asked = []

    def count() -> None:
        asked.append(1)

    pieces = model.stream(PROMPT, Sampling(1, 24), count)
    next(pieces)
    taken = len(asked)
    pieces.close()  # type: ignore[attr-defined]  # a generator, told as an iterator

    assert taken == len(asked) <= 4
    assert WORKER not in {one.name for one in threading.enumerate()}


def test_what_stops_it_stops_it_at_the_next_piece(model: LocalModel) -> None:
    def stop() -> None:
        raise RefusedError("stopped")

    with pytest.raises(RefusedError):
        next(model.stream(PROMPT, Sampling(1, 24), stop))
    assert WORKER not in {one.name for one in threading.enumerate()}


def test_a_long_prompt_is_cut_and_one_that_fits_nowhere_refused(model: LocalModel) -> None:
    assert not model.cuts(post_prompt("short"), Sampling(1, 24))
    long = post_prompt("long " * 200)
    assert model.cuts(long, Sampling(1, 24))
    assert "".join(model.stream(long, Sampling(1, 9999), go_on))
    tight = Prompt(Task.POST, "words")
    model.loaded.model.config.n_positions, before = 24, model.loaded.model.config.n_positions
    try:
        with pytest.raises(InputError, match="too few for a prompt"):
            next(model.stream(tight, Sampling(1, 24), go_on))
    finally:
        model.loaded.model.config.n_positions = before


def test_a_model_that_fails_is_unavailable_and_says_nothing(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError(PROMPT.material)

    monkeypatch.setattr(model.loaded.model, "forward", fail)
    with pytest.raises(UnavailableError, match=r"^the model failed \(ValueError\)") as told:
        text(model, 1)
    assert PROMPT.material not in str(told.value)


@pytest.mark.parametrize("what", ["weights", "statement", "no statement", "of another"])
def test_what_is_not_what_was_signed_is_not_loaded(
    trained: Trained, tmp_path: Path, what: str
) -> None:
    copy = shutil.copytree(trained.released.path, tmp_path / "copy")
    load_release(trained.workspace, copy)
    if what == "weights":
        path = copy / "model" / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    elif what == "statement":
        path = copy / STATEMENT
        path.write_bytes(path.read_bytes().replace(b'"sig": "', b'"sig": "AA', 1))
    elif what == "no statement":
        (copy / STATEMENT).unlink()
    else:
        statement = trained.folder / "run" / STATEMENT
        shutil.copy(statement, copy / STATEMENT)

    with pytest.raises((IntegrityError, InputError)):
        load_release(trained.workspace, copy)


def test_weights_in_memory_are_compared(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(path: Path, device: str) -> Loaded:
        loaded = load_base(path, device)
        next(loaded.model.parameters()).data[0] += 1
        return loaded

    monkeypatch.setattr("sayso.writing.local.load_base", careless)
    with pytest.raises(IntegrityError, match="weights in memory"):
        load_release(trained.workspace, trained.released.path)
