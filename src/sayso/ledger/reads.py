"""Reads: who of the staff, and which job, read what of which member.

Promises: rows are added and never changed; they go with retention alone. A member is named by
the tag that their receipts bear, which follows from their key: once they are erased, nobody can
tell whose rows these were. Who read is named by the subject of the provider of identities, or
as a client by its id. Does not decide who is asked about a read.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from sayso.canonical import encode
from sayso.ledger import schema
from sayso.ledger.store import Ledger

TAG_LABEL = "sayso/receipt-tag/v1"
# Rows of one query.
PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Read:
    """One answer that told something about a member, or about many records.

    Attributes:
        at_us: When it was asked for.
        subject: Who asked.
        role: As what they may: roles with spaces between, or `client`.
        route: The template of the route, never the path.
        member_id: Whom it was about; None for many, or nobody who can be named.
        rows: How many records or members it was about.
        request_id: As the answer bears it.
    """

    at_us: int
    subject: str
    role: str
    route: str
    member_id: str | None = field(repr=False)
    rows: int
    request_id: str


@dataclass(frozen=True, slots=True)
class NotedRead:
    """A read as it is kept: `tag` names the member to whoever has their key; None for nobody."""

    number: int
    at_us: int
    subject: str
    role: str
    route: str
    tag: bytes | None
    rows: int
    request_id: str


def receipt_tag(key: bytes) -> bytes:
    """Return the tag of a member on their receipts and on reads, from their key."""
    return hashlib.sha256(key + encode(TAG_LABEL)).digest()


def add_reads(ledger: Ledger, reads: Sequence[Read]) -> list[bytes | None]:
    """Keep reads, durably; return the tag of each one's member."""
    column = schema.member_key.c
    ids = sorted({one.member_id for one in reads if one.member_id is not None})
    # No entries, and so no choice of PostgreSQL's waits for them.
    with ledger.noting() as con:
        query = sa.select(column.member_id, column.key).where(column.member_id.in_(ids))
        found = {who: receipt_tag(bytes(key)) for who, key in con.execute(query)}
        tags = [found.get(one.member_id or "") for one in reads]
        rows = [
            {
                "at_us": one.at_us, "subject": one.subject, "role": one.role, "route": one.route,
                "tag": tag, "rows": one.rows, "request_id": one.request_id,
            }
            for one, tag in zip(reads, tags, strict=True)
        ]  # fmt: skip
        if rows:
            con.execute(sa.insert(schema.read), rows)
    return tags


def noted_reads(
    ledger: Ledger, *, before: int | None = None, tag: bytes | None = None
) -> Iterator[NotedRead]:
    """Yield reads, the newest first.

    Args:
        ledger: Whose.
        before: Only those with a smaller number.
        tag: Only those of one member.
    """
    column = schema.read.c
    while True:
        query = sa.select(schema.read).order_by(column.number.desc()).limit(PAGE_ROWS)
        if before is not None:
            query = query.where(column.number < before)
        if tag is not None:
            query = query.where(column.tag == tag)
        with ledger.reading() as con:
            rows = con.execute(query).mappings().all()
        for row in rows:
            told = None if row["tag"] is None else bytes(row["tag"])
            yield NotedRead(**{**row, "tag": told})
        if len(rows) < PAGE_ROWS:
            return
        before = int(rows[-1]["number"])


def count_reads(ledger: Ledger, until_us: int) -> int:
    """Return how many reads are no younger."""
    query = sa.select(sa.func.count()).select_from(schema.read)
    with ledger.reading() as con:
        return int(con.execute(query.where(schema.read.c.at_us <= until_us)).scalar_one())


def delete_reads(ledger: Ledger, until_us: int) -> None:
    """Delete the reads that are no younger."""
    with ledger.writing() as con:
        con.execute(sa.delete(schema.read).where(schema.read.c.at_us <= until_us))
