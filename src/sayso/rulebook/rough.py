"""What can be read of a rulebook file that has faults, so that all faults are told at once.

Promises: total over whatever YAML holds; never a fault of its own, and nothing in it that
the file does not say: where a date cannot be read, whatever hangs on it is passed over.
For `sayso.rulebook.check` alone; no decision sees it.

Example:
    >>> rough = Rough("scopes/HK.yaml", "HK", ScopeDoc, {"rules": [{"mode": "opt-it"}]}, {(): 1})
    >>> rules_of(rough)
    ()
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic_core import PydanticCustomError

from sayso.model import (
    Country,
    Dated,
    Group,
    Hold,
    Membership,
    Mode,
    Others,
    Place,
    Position,
    Rule,
    Source,
    Withdrawal,
)
from sayso.rulebook.civil import COUNTRIES
from sayso.rulebook.refusal import Path
from sayso.rulebook.schema import (
    ASSUMPTION,
    Doc,
    is_purpose_name,
    read_beginning,
    read_bound,
    read_hold_beginning,
)


@dataclass(frozen=True, slots=True)
class Rough:
    """One file that has faults.

    Attributes:
        stem: The file's name without its extension: a purpose, group or scope.
        kind: What it should hold.
        plain: What it holds, as dicts, lists and scalars; None where it is no YAML.
        lines: The 1-based line of every value, by its path; of the whole at least.
    """

    file: str
    stem: str
    kind: type[Doc]
    plain: object
    lines: Mapping[Path, int]

    def items(self, section: str) -> list[tuple[int, dict[str, Any]]]:
        """Return the mappings in a list of the file, with their places in it."""
        found = self.plain.get(section) if isinstance(self.plain, dict) else None
        listed = enumerate(found if isinstance(found, list) else ())
        return [(place, item) for place, item in listed if isinstance(item, dict)]

    def at(self, *path: str | int) -> Place:
        """Return where a value stands."""
        return Place(self.file, self.lines.get(path, self.lines[()]))


class RoughRule(NamedTuple):
    """A rule whose purpose can be read, and whether its dates can."""

    rule: Rule
    is_dated: bool


def rules_of(rough: Rough) -> tuple[RoughRule, ...]:
    """Return the rules of a scope of which the purpose can be read."""
    found = []
    for place, item in rough.items("rules"):
        purpose = item.get("purpose")
        if not isinstance(purpose, str) or not is_purpose_name(purpose):
            continue
        begins, knows_begins = _read(read_beginning, item, "from")
        until, knows_until = _read(read_bound, item, "until")
        rule = Rule(
            scope=rough.stem, purpose=purpose, begins=begins, until=until,
            mode=Mode(item["mode"]) if item.get("mode") in tuple(Mode) else Mode.OPT_IN,
            minimum_age=None, categories={}, authorship=frozenset(), others=Others.REFUSE,
            excluded_contexts=frozenset(), notice=None, earliest_written=None,
            withdrawal=Withdrawal.FORGET, decided_by="", controller="", lawful_basis="",
            assessments=(), sources={}, place=rough.at("rules", place),
        )  # fmt: skip
        found.append(RoughRule(rule, knows_begins and knows_until and "from" in item))
    return tuple(found)


def has_hidden_rules(rough: Rough) -> bool:
    """Whether a rule may stand there whose purpose cannot be read."""
    listed = rough.plain.get("rules", []) if isinstance(rough.plain, dict) else None
    return not isinstance(listed, list) or len(listed) > len(rules_of(rough))


def holds_of(rough: Rough) -> tuple[Hold, ...]:
    """Return the holds of a scope; what cannot be read of one is as it should be."""
    found = []
    for place, item in rough.items("holds"):
        begins, _ = _read(read_hold_beginning, item, "from")
        lifted, knows_lifted = _read(read_bound, item, "lifted")
        position = item.get("position") if knows_lifted else None
        if position is not None and position not in tuple(Position):
            position = Position.APPROVED
        listed = item.get("purposes")
        found.append(
            Hold(
                hold_id=_words(item, "id"), scope=rough.stem,
                purposes=frozenset(
                    one for one in (listed if isinstance(listed, list) else ())
                    if isinstance(one, str) and is_purpose_name(one)
                ),
                begins=begins, lifted=lifted, placed_by=_words(item, "placed_by") or "?",
                asked_by=_words(item, "asked_by"), ordered_by=_words(item, "ordered_by"),
                condition="", position=Position(position) if position else None,
                sources={"lifted": Source(title=ASSUMPTION)}, place=rough.at("holds", place),
            )
        )  # fmt: skip
    return tuple(found)


def group_of(rough: Rough) -> Group:
    """Return a group with every member in its place; one that cannot be read is no country."""
    listed = rough.plain.get("members") if isinstance(rough.plain, dict) else None
    members, doubted = [], Counter[str]()
    for place, item in enumerate(listed if isinstance(listed, list) else ()):
        nobody = Membership(Country(f"?{place}"), None, None)
        code = item.get("country") if isinstance(item, dict) else None
        if not isinstance(code, str) or code not in COUNTRIES:
            members.append(nobody)
            continue
        begins, knows_begins = _read(read_beginning, item, "from")
        until, knows_until = _read(read_bound, item, "until")
        doubted[code] += not (knows_begins and knows_until and "from" in item)
        members.append(Membership(Country(code), begins, until))
    kept = tuple(
        Membership(Country(f"?{place}"), None, None) if doubted[member.country] else member
        for place, member in enumerate(members)
    )
    return Group(rough.stem, "", kept, {}, rough.at())


def cited_in(rough: Rough) -> tuple[set[str], bool]:
    """Return the sources that facts name, and whether all of them can be read and are declared."""
    maps = [
        rough.plain,
        *(item for section in ("rules", "holds") for _, item in rough.items(section)),
    ]
    cited: set[str] = set()
    for one in maps:
        source = one.get("source") if isinstance(one, dict) else None
        values = source.values() if isinstance(source, dict) else ()
        cited |= {value for value in values if isinstance(value, str)}
    return cited, cited <= {*declared_in(rough), ASSUMPTION} and isinstance(rough.plain, dict)


def declared_in(rough: Rough) -> list[str]:
    """Return the sources that a file declares."""
    declared = rough.plain.get("sources") if isinstance(rough.plain, dict) else None
    return list(declared) if isinstance(declared, dict) else []


def _read(
    read: Callable[[object], Dated | None], item: Mapping[str, Any], key: str
) -> tuple[Dated | None, bool]:
    """Return a date and whether it could be read; none where none is written."""
    if item.get(key) is None:
        return None, True
    try:
        return read(item[key]), True
    except PydanticCustomError:
        return None, False


def _words(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value.strip() if isinstance(value, str) else ""
