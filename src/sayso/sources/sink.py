"""The two tables that every import ends in, and the one place that writes them.

Promises: rows go to disk as they come, so memory stays flat; a table appears under its
name only when it is complete and on disk; what was left out is counted, with a reason,
and neither a report nor an error holds a member's text, name or id. Does not judge:
which rows come here is for the readers.

Example:
    with open_sink(Path("out"), None) as sink:
        sink.add_record(Record("post-1", "7", "post", "public", "own", text="hello"))
        report = sink.finish("table")
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from sayso.errors import InputError, UnavailableError

Progress = Callable[[str, int], None]

INSTANT = pa.timestamp("us", tz="UTC")

MEMBERS_SCHEMA = pa.schema(
    [
        ("member_id", pa.string()),
        ("country", pa.string()),
        ("birth_date", pa.string()),
        ("status", pa.string()),
        ("since", INSTANT),
    ]
)
"""One row per member and fact version.

Columns: member_id (canonical text), country (ISO 3166-1 alpha-2 where the source has it),
birth_date (ISO date or year), status (null = active), since (UTC, null = always).
"""

CONTENT_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("member_id", pa.string()),
        ("category", pa.string()),
        ("visibility", pa.string()),
        ("authorship", pa.string()),
        ("context", pa.string()),
        ("written_at", INSTANT),
        ("first_seen_at", INSTANT),
        ("deleted_at", INSTANT),
        ("licence", pa.string()),
        ("mentions", pa.list_(pa.string())),
        ("text", pa.string()),
    ]
)
"""One row per record; null is unknown, a null member_id is a record without an author.

Columns: the ids (canonical text), the codes of `sayso.model`, instants (UTC), licence,
mentions (names, [] = none, null = unknown), text.
"""

# A batch of rows is written when it reaches either bound: rows for speed, bytes so that
# long texts do not add up. Row groups of this size read back well.
BATCH_ROWS = 50_000
BATCH_BYTES = 64 << 20
# Rows made in Python become columns this often: a row costs about ten times its text.
PENDING_ROWS = 10_000
PENDING_CHARS = 8 << 20

TABLE_NAMES = ("members.parquet", "content.parquet")
REPORT_NAME = "report.json"


class Member(NamedTuple):
    """One row of `MEMBERS_SCHEMA`."""

    member_id: str
    country: str | None = None
    birth_date: str | None = None
    status: str | None = None
    since: datetime | None = None


class Record(NamedTuple):
    """One row of `CONTENT_SCHEMA`."""

    record_id: str | None
    member_id: str | None
    category: str | None
    visibility: str | None
    authorship: str | None
    context: str | None = None
    written_at: datetime | None = None
    first_seen_at: datetime | None = None
    deleted_at: datetime | None = None
    licence: str | None = None
    mentions: list[str] | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that an import left out, or kept as unknown.

    Attributes:
        file: Which file, its member id and any person's name taken out.
        rows: How many rows, or None for a whole file or a column.
        why: The reason, free of member text.
    """

    file: str
    rows: int | None
    why: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import wrote and what it left out.

    Attributes:
        members_rows: Rows in `members.parquet`.
        content_rows: Rows in `content.parquet`.
        skipped: In the order in which it was first met.
    """

    kind: str
    members_rows: int
    content_rows: int
    skipped: tuple[Skipped, ...]


class _Part:
    """One Parquet file under a temporary name."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        self.name = name
        self.path = folder / f".{name}.{os.getpid()}.part"
        self.schema = schema
        self.rows = 0
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._file = self.path.open("wb")
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> bool:
        """Take rows of `schema`; returns whether a batch went to disk."""
        self._pending.append(table)
        self._pending_rows += table.num_rows
        self._pending_bytes += table.nbytes
        self.rows += table.num_rows
        if self._pending_rows >= BATCH_ROWS or self._pending_bytes >= BATCH_BYTES:
            self._flush()
            return True
        return False

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, self.schema, compression="zstd")
        if self._pending:
            self._writer.write_table(pa.concat_tables(self._pending))
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def seal(self) -> None:
        """Write what is left and wait until it is on disk."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def drop(self) -> None:
        """Close and remove whatever is there."""
        with contextlib.suppress(OSError, ValueError, pa.ArrowException):
            self._file.close()
        self.path.unlink(missing_ok=True)


class Sink:
    """Takes rows and reasons; `finish` makes the tables appear.

    Use as a context: leaving it without `finish` removes every trace.
    """

    def __init__(self, out: Path, progress: Progress | None) -> None:
        self._out = out
        self._progress = progress
        self._skipped: dict[tuple[str, str], int | None] = {}
        self._rows: list[Record] = []
        self._chars = 0
        self._people: list[Member] = []
        self._made = _make_folder(out)
        self._finished = False
        members_name, content_name = TABLE_NAMES
        try:
            self._members = _Part(out, members_name, MEMBERS_SCHEMA)
            self._content = _Part(out, content_name, CONTENT_SCHEMA)
        except OSError as error:
            raise _unwritable(out, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._finished:
            return
        self._members.drop()
        self._content.drop()
        if self._made:
            with contextlib.suppress(OSError):
                self._out.rmdir()

    def skip(self, file: str, why: str, rows: int | None = None) -> None:
        """Count something left out; the same file and reason add up."""
        before = self._skipped.get((file, why))
        self._skipped[file, why] = (before or 0) + rows if rows is not None else before

    def add_member(self, member: Member) -> None:
        """Take one row of the members' table."""
        self._people.append(member)
        if len(self._people) >= PENDING_ROWS:
            self._flush_rows()

    def add_record(self, record: Record) -> None:
        """Take one row of the content table."""
        self._rows.append(record)
        self._chars += len(record.text or "")
        if len(self._rows) >= PENDING_ROWS or self._chars >= PENDING_CHARS:
            self._flush_rows()

    def add_members(self, table: pa.Table) -> None:
        """Take a batch of `MEMBERS_SCHEMA`."""
        self._write(self._members, table)

    def add_content(self, table: pa.Table) -> None:
        """Take a batch of `CONTENT_SCHEMA`."""
        self._write(self._content, table)

    def _write(self, part: _Part, table: pa.Table) -> None:
        try:
            flushed = part.add(table)
        except OSError as error:
            raise _full(self._out, error) from error
        if flushed and self._progress is not None:
            self._progress(part.name, part.rows)

    def _flush_rows(self) -> None:
        people, self._people = self._people, []
        rows, self._rows, self._chars = self._rows, [], 0
        if people:
            self.add_members(_table(people, MEMBERS_SCHEMA))
        if rows:
            self.add_content(_table(rows, CONTENT_SCHEMA))

    def finish(self, kind: str) -> ImportReport:
        """Put the tables and `report.json` under their names, on disk.

        The report goes first and comes last, so a folder that has one is complete.

        Raises:
            UnavailableError: The disk would not take it; nothing finished is left.
        """
        self._flush_rows()
        report = ImportReport(
            kind,
            self._members.rows,
            self._content.rows,
            tuple(Skipped(file, rows, why) for (file, why), rows in self._skipped.items()),
        )
        parts = (self._members, self._content)
        finals = [self._out / part.name for part in parts]
        try:
            for part in parts:
                part.seal()
            (self._out / REPORT_NAME).unlink(missing_ok=True)
            for part, final in zip(parts, finals, strict=True):
                part.path.replace(final)
            _write_report(self._out, report)
        except OSError as error:
            for final in finals:
                with contextlib.suppress(OSError):
                    final.unlink(missing_ok=True)
            raise _full(self._out, error) from error
        self._finished = True
        if self._progress is not None:
            for part in parts:
                self._progress(part.name, part.rows)
        return report


@contextlib.contextmanager
def open_sink(out: Path, progress: Progress | None) -> Iterator[Sink]:
    """Open a sink on a folder, made if it is not there.

    Raises:
        InputError: `out` cannot be a folder to write in.
        UnavailableError: The disk would not take it.
    """
    with Sink(out, progress) as sink:
        yield sink


def _table(rows: list[Any], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    try:
        arrays = [pa.array(column, of.type) for column, of in zip(columns, schema, strict=True)]
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise InputError(
            f"rows cannot be written as a table ({type(error).__name__})",
            hint="look for an id that is not text in UTF-8",
        ) from error
    return pa.Table.from_arrays(arrays, schema=schema)


def _make_folder(out: Path) -> bool:
    try:
        if out.is_dir():
            return False
        out.mkdir(parents=True)
    except (OSError, ValueError) as error:
        raise _unwritable(out, error) from error
    return True


def _write_report(out: Path, report: ImportReport) -> None:
    temporary = out / f".{REPORT_NAME}.{os.getpid()}.part"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(asdict(report), file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(out / REPORT_NAME)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(out, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unwritable(out: Path, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else None
    return InputError(
        f"cannot write to '{out}' ({(reason or 'not a path').lower()})",
        hint="give a folder that can be made or written",
        path=str(out),
    )


def _full(out: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"writing to '{out}' failed ({(error.strerror or 'input or output error').lower()})",
        hint="make room and run it again; nothing was kept",
        path=str(out),
    )
