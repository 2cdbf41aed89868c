"""The words: ids, closed enums, and reasons as bit masks."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NewType

MemberId = NewType("MemberId", str)
RecordId = NewType("RecordId", str)
Country = NewType("Country", str)

# Written into every manifest. Rises when the same facts may get another answer
# (the starred entries of CHANGELOG.md).
SEMANTICS = 1

DEFAULT_PURPOSE = "content-generation-training"
EVERY_PURPOSE = "*"
# The one purpose that is no training: writing for a member who asks for a text.
ASSISTANCE = "assistance"


class Reason(StrEnum):
    """Why a record is not admitted; closed and ordered, the first one is counted."""

    RECORD_UNKNOWN = "RECORD_UNKNOWN"
    MEMBER_UNKNOWN = "MEMBER_UNKNOWN"
    MEMBER_ERASED = "MEMBER_ERASED"
    STATUS_EXCLUDED = "STATUS_EXCLUDED"
    JURISDICTION_UNKNOWN = "JURISDICTION_UNKNOWN"
    NO_RULE = "NO_RULE"
    NOT_ENABLED = "NOT_ENABLED"
    ON_HOLD = "ON_HOLD"
    NOT_NOTIFIED = "NOT_NOTIFIED"
    NOTICE_PERIOD = "NOTICE_PERIOD"
    AGE_UNKNOWN = "AGE_UNKNOWN"
    UNDER_AGE = "UNDER_AGE"
    CHOSEN_OFF = "CHOSEN_OFF"
    NOT_CHOSEN = "NOT_CHOSEN"
    CATEGORY_EXCLUDED = "CATEGORY_EXCLUDED"
    NOT_VISIBLE_ENOUGH = "NOT_VISIBLE_ENOUGH"
    NOT_OWN_WORDS = "NOT_OWN_WORDS"
    CONTEXT_EXCLUDED = "CONTEXT_EXCLUDED"
    OTHERS_PRESENT = "OTHERS_PRESENT"
    RECORD_DELETED = "RECORD_DELETED"
    WRITTEN_UNKNOWN = "WRITTEN_UNKNOWN"
    WRITTEN_TOO_EARLY = "WRITTEN_TOO_EARLY"
    WRITTEN_AS_MINOR = "WRITTEN_AS_MINOR"


REASONS: tuple[Reason, ...] = tuple(Reason)
REASON_BIT: Mapping[Reason, int] = {reason: 1 << place for place, reason in enumerate(REASONS)}


def mask_of(reasons: Iterable[Reason]) -> int:
    """Pack reasons into a bit mask; bit 0 is the first of the order."""
    mask = 0
    for reason in reasons:
        mask |= REASON_BIT[reason]
    return mask


def reasons_of(mask: int) -> tuple[Reason, ...]:
    """Unpack a bit mask into reasons, in order."""
    return tuple(reason for reason in REASONS if mask & REASON_BIT[reason])


class Mode(StrEnum):
    """What silence means under a rule."""

    NOT_ENABLED = "not-enabled"
    OPT_OUT = "opt-out"
    OPT_IN = "opt-in"


class Choice(StrEnum):
    """What a member said to a setting; nothing said is `UNSET`."""

    UNSET = "unset"
    DEFERRED = "deferred"
    ON = "on"
    OFF = "off"


class Status(StrEnum):
    """A member's account; only `ACTIVE` is admitted."""

    ACTIVE = "active"
    CLOSED = "closed"
    SUSPENDED = "suspended"
    DECEASED = "deceased"
    ORGANISATION = "organisation"


class Category(StrEnum):
    """What kind of thing a record is."""

    PROFILE = "profile"
    POST = "post"
    ARTICLE = "article"
    COMMENT = "comment"
    RESUME = "resume"
    ACTIVITY = "activity"
    FEEDBACK = "feedback"
    PROMPT = "prompt"
    GROUP_MESSAGE = "group_message"
    RECOMMENDATION = "recommendation"
    MESSAGE = "message"
    CREDENTIAL = "credential"
    PAYMENT = "payment"
    SALARY = "salary"
    APPLICATION = "application"


class Visibility(StrEnum):
    """Who could see a record; `PLATFORM` was given to the platform itself."""

    PUBLIC = "public"
    MEMBERS = "members"
    CONNECTIONS = "connections"
    GROUP = "group"
    PLATFORM = "platform"
    PRIVATE = "private"


class Authorship(StrEnum):
    """Whose words a record holds."""

    OWN = "own"
    EDITED = "edited"
    SHARED = "shared"
    QUOTED = "quoted"
    GENERATED = "generated"


class Others(StrEnum):
    """What a rule does with records that mention other people."""

    IGNORE = "ignore"
    REFUSE = "refuse"


class Withdrawal(StrEnum):
    """What an `off` does to models already trained."""

    FUTURE_RUNS = "future-runs"
    FORGET = "forget"


class Exactness(StrEnum):
    """How well a date is known; `BY` means no later than."""

    EXACT = "exact"
    BY = "by"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What became of a notice."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"


class Position(StrEnum):
    """What the authority said of lifting a hold."""

    NONE = "none"
    ASKED = "asked"
    NO_OBJECTION = "no-objection"
    APPROVED = "approved"
