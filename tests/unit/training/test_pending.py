"""`--pending` takes up whatever the ledger and the rules demand: one case for each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sayso.training import ForgetRequest, forget, open_release, release
from sayso.training.servable import learned_tags
from sayso.workspace import Workspace
from tests.town import MEMBER_COLUMNS, write_content, write_csv
from tests.unit.training.lab import (
    PER_MEMBER,
    RECIPE,
    few_rows,
    make_lab,
    member_rows,
    run,
    small_base,
    tags_of,
)

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")

ONE = RECIPE.model_copy(update={"shards": 1})


class Case(NamedTuple):
    """What happens to member m1, and what is demanded for it.

    `happens` returns the content as it is then, where that is needed.
    """

    why: tuple[str, ...]
    records: int
    happens: Callable[[Workspace, Path], Path | None]


def withdraw(lab: Workspace, _folder: Path) -> None:
    lab.choose("m1", "off")


def erase(lab: Workspace, _folder: Path) -> None:
    lab.erase("m1")


def correct(**change: str) -> Callable[[Workspace, Path], None]:
    def happens(lab: Workspace, folder: Path) -> None:
        rows = [{**row, **change} if row["member_id"] == "m1" else row for row in member_rows()]
        write_csv(folder / "members.csv", rows, MEMBER_COLUMNS)
        lab.ingest("members", folder / "members.csv")

    return happens


def delete(_lab: Workspace, folder: Path) -> Path:
    rows = [row for row in few_rows() if row["record_id"] != "r1-1"]
    return write_content(folder / "now.parquet", rows)


CASES = {
    "withdrawal": Case(("CHOSEN_OFF",), PER_MEMBER, withdraw),
    "erasure": Case(("MEMBER_ERASED",), PER_MEMBER, erase),
    "corrected age": Case(
        ("UNDER_AGE", "WRITTEN_AS_MINOR"), PER_MEMBER, correct(birth_date="2010-01-01")
    ),
    "move": Case(("MOVED",), PER_MEMBER, correct(country="BR")),
    "closed account": Case(("STATUS_EXCLUDED",), PER_MEMBER, correct(status="closed")),
    "deleted record": Case(("RECORD_DELETED",), 1, delete),
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Workspace]:
    made = make_lab(tmp_path, rows=few_rows(), future_runs="forget")
    yield made
    made.close()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_taken_up(lab: Workspace, tmp_path: Path, case: Case) -> None:
    done = run(lab, tmp_path / "first", tmp_path / "run", ONE)
    served = release(lab, done.path, tmp_path / "releases", base=small_base())
    theirs = tags_of(tmp_path / "first", "m1")
    content = case.happens(lab, tmp_path)

    gone = forget(
        lab, done.path, ForgetRequest(pending=True, by="privacy officer", content=content),
        out=tmp_path / "after", base=small_base(),
    )  # fmt: skip

    assert gone.trained is not None
    assert gone.shards == gone.trained.learned == ("US-0000-of-0001",)
    assert gone.records == case.records
    assert [(one.what, one.release, one.why) for one in gone.dispositions] == [
        ("forgotten", "", case.why),
        ("forgotten", served.release.digest, case.why),
    ]
    left = set(learned_tags(tmp_path / "after", gone.trained.run, "US-0000-of-0001"))
    assert len(left & theirs) == PER_MEMBER - case.records
    assert left >= tags_of(tmp_path / "first", "m2", "m4", "m5")
    after = release(
        lab, tmp_path / "after", tmp_path / "releases", base=small_base(), content=content
    )
    assert after.left_out == {}
    assert open_release(lab, after.path) == after.release
