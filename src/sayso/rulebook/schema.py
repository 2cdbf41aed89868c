"""What a rulebook file may say: one typed document for each kind of file.

Promises: every value is typed and every refusal says what to write instead, in Sayso's
grammar. Does not read text, does not know lines, and looks at one file at a time.

Example:
    >>> read_bound("2025-11-02T16:00").value.isoformat()
    '2025-11-02T16:00:00+00:00'
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NoReturn, TypeAlias

from annotated_types import Ge, Le, MinLen
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
)
from pydantic_core import PydanticCustomError

from sayso.model import (
    EVERY_PURPOSE,
    Authorship,
    Category,
    Dated,
    Exactness,
    Mode,
    Others,
    Position,
    Source,
    Visibility,
    Withdrawal,
)
from sayso.rulebook.civil import COUNTRIES

ASSUMPTION = "assumption"

# What a rule must say beyond purpose, from, mode and decided_by where it permits anything.
PERMITTING_FACTS = ("minimum_age", "categories", "authorship", "others", "withdrawal")
# Keys of a rule or hold that are no facts, or that stand or fall with another fact.
NO_FACTS = frozenset({"purpose", "purposes", "id", "source", "condition", "position"})
# Oldest age a rule may ask for, and longest notice; both only catch slips of the pen.
MAX_AGE = 120
MAX_NOTICE_DAYS = 3650

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)? ?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", re.ASCII)
_ADDRESS = re.compile(r"https?://[^\s<>\"]+")
# Codes that people write for a country that has another one.
_USUAL_SLIPS = {"UK": "GB", "EL": "GR", "SP": "ES"}
_DATE_HINT = "write a date such as 2025-11-03, or an instant such as 2025-11-02T16:00:00Z"


def told(value: object) -> str:
    """Quote the user's input, shortly."""
    if isinstance(value, Mapping):
        return "a group of keys"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}'" if len(text) <= 60 else f"'{text[:57]}...'"


def one_of(word: object, words: Iterable[str]) -> str:
    """Say what to write instead of `word`: the closest of `words`, or all of them."""
    known = list(words)
    close = get_close_matches(str(word)[:60], known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"write one of {', '.join(known)}" if known else "remove it"


def country_hint(code: str) -> str:
    """Say what to write instead of a code that is no country."""
    usual = _USUAL_SLIPS.get(code.upper(), code.upper())
    if usual in COUNTRIES:
        return f"did you mean '{usual}'?"
    return "write an ISO 3166-1 code of two capital letters, such as HK"


def _refuse(message: str, hint: str) -> NoReturn:
    raise PydanticCustomError("sayso", "{message}", {"message": message, "hint": hint})


# ---- values -----------------------------------------------------------------------------


def read_day(value: object) -> date:
    """Read a civil date."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            _refuse(f"no such day as {told(value)}", _DATE_HINT)
    _refuse(f"{told(value)} is not a date", "write a date such as 2025-11-03")


def read_bound(value: object) -> Dated:
    """Read a civil date, an instant (naive is UTC) or `{date, exactness}`."""
    if isinstance(value, Mapping):
        return _read_inexact(value)
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            instant = datetime.fromisoformat(value.replace(" ", "T", 1).replace(" ", "").upper())
            aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            return Dated(aware.astimezone(UTC))
        except (ValueError, OverflowError):
            _refuse(f"no such instant as {told(value)}", _DATE_HINT)
    if isinstance(value, str) and _DAY.fullmatch(value):
        return Dated(read_day(value))
    _refuse(f"{told(value)} is neither a date nor an instant", _DATE_HINT)


def _read_inexact(value: Mapping[str, object]) -> Dated:
    if set(value) != {"date", "exactness"} or isinstance(value["date"], Mapping):
        _refuse("a date with exactness has two keys", "write {date: 2024-09-18, exactness: by}")
    exactness = value["exactness"]
    if exactness not in tuple(Exactness):
        _refuse(f"unknown exactness {told(exactness)}", one_of(exactness, tuple(Exactness)))
    return Dated(read_bound(value["date"]).value, Exactness(str(exactness)))


def read_beginning(value: object) -> Dated | None:
    """Read a bound; None for `always`."""
    return None if value == "always" else read_bound(value)


def read_hold_beginning(value: object) -> Dated | None:
    """Read the beginning of a hold; None for `always` and `unknown`."""
    return None if value in ("always", "unknown") else read_bound(value)


def _read_cited(value: object) -> str | Source:
    """Read an id of `sources`, the word assumption, or `{assumption: why}`."""
    if isinstance(value, Mapping):
        note = value.get(ASSUMPTION)
        if len(value) == 1 and isinstance(note, str) and note.strip():
            return Source(title=ASSUMPTION, note=note.strip())
    elif isinstance(value, str):
        return value
    _refuse(
        f"{told(value)} names no source",
        f"write an id of 'sources', {ASSUMPTION}, or {{{ASSUMPTION}: why}}",
    )


def _text(value: str) -> str:
    if not value.strip():
        _refuse("the text is empty", "write something, or remove the key")
    return value.strip()


def _address(value: str) -> str:
    if value and not _ADDRESS.fullmatch(value):
        _refuse(f"{told(value)} is not an address", "write one that begins with https://")
    return value


def _country(value: str) -> str:
    if value not in COUNTRIES:
        _refuse(f"unknown country {told(value)}", country_hint(value))
    return value


def is_purpose_name(value: str) -> bool:
    """Whether a word may name a purpose: small letters, digits and single hyphens."""
    return len(value) <= 80 and _NAME.fullmatch(value) is not None


def _purpose_name(value: str) -> str:
    if not is_purpose_name(value):
        _refuse(f"{told(value)} cannot name a purpose", "write small letters and hyphens")
    return value


def _purpose_or_every(value: str) -> str:
    return value if value == EVERY_PURPOSE else _purpose_name(value)


def _id(value: str) -> str:
    if not _ID.fullmatch(value):
        _refuse(f"{told(value)} cannot be an id", "write letters, digits, '.', '-' and '_'")
    return value


def _source_name(value: str) -> str:
    if value == ASSUMPTION:
        _refuse(f"a source cannot be called '{ASSUMPTION}'", "give it another id")
    return _id(value)


def _language(value: str) -> str:
    """A tag such as `en` or `zh-Hant`. Source: BCP 47, language with script or region."""
    if not re.fullmatch("[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?", value):
        _refuse(f"{told(value)} is no tag of a language", "write en or zh-Hant")
    return value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for place, value in enumerate(values):
        if value in values[:place]:
            _refuse(f"{told(value)} is written twice", "keep one of them")
    return values


def _distinct_versions(values: tuple["WordingDoc", ...]) -> tuple["WordingDoc", ...]:
    _distinct(tuple(wording.version for wording in values))
    return values


Day = Annotated[date, PlainValidator(read_day)]
Bound = Annotated[Dated, PlainValidator(read_bound)]
Beginning = Annotated[Dated | None, PlainValidator(read_beginning)]
HoldBeginning = Annotated[Dated | None, PlainValidator(read_hold_beginning)]
Cited = Annotated[str | Source, PlainValidator(_read_cited)]
Text = Annotated[str, Strict(), AfterValidator(_text)]
Language = Annotated[str, Strict(), AfterValidator(_language)]
Address = Annotated[str, Strict(), AfterValidator(_address)]
Country = Annotated[str, Strict(), AfterValidator(_country)]
PurposeName = Annotated[str, Strict(), AfterValidator(_purpose_name)]
HoldPurpose = Annotated[str, Strict(), AfterValidator(_purpose_or_every)]
HoldName = Annotated[str, Strict(), AfterValidator(_id)]
SourceName = Annotated[str, Strict(), AfterValidator(_source_name)]
Visibilities = Annotated[tuple[Visibility, ...], MinLen(1), AfterValidator(_distinct)]


# ---- documents --------------------------------------------------------------------------


class Document(BaseModel):
    """What all documents have in common: no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceDoc(Document):
    """A document that facts come from."""

    title: Text
    address: Address = ""
    seen: Day | None = None
    note: Text = ""


class NoticeDoc(Document):
    """What a rule asks of notices."""

    days: Annotated[int, Strict(), Ge(0), Le(MAX_NOTICE_DAYS)]
    since: Bound | None = None


class RuleDoc(Document):
    """One rule of a scope file."""

    purpose: PurposeName
    begins: Beginning = Field(alias="from")
    until: Bound | None = None
    mode: Mode
    minimum_age: Annotated[int, Strict(), Ge(0), Le(MAX_AGE)] | None = None
    categories: dict[Category, Visibilities] = Field(default_factory=dict)
    authorship: Annotated[tuple[Authorship, ...], AfterValidator(_distinct)] = ()
    others: Others = Others.REFUSE
    excluded_contexts: Annotated[tuple[Text, ...], AfterValidator(_distinct)] = ()
    notice: NoticeDoc | None = None
    earliest_written: Bound | None = None
    withdrawal: Withdrawal = Withdrawal.FORGET
    decided_by: Literal["law", "authority", "platform"]
    controller: Text = ""
    lawful_basis: Text = ""
    assessments: tuple[Text, ...] = ()
    source: dict[str, Cited]


class HoldDoc(Document):
    """One hold of a scope file."""

    id: HoldName
    purposes: Annotated[tuple[HoldPurpose, ...], MinLen(1), AfterValidator(_distinct)]
    begins: HoldBeginning = Field(alias="from")
    lifted: Bound | None = None
    placed_by: Text
    asked_by: Text = ""
    ordered_by: Text = ""
    condition: Text = ""
    position: Position | None = None
    source: dict[str, Cited]


class MemberDoc(Document):
    """One country's time in a group."""

    country: Country
    begins: Beginning = Field(alias="from")
    until: Bound | None = None


class WordingDoc(Document):
    """One version of the text beside a setting."""

    version: Text
    begins: Bound = Field(alias="from")
    language: Language = "en"
    label: Text
    text: Text


class PurposeDoc(Document):
    """A file of `purposes`."""

    title: Text
    recipients: Annotated[tuple[Text, ...], MinLen(1), AfterValidator(_distinct)]
    sharing: Annotated[bool, Strict()]
    wordings: Annotated[tuple[WordingDoc, ...], AfterValidator(_distinct_versions)] = ()
    how_to_change: Text = ""
    retention: Text = ""
    contact: Text = ""
    sources: dict[SourceName, SourceDoc] = Field(default_factory=dict)
    source: dict[str, Cited]


class GroupDoc(Document):
    """A file of `groups`."""

    title: Text
    members: Annotated[tuple[MemberDoc, ...], MinLen(1)]
    sources: dict[SourceName, SourceDoc] = Field(default_factory=dict)
    source: dict[str, Cited]


class ScopeDoc(Document):
    """A file of `scopes`."""

    scope: Text
    sources: dict[SourceName, SourceDoc] = Field(default_factory=dict)
    rules: tuple[RuleDoc, ...] = ()
    holds: tuple[HoldDoc, ...] = ()


Doc: TypeAlias = PurposeDoc | GroupDoc | ScopeDoc
