"""The fold of one member on one page: which row, which choice, which notices count.

Promises: pure and total; `sayso.ledger.fold` gives the same for millions. Does not decide.

Which row: of a member's rows, those with the greatest `since` <= at. A row whose civil date
has begun in one zone of its country and not in the last may or may not count: it ties, and
where rows that tie differ, the differing facts are unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sayso.model import Choice, Presence, Status

# Bounds of a row without `since` (always) and of one whose `since` cannot be read (any time).
ALWAYS_US = -(1 << 62)
NEVER_US = 1 << 62


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One row of the members table; instants in microseconds since 1970, UTC.

    Attributes:
        first_us: When the row may begin to count.
        last_us: When it counts everywhere in its country.
        status: `active` where the table holds null.
    """

    country: str | None
    born: date | None
    status: str | None
    first_us: int = ALWAYS_US
    last_us: int = ALWAYS_US


@dataclass(frozen=True, slots=True)
class ChoiceEntry:
    """One choice for the purpose or `*`; `effective_us` is when it counts from."""

    choice: Choice
    effective_us: int
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is held about one member as of (at, known)."""

    presence: Presence
    country: str | None
    born: date | None
    status: str | None
    choice: Choice


NOBODY = Standing(Presence.UNKNOWN, None, None, None, Choice.UNSET)


def counting_row(rows: Sequence[MemberRow], at_us: int) -> MemberRow | None:
    """Return the facts that count at an instant, differing ones as None; None: no row."""
    certain = [row for row in rows if row.last_us <= at_us]
    if not certain:
        return None
    latest = max(row.last_us for row in certain)
    tied = [row for row in certain if row.last_us == latest]
    tied += [row for row in rows if row.first_us <= at_us < row.last_us]
    first = tied[0]
    return MemberRow(
        country=first.country if all(row.country == first.country for row in tied) else None,
        born=first.born if all(row.born == first.born for row in tied) else None,
        status=first.status if all(row.status == first.status for row in tied) else None,
    )


def standing_choice(
    entries: Sequence[ChoiceEntry], rows: Sequence[MemberRow], at_us: int
) -> Choice:
    """Return the choice that stands: the latest, `off` winning ties.

    An `on` said while the member lived in another country is passed over, and so is one
    of which either country is unknown. `deferred` counts where nothing else does.
    """
    now = counting_row(rows, at_us)
    begun = [entry for entry in entries if entry.effective_us <= at_us]
    said = [
        entry
        for entry in begun
        if entry.choice is Choice.OFF
        or (entry.choice is Choice.ON and _said_at_home(entry, rows, now))
    ]
    if said:
        latest = max(entry.effective_us for entry in said)
        last = {entry.choice for entry in said if entry.effective_us == latest}
        return Choice.OFF if Choice.OFF in last else Choice.ON
    deferred = any(entry.choice is Choice.DEFERRED for entry in begun)
    return Choice.DEFERRED if deferred else Choice.UNSET


def _said_at_home(entry: ChoiceEntry, rows: Sequence[MemberRow], now: MemberRow | None) -> bool:
    country = entry.country
    if country is None:
        then = counting_row(rows, entry.effective_us)
        country = then.country if then else None
    return now is not None and country is not None and country == now.country


def standing_of(
    rows: Sequence[MemberRow], entries: Sequence[ChoiceEntry], at_us: int, *, erased: bool = False
) -> Standing:
    """Return the standing of one member from their rows and entries, in any order."""
    if erased:
        return Standing(Presence.ERASED, None, None, None, Choice.UNSET)
    choice = standing_choice(entries, rows, at_us)
    row = counting_row(rows, at_us)
    if row is None:
        return Standing(Presence.UNKNOWN, None, None, None, choice)
    status = row.status if row.status in set(Status) else None
    return Standing(Presence.KNOWN, row.country, row.born, status, choice)
