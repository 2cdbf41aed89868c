"""What data, for whom, and why regions differ: read from the rules in force.

Promises: pure; a category that no rule in force admits anywhere is called never used, and one
that a rule does not list is not covered by it. Does not know what the platform holds.

Example:
    >>> [cover.category for cover in covers_of(board) if not cover.seen]     # doctest: +SKIP
    [<Category.MESSAGE: 'message'>, ...]
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sayso.model import Category, Dated, Mode, Rule, Source, Visibility
from sayso.transparency.state import Line, State


@dataclass(frozen=True, slots=True)
class Cover:
    """One category of records.

    Attributes:
        seen: Who could see what is admitted, with the scopes whose rules admit it; several
            entries where scopes differ, none where no rule admits the category.
    """

    category: Category
    seen: tuple[tuple[tuple[Visibility, ...], tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Why it is as it is in one scope: a rule, with the holds that stand over it.

    Attributes:
        who: Pairs of who placed, asked for or ordered each hold, and the source of that.
    """

    scope: str
    state: State
    mode: Mode
    begins: Dated | None
    decided_by: str
    controller: str
    lawful_basis: str
    minimum_age: int | None
    source: Source | None
    decided_source: Source | None
    asked: tuple[tuple[str, Source | None], ...]


def covers_of(board: Sequence[Line]) -> tuple[Cover, ...]:
    """Return every category, with what rules in force admit of it, hold or no hold."""
    rules = list(_rules(board))
    found = []
    for category in Category:
        by_seen: dict[tuple[Visibility, ...], list[str]] = {}
        for rule in rules:
            mine = rule.categories.get(category, frozenset())
            seen = tuple(one for one in Visibility if one in mine)
            if seen and rule.mode is not Mode.NOT_ENABLED:
                by_seen.setdefault(seen, []).append(rule.scope)
        found.append(
            Cover(category, tuple((seen, tuple(scopes)) for seen, scopes in by_seen.items()))
        )
    return tuple(found)


def differences_of(board: Sequence[Line]) -> tuple[Difference, ...]:
    """Return the rules in force, one for each scope, with who decided them and who asked."""
    held: dict[str, Line] = {}
    for line in board:
        for rule in line.span.rules:
            held.setdefault(str(rule.place), line)
    return tuple(
        Difference(
            scope=rule.scope,
            state=held[str(rule.place)].state,
            mode=rule.mode,
            begins=rule.begins,
            decided_by=rule.decided_by,
            controller=rule.controller,
            lawful_basis=rule.lawful_basis,
            minimum_age=rule.minimum_age,
            source=rule.sources.get("mode") or rule.sources.get("from"),
            decided_source=rule.sources.get("decided_by"),
            asked=tuple(
                (hold.ordered_by or hold.asked_by, hold.sources.get(
                    "ordered_by" if hold.ordered_by else "asked_by"))
                for hold in held[str(rule.place)].span.holds
                if hold.ordered_by or hold.asked_by
            ),
        )
        for rule in _rules(board)
    )  # fmt: skip


def _rules(board: Iterable[Line]) -> Iterable[Rule]:
    seen: set[str] = set()
    for line in board:
        for rule in line.span.rules:
            if str(rule.place) not in seen:
                seen.add(str(rule.place))
                yield rule
