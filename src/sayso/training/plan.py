"""Plan: what a number of shards costs when members withdraw.

Promises: arithmetic over one snapshot, by the records that it holds; each withdrawal is of a
member drawn evenly from all, and all of them are forgotten in one batch. What a number of
adapters does to the quality of a release is not arithmetic: it is what was measured on real
text with a small model (docs/shards.md), and `unknown` beyond. Needs no PyTorch, and trains
nothing.

Example:
    >>> round(touched_share(1 / 64, 100), 3)
    0.793
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sayso.errors import InputError
from sayso.training.learn import steps_of
from sayso.training.runs import Recipe
from sayso.training.shards import bucket_tables, check_count, shard_name
from sayso.training.text import prepare

COUNTS = (1, 4, 16, 64, 256, 1024)
UNKNOWN = "unknown"
# Adapters -> of what one adapter on everything gains over the base, the part that their mean
# gained: least and most over the sets of real texts. Source: docs/shards.json.
Measured = Mapping[int, tuple[float, float]]
MEASURED: Measured = {1: (1.0, 1.0), 4: (0.65, 0.76), 16: (0.44, 0.57), 64: (0.28, 0.31)}
# Withdrawals along the plot.
_ALONG = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_COLOURS = ("#1b6ca8", "#c8553d", "#588157", "#7b2d8b", "#b08900", "#3a3a3a")


@dataclass(frozen=True, slots=True)
class Load:
    """One shard of a plan: its members, and the bytes of its texts."""

    members: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What one number of shards costs.

    Attributes:
        count: Shards of each country, at most.
        shards: How many hold any record.
        touched: Of these, expected to hold a member who withdrew.
        share: Part of all text that is learned again, expected.
        steps: Of a whole training, on a base that reads bytes; of any other, fewer.
        steps_again: Of learning again, expected.
        quality: Of `expected_quality`, for so many adapters.
    """

    count: int
    shards: int
    touched: float
    share: float
    steps: int
    steps_again: float
    quality: str


@dataclass(frozen=True)
class Plan:
    """The table, and what a plot of it needs."""

    members: int
    withdrawals: int
    costs: tuple[Cost, ...]
    loads: dict[int, tuple[Load, ...]]


def touched_share(part: float, withdrawals: int) -> float:
    """Return how likely it is that some of so many withdrawals fall into a part of the members."""
    return 1.0 - (1.0 - part) ** withdrawals


def expected_quality(adapters: int, measured: Measured = MEASURED) -> str:
    """Return which part of one adapter's gain the mean of so many keeps; `unknown` beyond.

    Between the numbers that were measured, even steps of the number's logarithm.
    """
    below = max((count for count in measured if count <= adapters), default=0)
    above = min((count for count in measured if count >= adapters), default=0)
    if not below or not above:
        return UNKNOWN
    way = math.log(adapters / below) / math.log(above / below) if above > below else 0.0
    pairs = zip(measured[below], measured[above], strict=True)
    least, most = (here + way * (there - here) for here, there in pairs)
    return f"{least:.0%}" if f"{least:.0%}" == f"{most:.0%}" else f"{least:.0%} to {most:.0%}"


def plan(
    snapshot: Path,
    withdrawals: int,
    counts: Sequence[int] = COUNTS,
    recipe: Recipe | None = None,
    measured: Measured = MEASURED,
) -> Plan:
    """Return what each number of shards costs at a number of withdrawals in one batch.

    Args:
        snapshot: A finished snapshot.
        withdrawals: Members who withdraw.
        counts: Numbers of shards to look at.
        recipe: What decides how many steps a shard takes.
        measured: What quality is expected by.

    Raises:
        InputError: There is no finished snapshot, it is empty, or a count is no power of two.
        IntegrityError: A file differs from the manifest.
    """
    if withdrawals < 1:
        raise InputError(f"{withdrawals} withdrawals", hint="give one or more")
    for count in counts:
        check_count(count)
    loads = _loads(snapshot, counts)
    members = sum(load.members for load in loads[counts[0]])
    if not members:
        raise InputError("the snapshot holds no records", hint="build another")
    costs = tuple(
        _cost(count, loads[count], members, withdrawals, recipe or Recipe(), measured)
        for count in counts
    )
    return Plan(members, withdrawals, costs, loads)


def _loads(snapshot: Path, counts: Iterable[int]) -> dict[int, tuple[Load, ...]]:
    members: dict[int, dict[str, set[str]]] = {count: {} for count in counts}
    sizes: dict[int, dict[str, int]] = {count: {} for count in counts}
    for bucket, table in bucket_tables(snapshot):
        for row in table.select(["member_id", "country", "category", "text"]).to_pylist():
            words = prepare(row["category"], row["text"])
            size = len(words.encode()) + 1 if words else 0  # and the end of text
            for count, found in members.items():
                name = shard_name(row["country"], bucket, count)
                found.setdefault(name, set()).add(row["member_id"])
                sizes[count][name] = sizes[count].get(name, 0) + size
    return {
        count: tuple(Load(len(found[name]), sizes[count][name]) for name in sorted(found))
        for count, found in members.items()
    }


def load_measured(path: Path) -> Measured:
    """Return what was measured on other texts, from a file of JSON such as `{"1": 1, "4": 0.6}`.

    Raises:
        InputError: The file cannot be read, or says something else.
    """
    try:
        value = json.loads(path.read_bytes())
        found = {int(count): (float(kept), float(kept)) for count, kept in value.items()}
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        found = {}
    if not found or not all(
        count > 0 and math.isfinite(kept) for count, (kept, _) in found.items()
    ):
        raise InputError(
            f"'{path}' is no measurement",
            hint='give JSON with numbers of adapters and the part kept: {"1": 1, "16": 0.4}',
        )
    return found


def _cost(
    count: int,
    loads: Sequence[Load],
    members: int,
    withdrawals: int,
    recipe: Recipe,
    measured: Measured,
) -> Cost:
    likely = [touched_share(load.members / members, withdrawals) for load in loads]
    steps = [steps_of(math.ceil(load.text_bytes / recipe.block_tokens), recipe) for load in loads]
    return Cost(
        count=count,
        shards=len(loads),
        touched=sum(likely),
        share=_share(loads, likely),
        steps=sum(steps),
        steps_again=sum(part * one for part, one in zip(likely, steps, strict=True)),
        quality=expected_quality(len(loads), measured),
    )


def _share(loads: Sequence[Load], likely: Sequence[float]) -> float:
    total = sum(load.text_bytes for load in loads) or 1
    return sum(p * load.text_bytes for p, load in zip(likely, loads, strict=True)) / total


# ---- the plot ---------------------------------------------------------------------------

_LEFT, _TOP, _WIDTH, _HEIGHT, _NAMES = 60, 40, 520, 260, 210


def plot(found: Plan) -> str:
    """Return an SVG: the part of the text learned again, over the number of withdrawals."""
    along = [number for number in _ALONG if number <= max(found.members, 10)]
    lines = []
    for place, cost in enumerate(found.costs):
        loads = found.loads[cost.count]
        shares = [
            _share(loads, [touched_share(one.members / found.members, k) for one in loads])
            for k in along
        ]
        points = " ".join(
            f"{_x(k, along):.1f},{_y(share):.1f}" for k, share in zip(along, shares, strict=True)
        )
        colour = _COLOURS[place % len(_COLOURS)]
        name = f'<text x="{_LEFT + _WIDTH + 8}" y="{_TOP + 14 + 18 * place}" fill="{colour}">'
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        told = "" if cost.quality == UNKNOWN else f": {cost.quality}"
        lines.append(f"{name}S = {cost.count}{told}</text>")
    grid = []
    for tick in range(5):
        y, right = f"{_y(tick / 4):.1f}", _LEFT + _WIDTH
        grid.append(f'<line x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        name = f'<text x="{_LEFT - 8}" y="{_y(tick / 4) + 4:.1f}" text-anchor="end">'
        grid.append(f"{name}{tick * 25} %</text>")
    marks = [
        f'<text x="{_x(k, along):.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{k:,}</text>'
        for k in along
        if str(k).startswith("1")
    ]
    if 1 <= found.withdrawals <= along[-1]:
        x = f"{_x(found.withdrawals, along):.1f}"
        marks.append(
            f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{_TOP + _HEIGHT}" stroke="#777" '
            'stroke-dasharray="4 4"/>'
        )
    body = "\n".join([*grid, *marks, *lines])
    title = (
        f"Part of the text learned again, when so many of {found.members:,} members "
        "withdraw in one batch"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _NAMES} '
        f'{_TOP + _HEIGHT + 50}" role="img" font-family="sans-serif" font-size="12">\n'
        f"<title>{title}</title>\n"
        f'<text x="{_LEFT}" y="20">{title}</text>\n{body}\n'
        f'<text x="{_LEFT + _WIDTH // 2}" y="{_TOP + _HEIGHT + 40}" text-anchor="middle">'
        "withdrawals</text>\n</svg>\n"
    )


def _x(number: int, along: Sequence[int]) -> float:
    widest = math.log(along[-1]) or 1.0
    return _LEFT + _WIDTH * math.log(number) / widest


def _y(share: float) -> float:
    return _TOP + _HEIGHT * (1 - share)
