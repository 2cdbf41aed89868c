from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from sayso.model import Country, last_midnight
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.rulebook.midnights import LAST_YEAR, last_midnights

EPOCH = date(1970, 1, 1)
# Every day about the turn of a century, of the epoch and of what is computed one by one.
DAYS = [
    date(year, 1, 1) + timedelta(days=day)
    for year in (1900, 1969, 1996, 2025, LAST_YEAR)
    for day in range(-3, 369)
]
FEW = [date(1850, 6, 1), date(1883, 11, 18), date(2200, 7, 1), date(9999, 12, 31)]


def seconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


@pytest.mark.parametrize("part", range(8))
def test_midnights_by_columns_are_those_of_the_model(part: int) -> None:
    for country in sorted(COUNTRIES)[part::8]:
        days = [*DAYS, *FEW]
        zones = zones_of(Country(country))
        column = np.array([(day - EPOCH).days for day in days], np.int64)
        found = last_midnights(Country(country), column).tolist()
        expected = [seconds(last_midnight(day, zones)) for day in days]
        assert found == expected, country


def test_no_day_has_no_midnight() -> None:
    for country in ("HK", "BV"):
        assert last_midnights(Country(country), np.empty(0, np.int64)).tolist() == []
