"""The permit: every refusal, and what renewing costs. Needs no PyTorch."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sayso.errors import InputError, IntegrityError, RefusedError, UnavailableError
from sayso.model import Dated, Position
from sayso.training import Permit, StoppedError, permitted
from sayso.training.sealing import need_unsealed
from sayso.workspace import Workspace
from tests.town import MEMBER_COLUMNS as COLUMNS
from tests.town import Clock, member_row, write_content, write_csv
from tests.unit.training.lab import build, content_rows, make_lab, member_rows

JANUARY = Dated(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def lab(tmp_path: Path, clock: Clock) -> Iterator[Workspace]:
    made = make_lab(tmp_path, clock)
    yield made
    made.close()


@pytest.fixture
def first(lab: Workspace, tmp_path: Path) -> Path:
    return tmp_path / "first"


def test_it_is_given_for_what_was_just_built(lab: Workspace, first: Path) -> None:
    permit = Permit.ask(lab, first)

    assert permit.countries == ("BR", "US")
    assert permit.left_out == frozenset()
    assert list(permitted(permit, "abc", first.with_name("out"))) == ["a", "b", "c"]
    assert permit.step == 2
    assert not first.with_name("out").exists()


def test_a_loop_without_a_trainer_is_stopped_and_sealed(lab: Workspace, first: Path) -> None:
    permit, out = Permit.ask(lab, first), first.with_name("out")

    done: list[int] = []

    def learn() -> None:
        for step in permitted(permit, range(5), out):
            done.append(step)
            if step == 1:
                lab.place_hold("US", begins=JANUARY, placed_by="the officer")

    with pytest.raises(StoppedError, match="stopped before step 2"):
        learn()
    assert done == [0, 1]
    entry = lab.ledger.latest("sealed-run", lab.ledger.size())
    assert entry is not None
    assert (entry.payload["step"], entry.payload["holds"]) == (2, ["us-2026-01-01"])
    with pytest.raises(RefusedError, match="was sealed"):
        need_unsealed(out)


def test_a_hold_on_any_country_in_it_refuses(lab: Workspace, first: Path) -> None:
    lab.place_hold("BR", begins=JANUARY, placed_by="the officer")

    with pytest.raises(StoppedError, match="hold 'br-2026-01-01' stands over BR") as stopped:
        Permit.ask(lab, first)
    assert stopped.value.holds == ("br-2026-01-01",)
    assert stopped.value.step == 0


def test_a_hold_on_another_country_does_not(lab: Workspace, first: Path) -> None:
    permit = Permit.ask(lab, first)
    lab.place_hold("HK", begins=JANUARY, placed_by="the officer")

    permit.renew(1)
    assert Permit.ask(lab, first).countries == ("BR", "US")


def test_a_stale_rulebook_refuses(lab: Workspace, first: Path) -> None:
    files = lab.draft_files()
    lab.publish(
        {n: text.replace("minimum_age: 18", "minimum_age: 21") for n, text in files.items()}
    )

    with pytest.raises(RefusedError, match="the rules of BR are others now"):
        Permit.ask(lab, first)


def test_a_rulebook_with_another_remark_is_not_stale(lab: Workspace, first: Path) -> None:
    files = lab.draft_files()
    lab.publish({name: f"# Read again.\n{text}" for name, text in files.items()})

    assert Permit.ask(lab, first).countries == ("BR", "US")


def test_a_snapshot_too_old_or_of_the_future_is_refused(
    lab: Workspace, first: Path, clock: Clock
) -> None:
    now = clock.now
    clock.now = now + timedelta(days=31)
    with pytest.raises(RefusedError, match="31 days ago; 30 are allowed"):
        Permit.ask(lab, first)
    assert Permit.ask(lab, first, max_age=timedelta(days=40)).countries == ("BR", "US")
    clock.now = now - timedelta(days=1)
    with pytest.raises(RefusedError, match="has not come"):
        Permit.ask(lab, first)


def test_another_purpose_is_refused(lab: Workspace, first: Path) -> None:
    with pytest.raises(RefusedError, match="not for 'advertising'"):
        Permit.ask(lab, first, "advertising")


def test_content_that_changed_is_refused(lab: Workspace, first: Path, tmp_path: Path) -> None:
    write_content(tmp_path / "first.parquet", content_rows(without=("m1",)))

    with pytest.raises(RefusedError, match="the content changed since"):
        Permit.ask(lab, first)


def test_members_that_changed_are_refused(lab: Workspace, first: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "members.csv", [*member_rows(), member_row("new")], COLUMNS)
    lab.ingest("members", tmp_path / "members.csv")

    with pytest.raises(RefusedError, match="the members changed since"):
        Permit.ask(lab, first)


def test_notices_that_changed_are_refused(lab: Workspace, first: Path, tmp_path: Path) -> None:
    rows = [{"member_id": "m1", "purpose": "p", "served_at": "2026-01-02T00:00:00Z"}]
    write_csv(tmp_path / "notices.csv", rows, ("member_id", "purpose", "served_at"))
    lab.ingest("notices", tmp_path / "notices.csv")

    with pytest.raises(RefusedError, match="the notices changed since"):
        Permit.ask(lab, first)


def test_a_file_that_differs_stops_everything(lab: Workspace, first: Path) -> None:
    path = next((first / "records").iterdir())
    path.write_bytes(path.read_bytes() + b"x")

    with pytest.raises(IntegrityError):
        Permit.ask(lab, first)


def test_a_snapshot_of_elsewhere_is_no_snapshot(lab: Workspace, tmp_path: Path) -> None:
    other = make_lab(tmp_path / "other")

    with pytest.raises(InputError, match="no snapshot of this workspace"):
        Permit.ask(lab, tmp_path / "other" / "first")
    other.close()


def test_an_unreachable_ledger_is_a_no(lab: Workspace, first: Path) -> None:
    permit = Permit.ask(lab, first)
    (lab.path / "ledger.db").rename(lab.path / "away.db")

    with pytest.raises(UnavailableError, match="did not answer"):
        permit.renew(1)
    (lab.path / "away.db").rename(lab.path / "ledger.db")
    permit.renew(1)


def test_who_would_be_refused_today_is_left_out(lab: Workspace, first: Path) -> None:
    lab.choose("m1", "off")
    lab.erase("m2")

    permit = Permit.ask(lab, first)

    # Of the erased nothing is in the snapshot any more.
    assert {one.reasons for one in permit.refused.values()} == {("CHOSEN_OFF",)}
    assert len(permit.left_out) == 3


def test_a_hold_ends_a_permit_at_the_next_renewal(lab: Workspace, first: Path) -> None:
    permit = Permit.ask(lab, first)
    permit.renew(6)
    lab.place_hold("US", begins=JANUARY, placed_by="the officer")

    with pytest.raises(StoppedError, match="stopped before step 7"):
        permit.renew(7)
    lab.lift_hold(
        "us-2026-01-01",
        lifted=Dated(datetime(2026, 1, 5, tzinfo=UTC)),
        source=None,
        position=Position.NONE,
    )
    permit.renew(8)


def test_choices_do_not_end_it(lab: Workspace, first: Path) -> None:
    permit = Permit.ask(lab, first)
    lab.choose("m1", "off")

    permit.renew(1)


def test_a_hold_that_begins_by_itself_ends_it(lab: Workspace, first: Path, clock: Clock) -> None:
    soon = clock.now + timedelta(minutes=5)
    lab.place_hold("US", begins=Dated(soon), placed_by="the officer")
    permit = Permit.ask(lab, first)
    permit.renew(1)
    clock.now = soon + timedelta(minutes=1)

    with pytest.raises(StoppedError, match="stands over US"):
        permit.renew(2)


def test_forgetting_asks_only_about_what_is_learned_again(
    lab: Workspace, tmp_path: Path, clock: Clock
) -> None:
    snapshot = build(lab, tmp_path, "second", content_rows(without=("m3",)))
    write_csv(tmp_path / "members.csv", [*member_rows(), member_row("new")], COLUMNS)
    lab.ingest("members", tmp_path / "members.csv")
    lab.place_hold("BR", begins=JANUARY, placed_by="the officer")
    clock.now += timedelta(days=400)

    assert Permit.ask(lab, snapshot, again={"US"}).countries == ("US",)
    with pytest.raises(StoppedError):
        Permit.ask(lab, snapshot, again={"US", "BR"})
