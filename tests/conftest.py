"""Fixtures of all tests: databases, ledgers, workspaces.

A test that takes `ledger` or `ledger_url` runs on SQLite and on PostgreSQL. Where no
PostgreSQL answers, its half is skipped and the end of the run says so. So it is with Spark and
with Chromium.
"""

import importlib.util
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from sayso.decision.spark import open_session
from sayso.ledger import Ledger, open_ledger
from sayso.opening import FOLDERS, init_workspace
from sayso.workspace import Workspace
from tests.town import Clock

SERVER = os.environ.get("SAYSO_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
NO_SERVER = "no PostgreSQL answers"
NO_SPARK = "no Spark"
NO_CHROMIUM = "no Chromium"

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def answers() -> bool:
    """Whether the PostgreSQL server is there."""
    try:
        psycopg.connect(f"{SERVER}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The server's address, or a skip that `pytest_terminal_summary` repeats."""
    if not answers():
        pytest.skip(f"{NO_SERVER} at {SERVER}")
    return SERVER


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested."""
    skipped = terminalreporter.stats.get("skipped", [])
    lost = [one for one in skipped if NO_SERVER in str(one.longrepr)]
    if lost:
        terminalreporter.section("POSTGRESQL WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(lost)} tests were skipped: {NO_SERVER} at {SERVER}", red=True)
    lost = [one for one in skipped if NO_SPARK in str(one.longrepr)]
    if lost:
        terminalreporter.section("SPARK WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(lost)} tests were skipped: {why_no_spark()}", red=True)
    lost = [one for one in skipped if NO_CHROMIUM in str(one.longrepr)]
    if lost:
        terminalreporter.section("BROWSERS WERE NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{len(lost)} tests were skipped: {NO_CHROMIUM}; 'make browser' installs it", red=True
        )


def why_no_spark() -> str:
    """Say why Spark cannot be tested here; nothing where it can."""
    if importlib.util.find_spec("pyspark") is None:
        return "the package 'pyspark' is not installed"
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "there is no Java"
    return ""


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """The one session of Spark of this run, or a skip that `pytest_terminal_summary` repeats."""
    if reason := why_no_spark():
        pytest.skip(f"{NO_SPARK}: {reason}")
    with pytest.MonkeyPatch.context() as patch:
        # Half of a short session goes into compiling well what runs once.
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
        session = open_session()
        yield session
        session.stop()


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> Iterator[str]:
    """The name of a database of this run's own, dropped at its end."""
    name = f"sayso_test_{secrets.token_hex(6)}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as con:
        con.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield name
    finally:
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as con:
            con.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def postgres_url(postgres_server: str, postgres_database: str) -> str:
    """An empty database, with nobody in it."""
    with psycopg.connect(f"{postgres_server}/{postgres_database}", autocommit=True) as con:
        con.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        con.execute("DROP SCHEMA public CASCADE")
        con.execute("CREATE SCHEMA public")
    url = sa.make_url(postgres_server)
    url = url.set(drivername="postgresql+psycopg", database=postgres_database)
    return url.render_as_string(hide_password=False)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """`sqlite` and `postgres`."""
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folders of a workspace, empty."""
    place = tmp_path / "ws"
    for name in FOLDERS:
        (place / name).mkdir(parents=True)
    return place


@pytest.fixture
def ledger_url(database: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    if database == "sqlite":
        return f"sqlite:///{folder / 'ledger.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def ledger(ledger_url: str, folder: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    opened = open_ledger(ledger_url, folder)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that moves one second whenever it is read."""
    return Clock()


@pytest.fixture
def workspace(tmp_path: Path, clock: Clock) -> Iterator[Workspace]:
    """A workspace on SQLite with the rulebook of 2024 and 2025."""
    made = init_workspace(tmp_path / "ws", clock, template="linkedin-2024")
    yield made
    made.close()
