"""Fixtures of the service's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.web.asking import Moment, Service, open_test_desk, serving
from tests.unit.web.house import House, made_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A platform with members, seen through browsers."""
    with made_house(tmp_path) as made:
        yield made


@pytest.fixture
def moment() -> Moment:
    """The clock of the service."""
    return Moment()


@pytest.fixture
def service(tmp_path: Path, moment: Moment) -> Iterator[Service]:
    """A service on SQLite."""
    yield from serving(open_test_desk(tmp_path / "ws", moment), moment)


@pytest.fixture
def either(
    tmp_path: Path, moment: Moment, database: str, request: pytest.FixtureRequest
) -> Iterator[Service]:
    """A service on SQLite, and one on PostgreSQL."""
    url = "sqlite:///ledger.db"
    if database != "sqlite":
        url = str(request.getfixturevalue("postgres_url"))
    yield from serving(open_test_desk(tmp_path / "ws", moment, url), moment)
