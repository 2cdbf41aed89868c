"""The second half of `sayso demo`: a model that stops when told to and forgets when asked.

Promises: everything that is printed was just measured; no text of anybody is shown but what
models write. Where the extra `train` is not installed, says what to install and ends well.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from sayso.demo import Generated, write_lesson
from sayso.errors import IntegrityError, RefusedError, UnavailableError
from sayso.model import Choice, Dated, Position
from sayso.opening import open_workspace
from sayso.snapshot import load_records
from sayso.training import (
    ForgetRequest,
    Order,
    Recipe,
    Released,
    StoppedError,
    Told,
    Trained,
    forget,
    open_release,
    release,
    train,
)
from sayso.training.environment import need_torch
from sayso.training.foundation import own_base
from sayso.training.learn import load_base
from sayso.training.release import MODEL
from sayso.training.run import BASES
from sayso.training.text import BIOGRAPHY
from sayso.workspace import Workspace

# Where it was paused. So many members of each are a lesson of some seconds.
COUNTRIES, PUPILS = ("CA", "GB", "HK"), 60
RECIPE = Recipe(shards=4, epochs=2, batch_blocks=1, learning_rate="0.003")
PAUSED_AT = datetime(2025, 11, 11, 9, tzinfo=UTC)
LIFTED_AT = datetime(2025, 11, 20, 9, tzinfo=UTC)
OFF_AT = datetime(2025, 11, 21, 9, tzinfo=UTC)
HELD, HOLD, FORGOTTEN_IN = "HK", "hk-again", "GB"
# Steps; the run has begun by then, and is far from its end.
HELD_AFTER = 20
# Fits the base's 128 positions beside the template's line.
WRITTEN_TOKENS = 105


@dataclass
class Lesson:
    """What the second half works with.

    Attributes:
        present: One instant, which the workspace takes for now.
    """

    workspace: Workspace
    present: list[datetime]
    out: Path
    snapshot: Path
    say: Callable[[str], None]

    @property
    def releases(self) -> Path:
        """Where releases stand."""
        return self.out / "releases"

    def line(self, what: str, text: str) -> None:
        """Say one aligned line."""
        self.say(f"   {what:<14} {text}")


def tell_training(
    workspace: Workspace, made: Generated, present: list[datetime], out: Path,
    say: Callable[[str], None],
) -> dict[str, object] | None:  # fmt: skip
    """Tell the second half; return what it measured, or None where it cannot be told."""
    try:
        need_torch()
    except UnavailableError as error:
        say(f"6. The story goes on with a model that learns and forgets, but {error.message}.")
        say("   Install the extra `train` and run the demo again: pip install 'sayso[train]'\n")
        return None
    content = write_lesson(made, out / "input", COUNTRIES, PUPILS)
    lesson = Lesson(workspace, present, out, workspace.build(content, out / "lesson").path, say)
    trained, first = _learn(lesson)
    stopped = _pause(lesson, first, sum(one.steps for one in trained.run.shards.values()))
    back = _lift(lesson, first)
    forgotten = _forget(lesson, first)
    return {
        "adapters": len(trained.run.shards),
        "stopped_after_steps": stopped,
        "release": first.release.digest,
        "same_after_lift": back,
        **forgotten,
    }


# ---- a model learns ---------------------------------------------------------------------


def _learn(lesson: Lesson) -> tuple[Trained, Released]:
    pupils = len(set(load_records(lesson.snapshot)["member_id"].to_pylist()))
    lesson.say(
        f"6. A small model learns from {pupils} members in {', '.join(COUNTRIES)}, by shard:\n"
    )
    with _shown("learning") as shown:
        losses = _Losses(shown)
        order = Order(lesson.snapshot, lesson.out / "run", RECIPE)
        trained = train(lesson.workspace, order, losses)
    run, shards = trained.run, trained.run.shards.values()
    records, steps = sum(one.rows for one in shards), sum(one.steps for one in shards)
    countries = {one.country for one in shards}
    lesson.line("base", f"'{run.base.name}', taught on invented text; exposure {run.base.exposure}")
    lesson.line("run", f"{records:,} records, {len(shards)} shards of {len(countries)} countries")
    lesson.line("", f"{steps:,} steps; loss {losses.first:.2f} at first, {losses.last:.2f} at last")
    first = release(lesson.workspace, trained.path, lesson.releases)
    lesson.line(_short(first), f"the base and the mean of {_adapters(first)} adapters serves\n")
    return trained, first


# ---- it stops when told to --------------------------------------------------------------


def _pause(lesson: Lesson, first: Released, steps: int) -> int:
    """Place a hold while a run goes on; return how many steps were done when it stopped."""
    lesson.present[0] = PAUSED_AT
    lesson.say(
        f"7. {_day(PAUSED_AT)}, invented like all that follows: Hong Kong is paused once more,\n"
        "   while another run goes on.\n"
    )
    officer = _Officer(lesson)
    try:
        train(lesson.workspace, Order(lesson.snapshot, lesson.out / "second", RECIPE), officer)
    except StoppedError as stopped:
        done = stopped.step
        told = f"held after {officer.placed_after} steps of {steps:,}, stopped after {done}"
        lesson.line("run", f"{told}; what it wrote is sealed")
    else:
        raise IntegrityError("a run went on under a hold", hint="report this")
    try:
        open_release(lesson.workspace, first.path)
    except RefusedError as error:
        lesson.line(_short(first), f"may not be served: {error.message}")
    else:
        raise IntegrityError("a release was opened under a hold", hint="report this")
    without = release(lesson.workspace, lesson.out / "run", lesson.releases, leave_out=True)
    serves = f"serves in its place, {_adapters(without)} adapters"
    lesson.line(_short(without), f"{serves}: those of Hong Kong are dropped\n")
    return done


class _Officer:
    """Places a hold while a run goes on, through a workspace opened for itself."""

    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._steps = 0
        self.placed_after = 0

    def __call__(self, _told: Told) -> None:
        self._steps += 1
        if self._steps != HELD_AFTER:
            return
        own = open_workspace(self._lesson.workspace.path, lambda: PAUSED_AT)
        own.place_hold(HELD, begins=Dated(PAUSED_AT), placed_by="the platform", hold_id=HOLD)
        own.close()
        self.placed_after = self._steps


def _lift(lesson: Lesson, first: Released) -> bool:
    """Lift the hold and merge anew; return whether the release is what it was."""
    lesson.present[0] = LIFTED_AT
    lesson.workspace.lift_hold(HOLD, lifted=Dated(LIFTED_AT), source=None, position=Position.NONE)
    again = release(lesson.workspace, lesson.out / "run", lesson.releases)
    same = again.release == first.release
    lesson.say(f"8. {_day(LIFTED_AT)}: the hold is lifted, and nothing has to be learned again.\n")
    outcome = "the same bytes as before" if same else "OTHER BYTES, which is a fault"
    lesson.line(_short(again), f"serves again, {_adapters(again)} adapters: {outcome}\n")
    return same


# ---- it forgets when asked --------------------------------------------------------------


def _forget(lesson: Lesson, first: Released) -> dict[str, object]:
    lesson.present[0] = OFF_AT
    base, _ = own_base(lesson.workspace.path / BASES)
    written = {"base": written_by(base), "before": written_by(first.path / MODEL)}
    member = _whoever(lesson.snapshot)
    lesson.workspace.choose(member, Choice.OFF, channel="settings")
    lesson.say(
        f"9. {_day(OFF_AT)}: a member in Britain says off. The rule promises future runs alone;\n"
        "   the privacy officer grants more: the model has to forget what it learned from them.\n"
    )
    request = ForgetRequest(members=(member,), by="privacy officer")
    with _shown("learning again, and once more as a proof") as shown:
        done = forget(
            lesson.workspace, lesson.out / "run", request, out=lesson.out / "after", prove=True,
            tell=shown,
        )  # fmt: skip
    assert done.trained is not None  # noqa: S101  `out` was given
    assert done.proof is not None  # noqa: S101  it was asked for
    learned, shards = done.trained.learned, done.trained.run.shards
    releases = sum(one.what == "forgotten" and bool(one.release) for one in done.dispositions)
    lesson.line("dropped", f"{', '.join(done.shards)}, and {releases} releases that held it")
    lesson.line("learned", f"{len(learned)} of {len(shards)} adapters, less {done.records} records")
    lesson.line(
        "proved", f"a run that never had them was made: all {done.proof.equal} files are equal"
    )
    after = release(lesson.workspace, done.trained.path, lesson.releases)
    lesson.line(_short(after), f"serves in their place, {_adapters(after)} adapters\n")
    written["after"] = written_by(after.path / MODEL)
    _compare(lesson, written)
    return {
        "forgotten_records": done.records,
        "learned_again": len(learned),
        "proved": done.proof.equal,
        "biographies": written,
    }


def _compare(lesson: Lesson, written: Mapping[str, str]) -> None:
    lesson.say("   A biography, by the base, and by a release before and after the forgetting:\n")
    for when, text in written.items():
        lesson.line(when, text)
    if written["before"] == written["after"]:
        lesson.say("\n   Word for word the same: one member moves little. The bytes above tell.")
    lesson.say("")


def _whoever(snapshot: Path) -> str:
    """Return the member in the United Kingdom of whom most was learned."""
    rows = load_records(snapshot).select(["member_id", "country"]).to_pylist()
    theirs = Counter(row["member_id"] for row in rows if row["country"] == FORGOTTEN_IN)
    return str(max(theirs, key=lambda one: (theirs[one], one)))


def written_by(model: Path) -> str:
    """Return the biography that a model finds likeliest; `sayso write` will stand here."""
    base = load_base(model, "cpu")
    told = base.tokenizer(BIOGRAPHY.format(""), return_tensors="pt", add_special_tokens=False)
    made = base.model.generate(
        **told, max_new_tokens=WRITTEN_TOKENS, do_sample=False,
        pad_token_id=base.tokenizer.eos_token_id,
    )  # fmt: skip
    words = str(base.tokenizer.decode(made[0], skip_special_tokens=True)).partition("\n\n")[2]
    ended = int(made[0, -1]) == base.tokenizer.eos_token_id
    return " ".join(words.split() if ended else [*words.split()[:-1], "..."])


# ---- saying it --------------------------------------------------------------------------


@dataclass
class _Losses:
    """The mean loss at the first and at the last step of the shards."""

    then: Callable[[Told], None]
    _first: list[float] = field(default_factory=list)
    _last: list[float] = field(default_factory=list)

    def __call__(self, told: Told) -> None:
        self.then(told)
        if told.step == 1:
            self._first.append(told.loss)
        if told.step == told.steps:
            self._last.append(told.loss)

    @property
    def first(self) -> float:
        return sum(self._first) / len(self._first)

    @property
    def last(self) -> float:
        return sum(self._last) / len(self._last)


@contextmanager
def _shown(what: str) -> Iterator[Callable[[Told], None]]:
    """Show a bar on stderr, where that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("   " + what), BarColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda told: bar.update(task, completed=told.part)


def _day(at: datetime) -> str:
    return at.date().isoformat()


def _short(released: Released) -> str:
    return released.release.digest[:8]


def _adapters(released: Released) -> int:
    return len(released.release.adapters)
