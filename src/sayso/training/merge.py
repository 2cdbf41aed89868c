"""Merging: a base plus the exact mean of adapters.

Promises: every adapter has the same frozen half A, compared byte for byte; the mean of their
other halves B is summed in double precision in the order of their names, so that the mean of
the products B·A is the product of the mean, at the rank of one adapter; the sum goes into a
base that was just read from disk. Nothing is ever taken out of a merged model again: without
an adapter, one merges anew.

PEFT's `add_weighted_adapter` is not used: its `linear` multiplies sums by sums, and it keeps
the old weights without a word where the name is taken. See docs/adr/0014.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sayso.errors import InputError, IntegrityError
from sayso.training.environment import need_torch
from sayso.training.runs import ADAPTERS, Run, verify_adapter

_PREFIX = "base_model.model."


def mean_of(folder: Path, run: Run, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what the mean of adapters adds to each module's weight, in double precision.

    Args:
        folder: Of the run.
        run: Its run file.
        names: Shards; their order does not matter.

    Returns:
        Module name -> tensor of shape (out, in).

    Raises:
        IntegrityError: Weights differ from the run file, or the adapters share no A.
        InputError: No shard is named.
    """
    if not names:
        raise InputError("no adapter is left to merge", hint="train on more, or release the base")
    torch = need_torch()
    from safetensors.torch import load_file  # noqa: PLC0415

    shared: dict[str, Any] = {}
    sums: dict[str, Any] = {}
    for name in sorted(names):
        for key, tensor in sorted(load_file(verify_adapter(folder, run, name)).items()):
            module = key.partition(".lora_")[0].removeprefix(_PREFIX)
            if ".lora_A." in key:
                if not torch.equal(shared.setdefault(module, tensor), tensor):
                    raise IntegrityError(
                        f"the adapter of '{name}' has another frozen half than the others",
                        hint=f"'{ADAPTERS}' was put together from several runs: train again",
                    )
            else:
                wide = tensor.to(torch.float64)
                sums[module] = sums[module] + wide if module in sums else wide
    scaling = run.recipe.alpha / run.recipe.rank
    return {
        module: (sums[module] / len(names)) @ shared[module].to(torch.float64) * scaling
        for module in sorted(sums)
    }


def merge_into(base: Path, deltas: Mapping[str, Any], out: Path) -> None:
    """Write a base with something added to its weights, as a folder in the same format.

    Args:
        base: A model's folder; read anew, and left as it is.
        deltas: Of `mean_of`.
        out: A folder that is there and empty.
    """
    torch = need_torch()
    import transformers  # noqa: PLC0415
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415

    model = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, local_files_only=True
    )
    with torch.no_grad():
        for name, delta in deltas.items():
            module = model.get_submodule(name)
            added = delta.T if isinstance(module, Conv1D) else delta
            module.weight.copy_((module.weight.to(torch.float64) + added).to(torch.float32))
    model.save_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
    tokenizer.save_pretrained(out)
