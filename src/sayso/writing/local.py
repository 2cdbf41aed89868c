"""A model in memory that writes: the weights of a release, compared after they were loaded.

Promises: what runs is what `release.json` and its signed statement name, tensor by tensor;
the same seed, prompt and weights give the same text, whoever else writes at the same time;
a token is made only once the one before it was taken, and before each the caller's
`may_go_on` is asked. Does not know holds: `sayso.writing.serving` does.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sayso.attest.predicates import RELEASE
from sayso.attest.statements import verify_statement
from sayso.errors import IntegrityError, UnavailableError
from sayso.training.environment import need_torch, prepare_torch
from sayso.training.learn import Loaded, load_base
from sayso.training.release import MODEL, NAME, Release, verify_release
from sayso.training.runs import STATEMENT
from sayso.workspace import Workspace
from sayso.writing.prompt import Prompt
from sayso.writing.provider import Sampling
from sayso.writing.tokens import Encoded, context_of, encode_prompt

WORKER = "sayso-writing"
# What a decoder gives for bytes that are no sign yet. Source: The Unicode Standard, U+FFFD.
UNFINISHED = "\ufffd"


@dataclass(frozen=True)
class LocalModel:
    """A release in memory.

    Attributes:
        release: What it is made of.
        path: Where it stands.
    """

    release: Release
    path: Path
    loaded: Loaded

    def stream(
        self, prompt: Prompt, sampling: Sampling, may_go_on: Callable[[], None]
    ) -> Iterator[str]:
        """Yield the pieces of one text.

        Args:
            prompt: What the model is told and given.
            sampling: How the text is drawn.
            may_go_on: Asked before each piece; whatever it raises ends the text.

        Raises:
            InputError: The prompt does not fit.
            UnavailableError: The model failed.
        """
        tokenizer = self.loaded.tokenizer
        read, tokens = self._read(prompt, sampling)
        made: list[int] = []
        told = ""
        for token in _tokens(self.loaded, read.ids, sampling, tokens):
            may_go_on()
            made.append(token)
            text = str(tokenizer.decode(made, skip_special_tokens=True))
            if len(text) > len(told) and not text.endswith(UNFINISHED):
                yield text[len(told) :]
                told = text
        if made and (rest := str(tokenizer.decode(made, skip_special_tokens=True))[len(told) :]):
            may_go_on()
            yield rest

    def cuts(self, prompt: Prompt, sampling: Sampling) -> bool:
        """Whether the model reads less than the prompt."""
        return self._read(prompt, sampling)[0].is_cut

    def _read(self, prompt: Prompt, sampling: Sampling) -> tuple[Encoded, int]:
        """Return what the model reads, and how many tokens it may write after it."""
        tokenizer = self.loaded.tokenizer
        context = context_of(self.loaded.model, tokenizer)
        tokens = min(sampling.tokens, context // 2)
        return encode_prompt(tokenizer, prompt, context - tokens), tokens


def load_release(workspace: Workspace, folder: Path) -> LocalModel:
    """Load a release, comparing its files, its statement and the weights in memory.

    Raises:
        InputError: There is no release.
        IntegrityError: Something differs, or this workspace did not make it.
        UnavailableError: The extra `train` is not installed.
    """
    device = prepare_torch()
    found = verify_release(folder)
    verify_stated(workspace, folder, found)
    loaded = load_base(folder / MODEL, device)
    _verify_loaded(loaded, folder, found)
    return LocalModel(found, folder, loaded)


def verify_stated(workspace: Workspace, folder: Path, found: Release) -> None:
    """Compare a release with its signed statement and the ledger's entry about it.

    Raises:
        IntegrityError: They say something else, or there is none.
    """
    path = folder / STATEMENT
    raw = path.read_bytes() if path.is_file() else b""
    entry = workspace.ledger.latest("release", workspace.ledger.size(), release=found.digest)
    subjects = {f"{MODEL}/{name}": digest for name, digest in found.files.items()}
    said = verify_statement(raw, [workspace.trust.key.public]) if raw else None
    if (
        entry is None
        or said is None
        or said.predicate_type != RELEASE
        or said.subjects != subjects | {NAME: found.digest}
    ):
        raise IntegrityError(
            f"what stands in '{folder}' is not what this workspace signed as a release",
            hint="release again",
        )


def _verify_loaded(loaded: Loaded, folder: Path, found: Release) -> None:
    """Compare every tensor in memory with the files, and these with the release once more."""
    torch = need_torch()
    from safetensors.torch import load_file  # noqa: PLC0415

    state = loaded.model.state_dict()
    for name in found.files:
        if not name.endswith(".safetensors"):
            continue
        for key, tensor in load_file(folder / MODEL / name).items():
            held = state.get(key)
            if held is None or not torch.equal(held.to("cpu"), tensor):
                raise IntegrityError(
                    f"the weights in memory are not those in '{folder}'", hint="release again"
                )
    if verify_release(folder) != found:
        raise IntegrityError(f"'{folder}' changed while it was read", hint="release again")


# ---- tokens -----------------------------------------------------------------------------


def _tokens(loaded: Loaded, ids: tuple[int, ...], sampling: Sampling, tokens: int) -> Iterator[int]:
    """Yield the tokens that a model writes; it waits until each was taken."""
    handed = _Handed()
    worker = threading.Thread(
        target=_generate, args=(loaded, ids, sampling, tokens, handed), name=WORKER, daemon=True
    )
    worker.start()
    try:
        while True:
            got = handed.take()
            if isinstance(got, Exception):
                raise UnavailableError(
                    f"the model failed ({type(got).__name__})", hint="try again, or release again"
                )
            if got is None:
                return
            yield got
    finally:
        handed.stop()
        worker.join()


class _StoppedError(Exception):
    """Ends `generate` when nobody takes its tokens any more."""


class _Handed:
    """Hands tokens from `generate` to whoever reads, one at a time.

    Source: Transformers, `BaseStreamer`: `put` gets the prompt first, then each token.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[int | Exception | None] = queue.Queue(maxsize=1)
        self._stopped = threading.Event()
        self._begun = False

    def put(self, value: Any) -> None:
        """Hand over what was just made."""
        if not self._begun:
            self._begun = True
            return
        for token in value.flatten().tolist():
            self._hand(int(token))

    def end(self) -> None:
        """Called by `generate` at its end, and not when it fails; `finish` is always."""

    def finish(self, error: Exception | None) -> None:
        """Say that nothing more comes."""
        if not self._stopped.is_set():
            self._queue.put(error)

    def _hand(self, token: int) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        self._queue.put(token)

    def take(self) -> int | Exception | None:
        """Return the next token, an error, or None at the end."""
        return self._queue.get()

    def stop(self) -> None:
        """Have `generate` end at its next token."""
        self._stopped.set()
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return


def _generate(
    loaded: Loaded, ids: tuple[int, ...], sampling: Sampling, tokens: int, handed: _Handed
) -> None:
    torch = need_torch()
    import transformers  # noqa: PLC0415

    try:
        given = torch.tensor([ids], dtype=torch.long, device=loaded.device)
        ends = loaded.tokenizer.eos_token_id
        with torch.no_grad():
            loaded.model.generate(
                given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=tokens,
                do_sample=False,  # the draw is in `_drawing`
                logits_processor=transformers.LogitsProcessorList([_drawing(sampling)]),
                pad_token_id=ends if ends is not None else 0,
                streamer=handed,
            )
    except _StoppedError:
        return
    except Exception as error:  # noqa: BLE001  # handed to whoever reads
        handed.finish(error)
        return
    handed.finish(None)


def _drawing(sampling: Sampling) -> Any:
    """Return a processor under which the likeliest token is one drawn by `sampling`.

    Adding Gumbel noise makes the greatest score a draw from their softmax, with a generator
    of one's own: the one that all of PyTorch shares is not touched. Source: Gumbel (1954);
    Maddison, Tarlow and Minka, "A* Sampling" (2014).
    """
    torch = need_torch()
    import transformers  # noqa: PLC0415

    generator = torch.Generator().manual_seed(sampling.seed)

    class Drawing(transformers.LogitsProcessor):  # type: ignore[misc]  # untyped
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            if not sampling.temperature:
                return scores
            # On the processor: a sum over sorted scores has no fixed order on a GPU.
            even = torch.rand(scores.shape, generator=generator, dtype=torch.float64)
            noise = -torch.log(-torch.log(even.clamp_min(torch.finfo(torch.float64).tiny)))
            drawn = scores.to("cpu", torch.float64) / sampling.temperature
            if sampling.top_p < 1:
                drawn = transformers.TopPLogitsWarper(sampling.top_p)(input_ids, drawn)
            return (drawn + noise).to(scores.device, scores.dtype)

    return Drawing()
