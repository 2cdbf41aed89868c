"""An erased member has no key, no payload and no way back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from sayso.erasure import erase
from sayso.errors import RefusedError
from sayso.ledger import Ledger, ingest_choices, ingest_table, schema
from sayso.ledger.fsck import fsck
from sayso.ledger.sealing import seal
from sayso.model import Choice, Presence, Reason
from sayso.workspace import Workspace
from tests.town import (
    AT,
    START_US,
    choice_row,
    member_row,
    record_row,
    write_content,
    write_jsonl,
)
from tests.unit.ledger.builders import entries, head_rows, key_of, say, standings


def test_key_and_payload_are_gone_and_the_commitment_stays(ledger: Ledger) -> None:
    first = say(ledger, "7", Choice.ON, country="HK", channel="web", setting_version="v")
    other = say(ledger, "8")
    receipt = erase(ledger, "7", START_US)
    assert key_of(ledger, "7") is None
    assert key_of(ledger, "8") is not None
    mine = head_rows(ledger)[0]
    kept = {name: value for name, value in mine.items() if value is not None}
    assert bytes(kept.pop("commitment")) == first.commitment
    assert kept == {"index": 0, "kind": "choice", "recorded_us": START_US}
    assert (receipt.entry, receipt.is_new) == (2, True)
    assert list(entries(ledger)) == [other.index]


def test_the_entry_of_an_erasure_names_nobody(ledger: Ledger) -> None:
    say(ledger, "somebody@example.org")
    erase(ledger, "somebody@example.org", START_US)
    (found,) = ledger.public("erasure", 2)
    assert set(found.payload) == {"tombstone"}
    with ledger.reading() as con:
        (tag,) = con.execute(sa.select(schema.erased.c.tag)).scalars().all()
    assert bytes(tag).hex() == found.payload["tombstone"]


def test_a_second_erasure_looks_again_and_leaves_no_entry(ledger: Ledger) -> None:
    say(ledger, "7")
    first = erase(ledger, "7", START_US)
    again = erase(ledger, "7", START_US)
    assert (again.entry, again.is_new) == (first.entry, False)
    assert ledger.size() == 2


def test_a_member_nobody_heard_of_can_be_erased(ledger: Ledger) -> None:
    erase(ledger, "7", START_US)
    with pytest.raises(RefusedError):
        say(ledger, "7")
    assert fsck(ledger).tombstones == 1


def test_choosing_afterwards_is_refused_and_makes_no_key(ledger: Ledger) -> None:
    say(ledger, "7")
    erase(ledger, "7", START_US)
    for choice in (Choice.ON, Choice.OFF, Choice.DEFERRED):
        with pytest.raises(RefusedError, match="erased"):
            say(ledger, "7", choice)
    assert key_of(ledger, "7") is None
    assert ledger.size() == 2


def test_files_that_name_an_erased_member_lose_those_rows_only(
    ledger: Ledger, folder: Path
) -> None:
    say(ledger, "7")
    erase(ledger, "7", START_US)
    choices = write_jsonl(folder / "c.jsonl", [choice_row("7"), choice_row("8"), choice_row("7")])
    taken = ingest_choices(ledger, choices, START_US)
    assert taken.rows == 1
    assert [row["member_id"] for row in entries(ledger).values()] == ["8"]
    members = write_jsonl(folder / "m.jsonl", [member_row("7"), member_row("8"), member_row("9")])
    assert ingest_table(ledger, "members", members, START_US).rows == 2
    assert key_of(ledger, "7") is None
    words = b"".join(
        path.read_bytes() for name in ("segments", "tables") for path in (folder / name).iterdir()
    )
    assert b'"7"' not in words
    report = fsck(ledger)
    assert (report.erased_entries, report.roots) == (1, 1)


def test_the_fold_knows_nothing_of_the_erased_at_any_known(ledger: Ledger, folder: Path) -> None:
    members = write_jsonl(folder / "m.jsonl", [member_row("7"), member_row("8")])
    ingest_table(ledger, "members", members, START_US)
    say(ledger, "7", Choice.ON)
    say(ledger, "8", Choice.ON)
    seal(ledger, START_US, threshold_rows=1)
    erase(ledger, "7", START_US)
    for known in range(1, ledger.size() + 1):
        found = {row["member_id"]: row for row in standings(ledger, known)}
        assert "7" not in found
        assert found["8"]["presence"] == Presence.KNOWN


def test_an_erasure_after_sealing_and_ingesting_passes_fsck(ledger: Ledger, folder: Path) -> None:
    members = write_jsonl(folder / "m.jsonl", [member_row("7"), member_row("8")])
    ingest_table(ledger, "members", members, START_US)
    choices = write_jsonl(folder / "c.jsonl", [choice_row("7"), choice_row("8")])
    ingest_choices(ledger, choices, START_US)
    say(ledger, "7")
    say(ledger, "8")
    seal(ledger, START_US, threshold_rows=1)
    say(ledger, "7")
    erase(ledger, "7", START_US)
    report = fsck(ledger)
    assert report.erased_entries == 3
    assert report.commitments == report.size - 3
    assert (report.erased_rows, report.tables, report.roots) == (1, 1, 1)


def test_erased_for_ever_whatever_is_asked(workspace: Workspace, tmp_path: Path) -> None:
    members = write_jsonl(tmp_path / "m.jsonl", [member_row("7"), member_row("8")])
    workspace.ingest("members", members)
    workspace.choose("7", "on")
    workspace.erase("7")
    content = write_content(tmp_path / "c.parquet", [record_row("r1", "7"), record_row("r2", "8")])
    for known in range(1, workspace.ledger.size() + 1):
        for at in (AT, AT - timedelta(days=400), datetime(2400, 1, 1, tzinfo=UTC)):
            for given in (None, members):
                found = workspace.decide("7", at=at, known=known, members=given).decision
                assert found.reasons == (Reason.MEMBER_ERASED,)
    for given in (None, members):
        found = workspace.explain("7", "r1", content=content, at=AT, members=given).decision
        assert Reason.MEMBER_ERASED in found.reasons
        decided = workspace.decide_many(content, at=AT, members=given)
        assert decided.allow.tolist() == [False, True]
    # A later file that names them again changes nothing.
    again = write_jsonl(tmp_path / "m2.jsonl", [member_row("7", "BR"), member_row("8")])
    workspace.ingest("members", again)
    assert workspace.decide("7", at=AT).decision.reasons == (Reason.MEMBER_ERASED,)
    built = workspace.build(content, tmp_path / "out", at=AT)
    assert built.manifest.counts.refused == {"MEMBER_ERASED": 1}
