"""Canaries and scores: drawn from a number, and compared with the naive way."""

import math

import pytest

from sayso.training.canaries import codes, plant, text_of
from sayso.training.scores import CHANCE_BITS, area, exposure, losses_of, mean, tell_apart
from sayso.training.shards import shard_name
from tests.unit.training.lab import small_base


def test_codes_are_drawn_from_a_number_and_all_differ() -> None:
    first = codes(500, seed=1)

    assert first == codes(500, seed=1)
    assert first[:20] == codes(20, seed=1)
    assert len(set(first)) == 500
    assert not set(first) & set(codes(500, seed=2))


def test_a_code_is_read_as_it_is() -> None:
    for code in codes(50, seed=3):
        assert code in text_of(code)
        assert "[" not in text_of(code)


def test_the_planted_are_members_of_one_shard() -> None:
    rows = plant(codes(5, seed=1), 3, "HK", 2, 4)

    assert len(rows) == 15
    assert {shard_name(one.country, one.bucket, 4) for one in rows} == {"HK-0002-of-0004"}
    assert len({one.tag for one in rows}) == 15
    assert len({(one.bucket, one.text) for one in rows}) == 5
    assert all(len(one.tag) == len(one.digest) == 32 for one in rows)


def test_exposure_is_by_rank() -> None:
    others = [float(n) for n in range(1, 8)]

    assert exposure(0.0, others) == 3.0
    assert exposure(1.5, others) == 2.0
    assert exposure(9.0, others) == 0.0
    ranks = [math.log2(4096) - math.log2(rank) for rank in range(1, 4097)]
    assert mean(ranks) == pytest.approx(CHANCE_BITS, abs=0.01)


def test_the_area_counts_pairs() -> None:
    assert area([3.0, 2.0], [1.0, 0.0]) == 1.0
    assert area([1.0, 1.0], [1.0, 1.0]) == 0.5
    assert area([1.0, 3.0], [2.0]) == 0.5
    assert area([0.0], [1.0, 2.0]) == 0.0


def test_losses_are_those_of_one_text_alone() -> None:
    torch = pytest.importorskip("torch", reason="sayso[train] is not installed")
    pytest.importorskip("peft", reason="sayso[train] is not installed")
    from sayso.training.learn import load_base, tokens_of

    base = load_base(small_base(), "cpu")
    texts = ["Write a post.", "So it goes, and goes on.", "x"]

    found = losses_of(base, texts)

    for text, loss in zip(texts, found, strict=True):
        ids = torch.tensor([tokens_of(base.tokenizer, [text])])
        with torch.no_grad():
            likely = base.model(input_ids=ids).logits.double().log_softmax(-1)[0]
        costs = sorted(
            (-float(likely[at, ids[0, at + 1]]) for at in range(ids.shape[1] - 1)), reverse=True
        )
        assert loss.total == pytest.approx(sum(costs), rel=1e-5)
        assert loss.mean == pytest.approx(sum(costs) / len(costs), rel=1e-5)
        worst = costs[: max(1, round(0.2 * len(costs)))]
        assert loss.least_likely == pytest.approx(sum(worst) / len(worst), rel=1e-5)
    told = tell_apart(found[:1], found[1:], [found])
    assert told["reference"] == 0.5
    assert set(told) == {"loss", "reference", "min-k"}
