"""The table and the plot of `bench.shards`: pure functions from figures to text.

Promises: `docs/shards.json` holds every figure that the table and the plot show, and nothing by
author; the table goes between two marks of `docs/shards.md`, whose words around it stay.
"""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.perplexity import Heard, bits_per_byte, interval, perplexity

TITLES = {"polis": "Ten Polis consultations", "stackexchange": "history.meta of Stack Exchange"}
BASES = {"prose": "a base that read Python's documentation", "own": "the project's own base"}
BEGIN, END = "<!-- figures: bench/shards.py -->", "<!-- end of figures -->"
MODELS = ("base", "single", "mean", "random")

Figures = Mapping[str, Any]


def write(cases: Sequence[Figures], out: Path) -> None:
    """Write `shards.json`, `shards.svg` and the table in `shards.md`."""
    sets = summed(cases)
    (out / "shards.json").write_text(json.dumps(sets, indent=1) + "\n", encoding="utf-8")
    (out / "shards.svg").write_text(
        plot([one for one in sets if one["base"] == "prose"]), encoding="utf-8"
    )
    page = out / "shards.md"
    old = page.read_text(encoding="utf-8") if page.is_file() else f"{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    after = rest.partition(END)[2]
    told = "\n\n".join(table(one) for one in sets)
    page.write_text(f"{before}{BEGIN}\n\n{told}\n\n{END}{after}", encoding="utf-8")


def summed(cases: Sequence[Figures]) -> list[dict[str, Any]]:
    """Return, for every set and base, each model's perplexity in every repetition."""
    found: dict[tuple[str, str], list[Figures]] = {}
    for one in cases:
        found.setdefault((one["case"]["name"], one["case"]["base"]), []).append(one)
    return [_summed(name, base, mine) for (name, base), mine in sorted(found.items(), key=_order)]


def _order(item: tuple[tuple[str, str], object]) -> tuple[int, str]:
    (name, base), _ = item
    return list(BASES).index(base), name


def _summed(name: str, base: str, turns: Sequence[Figures]) -> dict[str, Any]:
    lines = [_by_model(turn) for turn in turns]
    counts = turns[0]["settings"]["counts"]
    per_turn = [
        {
            "base": perplexity(line["base", 0][0]),
            "base_bits_per_byte": bits_per_byte(line["base", 0][0]),
            "everything": perplexity(line["mean", 1][0]),
            "everything_bits_per_byte": bits_per_byte(line["mean", 1][0]),
        }
        for line in lines
    ]
    settings = dict(turns[0]["settings"])
    return {
        "set": name,
        "base": base,
        "recipe": {
            key: settings[key]
            for key in ("epochs", "learning_rate", "rank", "alpha", "block_tokens", "batch_blocks")
        },
        "learned": [turn["learned"] for turn in turns],
        "held": [turn["held"] for turn in turns],
        "turns": per_turn,
        "counts": [_count(count, turns, lines, per_turn) for count in counts],
    }


def _by_model(turn: Figures) -> dict[tuple[str, int], list[list[Heard]]]:
    found: dict[tuple[str, int], list[list[Heard]]] = {}
    for line in turn["lines"]:
        heard = [Heard(**one) for one in line["heard"]]
        found.setdefault((line["model"], line["shards"]), []).append(heard)
    return found


def _count(
    count: int,
    turns: Sequence[Figures],
    lines: Sequence[Any],
    per_turn: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    means = [perplexity(line["mean", count][0]) for line in lines]
    singles = [statistics.fmean(map(perplexity, line["single", count])) for line in lines]
    randoms = [perplexity(line["random", count][0]) for line in lines]
    kept = [
        math.log(turn["base"] / mean) / math.log(turn["base"] / turn["everything"])
        for turn, mean in zip(per_turn, means, strict=True)
    ]
    intervals = [interval(line["mean", count][0], line["base", 0][0]) for line in lines]
    sizes = [turn["sizes"][str(count)] for turn in turns]
    return {
        "count": count,
        "adapters": [one["adapters"] for one in sizes],
        "tokens": [one["tokens"] for one in sizes],
        "steps_of_a_shard": statistics.median(one["steps"] / one["adapters"] for one in sizes),
        "single": singles,
        "mean": means,
        "random": randoms,
        "kept": kept,
        "mean_over_base": [list(one) for one in intervals],
    }


# ---- the table --------------------------------------------------------------------------


def table(one: Mapping[str, Any]) -> str:
    """Return a set's lines in Markdown."""
    learned, held, turns = one["learned"], one["held"], one["turns"]
    recipe = one["recipe"]
    head = (
        f"**{TITLES[one['set']]}, on {BASES[one['base']]}.** {len(turns)} repetition"
        f"{'s' if len(turns) > 1 else ''}. Learned from: {_span([n['authors'] for n in learned])} "
        f"authors, {_span([n['records'] for n in learned])} records, "
        f"{_span(one['counts'][0]['tokens'])} tokens, {_times(recipe['epochs'])}, at a learning rate "
        f"of {recipe['learning_rate']}, rank {recipe['rank']}, {recipe['batch_blocks']} blocks of "
        f"{recipe['block_tokens']} tokens in a step. Kept back: {_span([n['authors'] for n in held])} "
        f"authors, {_span([n['records'] for n in held])} records. Base: "
        f"{_range([t['base'] for t in turns])}, in bits a byte "
        f"{_range([t['base_bits_per_byte'] for t in turns])}. One adapter on everything: "
        f"{_range([t['everything'] for t in turns])}, in bits a byte "
        f"{_range([t['everything_bits_per_byte'] for t in turns])}."
    )
    rows = [
        "| S | adapters | steps of a shard | one shard's adapter | mean of all | random, same norm | mean / base, 95 % over authors | gain kept |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for line in one["counts"]:
        low = min(pair[0] for pair in line["mean_over_base"])
        high = max(pair[1] for pair in line["mean_over_base"])
        rows.append(
            f"| {line['count']} | {_span(line['adapters'])} | {line['steps_of_a_shard']:.0f} | "
            f"{_range(line['single'])} | {_range(line['mean'])} | {_range(line['random'])} | "
            f"{low:.3f} to {high:.3f} | {_percent(line['kept'])} |"
        )
    return "\n".join([head, "", *rows])


def _times(number: int) -> str:
    return {1: "once", 3: "three times"}.get(number, f"{number} times")


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _range(values: Sequence[float]) -> str:
    middle = statistics.median(values)
    if len(values) == 1:
        return f"{middle:.2f}"
    return f"{middle:.2f} ({min(values):.2f} to {max(values):.2f})"


def _percent(values: Sequence[float]) -> str:
    middle = statistics.median(values)
    if f"{min(values):.0%}" == f"{max(values):.0%}":
        return f"{middle:.0%}"
    return f"{middle:.0%} ({min(values):.0%} to {max(values):.0%})"


# ---- the plot ---------------------------------------------------------------------------

_WIDE, _HIGH, _LEFT, _TOP, _GAP = 330, 280, 70, 84, 96
_LINES = (
    ("single", "#c8553d", "one shard's adapter"),
    ("mean", "#1b6ca8", "mean of all: what a release is"),
    ("random", "#8a8a8a", "random, of the mean's norm"),
)
_EXPLAINED = (
    "How well a model foresees authors whom it never read: perplexity per token, lower is "
    "better. A dot is one repetition."
)
_BASE, _ALL = "#3a3a3a", "#588157"


def plot(sets: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG with a panel for each set: perplexity over the number of shards."""
    width = _LEFT + len(sets) * (_WIDE + _GAP)
    height = _TOP + _HIGH + 116
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT - 46}" y="26" font-size="17" font-weight="bold">What sharding costs in quality</text>',
        f'<text x="{_LEFT - 46}" y="46" fill="#555">{_EXPLAINED}</text>',
    ]
    for place, one in enumerate(sets):
        parts += _panel(one, _LEFT + place * (_WIDE + _GAP))
    parts += _legend(_TOP + _HIGH + 74)
    return "\n".join([*parts, "</svg>", ""])


def _panel(one: Mapping[str, Any], left: float) -> list[str]:
    bases = [turn["base"] for turn in one["turns"]]
    everything = [turn["everything"] for turn in one["turns"]]
    drawn = [value for line in one["counts"] for key, _, _ in _LINES for value in line[key]]
    top, bottom = max([*drawn, *bases]), min([*drawn, *everything])
    margin = (top - bottom) * 0.08
    top, bottom = top + margin, bottom - margin
    counts = [line["count"] for line in one["counts"]]

    def x(place: int) -> float:
        return left + 30 + (_WIDE - 60) * place / max(1, len(counts) - 1)

    def y(value: float) -> float:
        return float(_TOP + _HIGH * (top - value) / (top - bottom))

    parts = [f'<text x="{left}" y="{_TOP - 10}" font-weight="bold">{TITLES[one["set"]]}</text>']
    for tick in _ticks(bottom, top):
        parts.append(
            f'<line x1="{left}" x2="{left + _WIDE}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#e4e4e4"/>'
        )
        parts.append(
            f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#555">{tick:g}</text>'
        )
    for place, count in enumerate(counts):
        parts.append(
            f'<text x="{x(place):.1f}" y="{_TOP + _HIGH + 20}" text-anchor="middle">{count}</text>'
        )
    parts.append(
        f'<text x="{left + _WIDE / 2}" y="{_TOP + _HIGH + 42}" text-anchor="middle" fill="#555">shards, S</text>'
    )
    for values, colour in ((bases, _BASE), (everything, _ALL)):
        at = y(statistics.median(values))
        parts.append(
            f'<line x1="{left}" x2="{left + _WIDE}" y1="{at:.1f}" y2="{at:.1f}" stroke="{colour}" stroke-width="1.6" stroke-dasharray="6 4"/>'
        )
    for key, colour, _ in _LINES:
        points = [
            (x(place), y(statistics.median(line[key]))) for place, line in enumerate(one["counts"])
        ]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{2.6 if key == "mean" else 1.6}"/>'
        )
        for place, line in enumerate(one["counts"]):
            parts += [
                f'<circle cx="{x(place):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>'
                for value in line[key]
            ]
    return parts


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(part for part in (1, 2, 5, 10) if (high - low) / (step * part) <= 6)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _legend(top: float) -> list[str]:
    entries = [
        (_BASE, "6 4", "the base, which read none of it"),
        (_ALL, "6 4", "one adapter on everything"),
        *((colour, "", name) for _, colour, name in _LINES),
    ]
    parts = []
    for place, (colour, dashes, name) in enumerate(entries):
        left, down = _LEFT - 46 + 300 * (place % 3), top + 24 * (place // 3)
        parts.append(
            f'<line x1="{left}" x2="{left + 28}" y1="{down - 4}" y2="{down - 4}" stroke="{colour}" stroke-width="2.4" stroke-dasharray="{dashes}"/>'
        )
        parts.append(f'<text x="{left + 36}" y="{down}">{name}</text>')
    return parts
