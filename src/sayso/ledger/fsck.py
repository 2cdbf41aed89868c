"""Checking a ledger: everything that can be derived again is derived again and compared.

Promises: reads only, in one consistent reading; memory grows with public entries and
erasures, not with choices and members; names the lowest index at which something differs.
Does not interpret choices and does not repair. What it cannot compute again it counts:
entries and table rows that were erased, of which the commitment alone is left.

Checked: indexes from 0 to the size without gap or repeat; every commitment, from key and
canonical bytes; segments' and tables' digests; tables' Merkle roots; rulebooks' digests;
buckets; that no erased member has a key, that nothing but commitments is left of what was
erased, and that every tombstone has its entry and its line in `keys/erased.tags`. While an
erasure is not finished it counts what is left to erase.

Example:
    >>> fsck(ledger).commitments                           # doctest: +SKIP
    12
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from sayso.canonical import (
    PUBLIC_KEY,
    commit,
    encode,
    sql_commit,
    sql_fields,
    sql_integer,
    sql_text,
)
from sayso.errors import IntegrityError
from sayso.ledger import schema
from sayso.ledger.entries import CHOICE_LABEL, canonical_choice
from sayso.ledger.erase import SEGMENT_KEPT
from sayso.ledger.rows import row_commitment
from sayso.ledger.spool import spooling
from sayso.ledger.store import Ledger
from sayso.ledger.tombstones import read_tags
from sayso.log import leaf_hash, tree_root
from sayso.rulebook.parse import rulebook_digest
from sayso.tables import connect, quoted, sha256_of

Progress = Callable[[str, int], None]

# DuckDB may use this much before it spills to a temporary folder.
MEMORY_BYTES = 512 << 20
# Rows of the database read at once.
BATCH_ROWS = 10_000
# Leaves hashed at once; a power of two, so that they are whole subtrees.
SUBTREE_LEAVES = 1 << 16


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and all of it agreed.

    Attributes:
        size: Entries in the ledger; every index below stands exactly once.
        head_entries: Entries in the database.
        segment_entries: Entries in segments.
        commitments: Entries whose commitment was computed again.
        erased_entries: Choices of which the commitment alone is left.
        table_rows: Rows of all versions of all tables.
        roots: Tables whose Merkle root was computed again.
        erased_rows: Table rows of which the commitment alone is left.
        left_rows: Choices and table rows that an unfinished erasure has still to erase.
        orphans: Files in `segments/` and `tables/` that nothing lists: what a crash left.
    """

    size: int
    head_entries: int
    segments: int
    segment_entries: int
    commitments: int
    erased_entries: int
    tables: int
    table_rows: int
    roots: int
    erased_rows: int
    left_rows: int
    rulebooks: int
    member_keys: int
    tombstones: int
    orphans: tuple[str, ...]


@dataclass(frozen=True, order=True, slots=True)
class Fault:
    """A difference, and the index of the entry at which it stands."""

    index: int
    what: str


class Run(NamedTuple):
    """Indexes [first, end) that stand in one place."""

    first: int
    end: int


def fsck(
    ledger: Ledger, *, progress: Progress | None = None, memory_bytes: int = MEMORY_BYTES
) -> Report:
    """Check a ledger.

    Args:
        ledger: Whose; others may go on writing to it.
        progress: Told the name of each stage and the entries or rows behind it.
        memory_bytes: What DuckDB may use before it spills.

    Raises:
        IntegrityError: Something differs; `data` holds `index`, the lowest entry at which
            something does, and `faults`, how many were found.
        UnavailableError: The database did not answer.
    """
    tell = progress or (lambda _stage, _rows: None)
    return ledger.steadily(lambda: _checked(ledger, tell, memory_bytes))


def _checked(ledger: Ledger, tell: Progress, memory_bytes: int) -> Report:
    with (
        spooling(ledger.folder) as spill,
        connect(memory_bytes=memory_bytes, spill=spill) as duck,
        ledger.reading() as con,
    ):
        check = _Check(ledger, con, duck, tell)
        check.run()
    if check.faults:
        first = min(check.faults)
        more = f", and {len(check.faults) - 1} more" if len(check.faults) > 1 else ""
        raise IntegrityError(
            f"entry {first.index}: {first.what}{more}",
            hint="stop writing and restore the workspace from backup",
            index=first.index,
            faults=len(check.faults),
        )
    return check.report()


def _any_stands(names: Iterable[str]) -> str:
    """SQL: whether any of some columns of `rows` holds something."""
    return " OR ".join(f'rows."{name}" IS NOT NULL' for name in names) or "false"


@dataclass
class _Check:
    """One check in the making: faults and counts are gathered here."""

    ledger: Ledger
    con: sa.Connection
    duck: duckdb.DuckDBPyConnection
    tell: Progress
    faults: list[Fault] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    size: int = 0

    def run(self) -> None:
        """Check everything; the order is that of dependence."""
        if self.con.dialect.name == "sqlite":
            told = self.con.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
            if told != "ok":
                raise IntegrityError("the ledger's database is damaged", hint="restore it")
        self.size = int(self.con.execute(sa.select(schema.head.c.size)).scalar_one())
        self._keys()
        self._head()
        self._segments()
        self._erasures()
        self._indexes()

    def report(self) -> Report:
        """Return what was counted."""
        return Report(size=self.size, orphans=self._orphans(), **self.counts)

    def _count(self, name: str, number: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + number

    def _fault(self, index: int, what: str) -> None:
        self.faults.append(Fault(index, what))

    @contextmanager
    def _legible(self, index: int, name: str) -> Iterator[None]:
        """Make a fault of a file that is the one listed and makes no sense."""
        try:
            yield
        except (duckdb.OutOfMemoryException, duckdb.InterruptException):
            raise
        except (duckdb.Error, pa.ArrowException):
            self._fault(index, f"'{name}' cannot be read")

    # ---- keys and tombstones ----

    def _keys(self) -> None:
        for name in Report.__dataclass_fields__:
            if name not in {"size", "orphans"}:
                self.counts[name] = 0
        keys = self.ledger.keys
        tombstones = self.con.execute(
            sa.select(sa.func.count()).select_from(schema.erased)
        ).scalar_one()
        if tombstones and not (self.ledger.folder / "keys" / "tombstone.key").is_file():
            raise IntegrityError(
                "'keys/tombstone.key' is missing, so that nobody counts as erased",
                hint="restore it from backup before anything is built",
            )
        keys.load(self.con, self.duck)
        ((members,),) = self.duck.sql("SELECT count(*) FROM member_keys").fetchall()
        self.tell("keys", members)
        self._count("member_keys", members)
        self._count("tombstones", tombstones)
        if members:
            bucket = keys.sql_bucket("member_id")
            ((wrong, short),) = self.duck.sql(
                f"SELECT count(*) FILTER (bucket <> {bucket}), "
                "count(*) FILTER (octet_length(key) <> 32) FROM member_keys"
            ).fetchall()
            if wrong:
                self._fault(0, f"{wrong} members are not in the bucket of 'keys/bucket.key'")
            if short:
                self._fault(0, f"{short} members have a key that is not 32 bytes")
        if keys.erased_among(self.con, self.duck, ["member_keys"]):
            ((left,),) = self.duck.sql("SELECT count(*) FROM erased_members").fetchall()
            if left and not self._is_erasing():
                self._fault(0, f"{left} erased members have a key again")

    def _is_erasing(self) -> bool:
        """Whether an erasure is not finished."""
        return self.con.execute(sa.select(schema.erasure_work.c.tag).limit(1)).first() is not None

    def _strangers(self, relation: str) -> str:
        """Leave `erased_members` among the keyless of a relation; return SQL for the others."""
        keyless = f"(SELECT member_id FROM {relation} ANTI JOIN member_keys USING (member_id))"
        self.ledger.keys.erased_among(self.con, self.duck, [keyless])
        return "(key IS NULL AND member_id IS NOT NULL AND member_id NOT IN (FROM erased_members))"

    # ---- the head ----

    def _head(self) -> None:
        """Check the entries in the database, row by row by the definition."""
        key = schema.member_key.c.key
        query = (
            sa.select(schema.entry, key)
            .outerjoin(schema.member_key, schema.entry.c.member_id == schema.member_key.c.member_id)
            .order_by(schema.entry.c.index)
        )
        result = self.con.execute(query, execution_options={"yield_per": BATCH_ROWS})
        tombs: set[str] = set()
        roots: dict[int, str] = {}
        for row in result.mappings():
            index = int(row["index"])
            self._cover(index, index + 1)
            self._count("head_entries")
            if self._agrees(row) and row["kind"] != "choice":
                self._public(index, row["kind"], row["payload"], tombs, roots)
        self.tell("head", self.counts["head_entries"])
        self._tombstones(tombs)
        self._tables(roots)

    def _agrees(self, row: Any) -> bool:
        """Compute a commitment again; return whether it agrees."""
        index = int(row["index"])
        if row["kind"] != "choice":
            if row["payload"] is None:
                self._fault(index, f"the {row['kind']} has no payload")
                return False
            canonical = encode(f"sayso/{row['kind']}/v1", row["payload"], row["recorded_us"])
            key = PUBLIC_KEY
        elif row["member_id"] is None:
            self._count("erased_entries")
            return True
        elif row["key"] is None:
            self._fault(index, "the key of its member is missing")
            return False
        else:
            canonical = canonical_choice(
                row["purpose"], row["choice"], row["effective_us"], row["recorded_us"],
                row["country"], row["channel"], row["setting_version"], row["claimed_us"],
            )  # fmt: skip
            key = bytes(row["key"])
        if commit(key, canonical) != bytes(row["commitment"]):
            self._fault(index, f"the {row['kind']} is not what was committed to")
            return False
        self._count("commitments")
        return True

    def _public(
        self,
        index: int,
        kind: str,
        text: str,
        tombs: set[str],
        roots: dict[int, str],
    ) -> None:
        payload = json.loads(text)
        if kind == "rulebook":
            self._count("rulebooks")
            files = payload.get("files")
            if not isinstance(files, dict) or rulebook_digest(files) != payload.get("digest"):
                self._fault(index, "the rulebook's files do not have its digest")
        elif kind == "erasure":
            tombs.add(payload["tombstone"])
        elif kind == "table":
            roots[index] = payload["root"]

    def _tombstones(self, entries: set[str]) -> None:
        stand = {bytes(tag).hex() for (tag,) in self.con.execute(sa.select(schema.erased.c.tag))}
        if missing := len(entries - stand):
            self._fault(0, f"{missing} members were erased and have no tombstone")
        if extra := len(stand - entries):
            self._fault(0, f"{extra} tombstones stand without an entry")
        if lost := len(stand - {tag.hex() for tag in read_tags(self.ledger.folder)}):
            self._fault(0, f"the file 'keys/erased.tags' lacks {lost} tombstones")

    def _erasures(self) -> None:
        if self.counts["erased_entries"] and not self.counts["tombstones"]:
            self._fault(0, "choices were erased and nobody has a tombstone")

    # ---- segments ----

    def _segments(self) -> None:
        rows = self.con.execute(sa.select(schema.segment).order_by(schema.segment.c.first))
        for row in rows.mappings().all():
            self._count("segments")
            self.listed.add(f"segments/{row['name']}")
            with self._legible(int(row["first"]), row["name"]):
                self._segment(row)
            self.tell("segments", self.counts["segment_entries"])

    def _segment(self, row: Any) -> None:
        first, path = int(row["first"]), self.ledger.folder / "segments" / row["name"]
        if not self._same_file(first, path, row["sha256"]):
            self._cover(first, first + int(row["span"]))
            return
        relation = f"read_parquet({quoted(str(path))})"
        columns = self.duck.sql(f"FROM {relation}").columns
        canonical = sql_fields(
            CHOICE_LABEL,
            (
                sql_text("purpose"), sql_text("choice"), sql_integer("effective_us"),
                sql_integer("recorded_us"), sql_text("country"), sql_text("channel"),
                sql_text("setting_version"),
                sql_integer("claimed_us") if "claimed_us" in columns else "'-,'",
            ),
        )  # fmt: skip
        stranger = self._strangers(relation)
        made = f"(key IS NOT NULL AND commitment = {sql_commit('key', canonical)})"
        words = (name for name in columns if name not in SEGMENT_KEPT)
        half = f"(member_id IS NULL AND ({_any_stands(words)} OR octet_length(commitment) <> 32))"
        ((rows, low, high, distinct, good, keyless, left, bad, torn),) = self.duck.sql(
            "SELECT count(*), min(ordinal), max(ordinal), count(DISTINCT ordinal), "
            f"count(*) FILTER ({made}), count(*) FILTER (key IS NULL), "
            "count(*) FILTER (key IS NULL AND member_id IS NOT NULL), "
            f"min(ordinal) FILTER ({stranger} OR (key IS NOT NULL AND NOT {made})), "
            f"min(ordinal) FILTER ({half}) "
            f"FROM {relation} rows LEFT JOIN member_keys USING (member_id)"
        ).fetchall()
        span = int(row["span"])
        self._count("segment_entries", rows)
        self._count("commitments", good)
        self._count("erased_entries", keyless)
        self._count("left_rows", left)
        if torn is not None:
            self._fault(first + torn, "something is left of an erased choice")
        if bad is not None:
            self._fault(first + bad, "the choice is not what was committed to, or has no key")
        fills = (rows, low, high) == (row["rows"], 0, span - 1) and distinct == rows
        if not fills or (rows != span and row["kind"] != "head"):  # only a head's has gaps
            self._fault(first, f"segment '{row['name']}' does not fill its range")
        self._runs_of(relation, first)

    def _runs_of(self, relation: str, first: int) -> None:
        """Note which indexes stand in a segment; a head segment has gaps."""
        for begin, end in self.duck.sql(
            f"SELECT min(ordinal), max(ordinal) + 1 FROM (SELECT ordinal, ordinal - "
            f"row_number() OVER (ORDER BY ordinal) AS run FROM {relation}) GROUP BY run ORDER BY 1"
        ).fetchall():
            self._cover(first + begin, first + end)

    def _same_file(self, index: int, path: Path, sha256: str) -> bool:
        if not path.is_file():
            self._fault(index, f"'{path.parent.name}/{path.name}' is missing")
            return False
        if sha256_of((path,)) != sha256:
            self._fault(index, f"'{path.parent.name}/{path.name}' is not the file that was listed")
            return False
        return True

    # ---- indexes ----

    def _cover(self, first: int, end: int) -> None:
        if self.runs and self.runs[-1].end == first:
            self.runs[-1] = Run(self.runs[-1].first, end)
        elif end > first:
            self.runs.append(Run(first, end))

    def _indexes(self) -> None:
        """Check that the runs make [0, size), each index once."""
        reached = 0
        self.runs.sort()
        for run in self.runs:
            if run.first > reached:
                self._fault(reached, "it is missing")
            elif run.first < reached:
                self._fault(run.first, "it stands twice")
            reached = max(reached, run.end)
        if reached < self.size:
            self._fault(reached, "it is missing")
        elif reached > self.size:
            self._fault(self.size, f"it stands beyond the size of the ledger, {self.size}")

    # ---- tables ----

    def _tables(self, roots: dict[int, str]) -> None:
        """Check the version of every entry, by the roots that the entries hold."""
        query = sa.select(schema.table).order_by(schema.table.c.entry)
        rows = {int(row["entry"]): row for row in self.con.execute(query).mappings()}
        for index in sorted(roots.keys() ^ rows.keys()):
            self._fault(index, "the table of this entry is not listed, or has no entry")
        for index in sorted(roots.keys() & rows.keys()):
            with self._legible(index, rows[index]["name"]):
                self._table(index, roots[index], rows[index])

    def _table(self, index: int, root: str, row: Any) -> None:
        self._count("tables")
        self.listed.add(f"tables/{row['name']}")
        path = self.ledger.folder / "tables" / row["name"]
        if row["root"] != root:
            self._fault(index, "the version listed has another root than its entry")
        if not self._same_file(index, path, row["sha256"]):
            return
        rows = int(pq.read_metadata(path).num_rows)
        self._count("table_rows", rows)
        self.tell("tables", self.counts["table_rows"])
        if rows != row["rows"]:
            self._fault(index, f"'tables/{path.name}' has {rows} rows and not {row['rows']}")
            return
        relation = f"read_parquet({quoted(str(path))}, file_row_number = true)"
        columns = self.duck.sql(f"FROM read_parquet({quoted(str(path))})").columns
        stranger = self._strangers(relation)
        words = (name for name in columns if name != "commitment")
        torn = f"member_id IS NULL AND ({_any_stands(words)} OR commitment IS NULL)"
        ((erased, left, strangers, half),) = self.duck.sql(
            "SELECT count(*) FILTER (member_id IS NULL), "
            "count(*) FILTER (key IS NULL AND member_id IS NOT NULL), "
            f"count(*) FILTER ({stranger}), count(*) FILTER ({torn}) "
            f"FROM {relation} rows LEFT JOIN member_keys USING (member_id)"
        ).fetchall()
        self._count("erased_rows", erased)
        self._count("left_rows", left)
        if half:
            self._fault(index, f"something is left of {half} erased rows of 'tables/{path.name}'")
        elif strangers:
            self._fault(index, f"the keys of {strangers} rows of 'tables/{path.name}' are missing")
        elif not left:
            self._count("roots")
            if self._root(row["kind"], relation).hex() != root:
                self._fault(index, f"'tables/{path.name}' does not have the root committed to")

    def _root(self, kind: str, relation: str) -> bytes:
        """Return the Merkle root of a table, a subtree at a time."""
        reader = self.duck.sql(
            f"SELECT coalesce(commitment, {row_commitment(kind)}) c FROM {relation} "
            "LEFT JOIN member_keys USING (member_id) ORDER BY file_row_number"
        ).to_arrow_reader(SUBTREE_LEAVES)
        hashes = chain.from_iterable(
            map(leaf_hash, batch.column(0).to_pylist()) for batch in reader
        )
        subtrees: list[bytes] = []
        pending: list[bytes] = []
        for one in hashes:
            pending.append(one)
            if len(pending) == SUBTREE_LEAVES:
                subtrees.append(tree_root(pending))
                pending = []
        # RFC 6962 pairs whole subtrees first and carries the odd last one up.
        return tree_root([*subtrees, tree_root(pending)] if pending or not subtrees else subtrees)

    def _orphans(self) -> tuple[str, ...]:
        folders = (self.ledger.folder / name for name in ("segments", "tables"))
        names = [f"{path.parent.name}/{path.name}" for one in folders for path in one.glob("*")]
        return tuple(name for name in sorted(names) if name not in self.listed)
