"""Countries and their zones, from one pinned copy of the tz database.

Promises: the same answer on every machine, since the `tzdata` package is read and never
the system's files. Does not know rules.

Example:
    >>> "HK" in COUNTRIES
    True
"""

from datetime import tzinfo
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import tzdata

from sayso.model import ANYWHERE, Country

TZDATA_VERSION: str = tzdata.IANA_VERSION

_ZONEINFO = files("tzdata") / "zoneinfo"


def _rows(name: str) -> list[list[str]]:
    text = (_ZONEINFO / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


# ISO 3166-1 alpha-2 -> the name that the tz database gives the country.
COUNTRY_NAMES: dict[str, str] = {row[0]: row[1] for row in _rows("iso3166.tab")}
COUNTRIES: frozenset[str] = frozenset(COUNTRY_NAMES)


@lru_cache(maxsize=1)
def _zone_names() -> dict[str, tuple[str, ...]]:
    names: dict[str, list[str]] = {}
    for code, _coordinates, zone, *_comment in _rows("zone.tab"):
        names.setdefault(code, []).append(zone)
    return {code: tuple(zones) for code, zones in names.items()}


def zone_names(country: Country) -> tuple[str, ...]:
    """Return the names of a country's zones; none for a country that zone.tab lacks."""
    return _zone_names().get(country, ())


def read_zone(name: str) -> bytes:
    """Return the TZif file of a zone."""
    return (_ZONEINFO / name).read_bytes()


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return a zone by its name."""
    with (_ZONEINFO / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=512)
def zones_of(country: Country) -> tuple[tzinfo, ...]:
    """Return the zones of a country, in the order of zone.tab.

    Returns:
        A day as wide as the clock (UTC+12 and UTC-12) for a country that zone.tab lacks.

    Source: IANA zone.tab, as shipped in the `tzdata` package.
    """
    return tuple(zone(name) for name in zone_names(country)) or ANYWHERE
