"""Forgetting: what is asked for wrongly, and what a killed one leaves."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.errors import InputError, RefusedError
from sayso.model import Dated
from sayso.training import ForgetRequest, StoppedError, forget, release, standing_of
from sayso.training.runs import ADAPTERS, DROPPED
from sayso.workspace import Workspace
from tests.unit.training.lab import make_lab, run, small_base

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Workspace]:
    made = make_lab(tmp_path)
    run(made, tmp_path / "first", tmp_path / "run")
    yield made
    made.close()


def test_what_is_not_there_cannot_be_forgotten(lab: Workspace, tmp_path: Path) -> None:
    for request, match in (
        (ForgetRequest(members=("nobody",)), "no record of this member"),
        (ForgetRequest(countries=("FR",)), "no shard of 'FR'"),
        (ForgetRequest(hold="none"), "hold 'none' stands over no country"),
    ):
        with pytest.raises(InputError, match=match):
            forget(lab, tmp_path / "run", request)
    assert forget(lab, tmp_path / "run", ForgetRequest(pending=True)).shards == ()


def test_a_hold_can_be_forgotten_for(lab: Workspace, tmp_path: Path) -> None:
    held = Dated(datetime(2026, 1, 1, tzinfo=UTC))
    lab.place_hold("BR", begins=held, placed_by="the officer", hold_id="brazil")

    done = forget(
        lab, tmp_path / "run", ForgetRequest(hold="brazil", by="the officer"),
        out=tmp_path / "after", base=small_base(),
    )  # fmt: skip

    assert done.trained is not None
    assert done.trained.learned == ()
    assert {one.country for one in done.trained.run.shards.values()} == {"US"}
    assert [one.why for one in done.dispositions] == [("hold brazil",)]
    assert release(lab, tmp_path / "after", tmp_path / "releases", base=small_base()).left_out == {}


def test_under_a_hold_a_shard_stays_dropped_and_is_not_learned(
    lab: Workspace, tmp_path: Path
) -> None:
    held = Dated(datetime(2026, 1, 1, tzinfo=UTC))
    lab.place_hold("US", begins=held, placed_by="the officer")

    with pytest.raises(StoppedError):
        forget(
            lab, tmp_path / "run", ForgetRequest(members=("m1",)), out=tmp_path / "after",
            base=small_base(),
        )  # fmt: skip

    assert len(standing_of(lab, tmp_path / "run").dropped) == 1


def test_a_killed_forgetting_is_finished_by_the_next(lab: Workspace, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    marked = forget(lab, tmp_path / "run", ForgetRequest(members=("m1",)))
    # As if it had died right after marking.
    shutil.copy(tmp_path / "run" / DROPPED, tmp_path / "copy" / DROPPED)
    with pytest.raises(RefusedError, match="it was dropped"):
        release(lab, tmp_path / "copy", tmp_path / "releases", base=small_base())

    done = forget(lab, tmp_path / "copy", ForgetRequest(pending=True))

    assert done.shards == marked.shards
    assert not (tmp_path / "copy" / ADAPTERS / done.shards[0]).exists()
    assert forget(lab, tmp_path / "copy", ForgetRequest(pending=True)).shards == ()
