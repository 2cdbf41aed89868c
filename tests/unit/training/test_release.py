"""Release: the exact mean, under the digest of its files."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sayso.attest.statements import verify_statement
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.training import Order, follow, load_run, open_release, release, train, training_entries
from sayso.training.foundation import Size, digests_of, own_base, pin_base
from sayso.training.merge import Merge, mean_of
from sayso.training.release import verify_release
from sayso.training.runs import ADAPTERS, STATEMENT, WEIGHTS, write_whole
from sayso.workspace import Workspace
from tests.unit.training.lab import RECIPE, SIZE, make_lab, run, small_base

torch = pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Path]]:
    folder = tmp_path_factory.mktemp("trained")
    lab = make_lab(folder)
    run(lab, folder / "first", folder / "run")
    yield lab, folder / "run"
    lab.close()


def copied(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "copy")


def load(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(path))


@pytest.fixture(scope="module")
def freed(trained: tuple[Workspace, Path]) -> Path:
    lab, folder = trained
    recipe = RECIPE.model_copy(update={"half_a": "free"})
    return run(lab, folder.parent / "first", folder.parent / "free", recipe).path


@pytest.mark.parametrize(
    ("half_a", "merge"),
    [("frozen", "mean"), ("frozen", "concatenation"), ("free", "concatenation")],
)
def test_a_merge_is_the_mean_of_the_products(
    trained: tuple[Workspace, Path], freed: Path, half_a: str, merge: Merge
) -> None:
    folder = freed if half_a == "free" else trained[1]
    found = load_run(folder)
    names = tuple(found.shards)

    merged = mean_of(folder, found, names, merge)

    # The definition, product by product, in double precision.
    weights = [load(folder / ADAPTERS / name / WEIGHTS) for name in names]
    first = weights[0]
    for module, delta in merged.items():
        a, b = (f"base_model.model.{module}.lora_{half}.weight" for half in "AB")
        mean = sum(one[b].double() @ one[a].double() for one in weights) / len(weights)
        assert torch.allclose(delta, mean * RECIPE.alpha / RECIPE.rank, rtol=1e-12, atol=1e-15)
        assert float(delta.abs().max()) > 0
        assert all(torch.equal(one[a], first[a]) for one in weights) == (half_a == "frozen")
    again = mean_of(folder, found, names[::-1], merge)
    assert all(torch.equal(one, merged[name]) for name, one in again.items())


def test_a_free_half_has_no_mean_at_the_rank_of_one(
    trained: tuple[Workspace, Path], freed: Path, tmp_path: Path
) -> None:
    lab = trained[0]
    with pytest.raises(InputError, match="whose half A learned have no mean"):
        release(lab, freed, tmp_path, base=small_base())

    done = release(lab, freed, tmp_path, base=small_base(), merge="concatenation")

    assert done.release.merge == "concatenation"
    assert done.release.rank == RECIPE.rank * len(done.release.adapters)
    said = verify_statement((done.path / STATEMENT).read_bytes(), [lab.trust.key.public])
    assert said.predicate["merge"] == "concatenation"
    assert open_release(lab, done.path) == done.release


def test_a_release_that_nobody_signed_is_never_served(
    trained: tuple[Workspace, Path], tmp_path: Path
) -> None:
    lab, folder = trained
    done = release(lab, folder, tmp_path, base=small_base())
    # Weights and list were replaced together, so that they agree.
    weights = done.path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    other = done.release.model_copy(update={"files": digests_of(done.path / "model")})
    write_whole(done.path / "release.json", other.to_bytes())

    assert verify_release(done.path) == other
    with pytest.raises(IntegrityError, match="did not sign"):
        open_release(lab, done.path)
    (done.path / STATEMENT).unlink()
    with pytest.raises(IntegrityError, match="has no statement"):
        open_release(lab, done.path)


def test_served_weights_are_base_plus_mean(trained: tuple[Workspace, Path], tmp_path: Path) -> None:
    lab, folder = trained
    done = release(lab, folder, tmp_path / "releases", base=small_base())
    found = load_run(folder)
    deltas = mean_of(folder, found, tuple(found.shards))

    base, served = (
        load(place / "model.safetensors") for place in (small_base(), done.path / "model")
    )

    assert base.keys() == served.keys()
    for name, weight in base.items():
        delta = deltas.get(name.removesuffix(".weight"))
        wanted = weight if delta is None else (weight.double() + delta.T).float()
        assert torch.equal(served[name], wanted), name


def test_a_release_is_under_its_digest_and_signed(
    trained: tuple[Workspace, Path], tmp_path: Path
) -> None:
    lab, folder = trained
    done = release(lab, folder, tmp_path / "releases", base=small_base())
    again = release(lab, folder, tmp_path / "releases", base=small_base())

    assert done.path.name == done.release.digest[:16]
    assert (again.path, again.release) == (done.path, done.release)
    said = verify_statement((done.path / STATEMENT).read_bytes(), [lab.trust.key.public])
    assert said.subjects["release.json"] == done.release.digest
    assert said.predicate["base"]["exposure"] == "unknown"
    assert len(said.predicate["adapters"]) == len(done.release.adapters)
    entry = lab.ledger.latest("release", lab.ledger.size(), release=done.release.digest)
    assert entry is not None
    assert open_release(lab, done.path) == done.release


def test_weights_that_differ_are_never_served(
    trained: tuple[Workspace, Path], tmp_path: Path
) -> None:
    lab, folder = trained
    done = release(lab, folder, tmp_path / "releases", base=small_base())
    weights = done.path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")

    with pytest.raises(IntegrityError, match="not those of the release"):
        verify_release(done.path)
    with pytest.raises(InputError, match="no release"):
        verify_release(tmp_path)


def test_an_adapter_that_differs_is_never_merged(
    trained: tuple[Workspace, Path], tmp_path: Path
) -> None:
    lab, folder = trained
    copy = copied(folder, tmp_path)
    path = next((copy / ADAPTERS).iterdir()) / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")

    with pytest.raises(IntegrityError, match=r"is not the one that run\.json lists"):
        release(lab, copy, tmp_path / "releases", base=small_base())


def test_another_base_is_never_merged_into(trained: tuple[Workspace, Path], tmp_path: Path) -> None:
    lab, folder = trained
    other, _ = own_base(tmp_path / "bases", Size(**{**SIZE.model_dump(), "seed": 2}))

    with pytest.raises(IntegrityError, match="the base in"):
        release(lab, folder, tmp_path / "releases", base=other)


def test_adapters_of_other_runs_share_no_half(
    trained: tuple[Workspace, Path], tmp_path: Path
) -> None:
    lab, folder = trained
    recipe = RECIPE.model_copy(update={"seed": 5})
    other = train(lab, Order(folder.parent / "first", tmp_path / "run", recipe, small_base()))
    copy, found = copied(folder, tmp_path), load_run(folder)
    name = next(iter(found.shards))
    shutil.copy(other.path / ADAPTERS / name / WEIGHTS, copy / ADAPTERS / name / WEIGHTS)
    mixed = {**found.shards, name: other.run.shards[name]}
    mixed_run = found.model_copy(update={"shards": mixed})
    write_whole(copy / "run.json", mixed_run.to_bytes())

    with pytest.raises(IntegrityError, match="another frozen half"):
        mean_of(copy, mixed_run, tuple(mixed))


def test_the_own_base_saw_nobody_and_is_kept_by_its_digest(tmp_path: Path) -> None:
    first, pin = own_base(tmp_path, SIZE)
    again, same = own_base(tmp_path, SIZE)

    assert (first, pin) == (again, same)
    assert pin.exposure == "none"
    assert pin_base(first).exposure == "unknown"
    assert pin_base(first).sha256 == pin.sha256
    assert digests_of(first) == digests_of(small_base())


def test_a_folder_without_a_model_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model's folder"):
        pin_base(tmp_path)


def test_a_run_can_be_followed_to_its_releases(
    trained: tuple[Workspace, Path], tmp_path: Path
) -> None:
    lab, folder = trained
    done = release(lab, folder, tmp_path / "releases", base=small_base())
    found = load_run(folder)
    entry = lab.ledger.latest("training-run", lab.ledger.size(), run=found.digest)
    assert entry is not None

    told = follow(
        training_entries(lab.ledger, lab.ledger.size()), entry.payload["snapshot"], {"BR"}
    )

    mine = next(one for one in told if one.run == found.digest)
    assert {name[:2] for name in mine.adapters} == {"BR"}
    assert mine.releases[-1].release == done.release.digest
    assert mine.releases[-1].disposition == "served"


def test_a_run_is_signed_and_never_overwritten(trained: tuple[Workspace, Path]) -> None:
    lab, folder = trained
    found = load_run(folder)

    said = verify_statement((folder / STATEMENT).read_bytes(), [lab.trust.key.public])

    assert {one["name"] for one in said.predicate["shards"]} == set(found.shards)
    assert said.predicate["recipe"]["digest"]["sha256"] == found.recipe.digest
    told = {one["digest"]["sha256"]: one["values"] for one in said.predicate["environments"]}
    assert told == found.environments
    assert {"torch", "processor", "threads", "device"} <= next(iter(told.values())).keys()
    with pytest.raises(ConflictError, match="runs never change"):
        run(lab, folder.parent / "first", folder)
