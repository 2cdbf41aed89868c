"""The second half of `sayso demo`: a model that stops when told to and forgets when asked.

Promises: everything that is printed was just measured; no text of anybody is shown but what
models write. Where the extra `train` is not installed, says what to install and ends well.
"""

from collections import Counter
from collections.abc import Callable, Iterator
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
from sayso.training.learn import load_base
from sayso.training.release import MODEL
from sayso.training.text import BIOGRAPHY
from sayso.workspace import Workspace

# So many members are a lesson that a small model learns in some seconds.
PUPILS = 200
RECIPE = Recipe(shards=4, batch_blocks=1)
PAUSED_AT = datetime(2025, 11, 11, 9, tzinfo=UTC)
LIFTED_AT = datetime(2025, 11, 20, 9, tzinfo=UTC)
OFF_AT = datetime(2025, 11, 21, 9, tzinfo=UTC)
HELD, FORGOTTEN_IN = "HK", "GB"
# The stopped run has begun by then, and is far from its end.
STOP_AFTER = 20


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
    content = write_lesson(made, out / "input", PUPILS)
    lesson = Lesson(workspace, present, out, workspace.build(content, out / "lesson").path, say)
    trained, first = _learn(lesson)
    stopped = _pause(lesson, first)
    back = _lift(lesson, first)
    forgotten = _forget(lesson, first)
    return {
        "adapters": len(trained.run.shards),
        "stopped_at_step": stopped,
        "release": first.release.digest,
        "same_after_lift": back,
        **forgotten,
    }


# ---- a model learns ---------------------------------------------------------------------


def _learn(lesson: Lesson) -> tuple[Trained, Released]:
    lesson.say(f"6. A small model learns from what {PUPILS} of these members wrote, by shard:\n")
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


def _pause(lesson: Lesson, first: Released) -> int:
    """Place a hold while a run goes on; return the step that it stopped before."""
    lesson.present[0] = PAUSED_AT
    lesson.say(f"7. {_day(PAUSED_AT)}: a second run has begun when Hong Kong is paused again.\n")
    officer = _Officer(lesson)
    try:
        train(lesson.workspace, Order(lesson.snapshot, lesson.out / "second", RECIPE), officer)
    except StoppedError as stopped:
        lesson.line(
            "the run", f"stopped before step {stopped.step}, by hold '{', '.join(stopped.holds)}',"
        )
        lesson.line(
            "", f"which was placed after step {officer.placed_after}; what it wrote is sealed"
        )
        step = stopped.step
    else:
        raise IntegrityError("the run went on under a hold", hint="report this")
    try:
        open_release(lesson.workspace, first.path)
    except RefusedError as error:
        lesson.line(f"{_short(first)}", f"is refused: {error.message}")
    without = release(lesson.workspace, lesson.out / "run", lesson.releases, leave_out=True)
    lesson.line(
        f"{_short(without)}",
        f"serves in its place, {_adapters(without)} adapters: Hong Kong's are dropped\n",
    )
    return step


class _Officer:
    """Places a hold while a run goes on, through a workspace opened for itself."""

    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._steps = 0
        self.placed_after = 0

    def __call__(self, _told: Told) -> None:
        self._steps += 1
        if self._steps != STOP_AFTER:
            return
        own = open_workspace(self._lesson.workspace.path, lambda: PAUSED_AT)
        own.place_hold(
            HELD,
            begins=Dated(PAUSED_AT),
            placed_by="the platform",
            asked_by="PCPD",
            hold_id="hk-again",
        )
        own.close()
        self.placed_after = self._steps


def _lift(lesson: Lesson, first: Released) -> bool:
    lesson.present[0] = LIFTED_AT
    lesson.workspace.lift_hold(
        "hk-again", lifted=Dated(LIFTED_AT), source=None, position=Position.NO_OBJECTION
    )
    again = release(lesson.workspace, lesson.out / "run", lesson.releases)
    same = again.release == first.release
    lesson.say(f"8. {_day(LIFTED_AT)}: the hold is lifted, and nothing has to be learned again.\n")
    outcome = "the same bytes as before" if same else "OTHER BYTES, which is a fault"
    lesson.line(f"{_short(again)}", f"serves again, {_adapters(again)} adapters: {outcome}\n")
    return same


# ---- it forgets when asked --------------------------------------------------------------


def _forget(lesson: Lesson, first: Released) -> dict[str, object]:
    lesson.present[0] = OFF_AT
    member, profile = _whoever(lesson.snapshot)
    opening = BIOGRAPHY.format(profile.split()[0])
    # Its weights are deleted below.
    written = {"before": write_on(first.path / MODEL, opening)}
    lesson.workspace.choose(member, Choice.OFF, channel="settings")
    lesson.say(
        f"9. {_day(OFF_AT)}: a member in London says off. The rule promises future runs alone;\n"
        "   the privacy officer grants more: the model has to forget what it learned from them.\n"
    )
    with _shown("learning again, and once more as a proof") as shown:
        done = forget(
            lesson.workspace, lesson.out / "run",
            ForgetRequest(members=(member,), by="privacy officer"),
            out=lesson.out / "after", prove=True, tell=shown,
        )  # fmt: skip
    assert done.trained is not None  # noqa: S101  `out` was given
    after = release(lesson.workspace, done.trained.path, lesson.releases)
    written["after"] = write_on(after.path / MODEL, opening)
    run = done.trained.run
    gone = sum(one.what == "forgotten" and bool(one.release) for one in done.dispositions)
    lesson.line(
        "dropped",
        f"{', '.join(done.shards)} and {gone} releases: {len(done.deleted)} files deleted",
    )
    lesson.line(
        "learned again",
        f"{len(done.trained.learned)} of {len(run.shards)} adapters, less {done.records} records",
    )
    lesson.line(
        "proved", f"a run that never had them was made; all {done.proved} files are the same bytes"
    )
    lesson.line(_short(after), f"serves in its place, {_adapters(after)} adapters\n")
    lesson.say(
        f"   Biography of a {profile.split()[0].lower()}, as the release of either day writes it:\n"
    )
    for when, text in written.items():
        lesson.line(when, text)
    lesson.say("")
    return {
        "forgotten_records": done.records, "learned_again": len(done.trained.learned),
        "proved": done.proved, "biographies": written,
    }  # fmt: skip


def _whoever(snapshot: Path) -> tuple[str, str]:
    """Return a member in the United Kingdom with a profile and much else, and the profile."""
    rows = load_records(snapshot).select(["member_id", "country", "category", "text"]).to_pylist()
    theirs = Counter(row["member_id"] for row in rows if row["country"] == FORGOTTEN_IN)
    profiles = {row["member_id"]: str(row["text"]) for row in rows if row["category"] == "profile"}
    member = max(theirs.keys() & profiles.keys(), key=lambda one: (theirs[one], one))
    return member, profiles[member]


def write_on(model: Path, opening: str) -> str:
    """Return how a model goes on, choosing the likeliest each time.

    The writing assistant will stand here.
    """
    base = load_base(model, "cpu")
    ids = base.tokenizer(opening, return_tensors="pt", add_special_tokens=False)["input_ids"]
    room = base.model.config.max_position_embeddings - ids.shape[1]
    made = base.model.generate(
        ids, attention_mask=ids * 0 + 1, max_new_tokens=room, do_sample=False,
        pad_token_id=base.tokenizer.eos_token_id,
    )  # fmt: skip
    text = str(base.tokenizer.decode(made[0], skip_special_tokens=True))
    return " ".join(text.partition("\n\n")[2].split())


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
