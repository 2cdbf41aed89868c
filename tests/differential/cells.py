"""One invented member or record for every class that a rulebook can tell apart.

Promises: for what is in force in one country at one instant, facts that fall into every
reachable cell of the tables of `sayso.decision.cells`, with the index of the cell. Dates lie
on a bound or a microsecond beside it wherever there is one. Cells that no facts reach (an
age where none is asked) are passed over.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, product
from typing import NamedTuple

from sayso.decision.cells import AGES, CHOICES, PRESENCES, STATUSES, what_facts
from sayso.decision.one import Age, classify_member, classify_record, of_age_at
from sayso.model import (
    Authorship,
    Category,
    Choice,
    Jurisdiction,
    MemberFacts,
    Presence,
    RecordFacts,
    Status,
    Visibility,
    birthday,
)

MICROSECOND = timedelta(microseconds=1)
LONG_AGO = datetime(1950, 6, 1, tzinfo=UTC)


class MemberCell(NamedTuple):
    """Facts, and the place (presence, status, notice, age, choice) of their cell."""

    place: tuple[int, int, int, int, int]
    facts: MemberFacts


class WhenCell(NamedTuple):
    """Whether a record is single, was deleted and was written, and the number of the cell."""

    code: int
    is_single: bool
    deleted_at: datetime | None
    written_at: datetime | None


# ---- members ----------------------------------------------------------------------------


def member_cells(law: Jurisdiction | None, at: datetime) -> Iterator[MemberCell]:
    """Yield a member for every reachable cell."""
    births = births_by_age(law, at)
    notices = notices_by_bits(law, at)
    for place, presence in enumerate(PRESENCES):
        known = presence is Presence.KNOWN
        for (status_at, status), bits, age, (choice_at, choice) in product(
            enumerate(STATUSES),
            notices if known else (0,),
            births if known else (Age.NOT_ASKED,),
            enumerate(CHOICES),
        ):
            yield MemberCell(
                (place, status_at, bits, AGES.index(age), choice_at),
                MemberFacts(
                    presence=presence,
                    jurisdiction=law if known else None,
                    status=status,
                    born=births.get(age) if known else None,
                    choice=choice,
                    notices_at=notices[bits] if known else (),
                ),
            )


def births_by_age(law: Jurisdiction | None, at: datetime) -> dict[Age, date | None]:
    """Return a birth date for every class of age that can be reached."""
    if law is None or law.minimum_age is None:
        return {Age.NOT_ASKED: None}
    found: dict[Age, date | None] = {Age.UNKNOWN: None}
    for days in (-3, -2, -1, 0, 1, 2, 3):  # about the day on which one comes of age at `at`
        born = birthday(at.date() + timedelta(days=days), -law.minimum_age)
        found[_classify(law, at, born=born)[1]] = born
    return {age: found[age] for age in sorted(found)}


def notices_by_bits(law: Jurisdiction | None, at: datetime) -> dict[int, tuple[datetime, ...]]:
    """Return notices served for every pair of bits (none counts, one is too late)."""
    found: dict[int, tuple[datetime, ...]] = {_classify(law, at)[0]: ()}
    moments = {at}
    for held in law.rules if law else ():
        if held.rule.notice:
            moments.add(at - timedelta(days=held.rule.notice.days))
            if held.notice_since_at:
                moments.add(held.notice_since_at)
    near = sorted(one + beside for one in moments for beside in (-MICROSECOND, MICROSECOND * 0))
    near = [LONG_AGO, *(one for one in near if one <= at)]
    for served in (*((one,) for one in near), *combinations(near, 2)):
        found.setdefault(_classify(law, at, served=served)[0], served)
    return dict(sorted(found.items()))


def _classify(
    law: Jurisdiction | None,
    at: datetime,
    *,
    born: date | None = None,
    served: tuple[datetime, ...] = (),
) -> tuple[int, Age]:
    facts = MemberFacts(Presence.KNOWN, law, None, born, Choice.UNSET, served)
    found = classify_member(facts, at, of_age_at(facts, at))
    return bool(found.unnoticed) + 2 * bool(found.waiting), found.age


def standing_member(law: Jurisdiction | None, at: datetime) -> MemberFacts:
    """Return a member against whom nothing stands of their own, with a coming of age."""
    births, notices = births_by_age(law, at), notices_by_bits(law, at)
    born = births.get(Age.REACHED)
    return MemberFacts(Presence.KNOWN, law, Status.ACTIVE, born, Choice.ON, notices[min(notices)])


# ---- records ----------------------------------------------------------------------------


def what_cells(contexts: tuple[str | None, ...], written_at: datetime) -> Iterator[RecordFacts]:
    """Yield a record for every cell of what it is, in the order of the table."""
    for facts in what_facts(contexts):
        yield record_of(facts, WhenCell(0, is_single=True, deleted_at=None, written_at=written_at))


def when_cells(law: Jurisdiction | None, member: MemberFacts, at: datetime) -> list[WhenCell]:
    """Return times for every reachable cell of when a record of a member was."""
    come = of_age_at(member, at)
    moments = {at, at + MICROSECOND, LONG_AGO}
    for bound in (come, *(held.earliest_at for held in (law.rules if law else ()))):
        if bound:
            moments |= {bound, bound - MICROSECOND}
    found: dict[int, WhenCell] = {}
    for single, deleted_at, written_at in product(
        (True, False), (None, at + MICROSECOND, at), (None, *sorted(moments))
    ):
        facts = RecordFacts(single, None, None, None, None, None, written_at, deleted_at)
        seen = classify_record(facts, law, at, come)
        code = (
            (not single)
            | seen.deleted << 1
            | (not seen.written) << 2
            | bool(seen.too_early) << 3
            | seen.as_minor << 4
        )
        found[code] = WhenCell(code, single, deleted_at, written_at)
    return [found[code] for code in sorted(found)]


def record_of(what: RecordFacts, when: WhenCell) -> RecordFacts:
    """Return a record that is one thing and was at one time."""
    return RecordFacts(
        when.is_single, what.category, what.visibility, what.authorship, what.context,
        what.mentions, when.written_at, when.deleted_at,
    )  # fmt: skip


def admitted_what(law: Jurisdiction | None) -> RecordFacts:
    """Return what every rule admits, where there is such a thing; else a public post."""
    rules = [held.rule for held in law.rules] if law else []
    for category, visibility, authorship in product(Category, Visibility, Authorship):
        if rules and all(
            visibility in rule.categories.get(category, ()) and authorship in rule.authorship
            for rule in rules
        ):
            return RecordFacts(True, category, visibility, authorship, "", False, None, None)
    return RecordFacts(
        True, Category.POST, Visibility.PUBLIC, Authorship.OWN, "", False, None, None
    )


# ---- both -------------------------------------------------------------------------------


class Row(NamedTuple):
    """A member, a record, and the cells that they fall into."""

    member: MemberCell
    record: RecordFacts
    what: int
    when: int


def rows_of(law: Jurisdiction | None, contexts: tuple[str | None, ...], at: datetime) -> list[Row]:
    """Return every member's cell with two records, and every record's cell with one member."""
    members = list(member_cells(law, at))
    kinds = list(what_cells(contexts, LONG_AGO))
    best = _place_of(kinds, admitted_what(law))
    standing = next(cell for cell in members if cell.facts == standing_member(law, at))
    times = when_cells(law, standing.facts, at)
    written = _written_well(times)
    rows = [
        Row(cell, record_of(kinds[what], written), what, written.code)
        for cell in members
        for what in (best, len(kinds) - 1)
        # The time of a record is a class only together with its own member.
        if cell.facts.born == standing.facts.born
    ]
    for cell in members:
        if cell.facts.born != standing.facts.born:
            well = _written_well(when_cells(law, cell.facts, at))
            rows.append(Row(cell, record_of(kinds[best], well), best, well.code))
    rows += [
        Row(standing, record_of(facts, written), what, written.code)
        for what, facts in enumerate(kinds)
    ]
    rows += [Row(standing, record_of(kinds[best], when), best, when.code) for when in times]
    return rows


def _place_of(kinds: list[RecordFacts], wanted: RecordFacts) -> int:
    """Return the cell of a wanted record whose context no rule names."""
    key = (wanted.category, wanted.visibility, wanted.authorship, wanted.mentions)
    for place, facts in enumerate(kinds):
        found = (facts.category, facts.visibility, facts.authorship, facts.mentions)
        if found == key and facts.context is not None and facts.context.startswith("\0"):
            return place
    raise AssertionError("every record has a cell")


def _written_well(times: list[WhenCell]) -> WhenCell:
    """Return the cell with the fewest bits: where it can be, nothing stands against it."""
    return min(times, key=lambda when: when.code.bit_count())
