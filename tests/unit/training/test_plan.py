"""The plan: what a number of shards costs. Needs no PyTorch."""

import json
import statistics
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.training import plan, plot
from sayso.training.plan import MEASURED, expected_quality, load_measured, touched_share
from sayso.training.shards import check_count, shard_name
from tests.unit.training.lab import MEMBERS, RECIPE, make_lab

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("shards", "withdrawals", "percent"),
    # Source: the closed form 1-(1-1/S)^K, as the project's notes on training tabulate it.
    [(16, 1, 6.2), (16, 10, 47.6), (64, 100, 79.3), (256, 1000, 98.0), (4096, 10_000, 91.3)],
)
def test_the_share_touched_is_the_closed_form(
    shards: int, withdrawals: int, percent: float
) -> None:
    assert 100 * touched_share(1 / shards, withdrawals) == pytest.approx(percent, abs=0.06)


def test_a_plan_adds_up(tmp_path: Path) -> None:
    make_lab(tmp_path).close()

    found = plan(tmp_path / "first", 2, (1, 4, 16), RECIPE)

    assert found.members == MEMBERS
    assert [cost.count for cost in found.costs] == [1, 4, 16]
    assert found.costs[0].shards == 2
    assert found.costs[0].quality == expected_quality(2)
    assert 0 < found.costs[2].share < found.costs[1].share < found.costs[0].share <= 1
    for cost in found.costs:
        loads = found.loads[cost.count]
        assert sum(load.members for load in loads) == MEMBERS
        assert sum(load.text_bytes for load in loads) == sum(
            load.text_bytes for load in found.loads[1]
        )
        assert cost.steps_again <= cost.steps
        assert cost.touched == pytest.approx(
            sum(touched_share(load.members / MEMBERS, 2) for load in loads)
        )


def test_the_expected_quality_is_what_was_measured() -> None:
    sets = json.loads((ROOT / "docs" / "shards.json").read_text())
    kept: dict[int, list[float]] = {}
    for one in sets:
        for line in one["counts"] if one["base"] == "prose" else ():
            kept.setdefault(line["count"], []).append(round(statistics.median(line["kept"]), 2))

    assert {count: (min(found), max(found)) for count, found in kept.items()} == MEASURED
    assert expected_quality(1) == "100%"
    assert expected_quality(65) == "unknown"
    least = [int(expected_quality(count).split("%")[0]) for count in range(1, 65)]
    assert least == sorted(least, reverse=True)


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    make_lab(tmp_path).close()

    drawn = ET.fromstring(plot(plan(tmp_path / "first", 2, (1, 16))))

    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 2


def test_what_was_measured_on_other_texts_counts_where_it_is_given(tmp_path: Path) -> None:
    make_lab(tmp_path).close()
    path = tmp_path / "measured.json"
    path.write_text('{"1": 1, "2": 0.8, "8": 0.4}')
    measured = load_measured(path)

    found = plan(tmp_path / "first", 2, (1, 2, 4, 1024), RECIPE, measured)

    adapters = [cost.shards for cost in found.costs]
    assert [cost.quality for cost in found.costs] == [
        expected_quality(count, measured) for count in adapters
    ]
    assert [expected_quality(count, measured) for count in (2, 4, 9)] == ["80%", "60%", "unknown"]
    assert expected_quality(1, {2: (1.0, 1.0)}) == "unknown"
    for text in ("", "{}", "[1]", '{"x": 2}', '{"0": 2}', '{"1": Infinity}'):
        path.write_text(text)
        with pytest.raises(InputError, match="no measurement"):
            load_measured(path)


def test_odd_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 withdrawals"):
        plan(tmp_path, 0)
    with pytest.raises(InputError, match="power of two"):
        plan(tmp_path, 1, (3,))
    for count in (0, -4, 2048, 6):
        with pytest.raises(InputError):
            check_count(count)


def test_a_shard_is_a_country_and_a_bucket_modulo() -> None:
    assert shard_name("HK", 1023, 64) == "HK-0063-of-0064"
    assert shard_name("HK", 1023, 1) == "HK-0000-of-0001"
