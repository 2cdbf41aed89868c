"""Countries by name.

Promises: a code only for a name that the time zone database gives a code, or for one of
the few official spellings listed here. Anything else is None, never a guess.

Example:
    >>> country_code("Germany"), country_code("gb"), country_code("Atlantis")
    ('DE', 'GB', None)
"""

from functools import cache
from importlib import resources

# Official spellings that iso3166.tab shortens or turns around ("Britain (UK)",
# "Korea (South)"). Source: ISO 3166-1 short names in English.
_SPELLINGS = {
    "united kingdom": "GB",
    "great britain": "GB",
    "united states of america": "US",
    "south korea": "KR",
    "republic of korea": "KR",
    "north korea": "KP",
    "czechia": "CZ",
    "türkiye": "TR",
    "hong kong sar": "HK",
    "hong kong sar, china": "HK",
    "macau sar": "MO",
    "russian federation": "RU",
    "bosnia and herzegovina": "BA",
    "trinidad and tobago": "TT",
    "antigua and barbuda": "AG",
    "the netherlands": "NL",
    "myanmar": "MM",
    "eswatini": "SZ",
    "ivory coast": "CI",
    "democratic republic of the congo": "CD",
    "republic of the congo": "CG",
    "united arab emirates": "AE",
}


@cache
def _codes() -> dict[str, str]:
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab")
    codes = dict(_SPELLINGS)
    for line in table.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            code, name = line.split("\t", 1)
            codes[name.lower()] = code
            codes[code.lower()] = code
    return codes


def country_code(text: str) -> str | None:
    """Return the ISO 3166-1 alpha-2 code of a country named in English, or None."""
    return _codes().get(" ".join(text.split()).lower())
