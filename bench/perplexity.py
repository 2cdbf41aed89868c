"""How well a model foresees what people wrote who were kept back from it.

Promises: each text is read with its template's first line before it, and only the author's own
words count, so that learning the templates wins nothing; long texts are read in windows that
share one token, so that every token but a window's first is foreseen once. Figures are kept
by author, so that what one talkative author does to them can be seen.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sayso.training.environment import need_torch
from sayso.training.learn import IGNORED, Loaded

# Between the template's line and the words. Source: sayso.training.text.
PROMPT_ENDS = "\n\n"
_TOGETHER = 32
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """What it took to foresee one author.

    Attributes:
        nats: Of surprise, summed.
        tokens: That were foreseen.
        text_bytes: Of the words.
    """

    nats: float
    tokens: int
    text_bytes: int


def perplexity(heard: Sequence[Heard]) -> float:
    """Return the perplexity per token over all of their tokens."""
    return math.exp(sum(one.nats for one in heard) / sum(one.tokens for one in heard))


def bits_per_byte(heard: Sequence[Heard]) -> float:
    """Return what can be compared between models with other tokens."""
    return sum(one.nats for one in heard) / math.log(2) / sum(one.text_bytes for one in heard)


def interval(ours: Sequence[Heard], theirs: Sequence[Heard]) -> tuple[float, float]:
    """Return the 95 % interval of a ratio of perplexities, drawing authors with replacement.

    Both sides are the same authors in the same order.
    """
    draw = random.Random(0)
    ratios = []
    for _ in range(RESAMPLES):
        some = [draw.randrange(len(ours)) for _ in ours]
        ratios.append(perplexity([ours[i] for i in some]) / perplexity([theirs[i] for i in some]))
    ratios.sort()
    return ratios[RESAMPLES // 40], ratios[-RESAMPLES // 40]


def listen(base: Loaded, texts: Mapping[str, Sequence[str]], block_tokens: int) -> list[Heard]:
    """Return what each author takes, in the order of the mapping.

    Args:
        base: A model; it is not changed.
        texts: Author -> prepared texts.
        block_tokens: Tokens in a window.
    """
    windows: list[tuple[int, list[int], list[int]]] = []
    sizes = [0] * len(texts)
    for author, mine in enumerate(texts.values()):
        for text in mine:
            sizes[author] += len(text.partition(PROMPT_ENDS)[2].encode())
            windows += [
                (author, *window) for window in _windows(base.tokenizer, text, block_tokens)
            ]
    windows.sort(key=lambda one: len(one[1]))
    nats, tokens = [0.0] * len(texts), [0] * len(texts)
    for at in range(0, len(windows), _TOGETHER):
        batch = windows[at : at + _TOGETHER]
        surprises = _surprises(base, [one[1] for one in batch], [one[2] for one in batch])
        for (author, _, _), (sum_nats, count) in zip(batch, surprises, strict=True):
            nats[author] += sum_nats
            tokens[author] += count
    return [Heard(*one) for one in zip(nats, tokens, sizes, strict=True)]


def _windows(tokenizer: object, text: str, size: int) -> list[tuple[list[int], list[int]]]:
    """Return ids and labels of every window of a text."""
    words_at = text.index(PROMPT_ENDS) + len(PROMPT_ENDS)
    told = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)  # type: ignore[operator]
    ids = told["input_ids"]
    labels = [
        token if start >= words_at else IGNORED
        for token, (start, _) in zip(ids, told["offset_mapping"], strict=True)
    ]
    return [
        (ids[at : at + size], [IGNORED, *labels[at + 1 : at + size]])
        for at in range(0, max(1, len(ids) - 1), size - 1)
    ]


def _surprises(
    base: Loaded, ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]
) -> list[tuple[float, int]]:
    torch = need_torch()
    shape = (len(ids), max(map(len, ids)))
    read, seen = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    asked = torch.full(shape, IGNORED, dtype=torch.long)
    for row, (line, label) in enumerate(zip(ids, labels, strict=True)):
        read[row, : len(line)] = torch.tensor(line)
        seen[row, : len(line)] = 1
        asked[row, : len(label)] = torch.tensor(label)
    with torch.no_grad():
        logits = base.model(input_ids=read, attention_mask=seen, use_cache=False).logits
        each = torch.nn.functional.cross_entropy(
            logits[:, :-1].transpose(1, 2), asked[:, 1:], ignore_index=IGNORED, reduction="none"
        )
    sums = each.double().sum(dim=1).tolist()
    counts = (asked[:, 1:] != IGNORED).sum(dim=1).tolist()
    return list(zip(sums, counts, strict=True))
