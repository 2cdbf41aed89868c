"""Small counts: which numbers a report does not show, so that nobody is found by them.

Promises: no count from 1 to 9 is shown, and none that is hidden follows from those that are
shown by adding and subtracting within the sums that were named. Zero is shown: it counts
nobody. Does not know what is counted, and does not round.

Example:
    >>> hidden = hide({"all": 112, "HK": 4, "GB": 20, "US": 88}, [Sum("all", ("HK", "GB", "US"))])
    >>> [shown(count, hidden.get(name)) for name, count in (("HK", 4), ("GB", 20), ("US", 88))]
    ['fewer than 10', 'not shown', '88']

Source: Willenborg and de Waal, "Elements of Statistical Disclosure Control" (2001), ch. 4.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

# Source: the statistics of GOV.UK and of the DSA Transparency Database; facts on pages.
FEW = 10

K = TypeVar("K", bound=Hashable)


class Why(Enum):
    """Why a count is not shown."""

    SMALL = "fewer than 10"
    SECOND = "not shown"


class Sum(NamedTuple, Generic[K]):
    """A count that is the sum of others, all of which a reader could see."""

    total: K
    parts: tuple[K, ...]


def shown(count: int, why: Why | None = None) -> str:
    """Return a count as a report writes it."""
    return f"{count:,}" if why is None else why.value


def few(count: int) -> str:
    """Return a count that stands alone: hidden where it is small."""
    return shown(count, Why.SMALL if 0 < count < FEW else None)


def hide(cells: Mapping[K, int], sums: Sequence[Sum[K]]) -> dict[K, Why]:
    """Return the counts that must not be shown, and why.

    Args:
        cells: Every count that a reader could see, totals as well.
        sums: Which of them are sums of which.
    """
    hidden: dict[K, Why] = {key: Why.SMALL for key, count in cells.items() if 0 < count < FEW}
    order = {key: place for place, key in enumerate(cells)}
    while True:
        more = next(_more(cells, sums, hidden, order), None)
        if more is None:
            return hidden
        hidden[more] = Why.SECOND


def _more(
    cells: Mapping[K, int], sums: Sequence[Sum[K]], hidden: Mapping[K, Why], order: Mapping[K, int]
) -> Iterator[K]:
    """Yield a count that gives another one away and has to be hidden as well."""
    for one in sums:
        parts = [part for part in one.parts if part in hidden]
        if _is_safe(cells, one, parts, hidden):
            continue
        rest = [part for part in one.parts if part not in hidden and cells[part]]
        if rest:
            yield min(rest, key=lambda part: (cells[part], order[part]))
        elif one.total not in hidden:
            yield one.total


def _is_safe(
    cells: Mapping[K, int], one: Sum[K], parts: Sequence[K], hidden: Mapping[K, Why]
) -> bool:
    """Whether what a sum hides cannot be told from what it shows."""
    if one.total in hidden:
        # A total that is the only thing hidden is the sum of what is shown.
        return bool(parts) or not any(cells[part] for part in one.parts)
    if not parts:
        return True
    together = sum(cells[part] for part in parts)
    small = [part for part in parts if hidden[part] is Why.SMALL]
    least = len(small) + FEW * (len(parts) - len(small))
    most = (FEW - 1) * len(small) if len(small) == len(parts) else None
    return len(parts) > 1 and together >= FEW and least < together and together != most
