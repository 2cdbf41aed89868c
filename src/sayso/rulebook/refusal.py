"""Why a document is refused, in Sayso's grammar: what is wrong, and what to write instead.

Promises: everything wrong with one document at once, each with its path: values of the
wrong kind, and what is missing between the keys (a rule that permits says all that a
decision needs; every fact has a source or is called an assumption). Does not know lines.

Example:
    >>> [refusal.message for refusal in refusals_of(ScopeDoc, {"scope": "HK"}, "CA")]
    ["scope 'HK' stands in 'CA.yaml'"]
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sayso.rulebook.schema import (
    ASSUMPTION,
    MAX_AGE,
    MAX_NOTICE_DAYS,
    NO_FACTS,
    PERMITTING_FACTS,
    Document,
    HoldDoc,
    MemberDoc,
    NoticeDoc,
    PurposeDoc,
    RuleDoc,
    ScopeDoc,
    SourceDoc,
    WordingDoc,
    is_purpose_name,
    one_of,
    told,
)

Path: TypeAlias = tuple[str | int, ...]


class Refusal(NamedTuple):
    """What is wrong with one value, by its path in the document."""

    path: Path
    message: str
    hint: str


_INSIDE: Mapping[str, type[Document]] = {
    "sources": SourceDoc,
    "notice": NoticeDoc,
    "rules": RuleDoc,
    "holds": HoldDoc,
    "members": MemberDoc,
    "wordings": WordingDoc,
}
_EXAMPLES: Mapping[str, str] = {
    "purpose": "purpose: content-generation-training",
    "purposes": "purposes: [content-generation-training]",
    "from": "from: 2025-11-03, or from: always",
    "mode": "mode: not-enabled, opt-out or opt-in",
    "minimum_age": "minimum_age: 18",
    "categories": "categories: {post: [public]}",
    "authorship": "authorship: [own]",
    "others": "others: ignore or refuse",
    "withdrawal": "withdrawal: future-runs or forget",
    "decided_by": "decided_by: law, authority or platform",
    "source": "source: {from: assumption} with a key for every fact",
    "id": "id: hk-2024-10-11",
    "placed_by": "placed_by and who placed the hold",
    "scope": "scope: and the name of this file",
    "title": "title: and what a reader would call it",
    "days": "days: 30",
    "country": "country: HK",
    "members": "members: [{country: NO, from: 1994-01-01}]",
    "recipients": "recipients: and who gets the data",
    "sharing": "sharing: false",
}
_EXPECTED: Mapping[str, tuple[str, str]] = {
    "string_type": ("text", "put it in quotes"),
    "int_type": ("a whole number", "write digits without quotes"),
    "bool_type": ("true or false", "write true or false"),
    "tuple_type": ("a list", "write it as [one, two]"),
    "dict_type": ("keys with values", "write it as {key: value}"),
    "model_type": ("keys with values", "write 'key: value' lines"),
}


def refusals_of(kind: type[Document], plain: object, stem: str) -> list[Refusal]:
    """Return everything wrong with a document.

    Args:
        kind: The document that the file should hold.
        plain: What it holds, as dicts, lists and scalars.
        stem: Name of its file, without the extension.
    """
    refusals: list[Refusal] = []
    try:
        kind.model_validate(plain)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A list is not too short where what stands in it was refused.
        wrong = {found["loc"][:-1] for found in errors if found["loc"]}
        refusals = [
            _refusal(kind, found)
            for found in errors
            if found["type"] != "too_short" or found["loc"] not in wrong
        ]
    return [*refusals, *_incomplete(kind, plain, stem)]


def missing(key: str) -> tuple[str, str]:
    """Return message and hint for a key that has to be there."""
    return f"'{key}' is missing", f"write {_EXAMPLES.get(key, f'{key}: and its value')}"


def _refusal(doc: type[Document], found: ErrorDetails) -> Refusal:
    path, kind, given = tuple(found["loc"]), found["type"], found["input"]
    context = found.get("ctx", {})
    if path and path[-1] == "[key]":
        path = path[:-1]
    if kind == "sayso":
        return Refusal(path, str(context["message"]), str(context["hint"]))
    if kind == "missing":
        return Refusal(path, *missing(str(path[-1])))
    if kind == "extra_forbidden":
        known = [f.alias or name for name, f in _model_at(doc, path[:-1]).model_fields.items()]
        return Refusal(path, f"unknown key {told(path[-1])}", one_of(path[-1], known))
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "value")
    if kind in {"enum", "literal_error"}:
        words = re.findall(r"'([^']+)'", str(context["expected"]))
        return Refusal(path, f"unknown {_word_for(path, name)} {told(given)}", one_of(given, words))
    if kind in {"greater_than_equal", "less_than_equal"}:
        top = MAX_AGE if name == "minimum_age" else MAX_NOTICE_DAYS
        return Refusal(path, f"{name} {told(given)} is out of range", f"write 0 to {top}")
    if kind == "too_short":
        return Refusal(path, f"'{name}' is empty", f"write {_EXAMPLES.get(name, 'at least one')}")
    wanted, hint = _EXPECTED.get(kind, ("another value", "see the rulebook's documentation"))
    return Refusal(path, f"{name}: {told(given)} is not {wanted}", hint)


def _word_for(path: Path, name: str) -> str:
    if "categories" in path:
        return "category" if path[-1] == name else "visibility"
    return name


def _model_at(doc: type[Document], path: Path) -> type[Document]:
    inside = [part for part in path if isinstance(part, str) and part in _INSIDE]
    return _INSIDE[inside[-1]] if inside else doc


# ---- between the keys -------------------------------------------------------------------


def _incomplete(kind: type[Document], plain: object, stem: str) -> Iterator[Refusal]:
    """Find what is missing between the keys; wrong types are passed over here."""
    if not isinstance(plain, dict):
        return
    declared = plain.get("sources")
    ids = tuple(declared) if isinstance(declared, dict) else ()
    if kind is ScopeDoc:
        scope = plain.get("scope")
        if isinstance(scope, str) and scope != stem:
            hint = f"write scope: {stem}, or rename the file"
            yield Refusal(("scope",), f"scope {told(scope)} stands in '{stem}.yaml'", hint)
        yield from _incomplete_items(plain, "rules", RuleDoc, ids)
        yield from _incomplete_items(plain, "holds", HoldDoc, ids)
    elif kind is PurposeDoc:
        if not is_purpose_name(stem):
            yield Refusal((), f"{told(stem)} cannot name a purpose", "use small letters and '-'")
        facts = (_stated(plain) & PurposeDoc.model_fields.keys()) - {"title", "sources", "source"}
        yield from _unsourced((), plain, facts, facts | {"title"}, ids)
    else:
        members = plain.get("members")
        countries = {
            str(member.get("country"))
            for member in (members if isinstance(members, list) else [])
            if isinstance(member, dict)
        }
        yield from _unsourced((), plain, {"members"}, {"title", "members"} | countries, ids)


def _stated(item: Mapping[str, object]) -> set[str]:
    return {key for key, value in item.items() if value not in ([], {}, "")}


def _incomplete_items(
    plain: Mapping[str, Any], section: str, kind: type[Document], ids: tuple[str, ...]
) -> Iterator[Refusal]:
    known = {field.alias or name for name, field in kind.model_fields.items()}
    items = plain.get(section)
    for place, item in enumerate(items if isinstance(items, list) else []):
        if not isinstance(item, dict):
            continue
        path: Path = (section, place)
        if item.get("mode") in ("opt-in", "opt-out"):
            for fact in PERMITTING_FACTS:
                if fact not in _stated(item):
                    message, hint = missing(fact)
                    yield Refusal((*path, fact), f"{message} in a rule that permits", hint)
        facts = (_stated(item) & known) - NO_FACTS
        yield from _unsourced(path, item, facts, item.keys() & known, ids)


def _unsourced(
    path: Path, item: Mapping[str, Any], facts: set[str], allowed: set[str], ids: tuple[str, ...]
) -> Iterator[Refusal]:
    """Find facts without a source, sources without a fact, and ids that nobody declared."""
    source = item.get("source")
    if not isinstance(source, dict):
        return
    for fact in sorted(facts - source.keys()):
        hint = f"write {fact}: and an id of 'sources', or {fact}: {ASSUMPTION}"
        yield Refusal((*path, "source"), f"no source for '{fact}'", hint)
    for fact, cited in source.items():
        where = (*path, "source", fact)
        if fact not in allowed:
            yield Refusal(where, f"a source for '{fact[:60]}', which is not stated", "remove it")
        if isinstance(cited, str) and cited not in ids and cited != ASSUMPTION:
            hint = one_of(cited, [*ids, ASSUMPTION])
            yield Refusal(where, f"undeclared source {told(cited)}", hint)
