"""What no longer decides anything goes after its time; nothing that decides goes ever."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sayso.errors import InputError
from sayso.evidence.case import Given
from sayso.evidence.verify import verify_path
from sayso.ledger import Ledger
from sayso.ledger.fsck import fsck
from sayso.opening import init_workspace, open_workspace
from sayso.retention import DEFAULTS, FOR_EVER, Keeping, parse_retention
from sayso.snapshot import compare, load_manifest, load_records
from sayso.workspace import Workspace
from tests.town import AT, START, Clock, member_row, record_row, write_content, write_jsonl
from tests.traces import traces

SHORT = {**DEFAULTS, "members": Keeping(30, "a"), "notices": Keeping(10, "b"),
         "snapshots": Keeping(60, "c")}  # fmt: skip


def later(workspace: Workspace, days: int) -> None:
    workspace.clock = Clock(START + timedelta(days=days))


def notice(who: str) -> dict[str, Any]:
    return {
        "member_id": who, "purpose": "content-generation-training", "served_at": "2025-09-20",
        "channel": f"letter to {who}",
    }  # fmt: skip


@pytest.fixture
def kept(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Three versions of the members, two of the notices, a snapshot of the first day."""
    url = "sqlite:///ledger.db"
    if database == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
    workspace = init_workspace(tmp_path / "ws", Clock(), template="linkedin-2024", url=url)
    workspace.retention = SHORT
    for day, names in ((0, ("old-one", "both")), (1, ("new-one", "both")), (20, ("both", "last"))):
        later(workspace, day)
        rows = write_jsonl(tmp_path / f"m{day}.jsonl", [member_row(one) for one in names])
        workspace.ingest("members", rows)
        if day < 20:
            rows = write_jsonl(tmp_path / f"n{day}.jsonl", [notice(names[0])])
            workspace.ingest("notices", rows)
        if not day:
            content = [record_row(f"r-{one}", one) for one in ("old-one", "both", "last")]
            path = write_content(tmp_path / "c.parquet", content)
            workspace.build(path, tmp_path / "first", at=AT)
    yield workspace
    workspace.close()


def test_what_is_due_and_when(kept: Workspace) -> None:
    def due(days: int) -> tuple[list[tuple[str, int]], int]:
        later(kept, days)
        found = kept.due()
        return [(one.kind, one.entry) for one in found.versions], len(found.snapshots)

    first, second, third = 1, 4, 6
    assert due(10) == ([], 0)
    assert due(12) == ([("notices", 2)], 0)
    assert due(32) == ([("members", first), ("notices", 2)], 0)
    assert due(51) == ([("members", first), ("notices", 2), ("members", second)], 0)
    assert due(61)[1] == 1
    assert (("members", third) in due(9999)[0]) is False


def test_rows_go_and_roots_and_the_present_stay(kept: Workspace, tmp_path: Path) -> None:
    before = {who: kept.decide(who, at=AT).decision for who in ("old-one", "both", "last")}
    size = kept.ledger.size()
    assert traces([kept.path / "tables"], {b"old-one", b"new-one"})
    later(kept, 55)
    done = kept.apply_retention()
    assert [one.kind for one in done.due.versions] == ["members", "notices", "members"]
    assert traces([kept.path / "tables"], {b"old-one"}) == set()
    assert {who: kept.decide(who, at=AT).decision for who in before} == before
    assert kept.ledger.size() == size
    report = fsck(kept.ledger)
    assert (report.tables, report.roots, report.erased_rows) == (5, 5, 5)
    assert kept.apply_retention().due.versions == ()
    # What was deleted is not answered for otherwise than before: it is not answered for.
    for known in range(2, size):
        with pytest.raises(InputError, match=r"deleted by retention; ask with known"):
            kept.decide("both", at=AT, known=known)
    assert kept.decide("both", at=AT, known=1).decision.reasons
    assert kept.decide("both", at=AT, known=size).decision.allow
    with pytest.raises(InputError, match="deleted by retention"):
        kept.build(tmp_path / "c.parquet", tmp_path / "old", at=AT, known=size - 1)
    # A base whose tables are gone can be built from; every bucket is.
    again = kept.rebuild(tmp_path / "first", tmp_path / "again", at=AT)
    anew = kept.build(tmp_path / "c.parquet", tmp_path / "anew", at=AT, known=again.manifest.known)
    assert again.manifest == anew.manifest


def test_a_snapshots_records_go_and_its_manifest_stays(kept: Workspace, tmp_path: Path) -> None:
    first = tmp_path / "first"
    manifest = load_manifest(first)
    later(kept, 61)
    assert len(kept.due().snapshots) == 1
    done = kept.apply_retention()
    assert [one.path.name for one in done.due.snapshots] == ["first"]
    assert list((first / "records").iterdir()) == []
    assert load_manifest(first) == manifest
    report = verify_path(first, Given((kept.trust.key.public,), kept.trust.policy_bytes))
    assert report.is_sound, report.lines()
    assert "retention" in [one.name for one in report.checks]
    for reading in (load_records, lambda one: compare(one, one), lambda one: compare(one, first)):
        with pytest.raises(InputError, match="deleted by retention"):
            reading(first)
    again = kept.rebuild(first, tmp_path / "again", at=AT)  # takes nothing from its base
    assert load_records(again.path).num_rows == again.manifest.counts.admitted
    assert kept.due().snapshots == ()
    assert kept.erase("both").missed == ()


def test_a_killed_run_is_finished_by_the_next(kept: Workspace, tmp_path: Path) -> None:
    later(kept, 61)
    records = {p.name: p.read_bytes() for p in (tmp_path / "first" / "records").iterdir()}
    tables = {p.name: p.read_bytes() for p in (kept.path / "tables").iterdir()}
    kept.apply_retention()
    for name, raw in records.items():  # killed after the note, and after the listing
        (tmp_path / "first" / "records" / name).write_bytes(raw)
    for name, raw in tables.items():
        (kept.path / "tables" / name).write_bytes(raw)
    with pytest.raises(InputError, match="deleted by retention"):
        load_records(tmp_path / "first")
    done = kept.apply_retention()
    assert [one.path.name for one in done.due.snapshots] == ["first"]
    assert list((tmp_path / "first" / "records").iterdir()) == []
    assert len(done.swept) == 3
    assert fsck(kept.ledger).orphans == ()


def test_erasing_after_retention(kept: Workspace) -> None:
    later(kept, 55)
    kept.apply_retention()
    done = kept.erase("both")
    assert len(done.ledger.tables) == 1
    assert (fsck(kept.ledger).roots, fsck(kept.ledger).erased_rows) == (5, 6)


def test_nothing_is_due_in_an_empty_ledger(ledger: Ledger, tmp_path: Path) -> None:
    from sayso.retention import apply_retention

    assert apply_retention(ledger, SHORT, 1 << 60).due.versions == ()


# ---- settings ---------------------------------------------------------------------------


def test_the_settings_of_a_new_workspace_are_the_defaults(workspace: Workspace) -> None:
    again = open_workspace(workspace.path, Clock())
    assert again.retention == DEFAULTS == workspace.retention
    again.close()


def test_what_is_left_out_has_its_default() -> None:
    given = {"members": {"keep": "1 days", "reason": " short "}}
    assert parse_retention(given) == {**DEFAULTS, "members": Keeping(1, "short")}
    assert parse_retention({}) == DEFAULTS
    assert str(Keeping(None, "")) == "forever"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (7, "[retention] is no table"),
        ({"member": {"keep": "forever", "reason": "x"}}, "unknown kind 'retention.member'"),
        ({"members": "730 days"}, "'retention.members' needs keep and reason"),
        ({"members": {"keep": "730 days"}}, "needs keep and reason"),
        ({"members": {"keep": "730 days", "reason": "x", "why": "y"}}, "needs keep and reason"),
        ({"members": {"keep": "730 days", "reason": " "}}, "gives no reason"),
        ({"members": {"keep": "730 days", "reason": 7}}, "gives no reason"),
        *(
            ({"members": {"keep": keep, "reason": "x"}}, "'retention.members.keep' is no duration")
            for keep in ("730", 730, "0 days", "-3 days", "2 years", "1.5 days", "Forever", "")
        ),
        *(({kind: {"keep": "9 days", "reason": "x"}}, "can only be forever") for kind in FOR_EVER),
    ],
)
def test_settings_that_nobody_understands(given: object, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_retention(given)
    assert words in str(caught.value)
    assert caught.value.hint
