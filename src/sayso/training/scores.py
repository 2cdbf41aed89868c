"""Scores: what a model's losses say about texts that it may have learned from.

Promises: pure arithmetic over losses, and the losses of one model on texts, which change
nothing in it. All of it is an alarm and never a proof: a low score shows neither that a text
was not learned nor that it was forgotten.

Example:
    >>> exposure(0.5, [1.0, 2.0, 3.0])
    2.0
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sayso.training.environment import need_torch
from sayso.training.learn import Loaded, tensors_of, tokens_of

# Texts that are read at once.
_BATCH_TEXTS = 16
# Source: Shi et al., "Detecting pretraining data from large language models", ICLR 2024.
MIN_K = 0.2
# What a code that nobody planted has on average: its rank among all is any. Source: the mean
# of log2(n / rank) over ranks 1 to n, for large n.
CHANCE_BITS = 1 / math.log(2)


@dataclass(frozen=True, slots=True)
class Loss:
    """What one text costs a model.

    Attributes:
        total: Sum over its tokens, in nats.
        mean: By token.
        least_likely: Mean over the fifth of its tokens that the model expects least.
    """

    total: float
    mean: float
    least_likely: float


def losses_of(base: Loaded, texts: Sequence[str]) -> list[Loss]:
    """Return what each text costs a model, each text read alone."""
    torch = need_torch()
    found: list[Loss] = []
    tokens = [tokens_of(base.tokenizer, [text]) for text in texts]
    with torch.no_grad():
        for at in range(0, len(tokens), _BATCH_TEXTS):
            ids, seen, _ = tensors_of(torch, tokens[at : at + _BATCH_TEXTS])
            ids, seen = ids.to(base.device), seen.to(base.device)
            logits = base.model(input_ids=ids, attention_mask=seen, use_cache=False).logits
            # Not cross_entropy, which has no form on a GPU that gives the same bits each time.
            likely = logits[:, :-1].double().log_softmax(dim=-1)
            costs = -likely.gather(2, ids[:, 1:, None]).squeeze(2)
            rows = zip(costs.tolist(), seen.sum(dim=1).tolist(), strict=True)
            found += [_loss(row[: length - 1]) for row, length in rows]
    return found


def _loss(costs: list[float]) -> Loss:
    worst = sorted(costs, reverse=True)[: max(1, round(MIN_K * len(costs)))]
    return Loss(math.fsum(costs), math.fsum(costs) / len(costs), math.fsum(worst) / len(worst))


def exposure(loss: float, others: Sequence[float]) -> float:
    """Return log2 of the number of codes, less log2 of the rank of one among them, in bits.

    Args:
        loss: Of the planted code.
        others: Of codes of the same form that nobody planted; ties rank behind the planted.
    """
    rank = 1 + sum(other < loss for other in others)
    return math.log2(len(others) + 1) - math.log2(rank)


def area(members: Sequence[float], others: Sequence[float]) -> float:
    """Return how likely a member's score is higher than another's: 0.5 says nothing, 1 all."""
    wins = sum((one > other) + (one == other) / 2 for one in members for other in others)
    return wins / (len(members) * len(others))


def tell_apart(
    planted: Sequence[Loss], others: Sequence[Loss], references: Sequence[Sequence[Loss]]
) -> dict[str, float]:
    """Return the area for each score.

    Args:
        planted: Losses of codes that were planted.
        others: Of codes that were not.
        references: Of both, planted first, under each model that learned from neither.
    """
    both = [*planted, *others]
    calibrated = [
        math.fsum(one[place].mean for one in references) / len(references) - loss.mean
        for place, loss in enumerate(both)
        if references
    ]
    found = {
        "loss": [-loss.mean for loss in both],
        "reference": calibrated,
        "min-k": [-loss.least_likely for loss in both],
    }
    cut = len(planted)
    return {name: area(one[:cut], one[cut:]) for name, one in found.items() if one}


def mean(values: Sequence[Any]) -> float:
    """Return the mean of some numbers."""
    return math.fsum(values) / len(values)
