"""Small random worlds: a history of rulebooks, tables and choices, and what members wrote.

All of it is invented. The same seed gives the same world. A world is raw, as files bring it:
the dates of members are text, codes may be odd, rows may tie. What every engine makes of a
world is in `tests.differential.engines`; rulebooks come from `tests.differential.books`.

Use:
    world = random_world(seed=7)
    some = asks(world, seed=7, count=4)
    assert by_engine("duckdb-text", world, some) == by_engine("definition", world, some)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from random import Random
from typing import Any, NamedTuple, TypeAlias

from sayso.model import (
    DEFAULT_PURPOSE,
    EVERY_PURPOSE,
    Authorship,
    Category,
    Choice,
    Country,
    Dated,
    Rulebook,
    Status,
    Visibility,
    birthday,
    first_midnight,
    last_midnight,
)
from sayso.rulebook.civil import COUNTRIES, zones_of
from tests.differential.books import (
    CONTEXTS,
    DAYS,
    LIVED_IN,
    OTHER_PURPOSE,
    edited_book,
    instant,
    random_book,
    weighted,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

ODD_COUNTRIES = (None, "", "XX", "hk", "UK", "EEA", "world")
ODD_BIRTHS = (
    None, "", "2001-02-30", "1850-01-01", "2031-05-05", "0000", "19x0", "1894", "1895",
)  # fmt: skip
ODD_SINCES = ("soon", "2024-13-01", "2024-10-11T25:00:00Z", "yesterday at noon")
ODD_IDS = ("m1", "007", "7", "é", "-3", "+3", " 7", "9223372036854775808", "1.0")


# ---- what a world is made of ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One row of a members file, as text."""

    member_id: str
    country: str | None = None
    birth_date: str | None = None
    status: str | None = None
    since: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """One row of a notices file; a null outcome is delivered."""

    member_id: str
    served_at: datetime
    purpose: str = DEFAULT_PURPOSE
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class ChoiceLine:
    """One choice: an entry of the ledger."""

    member_id: str
    choice: Choice
    effective_at: datetime
    purpose: str = DEFAULT_PURPOSE
    country: str | None = None


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One row of content; null is unknown, save for `deleted_at`."""

    record_id: str | None
    member_id: str | None
    category: str | None = "post"
    visibility: str | None = "public"
    authorship: str | None = "own"
    context: str | None = ""
    mentions: tuple[str, ...] | None = ()
    written_at: datetime | None = datetime(2024, 1, 15, tzinfo=UTC)
    first_seen_at: datetime | None = None
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Members:
    """A version of the members table: one entry."""

    rows: tuple[MemberLine, ...]


@dataclass(frozen=True, slots=True)
class Notices:
    """A version of the notices table: one entry."""

    rows: tuple[NoticeLine, ...]


Entry: TypeAlias = Rulebook | Members | Notices | ChoiceLine


class Held(NamedTuple):
    """What a ledger holds as of `known`."""

    book: Rulebook
    members: tuple[MemberLine, ...]
    notices: tuple[NoticeLine, ...]
    choices: tuple[ChoiceLine, ...]


class Ask(NamedTuple):
    """The instant asked about (aware UTC), and the size of the ledger to look at."""

    at: datetime
    known: int


@dataclass(frozen=True, slots=True)
class World:
    """A history, the erased, and content.

    Attributes:
        history: One entry each; the place is the index in the ledger. A rulebook is first.
        erased: Members erased after all of it.
        focus: Instants at which much of it turns, all at once; only `asks` looks at them.
    """

    history: tuple[Entry, ...]
    records: tuple[RecordLine, ...]
    erased: frozenset[str] = frozenset()
    purpose: str = DEFAULT_PURPOSE
    focus: tuple[datetime, ...] = ()

    @property
    def size(self) -> int:
        """The size of the ledger."""
        return len(self.history)

    def as_of(self, known: int) -> Held:
        """Return what was held when the ledger had `known` entries."""
        books: list[Rulebook] = []
        members: tuple[MemberLine, ...] = ()
        notices: tuple[NoticeLine, ...] = ()
        choices: list[ChoiceLine] = []
        for entry in self.history[:known]:
            match entry:
                case Rulebook():
                    books.append(entry)
                case Members():
                    members = entry.rows
                case Notices():
                    notices = entry.rows
                case ChoiceLine():
                    choices.append(entry)
        return Held(books[-1], members, notices, tuple(choices))

    @property
    def latest(self) -> Held:
        """What is held now."""
        return self.as_of(self.size)

    def grown(self, *entries: Entry) -> "World":
        """Return the world after more entries."""
        return replace(self, history=(*self.history, *entries))


def flat_world(
    book: Rulebook,
    members: Sequence[MemberLine] = (),
    records: Sequence[RecordLine] = (),
    choices: Sequence[ChoiceLine] = (),
    notices: Sequence[NoticeLine] = (),
) -> World:
    """Return a world whose history holds each thing once."""
    tables: tuple[Entry, ...] = (book, Members(tuple(members)), Notices(tuple(notices)))
    return World((*tables, *choices), tuple(records))


# ---- at random --------------------------------------------------------------------------


def random_world(
    seed: int, *, members: int = 10, records: int = 40, sound: bool = False, odd_ids: bool = False
) -> World:
    """Return a random world.

    Args:
        seed: The same gives the same.
        members: How many members have rows, about.
        records: How many rows the content has.
        sound: Rulebooks may be published, and choices and notices ingested.
        odd_ids: Some ids are no integers, or integers in other clothes.
    """
    rng = Random(seed)
    ids = [str(number) for number in range(1, members + 1)]
    if odd_ids:
        ids[-len(ODD_IDS) :] = ODD_IDS
    book = random_book(rng, sound=sound)
    turning = [one for one in sorted(boundaries(flat_world(book))) if one.year >= 2024]
    focus = tuple(rng.choice(turning) if turning else instant(rng) for _ in range(3))
    history: list[Entry] = [book, Members(tuple(_random_members(rng, ids, focus)))]
    history.append(Notices(tuple(_random_notices(rng, ids, focus, book))))
    choices = list(_random_choices(rng, [*ids, "99"], focus))
    cut = rng.randrange(len(choices) + 1)
    history += choices[:cut]
    if rng.random() < 0.5:
        history.append(edited_book(rng, book, sound=sound))
    if rng.random() < 0.3:
        history.append(Members(tuple(_random_members(rng, ids, focus))))
    if rng.random() < 0.3:
        history.append(Notices(tuple(_random_notices(rng, ids, focus, book))))
    history += choices[cut:]
    erased = frozenset(rng.sample([*ids, "99"], rng.choice((0, 0, 0, 1, 2))))
    world = World(tuple(history), (), erased, focus=focus)
    moments = (*focus, *sorted(boundaries(world)))
    return replace(world, records=tuple(_random_records(rng, [*ids, *ids, "98"], moments, records)))


def _random_members(
    rng: Random, ids: Sequence[str], focus: Sequence[datetime]
) -> Iterator[MemberLine]:
    single = rng.random() < 0.3
    lines: list[MemberLine] = []
    for member_id in ids:
        if rng.random() < 0.05:
            continue
        rows = 1 if single else rng.choice((1, 1, 1, 2, 2, 3))
        country = _country(rng)
        birth, status = _birth(rng), _status(rng)
        for row in range(rows):
            # Facts mostly stay from row to row, so that a difference stands out.
            country = country if rng.random() < 0.6 else _country(rng)
            birth = birth if rng.random() < 0.85 else _birth(rng)
            status = status if rng.random() < 0.85 else _status(rng)
            since = (
                None
                if single or rng.random() < (0.2 if row else 0.9)
                else _since(rng, lines, focus)
            )
            lines.append(MemberLine(member_id, country, birth, status, since))
    rng.shuffle(lines)
    yield from lines


def _country(rng: Random) -> str | None:
    return rng.choice(ODD_COUNTRIES) if rng.random() < 0.04 else rng.choice(LIVED_IN)


def _status(rng: Random) -> str | None:
    if rng.random() < 0.93:
        return rng.choice((None, None, "active", ""))
    return rng.choice((*map(str, Status), "Active", "zzz"))


def _birth(rng: Random) -> str | None:
    kind = rng.random()
    if kind < 0.08:
        return rng.choice(ODD_BIRTHS)
    if kind < 0.3:  # comes of age about one of the days, or on 1 March
        day = rng.choice(DAYS)
        born = birthday(day, -rng.choice((13, 16, 18)))
        return "2008-02-29" if born is None or rng.random() < 0.1 else born.isoformat()
    year = rng.randrange(1940, 2007)
    if kind < 0.4:
        return f"{year}"
    return f"{year}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _since(rng: Random, lines: Sequence[MemberLine], focus: Sequence[datetime]) -> str | None:
    kind = rng.random()
    if kind < 0.05:
        return rng.choice(ODD_SINCES)
    if kind < 0.1:
        return ""
    if kind < 0.25 and lines:  # a tie, as often as not
        return lines[-1].since
    if kind < 0.6:
        return rng.choice(DAYS).isoformat()
    if kind < 0.65:
        return instant(rng).strftime("%Y-%m-%d %H:%M:%S")
    if kind < 0.7:
        return instant(rng).strftime("%Y-%m-%dT%H:%M:%S+08:00")
    return _near(rng, focus).isoformat().replace("+00:00", "Z")


def _near(rng: Random, moments: Sequence[datetime]) -> datetime:
    """Return a moment about which something turns, one beside it, or any other."""
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(moments[:3])
    if kind < 0.7:
        return rng.choice(moments) + rng.choice((-MICROSECOND, MICROSECOND))
    if rng.random() < 0.05:
        return EPOCH - timedelta(microseconds=rng.randrange(1, 10**14))
    return instant(rng)


def _random_notices(
    rng: Random, ids: Sequence[str], focus: Sequence[datetime], book: Rulebook
) -> Iterator[NoticeLine]:
    asking = [rule.notice for rule in book.rules if rule.notice]
    waits = [notice.days for notice in asking] or [1]
    sinces = [
        moment
        for notice in asking
        if notice.since
        for country in rng.sample(LIVED_IN, 3)
        for moment in _midnights(notice.since.value, zones_of(Country(country)))
    ]
    for member_id in [*ids, "97"]:
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            early = timedelta(days=rng.choice((0, *waits, *waits)))
            purpose = DEFAULT_PURPOSE if rng.random() < 0.9 else OTHER_PURPOSE
            outcome = weighted(rng, {None: 4, "delivered": 4, "bounced": 1})
            served_at = _near(rng, focus) - early
            if sinces and rng.random() < 0.3:
                served_at = rng.choice(sinces) - rng.choice((timedelta(), MICROSECOND))
            yield NoticeLine(member_id, served_at, purpose, outcome)


def _random_choices(
    rng: Random, ids: Sequence[str], moments: Sequence[datetime]
) -> Iterator[ChoiceLine]:
    for member_id in ids:
        served: list[datetime] = []
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            said = weighted(rng, {Choice.ON: 6, Choice.OFF: 2, Choice.DEFERRED: 2})
            purpose = DEFAULT_PURPOSE
            if rng.random() < 0.15:
                every = said is Choice.OFF and rng.random() < 0.7
                purpose = EVERY_PURPOSE if every else OTHER_PURPOSE
            tie = served and rng.random() < 0.3
            served.append(served[-1] if tie else _near(rng, moments))
            country = None if rng.random() < 0.7 else rng.choice(LIVED_IN)
            yield ChoiceLine(member_id, said, served[-1], purpose, country)


def _random_records(
    rng: Random, ids: Sequence[str], moments: Sequence[datetime], count: int
) -> Iterator[RecordLine]:
    for number in range(count):
        line = RecordLine(
            record_id=str(number),
            member_id=rng.choice(ids),
            written_at=_near(rng, moments) if rng.random() < 0.3 else _written(rng),
        )
        if rng.random() < 0.5:
            line = _varied(rng, line, moments)
        if rng.random() < 0.04:
            line = replace(line, record_id=rng.choice((None, "0", "1")))
        if rng.random() < 0.02:
            line = replace(line, member_id=None)
        yield line


def _written(rng: Random) -> datetime:
    return instant(rng) - timedelta(days=rng.choice((30, 800, 1500, 4000)))


def _varied(rng: Random, line: RecordLine, moments: Sequence[datetime]) -> RecordLine:
    """Return a record that differs in some columns from one that is mostly admitted."""
    choices: dict[str, Callable[[], Any]] = {
        "category": lambda: rng.choice((*map(str, Category), None, "Post", "")),
        "visibility": lambda: rng.choice((*map(str, Visibility), None, "secret")),
        "authorship": lambda: rng.choice((*map(str, Authorship), None, "OWN")),
        "context": lambda: rng.choice((*CONTEXTS, "elsewhere", None)),
        "mentions": lambda: rng.choice((("Invented Person",), (), None)),
        "written_at": lambda: rng.choice((None, _near(rng, moments))),
        "first_seen_at": lambda: _near(rng, moments),
        "deleted_at": lambda: _near(rng, moments),
    }
    names = rng.sample(sorted(choices), rng.choice((1, 1, 2, 4)))
    return replace(line, **{name: choices[name]() for name in names})


# ---- instants at which something turns --------------------------------------------------


def asks(world: World, seed: int, count: int) -> list[Ask]:
    """Return instants, mostly at a boundary or a microsecond beside it, and what is known."""
    rng = Random(seed ^ 0x5A150)
    moments = sorted(boundaries(world))
    recent = [moment for moment in moments if moment.year >= 2025] or moments
    focus = world.focus or moments
    found = []
    for _ in range(count):
        beside = rng.choice((-MICROSECOND, timedelta(), MICROSECOND))
        known = world.size if rng.random() < 0.6 else rng.randint(1, world.size)
        places = weighted(rng, {"focus": 10, "recent": 6, "any": 2, "none": 1})
        at = rng.choice(
            {"focus": focus, "recent": recent, "any": moments}.get(places, [instant(rng)])
        )
        at += beside
        found.append(Ask(at, known))
    return found


def boundaries(world: World) -> frozenset[datetime]:
    """Return every instant at which an answer of a world may change, in all its countries."""
    found: set[datetime] = set()
    lines = [line for one in world.history if isinstance(one, Members) for line in one.rows]
    countries = {line.country for line in lines if line.country in COUNTRIES} or {"HK"}
    zones = {code: zones_of(Country(code)) for code in countries if code}
    books = [one for one in world.history if isinstance(one, Rulebook)]
    for bound in {bound for book in books for bound in _bounds(book)}:
        for places in zones.values():
            found.update(_midnights(bound.value, places))
    ages = {rule.minimum_age or 0 for book in books for rule in book.rules}
    for line in lines:
        places = zones.get(line.country or "", zones_of(Country("")))
        for text in (line.birth_date, line.since):
            day = _day(text)
            if day:
                for years in ages | {0}:
                    found.update(_midnights(birthday(day, years) or day, places))
        if moment := _moment(line.since):
            found.add(moment)
    waits = {rule.notice.days for book in books for rule in book.rules if rule.notice}
    for entry in world.history:
        if isinstance(entry, ChoiceLine):
            found.add(entry.effective_at)
        elif isinstance(entry, Notices):
            for notice in entry.rows:
                found.update(notice.served_at + timedelta(days=days) for days in waits | {0})
    for record in world.records:
        times = (record.written_at, record.first_seen_at, record.deleted_at)
        found.update(time for time in times if time)
    return frozenset(found)


def _bounds(book: Rulebook) -> Iterator[Dated]:
    for rule in book.rules:
        since = rule.notice.since if rule.notice else None
        yield from filter(None, (rule.begins, rule.until, rule.earliest_written, since))
    for hold in book.holds:
        yield from filter(None, (hold.begins, hold.lifted))
    for group in book.groups.values():
        for member in group.members:
            yield from filter(None, (member.begins, member.until))


def _midnights(value: date | datetime, zones: tuple[tzinfo, ...]) -> tuple[datetime, ...]:
    if isinstance(value, datetime):
        return (value,)
    return (first_midnight(value, zones), last_midnight(value, zones))


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _day(text: str | None) -> date | None:
    try:
        found = date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
    return found if found.year > 1900 else None
