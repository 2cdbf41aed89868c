import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from sayso.canonical import PUBLIC_KEY, commit, encode
from sayso.errors import InputError, IntegrityError, UnavailableError
from sayso.ledger import Ledger, open_ledger, schema
from sayso.ledger.entries import canonical_choice
from sayso.ledger.fsck import fsck
from sayso.model import DEFAULT_PURPOSE, Choice
from tests.town import START_US
from tests.unit.ledger.builders import (
    entries,
    head_rows,
    key_of,
    open_fresh,
    say,
    together,
    write_choices,
)

WRITERS, APPENDS = 8, 25


# ---- appending and reading --------------------------------------------------------------


def test_a_fresh_ledger_is_empty(ledger: Ledger) -> None:
    assert ledger.size() == 0
    assert ledger.known(None) == 0
    assert ledger.latest("rulebook", 0) is None
    head, segments = ledger.choices(0)
    assert (head.num_rows, segments) == (0, [])


def test_what_was_written_is_read_back_at_once(ledger: Ledger) -> None:
    receipt = say(
        ledger, "7", Choice.OFF, at_us=START_US - 5, recorded_us=START_US,
        country="HK", channel="web", setting_version="2024-09",
    )  # fmt: skip
    assert receipt.index == 0
    assert ledger.size() == 1
    assert entries(ledger) == {
        0: {
            "member_id": "7", "purpose": DEFAULT_PURPOSE, "choice": "off",
            "effective_us": START_US - 5, "country": "HK", "recorded_us": START_US,
            "channel": "web", "setting_version": "2024-09", "claimed_us": None,
            "commitment": receipt.commitment,
        }
    }  # fmt: skip


def test_the_commitment_is_over_the_canonical_bytes_and_the_members_key(ledger: Ledger) -> None:
    receipt = say(ledger, "7", country="HK")
    key = key_of(ledger, "7")
    assert key is not None
    assert len(key) == 32
    canonical = canonical_choice(DEFAULT_PURPOSE, "off", START_US, START_US, "HK", None, None, None)
    assert receipt.commitment == commit(key, canonical)


def test_a_member_keeps_one_key_and_two_members_have_two(ledger: Ledger) -> None:
    for member in ("7", "8", "7"):
        say(ledger, member)
    with ledger.reading() as con:
        keys = con.execute(sa.select(schema.member_key.c.key)).scalars().all()
    assert len(keys) == len(set(keys)) == 2


def test_indexes_run_from_zero_whatever_is_appended(ledger: Ledger) -> None:
    receipts = []
    for number in range(6):
        receipts.append(say(ledger, f"m{number % 2}"))
        receipts.append(ledger.append_public("note", {"n": number}, START_US))
    assert [receipt.index for receipt in receipts] == list(range(12))
    assert [row["index"] for row in head_rows(ledger)] == list(range(12))


def test_nothing_is_taken_when_the_writing_fails(ledger: Ledger) -> None:
    say(ledger, "7")

    def fail() -> None:
        with ledger.writing() as con:
            ledger.reserve(con, 5)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert ledger.size() == 1
    assert say(ledger, "7").index == 1


def test_a_back_dated_on_counts_from_its_recording(ledger: Ledger) -> None:
    say(ledger, "7", Choice.ON, at_us=START_US - 9, recorded_us=START_US)
    say(ledger, "7", Choice.OFF, at_us=START_US - 9, recorded_us=START_US)
    say(ledger, "7", Choice.ON, at_us=START_US + 9, recorded_us=START_US)
    found = [(row["effective_us"], row["claimed_us"]) for row in entries(ledger).values()]
    assert found == [(START_US, START_US - 9), (START_US - 9, None), (START_US + 9, None)]


@pytest.mark.parametrize("text", ["", "é", "e\u0301", "'", '"', "a\nb", "😀", "x" * 70_000, "%s"])
def test_any_text_is_an_id_and_a_channel(ledger: Ledger, text: str) -> None:
    say(ledger, f"m{text}", channel=text, setting_version=text)
    (row,) = entries(ledger).values()
    assert (row["member_id"], row["channel"], row["setting_version"]) == (f"m{text}", text, text)
    assert fsck(ledger).commitments == 1


@pytest.mark.parametrize("us", [0, -1, -(1 << 62), 1 << 62])
def test_any_instant_is_kept(ledger: Ledger, us: int) -> None:
    say(ledger, "7", at_us=us)
    assert entries(ledger)[0]["effective_us"] == us


@pytest.mark.postgres
def test_what_postgresql_cannot_hold_is_bad_input(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)
    with pytest.raises(InputError, match="NUL"):
        say(ledger, "7", channel="a\x00b")
    assert ledger.size() == 0
    ledger.close()


# ---- known ------------------------------------------------------------------------------


def test_known_is_a_size_the_ledger_had(ledger: Ledger) -> None:
    for _ in range(3):
        say(ledger, "7")
    assert [ledger.known(known) for known in (None, 0, 1, 3)] == [3, 0, 1, 3]
    for wrong in (-1, 4, 1 << 70):
        with pytest.raises(InputError, match="outside the ledger"):
            ledger.known(wrong)


def test_a_reading_at_known_never_changes(ledger: Ledger) -> None:
    before: list[dict[int, dict[str, object]]] = []
    for number in range(5):
        before.append(entries(ledger))
        say(ledger, f"m{number % 2}", (Choice.ON, Choice.OFF, Choice.DEFERRED)[number % 3])
    assert [entries(ledger, known) for known in range(5)] == before


def test_the_choices_of_one_member_are_theirs(ledger: Ledger) -> None:
    for number in range(6):
        say(ledger, f"m{number % 2}")
    head, _ = ledger.choices(5, "m1")
    assert head["index"].to_pylist() == [1, 3]


# ---- public entries ---------------------------------------------------------------------


def test_public_entries_come_in_order_and_below_known(ledger: Ledger) -> None:
    for number in range(4):
        ledger.append_public("note", {"n": number}, START_US + number)
        say(ledger, "7")
    assert [found.payload["n"] for found in ledger.public("note", 8)] == [0, 1, 2, 3]
    assert [found.index for found in ledger.public("note", 5)] == [0, 2, 4]
    newest = [found.recorded_us for found in ledger.public("note", 5, newest_first=True)]
    assert newest == [START_US + 2, START_US + 1, START_US]
    assert list(ledger.public("rulebook", 8)) == []


def test_latest_finds_the_last_that_matches(ledger: Ledger) -> None:
    for number, name in enumerate(("a", "b", "a")):
        ledger.append_public("table", {"table": name, "n": number}, START_US)
    found = ledger.latest("table", 3, table="a")
    assert found is not None
    assert found.payload == {"table": "a", "n": 2}
    earlier = ledger.latest("table", 2, table="a")
    assert earlier is not None
    assert earlier.index == 0
    assert ledger.latest("table", 3, table="c") is None
    assert ledger.latest("table", 0) is None


def test_a_public_payload_is_committed_to_as_canonical_json(ledger: Ledger) -> None:
    receipt = ledger.append_public("note", {"b": "é\n", "a": [1, None]}, START_US)
    text = '{"a":[1,null],"b":"é\\n"}'
    assert head_rows(ledger)[0]["payload"] == text
    assert receipt.commitment == commit(PUBLIC_KEY, encode("sayso/note/v1", text, START_US))
    (found,) = ledger.public("note", 1)
    assert found.payload == json.loads(text)


# ---- opening ----------------------------------------------------------------------------


def test_opening_again_changes_nothing(ledger: Ledger, ledger_url: str, folder: Path) -> None:
    say(ledger, "7")
    schema.migrate(ledger)
    again = open_ledger(ledger_url, folder)
    assert again.size() == 1
    assert entries(again) == entries(ledger)
    again.close()


def test_a_ledger_from_the_future_is_refused(ledger: Ledger, ledger_url: str, folder: Path) -> None:
    with ledger.writing() as con:
        con.execute(sa.update(schema.head).values(version=len(schema.STEPS) + 1))
    with pytest.raises(UnavailableError, match="upgrade sayso"):
        open_ledger(ledger_url, folder)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://postgres@127.0.0.1:1/x",
        "postgresql://postgres@127.0.0.1:1/x",
        "sqlite:////nowhere/at/all/ledger.db",
    ],
)
def test_a_database_that_does_not_answer_is_unavailable(url: str, folder: Path) -> None:
    with pytest.raises(UnavailableError, match="did not answer"):
        open_ledger(url, folder)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://x@y/z", "oracle://", "postgresql://p@127.0.0.1/x?nonsense=1"]
)
def test_an_address_that_is_none_is_bad_input(url: str, folder: Path) -> None:
    with pytest.raises(InputError):
        open_ledger(url, folder)


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_unavailable(postgres_url: str, folder: Path) -> None:
    with pytest.raises(UnavailableError):
        open_ledger(postgres_url + "_not", folder)


@pytest.mark.postgres
def test_a_server_that_goes_away_is_unavailable(postgres_url: str, folder: Path) -> None:
    ledger = open_ledger(postgres_url, folder)
    say(ledger, "7")
    end = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    other = open_ledger(postgres_url, folder)

    def lose() -> None:
        with ledger.writing() as con:
            ledger.reserve(con, 1)
            with other.engine.connect() as killer:
                killer.execute(end)
            ledger.reserve(con, 1)

    with pytest.raises(UnavailableError):
        lose()
    assert ledger.size() == 1  # the pool finds a connection that lives
    assert say(ledger, "7").index == 1
    ledger.close()
    other.close()


def test_a_file_that_is_no_database_is_an_integrity_failure(folder: Path) -> None:
    (folder / "ledger.db").write_bytes(b"this is not a database file" * 300)
    with pytest.raises(IntegrityError, match="damaged"):
        open_ledger(f"sqlite:///{folder / 'ledger.db'}", folder)


# ---- several processes ------------------------------------------------------------------


def test_several_processes_open_a_fresh_database_at_once(ledger_url: str, folder: Path) -> None:
    together(open_fresh, [(ledger_url, folder)] * 12)
    ledger = open_ledger(ledger_url, folder)
    with ledger.reading() as con:
        rows = con.execute(sa.select(schema.head)).all()
    assert [tuple(row) for row in rows] == [(1, 0, len(schema.STEPS), 0, 0)]
    ledger.close()


def test_eight_writers_leave_every_acknowledged_entry_once(ledger_url: str, folder: Path) -> None:
    together(write_choices, [(ledger_url, folder, writer, APPENDS) for writer in range(WRITERS)])
    acknowledged: dict[int, tuple[str, str]] = {}
    for writer in range(WRITERS):
        lines = (folder / f"acknowledged-{writer}").read_text(encoding="utf-8").splitlines()
        mine = [line.split() for line in lines]
        assert [channel for _, channel, _ in mine] == [f"{writer}/{n}" for n in range(APPENDS)]
        indexes = [int(index) for index, _, _ in mine]
        assert indexes == sorted(indexes)
        acknowledged |= {int(index): (channel, digest) for index, channel, digest in mine}
    ledger = open_ledger(ledger_url, folder)
    found = {
        index: (row["channel"], row["commitment"].hex()) for index, row in entries(ledger).items()
    }
    assert found == dict(sorted(acknowledged.items()))
    assert list(found) == list(range(WRITERS * APPENDS))
    assert ledger.size() == WRITERS * APPENDS
    assert fsck(ledger).commitments == WRITERS * APPENDS
    ledger.close()
