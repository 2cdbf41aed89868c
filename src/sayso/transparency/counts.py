"""Counts that anybody may see: of one snapshot, by country and reason.

Promises: no count from 1 to 9 is told, and none follows from those that are, neither within a
row or column nor through several of them together; the count of a scope is told only where
every country's count in it is, so that it says nothing that the table does not. Zero is told.
Counts of snapshots that follow each other are not compared: see the page on method.

Example:
    >>> Told.of({"HK": counts}).cell("HK", "admitted")      # doctest: +SKIP
    Cell(number=None, why=<Why.SMALL: 'fewer than 10'>)

Source: Willenborg and de Waal, "Elements of Statistical Disclosure Control" (2001), ch. 4.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import numpy as np

from sayso.evidence.suppress import FEW, Sum, Why, hide
from sayso.model import REASONS
from sayso.snapshot.manifest import Counts

ALL = "*"
IN, ADMITTED, REFUSED = "in", "admitted", "refused"
Key = tuple[str, str]
# A row of an orthonormal basis that reaches a cell this far reaches nothing beside it.
_SURE = 1 - 1e-6
# Of the largest: what is no direction of its own, but the error of arithmetic.
_NONE = 1e-11
# What a reader knows of a hidden count.
_LEAST: Mapping[Why, float] = {Why.SMALL: 1, Why.SECOND: FEW}
_MOST: Mapping[Why, float] = {Why.SMALL: FEW - 1, Why.SECOND: inf}
_ROUNDS = 50


class Cell(NamedTuple):
    """A count, or why it is not told."""

    number: int | None
    why: Why | None


@dataclass(frozen=True)
class Told:
    """The counts of one snapshot; use `Told.of`.

    Attributes:
        countries: In order; what is no country is a place that is not known.
        reasons: First reasons that refused any record.
    """

    countries: tuple[str, ...]
    reasons: tuple[str, ...]
    cells: Mapping[Key, int]
    hidden: Mapping[Key, Why]

    @classmethod
    def of(cls, by_country: Mapping[str, Counts]) -> "Told":
        """Return the counts of a snapshot, those hidden that must be."""
        countries = tuple(by_country)
        used = {name for one in by_country.values() for name, count in one.refused.items() if count}
        reasons = tuple(str(one) for one in REASONS if str(one) in used)
        cells: dict[Key, int] = {}
        for name, one in by_country.items():
            cells[name, IN] = one.records_in
            cells[name, ADMITTED] = one.admitted
            cells[name, REFUSED] = one.records_in - one.admitted
            cells |= {(name, reason): one.refused.get(reason, 0) for reason in reasons}
        for column in (IN, ADMITTED, REFUSED, *reasons):
            cells[ALL, column] = sum(cells[name, column] for name in countries)
        sums = list(_sums(countries, reasons))
        return cls(countries, reasons, cells, hide_firmly(cells, sums))

    def cell(self, country: str, column: str) -> Cell:
        """Return one count."""
        key = (country, column)
        why = self.hidden.get(key)
        return Cell(None if why else self.cells.get(key, 0), why)

    def of_scope(self, countries: Iterable[str], column: str = ADMITTED) -> Cell:
        """Return the count of several countries together, where each is told."""
        inside = [(name, column) for name in countries if self.cells.get((name, column))]
        whys = [self.hidden[key] for key in inside if key in self.hidden]
        if not whys:
            return Cell(sum(self.cells[key] for key in inside), None)
        return Cell(None, whys[0] if len(inside) == 1 else Why.SECOND)


def _sums(countries: Sequence[str], reasons: Sequence[str]) -> Iterator[Sum[Key]]:
    for name in (ALL, *countries):
        yield Sum((name, IN), ((name, ADMITTED), (name, REFUSED)))
        yield Sum((name, REFUSED), tuple((name, reason) for reason in reasons))
    for column in (IN, ADMITTED, REFUSED, *reasons):
        yield Sum((ALL, column), tuple((name, column) for name in countries))


def hide_firmly(cells: Mapping[Key, int], sums: Sequence[Sum[Key]]) -> dict[Key, Why]:
    """Return the counts that are not told, so that no small one follows from all sums together.

    `hide` looks at one sum at a time. Two hidden counts in every row and column may still
    leave one that follows by going around; so every small one is asked about, and more is
    hidden until none follows. It ends: where all that is not zero is hidden, any solution can
    be made larger, but for what its bounds say.
    """
    hidden = hide(cells, sums)
    within: dict[Key, list[Sum[Key]]] = {}
    for one in sums:
        for key in (one.total, *one.parts):
            within.setdefault(key, []).append(one)
    while found := given_away(cells, sums, hidden):
        more = {_beside(key, cells, within, hidden) for key in found} - {None}
        if not more:
            break
        hidden |= dict.fromkeys((key for key in more if key is not None), Why.SECOND)
    return hidden


def _beside(
    key: Key,
    cells: Mapping[Key, int],
    within: Mapping[Key, Sequence[Sum[Key]]],
    hidden: Mapping[Key, Why],
) -> Key | None:
    """Return a count still told to hide for one that follows: a neighbour, else any.

    Taken is one whose own sums hide most already, since a way around begins there; then the
    smallest.
    """
    near = {
        one
        for found in within[key]
        for one in (*found.parts, found.total)
        if one not in hidden and cells[one]
    }
    far = near or {one for one in cells if one not in hidden and cells[one]}

    def ways(one: Key) -> int:
        return sum(part in hidden for found in within[one] for part in (*found.parts, found.total))

    return min(far, key=lambda one: (-ways(one), cells[one], one), default=None)


def given_away(
    cells: Mapping[Key, int], sums: Sequence[Sum[Key]], hidden: Mapping[Key, Why]
) -> list[Key]:
    """Return the small counts that follow from what is told, by all sums together."""
    return _solved(sums, hidden) or _squeezed(cells, sums, hidden)


def _solved(sums: Sequence[Sum[Key]], hidden: Mapping[Key, Why]) -> list[Key]:
    """Return the small counts that the equations alone give.

    One does where its unit vector is a combination of the equations that the sums leave
    between hidden counts.
    """
    order = {key: place for place, key in enumerate(hidden)}
    rows = []
    for one in sums:
        row = np.zeros(len(order))
        for part in one.parts:
            if part in order:
                row[order[part]] += 1
        if one.total in order:
            row[order[one.total]] -= 1
        if row.any():
            rows.append(row)
    if not rows:
        return []
    equations = np.array(rows)
    strengths, ways = np.linalg.eigh(equations @ equations.T)
    kept = strengths > _NONE * strengths[-1]
    basis = (ways[:, kept] / np.sqrt(strengths[kept])).T @ equations
    reach = (basis**2).sum(axis=0)
    return [key for key, at in order.items() if hidden[key] is Why.SMALL and reach[at] > _SURE]


def _squeezed(
    cells: Mapping[Key, int], sums: Sequence[Sum[Key]], hidden: Mapping[Key, Why]
) -> list[Key]:
    """Return the small counts that follow from what hidden counts can be, sum after sum."""
    least = {key: _LEAST[hidden[key]] if key in hidden else count for key, count in cells.items()}
    most = {key: _MOST[hidden[key]] if key in hidden else count for key, count in cells.items()}
    for _ in range(_ROUNDS):
        before = (dict(least), dict(most))
        for one in sums:
            unsure = [part for part in one.parts if least[part] != most[part]]
            sure = sum(least[part] for part in one.parts if least[part] == most[part])
            low = sure + sum(least[part] for part in unsure)
            high = sure + sum(most[part] for part in unsure)
            least[one.total] = max(least[one.total], low)
            most[one.total] = min(most[one.total], high)
            endless = sum(most[part] == inf for part in unsure)
            for part in unsure:
                rest = high - most[part] if not endless else inf
                if endless == 1 and most[part] == inf:
                    rest = sure + sum(most[other] for other in unsure if other != part)
                most[part] = min(most[part], most[one.total] - (low - least[part]))
                least[part] = max(least[part], least[one.total] - rest)
        if before == (least, most):
            break
    return [key for key, why in hidden.items() if why is Why.SMALL and least[key] == most[key]]
