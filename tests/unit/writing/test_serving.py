"""Law 13 while a release is served: holds of other processes stop it, and a rest goes on."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.errors import InputError, RefusedError, UnavailableError
from sayso.model import Dated, Position
from sayso.workspace import Workspace
from sayso.writing import Sampling, ServedRelease, ask_post, stream, watching
from sayso.writing.prompt import post_prompt
from tests.unit.training.lab import small_base
from tests.unit.writing.conftest import Trained

PROMPT = post_prompt("a quiet week")
SAMPLING = Sampling(seed=1, tokens=40)
# Long enough for a machine that does ten other things; what it took is recorded.
PATIENCE_SECONDS = 60.0
BEGUN = Dated(datetime(2026, 1, 1, tzinfo=UTC))
LIFTED = Dated(datetime(2026, 1, 2, tzinfo=UTC))


def hold_elsewhere(workspace: Workspace, scope: str) -> None:
    """Place a hold as another process does."""
    subprocess.run(
        [
            sys.executable, "-m", "sayso.cli", "hold", "place", scope, "--workspace",
            str(workspace.path), "--placed-by", "the officer", "--from", "2026-01-01",
            "--id", f"held-{scope.lower()}",
        ],
        check=True, capture_output=True,
    )  # fmt: skip


def lift_all(workspace: Workspace) -> None:
    for hold in workspace.rules().book.holds:
        if hold.hold_id.startswith("held-") and hold.lifted is None:
            workspace.lift_hold(hold.hold_id, lifted=LIFTED, source=None, position=Position.NONE)


def until(holds: Callable[[], bool]) -> float:
    """Wait until something holds; return the seconds."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < PATIENCE_SECONDS
        time.sleep(0.005)
    return time.monotonic() - begun


@pytest.fixture
def served(trained: Trained) -> Iterator[ServedRelease]:
    yield ServedRelease(trained.workspace, trained.released.path, base=small_base())
    lift_all(trained.workspace)


def text(served: ServedRelease) -> str:
    return "".join(served.stream(PROMPT, SAMPLING))


def test_a_hold_swaps_to_the_rest_and_its_lift_back(
    trained: Trained, served: ServedRelease, record_property: Callable[[str, object], None]
) -> None:
    workspace, whole = trained.workspace, trained.released.release
    before = text(served)
    assert served.serving == whole

    with watching(served):
        hold_elsewhere(workspace, "BR")
        gone = until(lambda: served.serving != whole)
        swapped = gone + until(lambda: served.serving is not None)

        assert served.serving is not None
        assert served.serving.countries == ("US",)
        assert "hold 'held-br' stands over BR" in served.why
        assert served.name == f"release {served.serving.digest[:16]}"
        assert text(served)
        lift_all(workspace)
        back = until(lambda: served.serving == whole)
        assert served.why == ""
        assert text(served) == before

    for name, seconds in (("gone", gone), ("swapped", swapped), ("back", back)):
        record_property(f"{name}_seconds", round(seconds, 3))


def test_a_hold_ends_a_text_in_the_middle(trained: Trained, served: ServedRelease) -> None:
    pieces = served.stream(PROMPT, SAMPLING)
    begun = [next(pieces), next(pieces)]
    hold_elsewhere(trained.workspace, "US")

    with pytest.raises(RefusedError, match="stopped: hold 'held-us' stands over US"):
        next(pieces)

    assert len(begun) == 2
    assert served.serving is None
    with pytest.raises(RefusedError, match="may not be served: hold 'held-us'"):
        text(served)
    with pytest.raises(RefusedError, match="hold 'held-us'"):
        ServedRelease(trained.workspace, trained.released.path)


def test_where_nothing_is_left_nothing_is_served(trained: Trained, served: ServedRelease) -> None:
    trained.workspace.place_hold("world", begins=BEGUN, placed_by="x", hold_id="held-world")
    with pytest.raises(InputError, match="no adapter is left"):
        served.look()
    assert served.serving is None
    assert "hold 'held-world'" in served.why


def test_a_choice_under_future_runs_changes_nothing(
    trained: Trained, served: ServedRelease
) -> None:
    before = text(served)
    trained.workspace.choose("m2", "off")
    assert text(served) == before
    assert served.serving == trained.released.release


def test_a_ledger_that_does_not_answer_is_a_no(trained: Trained, served: ServedRelease) -> None:
    file = trained.workspace.path / "ledger.db"
    pieces = served.stream(PROMPT, SAMPLING)
    next(pieces)
    file.rename(file.with_suffix(".away"))
    try:
        with pytest.raises(UnavailableError, match="did not answer"):
            next(pieces)
        assert served.serving is None
        with pytest.raises(UnavailableError):
            text(served)
    finally:
        file.with_suffix(".away").rename(file)
    served.look()
    assert text(served)


def test_a_release_whose_run_is_gone_is_not_served(trained: Trained, tmp_path: Path) -> None:
    run = trained.folder / "run"
    run.rename(tmp_path / "away")
    try:
        with pytest.raises(InputError, match="run of this release is not where"):
            ServedRelease(trained.workspace, trained.released.path)
    finally:
        (tmp_path / "away").rename(run)
    with pytest.raises(InputError, match="no release"):
        ServedRelease(trained.workspace, tmp_path)


def test_on_off_unset_and_a_hold_elsewhere_give_the_same_text(
    trained: Trained, served: ServedRelease
) -> None:
    """The member lives in a country whose adapters this release does not hold."""
    workspace = trained.workspace
    workspace.place_hold("BR", begins=BEGUN, placed_by="x", hold_id="held-again")
    served.look()
    assert served.serving is not None
    assert served.serving.countries == ("US",)

    def post(number: int) -> list[str]:
        asked = ask_post(workspace, "m3", "a quiet week")
        pieces = stream(
            workspace, served, asked, SAMPLING, alternatives=1, kept_id=f"same-{number}"
        )
        return [piece.text for piece in pieces]

    during = post(0)
    workspace.choose("m3", "off")
    off = post(1)
    workspace.choose("m3", "on")
    on = post(2)

    assert "".join(during)
    assert during == off == on
