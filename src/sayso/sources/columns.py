"""Columns of foreign tables as columns of ours.

Promises: whole columns at a time; ids of any number type become the same text that a
person would write (7, 7.0 and "7" are `7`); a time that cannot be read is unknown, and
never makes a record look younger, undeleted or better known than it may be. Values of
codes pass through as they are: what is not a code is refused later, so nothing is
guessed here.

Example:
    >>> with Converter() as converter:
    ...     schema = pa.schema([("record_id", pa.string())])
    ...     rows, notes = converter.convert(pa.table({"record_id": [7.0]}), schema)
    >>> rows["record_id"].to_pylist(), notes
    (['7'], {})
"""

from collections.abc import Sequence
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from sayso.errors import InputError
from sayso.sources.sink import INSTANT
from sayso.tables import connect, no_memory

IDS = frozenset({"record_id", "member_id"})
TIMES = ("written_at", "first_seen_at", "deleted_at", "since")

# Beyond this a double no longer holds every whole number. Source: IEEE 754, binary64.
EXACT_LIMIT = 2**53
# The calendar of Python and of most that read these tables, in seconds since 1970.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

# ISO 8601 with a time of day at will; without a zone it is UTC.
_EXTENDED = (
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)? ?(Z|UTC|[+-]\d{2}(:?\d{2})?)?)?"
)
_BASIC = r"\d{8}T\d{6}(Z|[+-]\d{4})?"
_FIRST, _LAST = "TIMESTAMPTZ '0001-01-01 00:00:00Z'", "TIMESTAMPTZ '9999-12-31 23:59:59.999999Z'"

# One statement each; `words` is a text, never null.
_MACROS = rf"""
CREATE TEMP MACRO within_calendar(words) AS CASE
    WHEN try_cast(words AS TIMESTAMPTZ) BETWEEN {_FIRST} AND {_LAST}
        THEN try_cast(words AS TIMESTAMPTZ)
    END;
CREATE TEMP MACRO as_instant(words) AS CASE
    WHEN regexp_full_match(upper(trim(words)), '{_EXTENDED}')
        THEN within_calendar(replace(upper(trim(words)), ',', '.'))
    WHEN regexp_full_match(upper(trim(words)), '{_BASIC}')
        THEN within_calendar(regexp_replace(upper(trim(words)),
            '^(....)(..)(..)T(..)(..)(..)', '\1-\2-\3T\4:\5:\6'))
    END;
-- An ISO date, also as its midnight, or a year.
CREATE TEMP MACRO as_birth_date(words) AS CASE
    WHEN regexp_full_match(words, '\d{{4}}') THEN words
    WHEN regexp_full_match(words, '\d{{4}}-\d{{2}}-\d{{2}}([T ]00:00(:00([.]0+)?)?Z?)?')
        AND try_cast(left(words, 10) AS DATE) IS NOT NULL THEN left(words, 10)
    END;
-- Names as a JSON list, or apart by semicolons; a cell without any name is unknown.
CREATE TEMP MACRO as_names(words) AS CASE
    WHEN json_valid(words) AND json_type(words) = 'ARRAY'
        THEN from_json(words, '["VARCHAR"]')
    ELSE nullif(list_filter(
        list_transform(string_split(words, ';'), lambda one: trim(one)),
        lambda one: one <> ''), [])
    END;
"""

_NOTES = {
    "written_at": "rows whose written_at is not an ISO 8601 time: kept, time of writing unknown",
    "first_seen_at": (
        "rows whose first_seen_at is not an ISO 8601 time: kept, time of writing unknown"
    ),
    "deleted_at": "rows whose deleted_at is not an ISO 8601 time: kept as deleted",
    "since": "rows whose since is not an ISO 8601 time: kept, country and birth date unknown",
    "birth_date": "rows whose birth_date is neither an ISO date nor a year: kept as unknown",
    "record_id": "rows whose record_id is not a whole number: kept as unknown",
    "member_id": "rows whose member_id is not a whole number: kept as unknown",
}


class Converter:
    """Turns batches into ours; opens what it computes with when the first one comes.

    Use as a context.
    """

    def __init__(self) -> None:
        self._engine: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def convert(
        self, table: pa.Table, schema: pa.Schema, file: str = "table"
    ) -> tuple[pa.Table, dict[str, int]]:
        """Return the rows under `schema`, and how many rows each note concerns.

        Args:
            table: Columns named as in `schema`; those that it lacks come out as null.
            schema: `MEMBERS_SCHEMA` or `CONTENT_SCHEMA`.
            file: What an error calls the table.

        Raises:
            InputError: A column has a type that cannot mean what its name says, or
                values that no table can hold.
        """
        columns: dict[str, pa.ChunkedArray] = {}
        for name in table.column_names:
            try:
                columns |= _prepared(name, table[name])
            except (pa.ArrowException, ValueError, OverflowError) as error:
                raise _not_convertible(file, name, table[name].type) from error
        flagged = [name for name in _NOTES if name in table.column_names]
        try:
            ready = pa.table(columns)
            rows = self._run(ready, _query(table.column_names, ready, schema, flagged))
            counts = {name: pc.sum(rows[f"bad_{name}"]).as_py() or 0 for name in flagged}
            rows = rows.select(schema.names).cast(schema)
        except duckdb.OutOfMemoryException:
            raise no_memory() from None
        except (duckdb.Error, pa.ArrowException, ValueError) as error:
            raise InputError(
                f"values of '{file}' cannot be converted ({type(error).__name__})",
                hint="export the table again with plain text, numbers and times",
            ) from error
        return rows, {_NOTES[name]: count for name, count in counts.items() if count}

    def _run(self, ready: pa.Table, query: str) -> pa.Table:
        if self._engine is None:
            self._engine = connect(threads=2)
            self._engine.execute(_MACROS)
        self._engine.register("ready", ready)
        try:
            return self._engine.sql(query).to_arrow_table()
        finally:
            self._engine.unregister("ready")


def _query(names: Sequence[str], ready: pa.Table, schema: pa.Schema, flagged: Sequence[str]) -> str:
    """Return the one query: read every column (p_), flag what was lost, then decide."""
    read = [f"{_read(name, ready.schema.field(name).type)} AS p_{name}" for name in names]
    flags = [
        f"coalesce({_lost(name)}, false) AS bad_{name}"
        if _lost(name) in ready.column_names
        else f"({name} IS NOT NULL AND p_{name} IS NULL) AS bad_{name}"
        for name in flagged
    ]
    final = [
        f"{_decided(field.name, names)} AS {field.name}"
        if field.name in names
        else f"NULL AS {field.name}"
        for field in schema
    ]
    final += [f"bad_{name}" for name in flagged]
    return (
        f"SELECT {', '.join(final)} FROM (SELECT *, {', '.join(flags)} FROM"
        f" (SELECT *, {', '.join(read)} FROM ready))"
    )


def _decided(name: str, have: Sequence[str]) -> str:
    """Return what a column comes out as, given which values could not be read.

    INVARIANT: an unreadable value never admits more. A time of writing is the earlier of
    two, so one that is lost takes the other with it; a deletion that is lost stays a
    deletion; facts of a row that counts since nobody knows when are not known.
    """
    unknown_if = {
        "written_at": ("written_at", "first_seen_at"),
        "first_seen_at": ("written_at", "first_seen_at"),
        "country": ("since",),
        "birth_date": ("since",),
    }
    if name == "deleted_at":
        epoch = "TIMESTAMPTZ '1970-01-01 00:00:00Z'"
        return f"CASE WHEN bad_deleted_at THEN {epoch} ELSE p_deleted_at END"
    causes = [f"bad_{cause}" for cause in unknown_if.get(name, ()) if cause in have]
    if not causes:
        return f"p_{name}"
    return f"CASE WHEN {' OR '.join(causes)} THEN NULL ELSE p_{name} END"


def _lost(name: str) -> str:
    return f"lost_{name}"


def _read(name: str, kind: pa.DataType) -> str:
    """Return the SQL that reads one prepared column."""
    if name == "mentions":
        return name if pa.types.is_list(kind) else f"as_names({name})"
    if name in TIMES:
        return f"as_instant({name})" if pa.types.is_string(kind) else name
    if name == "birth_date":
        return f"as_birth_date({name})"
    if name not in IDS:
        return f"{name}::VARCHAR"
    if pa.types.is_floating(kind):
        whole = f"isfinite({name}) AND {name} = trunc({name}) AND abs({name}) <= {EXACT_LIMIT}"
        return f"CASE WHEN {whole} THEN {name}::BIGINT::VARCHAR END"
    if pa.types.is_decimal(kind):
        return f"CASE WHEN {name} = trunc({name}) THEN {name}::DECIMAL(38, 0)::VARCHAR END"
    return f"{name}::VARCHAR"


def _prepared(name: str, column: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """Return the column in a form that `_read` knows, and `lost_` where it lost a time."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        return _prepared(name, pa.chunked_array(chunks, kind.storage_type))
    if pa.types.is_dictionary(kind):
        return _prepared(name, column.cast(kind.value_type))
    if pa.types.is_null(kind):
        return {name: column.cast(pa.string())}
    if name == "mentions" and not _is_text(kind):
        return {name: column.cast(pa.list_(pa.string()))}
    if _is_text(kind):
        column = column.cast(pa.string())
        # An empty text is no value, as in CSV; but an empty code is no code.
        if name in IDS or name in TIMES or name in {"mentions", "birth_date"}:
            column = pc.if_else(pc.equal(column, ""), None, column)
        return {name: column}
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if name in TIMES:
            return _instants(name, column)
        return {name: column.cast(pa.string())}
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column).cast(pa.float64())
        if name in IDS:
            return {name: column}
        # Whole numbers come as floats where a column has gaps: the year 1990 as 1990.0.
        return {name: pc.replace_substring_regex(column.cast(pa.string()), r"\.0$", "")}
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return {name: column.cast(pa.string())}
    if pa.types.is_decimal128(kind) and name in IDS:
        return {name: column}
    raise pa.ArrowNotImplementedError(str(kind))


def _instants(name: str, column: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """Return instants (UTC, microseconds), null where the calendar does not reach."""
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s" if pa.types.is_date32(kind) else "ms"))
        kind = column.type
    ticks = _PER_SECOND[kind.unit]
    number = column.cast(pa.int64())
    within = pc.and_(
        pc.greater_equal(number, max(FIRST_SECOND * ticks, -(2**63))),
        pc.less_equal(number, min(LAST_SECOND * ticks, 2**63 - 1)),
    )
    kept = pc.if_else(within, column, pa.scalar(None, kind))
    instants = kept.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(INSTANT)
    return {name: instants, _lost(name): pc.invert(within)}


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _not_convertible(file: str, name: str, kind: pa.DataType) -> InputError:
    return InputError(
        f"column '{name}' of '{file}' cannot be of type '{kind}'",
        hint="make it text, whole numbers, or a time if it holds times",
        column=name,
    )
