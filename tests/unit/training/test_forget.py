"""Forgetting: what is asked for wrongly, and what a killed one leaves."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.errors import InputError, IntegrityError, RefusedError
from sayso.model import Dated
from sayso.training import (
    ForgetRequest,
    Order,
    StoppedError,
    Told,
    forget,
    load_run,
    release,
    standing_of,
    train,
)
from sayso.training import proof as proofs
from sayso.training.places import BEGUN, note_place
from sayso.training.runs import ADAPTERS, DELETED, DROPPED, SEALED, WEIGHTS
from sayso.training.servable import learned_tags
from sayso.workspace import Workspace
from tests.unit.training.lab import (
    RECIPE,
    few_rows,
    make_lab,
    run,
    small_base,
    tags_of,
)

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")

# As many as leave a shard to each of a few members, most of the time.
MANY = RECIPE.model_copy(update={"shards": 256})
JANUARY = Dated(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Workspace]:
    made = make_lab(tmp_path, rows=few_rows())
    run(made, tmp_path / "first", tmp_path / "run", MANY)
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
    lab.place_hold("BR", begins=JANUARY, placed_by="the officer", hold_id="brazil")

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
    lab.place_hold("US", begins=JANUARY, placed_by="the officer")

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


def shard_of(folder: Path, snapshot: Path, member: str) -> str:
    """Return the shard that learned from a member."""
    found, mine = load_run(folder), tags_of(snapshot, member)
    return next(name for name in found.shards if mine & set(learned_tags(folder, found, name)))


def other_than(folder: Path, snapshot: Path, member: str) -> str:
    """Return a member of the same country in another shard."""
    shards = {one: shard_of(folder, snapshot, one) for one in ("m1", "m2", "m4", "m5")}
    return next(one for one in shards if shards[one] != shards[member])


def test_a_dropped_country_stays_dropped(lab: Workspace, tmp_path: Path) -> None:
    first = forget(
        lab, tmp_path / "run", ForgetRequest(countries=("BR",)), out=tmp_path / "us",
        base=small_base(),
    )  # fmt: skip
    lab.place_hold("BR", begins=JANUARY, placed_by="the officer")

    second = forget(
        lab, tmp_path / "us", ForgetRequest(members=("m1",)), out=tmp_path / "after",
        base=small_base(), prove=True,
    )  # fmt: skip

    for done in (first, second):
        assert done.trained is not None
        assert {one.country for one in done.trained.run.shards.values()} == {"US"}
    assert second.proof is not None
    assert second.proof.unproved == ()


def test_every_copy_of_an_adapter_goes(lab: Workspace, tmp_path: Path) -> None:
    snapshot = tmp_path / "first"
    other = other_than(tmp_path / "run", snapshot, "m1")
    shard = shard_of(tmp_path / "run", snapshot, other)

    def die(told: Told) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(lab, Order(snapshot, tmp_path / "begun", MANY, small_base()), die)
    shutil.copytree(
        tmp_path / "run" / ADAPTERS, tmp_path / "begun.partial" / ADAPTERS, dirs_exist_ok=True
    )
    half = tmp_path / "releases" / ".half.partial"
    (half / "model").mkdir(parents=True)
    (half / "model" / "model.safetensors").write_bytes(b"half")
    note_place(lab.path, BEGUN, "", half)
    forget(lab, tmp_path / "run", ForgetRequest(members=("m1",)), out=tmp_path / "next",
           base=small_base())  # fmt: skip

    # Taken over from the first run; both have it, and so has what was never finished.
    gone = forget(lab, tmp_path / "next", ForgetRequest(members=(other,)))

    for folder in ("run", "next", "begun.partial"):
        assert not (tmp_path / folder / ADAPTERS / shard).exists()
        assert str(tmp_path / folder / ADAPTERS / shard / WEIGHTS) in gone.deleted
    assert not half.exists()
    assert gone.deleted.items() <= read_json(tmp_path / "next" / DELETED).items()
    with pytest.raises(RefusedError, match="it was dropped"):
        release(lab, tmp_path / "run", tmp_path / "releases", base=small_base())


def test_the_statement_of_a_stopped_run_stays(lab: Workspace, tmp_path: Path) -> None:
    """Also where no shard was finished, and so nothing was learned that could go."""

    def stop(told: Told) -> None:
        if not (tmp_path / "second.partial" / ADAPTERS).exists():
            lab.place_hold("US", begins=JANUARY, placed_by="the officer", hold_id="us")

    with pytest.raises(StoppedError):
        train(lab, Order(tmp_path / "first", tmp_path / "second", MANY, small_base()), stop)
    said = (tmp_path / "second.partial" / SEALED).read_bytes()

    forget(lab, tmp_path / "run", ForgetRequest(countries=("BR",)))

    assert (tmp_path / "second.partial" / SEALED).read_bytes() == said


def read_json(path: Path) -> dict[str, str]:
    found = json.loads(path.read_bytes())
    assert isinstance(found, dict)
    return found


def test_who_was_erased_goes_with_whatever_goes_first(lab: Workspace, tmp_path: Path) -> None:
    lab.erase("m3")

    done = forget(
        lab, tmp_path / "run", ForgetRequest(members=("m1",)), out=tmp_path / "after",
        base=small_base(),
    )  # fmt: skip

    assert {name[:2] for name in done.shards} == {"BR", "US"}
    assert done.dispositions[0].why == ("MEMBER_ERASED", "officer")
    assert release(lab, tmp_path / "after", tmp_path / "releases", base=small_base()).left_out == {}


def test_who_is_forgotten_from_a_dropped_shard_is_left_out_as_well(
    lab: Workspace, tmp_path: Path
) -> None:
    snapshot, one = tmp_path / "first", RECIPE.model_copy(update={"shards": 1})
    folder = run(lab, snapshot, tmp_path / "one", one).path
    forget(lab, folder, ForgetRequest(members=("m1",)))

    # Its adapter is gone already; that these go too must be noted all the same.
    also = forget(lab, folder, ForgetRequest(members=("m2",)))
    both = forget(lab, folder, ForgetRequest(members=("m3",), countries=("BR",)))
    done = forget(
        lab, folder, ForgetRequest(pending=True), out=tmp_path / "after", base=small_base()
    )

    assert (also.shards, also.records) == ((), 3)
    assert both.shards == ("BR-0000-of-0001",)
    assert done.trained is not None
    left = learned_tags(tmp_path / "after", done.trained.run, "US-0000-of-0001")
    assert set(left) == tags_of(snapshot, "m4", "m5")


def test_an_officer_may_grant_more(lab: Workspace, tmp_path: Path) -> None:
    lab.choose("m1", "off")  # under future-runs, which demands nothing
    assert forget(lab, tmp_path / "run", ForgetRequest(pending=True)).shards == ()
    served = release(lab, tmp_path / "run", tmp_path / "releases", base=small_base())
    served.path.rename(tmp_path / "away")

    done = forget(lab, tmp_path / "run", ForgetRequest(members=("m1",), by="privacy officer"))

    # A release that is out of reach can only be sealed.
    assert [(one.what, one.why) for one in done.dispositions] == [
        ("forgotten", ("officer",)), ("sealed", ("officer",)),
    ]  # fmt: skip
    entry = lab.ledger.latest("disposition", lab.ledger.size(), release=served.release.digest)
    assert entry is not None
    assert entry.payload["by"] == "privacy officer"


def test_what_another_environment_made_is_not_compared(
    lab: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "fingerprint", lambda _device: {"torch": "another"})

    done = forget(
        lab, tmp_path / "run", ForgetRequest(members=("m1",)), out=tmp_path / "after",
        base=small_base(), prove=True,
    )  # fmt: skip

    assert done.trained is not None
    assert done.proof is not None
    assert done.proof.equal == 0
    assert done.proof.unproved == tuple(done.trained.run.shards)


def test_what_is_held_is_not_learned_to_prove_others(lab: Workspace, tmp_path: Path) -> None:
    lab.place_hold("BR", begins=JANUARY, placed_by="the officer")

    done = forget(
        lab, tmp_path / "run", ForgetRequest(members=("m1",)), out=tmp_path / "after",
        base=small_base(), prove=True,
    )  # fmt: skip

    assert done.proof is not None
    assert {name[:2] for name in done.proof.unproved} == {"BR"}
    assert done.proof.equal > 0
    assert not (tmp_path / "after.proof").exists()


def test_nothing_is_learned_without_leave(lab: Workspace, tmp_path: Path) -> None:
    found = load_run(tmp_path / "run")
    name = next(name for name in found.shards if name.startswith("BR"))
    path = tmp_path / "run" / ADAPTERS / name / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")

    # Only the United States are asked about; Brazil's adapter cannot be taken over.
    with pytest.raises(IntegrityError, match="nobody gave leave to learn it"):
        forget(
            lab, tmp_path / "run", ForgetRequest(members=("m1",)), out=tmp_path / "after",
            base=small_base(),
        )  # fmt: skip
