"""Merging: a base plus the exact mean of adapters.

Promises: what is added is the mean of the adapters' products B·A, in double precision and in
the order of their names, to a base that was just read from disk. Two ways give it:

    mean            all share one frozen half A, compared byte for byte: the mean of their
                    halves B, times A; of the rank of one adapter
    concatenation   any halves: all B side by side, times all A below each other; the rank
                    is the sum of theirs

Nothing is ever taken out of a merged model again: without an adapter, one merges anew.

PEFT's `add_weighted_adapter` is not used: its `linear` multiplies sums by sums, and it keeps
the old weights without a word where the name is taken. See docs/adr/0014.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from sayso.errors import InputError, IntegrityError
from sayso.training.environment import need_torch
from sayso.training.runs import ADAPTERS, Run, verify_adapter

Merge = Literal["mean", "concatenation"]
_PREFIX = "base_model.model."


def mean_of(
    folder: Path, run: Run, names: tuple[str, ...], merge: Merge = "mean"
) -> dict[str, Any]:
    """Return what the mean of adapters adds to each module's weight, in double precision.

    Args:
        folder: Of the run.
        run: Its run file.
        names: Shards; their order does not matter.
        merge: Which way.

    Returns:
        Module name -> tensor of shape (out, in).

    Raises:
        IntegrityError: Weights differ from the run file, or adapters with a frozen half A
            share none.
        InputError: No shard is named; a mean of halves is asked of adapters whose A is free.
    """
    if not names:
        raise InputError("no adapter is left to merge", hint="train on more, or release the base")
    if merge == "mean" and run.recipe.half_a != "frozen":
        raise InputError(
            "adapters whose half A learned have no mean at the rank of one",
            hint="merge them by concatenation",
        )
    scaling = run.recipe.alpha / run.recipe.rank
    found = _of_halves(folder, run, names) if merge == "mean" else _side_by_side(folder, run, names)
    return {module: delta * scaling for module, delta in sorted(found.items())}


def rank_of(run: Run, adapters: int, merge: Merge) -> int:
    """Return the rank of what so many adapters add."""
    return run.recipe.rank * (1 if merge == "mean" else adapters)


def _of_halves(folder: Path, run: Run, names: tuple[str, ...]) -> dict[str, Any]:
    torch = need_torch()
    shared: dict[str, Any] = {}
    sums: dict[str, Any] = {}
    for name, module, a, b in _halves(folder, run, names):
        if not torch.equal(shared.setdefault(module, a), a):
            raise IntegrityError(
                f"the adapter of '{name}' has another frozen half than the others",
                hint=f"'{ADAPTERS}' was put together from several runs: train again",
            )
        sums[module] = sums[module] + b if module in sums else b
    return {module: (one / len(names)) @ shared[module] for module, one in sums.items()}


def _side_by_side(folder: Path, run: Run, names: tuple[str, ...]) -> dict[str, Any]:
    torch = need_torch()
    halves: dict[str, tuple[list[Any], list[Any]]] = {}
    for _, module, a, b in _halves(folder, run, names):
        below, beside = halves.setdefault(module, ([], []))
        below.append(a)
        beside.append(b)
    return {
        module: (torch.cat(beside, dim=1) / len(names)) @ torch.cat(below, dim=0)
        for module, (below, beside) in halves.items()
    }


def _halves(folder: Path, run: Run, names: tuple[str, ...]) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield shard, module, A of shape (rank, in) and B of shape (out, rank), in order."""
    torch = need_torch()
    from safetensors.torch import load_file  # noqa: PLC0415

    for name in sorted(names):
        weights = load_file(verify_adapter(folder, run, name))
        for key in sorted(weights):
            if ".lora_A." in key:
                half = weights[key.replace(".lora_A.", ".lora_B.")]
                module = key.partition(".lora_")[0].removeprefix(_PREFIX)
                yield name, module, weights[key].to(torch.float64), half.to(torch.float64)


def add_to(model: Any, added: Mapping[str, Any]) -> None:
    """Add to the weights of a model in memory, which must be as its base is on disk."""
    torch = need_torch()
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415

    with torch.no_grad():
        for name, delta in added.items():
            module = model.get_submodule(name)
            turned = delta.T if isinstance(module, Conv1D) else delta
            wide = module.weight.to("cpu", torch.float64) + turned
            module.weight.copy_(wide.to(torch.float32))


def merge_into(base: Path, added: Mapping[str, Any], out: Path) -> None:
    """Write a base with something added to its weights, as a folder in the same format.

    Args:
        base: A model's folder; read anew, and left as it is.
        added: Of `mean_of`.
        out: A folder that is there and empty.
    """
    need_torch()
    import transformers  # noqa: PLC0415

    model = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=need_torch().float32, local_files_only=True
    )
    add_to(model, added)
    model.save_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
    tokenizer.save_pretrained(out)
