"""Columnar files as DuckDB relations with one meaning for each column.

Promises: Parquet, CSV and JSON Lines read alike; ids become canonical text (7 equals "7"),
instants become UTC microseconds, what cannot be read becomes null. Does not judge rows:
whether a null is refused or rejected is for the caller.

Example:
    >>> table = open_table(con, Path("members.csv"))      # doctest: +SKIP
    >>> con.sql(f"SELECT {table.text('country')} FROM {table.sql}")  # doctest: +SKIP
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sayso.errors import InputError

# Columns of all tables; a JSON Lines file is read with these and no others.
_JSON_COLUMNS = (
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
    """Return a DuckDB connection in UTC that reaches no network and keeps no state."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    con.execute("SET autoinstall_known_extensions = false")
    if threads:
        con.execute(f"SET threads = {threads}")
    if memory_bytes:
        con.execute(f"SET memory_limit = '{memory_bytes}B'")
    if spill:
        con.execute(f"SET temp_directory = {quoted(str(spill))}")
    return con


def quoted(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


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
        """SQL: an id as canonical text; a float that holds a whole number counts as it."""
        name, base = self._base(column)
        if base in {"FLOAT", "DOUBLE", "DECIMAL"}:
            return (
                f"CASE WHEN isfinite({name}::DOUBLE) AND {name} = trunc({name}) "
                f"AND abs({name}::DOUBLE) < 9007199254740992 "
                f"THEN {name}::BIGINT::VARCHAR ELSE {name}::VARCHAR END"
            )
        if base == "JSON":
            return (
                f"CASE WHEN json_type({name}) = 'DOUBLE' THEN "
                f"regexp_replace({self.text(column)}, '[.]0+$', '') "
                f"ELSE nullif({self.text(column)}, '') END"
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


@contextmanager
def reading(what: Path | str) -> Iterator[None]:
    """Turn DuckDB's complaints about a file into an InputError that names it.

    The complaint itself may quote the file's words; only a line number is taken over.
    """
    try:
        yield
    except duckdb.Error as error:
        line = re.search(r"(?i)line:? ?(\d+)", str(error))
        where = f" at line {line[1]}" if line else ""
        raise InputError(
            f"cannot read '{what}'{where} ({type(error).__name__})",
            hint="check that it is the format its name says",
        ) from None


def open_table(con: duckdb.DuckDBPyConnection, path: Path) -> Table:
    """Return a file, or the files of a folder, as a table.

    Args:
        con: The connection that will run the SQL.
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
        sql = f"read_parquet([{names}], union_by_name = true)"
    elif suffix.endswith((".csv", ".tsv")):
        delimiter = "\\t" if suffix.endswith(".tsv") else ","
        sql = (
            f"read_csv([{names}], all_varchar = true, header = true, delim = {quoted(delimiter)}, "
            "quote = '\"', escape = '\"', strict_mode = true, null_padding = false)"
        ).replace("'\\t'", "'\t'")
    elif suffix.endswith((".jsonl", ".ndjson", ".json")):
        columns = ", ".join(f"{name}: 'JSON'" for name in _JSON_COLUMNS)
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
