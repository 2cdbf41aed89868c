"""Generic tables: members and content in Parquet, CSV or JSON lines.

Promises: only columns on our list are read, under their own names or those that a mapping
gives; the others are dropped and reported. CSV is read as text throughout, so `007` stays
`007`. Files stream in batches of whole columns. A content row that does not fit its
header is left out and counted; in a members' table it stops the import, because a row
that went missing could be the one that says no.

Example:
    with open_sink(Path("out"), None) as sink:
        read(Path("posts.csv"), {"record_id": "id", "text": "body"}, sink)
        sink.finish("table")
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sayso.errors import InputError
from sayso.sources.archive import label_of
from sayso.sources.columns import EXACT_LIMIT, IDS, Converter
from sayso.sources.sink import BATCH_BYTES, BATCH_ROWS, CONTENT_SCHEMA, MEMBERS_SCHEMA, Sink

# What one row of a text file may take. Posts and articles end far below it.
MAX_ROW_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 20
# How many unknown columns a report names; a table with more is not ours to list.
MAX_NAMED = 20
# A value of a type that its column cannot have: never a code, a time or nothing at all.
UNREADABLE = "(unreadable)"

_SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SCHEMAS = {"members": MEMBERS_SCHEMA, "content": CONTENT_SCHEMA}
_NEEDED = {"members": "member_id", "content": "record_id"}
_NULLED = IDS | {"mentions", "text", "licence"}
_PLAIN_NAME = re.compile(r"[\w .:/-]{1,40}")
_MISSHAPEN = "rows with another number of cells than the header"


@dataclass(slots=True)
class _Table:
    """One file to read.

    Attributes:
        role: `members` or `content`.
        names: Our column -> theirs, for the columns that a mapping names.
        seen: Their columns, as far as they are known.
        misshapen_rows: Rows left out because they do not fit.
    """

    path: Path
    role: str
    names: Mapping[str, str]
    seen: list[str] = field(default_factory=list)
    misshapen_rows: int = 0

    def columns(self) -> dict[str, str]:
        """Return our column -> theirs for what the file has.

        Raises:
            InputError: The needed column, or one that the mapping names, is not there,
                or one that we read is there twice.
        """
        schema = _SCHEMAS[self.role]
        wanted = {name: self.names.get(name, name) for name in schema.names}
        needed = _NEEDED[self.role]
        for ours in [*(name for name in schema.names if name in self.names), needed]:
            if wanted[ours] not in self.seen:
                raise InputError(
                    f"'{self.path.name}' has no column '{wanted[ours]}' to read as '{ours}'",
                    hint=f"say which column it is with a mapping of '{ours}'",
                    column=wanted[ours],
                )
        found = {ours: theirs for ours, theirs in wanted.items() if theirs in self.seen}
        for theirs in found.values():
            if self.seen.count(theirs) > 1:
                raise InputError(
                    f"'{self.path.name}' has the column '{theirs}' more than once",
                    hint="rename one of them",
                    column=theirs,
                )
        return found


def read(src: Path, mapping: Mapping[str, str], sink: Sink) -> None:
    """Read a content file, or a folder with `members.*` and `content.*`.

    Args:
        src: Parquet, CSV (comma, UTF-8) or JSON lines; a file holds content.
        mapping: Our column -> theirs, for every file that has such a column of ours.
        sink: Takes the rows and the reasons.

    Raises:
        InputError: No such table, a column of the mapping is not there, or bytes that
            are not what the file's ending says.
    """
    tables = _tables(src, mapping, sink)
    with Converter() as converter:
        for table in tables:
            _read_table(converter, table, sink)


def _read_table(converter: Converter, table: _Table, sink: Sink) -> None:
    taken = sink.add_members if table.role == "members" else sink.add_content
    for batch in _READERS[_SUFFIXES[table.path.suffix.lower()]](table):
        rows, notes = converter.convert(batch, _SCHEMAS[table.role], table.path.name)
        taken(rows)
        for why, count in notes.items():
            sink.skip(table.path.name, why, count)
    dropped = [name for name in table.seen if name not in table.columns().values()]
    if dropped:
        sink.skip(table.path.name, _dropped(dropped))
    if table.misshapen_rows:
        sink.skip(table.path.name, _MISSHAPEN, table.misshapen_rows)


def _tables(src: Path, mapping: Mapping[str, str], sink: Sink) -> list[_Table]:
    if src.is_file():
        if src.suffix.lower() not in _SUFFIXES:
            raise InputError(
                f"'{src.name}' is not a table", hint="give .parquet, .csv, .jsonl or .ndjson"
            )
        _check_mapping(mapping, ["content"])
        return [_Table(src, "content", mapping)]
    found: dict[str, Path] = {}
    try:
        children = sorted(src.iterdir())
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{src.name}' cannot be read", hint="give a table or a folder of tables"
        ) from error
    for path in children:
        role = path.stem.lower()
        if role not in _SCHEMAS or path.suffix.lower() not in _SUFFIXES or not path.is_file():
            sink.skip(label_of(path.name), "not on the allow-list")
        elif role in found:
            raise InputError(
                f"'{src.name}' holds both '{found[role].name}' and '{path.name}'",
                hint="keep one of them",
            )
        else:
            found[role] = path
    if not found:
        raise InputError(
            f"'{src.name}' holds neither a members nor a content table",
            hint="name them members.csv, content.parquet or the like",
        )
    _check_mapping(mapping, list(found))
    return [_Table(found[role], role, mapping) for role in _SCHEMAS if role in found]


def _check_mapping(mapping: Mapping[str, str], roles: list[str]) -> None:
    ours = {name for role in roles for name in _SCHEMAS[role].names}
    for name in mapping:
        if name not in ours:
            raise InputError(
                f"'{name}' is no column of {' or '.join(roles)}",
                hint=f"map one of {', '.join(sorted(ours))}",
                column=name,
            )


def _dropped(names: list[str]) -> str:
    """Return what to say of columns that are not read; odd names are only counted."""
    plain = sorted({name for name in names if _PLAIN_NAME.fullmatch(name)})[:MAX_NAMED]
    rest = len(set(names)) - len(plain)
    more = f"{', and' if plain else ''} {rest} more" if rest else ""
    return f"columns not on the allow-list: {', '.join(plain)}{more}".replace("  ", " ")


# ---- three ways to write a table --------------------------------------------------------


def _parquet(table: _Table) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(table.path) as file:
            table.seen = file.schema_arrow.names
            columns = table.columns()
            theirs = sorted(set(columns.values()))
            size = sum(
                file.metadata.row_group(group).total_byte_size
                for group in range(file.num_row_groups)
            )
            rows_bytes = max(1, size // max(1, file.metadata.num_rows))
            rows = max(1, min(BATCH_ROWS, BATCH_BYTES // rows_bytes))
            for batch in file.iter_batches(batch_size=rows, columns=theirs):
                yield _renamed(batch, columns)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(table, "is not a Parquet file that can be read", error) from error


def _csv(table: _Table) -> Iterator[pa.Table]:
    faults: list[int] = []

    def misshapen(row: pa_csv.InvalidRow) -> str:
        table.misshapen_rows += 1
        if table.role == "members":
            faults.append(row.number)
            return "error"
        return "skip"

    def opened(columns: Mapping[str, str] | None) -> pa_csv.CSVStreamingReader:
        theirs = sorted(set(columns.values())) if columns is not None else []
        return pa_csv.open_csv(
            table.path,
            read_options=pa_csv.ReadOptions(block_size=MAX_ROW_BYTES, use_threads=False),
            parse_options=pa_csv.ParseOptions(
                newlines_in_values=True, invalid_row_handler=misshapen
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(theirs, pa.string()),
                include_columns=theirs,
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )

    try:
        # Before pyarrow, which looks at the cells it gives alone and trips over the others.
        with table.path.open("rb") as file:
            for _ in codecs.iterdecode(iter(lambda: file.read(_CHUNK_BYTES), b""), "utf-8"):
                pass
        with opened(None) as reader:
            table.seen = reader.schema.names
        columns = table.columns()
        table.misshapen_rows = 0
        with opened(columns) as reader:
            for batch in reader:
                yield _renamed(batch, columns)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        what = "is not a CSV file in UTF-8"
        if faults:
            what = f"row {faults[0]} has another number of cells than the header"
        raise _broken(table, what, error) from error


def _jsonl(table: _Table) -> Iterator[pa.Table]:
    """Yield text columns; mentions as JSON text, which `columns` reads."""
    schema = _SCHEMAS[table.role]
    wanted = {name: table.names.get(name, name) for name in schema.names}
    known = set(wanted.values())
    seen: dict[str, None] = {}
    rows: list[list[str | None]] = []
    size = 0
    try:
        with table.path.open("rb") as file:
            for number, line in _lines(table, file):
                record = _object(table, number, line)
                for key in record:
                    if key in known or len(seen) < len(known) + MAX_NAMED:
                        seen[key] = None
                rows.append(
                    [
                        # Most are texts or not there; the call is for the others.
                        value
                        if (value := record.get(theirs)) is None or type(value) is str
                        else _text(ours, value)
                        for ours, theirs in wanted.items()
                    ]
                )
                size += len(line)
                if len(rows) >= BATCH_ROWS or size >= MAX_ROW_BYTES:
                    yield _text_table(rows, schema)
                    rows, size = [], 0
    except (OSError, ValueError) as error:
        raise _broken(table, "is not a file that can be read", error) from error
    table.seen = list(seen)
    table.columns()
    if rows:
        yield _text_table(rows, schema)


def _lines(table: _Table, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(line) > MAX_ROW_BYTES:
            raise _at_line(table, number, f"is longer than {MAX_ROW_BYTES} bytes")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield number, line


def _object(table: _Table, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(line.decode())
        if b"\\u" in line:  # may be half a surrogate, which no table can hold
            _ENCODER.encode(value).encode()
    except (ValueError, RecursionError) as error:
        raise _at_line(table, number, "is not JSON") from error
    if not isinstance(value, dict):
        raise _at_line(table, number, "is not a JSON object")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_no_number)
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def _text(ours: str, value: object) -> str | None:
    """Return a JSON value that is neither text nor null as text.

    What its column cannot be is null where null is unknown, and elsewhere `UNREADABLE`:
    a status or a deletion that nobody can read must not pass for none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_LIMIT:
        return str(int(value))
    if ours == "mentions" and isinstance(value, list):
        return _ENCODER.encode(value)
    return None if ours in _NULLED else UNREADABLE


def _text_table(rows: list[list[str | None]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table(
        {
            name: pa.array(column, pa.string())
            for name, column in zip(schema.names, columns, strict=True)
        }
    )


_READERS: dict[str, Callable[[_Table], Iterator[pa.Table]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _jsonl,
}


def _renamed(batch: pa.RecordBatch, columns: Mapping[str, str]) -> pa.Table:
    """Return the columns under our names, every value checked to be what its type says."""
    batch.validate(full=True)
    return pa.table({ours: batch[theirs] for ours, theirs in columns.items()})


def _broken(table: _Table, what: str, error: Exception) -> InputError:
    return InputError(
        f"'{table.path.name}' {what} ({type(error).__name__})",
        hint="export the table again",
        file=table.path.name,
    )


def _at_line(table: _Table, number: int, what: str) -> InputError:
    return InputError(
        f"'{table.path.name}' line {number} {what}",
        hint="write one object a line, in UTF-8",
        file=table.path.name,
        line=number,
    )
