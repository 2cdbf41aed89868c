"""Midnights of many days at once, read from the transitions of the tz database.

Promises: what `sayso.model.last_midnight` says, by columns. Does not know rules.

A zone's file lists its transitions and ends in a rule for the time after them. Days before
the last transition are looked up; days after it are computed once per rule and kept, since
a handful of rules serves all zones.

Source: RFC 9636 (TZif), section 3; PEP 495 for midnights that the clocks skip or repeat.
"""

import io
import struct
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from sayso.model import ANYWHERE, Country
from sayso.rulebook.civil import read_zone, zone, zone_names

Ints = npt.NDArray[np.int64]

DAY_SECONDS = 86_400
# Days kept for each closing rule begin in 1970. Others are computed one by one.
LAST_YEAR = 2109
RULE_DAYS = (date(LAST_YEAR + 1, 1, 1) - date(1970, 1, 1)).days
_EPOCH_DAY = date(1970, 1, 1)


def last_midnights(country: Country, days: Ints) -> Ints:
    """Return when each day has begun everywhere in a country.

    Args:
        country: ISO 3166-1 alpha-2.
        days: Days since 1970-01-01, shape (n,).

    Returns:
        Seconds since 1970, UTC, shape (n,).
    """
    names = zone_names(country)
    if not names:
        widest = max(-_offset(each, _EPOCH_DAY) for each in ANYWHERE)
        return days * DAY_SECONDS + widest
    latest = _midnights(names[0], days)
    for name in names[1:]:
        latest = np.maximum(latest, _midnights(name, days))
    return latest


def _midnights(name: str, days: Ints) -> Ints:
    wall, offsets, closing = _transitions(name)
    local = days * DAY_SECONDS
    place = np.searchsorted(wall, local, side="right")
    found = local - offsets[place]
    # After the last transition the closing rule speaks.
    later = np.flatnonzero(place == len(wall))
    if len(later):
        found[later] = local[later] - _closing_offsets(name, closing, days[later])
    return found


@lru_cache(maxsize=512)
def _transitions(name: str) -> tuple[Ints, Ints, str]:
    """Return wall times of transitions, the offset before each and after the last, the rule.

    A midnight that stands in a gap or an overlap counts with the offset before it, so that
    a transition takes effect at the later of its two wall times.
    """
    data = read_zone(name)
    start = 44 + _body_bytes(data, 0, 4)
    times, types = struct.unpack_from(">6l", data, start + 20)[3:5]
    at = start + 44
    instants = np.frombuffer(data, ">i8", times, at).astype(np.int64)
    kinds = np.frombuffer(data, np.uint8, times, at + 8 * times)
    table = at + 9 * times
    utoff = np.array(
        [struct.unpack_from(">l", data, table + 6 * kind)[0] for kind in range(types)], np.int64
    )
    # Before the first transition, the first type (RFC 9636, 3.2: time type 0).
    offsets = np.concatenate([utoff[:1], utoff[kinds]])
    wall = instants + np.maximum(offsets[:-1], offsets[1:])
    closing = data[start + 44 + _body_bytes(data, start, 8) :].decode("ascii").strip("\n")
    return wall, offsets, closing


def _body_bytes(data: bytes, start: int, time_bytes: int) -> int:
    """Return the length of the data block whose header stands at `start`."""
    isut, isstd, leaps, times, types, chars = struct.unpack_from(">6l", data, start + 20)
    body = times * time_bytes + times + types * 6 + chars + leaps * (time_bytes + 4) + isstd + isut
    return int(body)


def _closing_offsets(name: str, closing: str, days: Ints) -> Ints:
    if "," not in closing:  # no rule: the last offset for ever
        return np.full(len(days), _transitions(name)[1][-1], np.int64)
    table = _ruled(closing)
    inside = (days >= 0) & (days < RULE_DAYS)
    found = np.empty(len(days), np.int64)
    found[inside] = table[days[inside]]
    own = zone(name)
    for place in np.flatnonzero(~inside).tolist():
        found[place] = _offset(own, _EPOCH_DAY + timedelta(days=int(days[place])))
    return found


@lru_cache(maxsize=64)
def _ruled(closing: str) -> Ints:
    """Return the offset at midnight of every day from 1970 under a closing rule."""
    # A zone of nothing but the rule: an empty version 2 file with this footer.
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 1)
    block = header + struct.pack(">lBB", 0, 0, 0) + b"\x00"
    ruled = ZoneInfo.from_file(io.BytesIO(block + block + b"\n" + closing.encode() + b"\n"))
    # Such a rule speaks of months, weeks and weekdays: 14 kinds of year are all there are.
    kinds: dict[tuple[bool, int], list[int]] = {}
    offsets: list[int] = []
    for year in range(1970, LAST_YEAR + 1):
        first = date(year, 1, 1)
        length = (date(year + 1, 1, 1) - first).days
        kind = (length == 366, first.weekday())
        if kind not in kinds:
            kinds[kind] = [_offset(ruled, first + timedelta(days=day)) for day in range(length)]
        offsets += kinds[kind]
    return np.array(offsets, np.int64)


def _offset(zone_of_day: tzinfo, day: date) -> int:
    local = datetime(day.year, day.month, day.day, tzinfo=zone_of_day)
    return int((local.utcoffset() or timedelta(0)).total_seconds())
