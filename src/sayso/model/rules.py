"""What a rulebook is made of: purposes, rules, holds and groups, each with its sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from sayso.model.words import (
    ASSISTANCE,
    Authorship,
    Category,
    Country,
    Exactness,
    Mode,
    Others,
    Position,
    Visibility,
    Withdrawal,
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact comes from; `assumption` stands for none.

    Attributes:
        title: Name of the document, or the word `assumption`.
        address: Where it was read, or empty.
        seen: Day on which it was read.
        note: What a reader should know about it.
    """

    title: str
    address: str = ""
    seen: date | None = None
    note: str = ""

    @property
    def is_assumption(self) -> bool:
        """Whether nobody vouches for the fact."""
        return self.title == "assumption"


@dataclass(frozen=True, slots=True)
class Dated:
    """A bound: a civil date (begins at local midnight) or an exact instant (UTC)."""

    value: date | datetime
    exactness: Exactness = Exactness.EXACT

    def __str__(self) -> str:
        """As a person would write it."""
        text = (
            self.value.isoformat().replace("+00:00", "Z")
            if isinstance(self.value, datetime)
            else self.value.isoformat()
        )
        return text if self.exactness is Exactness.EXACT else f"{text} ({self.exactness})"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a rule asks of notices: how many days before, and since when one counts."""

    days: int
    since: Dated | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule or hold stands in the rulebook."""

    file: str
    line: int

    def __str__(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One purpose and scope, from one date, until the next rule or `until`.

    Attributes:
        begins: First bound; None means always.
        until: Explicit end; None means until the next rule of the scope.
        minimum_age: Completed years; None only where the rule permits nothing.
        categories: Each admitted category with the visibilities admitted for it.
        sources: One per fact, by the name of the fact.
    """

    scope: str
    purpose: str
    begins: Dated | None
    until: Dated | None
    mode: Mode
    minimum_age: int | None
    categories: Mapping[Category, frozenset[Visibility]]
    authorship: frozenset[Authorship]
    others: Others
    excluded_contexts: frozenset[str]
    notice: Notice | None
    earliest_written: Dated | None
    withdrawal: Withdrawal
    decided_by: str
    controller: str
    lawful_basis: str
    assessments: tuple[str, ...]
    sources: Mapping[str, Source]
    place: Place


@dataclass(frozen=True, slots=True)
class Hold:
    """A stop. It beats every `on` and changes no choice.

    Attributes:
        purposes: Purposes stopped; `*` for all.
        begins: None means that its beginning is not known: it holds from always.
        lifted: None while it holds.
        position: What the authority said of the lift.
    """

    hold_id: str
    scope: str
    purposes: frozenset[str]
    begins: Dated | None
    lifted: Dated | None
    placed_by: str
    asked_by: str
    ordered_by: str
    condition: str
    position: Position | None
    sources: Mapping[str, Source]
    place: Place


@dataclass(frozen=True, slots=True)
class Membership:
    """One country's time in a group."""

    country: Country
    begins: Dated | None
    until: Dated | None


@dataclass(frozen=True, slots=True)
class Group:
    """A scope of several countries, with dated membership."""

    name: str
    title: str
    members: tuple[Membership, ...]
    sources: Mapping[str, Source]
    place: Place


@dataclass(frozen=True, slots=True)
class Wording:
    """One version of the text shown beside a setting, in one language.

    Attributes:
        language: Tag of BCP 47, such as `en` or `zh-Hant`.
    """

    version: str
    begins: Dated
    label: str
    text: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What data would be used for, by whom.

    Attributes:
        how_to_change: Where a member says otherwise; empty where the file does not say.
        retention: How long what was used is kept; empty where the file does not say.
        contact: Whom a member asks; empty where the file does not say.
    """

    name: str
    title: str
    recipients: tuple[str, ...]
    sharing: bool
    wordings: tuple[Wording, ...]
    sources: Mapping[str, Source]
    place: Place
    how_to_change: str = ""
    retention: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All purposes, rules, holds and groups, with the text that they were read from.

    Attributes:
        files: Path inside the rulebook -> text; what is published and hashed.
    """

    purposes: Mapping[str, Purpose]
    rules: tuple[Rule, ...]
    holds: tuple[Hold, ...]
    groups: Mapping[str, Group]
    files: Mapping[str, str] = field(repr=False)
    digest: str = ""

    @property
    def trainings(self) -> tuple[str, ...]:
        """Names of the purposes of training; writing for a member who asks is none."""
        return tuple(name for name in self.purposes if name != ASSISTANCE)
