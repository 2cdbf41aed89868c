"""Group commit: the choices that wait in one process become entries in one transaction.

Promises: a receipt is given only once its entry is durable; the order in which a process
hands choices in is the order of their indexes; each caller gets their own receipt or their
own error; after a failure of the database the next choices are tried again. Whoever is alone
waits for nobody.

Of those who wait, one writes for all: no thread stands between, which would have to be woken
for each batch, and would have to wake one more. While the disk flushes, others hand in; then
all of them go together. Where several came at once the last time, those come back at about the
same time, so the first to come waits a moment for the rest, and the last of them writes.

Example:
    >>> with Committer(ledger) as committer:               # doctest: +SKIP
    ...     committer.append_choice(NewChoice.of("7", purpose, Choice.OFF, ...))
    Receipt(index=12, commitment=b'...')
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from sayso.errors import UnavailableError
from sayso.ledger.appending import Outcome, append_choices, holding
from sayso.ledger.entries import NewChoice, Receipt
from sayso.ledger.sealing import SEAL_ROWS, seal
from sayso.ledger.store import Ledger

LOG = logging.getLogger(__name__)
# Choices that one transaction takes: about 20 ms of the writers' lock.
BATCH_CHOICES = 500
# The longest wait for those who came together before; see docs/log.md for what it gains.
GATHER_SECONDS = 0.001
# Whoever waits looks again after so long, should the one who was to write be interrupted.
LOOK_SECONDS = 1.0
# A connection that was not used for so long is looked at before it is used again.
IDLE_SECONDS = 1.0
# So many entries of its own, and a process looks whether the head is to be sealed.
SEAL_LOOK_ENTRIES = 1_000


class Handed:
    """A choice that was handed in; it is written when somebody waits for one, or at closing."""

    __slots__ = ("_committer", "outcome", "said", "woken")

    def __init__(self, said: NewChoice, committer: "Committer") -> None:
        self.said = said
        self.outcome: Outcome | Exception | None = None
        self.woken = threading.Lock()
        self.woken.acquire()
        self._committer = committer

    def result(self) -> Receipt:
        """Wait until it is durable, and write it with all that wait where nobody else does.

        Raises:
            InputError: The database cannot hold a value.
            RefusedError: The member was erased.
            UnavailableError: The database did not answer.
        """
        outcome = self.outcome or self._committer.see_to(self)
        if isinstance(outcome, Receipt):
            return outcome
        raise outcome


class Committer:
    """Appends the choices of one process; safe for many threads.

    Make it in the process that uses it, after any fork, and close it.

    Args:
        ledger: Where to.
        seal_rows: Choices that the head holds before they are sealed.
    """

    def __init__(self, ledger: Ledger, *, seal_rows: int = SEAL_ROWS) -> None:
        self._ledger = ledger
        self._waiting: deque[Handed] = deque()
        self._changing = threading.Lock()
        self._is_closed = False
        self._is_writing = False
        self._together = 1  # how many came at once the last time
        self._connection = ExitStack()
        self._held: sa.Connection | None = None
        self._used_at = 0.0
        self._sealing = _Sealing(ledger, seal_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def append_choice(self, said: NewChoice) -> Receipt:
        """Append what a member said, durably; as `Ledger.append_choice`.

        Raises:
            InputError: The database cannot hold a value.
            RefusedError: The member was erased.
            UnavailableError: The database did not answer, or the committer is closed.
        """
        return self.hand_in(said).result()

    def hand_in(self, said: NewChoice) -> Handed:
        """Hand in what a member said; the order of handing in is that of the indexes.

        Raises:
            UnavailableError: The committer is closed.
        """
        handed = Handed(said, self)
        with self._changing:
            if self._is_closed:
                raise UnavailableError("the service is closing", hint="retry in a moment")
            self._waiting.append(handed)
        return handed

    def see_to(self, handed: Handed) -> Outcome | Exception:
        """Return the outcome of a choice, once it has one."""
        least = self._together
        while (outcome := handed.outcome) is None:
            batch, is_writing = self._take(least)
            if batch:
                self._write(batch)
                continue
            seconds = LOOK_SECONDS if is_writing else GATHER_SECONDS
            # Woken by whoever wrote: it has its outcome, or it is the first that was left.
            least = self._together if handed.woken.acquire(timeout=seconds) or is_writing else 1
        return outcome

    def close(self) -> None:
        """Append what waits, and end; what is handed in from now on is not taken."""
        with self._changing:
            self._is_closed = True
        while True:
            batch, is_writing = self._take(1)
            if batch:
                self._write(batch)
            elif is_writing:
                time.sleep(GATHER_SECONDS)
            else:
                break
        self._let_go()
        self._sealing.close()

    # ---- one at a time ----

    def _take(self, least: int) -> tuple[list[Handed], bool]:
        """Return what is to be written now, where nobody writes and so many wait.

        Whoever got some must `_write` it. The second value is whether somebody writes.
        """
        with self._changing:
            if self._is_writing or len(self._waiting) < min(least, BATCH_CHOICES):
                return [], self._is_writing
            taken = min(len(self._waiting), BATCH_CHOICES)
            self._is_writing = taken > 0
            return [self._waiting.popleft() for _ in range(taken)], False

    def _write(self, batch: list[Handed]) -> None:
        """Write a batch, and tell everybody of it; raises where this thread is interrupted."""
        outcomes: Sequence[Outcome | Exception] = [_interrupted()] * len(batch)
        try:
            outcomes = append_choices(self._ledger, [one.said for one in batch], self._connected())
        except Exception as error:  # noqa: BLE001  whoever waits must hear of it
            self._let_go()
            outcomes = [error] * len(batch)
        else:
            self._sealing.count(len(batch), batch[-1].said.recorded_us)
        finally:
            self._tell(batch, outcomes)

    def _tell(self, batch: list[Handed], outcomes: Sequence[Outcome | Exception]) -> None:
        for handed, outcome in zip(batch, outcomes, strict=True):
            handed.outcome = outcome
        with self._changing:
            self._is_writing = False
            self._together = len(batch) + len(self._waiting)
            # The first of those who came meanwhile looks whether it is to write.
            for handed in (*batch, *islice(self._waiting, 1)):
                if handed.woken.locked():
                    handed.woken.release()

    def _connected(self) -> sa.Connection | None:
        """Return the connection that PostgreSQL's batches share."""
        if self._ledger.engine.dialect.name != "postgresql":
            return None
        now = time.monotonic()
        if now - self._used_at > IDLE_SECONDS:
            self._let_go()
        self._used_at = now
        if self._held is None:
            self._held = self._connection.enter_context(holding(self._ledger))
        return self._held

    def _let_go(self) -> None:
        """Give the connection back to the pool, which looks at it before it gives it again."""
        held, self._held = self._held, None
        if held is not None:
            self._connection.close()


def _interrupted() -> UnavailableError:
    return UnavailableError("whoever wrote was interrupted", hint="retry; it may stand already")


class _Sealing:
    """Seals the head in a thread of its own, so that no choice waits for it."""

    def __init__(self, ledger: Ledger, rows: int) -> None:
        self._ledger = ledger
        self._rows = rows
        self._counted = 0
        self._recorded_us = 0
        self._is_due = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def count(self, entries: int, recorded_us: int) -> None:
        """Count entries; every so many, look whether the head is to be sealed. Never raises."""
        self._counted += entries
        self._recorded_us = max(self._recorded_us, recorded_us)
        if self._counted < min(SEAL_LOOK_ENTRIES, self._rows):
            return
        self._counted = 0
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="sayso-sealer", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads; what was counted is durable all the same
                LOG.warning("the head is not sealed: no thread can be started")
                return
            self._thread = thread
        self._is_due.set()

    def _run(self) -> None:
        while True:
            self._is_due.wait()
            self._is_due.clear()
            if self._is_closed:
                return
            try:
                seal(self._ledger, self._recorded_us, threshold_rows=self._rows)
            except Exception as error:  # noqa: BLE001  the next look tries again
                LOG.warning("sealing failed: %s", type(error).__name__)

    def close(self) -> None:
        """Wait for a seal that is being made, and end."""
        self._is_closed = True
        self._is_due.set()
        if self._thread is not None:
            self._thread.join()
