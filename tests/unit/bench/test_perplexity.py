"""Perplexity on authors kept back: what is counted, and what is not."""

import math

import pytest

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("transformers", reason="sayso[train] is not installed")

from bench.perplexity import Heard, bits_per_byte, interval, listen, perplexity

from sayso.training.learn import Loaded, load_base
from sayso.training.text import prepare
from tests.unit.training.lab import small_base

TEXTS = {
    "short": [prepare("post", "So it goes.")],
    "long": [prepare("comment", "And so it went on. " * 30), prepare("profile", "Ünïcode, too.")],
}


@pytest.fixture(scope="module")
def base() -> Loaded:
    return load_base(small_base(), "cpu")


def test_a_model_that_knows_nothing_is_as_perplexed_as_it_has_tokens(base: Loaded) -> None:
    for weight in base.model.parameters():
        weight.zero_()

    heard = listen(base, TEXTS, 64)

    assert perplexity(heard) == pytest.approx(len(base.tokenizer), rel=1e-5)
    assert bits_per_byte(heard[:1]) == pytest.approx(math.log2(len(base.tokenizer)), rel=1e-5)


@pytest.mark.parametrize("block_tokens", [16, 64, 128])
def test_every_token_of_the_words_counts_once(base: Loaded, block_tokens: int) -> None:
    heard = listen(base, TEXTS, block_tokens)

    words = {who: "".join(text.partition("\n\n")[2] for text in TEXTS[who]) for who in TEXTS}
    assert [one.text_bytes for one in heard] == [len(text.encode()) for text in words.values()]
    assert [one.tokens for one in heard] == [one.text_bytes for one in heard]  # it reads bytes


def test_an_interval_of_equals_is_one() -> None:
    heard = [Heard(nats, 10, 30) for nats in (11.0, 12.5, 19.0)]
    better = [Heard(one.nats - 1, 10, 30) for one in heard]

    assert interval(heard, heard) == (1.0, 1.0)
    low, high = interval(better, heard)
    assert low == pytest.approx(high)
    assert high == pytest.approx(math.exp(-0.1))
