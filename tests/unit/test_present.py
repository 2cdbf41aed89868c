"""The present reads what others wrote, at once, and looks files up by member."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from sayso.ledger.committing import Committer
from sayso.ledger.lookup import ByMember
from sayso.ledger.sealing import seal
from sayso.model import Dated, Position, Reason
from sayso.opening import init_workspace, open_workspace
from sayso.present import Present
from sayso.workspace import Workspace
from tests.town import AT, member_row, write_jsonl

IDS = [f"m{number}" for number in range(6)]


def content(ids: list[str]) -> pa.Table:
    """Return one record of each member that the rules admit."""
    rows = [
        {
            "record_id": f"r{number}", "member_id": who, "category": "post", "visibility": "public",
            "authorship": "own", "context": "feed", "mentions": [],
        }
        for number, who in enumerate(ids)
    ]  # fmt: skip
    written = pa.array([datetime(2025, 6, 1, tzinfo=UTC)] * len(ids), pa.timestamp("us", "UTC"))
    return pa.Table.from_pylist(rows).append_column("written_at", written)


@pytest.fixture
def ours(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workspace]:
    """A workspace with six members, at an instant that stands."""
    url = "sqlite:///ledger.db"
    if database == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
    workspace = init_workspace(tmp_path / "ws", lambda: AT, template="linkedin-2024", url=url)
    workspace.ingest("members", write_jsonl(tmp_path / "m.jsonl", map(member_row, IDS)))
    yield workspace
    workspace.close()


@pytest.fixture
def theirs(ours: Workspace) -> Iterator[Workspace]:
    """The same workspace, as another process has it."""
    other = open_workspace(ours.path, lambda: AT)
    yield other
    other.close()


@pytest.fixture
def present(ours: Workspace) -> Iterator[Present]:
    asked = Present(ours)
    yield asked
    asked.close()


def reasons(present: Present, who: str) -> set[Reason]:
    """Return one member's reasons, asked alone and among all."""
    alone = present.decide(who)
    many = present.decide_many(content([who])).reasons(0)
    assert many == alone.decision.reasons
    assert present.decide_many(content([who, "nobody"])).reasons(1) == (Reason.MEMBER_UNKNOWN,)
    return set(alone.decision.reasons)


def test_it_sees_what_another_process_wrote_at_once(
    present: Present, theirs: Workspace, tmp_path: Path
) -> None:
    assert reasons(present, "m1") == set()
    theirs.choose("m1", "off")
    assert reasons(present, "m1") == {Reason.CHOSEN_OFF}
    seal(theirs.ledger, 1, threshold_rows=1)
    assert reasons(present, "m1") == {Reason.CHOSEN_OFF}
    theirs.choose("m1", "on", effective_at=AT)  # ties with the off
    assert reasons(present, "m1") == {Reason.CHOSEN_OFF}
    rows = [{"member_id": "m2", "purpose": "*", "choice": "off", "effective_at": "2025-01-01"}]
    theirs.ingest("choices", write_jsonl(tmp_path / "c.jsonl", rows))
    assert reasons(present, "m2") == {Reason.CHOSEN_OFF}
    named, _ = theirs.place_hold("US", begins=Dated(date(2025, 12, 1)), placed_by="platform")
    assert reasons(present, "m3") == {Reason.ON_HOLD}
    theirs.lift_hold(named, lifted=Dated(date(2026, 1, 2)), source=None, position=Position.NONE)
    assert reasons(present, "m3") == set()
    members = [member_row("m3", status="closed"), member_row("m9")]
    theirs.ingest("members", write_jsonl(tmp_path / "n.jsonl", members))
    assert reasons(present, "m3") == {Reason.STATUS_EXCLUDED}
    assert reasons(present, "m9") == set()
    assert reasons(present, "m4") == {Reason.MEMBER_UNKNOWN}


def test_it_forgets_the_erased_at_once_and_later_their_rows(
    present: Present, theirs: Workspace
) -> None:
    assert reasons(present, "m1") == set()
    theirs.erase("m1")
    theirs.erase("never seen")
    assert reasons(present, "m1") == {Reason.MEMBER_ERASED}
    assert reasons(present, "never seen") == {Reason.MEMBER_ERASED}
    while present._renewing is None or present._renewing.is_alive():
        present.decide("m2")
    present.decide("m2")
    held = present._files
    assert held is not None
    assert held.members is not None
    assert held.members.rows.rows("m1") == []
    assert held.members.rows.rows("m2") != []


def test_what_begins_by_itself_begins(present: Present, ours: Workspace) -> None:
    later = AT + timedelta(hours=1)
    ours.place_hold("US", begins=Dated(later), placed_by="platform")
    ours.choose("m2", "off", effective_at=later)
    assert reasons(present, "m1") == reasons(present, "m2") == set()
    ours.clock = lambda: later - timedelta(microseconds=1)
    assert reasons(present, "m1") == reasons(present, "m2") == set()
    ours.clock = lambda: later
    assert reasons(present, "m1") == {Reason.ON_HOLD}
    assert reasons(present, "m2") == {Reason.ON_HOLD, Reason.CHOSEN_OFF}


def test_the_answers_are_the_workspaces(present: Present, ours: Workspace) -> None:
    ours.choose("m1", "off")
    ours.choose("stranger", "off")
    for who in (*IDS, "stranger", "nobody"):
        assert present.decide(who) == ours.decide(who)
    asked = [*IDS, "stranger", "nobody"]
    found, whole = present.decide_many(content(asked)), ours.decide_many(content(asked))
    assert found.masks.tolist() == whole.masks.tolist()


def test_many_threads_read_what_they_wrote(present: Present, ours: Workspace) -> None:
    committer = Committer(ours.ledger)
    ours.committer = committer

    def switch(number: int) -> None:
        for turn in range(8):
            ours.choose(f"t{number}", ("off", "deferred")[turn % 2], effective_at=AT)
            held = present.decide(f"t{number}")
            assert held.known > ours.ledger.size() - 100
            assert Reason.CHOSEN_OFF in held.decision.reasons
            table = content([f"t{number}"])
            assert Reason.CHOSEN_OFF in present.decide_many(table).reasons(0)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(switch, number) for number in range(6)]:
            done.result()


@pytest.mark.postgres
def test_a_connection_that_died_while_it_was_idle(postgres_url: str, tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path / "ws", lambda: AT, url=postgres_url)
    present = Present(workspace)
    present.decide("m1")
    end = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with workspace.ledger.engine.connect() as con:
        con.execute(end)
    assert present.decide("m1").decision.reasons
    present.close()
    workspace.close()


def test_rows_are_found_by_the_bytes_of_the_id() -> None:
    ids = sorted(["", "a", "a", "aa", "é", "e\u0301", "😀", "b" * 70_000, "7"], key=str.encode)
    index = ByMember(pa.table({"member_id": ids, "place": list(range(len(ids)))}))
    for who in ids:
        expected: list[Any] = [(place,) for place, one in enumerate(ids) if one == who]
        assert index.rows(who) == expected
    for who in ("!", "ab", "zz", "\U0010ffff"):
        assert index.rows(who) == []
    assert len(index.merged(index)) == 2 * len(ids)
    assert index.merged(index).rows("aa") == 2 * index.rows("aa")
    empty = ByMember(
        pa.table({"member_id": pa.array([], pa.string()), "place": pa.array([], pa.int64())})
    )
    assert empty.rows("a") == []
    assert empty.merged(index).rows("a") == index.rows("a")
