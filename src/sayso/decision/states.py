"""Members classified once: one packed number per member, looked up per record.

Promises: the member's part of every decision, computed from `sayso.decision.one` and the
cells, as one 64-bit state per member. Does not look at records.

A state packs, from the low bits up: the *standing* (20 bits: an index of the distinct pairs
of country and member mask) and the second at which the member comes of age (counted from 1 at
the beginning of the calendar; 0 where no age is known or asked). State 0 is a member of whom
nothing is known.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sayso.decision.cells import CHOICES, PRESENCES, STATUSES, Cells
from sayso.decision.one import OLDEST_YEARS, Age
from sayso.model import Choice, Country, Presence, Status
from sayso.rulebook.midnights import last_midnights
from sayso.tables import connect

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.integer[Any]]

STANDING_BITS = 20
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The calendar begins here, in microseconds since 1970; nothing was written before.
CALENDAR_US = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
# From year 1 to 9999 a coming of age is within 2^39 seconds of this; 0 stays free.
AGE_OFFSET_SECONDS = 1 - CALENDAR_US // 1_000_000
# Stands where a country is unknown, in counts by country.
UNKNOWN_COUNTRY = "unknown"

# One row per member: what the ledger folds and the engine classifies.
STANDING_SCHEMA = pa.schema(
    [
        ("member_id", pa.string()),  # canonical text of the id
        ("presence", pa.int8()),  # Presence
        ("country", pa.string()),  # null: unknown
        ("born", pa.date32()),  # null: missing or impossible; a year alone is its last day
        ("status", pa.string()),  # null: unknown
        ("choice", pa.string()),  # Choice
        ("notice", pa.int8()),  # bit 0: a rule saw no notice, bit 1: a rule still waits
    ]
)


@dataclass(frozen=True)
class MemberStates:
    """One row per member, and what their standings mean.

    Attributes:
        ids: Member ids, as int64 where the content's are integers, else text.
        packed: State of each, shape (members,).
        mask: Member's part of the reasons, shape (standings,), uint32.
        profile: Index into `Cells.profiles`, shape (standings,).
        country: Index into `countries`, shape (standings,).
        earliest_us: Writing time before which some rule refuses, shape (standings,).
        left: Members whose ids are text where the content's are integers: they wrote none of it.
    """

    cells: Cells
    ids: pa.Array = field(repr=False)
    packed: Ints = field(repr=False)
    mask: npt.NDArray[np.uint32] = field(repr=False)
    profile: npt.NDArray[np.int32] = field(repr=False)
    country: npt.NDArray[np.int32] = field(repr=False)
    earliest_us: Ints = field(repr=False)
    countries: tuple[str, ...] = field(repr=False)
    left: "MemberStates | None" = field(default=None, repr=False)


def microseconds(instant: datetime) -> int:
    """Return microseconds since 1970 of an aware instant, exactly."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def codes_of(column: pa.Array | pa.ChunkedArray, names: tuple[str, ...]) -> Codes:
    """Return the index of each value in `names`; null and anything else is len(names).

    Bytes where they hold one code more than these, else 32 bits.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # an empty chunked array stays one
        array = pa.array([], column.type)
    unknown = len(names)
    kind = np.uint8 if unknown + 1 < 1 << 8 else np.int32
    if array.null_count == len(array):
        return np.full(len(array), unknown, kind)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    place = {name: index for index, name in enumerate(names)}
    values = [place.get(value, unknown) for value in array.dictionary.to_pylist()]
    table = np.array([*values, unknown], kind)
    indices = array.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), len(values))
    codes: Codes = table.take(indices.to_numpy(zero_copy_only=False))
    return codes


def classify_members(cells: Cells, standing: pa.Table, *, integer_ids: bool) -> MemberStates:
    """Return the state of every member in `standing` (columns of STANDING_SCHEMA).

    Args:
        cells: What is in force, tabulated.
        standing: One row per member; ids in canonical text.
        integer_ids: Give the ids that are canonical integers as int64, and the others,
            which no integer of the content can equal, as `left`.
    """
    left = None
    if integer_ids:
        standing, others = _split_by_ids(standing)
        if others.num_rows:
            left = classify_members(cells, others, integer_ids=False)
    at = cells.in_force.at
    countries = tuple(sorted(cells.profile_of))
    profiles = np.array([*(cells.profile_of[Country(c)] for c in countries), 0], np.int32)
    presence = standing["presence"].to_numpy().astype(np.int64)
    country = _country_codes(standing["country"], countries)
    country[presence != PRESENCES.index(Presence.KNOWN)] = len(countries)
    status = codes_of(standing["status"], tuple(Status))
    choice = codes_of(standing["choice"], tuple(Choice)).astype(np.int64)
    choice[choice == len(CHOICES)] = CHOICES.index(Choice.UNSET)
    notice = standing["notice"].to_numpy().astype(np.int64)
    age, of_age = _ages(cells, at, standing["born"], country, countries)
    mask = cells.member[profiles[country], presence, status, notice, age, choice]
    pairs, standing_of = np.unique(
        country.astype(np.int64) << 32 | mask.astype(np.int64), return_inverse=True
    )
    # Standing 0 is nobody: the member of whom there is no row.
    nobody = cells.member[0, PRESENCES.index(Presence.UNKNOWN), len(STATUSES) - 1, 0, 0, 0]
    country_of = np.concatenate([[len(countries)], pairs >> 32]).astype(np.int32)
    return MemberStates(
        cells=cells,
        ids=standing["member_id"].combine_chunks()
        if standing.num_rows
        else pa.array([], standing.schema.field("member_id").type),
        packed=(standing_of.astype(np.int64) + 1) | of_age << STANDING_BITS,
        mask=np.concatenate([[nobody], pairs & 0xFFFFFFFF]).astype(np.uint32),
        profile=profiles[country_of],
        country=country_of,
        earliest_us=_earliest(cells, countries)[country_of],
        countries=(*countries, UNKNOWN_COUNTRY),
        left=left,
    )


def _split_by_ids(standing: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows whose id is the canonical text of a 64-bit integer, as int64, and the others.

    Where the ids are integers already, there are no others.
    """
    if pa.types.is_integer(standing.schema.field("member_id").type):
        return standing, standing.slice(0, 0)
    number = "TRY_CAST(member_id AS BIGINT)"
    with connect() as con:
        con.register("standing", standing)
        kept = con.sql(
            f"SELECT {number} member_id, * EXCLUDE (member_id) FROM standing "
            f"WHERE {number}::VARCHAR = member_id"
        ).to_arrow_table()
        if kept.num_rows == standing.num_rows:
            return kept, standing.slice(0, 0)
        others = f"SELECT * FROM standing WHERE {number}::VARCHAR IS DISTINCT FROM member_id"
        return kept, con.sql(others).to_arrow_table()


def _country_codes(column: pa.ChunkedArray, countries: tuple[str, ...]) -> Ints:
    place = {name: index for index, name in enumerate(countries)}
    encoded = column.combine_chunks() if column.num_chunks else pa.array([], pa.string())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.array([], pa.string())
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    values = [place.get(v, len(countries)) for v in encoded.dictionary.to_pylist()]
    table = np.array([*values, len(countries)], np.int64)
    indices = pc.fill_null(encoded.indices.cast(pa.int64()), len(values))
    codes: Ints = table.take(indices.to_numpy(zero_copy_only=False))
    return codes


def _ages(
    cells: Cells, at: datetime, born: pa.ChunkedArray, country: Ints, countries: tuple[str, ...]
) -> tuple[Ints, Ints]:
    """Return the age class and the packed coming of age of every member.

    The comparisons of `sayso.decision.one.of_age_at`, by columns: one country at a time.
    """
    missing = np.iinfo(np.int32).min
    days = pc.fill_null(born.cast(pa.int32()), missing).to_numpy().astype(np.int64)
    age = np.full(len(days), Age.NOT_ASKED, np.int64)
    of_age = np.zeros(len(days), np.int64)
    at_us = microseconds(at)
    oldest = (date(max(at.year - OLDEST_YEARS, 1), 1, 1) - EPOCH.date()).days
    newest = (date.max - EPOCH.date()).days
    order = np.argsort(country, kind="stable")
    bounds = np.searchsorted(country[order], np.arange(len(countries) + 1))
    for place, name in enumerate(countries):
        rows = order[bounds[place] : bounds[place + 1]]
        law = cells.in_force.jurisdiction(name) if len(rows) else None
        if law is None or law.minimum_age is None:
            continue
        age[rows] = Age.UNKNOWN
        rows = rows[(days[rows] >= oldest) & (days[rows] <= newest)]
        rows = rows[_begun(Country(name), days[rows]) * 1_000_000 <= at_us]
        day = _birthdays(days[rows], law.minimum_age)
        rows, day = rows[day <= newest], day[day <= newest]
        come = _begun(Country(name), day)
        age[rows] = np.where(come * 1_000_000 <= at_us, Age.REACHED, Age.UNDER)
        of_age[rows] = np.maximum(come + AGE_OFFSET_SECONDS, 1)
    return age, of_age


def _begun(country: Country, days: Ints) -> Ints:
    """Return when days have begun everywhere in a country, each day looked up once."""
    if not len(days):
        return days
    low, high = int(days.min()), int(days.max())
    if high - low > len(days):
        return last_midnights(country, days)
    return last_midnights(country, np.arange(low, high + 1))[days - low]


def _birthdays(born_days: Ints, years: int) -> Ints:
    """Return the day on which `years` are completed; 29 February counts on 1 March."""
    born = born_days.astype("datetime64[D]")
    month = born.astype("datetime64[M]")
    within = born - month.astype("datetime64[D]")
    # The 29th day counted from 1 February is 1 March where there is none.
    days: Ints = ((month + 12 * years).astype("datetime64[D]") + within).astype(np.int64)
    return days


def _earliest(cells: Cells, countries: tuple[str, ...]) -> Ints:
    lowest = np.iinfo(np.int64).min
    bounds = np.full(len(countries) + 1, lowest, np.int64)
    for index, country in enumerate(countries):
        law = cells.in_force.jurisdiction(country)
        limits = [held.earliest_at for held in law.rules if held.earliest_at] if law else []
        if limits:
            bounds[index] = microseconds(max(limits))
    return bounds
