"""What two rulebooks decide differently, cell by cell.

Promises: pure; looks at every country and every class. Bounds that are no class (minimum
age, notice days, dates) are listed beside the cells.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from sayso.decision.cells import Cells
from sayso.model import Country, Jurisdiction, Presence, reasons_of


@dataclass(frozen=True, slots=True)
class CellsDiffer:
    """One change that some countries share.

    Attributes:
        gained: Reason -> cells in which the second rulebook gives it and the first does not.
        lost: The same the other way round.
        to_admitted: Cells refused by the first and by none of the second's reasons.
        to_refused: Cells that the second refuses and the first did not.
        bounds: Differences of minimum age, notice and dates, in words.
    """

    countries: tuple[Country, ...]
    gained: dict[str, int]
    lost: dict[str, int]
    to_admitted: int
    to_refused: int
    bounds: tuple[str, ...]


def compare_cells(first: Cells, second: Cells) -> list[CellsDiffer]:
    """Return the changes between two tabulations, by the profiles that they pair.

    The instants of both may differ as well as the rulebooks.
    """
    pairs: dict[tuple[int, int], list[Country]] = {}
    for country, place in first.profile_of.items():
        pairs.setdefault((place, second.profile_of[country]), []).append(country)
    changes = []
    for (one, other), countries in pairs.items():
        change = _change(first, one, second, other, tuple(countries))
        if change is not None:
            changes.append(change)
    return changes


def _change(
    first: Cells, one: int, second: Cells, other: int, countries: tuple[Country, ...]
) -> CellsDiffer | None:
    gained: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    to_admitted = to_refused = 0
    known = int(Presence.KNOWN)
    tables = [
        (first.member[one, known], second.member[other, known]),
        (first.when[one], second.when[other]),
    ]
    if first.contexts == second.contexts:
        tables.append((first.what[one], second.what[other]))
    for before, after in tables:
        for mask, cells in zip(*np.unique(after & ~before, return_counts=True), strict=True):
            gained.update(dict.fromkeys(map(str, reasons_of(int(mask))), int(cells)))
        for mask, cells in zip(*np.unique(before & ~after, return_counts=True), strict=True):
            lost.update(dict.fromkeys(map(str, reasons_of(int(mask))), int(cells)))
        to_admitted += int(((before != 0) & (after == 0)).sum())
        to_refused += int(((before == 0) & (after != 0)).sum())
    bounds = _bounds(first.profiles[one].jurisdiction, second.profiles[other].jurisdiction)
    if first.contexts != second.contexts:
        bounds = (*bounds, f"contexts named: {first.contexts[:-2]} -> {second.contexts[:-2]}")
    if not (gained or lost or bounds):
        return None
    return CellsDiffer(countries, dict(gained), dict(lost), to_admitted, to_refused, bounds)


def _bounds(first: Jurisdiction | None, second: Jurisdiction | None) -> tuple[str, ...]:
    one, other = _told(first), _told(second)
    return tuple(
        f"{name}: {one[name]} -> {other[name]}" for name in one if one[name] != other[name]
    )


def _told(law: Jurisdiction | None) -> dict[str, str]:
    rules = [held.rule for held in law.rules] if law else []
    return {
        "minimum age": str(law.minimum_age if law else None),
        "notice": ", ".join(
            f"{rule.notice.days} days since {rule.notice.since}" if rule.notice else "none"
            for rule in rules
        ),
        "earliest written": ", ".join(str(rule.earliest_written) for rule in rules),
        "withdrawal": ", ".join(str(rule.withdrawal) for rule in rules),
    }
