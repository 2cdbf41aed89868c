"""Erasure in the ledger: a member's key, payloads and rows go, commitments stay.

Promises: from the first transaction on the member is refused at every (at, known); when all
is done no file of the ledger holds the key, an id or a word of theirs; the commitment to
every entry and every row stands where it stood, so that every root and every proof is the
same. Killed at any moment, it is finished by whoever opens the workspace next. Knows nothing
of snapshots; see `sayso.erasure`.

Life of an erasure:

1. `entomb`, one transaction: the tombstone, the entry, the note that work is left; what is
   kept of the assistant goes; the member's choices in the head become null but for their
   commitments. The tombstone's tag is on disk in `keys/erased.tags` before that.
2. `blank`, outside the writers' lock: each segment and table that holds rows of theirs is
   written anew under another name, the rows null but for `ordinal` and `commitment`. One
   transaction lists the new files in the place of the old ones and deletes the key, which
   the commitments of a table's rows needed. Then the old files are deleted.
3. `sweep_files`: files that a crash left and nobody lists are deleted, and what requests
   brought whose process is gone.
4. `scrub`: the database lets go of freed pages and of its write-ahead log.
5. `settle`: the note that work is left goes.

Nobody needs the id after the first step: rows are found by the keyed hash of their ids.
"""

import fcntl
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from sayso.errors import IntegrityError, UnavailableError
from sayso.ledger import schema
from sayso.ledger.files import Places, blank_rows, next_name, remove, sweep
from sayso.ledger.rows import row_commitment
from sayso.ledger.spool import FOLDER as SPOOL
from sayso.ledger.spool import sweep_spool
from sayso.ledger.store import Ledger, temporary_name
from sayso.ledger.tombstones import count_tags, keep_tags, read_tags
from sayso.tables import connect, quoted

# What an erased choice keeps in a segment.
SEGMENT_KEPT = frozenset({"ordinal", "commitment"})
LOCK_NAME = "erasure.lock"
SCAN_BYTES = 1 << 24

Buckets = frozenset[int] | None


@contextmanager
def erasing(ledger: Ledger, *, patient: bool = True) -> Iterator[bool]:
    """Hold the lock of erasures, which is not the writers'; appends go on meanwhile.

    Args:
        ledger: Whose.
        patient: Whether to wait for another erasure.

    Yields:
        Whether it is held.
    """
    descriptor = os.open(ledger.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        held = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(descriptor)


# ---- 1. the tombstone -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entombed:
    """A tombstone.

    Attributes:
        entry: The index of the erasure's entry.
        is_new: Whether it was placed now.
        head_rows: Choices in the head that were made null.
        kept_rows: Rows of what is kept of the assistant that were deleted.
    """

    entry: int
    is_new: bool
    head_rows: int
    kept_rows: int


def entomb(ledger: Ledger, member_id: str, recorded_us: int) -> Entombed:
    """Place a member's tombstone, or find it; note that work is left either way."""
    tag = ledger.keys.tag_of(member_id)
    bucket = ledger.keys.bucket_of(member_id)
    with ledger.writing() as con:
        found = con.execute(
            sa.select(schema.erased.c.entry).where(schema.erased.c.tag == tag)
        ).scalar()
        # First on disk: a database that comes back from a backup meets it there.
        keep_tags(ledger.folder, [tag])
        entry = _place(ledger, con, tag, recorded_us, None) if found is None else int(found)
        _note_work(con, tag, bucket)
        head_rows = _blank_head(con, [member_id])
        return Entombed(entry, found is None, head_rows, _delete_kept(con, [member_id]))


def _place(
    ledger: Ledger, con: sa.Connection, tag: bytes, recorded_us: int, entry: int | None
) -> int:
    """Insert a tombstone, and its entry unless the ledger has one; return its index."""
    if entry is None:
        payload = {"tombstone": tag.hex()}
        entry = ledger.append_public("erasure", payload, recorded_us, con).index
    con.execute(sa.insert(schema.erased).values(tag=tag, entry=entry))
    return entry


def _note_work(con: sa.Connection, tag: bytes, bucket: int | None) -> None:
    con.execute(sa.delete(schema.erasure_work).where(schema.erasure_work.c.tag == tag))
    con.execute(sa.insert(schema.erasure_work).values(tag=tag, bucket=bucket, waiting=False))


def _blank_head(con: sa.Connection, ids: Collection[str]) -> int:
    """Make the choices of some members null in the head, but for their commitments."""
    rows = 0
    for member_id in ids:
        done = con.execute(
            sa.update(schema.entry)
            .where(schema.entry.c.member_id == member_id)
            .values(
                member_id=None, purpose=None, choice=None, effective_us=None, country=None,
                channel=None, setting_version=None, claimed_us=None,
            )
        )  # fmt: skip
        rows += int(done.rowcount)
    return rows


def _delete_kept(con: sa.Connection, ids: Collection[str]) -> int:
    """Delete what is kept of the assistant for some members, ids and all."""
    table = schema.kept
    return sum(
        int(con.execute(sa.delete(table).where(table.c.member_id == one)).rowcount) for one in ids
    )


def adopt_tags(ledger: Ledger, recorded_us: int) -> int:
    """Have the database and `keys/erased.tags` hold the same tags; return how many came back.

    A tag that only the file holds is of somebody erased after the backup was made that the
    database comes from: they are erased again.
    """
    with ledger.writing() as con:
        stand = {bytes(tag) for (tag,) in con.execute(sa.select(schema.erased.c.tag))}
        kept = read_tags(ledger.folder)
        lost = [tag for tag in dict.fromkeys(kept) if tag not in stand]
        known = (ledger.public("erasure", ledger.size())) if lost else ()
        entries = {str(one.payload["tombstone"]): one.index for one in known}
        for tag in lost:
            _place(ledger, con, tag, recorded_us, entries.get(tag.hex()))
            _note_work(con, tag, None)
        keep_tags(ledger.folder, sorted(stand))
        return len(lost)


def is_due(ledger: Ledger) -> bool:
    """Whether an erasure is not finished, or the database and the file differ."""
    with ledger.reading() as con:
        if con.execute(sa.select(schema.erasure_work.c.tag).limit(1)).first() is not None:
            return True
        stand = con.execute(sa.select(sa.func.count()).select_from(schema.erased)).scalar_one()
    return int(stand) != count_tags(ledger.folder)


@dataclass(frozen=True, slots=True)
class Work:
    """What is left to do.

    Attributes:
        tags: Of whom.
        buckets: Where to look; None: everywhere.
        is_waiting: Whether all is done but what others hold at the moment.
    """

    tags: frozenset[bytes]
    buckets: Buckets
    is_waiting: bool


def work_left(ledger: Ledger) -> Work:
    """Return what is left to do, of all erasures together."""
    with ledger.reading() as con:
        rows = con.execute(sa.select(schema.erasure_work)).all()
    buckets = None if any(row.bucket is None for row in rows) else {int(r.bucket) for r in rows}
    return Work(
        frozenset(bytes(row.tag) for row in rows),
        None if buckets is None else frozenset(buckets),
        bool(rows) and all(row.waiting for row in rows),
    )


# ---- 2. rows and keys -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Blanked:
    """What `blank` did.

    Attributes:
        ids: Of whom something was found, and the entries that erased them.
        head_rows: Choices in the head that were made null.
        kept_rows: Rows of what is kept of the assistant that were deleted.
        keys: Keys deleted.
        segments: Segments written anew, by their new names.
        tables: Versions of tables written anew, by their new names.
        rows: Rows made null in these.
    """

    ids: Mapping[str, int]
    head_rows: int
    kept_rows: int
    keys: int
    segments: tuple[str, ...]
    tables: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class _Listed:
    """A listed file: a segment, or a version of a table."""

    index: int
    kind: str
    path: Path

    @property
    def is_table(self) -> bool:
        return self.path.parent.name == "tables"


@dataclass(frozen=True, slots=True)
class _Anew:
    """A file that was written anew, not listed yet."""

    old: _Listed
    path: Path
    sha256: str
    rows: int


def _listed(con: sa.Connection, ledger: Ledger) -> list[_Listed]:
    segments = sa.select(schema.segment.c.first, schema.segment.c.kind, schema.segment.c.name)
    tables = sa.select(schema.table.c.entry, schema.table.c.kind, schema.table.c.name)
    return [
        _Listed(int(index), kind, ledger.folder / folder / name)
        for folder, query in (("segments", segments), ("tables", tables))
        for index, kind, name in con.execute(query)
    ]


def blank(ledger: Ledger, buckets: Buckets) -> Blanked:
    """Make every row of the erased null, but for commitments, and delete their keys.

    Args:
        ledger: Whose; the caller holds `erasing`.
        buckets: Where to look; None: everywhere.
    """
    with connect() as duck:
        while True:
            with ledger.reading() as con:
                files = _listed(con, ledger)
                ids = _erased_ids(ledger, con, duck, files, buckets)
                _load_gone(duck, ids)
            anew = [made for one in files if (made := _write_anew(duck, one, ids)) is not None]
            with ledger.writing() as con:
                if {one.path for one in _listed(con, ledger)} != {one.path for one in files}:
                    remove([made.path for made in anew])  # a segment was sealed meanwhile
                    continue
                _list_anew(con, anew)
                head_rows, kept_rows = _blank_head(con, ids), _delete_kept(con, ids)
                keys = _delete_keys(con, ids)
            remove([made.old.path for made in anew])
            return Blanked(
                ids, head_rows, kept_rows, keys,
                tuple(made.path.name for made in anew if not made.old.is_table),
                tuple(made.path.name for made in anew if made.old.is_table),
                sum(made.rows for made in anew),
            )  # fmt: skip


def _erased_ids(
    ledger: Ledger,
    con: sa.Connection,
    duck: duckdb.DuckDBPyConnection,
    files: list[_Listed],
    buckets: Buckets,
) -> dict[str, int]:
    """Return the erased of whom anything is found, and the entries that erased them."""
    ledger.keys.load(con, duck, buckets)
    among = f"WHERE bucket IN ({', '.join(map(str, sorted(buckets)))})" if buckets else ""
    # A choice in the head has a key in the database as long as it is not erased.
    relations = ["member_keys"]
    for one in files:
        if not one.path.is_file():
            raise IntegrityError(
                f"'{one.path.parent.name}/{one.path.name}' is missing",
                hint="restore it from backup",
            )
        inside = "" if one.kind == "head" else among  # what was sealed has no buckets
        relations.append(f"(SELECT member_id FROM read_parquet({quoted(str(one.path))}) {inside})")
    found = ledger.keys.erasures_among(con, duck, relations)
    if found is None:
        return {}
    pairs = zip(found["member_id"].to_pylist(), found["entry"].to_pylist(), strict=True)
    return dict(sorted(pairs))


def _load_gone(duck: duckdb.DuckDBPyConnection, ids: Collection[str]) -> None:
    """Leave the ids, with the keys that there still are, as DuckDB table `gone`."""
    duck.register("gone_ids", pa.table({"member_id": pa.array(ids, pa.string())}))
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE gone AS "
        "SELECT member_id, key FROM gone_ids LEFT JOIN member_keys USING (member_id)"
    )
    duck.unregister("gone_ids")


def _write_anew(
    duck: duckdb.DuckDBPyConnection, one: _Listed, ids: Collection[str]
) -> _Anew | None:
    """Write a file anew where it holds rows of the erased."""
    if not ids:
        return None
    committed = row_commitment(one.kind) if one.is_table else "NULL"
    relation = f"read_parquet({quoted(str(one.path))}, file_row_number = true)"
    found = duck.sql(
        f"SELECT file_row_number AS place, {committed} AS made FROM {relation} "
        "JOIN gone USING (member_id) ORDER BY place"
    ).to_arrow_table()
    if not found.num_rows:
        return None
    places: Places = found["place"].to_numpy().astype(np.int64)
    own: Any = found["made"].to_pylist() if one.is_table else None
    kept = frozenset[str]() if one.is_table else SEGMENT_KEPT
    target = one.path.with_name(next_name(one.path))
    made = target.with_name(temporary_name(target.name))
    try:
        sha256 = blank_rows(one.path, made, places, kept, own)
        made.rename(target)
    finally:
        made.unlink(missing_ok=True)
    return _Anew(one, target, sha256, len(places))


def _list_anew(con: sa.Connection, anew: Collection[_Anew]) -> None:
    """List files in the place of others."""
    for made in anew:
        table = schema.table if made.old.is_table else schema.segment
        key = schema.table.c.entry if made.old.is_table else schema.segment.c.first
        con.execute(
            sa.update(table)
            .where(key == made.old.index)
            .values(name=made.path.name, sha256=made.sha256)
        )
    if anew:
        con.execute(sa.update(schema.head).values(rewritten=schema.head.c.rewritten + 1))


def _delete_keys(con: sa.Connection, ids: Collection[str]) -> int:
    table = schema.member_key
    return sum(
        int(con.execute(sa.delete(table).where(table.c.member_id == one)).rowcount) for one in ids
    )


# ---- 3. what nobody lists ---------------------------------------------------------------


def sweep_files(ledger: Ledger) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Delete files that nobody lists; return their names, and folders where others work."""
    names: tuple[str, ...] = ()
    busy: list[str] = []
    with ledger.writing() as con:
        listed = {(one.path.parent.name, one.path.name) for one in _listed(con, ledger)}
        for folder in ("segments", "tables"):
            own = {name for inside, name in listed if inside == folder}
            swept = sweep(ledger.folder / folder, own)
            names += swept.names
            if not swept.is_complete:
                busy.append(f"{folder}/")
    spool = sweep_spool(ledger.folder)
    if not spool.is_complete:
        busy.append(f"{SPOOL}/")
    return (*names, *spool.names), tuple(busy)


# ---- 4. the database --------------------------------------------------------------------


def scrub(ledger: Ledger, ids: Collection[str], *, patient: bool = True) -> None:
    """Have the database let go of what it freed.

    SQLite overwrites what it frees, but not the copies that it left when it moved rows from
    page to page; where an id is still found, the file is written anew. Then its write-ahead
    log is emptied. PostgreSQL is asked to vacuum; docs/erasure.md says what it keeps.

    Args:
        ledger: Whose.
        ids: What must not be found; empty where nobody knows.
        patient: Whether to wait for readers of the write-ahead log.

    Raises:
        UnavailableError: A reader holds the write-ahead log.
    """
    if ledger.engine.dialect.name != "sqlite":
        named = (schema.entry.name, schema.member_key.name, schema.kept.name)
        ledger.maintain(f"VACUUM {', '.join(named)}")
        return
    _checkpoint(ledger, patient=patient)
    path = Path(ledger.engine.url.database or "")
    if not ids or _holds(path, [one.encode() for one in ids]):
        ledger.maintain("VACUUM")
        _checkpoint(ledger, patient=patient)


def _checkpoint(ledger: Ledger, *, patient: bool) -> None:
    """Empty the write-ahead log. Source: sqlite.org/pragma.html#pragma_wal_checkpoint."""
    ((busy, *_),) = ledger.maintain("PRAGMA wal_checkpoint(TRUNCATE)", patient=patient)
    if busy:
        raise UnavailableError(
            "a reader holds the database's write-ahead log",
            hint="end long readings, then run 'sayso erase --reapply'",
        )


def _holds(path: Path, words: Collection[bytes]) -> bool:
    """Whether a file holds any of some words."""
    longest = max(map(len, words))
    before = b""
    with path.open("rb") as file:
        while chunk := file.read(SCAN_BYTES):
            text = before + chunk
            if any(word in text for word in words):
                return True
            before = text[-(longest - 1) :] if longest > 1 else b""
    return False


# ---- 5. done ----------------------------------------------------------------------------


def settle(ledger: Ledger, tags: Collection[bytes], *, waiting: bool) -> None:
    """Note that erasures are finished, or that they wait for others."""
    table = schema.erasure_work
    with ledger.writing() as con:
        for tag in sorted(tags):
            chosen = table.c.tag == tag
            if waiting:
                con.execute(sa.update(table).where(chosen).values(waiting=True))
            else:
                con.execute(sa.delete(table).where(chosen))
