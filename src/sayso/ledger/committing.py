"""Group commit: the choices that wait in one process become entries in one transaction.

Promises: a receipt is given only once its entry is durable; the order in which a process
hands choices in is the order of their indexes; each caller gets their own receipt or their
own error; after a failure of the database the next choices are tried again. Whoever is alone
waits for nobody.

One thread writes. While the disk flushes, others hand in; then all of them go together. Where
several came at once the last time, those come back at about the same time, and so the writer
waits a moment for them: without it, the first to come back would go alone and the rest would
wait for the disk once more.

Example:
    >>> with Committer(ledger) as committer:               # doctest: +SKIP
    ...     committer.append_choice("7", purpose, Choice.OFF, effective_us=us, recorded_us=us)
    Receipt(index=12, commitment=b'...')
"""

import logging
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from sayso.errors import UnavailableError
from sayso.ledger.appending import Outcome, append_choices, holding
from sayso.ledger.entries import NewChoice, Receipt
from sayso.ledger.sealing import SEAL_ROWS, seal
from sayso.ledger.store import Ledger
from sayso.model import Choice

# Choices that one transaction takes: about 20 ms of the writers' lock.
BATCH_CHOICES = 500
# The longest wait for those who came together before; see docs/log.md for what it gains.
GATHER_SECONDS = 0.001
# A connection that was not used for so long is looked at before it is used again.
IDLE_SECONDS = 1.0
# So many entries of its own, and a process looks whether the head is to be sealed.
SEAL_LOOK_ENTRIES = 1_000

_Waiting = tuple[NewChoice, "Future[Receipt]"]


class Committer:
    """Appends the choices of one process; safe for many threads.

    Make it in the process that uses it, after any fork, and close it.

    Args:
        ledger: Where to.
        seal_rows: Choices that the head holds before they are sealed.
    """

    def __init__(self, ledger: Ledger, *, seal_rows: int = SEAL_ROWS) -> None:
        self._ledger = ledger
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._together = 1  # how many came at once the last time
        self._wanted = 1  # how many must wait before the writer is woken
        self._connection = ExitStack()
        self._held: sa.Connection | None = None
        self._used_at = 0.0
        self._sealing = _Sealing(ledger, seal_rows)
        self._thread = threading.Thread(target=self._run, name="sayso-committer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def append_choice(
        self,
        member_id: str,
        purpose: str,
        choice: Choice,
        *,
        effective_us: int,
        recorded_us: int,
        country: str | None = None,
        channel: str | None = None,
        setting_version: str | None = None,
    ) -> Receipt:
        """Append what a member said, durably; as `Ledger.append_choice`.

        Raises:
            InputError: The database cannot hold a value.
            RefusedError: The member was erased.
            UnavailableError: The database did not answer, or the committer is closed.
        """
        return self.hand_in(
            member_id, purpose, choice, effective_us=effective_us, recorded_us=recorded_us,
            country=country, channel=channel, setting_version=setting_version,
        ).result()  # fmt: skip

    def hand_in(
        self,
        member_id: str,
        purpose: str,
        choice: Choice,
        *,
        effective_us: int,
        recorded_us: int,
        country: str | None = None,
        channel: str | None = None,
        setting_version: str | None = None,
    ) -> "Future[Receipt]":
        """Hand in what a member said; the future is done when it is durable, or refused.

        Raises:
            InputError: A text has no UTF-8 bytes.
            UnavailableError: The committer is closed.
        """
        said = NewChoice.of(
            member_id, purpose, choice, effective_us=effective_us, recorded_us=recorded_us,
            country=country, channel=channel, setting_version=setting_version,
        )  # fmt: skip
        done: Future[Receipt] = Future()
        done.set_running_or_notify_cancel()  # it will be written: too late to take it back
        with self._changed:
            if self._is_closed:
                raise UnavailableError("the service is closing", hint="retry in a moment")
            self._waiting.append((said, done))
            if len(self._waiting) >= self._wanted:
                self._changed.notify()
        return done

    def close(self) -> None:
        """Append what waits, and end; what is handed in from now on is not taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()
        self._sealing.close()

    # ---- the writing thread ----

    def _run(self) -> None:
        while batch := self._next_batch():
            self._together = len(batch)
            self._write(batch)
        self._let_go()

    def _next_batch(self) -> list[_Waiting]:
        """Wait for choices and take them; none once it is closed and all were taken."""
        with self._changed:
            self._wanted = 1
            while not self._waiting and not self._is_closed:
                if not self._changed.wait(IDLE_SECONDS) and not self._waiting:
                    self._let_go()
            if len(self._waiting) < self._together and not self._is_closed:
                self._wanted = self._together
                self._changed.wait(GATHER_SECONDS)
            taken = min(len(self._waiting), BATCH_CHOICES)
            return [self._waiting.popleft() for _ in range(taken)]

    def _write(self, batch: list[_Waiting]) -> None:
        outcomes: list[Outcome] | BaseException
        try:
            outcomes = append_choices(self._ledger, [said for said, _ in batch], self._connected())
        except BaseException as error:  # noqa: BLE001  whoever waits must hear of it
            self._let_go()
            outcomes = error
        if isinstance(outcomes, BaseException):
            for _, done in batch:
                done.set_exception(outcomes)
            return
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                done.set_result(outcome)
            else:
                done.set_exception(outcome)
        self._sealing.count(len(batch), batch[-1][0].recorded_us)

    def _connected(self) -> sa.Connection | None:
        """Return the connection that PostgreSQL's batches share."""
        if self._ledger.engine.dialect.name != "postgresql":
            return None
        if self._held is None:
            self._held = self._connection.enter_context(holding(self._ledger))
        return self._held

    def _let_go(self) -> None:
        """Give the connection back to the pool, which looks at it before it gives it again."""
        held, self._held = self._held, None
        if held is not None:
            self._connection.close()


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
        """Count entries; every so many, look whether the head is to be sealed."""
        self._counted += entries
        self._recorded_us = max(self._recorded_us, recorded_us)
        if self._counted < min(SEAL_LOOK_ENTRIES, self._rows):
            return
        self._counted = 0
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sayso-sealer", daemon=True)
            self._thread.start()
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
                logging.getLogger(__name__).warning("sealing failed: %s", type(error).__name__)

    def close(self) -> None:
        """Wait for a seal that is being made, and end."""
        self._is_closed = True
        self._is_due.set()
        if self._thread is not None:
            self._thread.join()
