"""Civil time: when a date begins in the zones of a country.

A date begins at midnight. Where a country has several zones, what stops begins with the
first of the midnights and what permits with the last.
"""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from sayso.model.rules import Dated


@lru_cache(maxsize=1 << 16)
def first_midnight(day: date, zones: tuple[tzinfo, ...]) -> datetime:
    """Return the first instant (UTC) at which `day` has begun in one of `zones`.

    A midnight that the clocks skip is the instant of the skip (PEP 495, fold=0).
    """
    return min(_midnight(day, zone) for zone in zones)


@lru_cache(maxsize=1 << 16)
def last_midnight(day: date, zones: tuple[tzinfo, ...]) -> datetime:
    """Return the instant (UTC) at which `day` has begun in the last of `zones`."""
    return max(_midnight(day, zone) for zone in zones)


def _midnight(day: date, zone: tzinfo) -> datetime:
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    # Subtracting the offset by hand: years 1 and 9999 would overflow astimezone.
    offset = local.utcoffset() or timedelta(0)
    try:
        return local.replace(tzinfo=UTC) - offset
    except OverflowError:
        return local.replace(tzinfo=UTC)


def stops_at(bound: Dated, zones: tuple[tzinfo, ...]) -> datetime:
    """Return when something that stops begins: the first of the midnights."""
    if isinstance(bound.value, datetime):
        return bound.value
    return first_midnight(bound.value, zones)


def permits_at(bound: Dated, zones: tuple[tzinfo, ...]) -> datetime:
    """Return when something that permits begins: the last of the midnights."""
    if isinstance(bound.value, datetime):
        return bound.value
    return last_midnight(bound.value, zones)


def birthday(born: date, years: int) -> date | None:
    """Return the day on which `years` are completed; 29 February counts on 1 March.

    Returns:
        None where the calendar ends first.
    """
    year = born.year + years
    if year > date.max.year:
        return None
    if (born.month, born.day) == (2, 29) and not _is_leap(year):
        return date(year, 3, 1)
    return born.replace(year=year)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


# A country that zone.tab does not list (two uninhabited ones) gets the widest day there is.
ANYWHERE: tuple[tzinfo, ...] = (timezone(timedelta(hours=12)), timezone(timedelta(hours=-12)))
