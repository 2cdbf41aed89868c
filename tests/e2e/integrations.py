"""Killing an integrator at every operation on files and commits, and what must be true then.

As tessera's fault injection does it: operation n is the last that never happens, for n = 1 on,
until an integration ends unharmed. A write that is cut down is half done. After each death:
nobody has signed two roots of one size, every root that anybody ever saw is that of the
ledger's entries, what was published stays or grows, and the next integrator goes on.
"""

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from sayso.ledger import Ledger, open_ledger, schema
from sayso.ledger.fsck import fsck
from sayso.ledger.logged import check_log
from sayso.log import folder_fetch, write
from sayso.log.merkle import root_of
from sayso.opening import FOLDERS
from tests.e2e.kills import TRY_SECONDS, Toll, kill_amid
from tests.town import START_US
from tests.unit.ledger.logs import PLAIN, bring_in, head_of, signed_row

# Entries between two deaths: tiles of every kind are being written when it comes.
GROWTH = 90

OPERATIONS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (os, ("open", "replace", "rename", "link", "unlink", "rmdir", "mkdir", "fsync", "sync")),
    (fcntl, ("flock",)),
)
# Owner, name, and which argument is the data.
WRITES: tuple[tuple[Any, str, int], ...] = ((os, "write", 1), (Path, "write_bytes", 1))


class Countdown:
    """Counts operations; the n-th ends the process."""

    def __init__(self, step: int) -> None:
        self.step, self.done = step, 0

    def is_last(self) -> bool:
        """Count one."""
        self.done += 1
        return self.done == self.step

    def asked(self) -> None:
        """Count one, and end before it."""
        if self.is_last():
            die()


def die() -> None:
    """End as the machine does when the power fails."""
    os.kill(os.getpid(), signal.SIGKILL)


def counted(countdown: Countdown, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an operation that may be the last one, not done."""

    def call(*given: Any, **named: Any) -> Any:
        countdown.asked()
        return function(*given, **named)

    return call


def torn(countdown: Countdown, function: Callable[..., Any], place: int) -> Callable[..., Any]:
    """Return a write that may be the last one: two deaths, before it and within it."""

    def call(*given: Any, **named: Any) -> Any:
        countdown.asked()
        if countdown.is_last():
            data = given[place]
            function(*given[:place], data[: len(data) // 2])
            die()
        return function(*given, **named)

    return call


def integrate_until(begun: Callable[[], None], url: str, folder: Path, step: int) -> None:
    """Integrate, and die at an operation."""
    ledger = open_ledger(url, folder)
    countdown = Countdown(step)
    for owner, names in OPERATIONS:
        for name in names:
            setattr(owner, name, counted(countdown, getattr(owner, name)))
    for owner, name, place in WRITES:
        setattr(owner, name, torn(countdown, getattr(owner, name), place))
    write.sync_disk = counted(countdown, write.sync_disk)
    event.listen(ledger.engine, "commit", lambda _con: countdown.asked())
    begun()
    bring_in(ledger)
    ledger.close()


class Integrations:
    """One log, whose integrators die one after another.

    Args:
        folder: Empty.
        url: Of an empty database; None for SQLite in the folder.
        growth: Entries that each of them finds.
    """

    def __init__(self, folder: Path, url: str | None = None, *, growth: int = GROWTH) -> None:
        self.folder, self.growth = folder / "ws", growth
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True)
        self.url = url or f"sqlite:///{self.folder}/ledger.db"
        kind = self.url.partition(":")[0].partition("+")[0]
        self.toll = Toll(f"integrate ({kind})")
        self.seen: dict[int, bytes] = {}
        self.published = 0
        self.appended = 0

    def run(self, first: int = 1, stride: int = 1, most: int = 10_000) -> Toll:
        """Kill at the operations `first`, `first + stride` ... until one integration ends."""
        for step in range(first, most, stride):
            finished = self.toll.finished
            self.strike(step)
            if self.toll.finished > finished:
                break
        return self.toll

    def strike(self, step: int) -> None:
        """Kill once, check, and integrate."""
        ledger = open_ledger(self.url, self.folder)
        self.append(ledger)
        ledger.close()
        arguments = (self.url, self.folder, step)
        kill_amid(self.toll, integrate_until, arguments, TRY_SECONDS)
        ledger = open_ledger(self.url, self.folder)
        self.look(ledger)
        done = bring_in(ledger)
        assert done.size == self.appended
        self.look(ledger)
        report, logged = fsck(ledger), check_log(ledger, PLAIN)
        assert report.size == logged.signed == logged.published == self.appended
        self.check(ledger)
        ledger.close()

    def append(self, ledger: Ledger) -> None:
        """Append, in one transaction, what the next integrator finds."""
        with ledger.writing() as con:
            for number in range(self.growth):
                ledger.append_public("note", {"n": self.appended + number}, START_US, con)
        self.appended += self.growth

    def look(self, ledger: Ledger) -> None:
        """Note every checkpoint that anybody could see."""
        row = signed_row(ledger)
        note = folder_fetch(self.folder / "log")("checkpoint")
        for one in ([row["note"]] if row else []) + ([note] if note else []):
            assert isinstance(one, bytes)
            head = PLAIN.check(one).checkpoint
            assert self.seen.setdefault(head.size, head.root) == head.root, "a fork"
        size = head_of(note).size if note else 0
        assert size >= self.published, "what was published went back"
        self.published = size

    def check(self, ledger: Ledger) -> None:
        """Every root that was ever seen is that of the first entries."""
        column = schema.entry.c
        with ledger.reading() as con:
            rows = con.execute(sa.select(column.commitment).order_by(column.index)).scalars()
            entries = [bytes(one) for one in rows]
        for size in sorted(self.seen)[-3:]:
            assert self.seen[size] == root_of(entries[:size])
