"""Killing processes amid their work, and what must be true of what they leave.

Each trial starts a process, waits until it begins, and sends SIGKILL after a random part of
the time that the work takes, or at the moment a file appears. Processes are forked from a
server that has imported everything and opened nothing.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sayso.ledger.fsck import Report, fsck
from sayso.ledger.sealing import seal
from sayso.opening import init_workspace, open_workspace
from sayso.snapshot import load_manifest, load_records
from sayso.sources import import_source
from sayso.workspace import Workspace
from tests.town import (
    AT,
    Clock,
    choice_row,
    member_row,
    record_row,
    town_content,
    town_members,
    write_content,
    write_jsonl,
)
from tests.unit.snapshot.builders import records

SEAL_ROWS = 25
ROWS = 1500
TRY_SECONDS = 60

Moment = float | Callable[[], bool]


@dataclass
class Toll:
    """What became of the processes."""

    name: str
    killed: int = 0
    finished: int = 0
    notes: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, number: int = 1) -> None:
        """Count something."""
        self.notes[what] = self.notes.get(what, 0) + number

    def __str__(self) -> str:
        """One line for the report."""
        notes = "".join(f", {number} {what}" for what, number in sorted(self.notes.items()))
        return f"{self.name}: {self.killed} killed, {self.finished} finished first{notes}"


def kill_amid(toll: Toll, target: Any, arguments: tuple[Any, ...], moment: Moment) -> float:
    """Run `target(begun, *arguments)` in a process and kill it at a moment after it began.

    Args:
        toll: Counts the outcome.
        target: Calls `begun()` when its work begins.
        moment: Seconds after that, or a condition that is asked again and again.

    Returns:
        Seconds from the beginning of the work to its end.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    mine, theirs = context.Pipe()
    child = context.Process(target=_child, args=(theirs, target, arguments))
    child.start()
    theirs.close()
    assert mine.poll(TRY_SECONDS), f"{toll.name} did not begin"
    mine.recv()
    began = time.perf_counter()
    if callable(moment):
        while not moment() and child.is_alive() and time.perf_counter() - began < TRY_SECONDS:
            time.sleep(0.0005)
    else:
        child.join(moment)
    assert child.pid is not None
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
    child.join(TRY_SECONDS)
    took = time.perf_counter() - began
    mine.close()
    assert child.exitcode in {0, -signal.SIGKILL}, f"{toll.name} ended with {child.exitcode}"
    if child.exitcode == 0:
        toll.finished += 1
    else:
        toll.killed += 1
    return took


def _child(begun: Connection, target: Any, arguments: tuple[Any, ...]) -> None:
    target(lambda: begun.send(True), *arguments)


def appears(folder: Path, pattern: str, *, new: bool = False) -> Callable[[], bool]:
    """Return a condition: a file matches, or with `new` one that does not match now."""
    before = set(folder.glob(pattern)) if new else set()
    return lambda: bool(set(folder.glob(pattern)) - before)


class Trial:
    """One kind of work on one workspace, killed again and again.

    Args:
        folder: Empty, on the disk that the ledger stands on.
        url: Of an empty database.
    """

    name = ""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.ws = folder, folder / "ws"
        self.kind = url.partition(":")[0].partition("+")[0]
        self.toll = Toll(f"{self.name} ({self.kind})")
        self.dice = random.Random(f"{self.name} {self.kind}")
        workspace = init_workspace(self.ws, Clock(), template="linkedin-2024", url=url)
        self.prepare(workspace)
        workspace.close()

    def prepare(self, workspace: Workspace) -> None:
        """Make what the work needs."""

    def strike(self, number: int) -> None:
        """Kill once, check, and do the work again."""
        raise NotImplementedError

    def run(self, times: int) -> Toll:
        """Kill a number of times."""
        for number in range(times):
            self.strike(number)
        return self.toll

    def open(self) -> Workspace:
        """Open the workspace."""
        return open_workspace(self.ws, Clock(AT + timedelta(days=self.dice.randrange(90))))

    def checked(self) -> Report:
        """Return what fsck says, which must be good."""
        workspace = self.open()
        report = fsck(workspace.ledger)
        workspace.close()
        return report


# ---- append -----------------------------------------------------------------------------


def append(begun: Callable[[], None], ws: Path, number: int, acknowledged: Path) -> None:
    """Choose for ever, noting each acknowledged entry by one write; seal now and then."""
    workspace = open_workspace(ws, Clock())
    out = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun()
    for turn in range(1 << 30):
        name = f"{number}/{turn}"
        receipt = workspace.choose(f"m{turn % 5}", ("on", "off")[turn % 2], channel=name)
        os.write(out, f"{receipt.index} {name} {receipt.commitment.hex()}\n".encode())
        seal(workspace.ledger, 0, threshold_rows=SEAL_ROWS)


class Appends(Trial):
    """Every acknowledged entry stays where it was acknowledged."""

    name = "append"

    def strike(self, number: int) -> None:
        """See `Trial`."""
        acknowledged = self.folder / "acknowledged"
        moment: Moment = self.dice.uniform(0, 0.25)
        if number % 3 == 2:  # amid sealing
            moment = appears(self.ws / "segments", "*head-*", new=True)
        kill_amid(self.toll, append, (self.ws, number, acknowledged), moment)
        workspace = self.open()
        report = fsck(workspace.ledger)
        found = choices_by_index(workspace)
        workspace.close()
        lines = acknowledged.read_text().splitlines() if acknowledged.exists() else []
        for line in lines:
            index, name, commitment = line.split()
            assert found[int(index)] == (name, commitment)
        self.toll.notes["acknowledged"] = len(lines)
        # One entry, at most, is durable and was not acknowledged in time.
        assert 0 <= len(found) - len(lines) <= number + 1
        assert report.size == len(found) + 1


def choices_by_index(workspace: Workspace) -> dict[int, tuple[str, str]]:
    """Return channel and commitment of every choice, by its index."""
    head, segments = workspace.ledger.choices(workspace.ledger.size())
    found = {
        row["index"]: (row["channel"], row["commitment"].hex())
        for row in head.select(["index", "channel", "commitment"]).to_pylist()
    }
    for segment in segments:
        table = pq.read_table(segment.path, columns=["ordinal", "channel", "commitment"])
        for row in table.to_pylist():
            index = segment.first + row["ordinal"]
            assert index not in found
            found[index] = (row["channel"], row["commitment"].hex())
    return found


# ---- ingest -----------------------------------------------------------------------------


def ingest(begun: Callable[[], None], ws: Path, kind: str, path: Path) -> None:
    """Ingest a file."""
    workspace = open_workspace(ws, Clock())
    begun()
    workspace.ingest(kind, path)
    workspace.close()


class Ingests(Trial):
    """A choices file is taken whole or not at all, and once."""

    name = "ingest choices"
    took = 0.4

    def strike(self, number: int) -> None:
        """See `Trial`."""
        rows = [choice_row(f"m{n % 300}", channel=f"{number}/{n}") for n in range(ROWS)]
        path = write_jsonl(self.folder / "choices.jsonl", rows)
        before = self.checked()
        moment: Moment = self.dice.uniform(0, 1.1 * self.took)
        if number % 4 == 2:
            moment = appears(self.ws / "segments", ".*.tmp", new=True)
        elif number % 4 == 3:
            moment = appears(self.ws / "segments", "choices-*.parquet", new=True)
        took = kill_amid(self.toll, ingest, (self.ws, "choices", path), moment)
        self.took = took if number == 0 else self.took
        after = self.checked()
        grown = after.segment_entries - before.segment_entries
        assert grown in {0, ROWS}
        assert after.size - before.size == grown
        workspace = self.open()
        taken = workspace.ingest("choices", path)
        assert (taken.rows, taken.unchanged) == ((0, True) if grown else (ROWS, False))
        assert workspace.ingest("choices", path).unchanged
        workspace.close()
        final = self.checked()
        assert final.size - before.size == ROWS
        self.toll.note("taken though killed" if grown else "not taken")
        self.toll.notes["files left behind"] = len(final.orphans)


class Members(Trial):
    """A version of the members table is there, or the one before still counts."""

    name = "ingest members"
    took = 0.4

    def strike(self, number: int) -> None:
        """See `Trial`."""
        rows = [*town_members(ROWS, seed=number), member_row(f"only-{number}")]
        path = write_jsonl(self.folder / "members.jsonl", rows)
        before = self.checked()
        moment: Moment = self.dice.uniform(0, 1.1 * self.took)
        if number % 4 == 2:
            moment = appears(self.ws / "tables", ".*.tmp", new=True)
        elif number % 4 == 3:
            moment = appears(self.ws / "tables", "members-*.parquet", new=True)
        took = kill_amid(self.toll, ingest, (self.ws, "members", path), moment)
        self.took = took if number == 0 else self.took
        after = self.checked()
        grown = after.tables - before.tables
        assert grown in {0, 1}
        assert after.size - before.size == grown
        workspace = self.open()
        known = [workspace.decide(f"only-{number - back}", at=AT).decision for back in (0, 1)]
        assert known[0].allow == bool(grown)
        assert number == 0 or known[1].allow != bool(grown)
        taken = workspace.ingest("members", path)
        assert taken.unchanged == bool(grown)
        assert workspace.decide(f"only-{number}", at=AT).decision.allow
        workspace.close()
        final = self.checked()
        assert final.tables - before.tables == 1
        self.toll.note("taken though killed" if grown else "not taken")
        self.toll.notes["files left behind"] = len(final.orphans)


# ---- import -----------------------------------------------------------------------------


def run_import(begun: Callable[[], None], src: Path, out: Path) -> None:
    """Import a source."""
    begun()
    import_source("polis", src, out)


class Imports(Trial):
    """An import's folder is complete where its report stands."""

    name = "import"
    took = 0.5

    def prepare(self, workspace: Workspace) -> None:
        """See `Trial`."""
        self.src = self.folder / "talk"
        self.src.mkdir()
        lines = [
            f'{1651071094556 + n},x,{n},{n % 900},9,2,1,"A thought, the {n}th"'
            for n in range(30_000)
        ]
        header = "timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body"
        (self.src / "comments.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        import_source("polis", self.src, self.folder / "good")

    def files(self, out: Path) -> dict[str, bytes]:
        """Return what stands in a folder under a name of its own."""
        return {p.name: p.read_bytes() for p in out.iterdir() if not p.name.startswith(".")}

    def strike(self, number: int) -> None:
        """See `Trial`."""
        good, out = self.files(self.folder / "good"), self.folder / f"out-{number}"
        moment: Moment = self.dice.uniform(0, 1.1 * self.took)
        if number % 4 == 2:
            moment = appears(out, ".*.part")
        elif number % 4 == 3:
            moment = appears(out, "*.parquet")
        took = kill_amid(self.toll, run_import, (self.src, out), moment)
        self.took = took if number == 0 else self.took
        left = self.files(out) if out.exists() else {}
        assert left.items() <= good.items()  # each file is whole or not there
        assert ("report.json" not in left) or left == good
        self.toll.note("complete though killed" if left == good else "not complete")
        import_source("polis", self.src, out)
        assert self.files(out) == good
        shutil.rmtree(out)


# ---- build and rebuild ------------------------------------------------------------------


def build(
    begun: Callable[[], None], ws: Path, base: Path | None, out: Path, known: int, parts: int
) -> None:
    """Build, or rebuild from a base, in so many partitions."""
    workspace = open_workspace(ws, Clock())
    use_partitions(parts)
    begun()
    make(workspace, ws.parent, base, out, known)
    workspace.close()


def use_partitions(parts: int) -> None:
    """Have this process seal so many partitions, however few the records are."""
    import importlib

    module: Any = importlib.import_module("sayso.snapshot.build")
    module.partitions_for = lambda _rows: parts


def make(workspace: Workspace, folder: Path, base: Path | None, out: Path, known: int) -> None:
    """Build, or rebuild from a base."""
    if base is None:
        workspace.build(folder / "content.parquet", out, at=AT, known=known)
    else:
        workspace.rebuild(base, out, at=AT, known=known)


class Builds(Trial):
    """A folder with a manifest is a whole snapshot; the same command makes the same one."""

    name = "build"
    took = 1.0
    parts = 1

    def prepare(self, workspace: Workspace) -> None:
        """See `Trial`."""
        rows = [*town_content(4000, 60), *(record_row(f"x{n}", "m0001") for n in range(500))]
        write_content(self.folder / "content.parquet", rows)
        workspace.ingest("members", write_jsonl(self.folder / "m.jsonl", town_members(60)))
        self.base = self.first(workspace)
        self.known = workspace.ledger.size()
        self.good = self.folder / "good"
        make(workspace, self.folder, self.base, self.good, self.known)

    def first(self, workspace: Workspace) -> Path | None:
        """Return what to rebuild from; None to build."""
        return None

    def is_whole(self, folder: Path) -> bool:
        """Whether a folder claims to be a snapshot; if so it must be the good one."""
        if not (folder / "manifest.json").exists():
            return False
        assert load_manifest(folder).to_bytes() == load_manifest(self.good).to_bytes()
        assert load_records(folder).equals(load_records(self.good))
        assert records(folder) == records(self.good)
        return True

    def strike(self, number: int) -> None:
        """See `Trial`."""
        out = self.folder / f"out-{number}"
        partial = out.with_name(out.name + ".partial")
        moments: list[Moment] = [
            self.dice.uniform(0, 1.05 * self.took), self.dice.uniform(0.5, 1.05) * self.took,
            appears(partial, "records/*"), appears(partial, "manifest.json"),
            appears(out, "manifest.json"), appears(partial, "evidence/*"),
        ]  # fmt: skip
        moment = moments[number % len(moments)]
        if number % 7 == 6:  # a finished one, left without its name, is cleared away
            shutil.copytree(self.good, partial)
            moment = self.dice.uniform(0, 0.02)
        arguments = (self.ws, self.base, out, self.known, self.parts)
        took = kill_amid(self.toll, build, arguments, moment)
        self.took = took if number == 0 else self.took
        self.checked()
        assert not out.exists() or self.is_whole(out)
        self.is_whole(partial)
        self.toll.note("complete though killed" if out.exists() else "not complete")
        self.again(out)
        assert self.is_whole(out)
        assert not partial.exists()
        shutil.rmtree(out)

    def again(self, out: Path) -> None:
        """Run the same command until it is done."""
        workspace = self.open()
        if not out.exists():
            make(workspace, self.folder, self.base, out, self.known)
        workspace.close()


class PartedBuilds(Builds):
    """The same where threads seal several partitions."""

    name = "build in partitions"
    parts = 8


class Rebuilds(Builds):
    """The same for a rebuild, whose files are shared with its base."""

    name = "rebuild"

    def first(self, workspace: Workspace) -> Path | None:
        """See `Builds`."""
        base = self.folder / "base"
        make(workspace, self.folder, None, base, workspace.ledger.size())
        for number in range(9):
            workspace.choose(f"m{number:04d}", "off")
        return base


# ---- init -------------------------------------------------------------------------------


def run_init(begun: Callable[[], None], place: Path) -> None:
    """Make a workspace."""
    begun()
    init_workspace(place, Clock(), template="linkedin-2024").close()


class Inits(Trial):
    """A workspace is there with its rulebook, or the same command makes it."""

    name = "init"
    took = 0.5

    def strike(self, number: int) -> None:
        """See `Trial`."""
        place = self.folder / f"new-{number}"
        moment: Moment = self.dice.uniform(0, 1.05 * self.took)
        if number % 3 == 2:
            moment = appears(place, "ledger.db")
        took = kill_amid(self.toll, run_init, (place,), moment)
        self.took = took if number == 0 else self.took
        there = (place / "sayso.toml").exists()
        if not there:
            init_workspace(place, Clock(), template="linkedin-2024").close()
        workspace = open_workspace(place, Clock())
        assert (fsck(workspace.ledger).rulebooks, workspace.rules().entry) == (1, 0)
        workspace.close()
        self.toll.note("complete though killed" if there else "not complete")
        shutil.rmtree(place)
