"""Law 13: no release serves an adapter whose shard is held, or who would be refused today."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.attest.dsse import parse_envelope, verify
from sayso.canonical import parse_canonical
from sayso.errors import RefusedError
from sayso.model import Dated, Position
from sayso.training import (
    ForgetRequest,
    Order,
    StoppedError,
    Told,
    forget,
    open_release,
    release,
    standing_of,
    train,
)
from sayso.training.runs import NAME, SEALED
from sayso.training.sealing import SEALED_TYPE
from sayso.workspace import Workspace
from tests.town import MEMBER_COLUMNS, write_content, write_csv
from tests.unit.training.lab import (
    RECIPE,
    build,
    content_rows,
    country_of,
    few_rows,
    make_lab,
    member_rows,
    run,
    small_base,
)

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")

LONG_AGO = Dated(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Workspace]:
    made = make_lab(tmp_path)
    yield made
    made.close()


def place_elsewhere(workspace: Path, scope: str) -> None:
    """Place a hold as another process does."""
    subprocess.run(
        [
            sys.executable, "-m", "sayso.cli", "hold", "place", scope, "--workspace",
            str(workspace), "--placed-by", "the officer", "--from", "2026-01-01",
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def test_a_hold_of_another_process_stops_a_run_at_its_next_step(
    lab: Workspace, tmp_path: Path
) -> None:
    steps: list[Told] = []

    def tell(told: Told) -> None:
        steps.append(told)
        if len(steps) == 3:
            place_elsewhere(lab.path, "US")

    out = tmp_path / "run"
    with pytest.raises(StoppedError, match="hold 'us-2026-01-01' stands over US") as stopped:
        train(lab, Order(tmp_path / "first", out, RECIPE, small_base()), tell)

    assert len(steps) == 3
    assert stopped.value.holds == ("us-2026-01-01",)
    sealed = tmp_path / "run.partial"
    assert not out.exists()
    assert not (sealed / NAME).exists()
    said = parse_canonical(
        verify(parse_envelope((sealed / SEALED).read_bytes()), [lab.trust.key.public], SEALED_TYPE)
    )
    assert isinstance(said, dict)
    assert (said["step"], said["holds"]) == (3, ["us-2026-01-01"])
    entry = lab.ledger.latest("sealed-run", lab.ledger.size())
    assert entry is not None
    assert entry.payload["step"] == 3
    # Nothing of ours takes it up again, also when the hold is gone.
    lab.lift_hold("us-2026-01-01", lifted=LONG_AGO, source=None, position=Position.NONE)
    with pytest.raises(RefusedError, match="was sealed"):
        train(lab, Order(tmp_path / "first", out, RECIPE, small_base()))


def test_a_held_country_leaves_the_release_and_comes_back(lab: Workspace, tmp_path: Path) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run")
    whole = release(lab, done.path, tmp_path / "releases", base=small_base())
    place_elsewhere(lab.path, "BR")

    with pytest.raises(RefusedError, match="hold 'br-2026-01-01' stands over BR"):
        release(lab, done.path, tmp_path / "releases", base=small_base())
    with pytest.raises(RefusedError, match="hold 'br-2026-01-01' stands over BR"):
        open_release(lab, whole.path)
    rest = release(lab, done.path, tmp_path / "releases", base=small_base(), leave_out=True)

    assert {name[:2] for name in rest.release.adapters} == {"US"}
    assert {name[:2] for name in rest.left_out} == {"BR"}
    assert open_release(lab, rest.path) == rest.release
    lab.lift_hold("br-2026-01-01", lifted=LONG_AGO, source=None, position=Position.NONE)
    back = release(lab, done.path, tmp_path / "releases", base=small_base())
    assert (back.path, back.release) == (whole.path, whole.release)
    assert open_release(lab, whole.path) == whole.release


def test_an_off_under_future_runs_is_served_and_left_out_of_what_is_learned_again(
    lab: Workspace, tmp_path: Path
) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run")
    lab.choose("m1", "off")

    served = release(lab, done.path, tmp_path / "releases", base=small_base())
    kept = forget(lab, done.path, ForgetRequest(pending=True))

    assert served.spared == 3
    assert served.left_out == {}
    assert kept.shards == ()
    assert [(one.release, one.what) for one in kept.dispositions] == [
        (served.release.digest, "kept")
    ]
    assert open_release(lab, served.path) == served.release
    # A new run is a later run.
    assert run(lab, tmp_path / "first", tmp_path / "next").left_out == 3


def test_an_off_under_forget_is_refused_until_it_is_forgotten(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, future_runs="forget")
    done = run(lab, tmp_path / "first", tmp_path / "run")
    before = release(lab, done.path, tmp_path / "releases", base=small_base())
    lab.choose("m1", "off")

    with pytest.raises(RefusedError, match="CHOSEN_OFF"):
        release(lab, done.path, tmp_path / "releases", base=small_base())
    gone = forget(
        lab, done.path, ForgetRequest(pending=True), out=tmp_path / "after", base=small_base()
    )

    assert gone.trained is not None
    assert [(one.what, one.release) for one in gone.dispositions] == [
        ("forgotten", ""),
        ("forgotten", before.release.digest),
    ]
    assert not list((before.path / "model").glob("*"))
    after = release(lab, tmp_path / "after", tmp_path / "releases", base=small_base())
    assert after.left_out == {}
    lab.close()


def test_the_stricter_of_two_withdrawals_counts(lab: Workspace, tmp_path: Path) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run")
    files = lab.draft_files()
    lab.publish({n: text.replace("future-runs", "forget") for n, text in files.items()})
    lab.choose("m1", "off")

    standing = standing_of(lab, done.path)

    assert {why for found in standing.pending.values() for why in found.values()} == {
        ("CHOSEN_OFF",)
    }


def test_the_rule_at_the_training_counts_though_it_is_another_at_the_off(tmp_path: Path) -> None:
    lab = make_lab(tmp_path, rows=few_rows(), future_runs="forget")
    done = run(lab, tmp_path / "first", tmp_path / "run")
    files = lab.draft_files()
    lab.publish({n: text.replace("forget", "future-runs") for n, text in files.items()})
    lab.choose("m1", "off")

    standing = standing_of(lab, done.path)

    assert {why for found in standing.pending.values() for why in found.values()} == {
        ("CHOSEN_OFF",)
    }
    lab.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"birth_date": "2010-01-01"}, "UNDER_AGE"),
        ({"status": "closed"}, "STATUS_EXCLUDED"),
        ({"country": "BR"}, "MOVED"),
    ],
)
def test_facts_corrected_since_keep_an_adapter_out(
    lab: Workspace, tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run")
    rows = [{**row, **change} if row["member_id"] == "m1" else row for row in member_rows()]
    write_csv(tmp_path / "members.csv", rows, MEMBER_COLUMNS)
    lab.ingest("members", tmp_path / "members.csv")

    with pytest.raises(RefusedError, match=reason):
        release(lab, done.path, tmp_path / "releases", base=small_base())
    standing = standing_of(lab, done.path)
    assert len(standing.refused) == 1
    assert next(iter(standing.refused)).startswith(country_of(1))


def test_a_deleted_record_keeps_an_adapter_out(lab: Workspace, tmp_path: Path) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run")
    now = [row for row in content_rows() if row["record_id"] != "r4-1"]
    content = write_content(tmp_path / "now.parquet", now)

    standing = standing_of(lab, done.path, content)

    assert [list(found.values()) for found in standing.pending.values() if found] == [
        [("RECORD_DELETED",)]
    ]


def test_an_erased_member_keeps_an_adapter_out(lab: Workspace, tmp_path: Path) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run")
    lab.erase("m2")

    with pytest.raises(RefusedError, match="MEMBER_ERASED"):
        release(lab, done.path, tmp_path / "releases", base=small_base())


def test_rules_that_are_others_now_keep_adapters_out(lab: Workspace, tmp_path: Path) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run")
    files = lab.draft_files()
    lab.publish(
        {n: text.replace("minimum_age: 18", "minimum_age: 21") for n, text in files.items()}
    )

    with pytest.raises(RefusedError, match="the rules of BR are others now"):
        release(lab, done.path, tmp_path / "releases", base=small_base())


def test_a_snapshot_that_is_gone_leaves_nothing_to_serve(lab: Workspace, tmp_path: Path) -> None:
    snapshot = build(lab, tmp_path, "second", content_rows())
    done = run(lab, snapshot, tmp_path / "run")
    snapshot.rename(tmp_path / "elsewhere")

    with pytest.raises(Exception, match="no finished snapshot"):
        release(lab, done.path, tmp_path / "releases", base=small_base())
