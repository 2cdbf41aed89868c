"""Cases as data: a world and what is expected of it, as JSON.

A case is a file of `cases/`. Hand-written ones hold what the design decided; the others were
found at random, cut down by `smallest`, and kept. `test_cases.py` replays each with every
engine.

    {"title": "...", "why": "...",
     "history": [{"rulebook": {"template": "linkedin-2024"}},      or {"files": {path: text}}
                 {"members": [{"member_id": "1", "country": "HK", "birth_date": "1990"}]},
                 {"notices": [{"member_id": "1", "served_at": "2025-09-24T09:00:00Z"}]},
                 {"choice": {"member_id": "1", "choice": "on", "effective_at": "..."}}],
     "records": [{"record_id": "1", "member_id": "1"}],
     "erased": [],
     "expect": [{"at": "2025-11-02T16:00:00Z", "reasons": [["ON_HOLD"]]}]}

Each part of the history is one entry of the ledger; `known` of an expectation is a size, and
all of it where it is missing. What a row leaves out has the value that
`tests.world.RecordLine` and its like give. `reasons` stand in the order of the records.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sayso.model import Choice, Reason, Rulebook, mask_of, reasons_of
from sayso.publishing import template_files
from sayso.rulebook.parse import parse_rulebook
from tests.differential.books import files_of
from tests.differential.engines import by_engine
from tests.world import (
    Ask,
    ChoiceLine,
    Entry,
    MemberLine,
    Members,
    NoticeLine,
    Notices,
    RecordLine,
    World,
)

T = TypeVar("T")

CASES = Path(__file__).with_name("cases")
TEMPLATE = "linkedin-2024"
FOUND = "found at random and cut down"


class Expected(NamedTuple):
    """What a world answers at an instant: a mask for each record."""

    ask: Ask
    masks: tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A world and what is expected of it."""

    title: str
    why: str
    world: World
    expected: tuple[Expected, ...]


@lru_cache(maxsize=1)
def template() -> Rulebook:
    """Return the rulebook of the story."""
    return parse_rulebook(template_files(TEMPLATE))


# ---- reading ----------------------------------------------------------------------------


def load_case(path: Path) -> Case:
    """Read a case."""
    given = json.loads(path.read_text(encoding="utf-8"))
    world = World(
        history=tuple(_entry(one) for one in given["history"]),
        records=tuple(_line(RecordLine, one) for one in given["records"]),
        erased=frozenset(given.get("erased", ())),
    )
    expected = []
    for one in given["expect"]:
        ask = Ask(_instant(one["at"]), one.get("known", world.size))
        masks = tuple(mask_of(map(Reason, names)) for names in one["reasons"])
        assert len(masks) == len(world.records), path.name
        expected.append(Expected(ask, masks))
    return Case(given["title"], given.get("why", ""), world, tuple(expected))


def _entry(given: Mapping[str, Any]) -> Entry:
    ((kind, value),) = given.items()
    match kind:
        case "rulebook":
            if value == {"template": TEMPLATE}:
                return template()
            return parse_rulebook(value["files"])
        case "members":
            return Members(tuple(_line(MemberLine, one) for one in value))
        case "notices":
            return Notices(tuple(_line(NoticeLine, one) for one in value))
        case "choice":
            return _line(ChoiceLine, value)
        case _:
            raise AssertionError(f"unknown entry '{kind}'")


def _line(kind: Callable[..., T], given: Mapping[str, Any]) -> T:
    values = dict(given)
    for name, value in given.items():
        if name.endswith("_at") and value is not None:
            values[name] = _instant(value)
        elif name == "choice":
            values[name] = Choice(value)
        elif name == "mentions" and value is not None:
            values[name] = tuple(value)
    return kind(**values)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# ---- writing ----------------------------------------------------------------------------


def case_text(title: str, why: str, world: World, expected: Sequence[Expected]) -> str:
    """Return a case as JSON."""
    value: dict[str, Any] = {
        "title": title,
        "why": why,
        "history": [_written(entry) for entry in world.history],
        "records": [_stated(record) for record in world.records],
    }
    if world.erased:
        value["erased"] = sorted(world.erased)
    value["expect"] = [
        {
            "at": _text(one.ask.at),
            **({} if one.ask.known == world.size else {"known": one.ask.known}),
            "reasons": [list(map(str, reasons_of(mask))) for mask in one.masks],
        }
        for one in expected
    ]
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def keep_case(text: str, folder: Path = CASES) -> Path:
    """Write a case that was found at random; its name comes from what it says."""
    path = folder / f"found-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    path.write_text(text, encoding="utf-8")
    return path


def _written(entry: Entry) -> dict[str, Any]:
    match entry:
        case Rulebook():
            if entry == template():
                return {"rulebook": {"template": TEMPLATE}}
            return {"rulebook": {"files": files_of(entry)}}
        case Members():
            return {"members": [_stated(line) for line in entry.rows]}
        case Notices():
            return {"notices": [_stated(line) for line in entry.rows]}
        case ChoiceLine():
            return {"choice": _stated(entry)}


def _stated(line: Any) -> dict[str, Any]:
    """Return the columns of a row that are not what they are by themselves."""
    found: dict[str, Any] = {}
    for column in fields(line):
        value = getattr(line, column.name)
        if column.default is MISSING or value != column.default:
            found[column.name] = _text(value) if isinstance(value, datetime) else value
    return found


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


# ---- cutting down -----------------------------------------------------------------------


def smallest(world: World, fails: Callable[[World], bool]) -> World:
    """Return a world that still fails, with as little in it as one pass after another finds.

    Args:
        world: One that fails.
        fails: Whether a world fails; a world that raises there is passed over.
    """
    cut = True
    while cut:
        cut = False
        for candidate in _smaller(world):
            if _holds(fails, candidate):
                world, cut = candidate, True
                break
    return world


def told(world: World, ask: Ask, engine: str) -> str:
    """Return the smallest world about which an engine and the definition differ, as a case.

    What is expected in it is what the definition says.
    """
    world = replace(world, history=world.history[: ask.known])

    def differs(candidate: World) -> bool:
        asked = [Ask(ask.at, candidate.size)]
        expected = by_engine("definition", candidate, asked)
        try:
            return by_engine(engine, candidate, asked) != expected
        except Exception:  # noqa: BLE001  (an engine that raises differs as well)
            return True

    world = smallest(world, differs)
    last = Ask(ask.at, world.size)
    masks = tuple(by_engine("definition", world, [last])[0])
    return case_text(f"{engine} and the definition", FOUND, world, [Expected(last, masks)])


def _holds(fails: Callable[[World], bool], world: World) -> bool:
    try:
        return fails(world)
    except Exception:  # noqa: BLE001  (a smaller world may be none at all)
        return False


def _smaller(world: World) -> Iterator[World]:
    for records in _fewer(world.records):
        yield replace(world, records=records)
    for name in world.erased:
        yield replace(world, erased=world.erased - {name})
    for place, entry in enumerate(world.history):
        before, after = world.history[:place], world.history[place + 1 :]
        match entry:
            case Rulebook():
                for book in _fewer_rules(entry):
                    yield replace(world, history=(*before, book, *after))
            case Members():
                for rows in _fewer(entry.rows):
                    yield replace(world, history=(*before, Members(rows), *after))
            case Notices():
                for served in _fewer(entry.rows):
                    yield replace(world, history=(*before, Notices(served), *after))
            case ChoiceLine():
                pass
        if place:  # a rulebook stands first
            yield replace(world, history=(*before, *after))


def _fewer(rows: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """Yield halves, then the rows without one of them."""
    if len(rows) > 2:
        half = len(rows) // 2
        yield rows[:half]
        yield rows[half:]
    for place in range(len(rows)):
        yield (*rows[:place], *rows[place + 1 :])


def _fewer_rules(book: Rulebook) -> Iterator[Rulebook]:
    plain = replace(book, files={}, digest="")
    for rules in _fewer(book.rules):
        yield replace(plain, rules=rules)
    for holds in _fewer(book.holds):
        yield replace(plain, holds=holds)
    for name in book.groups:
        groups = {key: group for key, group in book.groups.items() if key != name}
        yield replace(plain, groups=groups)
