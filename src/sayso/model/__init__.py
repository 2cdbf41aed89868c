"""The words of Sayso as frozen records and closed enums.

Promises: no I/O, no clock, no policy. Every other room speaks in these types.
Instants are aware UTC and end in `_at`; bounds are half-open; a civil date is a
`datetime.date` and begins at midnight in the zones of a member's country.

Example:
    >>> [str(reason) for reason in reasons_of(0b11)]
    ['RECORD_UNKNOWN', 'MEMBER_UNKNOWN']
"""

from sayso.model.facts import (
    Decision,
    Facts,
    Jurisdiction,
    MemberFacts,
    Presence,
    RecordFacts,
    RuleInForce,
)
from sayso.model.rules import (
    Dated,
    Group,
    Hold,
    Membership,
    Notice,
    Place,
    Purpose,
    Rule,
    Rulebook,
    Source,
    Wording,
)
from sayso.model.time import ANYWHERE, birthday, first_midnight, last_midnight, permits_at, stops_at
from sayso.model.words import (
    ASSISTANCE,
    DEFAULT_PURPOSE,
    EVERY_PURPOSE,
    REASON_BIT,
    REASONS,
    SEMANTICS,
    Authorship,
    Category,
    Choice,
    Country,
    Exactness,
    MemberId,
    Mode,
    Others,
    Outcome,
    Position,
    Reason,
    RecordId,
    Status,
    Visibility,
    Withdrawal,
    mask_of,
    reasons_of,
)

__all__ = [
    "ANYWHERE",
    "ASSISTANCE",
    "DEFAULT_PURPOSE",
    "EVERY_PURPOSE",
    "REASONS",
    "REASON_BIT",
    "SEMANTICS",
    "Authorship",
    "Category",
    "Choice",
    "Country",
    "Dated",
    "Decision",
    "Exactness",
    "Facts",
    "Group",
    "Hold",
    "Jurisdiction",
    "MemberFacts",
    "MemberId",
    "Membership",
    "Mode",
    "Notice",
    "Others",
    "Outcome",
    "Place",
    "Position",
    "Presence",
    "Purpose",
    "Reason",
    "RecordFacts",
    "RecordId",
    "Rule",
    "RuleInForce",
    "Rulebook",
    "Source",
    "Status",
    "Visibility",
    "Withdrawal",
    "Wording",
    "birthday",
    "first_midnight",
    "last_midnight",
    "mask_of",
    "permits_at",
    "reasons_of",
    "stops_at",
]
