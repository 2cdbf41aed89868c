"""Rulebooks for tests: said in a line, at random, or written out as files.

All of it is invented. `make_rule` and its like return what only a test would leave unsaid;
`random_book` returns anything that a rulebook may say, and with `sound=False` also what a
reviewer would refuse (rules that tie or overlap), since `in_force` is total over any
rulebook. `files_of` writes a rulebook as files that `parse_rulebook` reads back.

Example:
    >>> book = make_book([make_rule("world", mode=Mode.OPT_IN)])
    >>> parse_rulebook(files_of(book)).rules[0].mode
    <Mode.OPT_IN: 'opt-in'>
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from sayso.model import (
    DEFAULT_PURPOSE,
    EVERY_PURPOSE,
    Authorship,
    Category,
    Country,
    Dated,
    Exactness,
    Group,
    Hold,
    Membership,
    Mode,
    Notice,
    Others,
    Place,
    Position,
    Purpose,
    Rule,
    Rulebook,
    Visibility,
    Withdrawal,
)
from sayso.rulebook.check import check_files
from sayso.rulebook.parse import parse_rulebook

T = TypeVar("T")

OTHER_PURPOSE = "ad-ranking"
# One zone; several zones; members of a group; midnights that the clocks skip (LB, CU); a
# country that zone.tab does not list (BV); a date line (KI).
LIVED_IN = ("HK", "GB", "US", "DE", "FR", "LB", "CU", "BV", "KI")
# Days about which everything turns; 2025-03-09 and 2025-03-30 begin at one o'clock in Cuba
# and in Lebanon.
DAYS = tuple(
    date.fromisoformat(day)
    for day in (
        "2024-02-29", "2024-03-01", "2024-09-18", "2024-10-11", "2024-12-31", "2025-01-01",
        "2025-03-09", "2025-03-30", "2025-06-15", "2025-11-02", "2025-11-03",
    )
)  # fmt: skip
CONTEXTS = ("clinic", "école")
# Tries of random text until it is a rulebook that may be published.
SOUND_TRIES = 200


# ---- said in a line ---------------------------------------------------------------------


def make_rule(
    scope: str = "world",
    begins: Dated | None = None,
    *,
    purpose: str = DEFAULT_PURPOSE,
    mode: Mode = Mode.OPT_OUT,
    minimum_age: int | None = 18,
    categories: Mapping[Category, frozenset[Visibility]] | None = None,
    authorship: frozenset[Authorship] = frozenset({Authorship.OWN}),
    others: Others = Others.IGNORE,
    excluded_contexts: frozenset[str] = frozenset(),
    notice: Notice | None = None,
    earliest_written: Dated | None = None,
    until: Dated | None = None,
    line: int = 1,
) -> Rule:
    """Return a rule of which only what matters is said; it admits an adult's public posts."""
    if categories is None:
        categories = {Category.POST: frozenset({Visibility.PUBLIC})}
    return Rule(
        scope=scope, purpose=purpose, begins=begins, until=until, mode=mode,
        minimum_age=minimum_age, categories=categories, authorship=authorship, others=others,
        excluded_contexts=excluded_contexts, notice=notice, earliest_written=earliest_written,
        withdrawal=Withdrawal.FUTURE_RUNS, decided_by="platform", controller="",
        lawful_basis="", assessments=(), sources={}, place=Place(f"scopes/{scope}.yaml", line),
    )  # fmt: skip


def make_hold(
    scope: str = "world",
    begins: Dated | None = None,
    lifted: Dated | None = None,
    *,
    purposes: frozenset[str] = frozenset({DEFAULT_PURPOSE}),
    hold_id: str = "stop",
    line: int = 1,
) -> Hold:
    """Return a hold that the platform placed by itself."""
    return Hold(
        hold_id=hold_id, scope=scope, purposes=purposes, begins=begins, lifted=lifted,
        placed_by="platform", asked_by="", ordered_by="", condition="",
        position=Position.NONE if lifted else None, sources={},
        place=Place(f"scopes/{scope}.yaml", line),
    )  # fmt: skip


def make_group(name: str, *members: tuple[str, Dated | None, Dated | None]) -> Group:
    """Return a group of countries, each with the bounds of its time in it."""
    times = tuple(Membership(Country(code), begins, until) for code, begins, until in members)
    return Group(name, f"Invented: {name}", times, {}, Place(f"groups/{name}.yaml", 1))


def make_book(
    rules: Sequence[Rule], holds: Sequence[Hold] = (), groups: Sequence[Group] = ()
) -> Rulebook:
    """Return a rulebook without files; see `published`."""
    purposes = {
        name: Purpose(
            name, f"Invented: {name}", ("the platform",), sharing=False, wordings=(), sources={},
            place=Place(f"purposes/{name}.yaml", 1),
        )
        for name in (DEFAULT_PURPOSE, OTHER_PURPOSE)
    }  # fmt: skip
    return Rulebook(purposes, tuple(rules), tuple(holds), {one.name: one for one in groups}, {})


def published(book: Rulebook) -> Rulebook:
    """Return a rulebook as it comes back from its files."""
    return book if book.files else parse_rulebook(files_of(book))


# ---- written out ------------------------------------------------------------------------


def files_of(book: Rulebook) -> dict[str, str]:
    """Return a rulebook as files, by path."""
    if book.files:
        return dict(book.files)
    files: dict[str, Any] = {}
    for purpose in book.purposes.values():
        files[f"purposes/{purpose.name}.yaml"] = {
            "title": purpose.title,
            "recipients": list(purpose.recipients),
            "sharing": purpose.sharing,
            "source": {"recipients": "assumption", "sharing": "assumption"},
        }
    for group in book.groups.values():
        members = [
            _stated({"country": one.country, "from": _text(one.begins), "until": _until(one.until)})
            for one in group.members
        ]
        files[f"groups/{group.name}.yaml"] = {
            "title": group.title,
            "members": members,
            "source": {"members": "assumption"},
        }
    scopes = [rule.scope for rule in book.rules] + [hold.scope for hold in book.holds]
    for scope in dict.fromkeys(scopes):
        files[f"scopes/{scope}.yaml"] = {
            "scope": scope,
            "rules": [_rule_text(rule) for rule in book.rules if rule.scope == scope],
            "holds": [_hold_text(hold) for hold in book.holds if hold.scope == scope],
        }
    return {name: "".join(_yaml(files[name])) for name in sorted(files)}


def _yaml(value: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield lines of YAML, one key on each; lists of plain values stand on one line."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield f"{indent}{key}:\n"
            yield from _yaml(inner, indent + "  ")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield f"{indent}{key}:\n"
            for item in inner:
                first, *rest = _yaml(item, indent + "    ")
                yield f"{indent}  - {first.lstrip()}"
                yield from rest
        else:
            yield f"{indent}{key}: {json.dumps(inner, ensure_ascii=False)}\n"


def _text(bound: Dated | None, unbounded: str = "always") -> Any:
    if bound is None:
        return unbounded
    text = bound.value.isoformat().replace("+00:00", "Z")
    if bound.exactness is Exactness.EXACT:
        return text
    return {"date": text, "exactness": str(bound.exactness)}


def _until(bound: Dated | None) -> Any:
    return None if bound is None else _text(bound)


def _stated(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}


def _sourced(given: Mapping[str, Any], unsourced: frozenset[str]) -> dict[str, Any]:
    stated = _stated(given)
    facts = [name for name in stated if name not in unsourced]
    return {**stated, "source": dict.fromkeys(facts, "assumption")}


def _rule_text(rule: Rule) -> dict[str, Any]:
    notice = rule.notice and _stated({"days": rule.notice.days, "since": _until(rule.notice.since)})
    return _sourced(
        {
            "purpose": rule.purpose,
            "from": _text(rule.begins),
            "until": _until(rule.until),
            "mode": str(rule.mode),
            "minimum_age": rule.minimum_age,
            "categories": {
                str(kind): sorted(map(str, seen)) for kind, seen in rule.categories.items()
            },
            "authorship": sorted(map(str, rule.authorship)),
            "others": str(rule.others),
            "excluded_contexts": sorted(rule.excluded_contexts),
            "notice": notice,
            "earliest_written": _until(rule.earliest_written),
            "withdrawal": str(rule.withdrawal),
            "decided_by": rule.decided_by,
        },
        frozenset({"purpose"}),
    )


def _hold_text(hold: Hold) -> dict[str, Any]:
    return _sourced(
        {
            "id": hold.hold_id,
            "purposes": sorted(hold.purposes),
            "from": _text(hold.begins, "unknown"),
            "lifted": _until(hold.lifted),
            "placed_by": hold.placed_by,
            "position": hold.position and str(hold.position),
        },
        frozenset({"id", "purposes", "position"}),
    )


# ---- at random --------------------------------------------------------------------------


def random_book(rng: Random, *, sound: bool = False) -> Rulebook:
    """Return a random rulebook; `sound`: one that may be published."""
    for _ in range(SOUND_TRIES):
        book = _random_book(rng, sound=sound)
        if not sound:
            return book
        if not check_files(files_of(book)):
            return published(book)
    raise AssertionError("no sound rulebook in many tries")


def _random_book(rng: Random, *, sound: bool) -> Rulebook:
    names = rng.sample(("EEA", "PACT"), rng.choice((0, 1, 1, 2)))
    groups = [_random_group(rng, name) for name in names]
    scopes = rng.sample(LIVED_IN, rng.choice((0, 1, 2, 3)))
    scopes += [name for name in names if rng.random() < 0.8]
    if rng.random() < 0.95 or not scopes:
        scopes.append("world")
    rules: list[Rule] = []
    for scope in scopes:
        rules += _random_rules(rng, scope, sound=sound)
    holds = [
        _random_hold(rng, rng.choice(scopes), number)
        for number in range(rng.choice((0, 0, 1, 1, 2)))
    ]
    return make_book(rules, holds, groups)


def edited_book(rng: Random, book: Rulebook, *, sound: bool = False) -> Rulebook:
    """Return a later rulebook: a hold placed, all holds lifted, a rule gone, or all new.

    `sound`: one that may be published after the first, so that no hold is gone.
    """
    later = replace(book, files={}, digest="")
    kind = rng.choice(("place", "lift", "drop", "new"))
    if kind == "place":
        scope = rng.choice([rule.scope for rule in book.rules] or ["world"])
        later = replace(later, holds=(*book.holds, _random_hold(rng, scope, len(book.holds) + 7)))
    elif kind == "lift":
        holds = tuple(
            hold
            if hold.lifted
            else replace(hold, lifted=bound(rng), position=Position.NO_OBJECTION)
            for hold in book.holds
        )
        later = replace(later, holds=holds)
    elif kind == "drop" and len(book.rules) > 1:
        later = replace(later, rules=book.rules[1:])
    files = files_of(later)
    if kind == "new" or files == files_of(book) or (sound and check_files(files)):
        return _new_book(rng, book) if sound else random_book(rng)
    return published(later) if sound else later


def _new_book(rng: Random, book: Rulebook) -> Rulebook:
    """Return a sound rulebook that has nothing of another one but its holds."""
    for _ in range(SOUND_TRIES):
        new = random_book(rng, sound=True)
        holds = tuple(replace(hold, hold_id=f"{hold.hold_id}-again") for hold in new.holds)
        later = replace(
            new,
            holds=(*book.holds, *holds),
            groups={**new.groups, **book.groups},
            files={},
            digest="",
        )
        if not check_files(files_of(later)):
            return published(later)
    raise AssertionError("no sound rulebook in many tries")


def _random_group(rng: Random, name: str) -> Group:
    countries = rng.sample(("DE", "FR", "LB", "US", "GB"), rng.randint(1, 4))
    return make_group(
        name, *((code, some(rng, 0.5, bound), some(rng, 0.3, bound)) for code in countries)
    )


def _random_rules(rng: Random, scope: str, *, sound: bool) -> Iterator[Rule]:
    count = rng.choice((1, 1, 2, 2, 3))
    begins: list[Dated | None] = [bound(rng) for _ in range(count)]
    if rng.random() < 0.65:
        begins[0] = None
    if not sound and count > 1 and rng.random() < 0.15:
        begins[1] = begins[0]
    for place, begin in enumerate(begins):
        mode = weighted(rng, {Mode.OPT_OUT: 12, Mode.OPT_IN: 4, Mode.NOT_ENABLED: 3})
        bare = mode is Mode.NOT_ENABLED and rng.random() < 0.5
        ends = mode is not Mode.NOT_ENABLED or not sound
        yield make_rule(
            scope, begin, mode=mode, line=place + 1,
            until=some(rng, 0.06, bound) if ends else None,
            purpose=DEFAULT_PURPOSE if rng.random() < 0.93 else OTHER_PURPOSE,
            minimum_age=None if bare else weighted(rng, {18: 6, 16: 2, 13: 1, 0: 1}),
            categories={} if bare else _random_categories(rng),
            authorship=frozenset() if bare else _random_authorship(rng),
            others=weighted(rng, {Others.IGNORE: 3, Others.REFUSE: 1}),
            excluded_contexts=frozenset(rng.sample(CONTEXTS, rng.choice((0, 0, 0, 1)))),
            notice=some(rng, 0.25, _random_notice),
            earliest_written=some(rng, 0.2, _long_ago),
        )  # fmt: skip


def _random_categories(rng: Random) -> dict[Category, frozenset[Visibility]]:
    found = {kind: _visibilities(rng) for kind in rng.sample(tuple(Category), rng.randint(1, 5))}
    if rng.random() < 0.9:
        found[Category.POST] = _visibilities(rng) | {Visibility.PUBLIC}
    return found


def _visibilities(rng: Random) -> frozenset[Visibility]:
    return frozenset(rng.sample(tuple(Visibility), rng.randint(1, 3)))


def _random_authorship(rng: Random) -> frozenset[Authorship]:
    more = rng.sample(tuple(Authorship), rng.choice((0, 0, 1)))
    return frozenset([*more, Authorship.OWN])


def _random_notice(rng: Random) -> Notice:
    return Notice(rng.choice((0, 1, 14, 90)), some(rng, 0.4, bound))


def _random_hold(rng: Random, scope: str, number: int) -> Hold:
    begins, lifted = some(rng, 0.85, bound), some(rng, 0.6, bound)
    if begins and lifted and str(lifted.value) < str(begins.value):
        begins, lifted = lifted, begins
    purpose = weighted(rng, {DEFAULT_PURPOSE: 6, EVERY_PURPOSE: 2, OTHER_PURPOSE: 1})
    return make_hold(scope, begins, lifted, purposes=frozenset({purpose}), hold_id=f"stop-{number}")


def _long_ago(rng: Random) -> Dated:
    found = bound(rng)
    years = rng.choice((0, 4, 12))  # 29 February stays
    return replace(found, value=found.value.replace(year=found.value.year - years))


def bound(rng: Random) -> Dated:
    """Return a civil date or an instant, mostly exactly known."""
    exactness = weighted(rng, {Exactness.EXACT: 8, Exactness.BY: 1, Exactness.UNKNOWN: 1})
    return Dated(rng.choice(DAYS) if rng.random() < 0.7 else instant(rng), exactness)


def instant(rng: Random) -> datetime:
    """Return an instant of 2024 or 2025, now and then on a whole second."""
    seconds = rng.randrange(2 * 365 * 86_400)
    fraction = 0 if rng.random() < 0.5 else rng.randrange(1_000_000)
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=fraction)


def some(rng: Random, chance: float, make: Callable[[Random], T]) -> T | None:
    """Return what `make` makes, or None."""
    return make(rng) if rng.random() < chance else None


def weighted(rng: Random, weights: Mapping[T, int]) -> T:
    """Return a key, as often as its weight says."""
    return rng.choices(tuple(weights), tuple(weights.values()))[0]
