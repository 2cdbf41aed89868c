"""Everybody's states for questions about now: folded once, mended, moved along with time.

Promises: at every instant from `since` until `until`, the states that a fold at that instant
and at `known` would give. Does not notice that the ledger grew: `sayso.present` does.

A state changes by itself only where a date passes: a bound of the rulebook, the `since` of a
row, an instant from which a choice counts, a notice and the end of its days, a birthday, and
the year in which a birth date becomes too old. The first of them after the fold is `until`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sayso.decision.cells import tabulate
from sayso.decision.one import classify_member
from sayso.decision.states import (
    AGE_OFFSET_SECONDS,
    EPOCH,
    STANDING_BITS,
    STANDING_SCHEMA,
    MemberStates,
    classify_members,
    microseconds,
)
from sayso.ledger.fold import NoticeBound, fold_standing
from sayso.ledger.lookup import ByMember
from sayso.ledger.standing import NEVER_US, Standing
from sayso.ledger.store import Ledger
from sayso.model import MemberFacts, Presence, Rulebook
from sayso.rulebook.in_force import in_force
from sayso.rulebook.moments import Jurisdictions
from sayso.snapshot.request import notice_bounds
from sayso.tables import connect, quoted

Ints = npt.NDArray[np.int64]

# Midnights of all zones of today fall on quarters of an hour; for births that lie ahead.
QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Folded:
    """Everybody's states as of one size of the ledger, for a while.

    Attributes:
        known: The size of the ledger.
        since: From when the states hold; aware UTC.
        until: Until when, unless the ledger grows.
        states: With ids as text, in the order of their bytes.
        order: The ids again, for looking one up.
        numbered: Places of the ids that are canonical integers.
        numbers: These integers.
    """

    known: int
    since: datetime
    until: datetime
    states: MemberStates
    order: ByMember
    numbered: Ints
    numbers: pa.Array

    def states_at(self, at: datetime, *, integer_ids: bool) -> MemberStates:
        """Return the states as of an instant from `since` until `until`."""
        states = self.states
        rules = states.cells.in_force.moved(at)
        states = replace(states, cells=replace(states.cells, in_force=rules))
        if not integer_ids:
            return states
        return replace(states, ids=self.numbers, packed=states.packed[self.numbered])


def fold_everybody(
    ledger: Ledger, book: Rulebook, purpose: str, at: datetime, known: int
) -> Folded:
    """Fold everybody as of (at, known)."""
    cells = tabulate(in_force(book, purpose, at))
    bounds = list(notice_bounds(cells.in_force))

    def fold() -> tuple[pa.Table, list[datetime]]:
        with connect() as duck:
            standing = fold_standing(
                ledger, duck, purpose=purpose, at_us=microseconds(at), known=known, bounds=bounds
            )
            return standing, list(_later(duck, purpose, at, bounds))

    standing, later = ledger.steadily(fold)
    standing = standing.sort_by("member_id")
    states = classify_members(cells, standing, integer_ids=False)
    ends = [
        *later,
        *_birthdays(states, at),
        datetime(min(at.year + 1, 9999), 1, 1, tzinfo=UTC),
        Jurisdictions(book, purpose).next_after(at) or datetime.max.replace(tzinfo=UTC),
    ]
    return _folded(known, at, min(ends), states)


def _folded(known: int, since: datetime, until: datetime, states: MemberStates) -> Folded:
    with connect() as duck:
        duck.register(
            "ids", pa.table({"place": np.arange(len(states.ids)), "member_id": states.ids})
        )
        number = "TRY_CAST(member_id AS BIGINT)"
        found = duck.sql(
            f"SELECT place, {number} AS number FROM ids WHERE {number}::VARCHAR = member_id"
        ).to_arrow_table()
    return Folded(
        known, since, until, states, ByMember(pa.table({"member_id": states.ids})),
        found["place"].to_numpy(), found["number"].combine_chunks()
        if found.num_rows else pa.array([], pa.int64()),
    )  # fmt: skip


# ---- when states change by themselves ---------------------------------------------------


def _later(
    duck: duckdb.DuckDBPyConnection, purpose: str, at: datetime, bounds: Iterable[NoticeBound]
) -> Iterator[datetime]:
    """Yield the next instants after `at` at which the fold in `duck` would give another."""
    at_us = microseconds(at)
    mine = f"notice_table WHERE purpose = {quoted(purpose)} AND outcome = 'delivered'"
    asked = [
        f"SELECT min(us) FROM choice_entries WHERE us > {at_us}",
        f"SELECT min(first_us) FROM member_rows WHERE first_us > {at_us}",
        f"SELECT min(last_us) FROM member_rows WHERE last_us > {at_us} AND last_us < {NEVER_US}",
        f"SELECT min(served_us) FROM {mine} AND served_us > {at_us}",
    ]
    asked += [
        f"SELECT min(served_us) + {wait_us} FROM {mine} AND served_us > {at_us - wait_us}"
        for wait_us in {bound.wait_us for bound in bounds}
    ]
    for query in asked:
        ((us,),) = duck.sql(query).fetchall()
        if us is not None and us < _LAST_US:
            yield EPOCH + timedelta(microseconds=us)
    soon = (at - timedelta(days=2)).date()
    ((unborn,),) = duck.sql(
        f"SELECT count(*) FROM members_now WHERE born >= DATE '{soon.isoformat()}'"
    ).fetchall()
    if unborn:
        yield at + QUARTER - (at - EPOCH) % QUARTER


_LAST_US = microseconds(datetime.max.replace(tzinfo=UTC))


def _birthdays(states: MemberStates, at: datetime) -> Iterator[datetime]:
    """Yield when the next member comes of age."""
    come = (states.packed >> STANDING_BITS) - AGE_OFFSET_SECONDS
    later = come[(come * 1_000_000 > microseconds(at)) & (states.packed >> STANDING_BITS > 0)]
    if len(later):
        yield EPOCH + timedelta(seconds=int(later.min()))


# ---- mending ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """One member's standing, as a row of the fold.

    Attributes:
        changes: Instants after now from which one of their choices counts.
    """

    member_id: str
    standing: Standing
    facts: MemberFacts
    changes: tuple[datetime, ...] = ()


def mend(folded: Folded, people: list[Person], at: datetime, known: int) -> Folded:
    """Return the states as of (at, known), where nobody else changed since."""
    cells = folded.states.cells
    rows = pa.Table.from_pylist(
        [_row(one, at) for one in sorted(people, key=lambda one: one.member_id.encode())],
        schema=STANDING_SCHEMA,
    )
    at_cells = replace(cells, in_force=cells.in_force.moved(at))
    states, grew = _put(folded, classify_members(at_cells, rows, integer_ids=False))
    until = min([folded.until, *(change for one in people for change in one.changes)])
    if grew:
        return _folded(known, at, until, states)
    return replace(folded, known=known, since=at, until=until, states=states)


def _row(one: Person, at: datetime) -> dict[str, object]:
    standing = one.standing
    seen = classify_member(one.facts, at, None)
    known = standing.presence is Presence.KNOWN
    return {
        "member_id": one.member_id, "presence": int(standing.presence),
        "country": standing.country if known else None, "born": standing.born if known else None,
        "status": standing.status if known else None, "choice": str(standing.choice),
        "notice": bool(seen.unnoticed) + 2 * bool(seen.waiting),
    }  # fmt: skip


def _put(folded: Folded, some: MemberStates) -> tuple[MemberStates, bool]:
    """Put some members' states in the place of theirs; tell whether there are more members."""
    old = folded.states
    pairs = {
        (int(country), int(mask)): place
        for place, (country, mask) in enumerate(zip(old.country, old.mask, strict=True))
        if place  # standing 0 is nobody
    }
    added: list[int] = []
    place_of = np.zeros(len(some.mask), np.int64)
    for place in range(1, len(some.mask)):
        pair = (int(some.country[place]), int(some.mask[place]))
        if pair not in pairs:
            pairs[pair] = len(old.mask) + len(added)
            added.append(place)
        place_of[place] = pairs[pair]
    low = (1 << STANDING_BITS) - 1
    packed_of = place_of[some.packed & low] | some.packed & ~low
    ids = some.ids.to_pylist()
    packed = old.packed.copy()
    new = []
    for number, who in enumerate(ids):
        if found := folded.order.places(who):
            packed[found[0]] = packed_of[number]
        else:
            new.append(number)
    states = replace(
        old,
        packed=packed,
        mask=np.concatenate([old.mask, some.mask[added]]),
        profile=np.concatenate([old.profile, some.profile[added]]),
        country=np.concatenate([old.country, some.country[added]]),
        earliest_us=np.concatenate([old.earliest_us, some.earliest_us[added]]),
    )
    return (_grown(states, [ids[n] for n in new], packed_of[new]), True) if new else (states, False)


def _grown(states: MemberStates, ids: list[str], packed: Ints) -> MemberStates:
    """Return the states with some members more, in the order of their ids."""
    everybody = (
        pa.table(
            {
                "member_id": pa.concat_arrays([states.ids, pa.array(ids, states.ids.type)]),
                "packed": np.concatenate([states.packed, packed]),
            }
        )
        .sort_by("member_id")
        .combine_chunks()
    )
    return replace(
        states,
        ids=everybody["member_id"].chunk(0),
        packed=everybody["packed"].to_numpy(),
    )
