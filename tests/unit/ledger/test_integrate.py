"""From the ledger to its log: one history, whoever integrates, whatever broke before."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sayso.errors import IntegrityError, UnavailableError
from sayso.ledger import Ledger, open_ledger, schema
from sayso.ledger import integrate as module
from sayso.ledger.commitments import commitments
from sayso.ledger.integrate import is_behind, last_signed
from sayso.ledger.logged import check_log
from sayso.ledger.sealing import seal
from sayso.log import Note, TileReader, folder_fetch, sign
from sayso.log.keys import SignerKey
from tests.town import START_US
from tests.unit.ledger.builders import say, together
from tests.unit.ledger.logs import (
    PLAIN,
    WITNESSES,
    append_and_integrate,
    bring_in,
    defined_root,
    fill,
    head_of,
    hold_the_lock,
    policy_of,
    published_head,
    put_back,
    signed_row,
    watching,
)
from tests.unit.log.signers import LOG, signed

NOWHERE = "http://127.0.0.1:1"


def stored(ledger: Ledger) -> list[bytes]:
    """Return every commitment by its index, read without the code that is tested."""
    found: dict[int, bytes] = {}
    with ledger.reading() as con:
        for index, one in con.execute(sa.select(schema.entry.c.index, schema.entry.c.commitment)):
            found[int(index)] = bytes(one)
        segments = con.execute(sa.select(schema.segment)).mappings().all()
    for row in segments:
        for part in pq.read_table(ledger.folder / "segments" / row["name"]).to_pylist():
            found[row["first"] + part["ordinal"]] = part["commitment"]
    return [found[index] for index in range(len(found))]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITNESS_SECONDS", 2.0)


# ---- one history ------------------------------------------------------------------------


def test_entries_stand_in_the_order_of_their_indexes(ledger: Ledger, folder: Path) -> None:
    fill(ledger, folder)
    done = bring_in(ledger)
    expected = stored(ledger)
    reader = TileReader(folder_fetch(folder / "log"), done.size)

    assert (done.size, done.appended) == (617, 617)
    assert [*reader.entries(0, done.size)] == expected
    assert done.root == reader.root() == defined_root(expected)
    assert PLAIN.check(done.note).checkpoint == published_head(ledger)
    assert check_log(ledger, PLAIN).waiting == 0
    for window in (1, 7, 256, 1000):
        assert b"".join(commitments(ledger, 3, 600, window=window)) == b"".join(expected[3:600])


def test_after_every_append_or_in_one_go_the_root_is_the_same(ledger: Ledger) -> None:
    roots = {}
    for number in range(12):
        say(ledger, f"m{number}")
        done = bring_in(ledger)
        roots[done.size] = done.root
    expected = stored(ledger)

    assert roots == {size: defined_root(expected[:size]) for size in range(1, 13)}
    assert bring_in(ledger).appended == 0


def test_the_root_is_the_same_after_a_sealing(ledger: Ledger, folder: Path) -> None:
    fill(ledger, folder)
    before = bring_in(ledger).root
    expected = stored(ledger)

    assert seal(ledger, START_US, threshold_rows=1)
    assert stored(ledger) == expected
    assert bring_in(ledger).root == before
    assert check_log(ledger, PLAIN).signed == 617


def test_an_empty_ledger_has_a_checkpoint(ledger: Ledger) -> None:
    assert is_behind(ledger)
    assert bring_in(ledger).size == 0
    assert not is_behind(ledger)
    assert check_log(ledger, PLAIN).published == 0
    say(ledger, "m")
    assert is_behind(ledger)
    assert bring_in(ledger).size == 1


def test_several_at_once_make_one_history(ledger: Ledger, ledger_url: str, folder: Path) -> None:
    together(append_and_integrate, [(ledger_url, folder, number, 6) for number in range(4)])
    seen: dict[int, str] = {}
    for path in folder.glob("seen-*"):
        for line in path.read_text().splitlines():
            size, root = line.split()
            assert seen.setdefault(int(size), root) == root
    expected = stored(ledger)

    assert max(seen) == len(expected) == 24
    assert seen == {size: defined_root(expected[:size]).hex() for size in seen}
    assert check_log(ledger, PLAIN).published == 24


def test_partial_tiles_go_once_the_full_one_is_published(ledger: Ledger, folder: Path) -> None:
    say(ledger, "m")
    bring_in(ledger)
    fill(ledger, folder)
    for policy in (policy_of({WITNESSES[0]: NOWHERE}, 1), PLAIN):
        there = (folder / "log/tile/0/000.p/1").exists()
        assert there, "the published checkpoint's tiles stay"
        if policy is PLAIN:
            bring_in(ledger, policy)
        else:
            with pytest.raises(UnavailableError):
                bring_in(ledger, policy)
            say(ledger, "m")

    assert not (folder / "log/tile/0/000.p").exists()
    assert not (folder / "log/tile/entries/000.p").exists()
    assert (folder / "log/tile/1/000.p").is_dir()


# ---- publishing -------------------------------------------------------------------------


def test_a_crash_between_signing_and_publishing_is_caught_up(
    ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(ledger, "m1")
    bring_in(ledger)
    say(ledger, "m2")

    def crash(*_given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_publish", crash)
        with pytest.raises(KeyboardInterrupt):
            bring_in(ledger)
    was, row = published_head(ledger), signed_row(ledger)
    assert was
    assert was.size == 1
    assert row
    assert row["size"] == 2
    assert is_behind(ledger)
    done = bring_in(ledger)

    assert (done.size, done.appended) == (2, 0)
    assert (folder / "log/checkpoint").read_bytes() == row["note"]


def test_an_unreachable_witness_keeps_the_old_checkpoint(ledger: Ledger, tmp_path: Path) -> None:
    say(ledger, "m1")
    bring_in(ledger)
    say(ledger, "m2")
    with pytest.raises(UnavailableError, match="lacks its quorum"):
        bring_in(ledger, policy_of({WITNESSES[0]: NOWHERE}, 1))
    signed_then = signed_row(ledger)
    old = published_head(ledger)
    assert old
    assert old.size == 1
    say(ledger, "m3")
    with pytest.raises(UnavailableError):
        bring_in(ledger, policy_of({WITNESSES[0]: NOWHERE}, 1))
    assert signed_row(ledger) != signed_then
    with watching(tmp_path / "w", WITNESSES[0]) as url:
        done = bring_in(ledger, policy_of({WITNESSES[0]: url}, 1))

    assert (done.size, [*done.witnesses]) == (3, ["example.org-w0"])
    assert published_head(ledger) == head_of(done.note)


def test_a_quorum_of_two_of_three(ledger: Ledger, tmp_path: Path) -> None:
    with ExitStack() as stack:
        urls = {
            key: stack.enter_context(watching(tmp_path / key.name, key)) for key in WITNESSES[:2]
        }
        policy = policy_of({**urls, WITNESSES[2]: NOWHERE}, 2)
        for size in (1, 2, 3):
            say(ledger, "m")
            done = bring_in(ledger, policy)

            assert (done.size, len(done.witnesses)) == (size, 2)
            assert len(policy.check(done.note).witnesses) == 2
            assert check_log(ledger, policy).published == size
    with pytest.raises(IntegrityError, match="lacks its quorum"):
        policy.check(signed(head_of(done.note)))


def test_a_witness_that_is_added_later_catches_up(ledger: Ledger, tmp_path: Path) -> None:
    for _ in range(5):
        say(ledger, "m")
        bring_in(ledger)
    with watching(tmp_path / "w", WITNESSES[0]) as url:
        assert bring_in(ledger, policy_of({WITNESSES[0]: url}, 1)).size == 5
        say(ledger, "m")
        assert bring_in(ledger, policy_of({WITNESSES[0]: url}, 1)).size == 6
        # The cosignature is kept: nobody is asked again.
    assert bring_in(ledger, policy_of({WITNESSES[0]: url}, 1)).size == 6


@pytest.mark.parametrize("quorum", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_witness_of_another_history_stops_the_log(
    ledger: Ledger, folder: Path, tmp_path: Path, size: int, quorum: int
) -> None:
    """Whatever the others say: it shows a second history, an older database, or a lie."""
    say(ledger, "m1")
    bring_in(ledger)
    say(ledger, "m2")
    other = tmp_path / "other"
    (other / "log").mkdir(parents=True)
    (other / "keys").mkdir()
    with (
        watching(tmp_path / "w0", WITNESSES[0]) as w0,
        watching(tmp_path / "w1", WITNESSES[1]) as w1,
    ):
        another = open_ledger(f"sqlite:///{other}/ledger.db", other)
        for number in range(size):
            say(another, f"x{number}")
        bring_in(another, policy_of({WITNESSES[1]: w1}, 1))
        another.close()
        with pytest.raises(IntegrityError):
            bring_in(ledger, policy_of({WITNESSES[0]: w0, WITNESSES[1]: w1}, quorum))
    head = published_head(ledger)

    assert head
    assert head.size == 1


def test_a_witness_with_another_key_is_no_alarm(ledger: Ledger, tmp_path: Path) -> None:
    """What it signs does not verify; the others are enough."""
    say(ledger, "m")
    with (
        watching(tmp_path / "w0", WITNESSES[0]) as w0,
        watching(tmp_path / "w1", WITNESSES[2]) as w1,
    ):
        done = bring_in(ledger, policy_of({WITNESSES[0]: w0, WITNESSES[1]: w1}, 1))

    assert [*done.witnesses] == ["example.org-w0"]


def test_a_note_in_the_database_signed_by_another_is_not_published(
    ledger: Ledger, folder: Path
) -> None:
    say(ledger, "m")
    bring_in(ledger)
    (folder / "log/checkpoint").unlink()
    row = signed_row(ledger)
    assert row
    text = head_of(row["note"]).to_text()  # type: ignore[arg-type]
    forger = SignerKey.from_seed(LOG.name, bytes(32))
    put_back(ledger, row | {"note": Note(text, (sign(text, forger),)).to_bytes()})

    with pytest.raises(IntegrityError):
        bring_in(ledger)
    assert published_head(ledger) is None


# ---- locks ------------------------------------------------------------------------------


@pytest.mark.postgres
def test_a_killed_integrator_does_not_block_the_next(
    postgres_url: str, folder: Path, tmp_path: Path
) -> None:
    ledger = open_ledger(postgres_url, folder)
    say(ledger, "m")
    begun = tmp_path / "begun"
    child = get_context("forkserver").Process(
        target=hold_the_lock, args=(postgres_url, tmp_path, begun)
    )
    child.start()
    while not begun.exists():
        time.sleep(0.01)
    with ledger.reading() as con:
        taken = sa.select(sa.func.pg_try_advisory_lock(schema.INTEGRATE_LOCK))
        assert con.execute(taken).scalar_one() is False
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)

    assert bring_in(ledger).size == 1
    child.join()
    ledger.close()


@pytest.mark.postgres
def test_a_database_that_goes_away_is_unavailable(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)

    def cut_off() -> None:
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as con:
            con.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with ledger.alone(schema.INTEGRATE_LOCK):
        cut_off()  # the lock is lost; its end is no error, and the swap is what protects
    with ledger.alone(schema.INTEGRATE_LOCK), pytest.raises(UnavailableError):
        _ask_on_a_dead_connection(ledger, cut_off)
    assert last_signed(ledger) is None
    ledger.close()


def _ask_on_a_dead_connection(ledger: Ledger, cut_off: Callable[[], None]) -> None:
    with ledger.reading() as con:
        cut_off()
        con.execute(sa.select(schema.checkpoint))


def test_a_log_folder_that_is_gone_is_unavailable(ledger: Ledger, folder: Path) -> None:
    (folder / "log").rmdir()

    with pytest.raises(UnavailableError, match="cannot be written"):
        bring_in(ledger)


def test_one_more_entry_writes_three_files_however_long_the_log_is(
    ledger: Ledger, folder: Path
) -> None:
    """So from an append to its checkpoint it takes no longer; `make bench` says how long."""
    fill(ledger, folder)
    bring_in(ledger)
    files = {path: path.stat().st_mtime_ns for path in (folder / "log").rglob("*")}
    size = say(ledger, "m").index + 1
    assert bring_in(ledger).size == size

    written = {
        path.relative_to(folder / "log").as_posix()
        for path in (folder / "log").rglob("*")
        if path.is_file() and path.stat().st_mtime_ns != files.get(path)
    }
    last, width = divmod(size, 256)
    assert written == {
        "checkpoint",
        f"tile/0/{last:03}.p/{width}",
        f"tile/entries/{last:03}.p/{width}",
    }
