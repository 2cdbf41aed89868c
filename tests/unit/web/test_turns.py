"""A turn is had by one at a time, and by nobody once its process is gone."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

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
