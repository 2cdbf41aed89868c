"""A base that has read English: the documentation that comes with Python.

Promises: the prose of Python's language reference and of the docstrings of its standard
library, which is on every machine that runs this and holds no member's data; a tokenizer and a
small model learned from it and kept. It is given to the training like any base that a user
brings, and so is recorded as of unknown exposure.
"""

import ast
import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from pydoc_data import topics

import tokenizers
import transformers

from sayso.training.environment import need_torch, prepare_torch
from sayso.training.learn import Loaded, cut, fit, tokens_of
from sayso.training.runs import Recipe

# What fits a model of a million weights and ten minutes of one thread.
VOCABULARY, WIDTH, LAYERS, HEADS, BLOCK_TOKENS = 2048, 128, 4, 4, 128
RECIPE = Recipe(
    shards=1, seed=1, epochs=3, learning_rate="0.003", block_tokens=BLOCK_TOKENS, batch_blocks=4
)
END = "<|end|>"
# A paragraph shorter than this is a heading or a signature.
LEAST_WORDS = 8
# Below this share of letters and spaces it is code, or a table.
LEAST_LETTERS = 0.85
_NOT_THE_LIBRARY = {"site-packages", "test", "tests", "idle_test", "lib2to3"}


def prose() -> list[str]:
    """Return the paragraphs, each once, shuffled; they depend on Python's version alone."""
    found: dict[str, None] = {}
    for text in [*topics.topics.values(), *_docstrings()]:
        for paragraph in re.split(r"\n\s*\n", text):
            line = " ".join(paragraph.split())
            if _is_prose(line):
                found[line] = None
    texts = list(found)
    random.Random(1).shuffle(texts)  # else a model ends on what it read last
    return texts


def _is_prose(line: str) -> bool:
    letters = sum(sign.isalpha() or sign == " " for sign in line)
    long_enough = line.count(" ") + 1 >= LEAST_WORDS
    return long_enough and line[0].isupper() and letters >= LEAST_LETTERS * len(line)


def _docstrings() -> Iterator[str]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if _NOT_THE_LIBRARY & set(path.relative_to(root).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):  # kept there as examples of both
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield ast.get_docstring(node) or ""


def prose_base(place: Path, recipe: Recipe = RECIPE) -> Path:
    """Return a base that read all of it, training it first where it is not there."""
    if place.is_dir():
        return place
    torch, device = need_torch(), prepare_torch("cpu")
    texts = prose()
    tokenizer = _tokenizer(texts)
    torch.manual_seed(recipe.seed)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=len(tokenizer), n_positions=BLOCK_TOKENS, n_embd=WIDTH, n_layer=LAYERS,
            n_head=HEADS, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
            attn_implementation="eager", initializer_range=WIDTH**-0.5,
        )
    )  # fmt: skip
    blocks = cut(tokens_of(tokenizer, texts), recipe.block_tokens)

    def tell(step: int, steps: int, loss: float) -> None:
        if step % 200 == 0 or step == steps:
            print(f"  base: step {step:,} of {steps:,}, loss {loss:.3f}", flush=True)

    base = Loaded(model, tokenizer, device)
    fit(base, model, list(model.parameters()), blocks, recipe, lambda _step: None, tell)
    made = place.with_name(f".{place.name}.partial")
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    made.rename(place)
    return place


def _tokenizer(texts: list[str]) -> transformers.PreTrainedTokenizerFast:
    """Return byte pairs of the prose; every byte stays readable."""
    plain = tokenizers.Tokenizer(tokenizers.models.BPE())
    plain.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END], show_progress=False,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    plain.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token=END, pad_token=END, bos_token=END
    )
