"""Law 10: forgetting a member gives the bytes of never having had them."""

from pathlib import Path
from random import Random

import pytest

from sayso.training import ForgetRequest, forget
from sayso.training.runs import ADAPTERS, SHARD_FILES
from sayso.workspace import Workspace
from tests.unit.training.lab import (
    MEMBERS,
    RECIPE,
    build,
    content_rows,
    country_of,
    learned_files,
    make_lab,
    run,
    small_base,
)

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")

# Sixteen members of one country leave some shard empty now and then; of eight, four never are.
EIGHT = RECIPE.model_copy(update={"shards": 8})


@pytest.fixture
def lab(tmp_path: Path) -> Workspace:
    return make_lab(tmp_path)


def victims(seed: int, count: int) -> tuple[str, ...]:
    return tuple(f"m{n}" for n in Random(seed).sample(range(MEMBERS), count))


@pytest.mark.parametrize(("seed", "count"), [(10, 1), (11, 3)])
def test_law_10(lab: Workspace, tmp_path: Path, seed: int, count: int) -> None:
    gone = victims(seed, count)
    first = run(lab, tmp_path / "first", tmp_path / "run", EIGHT)
    without = build(lab, tmp_path, "without", content_rows(without=gone, seed=seed))
    never = run(lab, without, tmp_path / "never", EIGHT)
    before = learned_files(first.path)

    done = forget(
        lab, first.path, ForgetRequest(members=gone), out=tmp_path / "after", base=small_base()
    )

    assert done.trained is not None
    shards = first.run.shards
    assert sum(one.country == "US" for one in shards.values()) >= 4
    # Every file that learning made, in every shard, and the run file itself.
    assert learned_files(done.trained.path) == learned_files(never.path)
    assert done.trained.run == never.run
    # Other shards keep their bytes, and are the same files.
    others = set(shards) - set(done.shards)
    assert 1 <= len(done.shards) <= count
    assert set(done.trained.learned) == set(done.shards) & set(done.trained.run.shards)
    for name in others:
        for file in SHARD_FILES:
            path = f"{ADAPTERS}/{name}/{file}"
            assert (done.trained.path / path).samefile(first.path / path)
            assert learned_files(first.path)[path] == before[path]
    # Nothing of what was dropped is left, and all of it is listed.
    for name in done.shards:
        assert not (first.path / ADAPTERS / name).exists()
    assert len(done.deleted) == len(SHARD_FILES) * len(done.shards)


def test_forgetting_proves_itself(lab: Workspace, tmp_path: Path) -> None:
    first = run(lab, tmp_path / "first", tmp_path / "run")
    lab.erase("m7")

    done = forget(
        lab, first.path, ForgetRequest(pending=True), out=tmp_path / "after", base=small_base(),
        prove=True,
    )  # fmt: skip

    assert done.trained is not None
    assert done.proof is not None
    assert done.proof.equal == len(learned_files(done.trained.path))
    assert done.proof.unproved == ()
    assert [one.why for one in done.dispositions] == [("MEMBER_ERASED",)]
    assert all(name.startswith(country_of(7)) for name in done.shards)


def test_the_order_of_arrival_does_not_matter(lab: Workspace, tmp_path: Path) -> None:
    first = run(lab, tmp_path / "first", tmp_path / "run")
    shuffled = build(lab, tmp_path, "shuffled", content_rows(seed=3))

    again = run(lab, shuffled, tmp_path / "again")

    assert learned_files(first.path) == learned_files(again.path)


def test_a_drop_can_come_before_the_learning(lab: Workspace, tmp_path: Path) -> None:
    first = run(lab, tmp_path / "first", tmp_path / "run")
    at_once = forget(lab, first.path, ForgetRequest(members=("m4",)))
    also = forget(lab, first.path, ForgetRequest(countries=("BR",)))
    brazil = [f"m{n}" for n in range(MEMBERS) if country_of(n) == "BR"]
    without = build(lab, tmp_path, "without", content_rows(without=["m4", *brazil]))
    never = run(lab, without, tmp_path / "never")

    later = forget(
        lab, first.path, ForgetRequest(pending=True), out=tmp_path / "after", base=small_base()
    )

    assert at_once.trained is None
    assert len(at_once.shards) == 1
    assert all(name.startswith("BR-") for name in also.shards)
    assert later.shards == ()
    assert later.trained is not None
    assert later.trained.learned == at_once.shards
    assert learned_files(later.trained.path) == learned_files(never.path)
