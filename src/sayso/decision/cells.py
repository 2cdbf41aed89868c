"""Tabulation: a rulebook at an instant, run through every class, as three small tables.

Promises: the tables hold exactly what the checks of `sayso.decision.one` say of every
class; engines look up and never re-implement. Small enough to print, sign, diff and read.

The classes of a member are (profile, presence, status, notice, age, choice); those of a
record split into what it is (category, visibility, authorship, context, others) and when
it was (single, deleted, written, early, minor). A *profile* is what is in force alike for
several countries. Because every check looks at its own classes only, the mask of a
decision is the OR of one looked-up mask of each table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sayso.decision.one import (
    Age,
    MemberClass,
    RecordClass,
    member_causes,
    record_causes,
)
from sayso.model import (
    Authorship,
    Category,
    Choice,
    Country,
    Jurisdiction,
    Presence,
    RecordFacts,
    RuleInForce,
    Status,
    Visibility,
    mask_of,
)
from sayso.rulebook.in_force import InForce

Masks = npt.NDArray[np.uint32]

# Orders of the axes. None stands for unknown and comes last.
PRESENCES: tuple[Presence, ...] = tuple(Presence)
STATUSES: tuple[Status | None, ...] = (*Status, None)
AGES: tuple[Age, ...] = tuple(Age)
CHOICES: tuple[Choice, ...] = tuple(Choice)
CATEGORIES: tuple[Category | None, ...] = (*Category, None)
VISIBILITIES: tuple[Visibility | None, ...] = (*Visibility, None)
AUTHORSHIPS: tuple[Authorship | None, ...] = (*Authorship, None)
MENTIONS: tuple[bool | None, ...] = (False, True, None)

NOTICE_CLASSES = 4  # bit 0: a rule saw no notice, bit 1: a rule still waits
WHEN_CLASSES = 32  # bits: repeated, deleted, unknown writing time, too early, as a minor
# A context that no rule names; no text of a record can equal it.
UNNAMED_CONTEXT = "\0unnamed"


class Profile(NamedTuple):
    """What is in force alike for some countries."""

    jurisdiction: Jurisdiction | None
    countries: tuple[Country, ...]


@dataclass(frozen=True)
class Cells:
    """The tables of one purpose at one instant.

    Attributes:
        in_force: What was tabulated.
        profiles: Index 0 is the unknown country.
        contexts: The contexts that some rule names, then any other, then unknown.
        member: Masks, shape (profile, presence, status, notice, age, choice).
        what: Masks, shape (profile, category, visibility, authorship, context, mentions).
        when: Masks, shape (profile, 32).
    """

    in_force: InForce
    profiles: tuple[Profile, ...]
    contexts: tuple[str | None, ...]
    member: Masks
    what: Masks
    when: Masks

    @cached_property
    def profile_of(self) -> dict[Country, int]:
        """Country -> index of its profile; a country that is not here is unknown."""
        return {
            country: index
            for index, profile in enumerate(self.profiles)
            for country in profile.countries
        }


def tabulate(in_force: InForce) -> Cells:
    """Run every check over every class of what is in force."""
    profiles = _profiles(in_force)
    named = sorted(
        {
            context
            for rule in in_force.book.rules
            if rule.purpose == in_force.purpose
            for context in rule.excluded_contexts
        }
    )
    contexts: tuple[str | None, ...] = (*named, UNNAMED_CONTEXT, None)
    return Cells(
        in_force=in_force,
        profiles=profiles,
        contexts=contexts,
        member=np.stack([_member_table(profile.jurisdiction) for profile in profiles]),
        what=np.stack([_what_table(profile.jurisdiction, contexts) for profile in profiles]),
        when=np.stack([_when_table(profile.jurisdiction) for profile in profiles]),
    )


def _profiles(in_force: InForce) -> tuple[Profile, ...]:
    found: dict[object, tuple[Jurisdiction, list[Country]]] = {}
    for country, law in in_force.jurisdictions.items():
        key = (
            tuple(id(held.rule) for held in law.rules),
            law.unruled,
            tuple(id(hold) for hold in law.holds),
        )
        found.setdefault(key, (law, []))[1].append(country)
    return (
        Profile(None, ()),
        *(Profile(law, tuple(countries)) for law, countries in found.values()),
    )


def member_class(
    law: Jurisdiction | None,
    presence: Presence,
    status: Status | None,
    notice: int,
    age: Age,
    choice: Choice,
) -> MemberClass:
    """Return one representative of a class; `notice` is a number below NOTICE_CLASSES."""
    asking = tuple(held for held in law.rules if held.rule.notice) if law else ()
    if presence is not Presence.KNOWN:
        law, asking = None, ()
    return MemberClass(
        presence,
        status,
        law,
        asking if notice & 1 else (),
        asking if notice & 2 else (),
        age,
        choice,
    )


def _member_table(law: Jurisdiction | None) -> Masks:
    shape = (len(PRESENCES), len(STATUSES), NOTICE_CLASSES, len(AGES), len(CHOICES))
    cells = [
        mask_of(member_causes(member_class(law, presence, status, notice, age, choice)))
        for presence, status, notice, age, choice in product(
            PRESENCES, STATUSES, range(NOTICE_CLASSES), AGES, CHOICES
        )
    ]
    return np.array(cells, np.uint32).reshape(shape)


def what_facts(contexts: tuple[str | None, ...]) -> Iterator[RecordFacts]:
    """Yield one record for every class of what a record is, in the order of the table."""
    for category, visibility, authorship, context, mentions in product(
        CATEGORIES, VISIBILITIES, AUTHORSHIPS, contexts, MENTIONS
    ):
        yield RecordFacts(True, category, visibility, authorship, context, mentions, None, None)


def _what_table(law: Jurisdiction | None, contexts: tuple[str | None, ...]) -> Masks:
    shape = (len(CATEGORIES), len(VISIBILITIES), len(AUTHORSHIPS), len(contexts), len(MENTIONS))
    cells = [
        mask_of(record_causes(RecordClass(facts, law, False, True, (), False)))
        for facts in what_facts(contexts)
    ]
    return np.array(cells, np.uint32).reshape(shape)


def _when_table(law: Jurisdiction | None) -> Masks:
    """Masks of the five bits of when, over a record that no other check refuses."""
    limited: tuple[RuleInForce, ...] = law.rules if law else ()
    masks = []
    for code in range(WHEN_CLASSES):
        facts = RecordFacts(not code & 1, None, None, None, None, False, None, None)
        whole = record_causes(
            RecordClass(
                facts,
                law,
                bool(code & 2),
                not code & 4,
                limited if code & 8 else (),
                bool(code & 16),
            )
        )
        bare = record_causes(
            RecordClass(
                RecordFacts(True, None, None, None, None, False, None, None),
                law,
                False,
                True,
                (),
                False,
            )
        )
        masks.append(mask_of(reason for reason in whole if reason not in bare))
    return np.array(masks, np.uint32)
