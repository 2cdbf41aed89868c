"""What every engine makes of a world: the definition, and DuckDB with integer or text ids.

`by_definition` is the reference. It reads the raw world by itself, in plain Python (texts to
dates, civil dates to instants, rows to facts), folds each member with
`sayso.ledger.standing` and decides each record with `sayso.decision.one`. Nothing columnar
takes part.

`Loaded` is the engine: the same raw world as Arrow tables, through the SQL of
`sayso.ledger.fold`, `classify_members` and `decide_many`. Its ledger is one in memory with
the same face; `tests.differential.stored` has one on a disk.

Answers are lists of masks, one for each record, in the order of the records.

Example:
    >>> by_engine("duckdb-text", world, [ask]) == [by_definition(world, ask)]
    True
"""

import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from sayso.decision.cells import Cells, tabulate
from sayso.decision.many import Decisions, decide_many
from sayso.decision.one import decide
from sayso.decision.states import MemberStates
from sayso.ledger import schema
from sayso.ledger.keys import MemberKeys
from sayso.ledger.rows import NOTICES
from sayso.ledger.standing import ALWAYS_US, NEVER_US, ChoiceEntry, MemberRow, standing_of
from sayso.ledger.store import HEAD_CHOICES, Ledger, Segment
from sayso.model import (
    EVERY_PURPOSE,
    Authorship,
    Category,
    Choice,
    Country,
    Dated,
    Facts,
    MemberFacts,
    Presence,
    RecordFacts,
    Rulebook,
    Status,
    Visibility,
    mask_of,
    permits_at,
    stops_at,
)
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.rulebook.in_force import InForce, in_force
from sayso.snapshot.request import fold_states
from sayso.tables import connect, relation_table
from tests.world import (
    EPOCH,
    MICROSECOND,
    Ask,
    ChoiceLine,
    Held,
    MemberLine,
    NoticeLine,
    Notices,
    RecordLine,
    World,
)

ENGINES = ("definition", "duckdb-int", "duckdb-text")


def by_engine(name: str, world: World, asks: Iterable[Ask]) -> list[list[int]]:
    """Return the masks that an engine gives, for each ask."""
    if name == "definition":
        return [by_definition(world, ask) for ask in asks]
    with Loaded(world, integer_ids=name == "duckdb-int") as loaded:
        return [loaded.masks(ask) for ask in asks]


def microseconds(moment: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    return (moment - EPOCH) // MICROSECOND


# ---- the reference ----------------------------------------------------------------------


def by_definition(world: World, ask: Ask) -> list[int]:
    """Return the masks that the definition gives, record by record."""
    return [mask_of(decide(facts).reasons) for facts in facts_of(world, ask)]


def facts_of(world: World, ask: Ask) -> list[Facts]:
    """Return the facts of every record."""
    held = world.as_of(ask.known)
    members = member_facts(world, held, ask.at)
    nobody = MemberFacts(Presence.UNKNOWN, None, None, None, Choice.UNSET)
    ids = Counter(record.record_id for record in world.records)
    return [
        Facts(ask.at, members.get(record.member_id or "", nobody), record_facts(record, ids))
        for record in world.records
    ]


def member_facts(world: World, held: Held, at: datetime) -> dict[str, MemberFacts]:
    """Return the facts of every member of whom anything is held or who was erased."""
    law = in_force(held.book, world.purpose, at)
    rows: dict[str, list[MemberRow]] = defaultdict(list)
    for line in held.members:
        rows[line.member_id].append(member_row(line))
    said: dict[str, list[ChoiceEntry]] = defaultdict(list)
    for one in held.choices:
        if one.purpose in {world.purpose, EVERY_PURPOSE}:
            said[one.member_id].append(
                ChoiceEntry(one.choice, microseconds(one.effective_at), one.country)
            )
    served: dict[str, list[datetime]] = defaultdict(list)
    for notice in held.notices:
        counts = (notice.outcome or "delivered") == "delivered"
        if counts and notice.purpose == world.purpose and notice.served_at <= at:
            served[notice.member_id].append(notice.served_at)
    found = {}
    for member_id in {*rows, *said, *world.erased}:
        standing = standing_of(
            rows[member_id],
            said[member_id],
            microseconds(at),
            erased=member_id in world.erased,
        )
        found[member_id] = MemberFacts(
            presence=standing.presence,
            jurisdiction=law.jurisdiction(standing.country),
            status=_code(Status, standing.status),
            born=standing.born,
            choice=standing.choice,
            notices_at=tuple(served[member_id]),
        )
    return found


def member_row(line: MemberLine) -> MemberRow:
    """Return a row with its texts read and its bounds resolved."""
    country = line.country or None
    first_us, last_us = since_bounds(line.since, country)
    return MemberRow(country, birth_of(line.birth_date), line.status or "active", first_us, last_us)


def birth_of(text: str | None) -> date | None:
    """Read a birth date; a year alone is its last day."""
    text = text or ""
    if re.fullmatch("[0-9]{4}", text):
        return date(int(text), 12, 31) if int(text) else None
    return _day(text)


def since_bounds(text: str | None, country: str | None) -> tuple[int, int]:
    """Return when a row may begin to count, and when it counts everywhere in its country."""
    if not text:
        return ALWAYS_US, ALWAYS_US
    if day := _day(text):
        zones = zones_of(Country(country if country in COUNTRIES else ""))
        bound = Dated(day)
        return microseconds(stops_at(bound, zones)), microseconds(permits_at(bound, zones))
    if re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.]\d{1,6})?(Z|[+-]\d\d:\d\d)?", text):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return ALWAYS_US, NEVER_US
        us = microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        return us, us
    return ALWAYS_US, NEVER_US


def _day(text: str) -> date | None:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def record_facts(line: RecordLine, ids: Mapping[str | None, int]) -> RecordFacts:
    """Return the facts of a record among records whose ids are counted."""
    times = [time for time in (line.written_at, line.first_seen_at) if time]
    return RecordFacts(
        is_single=bool(line.record_id) and ids[line.record_id] == 1,
        category=_code(Category, line.category),
        visibility=_code(Visibility, line.visibility),
        authorship=_code(Authorship, line.authorship),
        context=line.context,
        mentions=None if line.mentions is None else bool(line.mentions),
        written_at=min(times, default=None),
        deleted_at=line.deleted_at,
    )


def _code(kind: Callable[[str], Any], text: str | None) -> Any:
    try:
        return kind(text or "")
    except ValueError:
        return None


# ---- the engine -------------------------------------------------------------------------


class Loaded:
    """A world in DuckDB; use as a context manager.

    Args:
        world: With `integer_ids`, records must name members by canonical integers.
        integer_ids: Ids of the content as 64-bit integers, times as timestamps; otherwise
            ids and times are text.
    """

    def __init__(self, world: World, *, integer_ids: bool) -> None:
        self._world, self._integer_ids = world, integer_ids
        self._folder = tempfile.TemporaryDirectory()
        self._ledger = MemoryLedger(world, Path(self._folder.name))
        self._content = content_table(world.records, integer_ids=integer_ids)

    def masks(self, ask: Ask) -> list[int]:
        """Return the mask of every record."""
        found: list[int] = self.decisions(ask).masks.tolist()
        return found

    def decisions(self, ask: Ask) -> Decisions:
        """Return the decision of every record."""
        return decide_many(self._content, self.states(ask))

    def states(self, ask: Ask) -> MemberStates:
        """Return the state of every member."""
        held = self._world.as_of(ask.known)
        cells = cells_of(held.book, self._world.purpose, ask.at)
        content_ids = pa.table({"member_id": self._content["member_id"].cast(pa.string())})
        with connect(threads=1) as duck:
            duck.register("raw_members", members_table(held.members))
            duck.register("content_ids", content_ids)
            return fold_states(
                self._ledger,
                duck,
                cells,
                ask.known,
                members=relation_table(duck.table("raw_members"), "raw_members"),
                integer_ids=self._integer_ids,
                others=("content_ids",),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ledger.close()
        self._folder.cleanup()


def integer_world(world: World) -> World:
    """Return the world as content with integer ids can hold it: other members are null."""
    records = tuple(
        replace(record, member_id=None) if not _is_integer(record.member_id) else record
        for record in world.records
    )
    return replace(world, records=records)


def _is_integer(text: str | None) -> bool:
    return bool(re.fullmatch("0|-?[1-9][0-9]*", text or "")) and abs(int(text or "")) < 1 << 63


def content_table(records: Sequence[RecordLine], *, integer_ids: bool) -> pa.Table:
    """Return records as a content table."""

    def id_column(texts: list[str | None]) -> pa.Array:
        if integer_ids:
            return pa.array([None if t is None else int(t) for t in texts], pa.int64())
        return pa.array(texts, pa.string())

    def times(moments: list[datetime | None]) -> pa.Array:
        if integer_ids:
            return pa.array(moments, pa.timestamp("us", tz="UTC"))
        return pa.array([None if m is None else m.isoformat() for m in moments], pa.string())

    return pa.table(
        {
            "record_id": id_column([r.record_id for r in records]),
            "member_id": id_column([r.member_id for r in records]),
            "category": pa.array([r.category for r in records], pa.string()).dictionary_encode(),
            "visibility": pa.array([r.visibility for r in records], pa.string()),
            "authorship": pa.array([r.authorship for r in records], pa.string()),
            "context": pa.array([r.context for r in records], pa.string()),
            "mentions": pa.array([r.mentions for r in records], pa.list_(pa.string())),
            "written_at": times([r.written_at for r in records]),
            "first_seen_at": times([r.first_seen_at for r in records]),
            "deleted_at": times([r.deleted_at for r in records]),
        }
    )


def members_table(lines: Sequence[MemberLine]) -> pa.Table:
    """Return rows as a members file, all text."""
    names = ("member_id", "country", "birth_date", "status", "since")
    return pa.table(
        {name: pa.array([getattr(line, name) for line in lines], pa.string()) for name in names}
    )


def notices_table(lines: Sequence[NoticeLine]) -> pa.Table:
    """Return rows as `ingest` keeps them."""
    outcomes = [line.outcome or "delivered" for line in lines]
    return pa.table(
        {
            "member_id": pa.array([line.member_id for line in lines], pa.string()),
            "purpose": pa.array([line.purpose for line in lines], pa.string()),
            "served_us": pa.array([microseconds(line.served_at) for line in lines], pa.int64()),
            "outcome": pa.array(outcomes, pa.string()),
        }
    )


_CELLS: dict[tuple[int, str, datetime], tuple[Rulebook, Cells]] = {}
_CELLS_KEPT = 12


def cells_of(book: Rulebook, purpose: str, at: datetime) -> Cells:
    """Return what is in force, tabulated; a few are kept, since it takes a while."""
    key = (id(book), purpose, at)
    if key not in _CELLS:
        while len(_CELLS) >= _CELLS_KEPT:
            del _CELLS[next(iter(_CELLS))]
        law: InForce = in_force(book, purpose, at)
        _CELLS[key] = (book, tabulate(law))  # holds the book, so that its id stays its own
    return _CELLS[key][1]


# ---- a ledger in memory -----------------------------------------------------------------


class MemoryLedger(Ledger):
    """As much of a ledger as the fold reads; half of its choices stand in a segment."""

    def __init__(self, world: World, folder: Path) -> None:
        self.folder = folder
        self.keys = MemoryKeys(world.erased)
        self._world = world
        (folder / "tables").mkdir()
        self._con = sa.create_engine("sqlite://", poolclass=sa.StaticPool).connect()
        schema.metadata.create_all(self._con, [schema.head, schema.table])
        self._con.execute(
            sa.insert(schema.head).values(one=1, size=0, version=0, rewritten=0, deletions=0)
        )
        for index, entry in enumerate(world.history):
            if isinstance(entry, Notices):
                self._list_notices(index, entry)
        self._choices = [
            (index, entry)
            for index, entry in enumerate(world.history)
            if isinstance(entry, ChoiceLine) and entry.member_id not in world.erased
        ]
        self._sealed = self._seal(self._choices[: len(self._choices) // 2])

    def _seal(self, choices: list[tuple[int, ChoiceLine]]) -> list[Segment]:
        if not choices:
            return []
        first, last = choices[0][0], choices[-1][0]
        table = choices_table(choices)
        ordinals = pa.array([index - first for index, _ in choices], pa.int32())
        path = self.folder / "segment.parquet"
        pq.write_table(table.append_column("ordinal", ordinals), path)
        return [Segment(first, last + 1, len(choices), "head", path, "")]

    def close(self) -> None:
        """Let the database in memory go."""
        self._con.close()
        self._con.engine.dispose()

    def _list_notices(self, index: int, entry: Notices) -> None:
        table = notices_table(entry.rows)
        bare = table.append_column("commitment", pa.nulls(table.num_rows, pa.binary()))
        pq.write_table(bare, self.folder / "tables" / f"{index}.parquet")
        self._con.execute(
            sa.insert(schema.table).values(
                entry=index, kind=NOTICES, root="", name=f"{index}.parquet", sha256="", single=True,
                rows=table.num_rows, source="",
            )
        )  # fmt: skip

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that knows of versions of tables alone."""
        yield self._con

    def choices(self, known: int, member_id: str | None = None) -> tuple[pa.Table, list[Segment]]:
        """Return the choices that are in no segment, and the segment."""
        sealed = self._sealed[0].end if self._sealed else 0
        head = [(i, one) for i, one in self._choices if sealed <= i < known]
        return choices_table(head), [one for one in self._sealed if one.first < known]


def choices_table(choices: Sequence[tuple[int, ChoiceLine]]) -> pa.Table:
    """Return choices with their indexes, with the columns of the head."""
    given = {
        "index": [index for index, _ in choices],
        "member_id": [one.member_id for _, one in choices],
        "purpose": [one.purpose for _, one in choices],
        "choice": [str(one.choice) for _, one in choices],
        "effective_us": [microseconds(one.effective_at) for _, one in choices],
        "country": [one.country for _, one in choices],
    }
    return pa.Table.from_pydict(
        {name: given.get(name, [None] * len(choices)) for name in HEAD_CHOICES.names},
        schema=HEAD_CHOICES,
    )


class MemoryKeys(MemberKeys):
    """Tombstones that are the ids themselves."""

    def __init__(self, erased: frozenset[str]) -> None:
        self._erased = erased

    def erased_among(self, con: sa.Connection, duck: duckdb.DuckDBPyConnection, ids: Any) -> bool:
        """Leave the erased of some ids as DuckDB table `erased_members`."""
        duck.register("tombstones", pa.table({"member_id": pa.array(self._erased, pa.string())}))
        among = " UNION ".join(f"SELECT member_id::VARCHAR member_id FROM {one}" for one in ids)
        duck.execute(
            "CREATE OR REPLACE TEMP TABLE erased_members AS "
            f"SELECT member_id FROM ({among}) WHERE member_id IN (FROM tombstones)"
        )
        duck.unregister("tombstones")
        return bool(self._erased)
