"""From a prompt to the numbers that a model reads.

Promises: no word of the member becomes a control token: their text is cut inside of every
string that the tokenizer would read as one, and looked at again afterwards. Roles are made
of control tokens that only the model's own template places; the member's text never goes
through the template. What does not fit is cut from the end of the material and said so.

Does not run a model.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sayso.errors import InputError
from sayso.writing.prompt import Prompt

# Private use, so that no template of anybody writes them.
_MARK = "\ue000{}\ue001"
_MARKS = re.compile("\ue000([01])\ue001")
# A context that is not told, or told as endless, is taken for this.
UNTOLD_CONTEXT = 4096
# At least so much of the material must fit.
LEAST_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a model reads.

    Attributes:
        ids: Numbers of tokens.
        is_cut: Whether some of the material did not fit.
    """

    ids: tuple[int, ...]
    is_cut: bool


def encode_prompt(tokenizer: Any, prompt: Prompt, room: int) -> Encoded:
    """Return a prompt as tokens.

    Args:
        tokenizer: Of the model.
        prompt: What it is told and given.
        room: How many tokens it may read.

    Raises:
        InputError: Not even a little of the material fits, or the model's template does not
            carry messages as they are.
    """
    plain = _Plain(tokenizer)
    before, after = _frame(tokenizer, prompt, plain)
    left = room - len(before) - len(after)
    if left < LEAST_TOKENS:
        raise InputError(
            f"the model reads {max(room, 0)} tokens, too few for a prompt", hint="lower --tokens"
        )
    material = plain.tokens(prompt.material)
    return Encoded((*before, *material[:left], *after), len(material) > left)


def context_of(model: Any, tokenizer: Any) -> int:
    """Return how many tokens a model reads and writes together."""
    told = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    known = [one for one in told if isinstance(one, int) and 0 < one < 10**7]
    return min(known, default=UNTOLD_CONTEXT)


def _frame(tokenizer: Any, prompt: Prompt, plain: "_Plain") -> tuple[list[int], list[int]]:
    """Return the tokens before and after the material."""
    if not tokenizer.chat_template:
        # What adapters learned from: texts with their opening, one end of text between each.
        end = tokenizer.eos_token_id
        return [], [*([] if end is None else [end]), *plain.tokens(prompt.opening)]
    system, user = prompt.messages()
    parts = {"0": system["content"], "1": ""}
    marked = [
        {"role": one["role"], "content": _MARK.format(number)}
        for number, one in enumerate((system, user))
    ]
    try:
        rendered = str(
            tokenizer.apply_chat_template(marked, tokenize=False, add_generation_prompt=True)
        )
    except Exception:  # noqa: BLE001  # a template is a program of somebody else
        rendered = ""
    found = _MARKS.split(rendered)
    if found[1::2] != ["0", "1"]:
        raise InputError(
            "the model's chat template takes no system message followed by a user's",
            hint="use a model whose template does",
        )
    opening, _, between, _, closing = found
    told = [
        *_own(tokenizer, opening), *plain.tokens(parts["0"]), *_own(tokenizer, between),
    ]  # fmt: skip
    return told, _own(tokenizer, closing)


def _own(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of the template's own text, control tokens as such."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


class _Plain:
    """Reads text in which nothing is a control token."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        added: Mapping[int, Any] = tokenizer.added_tokens_decoder
        # Runs of spaces are tokens of some vocabularies, and control nothing.
        told = {
            number: str(one) for number, one in added.items() if one.special or str(one).strip()
        }
        self._control = frozenset(told) | frozenset(tokenizer.all_special_ids)
        words: Iterable[str] = {*told.values(), *map(str, tokenizer.all_special_tokens)}
        longest = sorted((word for word in words if word), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest))) if longest else None

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, none of which is a control token."""
        found: list[int] = []
        for part in self._parts(text):
            ids = self._read(part)
            # A normaliser may have made a control token after all: read sign by sign, and
            # leave out a sign that is one by itself.
            if self._control.intersection(ids):
                ids = [one for sign in part for one in self._read(sign)]
            found += [one for one in ids if one not in self._control]
        return found

    def _parts(self, text: str) -> Iterable[str]:
        """Cut a text inside of every string that would be read as a control token."""
        while self._pattern and (met := self._pattern.search(text)):
            cut = met.start() + 1
            yield text[:cut]
            text = text[cut:]
        if text:
            yield text

    def _read(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
