"""What a decision depends on, and what it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from enum import IntEnum

from sayso.model.rules import Hold, Place, Rule
from sayso.model.words import Authorship, Category, Choice, Country, Reason, Status, Visibility


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule with its dates resolved to instants for one country."""

    rule: Rule
    notice_since_at: datetime | None
    earliest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """Everything in force for members of one country, one purpose, one instant.

    Attributes:
        rules: Of every scope that contains the country, the latest begun rule.
        unruled: Scopes that have rules for the purpose, none of which has begun; `world`
            stands here where there is no rule at all.
        holds: Every hold in force whose scope contains the country.
        minimum_age: The strictest of the rules'; None where none asks for an age.
    """

    country: Country
    zones: tuple[tzinfo, ...] = field(repr=False)
    rules: tuple[RuleInForce, ...]
    unruled: tuple[str, ...]
    holds: tuple[Hold, ...]
    minimum_age: int | None


class Presence(IntEnum):
    """What is known of a member."""

    KNOWN = 0
    UNKNOWN = 1
    ERASED = 2


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """What is held about one member, as of (at, known).

    Attributes:
        presence: `ERASED` beats any row.
        jurisdiction: What is in force for the country of the counting row; None where the
            country is unknown.
        status: None where unknown; a null in the table is `ACTIVE` before it comes here.
        born: Birth date; a year alone stands as its last day; None where missing or
            impossible.
        choice: The standing answer for the purpose.
        notices_at: When delivered notices for the purpose were served, none after `at`.
    """

    presence: Presence
    jurisdiction: Jurisdiction | None
    status: Status | None
    born: date | None
    choice: Choice
    notices_at: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What is known about one record; None is unknown throughout.

    Attributes:
        is_single: False for a null or repeated record id.
        mentions: Whether other people are named.
        written_at: The earlier of written_at and first_seen_at.
        deleted_at: None where the record stands.
    """

    is_single: bool
    category: Category | None
    visibility: Visibility | None
    authorship: Authorship | None
    context: str | None
    mentions: bool | None
    written_at: datetime | None
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision depends on."""

    at: datetime
    member: MemberFacts
    record: RecordFacts | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. No reasons means admitted.

    Attributes:
        reasons: In order, without repeats.
        causes: For every reason, the rules and holds that gave it (empty where the reason
            is the member's or the record's own).
    """

    reasons: tuple[Reason, ...]
    causes: Mapping[Reason, tuple[Place, ...]]

    @property
    def allow(self) -> bool:
        """Whether the record is admitted."""
        return not self.reasons
