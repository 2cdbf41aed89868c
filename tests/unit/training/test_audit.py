"""The audit: planted codes are told until they are forgotten, and nothing is left of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.errors import ConflictError, InputError, RefusedError
from sayso.evidence.report_audit import ALARM, DEAF, heard, json_of, render_audit
from sayso.model import Dated
from sayso.training import ForgetRequest, StoppedError, Told, Trained, forget, training_entries
from sayso.training import audit as room
from sayso.training.audit import ADAPTER, AFTER, BEFORE, NEVER, RELEASE, Planting, audit
from sayso.training.foundation import digests_of
from sayso.training.places import BEGUN, RUNS, noted
from sayso.training.runs import ADAPTERS, SEALED, WEIGHTS
from sayso.workspace import Workspace
from tests.unit.training.lab import (
    RECIPE,
    country_of,
    few_rows,
    make_lab,
    run,
    small_base,
)

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")

LOUD = RECIPE.model_copy(update={"shards": 1, "rank": 8, "alpha": 32, "epochs": 30})
QUIET = Planting(canaries=1, repeats=1, candidates=8)
JANUARY = Dated(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Workspace]:
    made = make_lab(tmp_path, rows=few_rows())
    yield made
    made.close()


def trained(lab: Workspace, tmp_path: Path) -> Trained:
    return run(lab, tmp_path / "first", tmp_path / "run", RECIPE.model_copy(update={"shards": 1}))


def test_planted_codes_are_told_until_they_are_forgotten(lab: Workspace, tmp_path: Path) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run", LOUD)
    before = digests_of(done.path)
    planting = Planting(canaries=1, repeats=16, candidates=256, shard="BR-0000-of-0001")

    found = audit(lab, done.path, tmp_path / "audit", base=small_base(), planting=planting)

    told, after, never = (found.of(when, ADAPTER) for when in (BEFORE, AFTER, NEVER))
    # Of 8 bits; the order in the shard, and with it the last digits, differ by workspace.
    assert told.exposures[0] > 6
    assert never.exposures[0] < 4
    assert min(told.areas.values()) > 0.9
    assert heard(found)
    # Equal bytes, and so equal scores: to the last bit, of adapter and release.
    assert found.equal == 3 * len(done.run.shards) + 1
    assert (after.exposures, after.areas) == (never.exposures, never.areas)
    assert found.same_scores
    assert found.is_run
    assert found.of(BEFORE, RELEASE).exposures != found.of(AFTER, RELEASE).exposures
    # The run is as it was, and of the others nothing is left.
    assert digests_of(done.path) == before
    assert [path.name for path in (tmp_path / "audit").iterdir()] == ["deleted.json"]
    listed = json.loads((tmp_path / "audit" / "deleted.json").read_bytes())
    assert listed == found.deleted
    for name in ("planted", "after"):
        adapter = tmp_path / "audit.partial" / name / ADAPTERS / found.shard / WEIGHTS
        assert str(adapter) in listed
    assert list(noted(lab.path, RUNS)) == [done.path]
    assert noted(lab.path, BEGUN) == {}
    entries = training_entries(lab.ledger, lab.ledger.size())
    gone = [one.payload for one in entries if one.kind == "disposition"]
    made = {one.payload["run"] for one in entries if one.kind == "training-run"}
    assert {one["run"] for one in gone} == made - {done.run.digest}
    assert {one["disposition"] for one in gone} == {"forgotten"}
    page = render_audit(found, lab.clock()).decode()
    assert ALARM in page
    assert DEAF not in page
    assert ALARM in json_of(found).decode()


def test_who_chose_off_since_is_in_no_part_of_it(lab: Workspace, tmp_path: Path) -> None:
    done = trained(lab, tmp_path)
    lab.choose("m1", "off")
    shard = f"{country_of(1)}-0000-of-0001"

    found = audit(
        lab, done.path, tmp_path / "audit", base=small_base(),
        planting=Planting(1, 1, 8, shard=shard),
    )  # fmt: skip

    assert not found.is_run
    assert found.same_scores
    assert not heard(found)
    assert DEAF in render_audit(found, lab.clock()).decode()
    assert list(noted(lab.path, RUNS)) == [done.path]


def test_a_hold_stops_an_audit_and_leaves_nothing(lab: Workspace, tmp_path: Path) -> None:
    done = trained(lab, tmp_path)

    def tell(told: Told) -> None:
        if told.step == 1:
            lab.place_hold(told.shard[:2], begins=JANUARY, placed_by="the officer")

    with pytest.raises(StoppedError):
        audit(
            lab, done.path, tmp_path / "audit", base=small_base(), tell=tell,
            planting=Planting(1, 9, 99),
        )  # fmt: skip

    assert not (tmp_path / "audit").exists()
    left = {path.name for path in (tmp_path / "audit.partial").iterdir()}
    assert left == {SEALED, "deleted.json"}
    with pytest.raises(RefusedError, match="was sealed"):
        audit(lab, done.path, tmp_path / "audit", base=small_base(), planting=QUIET)


def test_what_cannot_be_audited_says_so(
    lab: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = trained(lab, tmp_path)

    def ask(planting: Planting = QUIET, out: str = "audit") -> None:
        audit(lab, done.path, tmp_path / out, base=small_base(), planting=planting)

    for odd in (Planting(0, 1, 8), Planting(1, 0, 8), Planting(8, 1, 8)):
        with pytest.raises(InputError, match="more codes than canaries"):
            ask(odd)
    with pytest.raises(InputError, match="has no shard 'FR'"):
        ask(Planting(1, 1, 8, shard="FR"))
    with pytest.raises(ConflictError, match="exists"):
        ask(out="run")
    with monkeypatch.context() as patched:
        patched.setattr(room, "fingerprint", lambda _device: {"torch": "another"})
        with pytest.raises(InputError, match="another environment"):
            ask()
    lab.place_hold("BR", begins=JANUARY, placed_by="the officer")
    with pytest.raises(RefusedError, match="stand against learning any of it"):
        ask(Planting(1, 1, 8, shard="BR-0000-of-0001"))
    forget(lab, done.path, ForgetRequest(members=("m1",)))
    with pytest.raises(RefusedError, match="must be forgotten from this run first"):
        ask()
