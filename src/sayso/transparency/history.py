"""Every version of wording, rule, notice, hold, purpose and group, with what changed.

Promises: pure; compares what was published with what was published before it, thing by thing,
so that a comment or another order of lines is no change; a thing that is new is compared with
the version that it follows, such as the rule before it in its scope. Taken together, the words
kept and taken out are the text before, the words kept and put in the text after.

Example:
    >>> [(one.kind, one.text) for one in compare_words("On by default", "Off by default")]
    [('del', 'On'), ('ins', 'Off'), ('same', ' by default')]
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Literal

from sayso.evidence.trace import Publication
from sayso.model import Dated, Group, Hold, Purpose, Rule, Rulebook, Source
from sayso.rulebook.picture import day_of

# Words, one sign of Chinese, Japanese or Korean, spaces, other signs.
_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"\s+|[{_WIDE}]|[^\W{_WIDE}]+|[^\w\s]")
# Longer texts are compared as a whole: the time for words grows with their square.
_MOST_WORDS = 4000

Kind = Literal["wording", "rule", "hold", "purpose", "group"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a comparison: `same`, `ins` or `del`."""

    kind: Literal["same", "ins", "del"]
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a rulebook says.

    Attributes:
        name: What tells it from others of its kind, such as the version of a wording.
        scope: Of a rule or hold; empty for others.
        language: Of a wording; empty for others.
        begins: When it begins to count; None for always, or where it has no date.
        terms: Aspect -> what it says, as text; empty values are left out.
        source: Of its beginning.
        hold: What a hold is as a whole; None for others.
    """

    kind: Kind
    name: str
    purpose: str
    scope: str
    language: str
    begins: Dated | None
    terms: Mapping[str, str]
    source: Source | None
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What one publication changed about one thing.

    Attributes:
        what: `added`, `changed` or `removed`.
        item: As published; as it was where it was removed.
        before: What it is compared with; None for the first of its line.
    """

    entry: int
    recorded_at: datetime
    what: Literal["added", "changed", "removed"]
    item: Item
    before: Item | None

    @property
    def lifted(self) -> Hold | None:
        """The hold of which this publication says that it is lifted, or None."""
        hold = self.item.hold
        return hold if hold and hold.lifted and self.what != "removed" else None

    @property
    def is_lift(self) -> bool:
        """Whether it lifts a hold that stood before."""
        former = self.before.hold if self.before else None
        return bool(self.lifted and former and not former.lifted)

    @property
    def differences(self) -> tuple[tuple[str, str, str], ...]:
        """Aspects that differ, with the text before and after; empty for none."""
        old = self.before.terms if self.before else {}
        new = self.item.terms if self.what != "removed" else {}
        names = dict.fromkeys([*new, *old])
        found = ((name, old.get(name, ""), new.get(name, "")) for name in names)
        return tuple(one for one in found if one[1] != one[2])


def compare_words(before: str, after: str) -> tuple[Piece, ...]:
    """Return two texts as one, word by word."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > _MOST_WORDS and before != after:
        return _pieces((("del", before), ("ins", after)))
    return _pieces(_compared(old, new))


def _compared(old: list[str], new: list[str]) -> Iterator[tuple[str, str]]:
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield "same", "".join(old[a:b])
        else:
            yield "del", "".join(old[a:b])
            yield "ins", "".join(new[c:d])


def _pieces(parts: Iterable[tuple[str, str]]) -> tuple[Piece, ...]:
    return tuple(Piece(kind, text) for kind, text in parts if text)  # type: ignore[arg-type]


# ---- what changed -----------------------------------------------------------------------


def changes_of(publications: Iterable[Publication]) -> tuple[Change, ...]:
    """Return what each publication changed, in order."""
    found: list[Change] = []
    before: Mapping[str, Item] = {}
    for one in publications:
        now = items_of(one.book)
        follows = _predecessors(now)
        for key, item in now.items():
            was = before.get(key)
            if was is None:
                found.append(Change(one.entry, one.recorded_at, "added", item, follows.get(key)))
            elif dict(was.terms) != dict(item.terms):
                found.append(Change(one.entry, one.recorded_at, "changed", item, was))
        found += [
            Change(one.entry, one.recorded_at, "removed", item, item)
            for key, item in before.items()
            if key not in now
        ]
        before = now
    return tuple(found)  # fmt: skip


def items_of(book: Rulebook) -> dict[str, Item]:
    """Return everything that a rulebook says, by what tells it apart."""
    found: dict[str, Item] = {}
    for item in _items(book):
        key = f"{item.kind}/{item.purpose}/{item.scope}/{item.language}/{item.name}"
        # Two of one name are a fault that no publication has; none is lost all the same.
        while key in found:
            key += "'"
        found[key] = item
    return found


def _items(book: Rulebook) -> Iterator[Item]:
    for name, purpose in book.purposes.items():
        source = purpose.sources.get("recipients")
        yield Item("purpose", name, name, "", "", None, _purpose_terms(purpose), source)
        for one in purpose.wordings:
            terms = _terms(label=one.label, text=one.text, begins=str(one.begins))
            said = purpose.sources.get("wordings")
            yield Item("wording", one.version, name, "", one.language, one.begins, terms, said)
    for rule in book.rules:
        began = str(rule.begins.value) if rule.begins else ""
        yield Item(
            "rule", began, rule.purpose, rule.scope, "", rule.begins, rule_terms(rule),
            rule.sources.get("from") or rule.sources.get("mode"),
        )  # fmt: skip
    for hold in book.holds:
        source = hold.sources.get("from")
        yield Item(
            "hold", hold.hold_id, ", ".join(sorted(hold.purposes)), hold.scope, "", hold.begins,
            _hold_terms(hold), source, hold,
        )  # fmt: skip
    for name, group in book.groups.items():
        yield Item("group", name, "", name, "", None, _group_terms(group), None)


def _predecessors(items: Mapping[str, Item]) -> dict[str, Item]:
    """Return what each wording and rule follows: the one before it of the same line."""
    lines: dict[tuple[str, ...], list[tuple[str, Item]]] = {}
    for key, item in items.items():
        if item.kind in {"wording", "rule"}:
            line = (item.kind, item.purpose, item.scope, item.language)
            lines.setdefault(line, []).append((key, item))
    found: dict[str, Item] = {}
    for alike in lines.values():
        alike.sort(key=lambda one: (day_of(one[1].begins) if one[1].begins else 0.0, one[0]))
        found |= {key: former for (_, former), (key, _) in pairwise(alike)}
    return found


# ---- what they say ----------------------------------------------------------------------


def _terms(**named: str) -> dict[str, str]:
    return {name: text for name, text in named.items() if text}


def rule_terms(rule: Rule) -> dict[str, str]:
    """Return what a rule says, aspect by aspect, in the words of its file."""
    categories = "; ".join(
        f"{category}: {', '.join(sorted(map(str, seen)))}"
        for category, seen in rule.categories.items()
    )
    notice = ""
    if rule.notice is not None:
        notice = str(rule.notice.days)
        notice += f", {rule.notice.since}" if rule.notice.since else ""
    return _terms(
        mode=str(rule.mode),
        begins=str(rule.begins) if rule.begins else "",
        until=str(rule.until) if rule.until else "",
        notice=notice,
        minimum_age=str(rule.minimum_age) if rule.minimum_age is not None else "",
        categories=categories,
        authorship=", ".join(sorted(map(str, rule.authorship))),
        others=str(rule.others) if rule.categories else "",
        excluded_contexts=", ".join(sorted(rule.excluded_contexts)),
        earliest_written=str(rule.earliest_written) if rule.earliest_written else "",
        withdrawal=str(rule.withdrawal),
        decided_by=rule.decided_by,
        controller=rule.controller,
        lawful_basis=rule.lawful_basis,
        assessments=", ".join(rule.assessments),
    )


def _hold_terms(hold: Hold) -> dict[str, str]:
    return _terms(
        begins=str(hold.begins) if hold.begins else "",
        lifted=str(hold.lifted) if hold.lifted else "",
        placed_by=hold.placed_by,
        asked_by=hold.asked_by,
        ordered_by=hold.ordered_by,
        condition=hold.condition,
        position=str(hold.position) if hold.position else "",
    )


def _purpose_terms(purpose: Purpose) -> dict[str, str]:
    return _terms(
        title=purpose.title,
        recipients=", ".join(purpose.recipients),
        sharing="true" if purpose.sharing else "false",
        how_to_change=purpose.how_to_change,
        retention=purpose.retention,
        contact=purpose.contact,
    )


def _group_terms(group: Group) -> dict[str, str]:
    return _terms(title=group.title, members="; ".join(_memberships(group)))


def _memberships(group: Group) -> Iterator[str]:
    for one in sorted(group.members, key=lambda one: (one.country, str(one.begins or ""))):
        told = [f"from {one.begins}"] if one.begins else []
        told += [f"until {one.until}"] if one.until else []
        yield " ".join((one.country, *told))
