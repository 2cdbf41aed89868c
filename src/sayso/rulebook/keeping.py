"""Keeping: which holds another rulebook would end or loosen.

Promises: a hold that is not lifted holds as much in the next rulebook, however the text was
edited, the groups that it stands on among it. Does not publish.
"""

from datetime import UTC, datetime

from sayso.errors import RefusedError
from sayso.model import (
    EVERY_PURPOSE,
    Country,
    Dated,
    Group,
    Hold,
    Position,
    Rulebook,
    permits_at,
    stops_at,
)
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.rulebook.in_force import WORLD

Span = tuple[datetime, datetime]

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def keep_holds(
    before: Rulebook, after: Rulebook, now: datetime, *, lifts_apart: bool = False
) -> None:
    """Refuse a rulebook in which a hold is gone, or holds less.

    Args:
        before: What is published.
        after: What would be.
        now: The present, aware UTC: what was lifted for good by then may change.
        lifts_apart: Whether holds are lifted elsewhere and never by a new text.

    Raises:
        RefusedError: It does; the message names the hold.
    """
    kept = {hold.hold_id: hold for hold in after.holds}
    for hold in before.holds:
        next_ = kept.get(hold.hold_id)
        if lifts_apart and not _is_same(hold, next_):
            raise RefusedError(
                f"hold '{hold.hold_id}' would be another in this rulebook",
                hint="keep it as it is; it is lifted by a lift request and its approval",
            )
        if next_ is None and hold.lifted is None:
            raise RefusedError(
                f"hold '{hold.hold_id}' stands and is not in this rulebook",
                hint=f"keep it, or lift it: 'sayso hold lift {hold.hold_id} ...'",
            )
        if hold.ordered_by and not _holds_as_much(hold, next_):
            raise RefusedError(
                f"hold '{hold.hold_id}' was ordered by '{hold.ordered_by}' and would hold less",
                hint="it lifts only on their act: 'sayso hold lift ... --position approved'",
            )
        if (lost := _first_lost(before, hold, after, next_, now)) is not None:
            raise RefusedError(
                f"hold '{hold.hold_id}' would no longer hold {lost} as it does",
                hint="keep its scope, purposes, beginning and the members of its group, "
                "or lift it first",
            )


def _is_same(before: Hold, after: Hold | None) -> bool:
    return (
        after is not None
        and (after.scope, after.begins, after.lifted)
        == (before.scope, before.begins, before.lifted)
        and before.purposes <= after.purposes
    )


def _holds_as_much(before: Hold, after: Hold | None) -> bool:
    if after is None:
        return False
    same = (after.scope, after.begins, after.ordered_by) == (
        before.scope,
        before.begins,
        before.ordered_by,
    )
    lifted = after.lifted == before.lifted or after.position is Position.APPROVED
    return same and before.purposes <= after.purposes and lifted


def _first_lost(
    before: Rulebook, hold: Hold, after: Rulebook, next_: Hold | None, now: datetime
) -> Country | None:
    """Return the first country that a hold would cover for less time; None for none.

    What is lifted by now is over and loses nothing; a lift that `after` says counts.
    """
    if next_ is not None and _is_untouched(before, hold, after, next_):
        return None
    is_kept = next_ is not None and (
        EVERY_PURPOSE in next_.purposes or hold.purposes <= next_.purposes
    )
    lifted = hold.lifted if next_ is None else next_.lifted
    for code in sorted(COUNTRIES):
        country = Country(code)
        end = min(_end(hold.lifted, country), _end(lifted, country))
        if hold.lifted is not None and _end(hold.lifted, country) <= now:
            continue
        given = _spans(after, next_, country) if next_ is not None and is_kept else []
        for first, last in _spans(before, hold, country):
            if not _is_covered((first, min(last, end)), given):
                return country
    return None


def _is_untouched(before: Rulebook, hold: Hold, after: Rulebook, next_: Hold) -> bool:
    """Whether a hold and the group that it stands on are as they were."""
    return _is_same(hold, next_) and _members(before, hold.scope) == _members(after, hold.scope)


def _members(book: Rulebook, scope: str) -> tuple[object, ...]:
    group = book.groups.get(scope)
    return () if group is None else group.members


def _spans(book: Rulebook, hold: Hold, country: Country) -> list[Span]:
    """Return when a hold covers a country, as `in_force` has it; first (in), last (out)."""
    zones = zones_of(country)
    begun = _FIRST if hold.begins is None else stops_at(hold.begins, zones)
    lifted = _end(hold.lifted, country)
    if hold.scope in {WORLD, country}:
        within = [(_FIRST, _LAST)]
    else:
        within = _memberships(book.groups.get(hold.scope), country)
    spans = [(max(first, begun), min(last, lifted)) for first, last in within]
    return sorted((first, last) for first, last in spans if first < last)


def _memberships(group: Group | None, country: Country) -> list[Span]:
    zones = zones_of(country)
    return [
        (
            _FIRST if one.begins is None else stops_at(one.begins, zones),
            _end(one.until, country),
        )
        for one in (() if group is None else group.members)
        if one.country == country
    ]


def _end(bound: Dated | None, country: Country) -> datetime:
    return _LAST if bound is None else permits_at(bound, zones_of(country))


def _is_covered(span: Span, given: list[Span]) -> bool:
    """Whether sorted spans leave no instant of another out."""
    reached, last = span
    for first, end in given:
        if first > reached:
            break
        reached = max(reached, end)
    return reached >= last
