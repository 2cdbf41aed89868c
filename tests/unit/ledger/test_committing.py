"""Group commit: many threads, one transaction, one receipt each."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from sayso.erasure import erase
from sayso.errors import InputError, RefusedError, SaysoError, UnavailableError
from sayso.ledger import Ledger, committing, open_ledger, schema
from sayso.ledger.appending import Outcome, append_choices
from sayso.ledger.committing import Committer, Handed
from sayso.ledger.entries import NewChoice
from sayso.ledger.fsck import fsck
from sayso.model import DEFAULT_PURPOSE, Choice
from tests.town import START_US
from tests.unit.ledger.builders import entries, say

THREADS, CHOICES = 8, 25
SAID = (Choice.ON, Choice.OFF, Choice.DEFERRED)


@pytest.fixture
def committer(ledger: Ledger) -> Iterator[Committer]:
    """A committer on an empty ledger."""
    with Committer(ledger) as made:
        yield made


def off(who: str, channel: str = "web") -> NewChoice:
    """Return one `off`."""
    return NewChoice.of(
        who, DEFAULT_PURPOSE, Choice.OFF, effective_us=START_US, recorded_us=START_US,
        channel=channel,
    )  # fmt: skip


@contextmanager
def held_up(ledger: Ledger, committer: Committer) -> Iterator[None]:
    """Have somebody write the choice of `before` and wait for the ledger all the while."""
    with ThreadPoolExecutor(1) as pool:
        with ledger.writing():
            first = pool.submit(committer.append_choice, off("before"))
            while not committer._is_writing:
                threading.Event().wait(0.001)
            yield
        first.result(30)


def as_one_batch(ledger: Ledger, committer: Committer, ids: list[str]) -> list[Handed]:
    """Hand in choices that wait together, as another is being written."""
    with held_up(ledger, committer):
        return [committer.hand_in(off(who)) for who in ids]


def during(threads: int, work: Callable[[int], object]) -> None:
    """Run a function in threads, and raise what any of them raised."""
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, number) for number in range(threads)]:
            done.result()


# ---- what is acknowledged ---------------------------------------------------------------


def test_threads_leave_every_acknowledged_choice_once(ledger: Ledger, committer: Committer) -> None:
    acknowledged: dict[int, tuple[str, str, bytes]] = {}

    def choose(number: int) -> None:
        last = -1
        for turn in range(CHOICES):
            who, name = f"m{(number + turn) % 11}", f"{number}/{turn}"
            receipt = committer.append_choice(
                NewChoice.of(
                    who, DEFAULT_PURPOSE, SAID[turn % 3], effective_us=START_US + turn,
                    recorded_us=START_US, channel=name,
                )
            )  # fmt: skip
            assert receipt.index > last
            last = receipt.index
            acknowledged[receipt.index] = (who, name, receipt.commitment)

    during(THREADS, choose)
    found = {
        index: (row["member_id"], row["channel"], row["commitment"])
        for index, row in entries(ledger).items()
    }
    assert found == dict(sorted(acknowledged.items()))
    assert list(found) == list(range(THREADS * CHOICES))
    assert ledger.size() == THREADS * CHOICES
    assert fsck(ledger).commitments == THREADS * CHOICES


def test_two_committers_and_a_single_writer_leave_no_gap(ledger: Ledger, ledger_url: str) -> None:
    other = open_ledger(ledger_url, ledger.folder)
    with Committer(ledger) as one, Committer(other) as two:

        def choose(number: int) -> None:
            for turn in range(CHOICES):
                if number == 0:
                    say(ledger, f"s{turn}")
                elif number == 1:
                    ledger.append_public("note", {"n": turn}, START_US)
                else:
                    (one, two)[number % 2].append_choice(off(f"m{turn}"))

        during(6, choose)
    other.close()
    report = fsck(ledger)
    assert report.size == 6 * CHOICES
    assert report.commitments == 6 * CHOICES


def test_the_order_of_handing_in_is_the_order_of_the_indexes(
    ledger: Ledger, committer: Committer
) -> None:
    handed = [committer.hand_in(off(f"m{number % 5}", str(number))) for number in range(100)]
    assert [one.result().index for one in handed] == list(range(100))
    assert [row["channel"] for row in entries(ledger).values()] == [str(n) for n in range(100)]


def test_a_back_dated_on_counts_from_its_recording(ledger: Ledger, committer: Committer) -> None:
    committer.append_choice(
        NewChoice.of(
            "7", DEFAULT_PURPOSE, Choice.ON, effective_us=START_US - 9, recorded_us=START_US
        )
    )
    (row,) = entries(ledger).values()
    assert (row["effective_us"], row["claimed_us"]) == (START_US, START_US - 9)


def test_a_member_keeps_one_key_in_one_batch(ledger: Ledger, committer: Committer) -> None:
    handed = as_one_batch(ledger, committer, ["7", "8", "7", "7"])
    assert [one.result().index for one in handed] == [1, 2, 3, 4]
    assert fsck(ledger).commitments == 5
    with ledger.reading() as con:
        assert con.execute(sa.select(sa.func.count()).select_from(schema.member_key)).scalar() == 3


# ---- each their own ---------------------------------------------------------------------


def test_an_erased_members_choice_fails_alone(ledger: Ledger, committer: Committer) -> None:
    say(ledger, "gone")
    erase(ledger, "gone", START_US)
    size = ledger.size()
    handed = as_one_batch(ledger, committer, ["a", "gone", "b", "gone", "c"])
    for place in (1, 3):
        with pytest.raises(RefusedError, match="erased"):
            handed[place].result()
    assert [handed[place].result().index for place in (0, 2, 4)] == [
        size + 1,
        size + 2,
        size + 3,
    ]
    assert ledger.size() == size + 4
    assert fsck(ledger).size == size + 4


def test_a_batch_of_the_erased_alone_takes_no_index(ledger: Ledger, committer: Committer) -> None:
    say(ledger, "gone")
    erase(ledger, "gone", START_US)
    size = ledger.size()
    with pytest.raises(RefusedError):
        committer.append_choice(off("gone"))
    assert ledger.size() == size


def test_text_without_utf_8_never_reaches_the_others(committer: Committer) -> None:
    with pytest.raises(InputError, match="no text"):
        committer.hand_in(off("m\ud800"))
    assert committer.append_choice(off("7")).index == 0


@pytest.mark.postgres
def test_a_value_that_the_database_cannot_hold_fails_alone(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)
    with Committer(ledger) as committer:
        handed = as_one_batch(ledger, committer, ["a", "b\x00", "c"])
        with pytest.raises(InputError, match="NUL"):
            handed[1].result()
        assert [handed[place].result().index for place in (0, 2)] == [1, 2]
        assert committer.append_choice(off("d")).index == 3
    assert fsck(ledger).size == 4
    ledger.close()


# ---- failures ---------------------------------------------------------------------------


def test_a_failure_reaches_everybody_of_the_batch_and_passes(
    ledger: Ledger, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fail(*_given: object) -> list[object]:
        raise UnavailableError("the ledger's database did not answer")

    with monkeypatch.context() as patch:
        with held_up(ledger, committer):
            patch.setattr(committing, "append_choices", fail)
            handed = [committer.hand_in(off(f"m{number}")) for number in range(3)]
        for one in handed:
            with pytest.raises(UnavailableError, match="did not answer"):
                one.result()
    assert committer.append_choice(off("after")).index == 1
    assert ledger.size() == 2


def test_whoever_waits_hears_of_a_writer_that_was_interrupted(
    ledger: Ledger, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:

    def interrupt(*_given: object) -> list[object]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(committing, "append_choices", interrupt)
        other = committer.hand_in(off("other"))
        with pytest.raises(KeyboardInterrupt):
            committer.append_choice(off("7"))
        with pytest.raises(UnavailableError, match="interrupted"):
            other.result()
    assert committer.append_choice(off("after")).index == 0


def test_whoever_was_to_write_and_went_away_is_not_waited_for(
    ledger: Ledger, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "LOOK_SECONDS", 0.01)
    with ThreadPoolExecutor(1) as pool:
        with held_up(ledger, committer):
            committer.hand_in(off("gone away"))  # whom the writer will wake
            second = pool.submit(committer.append_choice, off("second"))
        assert second.result(30).index == 2


@pytest.mark.postgres
def test_connections_cut_amid_the_load(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)
    acknowledged: dict[int, str] = {}
    cut = threading.Event()
    lost: list[SaysoError] = []

    def choose(number: int) -> None:
        for turn in range(200):
            try:
                receipt = committer.append_choice(off(f"m{turn}", f"{number}/{turn}"))
            except UnavailableError as error:
                lost.append(error)
            else:
                assert receipt.index not in acknowledged
                acknowledged[receipt.index] = f"{number}/{turn}"
        cut.set()

    def sever(_number: int) -> None:
        end = sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        while not cut.wait(0.05):
            with killer.engine.connect() as con:
                con.execute(end)

    killer = open_ledger(postgres_url, folder)
    with Committer(ledger) as committer:
        during(5, lambda number: choose(number) if number else sever(number))
        with suppress(UnavailableError):  # its connection may have been the last to be cut
            committer.append_choice(off("before"))
        assert committer.append_choice(off("after", "after"))
    killer.close()
    assert lost
    found = {index: row["channel"] for index, row in entries(ledger).items()}
    assert acknowledged.items() <= found.items()
    assert sorted(found) == list(range(ledger.size()))
    assert fsck(ledger).commitments == ledger.size()
    ledger.close()


@pytest.mark.postgres
def test_what_the_driver_forgot_is_prepared_again(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)
    with Committer(ledger) as committer:
        for number in range(4):
            assert committer.append_choice(off("7")).index == 2 * number
            with ledger.reading() as con:
                # As psycopg does after a rollback of what it had prepared.
                con.execute(sa.text("DEALLOCATE ALL"))
            assert committer._held is not None
            committer._held.connection.driver_connection.execute("DEALLOCATE ALL")  # type: ignore[union-attr]
            assert say(ledger, "7").index == 2 * number + 1
    assert fsck(ledger).commitments == 8
    ledger.close()


# ---- closing and sealing ----------------------------------------------------------------


def test_closing_takes_what_waits_and_nothing_more(ledger: Ledger) -> None:
    committer = Committer(ledger)
    handed = [committer.hand_in(off(f"m{number}")) for number in range(50)]
    committer.close()
    assert [one.result().index for one in handed] == list(range(50))
    assert ledger.size() == 50
    with pytest.raises(UnavailableError, match="closing"):
        committer.hand_in(off("late"))


def test_the_head_is_sealed_while_choices_go_on(ledger: Ledger) -> None:
    with Committer(ledger, seal_rows=50) as committer:
        during(4, lambda n: [committer.append_choice(off(f"m{n}-{t}")) for t in range(60)])
    report = fsck(ledger)
    assert report.segments >= 1
    assert report.commitments == ledger.size() == 240
    assert sorted(entries(ledger)) == list(range(240))


def test_a_choice_is_told_though_nobody_can_seal(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Committer(ledger, seal_rows=1) as committer:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            assert committer.append_choice(off("7")).index == 0
        assert "no thread can be started" in caplog.text
        assert committer.append_choice(off("7")).index == 1


def test_a_seal_that_fails_is_told_and_tried_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def fail(_ledger: Ledger, us: int, **_given: int) -> int:
        calls.append(us)
        raise OSError("disk full")

    monkeypatch.setattr(committing, "seal", fail)
    with Committer(ledger, seal_rows=1) as committer:
        while len(calls) < 2:
            committer.append_choice(off("7"))
    assert "sealing failed: OSError" in caplog.text


def test_whoever_is_alone_waits_for_nobody(
    ledger: Ledger, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "GATHER_SECONDS", 3600.0)
    for number in range(5):
        assert committer.append_choice(off("7")).index == number


def test_those_who_came_together_go_together(
    ledger: Ledger, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def watched(of: Ledger, said: Sequence[NewChoice], con: sa.Connection | None) -> list[Outcome]:
        sizes.append(len(said))
        return append_choices(of, said, con)

    monkeypatch.setattr(committing, "append_choices", watched)
    monkeypatch.setattr(committing, "GATHER_SECONDS", 3600.0)
    with ThreadPoolExecutor(2) as pool:
        with held_up(ledger, committer):
            two = [pool.submit(committer.append_choice, off(who)) for who in ("a", "b")]
            while len(committer._waiting) < 2:
                threading.Event().wait(0.001)
        # One was written and two waited: the three are waited for.
        assert committer._together == 3
        third = committer.append_choice(off("c"))
        assert [one.result(30).index for one in two] == [1, 2]
    assert third.index == 3
    assert sizes == [1, 3]
