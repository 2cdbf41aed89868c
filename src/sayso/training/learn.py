"""Learning: one adapter from the texts of one shard, on a frozen base.

Promises: the bytes of an adapter depend on the base, the recipe, the shard's own texts and
the environment, and on nothing else: no other shard, no order of arrival, no clock, no
early stopping. The seed is set before the adapter is made, and the half that it draws (A)
is frozen and so the same in every shard, unless the recipe frees it; the other half (B)
begins at zero and always learns.

Blocks of tokens are cut from a shard's texts in canonical order; a step is a fixed number of
blocks; nothing is drawn at random after the seed.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sayso.errors import InputError
from sayso.training.environment import need_torch
from sayso.training.runs import Recipe

# Called before every step with its number within the shard, from 0; raises to stop.
Renew = Callable[[int], None]
# Called after every step with its number, the steps of the shard, and the loss.
Tell = Callable[[int, int, float], None]
# Labels that count for nothing. Source: PyTorch, CrossEntropyLoss, ignore_index.
IGNORED = -100


@dataclass(frozen=True)
class Loaded:
    """A base in memory, on its device."""

    model: Any
    tokenizer: Any
    device: str


@dataclass(frozen=True)
class Lesson:
    """What came of one shard.

    Attributes:
        weights: Name of a tensor, as PEFT names it -> tensor on the processor.
    """

    weights: dict[str, Any]
    tokens: int
    steps: int


def load_base(path: Path, device: str) -> Loaded:
    """Load a base in single precision, with attention that gives the same bits each time."""
    torch = need_torch()
    import transformers  # noqa: PLC0415

    model = transformers.AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    model.requires_grad_(False)
    return Loaded(model.to(device).eval(), tokenizer, device)


def learn(base: Loaded, texts: Sequence[str], recipe: Recipe, renew: Renew, tell: Tell) -> Lesson:
    """Return the adapter that the texts of one shard give.

    Args:
        base: Frozen; left as it was.
        texts: Of one shard, in canonical order.
        recipe: Every setting.
        renew: Asked before every step; whatever it raises ends the learning.
        tell: Told after every step.
    """
    torch = need_torch()
    import peft  # noqa: PLC0415

    blocks = cut(tokens_of(base.tokenizer, texts), recipe.block_tokens)
    torch.manual_seed(recipe.seed)  # before the adapter is made: A is drawn now
    with warnings.catch_warnings():
        # PEFT 0.21 asks Transformers 5 for a name that version 6 takes away.
        warnings.simplefilter("ignore", FutureWarning)
        adapted = peft.get_peft_model(base.model, _config(base.model, recipe))
    try:
        learning = []
        for name, weight in adapted.named_parameters():
            free = recipe.half_a == "free" and "lora_A" in name
            weight.requires_grad_(free or "lora_B" in name)
            learning += [weight] if weight.requires_grad else []
        steps = fit(base, adapted, learning, blocks, recipe, renew, tell)
        state = peft.get_peft_model_state_dict(adapted)
        weights = {
            name: state[name].detach().to("cpu", torch.float32, copy=True).contiguous()
            for name in sorted(state)
        }
    finally:
        adapted.unload()
    return Lesson(weights, sum(map(len, blocks)), steps)


def _config(model: Any, recipe: Recipe) -> Any:
    import peft  # noqa: PLC0415
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415

    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )


def tokens_of(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Return the tokens of texts, each text followed by the end of text.

    Raises:
        InputError: The tokenizer has no end of text.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise InputError("the base's tokenizer has no end of text", hint="give it an eos_token")
    encoded = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts if text)
    return list(itertools.chain.from_iterable([*tokens, end] for tokens in encoded))


def cut(tokens: Sequence[int], size: int) -> list[Sequence[int]]:
    """Return blocks of tokens; the last one may be shorter, one of a single token is none."""
    blocks = [tokens[at : at + size] for at in range(0, len(tokens), size)]
    return [block for block in blocks if len(block) > 1]


def steps_of(blocks: int, recipe: Recipe) -> int:
    """Return how many steps a shard of so many blocks takes."""
    steps = recipe.epochs * math.ceil(blocks / recipe.batch_blocks)
    return min(steps, recipe.steps) if recipe.steps else steps


def fit(
    base: Loaded,
    model: Any,
    learning: Sequence[Any],
    blocks: Sequence[Sequence[int]],
    recipe: Recipe,
    renew: Renew,
    tell: Tell,
) -> int:
    """Let some weights of a model learn from blocks; return how many steps it took."""
    torch = need_torch()
    total = steps_of(len(blocks), recipe)
    rate = float(recipe.learning_rate)
    optimiser = torch.optim.AdamW(learning, lr=rate, weight_decay=0.0, foreach=False)
    model.train()
    for step, batch in enumerate(itertools.islice(_batches(blocks, recipe), total)):
        renew(step)
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / total)
        ids, seen, labels = (part.to(base.device) for part in tensors_of(torch, batch))
        loss = model(input_ids=ids, attention_mask=seen, labels=labels, use_cache=False).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        tell(step + 1, total, float(loss.detach()))
    model.eval()
    return total


def _batches(blocks: Sequence[Sequence[int]], recipe: Recipe) -> Iterator[Sequence[Sequence[int]]]:
    """Yield the blocks of each step, in order, over and over."""
    size = recipe.batch_blocks
    for _ in range(recipe.epochs):
        yield from (blocks[at : at + size] for at in range(0, len(blocks), size))


def tensors_of(torch: Any, batch: Sequence[Sequence[int]]) -> tuple[Any, Any, Any]:
    """Return ids, what is seen and what is asked for, each of shape (blocks, tokens)."""
    shape = (len(batch), max(map(len, batch)))
    ids = torch.zeros(shape, dtype=torch.long)
    seen = torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED, dtype=torch.long)
    for row, block in enumerate(batch):
        line = torch.tensor(block, dtype=torch.long)
        ids[row, : len(block)] = line
        seen[row, : len(block)] = 1
        labels[row, : len(block)] = line
    return ids, seen, labels
