"""Columnar files as DuckDB relations with one meaning for each column.

Promises: Parquet, CSV and JSON Lines read alike; ids become canonical text (7 equals "7"),
instants become UTC microseconds, what cannot be read becomes null. Does not judge rows:
whether a null is refused or rejected is for the caller.

Example:
    >>> table = open_table(con, Path("members.csv"))      # doctest: +SKIP
    >>> con.sql(f"SELECT {table.text('country')} FROM {table.sql}")  # doctest: +SKIP
"""

import codecs
import csv
import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sayso.errors import InputError, UnavailableError

# Columns of all tables; a JSON Lines file is read with these and no others.
_COLUMNS = (
    "record_id", "member_id", "category", "visibility", "authorship", "context", "written_at",
    "first_seen_at", "deleted_at", "licence", "mentions", "text", "country", "birth_date",
    "status", "since", "purpose", "choice", "effective_at", "channel", "setting_version",
    "served_at", "notice_id", "outcome",
)  # fmt: skip

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER",
             "UBIGINT", "HUGEINT", "UHUGEINT"}  # fmt: skip
_NESTED = ("STRUCT", "MAP", "UNION")
# An ISO 8601 instant: a date, or a date and a time with or without a zone.
_ISO_INSTANT = (
    r"\s*\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?"
    r"\s*(Z|z|UTC|[+-]\d{2}(:?\d{2})?)?)?\s*"
)
SHA_CHUNK_BYTES = 1 << 20


def connect(
    *, threads: int | None = None, memory_bytes: int | None = None, spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection in UTC that reaches no network and keeps no state.

    Args:
        threads: How many it may use; None for all.
        memory_bytes: What it may use before it spills.
        spill: The folder for what does not fit, which an erasure must know. Without one nothing
            is ever written to the disk: a query that needs more memory fails, see `no_memory`.
    """
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    con.execute("SET autoinstall_known_extensions = false")
    if threads:
        con.execute(f"SET threads = {threads}")
    if memory_bytes:
        con.execute(f"SET memory_limit = '{memory_bytes}B'")
    # Left alone it is `.tmp` wherever the process was started, where nobody deletes anything.
    con.execute(f"SET temp_directory = {quoted(str(spill) if spill else '')}")
    return con


def no_memory() -> UnavailableError:
    """Return what to say where DuckDB had too little memory; its own words are for its users."""
    return UnavailableError(
        "there is too little memory for this", hint="ask for less, or run it on a larger machine"
    )


def quoted(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _number_id(number: str, text: str) -> str:
    """SQL: a DOUBLE as an id; whole numbers only as far as a float tells them apart."""
    return (
        f"CASE WHEN isfinite({number}) AND {number} = trunc({number}) "
        f"AND abs({number}) < 9007199254740992 THEN {number}::BIGINT::VARCHAR "
        f"WHEN isfinite({number}) THEN {text} END"
    )


def _within(expression: str, kind: str, first: str, last: str) -> str:
    """SQL: a date or time of the calendar's years 1 to 9999; else null, infinities too."""
    return (
        f"CASE WHEN ({expression}) BETWEEN {kind} '{first}' AND {kind} '{last}' "
        f"THEN ({expression}) END"
    )


@dataclass(frozen=True)
class Table:
    """A relation and the types of its columns.

    Attributes:
        sql: What stands after FROM.
        types: Column -> DuckDB type.
        paths: The files read, empty for what is in memory.
    """

    sql: str
    types: Mapping[str, str]
    paths: tuple[Path, ...] = ()

    def _base(self, column: str) -> tuple[str, str]:
        kind = self.types.get(column, "")
        return f'"{column}"', kind.split("(")[0].upper() if not kind.endswith("]") else "LIST"

    def has_integers(self, column: str) -> bool:
        """Whether a column holds integers that fit 64 bits."""
        return self._base(column)[1] in _INTEGERS - {"UBIGINT", "HUGEINT", "UHUGEINT"}

    def text(self, column: str) -> str:
        """SQL: the column as text; null where it is missing, nested or bytes."""
        name, base = self._base(column)
        if not base or base in {"LIST", "BLOB", *_NESTED}:
            return "NULL::VARCHAR"
        if base == "JSON":
            return f"({name}->>'$')"
        return name if base == "VARCHAR" else f"{name}::VARCHAR"

    def id(self, column: str) -> str:
        """SQL: an id as canonical text; a float that holds a whole number counts as it.

        Null where it is empty, not a number (NaN, which stands for null where a column of
        floats has gaps), or neither text nor a number.
        """
        name, base = self._base(column)
        if base == "BOOLEAN":
            return "NULL::VARCHAR"
        if base in {"FLOAT", "DOUBLE", "DECIMAL"}:
            return _number_id(f"{name}::DOUBLE", f"{name}::VARCHAR")
        if base == "JSON":
            text = self.text(column)
            number = _number_id(f"TRY_CAST({text} AS DOUBLE)", text)
            return (
                f"CASE json_type({name}) WHEN 'VARCHAR' THEN nullif({text}, '') "
                f"WHEN 'UBIGINT' THEN {text} WHEN 'BIGINT' THEN {text} "
                # An integer too long for 64 bits is a DOUBLE here, and its digits are kept.
                f"WHEN 'DOUBLE' THEN CASE WHEN regexp_full_match({text}, '-?[0-9]+') "
                f"THEN {text} ELSE {number} END END"
            )
        return f"nullif({self.text(column)}, '')"

    def instant(self, column: str) -> str:
        """SQL: an instant as TIMESTAMP in UTC; null where it cannot be read."""
        name, base = self._base(column)
        if base == "DATE" or base.startswith("TIMESTAMP"):
            zoned = "TZ" in base or "TIME ZONE" in base
            cast = (
                f"(TRY_CAST({name} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
                if zoned
                else f"TRY_CAST({name} AS TIMESTAMP)"
            )
            if base.endswith("_NS"):  # a cast would round up, past a midnight
                cast = f"make_timestamp(epoch_ns({name}) // 1000)"
            return _within(cast, "TIMESTAMP", "0001-01-01", "9999-12-31 23:59:59.999999")
        if base in {"VARCHAR", "JSON", "ENUM"}:
            cast = (
                f"CASE WHEN regexp_full_match({self.text(column)}, {quoted(_ISO_INSTANT)}) "
                f"THEN TRY_CAST({self.text(column)} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
            )
            return _within(cast, "TIMESTAMP", "0001-01-01", "9999-12-31 23:59:59.999999")
        return "NULL::TIMESTAMP"

    def present(self, column: str) -> str:
        """SQL: whether anything stands in the column at all."""
        name, base = self._base(column)
        return f"({name} IS NOT NULL)" if base else "false"

    def birth(self, column: str) -> str:
        """SQL: a birth date as DATE, a year alone as its last day; else null."""
        name, base = self._base(column)
        if base == "DATE" or base.startswith("TIMESTAMP"):
            return _within(f"TRY_CAST({name} AS DATE)", "DATE", "0001-01-01", "9999-12-31")
        text = f"trim({self.text(column)})"
        if base in {"FLOAT", "DOUBLE", "DECIMAL", "JSON"}:
            # Whole numbers come as floats where a column has gaps: the year 1990 as 1990.0.
            text = f"regexp_replace({text}, '^([0-9]{{4}})[.]0+$', '\\1')"
        return (
            f"CASE WHEN regexp_full_match({text}, '[0-9]{{4}}') AND {text} <> '0000' "
            f"THEN make_date({text}::INTEGER, 12, 31) "
            f"WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') "
            f"THEN {_within(f'TRY_CAST({text} AS DATE)', 'DATE', '0001-01-01', '9999-12-31')} END"
        )

    def civil(self, column: str) -> str:
        """SQL: a date without a time as DATE; null where there is a time or nothing."""
        name, base = self._base(column)
        if base == "DATE":
            return _within(name, "DATE", "0001-01-01", "9999-12-31")
        if base in {"VARCHAR", "JSON", "ENUM"}:
            text = f"trim({self.text(column)})"
            cast = (
                f"CASE WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') "
                f"THEN TRY_CAST({text} AS DATE) END"
            )
            return _within(cast, "DATE", "0001-01-01", "9999-12-31")
        return "NULL::DATE"

    def mentions(self, column: str) -> str:
        """SQL: 0 nobody mentioned, 1 somebody, 2 unknown."""
        name, base = self._base(column)
        if base == "LIST":
            return (
                f"CASE WHEN {name} IS NULL THEN 2 WHEN len({name}) > 0 THEN 1 ELSE 0 END::TINYINT"
            )
        if base == "JSON":
            return (
                f"CASE WHEN {name} IS NULL OR json_type({name}) = 'NULL' THEN 2 "
                f"WHEN json_type({name}) = 'ARRAY' AND json_array_length({name}) = 0 THEN 0 "
                "ELSE 1 END::TINYINT"
            )
        if base == "VARCHAR":
            return (
                f"CASE WHEN {name} IS NULL THEN 2 WHEN trim({name}) IN ('', '[]') THEN 0 "
                "ELSE 1 END::TINYINT"
            )
        return "2::TINYINT"

    def mention_list(self, column: str) -> str:
        """SQL: the names as a list of text; null where unknown."""
        name, base = self._base(column)
        if base == "LIST":
            return f"TRY_CAST({name} AS VARCHAR[])"
        if base == "JSON":
            return f"TRY_CAST({name} AS VARCHAR[])"
        if base == "VARCHAR":
            return (
                f"CASE WHEN starts_with(trim({name}), '[') AND json_valid({name}) "
                f"THEN TRY_CAST({name}::JSON AS VARCHAR[]) "
                f"WHEN trim({name}) = '' THEN [] ELSE string_split({name}, ';') END"
            )
        return "NULL::VARCHAR[]"


# What DuckDB says of a file -> what to say of it, and what to do. Its own words may quote a row.
_COMPLAINTS: tuple[tuple[str, str, str], ...] = (
    (r"Expected Number of Columns", "a row has more or fewer cells than the header",
     "give every row the header's cells, and quote a cell that holds a comma"),
    (r"(?i)unterminated quote", "a quote is never closed, or text stands behind one",
     "put the whole cell in quotes, and double the quotes within"),
    (r"state machine", "its lines end in different ways, or its quotes do not match",
     "save it again as CSV with one kind of line ending"),
    (r"(?i)maximum line size", "a line is longer than any record", "look for a missing quote"),
    (r"(?i)unicode|utf-?(8|16|32)", "it is not UTF-8", "save it as UTF-8"),
    (r"duplicate key", "an object names a key twice", "keep one of them"),
    (r"byte order mark", "a byte order mark stands amid the text", "take it out"),
    (r"JSON", "a line is no JSON object", "write one object a line"),
)  # fmt: skip


@contextmanager
def reading(what: Path | str) -> Iterator[None]:
    """Turn DuckDB's complaints about a file into an InputError that names it.

    The complaint itself may quote the file's words; only a line number is taken over. Too
    little memory is no fault of the file's, and an UnavailableError.
    """
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise no_memory() from None
    except duckdb.Error as error:
        told = str(error)
        line = re.search(r"(?i)\bline:? (\d+)", told)
        number = int(line[1]) if line else 0
        if "Malformed JSON" in told:  # whose lines are counted from the next one
            number -= 1
        where = f" at line {number}" if number > 0 else ""
        why, hint = type(error).__name__, "check that it is the format its name says"
        for sign, words, remedy in _COMPLAINTS:
            if re.search(sign, told.split("Possible", 1)[0]):
                why, hint = words, remedy
                break
        raise InputError(f"cannot read '{what}'{where}: {why}", hint=hint) from None


def open_table(con: duckdb.DuckDBPyConnection, path: Path) -> Table:
    """Return a file, or the files of a folder, as a table.

    Args:
        con: The connection that will run the SQL; with one thread from then on where the
            file is JSON Lines that begins with a byte order mark.
        path: `.parquet`, `.csv`, `.jsonl` or `.ndjson` (each also with `.gz` but Parquet), or
            a folder of Parquet files.

    Raises:
        InputError: There is no such file, or its format is not one of these.
    """
    if path.is_dir():
        single = path / "content.parquet"
        paths = [single] if single.is_file() else sorted(path.rglob("*.parquet"))
        if not paths:
            raise InputError(
                f"no Parquet file in '{path}'", hint="name a file or a folder of Parquet files"
            )
    elif path.is_file():
        paths = [path]
    else:
        raise InputError(f"no such file '{path}'")
    names = ", ".join(quoted(_literal(p)) for p in paths)
    suffix = "".join(s for s in paths[0].suffixes if s.lower() != ".gz").lower()[-8:]
    if suffix.endswith(".parquet"):
        for one in paths:
            need_each_once(_parquet_columns(one), one.name)
        sql = f"read_parquet([{names}], union_by_name = true)"
    elif suffix.endswith((".csv", ".tsv")):
        delimiter = "\t" if suffix.endswith(".tsv") else ","
        header = _csv_columns(paths[0], delimiter)
        columns = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in header)
        # Nothing is guessed: a sniffer may take a row for the header.
        sql = (
            f"read_csv([{names}], columns = {{{columns}}}, auto_detect = false, header = true, "
            f"delim = {quoted(delimiter)}, quote = '\"', escape = '\"', strict_mode = true, "
            "null_padding = false)"
        )
    elif suffix.endswith((".jsonl", ".ndjson", ".json")):
        if _has_mark(paths[0]):
            # DuckDB passes over the mark with one thread, and takes it for a fault with more.
            con.execute("SET threads = 1")
        columns = ", ".join(f"{name}: 'JSON'" for name in _COLUMNS)
        sql = f"read_json([{names}], format = 'newline_delimited', columns = {{{columns}}})"
    else:
        raise InputError(
            f"unknown format of '{path}'", hint="name it .parquet, .csv, .tsv, .jsonl or .ndjson"
        )
    with reading(path):
        types = {
            str(name): str(kind)
            for name, kind in zip(*_described(con.sql(f"SELECT * FROM {sql}")), strict=True)
        }
    return Table(sql, types, tuple(paths))


def _parquet_columns(path: Path) -> list[str]:
    """Return the names of a file's columns; DuckDB renames those that stand twice."""
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"cannot read '{path}': {type(error).__name__}",
            hint="check that it is the format its name says",
        ) from None


def need_each_once(names: Sequence[str], what: str) -> None:
    """Refuse a table in which a column of ours stands twice: one of them would count unsaid.

    Args:
        names: Of its columns.
        what: Names the table in the error.

    Raises:
        InputError: One does; engines take `Choice` for `choice`.
    """
    ours = [name.lower() for name in names if name.lower() in _COLUMNS]
    twice = next((name for name in _COLUMNS if ours.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"'{what}' has the column '{twice}' more than once", hint="rename one of them"
        )


def _csv_columns(path: Path, delimiter: str) -> list[str]:
    """Return the names in the header, each one once.

    Raises:
        InputError: The first line is no header, or a column of ours stands there twice.
    """
    try:
        with (
            _opened(path) as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as text,
        ):
            cells = next(csv.reader(text, delimiter=delimiter, strict=True), [])
    except (csv.Error, gzip.BadGzipFile, EOFError, zlib.error):
        raise InputError(
            f"cannot read '{path}' at line 1: its header is no CSV",
            hint="check that it is the format its name says",
        ) from None
    if not set(cells) & set(_COLUMNS):  # not told, since it may be a row
        raise InputError(
            f"the first line of '{path.name}' names no column that is known",
            hint="write the names, such as member_id, in small letters and separated by commas",
        )
    names: list[str] = []
    for place, cell in enumerate(cells, 1):
        if cell in _COLUMNS and cell in names:
            raise InputError(
                f"'{path.name}' has the column '{cell}' more than once", hint="rename one of them"
            )
        # DuckDB looks at the letters alone, and a name of ours must stay its own.
        taken = {name.lower() for name in names} | (set(_COLUMNS) - {cell})
        names.append(cell if cell and cell.lower() not in taken else f"column {place}: {cell}")
    return names


def _has_mark(path: Path) -> bool:
    """Whether a file begins with the byte order mark of UTF-8."""
    with suppress(gzip.BadGzipFile, EOFError, zlib.error), _opened(path) as file:
        return file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    return False


def _opened(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _literal(path: Path) -> str:
    # DuckDB expands wildcards in file names; a bracketed character stands for itself.
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path.resolve()))


def _described(relation: duckdb.DuckDBPyRelation) -> tuple[list[str], list[str]]:
    return list(relation.columns), [str(kind) for kind in relation.types]


def relation_table(relation: duckdb.DuckDBPyRelation, name: str) -> Table:
    """Return a relation that is registered under `name` as a table."""
    columns, types = _described(relation)
    return Table(name, dict(zip(columns, types, strict=True)))


def sha256_of(paths: tuple[Path, ...]) -> str:
    """Return the SHA-256 of one file, or of the sorted digests of several, in hex."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def flush(path: Path) -> None:
    """Have the disk hold what was written to a file or folder. Source: fsync(2)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_once(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that is not there yet, whole or not at all."""
    made = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(made, path)  # fails where another process was first
    except FileExistsError:
        pass
    finally:
        made.unlink()
