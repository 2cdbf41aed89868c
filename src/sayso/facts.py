"""What is held about one member or one record, as values that a decision depends on.

Promises: read for one member alone, and folded by the definition
(`sayso.ledger.standing_of`). Does not decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from sayso.decision.content import content_columns
from sayso.decision.states import EPOCH
from sayso.errors import InputError
from sayso.ledger.fold import fold_members, load_tables
from sayso.ledger.standing import ChoiceEntry, MemberRow, Standing, standing_of
from sayso.ledger.store import Ledger
from sayso.model import (
    EVERY_PURPOSE,
    Authorship,
    Category,
    Choice,
    Jurisdiction,
    MemberFacts,
    RecordFacts,
    Status,
    Visibility,
)
from sayso.tables import connect, open_table, quoted, reading


def standing_of_one(
    ledger: Ledger, who: str, purpose: str, at_us: int, known: int, members: Path | None
) -> tuple[Standing, tuple[datetime, ...]]:
    """Fold one member by the definition, from rows read for them alone."""
    with ledger.reading() as con:
        if ledger.keys.is_erased(con, who):
            return standing_of((), (), at_us, erased=True), ()
    return ledger.steadily(lambda: _read_one(ledger, who, purpose, at_us, known, members))


def _read_one(
    ledger: Ledger, who: str, purpose: str, at_us: int, known: int, members: Path | None
) -> tuple[Standing, tuple[datetime, ...]]:
    with connect() as duck, reading(members or "the workspace's tables"):
        table = open_table(duck, members) if members else None
        load_tables(ledger, duck, known, table)
        one = quoted(who)
        duck.execute(
            f"CREATE TEMP TABLE mine AS SELECT * FROM member_table WHERE member_id = {one}"
        )
        duck.execute("CREATE OR REPLACE TEMP VIEW member_table AS FROM mine")
        fold_members(duck, at_us, single=False)
        rows = [
            MemberRow(*row)
            for row in duck.sql(
                "SELECT country, born, status, first_us, last_us FROM member_rows"
            ).fetchall()
        ]
        served = duck.sql(
            f"SELECT served_us FROM notice_table WHERE member_id = {one} AND purpose = "
            f"{quoted(purpose)} AND outcome = 'delivered' AND served_us <= {at_us}"
        ).fetchall()
        entries = _entries(ledger, duck, who, purpose, known)
    notices = tuple(instant_of(us) for (us,) in served)
    return standing_of(rows, entries, at_us), notices


def _entries(
    ledger: Ledger, duck: duckdb.DuckDBPyConnection, who: str, purpose: str, known: int
) -> list[ChoiceEntry]:
    head, segments = ledger.choices(known, who)
    found: list[tuple[str, str, int, str | None]] = [
        (row["purpose"], row["choice"], row["effective_us"], row["country"])
        for row in head.to_pylist()
    ]
    for segment in segments:
        found += duck.sql(
            "SELECT purpose, choice, effective_us, country "
            f"FROM read_parquet({quoted(str(segment.path))}) "
            f"WHERE member_id = {quoted(who)} AND ordinal < {known - segment.first}"
        ).fetchall()
    return [
        ChoiceEntry(Choice(choice), us, country)
        for named, choice, us, country in found
        if named in {purpose, EVERY_PURPOSE}
    ]


def instant_of(us: int) -> datetime:
    """Return an instant from microseconds since 1970, clamped to the calendar."""
    try:
        return EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if us > 0 else datetime.min.replace(tzinfo=UTC)


def member_facts(
    standing: Standing, notices: tuple[datetime, ...], law: Jurisdiction | None
) -> MemberFacts:
    """Return the facts that a decision depends on; `law` is that of the standing's country."""
    return MemberFacts(
        presence=standing.presence,
        jurisdiction=law,
        status=Status(standing.status) if standing.status in set(Status) else None,
        born=standing.born,
        choice=standing.choice,
        notices_at=notices,
    )


def find_record(content: Path, who: str, record_id: str) -> RecordFacts:
    """Return the facts of one record of a member.

    Raises:
        InputError: The content cannot be read, or has no such record of this member.
    """
    with connect() as duck, reading(content):
        table = open_table(duck, content)
        columns = content_columns(table, integer_ids=False)
        rows = (
            duck.sql(
                f"SELECT * EXCLUDE (written_at, first_seen_at, deleted_at), "
                "epoch_us(least(written_at, first_seen_at)) written_us, "
                "epoch_us(deleted_at) deleted_us "
                f"FROM (SELECT {columns} FROM {table.sql}) "
                f"WHERE record_id::VARCHAR = {quoted(record_id)}"
            )
            .to_arrow_table()
            .to_pylist()
        )
    mine = [row for row in rows if row["member_id"] == who]
    if not mine:
        raise InputError(
            f"the content has no record '{record_id}' of this member", hint="check both ids"
        )
    return record_facts(mine[0], is_single=len(rows) == 1)


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """One record of a member, with what it says.

    Attributes:
        written_at: As the content says; None where it does not.
    """

    record_id: str
    facts: RecordFacts
    category: str
    written_at: datetime | None
    text: str = field(repr=False)


def own_records_of(content: Path, who: str, *, limit: int, after: int = 0) -> list[OwnRecord]:
    """Return records of one member, in the order of their ids; no row of anybody else.

    Args:
        content: A content table.
        who: The member's id, canonical text.
        limit: So many at most.
        after: So many are passed over.

    Raises:
        InputError: The content cannot be read.
    """
    with connect() as duck, reading(content):
        table = open_table(duck, content)
        columns = content_columns(table, integer_ids=False)
        mine = (
            f"SELECT {columns}, {table.text('text')} AS own_text FROM {table.sql} "
            f"WHERE {table.text('member_id')} = {quoted(who)}"
        )
        # An id that stands twice, whoever's the other one is, is nobody's.
        rows = (
            duck.sql(
                "WITH mine AS (" + mine + "), times AS (SELECT record_id, count(*) AS times FROM "
                f"(SELECT {columns} FROM {table.sql}) WHERE record_id IN (SELECT record_id FROM "
                "mine) GROUP BY record_id) "
                "SELECT m.* EXCLUDE (written_at, first_seen_at, deleted_at), "
                "epoch_us(least(written_at, first_seen_at)) AS written_us, "
                "epoch_us(deleted_at) AS deleted_us, t.times FROM mine m "
                "LEFT JOIN times t USING (record_id) "
                f"ORDER BY record_id::VARCHAR LIMIT {limit} OFFSET {after}"
            )
            .to_arrow_table()
            .to_pylist()
        )
    return [
        OwnRecord(
            record_id=str(row["record_id"] or ""),
            facts=(facts := record_facts(row, is_single=row["times"] == 1)),
            category=str(row["category"] or ""),
            written_at=facts.written_at,
            text=row["own_text"] or "",
        )
        for row in rows
    ]


def record_facts(row: Mapping[str, Any], *, is_single: bool) -> RecordFacts:
    """Return the facts of one row of content, times in microseconds (written_us, deleted_us)."""
    written, deleted = row["written_us"], row["deleted_us"]
    context = row["context"]
    return RecordFacts(
        is_single=is_single,
        category=Category(row["category"]) if row["category"] in set(Category) else None,
        visibility=Visibility(row["visibility"]) if row["visibility"] in set(Visibility) else None,
        authorship=Authorship(row["authorship"]) if row["authorship"] in set(Authorship) else None,
        context=context if isinstance(context, str) else None,
        mentions={0: False, 1: True}.get(row["mentions"])
        if isinstance(row["mentions"], int)
        else None,
        written_at=instant_of(written) if isinstance(written, int) else None,
        deleted_at=instant_of(deleted) if isinstance(deleted, int) else None,
    )
