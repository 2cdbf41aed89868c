"""A rebuild gives the bytes of a build, whatever changed, and touches what changed."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sayso.errors import InputError, IntegrityError
from sayso.model import Dated, Position
from sayso.snapshot import load_manifest
from tests.town import (
    AT,
    member_row,
    record_row,
    town_content,
    town_members,
    town_notices,
    write_content,
    write_jsonl,
)
from tests.unit.snapshot.builders import (
    MEMBERS,
    RECORDS,
    Town,
    ingest_members,
    record_ids,
    records,
    same_bytes,
)

Asked = dict[str, Any]
HOUR = timedelta(hours=1)


def admitted_member(town: Town, country: str = "US") -> str:
    """Return a member with records in the base snapshot."""
    found: set[str] = set()
    for path in (town.folder / "base" / "records").iterdir():
        table = pq.read_table(path, columns=["member_id", "country"]).to_pylist()
        found |= {row["member_id"] for row in table if row["country"] == country}
    return min(found)


def members_with(town: Town, **more: Any) -> None:
    """Ingest the town's members with one of the admitted changed."""
    who = admitted_member(town)
    rows = town_members(MEMBERS)
    ingest_members(town, [row | more if row["member_id"] == who else row for row in rows])


def rows_with(town: Town, place: int, **more: Any) -> Asked:
    rows = town_content(RECORDS, MEMBERS)
    rows[place] |= more
    return {"content": write_content(town.folder / "changed.parquet", rows)}


def nothing(_: Town) -> Asked:
    return {}


def a_member_off(town: Town) -> Asked:
    town.workspace.choose(admitted_member(town), "off")
    return {}


def a_member_off_for_everything(town: Town) -> Asked:
    town.workspace.choose(admitted_member(town, "HK"), "off", purpose="*")
    return {}


def an_off_that_is_not_yet(town: Town) -> Asked:
    town.workspace.choose(admitted_member(town), "off", effective_at=AT + HOUR)
    return {}


def an_off_taken_back(town: Town) -> Asked:
    known = town.workspace.choose(who := admitted_member(town), "off").index + 1
    built = town.workspace.build(town.content, town.folder / "without", at=AT, known=known)
    town.workspace.choose(who, "on", country="US")
    return {"base": built.path}


def an_answer_deferred(town: Town) -> Asked:
    town.workspace.choose(admitted_member(town), "deferred")
    return {}


def a_member_erased(town: Town) -> Asked:
    town.workspace.erase(admitted_member(town))
    return {}


def a_member_erased_and_another_moved(town: Town) -> Asked:
    town.workspace.erase(admitted_member(town, "BR"))
    members_with(town, country="GB")
    return {}


def a_member_erased_and_a_hold(town: Town) -> Asked:
    town.workspace.erase(admitted_member(town))
    return a_hold(town)


def a_stranger_erased(town: Town) -> Asked:
    town.workspace.erase("nobody we know")
    return {}


def a_hold(town: Town) -> Asked:
    town.workspace.place_hold("BR", begins=Dated(AT.date() - timedelta(days=9)), placed_by="us")
    return {}


def a_hold_on_a_group(town: Town) -> Asked:
    town.workspace.place_hold("EEA", begins=Dated(AT - HOUR), placed_by="us")
    return {}


def a_hold_that_is_not_yet(town: Town) -> Asked:
    town.workspace.place_hold("US", begins=Dated(AT + HOUR), placed_by="us")
    return {}


def a_hold_lifted(town: Town) -> Asked:
    begins = Dated(AT - 9 * HOUR)
    name, receipt = town.workspace.place_hold("US", begins=begins, placed_by="us")
    known = receipt.index + 1
    built = town.workspace.build(town.content, town.folder / "held", at=AT, known=known)
    town.workspace.lift_hold(name, lifted=Dated(AT - HOUR), source=None, position=Position.NONE)
    return {"base": built.path}


def a_rule_narrowed(town: Town) -> Asked:
    path = town.workspace.path / "rulebook" / "scopes" / "world.yaml"
    text = path.read_text()
    assert "      article: [public]\n" in text
    path.write_text(text.replace("      article: [public]\n", ""))
    town.workspace.publish()
    return {}


def a_rule_for_the_grown(town: Town) -> Asked:
    path = town.workspace.path / "rulebook" / "scopes" / "world.yaml"
    path.write_text(path.read_text().replace("minimum_age: 18", "minimum_age: 25"))
    town.workspace.publish()
    return {}


def a_member_moved(town: Town) -> Asked:
    members_with(town, country="GB")
    return {}


def a_member_moved_within_one_rule(town: Town) -> Asked:
    members_with(town, country="IN")
    return {}


def a_member_of_nowhere(town: Town) -> Asked:
    members_with(town, country=None)
    return {}


def a_member_closed(town: Town) -> Asked:
    members_with(town, status="closed")
    return {}


def a_member_younger(town: Town) -> Asked:
    members_with(town, birth_date="2006-03-01")
    return {}


def a_member_twice(town: Town) -> Asked:
    rows = [*town_members(MEMBERS), member_row(admitted_member(town), "BR", since="2025-12-01")]
    ingest_members(town, rows)
    return {}


def members_gone(town: Town) -> Asked:
    who = admitted_member(town)
    ingest_members(town, [row for row in town_members(MEMBERS) if row["member_id"] != who])
    return {}


def members_new(town: Town) -> Asked:
    rows = [*town_members(MEMBERS), member_row("somebody new")]
    rows.append(member_row(f"m{MEMBERS + 1:04d}"))
    ingest_members(town, rows)
    return {}


def notices_new(town: Town) -> Asked:
    path = write_jsonl(town.folder / "n.jsonl", town_notices(MEMBERS, seed=99))
    town.workspace.ingest("notices", path)
    return {}


def members_given(town: Town) -> Asked:
    rows = [row | {"country": "US"} for row in town_members(MEMBERS)]
    return {"members": write_jsonl(town.folder / "given.jsonl", rows)}


def a_record_reworded(town: Town) -> Asked:
    return rows_with(town, 4, text="other words")


def a_record_made_private(town: Town) -> Asked:
    return rows_with(town, 4, visibility="private")


def a_record_twice(town: Town) -> Asked:
    return rows_with(town, 4, record_id="r00005")


def records_gone_and_new(town: Town) -> Asked:
    rows = town_content(RECORDS, MEMBERS)[9:]
    rows += [record_row("fresh-1", admitted_member(town)), record_row("fresh-2", "m0000")]
    return {"content": write_content(town.folder / "changed.parquet", rows)}


def at_over_a_writing_time(_: Town) -> Asked:
    return {"at": AT + timedelta(days=21)}


def at_a_moment_later(_: Town) -> Asked:
    return {"at": AT + timedelta(microseconds=1)}


def at_before_the_rules(_: Town) -> Asked:
    return {"at": datetime(2024, 9, 1, tzinfo=UTC)}


def at_before_the_start(_: Town) -> Asked:
    return {"at": datetime(2025, 11, 3, 0, 0, tzinfo=UTC)}


def at_over_a_notice_period(_: Town) -> Asked:
    return {"at": datetime(2026, 2, 1, tzinfo=UTC)}


def at_years_later(_: Town) -> Asked:
    return {"at": datetime(2029, 1, 20, 12, tzinfo=UTC)}


def known_before_the_choices(town: Town) -> Asked:
    return {"known": load_manifest(town.folder / "base").known - 20}


CHANGES: tuple[Callable[[Town], Asked], ...] = (
    nothing, a_member_off, a_member_off_for_everything, an_off_that_is_not_yet,
    an_off_taken_back, an_answer_deferred, a_member_erased,
    a_member_erased_and_another_moved, a_member_erased_and_a_hold, a_stranger_erased,
    a_hold, a_hold_on_a_group,
    a_hold_that_is_not_yet, a_hold_lifted, a_rule_narrowed, a_rule_for_the_grown,
    a_member_moved, a_member_moved_within_one_rule, a_member_of_nowhere, a_member_closed,
    a_member_younger, a_member_twice, members_gone, members_new, notices_new, members_given,
    a_record_reworded, a_record_made_private, a_record_twice, records_gone_and_new,
    at_over_a_writing_time, at_a_moment_later, at_before_the_rules, at_before_the_start,
    at_over_a_notice_period, at_years_later, known_before_the_choices,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_rebuild_is_a_build(town: Town, change: Callable[[Town], Asked]) -> None:
    asked = change(town)
    base = asked.pop("base", town.folder / "base")
    asked = {"at": AT, "known": town.workspace.ledger.size(), **asked}
    again = town.workspace.rebuild(base, town.folder / "again", **asked)
    content = asked.pop("content", town.content)
    anew = town.workspace.build(content, town.folder / "anew", **asked)
    same_bytes(again.path, anew.path)


FEW: tuple[Callable[[Town], Asked], ...] = (
    a_member_off, a_member_erased, a_member_moved, a_member_closed, members_gone,
)  # fmt: skip


@pytest.mark.parametrize("change", FEW, ids=lambda change: change.__name__)
def test_one_members_change_touches_one_bucket(town: Town, change: Callable[[Town], Asked]) -> None:
    who = admitted_member(town)
    bucket = f"bucket-{town.workspace.ledger.keys.bucket_of(who):04d}.parquet"
    change(town)
    base = town.folder / "base"
    again = town.workspace.rebuild(base, town.folder / "again", at=AT)
    assert again.buckets_written <= 1
    before, after = records(base), records(again.path)
    assert before.pop(bucket) != after.pop(bucket, None)
    assert before == after


def test_nothing_changed_touches_nothing(town: Town) -> None:
    again = town.workspace.rebuild(town.folder / "base", town.folder / "again", at=AT)
    assert again.buckets_written == 0
    assert records(again.path) == records(town.folder / "base")
    assert record_ids(again.path) == record_ids(town.folder / "base")


def test_a_rebuild_of_a_rebuild(town: Town) -> None:
    base = town.folder / "base"
    for number in range(3):
        town.workspace.choose(f"m{number:04d}", "off")
        base = town.workspace.rebuild(base, town.folder / f"step-{number}", at=AT).path
    known = town.workspace.ledger.size() - 1
    anew = town.workspace.build(town.content, town.folder / "anew", at=AT, known=known)
    same_bytes(base, anew.path)


def test_the_base_stays_as_it_was(town: Town) -> None:
    base = town.folder / "base"
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    town.workspace.choose(admitted_member(town), "off")
    again = town.workspace.rebuild(base, town.folder / "again", at=AT)
    shutil.rmtree(again.path)
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before


def test_a_base_whose_content_is_gone_needs_another(town: Town, tmp_path: Path) -> None:
    base = town.folder / "base"
    (base / "evidence" / "build.json").unlink()
    with pytest.raises(InputError, match="add --content"):
        town.workspace.rebuild(base, tmp_path / "again", at=AT)
    known = town.workspace.ledger.size()
    again = town.workspace.rebuild(
        base, tmp_path / "again", at=AT, known=known, content=town.content
    )
    anew = town.workspace.build(town.content, tmp_path / "anew", at=AT, known=known)
    same_bytes(again.path, anew.path)


@pytest.mark.parametrize("what", ["counts", "records", "one"])
def test_a_base_with_something_missing(town: Town, tmp_path: Path, what: str) -> None:
    base = town.folder / "base"
    if what == "counts":
        (base / "counts.parquet").unlink()
        town.workspace.rebuild(base, tmp_path / "again", at=AT)
        assert records(tmp_path / "again") == records(base)
        return
    for path in list((base / "records").iterdir())[: 1 if what == "one" else None]:
        path.unlink()
    with pytest.raises((InputError, IntegrityError)):
        town.workspace.rebuild(base, tmp_path / "again", at=AT)
    assert not (tmp_path / "again").exists()


def test_no_base_at_all(town: Town, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished snapshot"):
        town.workspace.rebuild(tmp_path, tmp_path / "again", at=AT)
