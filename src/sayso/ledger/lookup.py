"""Rows of immutable files, looked up by member: for a process that asks about one at a time.

Promises: gives the rows that the file holds of a member, in microseconds and for millions of
members; rows of the erased, which are null, are not held. Does not know which file counts.

A file's rows stand in memory as Arrow columns sorted by the bytes of the id, found by halving:
about 40 bytes a row and the id.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, overload

import pyarrow as pa

from sayso.ledger.standing import ALWAYS_US, NEVER_US, ChoiceEntry, MemberRow
from sayso.model import Choice, Country, Dated, Outcome, permits_at, stops_at
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.tables import connect, quoted

_MEMBERS = ("country", "born", "status", "since_us", "since_day", "since_odd")
_NOTICES = ("purpose", "served_us")
_CHOICES = ("purpose", "choice", "effective_us", "country")
# Columns of few values.
_CODES = frozenset({"country", "status", "purpose", "choice"})


class _Texts(Sequence[bytes]):
    """The bytes of a text column, one by one."""

    def __init__(self, column: pa.Array) -> None:
        _, offsets, data = column.buffers()
        self._rows = len(column)
        self._from = memoryview(offsets or b"").cast("q")[column.offset :]
        self._data = memoryview(data or b"")

    def __len__(self) -> int:
        return self._rows

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(self._rows))]
        return bytes(self._data[self._from[place] : self._from[place + 1]])


class ByMember:
    """Rows sorted by their member.

    Args:
        table: Column member_id (text, never null) and others, sorted by its bytes.
    """

    def __init__(self, table: pa.Table) -> None:
        table = table.combine_chunks()
        ids = table["member_id"].cast(pa.large_string())
        self._ids = ids.chunk(0) if ids.num_chunks else pa.array([], pa.large_string())
        self._texts = _Texts(self._ids)
        self._columns = [
            column.chunk(0) if column.num_chunks else pa.array([], column.type)
            for column in table.columns[1:]
        ]
        self._names = table.column_names

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._texts)

    def places(self, member_id: str) -> range:
        """Return the places of a member's rows."""
        who = member_id.encode()
        first = bisect_left(self._texts, who)
        if first == len(self._texts) or self._texts[first] != who:
            return range(first, first)
        return range(first, bisect_right(self._texts, who, first))

    def rows(self, member_id: str) -> list[tuple[Any, ...]]:
        """Return a member's rows, without the id."""
        return [
            tuple(column[place].as_py() for column in self._columns)
            for place in self.places(member_id)
        ]

    def merged(self, other: "ByMember") -> "ByMember":
        """Return the rows of both."""
        both = pa.concat_tables([self.plain(), other.plain()])
        return ByMember(_coded(both.sort_by("member_id")))

    def plain(self) -> pa.Table:
        """Return the rows, codes as texts."""
        plain = [_decoded(column) for column in self._columns]
        return pa.table([self._ids, *plain], names=self._names)


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _coded(table: pa.Table) -> pa.Table:
    for place, name in enumerate(table.column_names):
        if name in _CODES:
            column = table.column(place).combine_chunks()
            table = table.set_column(place, name, column.dictionary_encode())
    return table.unify_dictionaries()


def _load(path: Path, columns: tuple[str, ...], where: str) -> ByMember:
    with connect() as duck:
        found = duck.sql(
            f"SELECT member_id, {', '.join(columns)} FROM read_parquet({quoted(str(path))}) "
            f"WHERE member_id IS NOT NULL AND {where} ORDER BY member_id"
        ).to_arrow_table()
    return ByMember(_coded(found))


def load_members(path: Path) -> ByMember:
    """Return the rows of a version of the members table."""
    return _load(path, _MEMBERS, "true")


def load_notices(path: Path) -> ByMember:
    """Return the delivered notices of a version of the notices table."""
    return _load(path, _NOTICES, f"outcome = '{Outcome.DELIVERED}'")


def load_choices(path: Path) -> ByMember:
    """Return the choices of a segment."""
    return _load(path, _CHOICES, "true")


def member_rows(index: ByMember | None, who: str) -> list[MemberRow]:
    """Return a member's rows with their bounds, as `sayso.ledger.fold` resolves them."""
    if index is None:
        return []
    return [
        MemberRow(country, born, status, *_bounds(country, since_us, since_day, odd=odd))
        for country, born, status, since_us, since_day, odd in index.rows(who)
    ]


def _bounds(
    country: str | None, since_us: int | None, since_day: date | None, *, odd: bool
) -> tuple[int, int]:
    if odd:
        return ALWAYS_US, NEVER_US
    if since_day is None:
        us = ALWAYS_US if since_us is None else since_us
        return us, us
    zones = zones_of(Country(country if country in COUNTRIES else ""))
    bound = Dated(since_day)
    # Midnights are whole seconds, so that nothing is lost in the float.
    return (
        int(stops_at(bound, zones).timestamp()) * 1_000_000,
        int(permits_at(bound, zones).timestamp()) * 1_000_000,
    )


def served_us(index: ByMember | None, who: str, purpose: str, at_us: int) -> list[int]:
    """Return when a member was served notices of a purpose, none after `at_us`."""
    if index is None:
        return []
    return [us for named, us in index.rows(who) if named == purpose and us <= at_us]


def choice_entries(
    rows: Sequence[tuple[str, str, int, str | None]], purposes: frozenset[str]
) -> list[ChoiceEntry]:
    """Return the choices of some purposes, from rows (purpose, choice, effective_us, country)."""
    return [
        ChoiceEntry(Choice(choice), us, country)
        for named, choice, us, country in rows
        if named in purposes
    ]
