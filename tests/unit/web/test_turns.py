"""A turn is had by one at a time, and by nobody once its process is gone."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from sayso.errors import UnavailableError
from sayso.ledger import Ledger, open_ledger
from sayso.web.turns import FOLDER, Turns
from tests.e2e.cli import environment

NAME = "what two want to do"
SECONDS = 20

HOLDER = """
import sys, time
from pathlib import Path
from sayso.ledger import open_ledger
from sayso.web.turns import Turns

ledger = open_ledger(sys.argv[1], Path(sys.argv[2]))
with Turns(ledger).take(sys.argv[3]) as is_mine:
    print(is_mine, flush=True)
    time.sleep(600)
"""


@contextmanager
def turns_of(ledger: Ledger) -> Iterator[Turns]:
    made = Turns(ledger)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def two(ledger: Ledger) -> Iterator[tuple[Turns, Turns]]:
    """Those of two workers."""
    with ExitStack() as stack:
        yield stack.enter_context(turns_of(ledger)), stack.enter_context(turns_of(ledger))


def test_one_at_a_time_has_a_turn(two: tuple[Turns, Turns]) -> None:
    one, other = two
    with one.take(NAME) as first:
        with other.take(NAME) as second, one.take(NAME) as third, one.take("another") as fourth:
            assert (first, second, third, fourth) == (True, False, False, True)
        with other.take(NAME) as still:
            assert not still, "who had no turn gave none back"
    with other.take(NAME) as then:
        assert then


def test_a_turn_is_given_back_after_an_error(two: tuple[Turns, Turns]) -> None:
    one, other = two
    with pytest.raises(ValueError, match="amid"), one.take(NAME):
        raise ValueError("amid it")
    with other.take(NAME) as is_mine:
        assert is_mine


def test_a_process_that_is_killed_leaves_its_turn_at_once(ledger: Ledger, ledger_url: str) -> None:
    place = [ledger_url, str(ledger.folder), NAME]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *place], stdout=subprocess.PIPE, encoding="utf-8",
        env=environment(),
    )  # fmt: skip
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "True\n"
        with turns_of(ledger) as mine:
            with mine.take(NAME) as is_mine:
                assert not is_mine
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            assert _had(mine)
    finally:
        holder.kill()
        holder.communicate()


def _had(turns: Turns) -> bool:
    """Whether the turn is had before long; PostgreSQL ends a session when it next looks."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with turns.take(NAME) as is_mine:
            if is_mine:
                return True
        time.sleep(0.02)
    return False


def test_no_file_is_left(ledger: Ledger) -> None:
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL keeps no files")
    place = ledger.folder / FOLDER
    place.mkdir()
    (place / ("a" * 64)).touch()
    with turns_of(ledger) as mine:
        with mine.take(NAME):
            assert len(list(place.iterdir())) == 1
        assert list(place.iterdir()) == []


def test_a_turn_that_is_had_outlives_its_worker_s_close(ledger: Ledger) -> None:
    """A graceful stop does not wait for a request for ever; nobody else begins it anew."""
    one = Turns(ledger)
    with turns_of(ledger) as other:
        with one.take(NAME) as first:
            with one.take("another"):
                pass
            one.close()
            with other.take(NAME) as second, other.take("another") as third:
                assert (first, second, third) == (True, False, True)
        assert _had(other)


def test_a_turn_may_be_had_and_given_back_after_the_close(ledger: Ledger) -> None:
    one = Turns(ledger)
    one.close()
    with turns_of(ledger) as other:
        with one.take(NAME) as first, other.take(NAME) as second:
            assert (first, second) == (True, False)
        assert _had(other)


def test_what_nobody_has_is_given_back_without_a_fault(ledger: Ledger) -> None:
    with turns_of(ledger) as mine:
        mine._locks.give_back(b"\0" * 32)
        with mine.take(NAME) as is_mine:
            assert is_mine


@pytest.mark.postgres
def test_a_closed_worker_leaves_no_session(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)
    try:
        one = Turns(ledger)
        with one.take(NAME):
            one.close()
            assert _sessions(ledger) == 1
        until = time.monotonic() + SECONDS
        while _sessions(ledger) and time.monotonic() < until:
            time.sleep(0.02)
        assert _sessions(ledger) == 0
    finally:
        ledger.close()


def _sessions(ledger: Ledger) -> int:
    """Return how many sessions but our own last asked for a lock of turns, or gave one back."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND query LIKE '%advisory%'"
    )
    with ledger.engine.connect() as con:
        return int(con.execute(sa.text(query)).scalar_one())


@pytest.mark.postgres
def test_a_turn_waits_for_no_connection_that_requests_use(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)
    try:
        with turns_of(ledger) as mine, ExitStack() as busy:
            ledger.engine.pool._timeout = 0.1  # type: ignore[attr-defined]
            _take_all(ledger, busy)
            with mine.take(NAME) as is_mine:
                assert is_mine
            _end_sessions(ledger)
            with mine.take(NAME) as again:
                assert again, "a new session needs none of them either"
    finally:
        ledger.close()


def _take_all(ledger: Ledger, busy: ExitStack) -> None:
    with suppress(sa.exc.TimeoutError):
        while True:
            busy.enter_context(ledger.engine.connect())


def _end_sessions(ledger: Ledger) -> None:
    """End every session that holds or held a lock, past the pool."""
    engine = sa.create_engine(ledger.engine.url, poolclass=sa.NullPool)
    with engine.connect() as con:
        con.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE '%pg_advisory_unlock%' "
                "AND pid <> pg_backend_pid()"
            )
        )


@pytest.mark.postgres
def test_a_database_that_is_away_is_told(
    postgres_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(postgres_url, folder)
    try:
        with turns_of(ledger) as mine:
            for fault in (sa.exc.TimeoutError("all in use"), _away()):
                with monkeypatch.context() as patch:
                    patch.setattr(sa.Engine, "connect", _raising(fault))
                    with pytest.raises(UnavailableError):
                        Turns(ledger)
                    mine._locks._drop()  # type: ignore[attr-defined]
                    with pytest.raises(UnavailableError), mine.take(NAME):
                        pass
            with mine.take(NAME) as is_mine:
                assert is_mine
    finally:
        ledger.close()


def _away() -> Exception:
    return sa.exc.OperationalError("connect", {}, psycopg.OperationalError("away"))


def _raising(fault: Exception) -> Callable[..., None]:
    def fail(*_args: object, **_more: object) -> None:
        raise fault

    return fail


@pytest.mark.postgres
def test_a_session_that_the_database_ended_is_begun_anew(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)
    try:
        with turns_of(ledger) as one, turns_of(ledger) as other:
            with one.take(NAME) as first:
                with one.take("another"):
                    pass
                with ledger.engine.connect() as con:
                    con.execute(
                        sa.text(
                            "SELECT pg_terminate_backend(pid) FROM pg_locks "
                            "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                        )
                    )
                with one.take("another") as again, other.take(NAME) as stolen:
                    assert (first, again, stolen) == (True, True, False)
            with other.take(NAME) as then:
                assert then
    finally:
        ledger.close()
