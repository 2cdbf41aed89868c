"""Reads: each answer about a member to somebody else is noted, in the database and the log.

Promises: what a person of the staff reads is noted before they get it, and not given where it
cannot be noted. What jobs read is noted within a second, many at once, since a decision must
not wait for a disk; where too many wait to be noted, jobs get no answer. What a member reads
of their own is nobody's business and is noted nowhere.

One line of JSON for each goes to the logger `sayso.web.reads`, with the member's tag and not
their id.
"""

import json
import logging
import threading
from collections.abc import Callable, Sequence

from sayso.errors import UnavailableError
from sayso.facts import instant_of
from sayso.ledger.reads import Read, note_reads
from sayso.ledger.store import Ledger
from sayso.snapshot.manifest import iso

LOG = logging.getLogger("sayso.web.reads")
NOTE_SECONDS = 0.2
# So many may wait; they are few seconds' worth of one worker.
MOST_WAITING = 20_000
CLIENT = "client"


class Reads:
    """Notes the reads of one worker.

    Args:
        ledger: In whose database.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._noting = threading.Lock()
        self._waiting: list[Read] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to note what waits."""
        self._thread = threading.Thread(target=self._run, name="sayso-reads", daemon=True)
        self._thread.start()

    def note(self, read: Read) -> None:
        """Note a read before this returns.

        Raises:
            UnavailableError: It could not be noted.
        """
        _tell([read], note_reads(self._ledger, [read]))

    def note_soon(self, read: Read) -> None:
        """Note a read within a second.

        Raises:
            UnavailableError: Too many wait to be noted.
        """
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                raise UnavailableError("reads cannot be noted", hint="repeat it in a moment")
            self._waiting.append(read)

    def flush(self) -> None:
        """Note whatever waits.

        Raises:
            UnavailableError: The database did not answer; all of it waits still.
        """
        with self._noting:
            with self._lock:
                some = tuple(self._waiting)
            tags = note_reads(self._ledger, some)
            with self._lock:
                del self._waiting[: len(some)]
        _tell(some, tags)

    def close(self) -> None:
        """End the thread, and note what waits."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._try(self.flush)

    def _run(self) -> None:
        while not self._ended.wait(NOTE_SECONDS):
            self._try(self.flush)

    @staticmethod
    def _try(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  what waits is tried again, whatever it was
            LOG.warning("reads wait to be noted: %s", type(error).__name__)


def _tell(reads: Sequence[Read], tags: Sequence[bytes | None]) -> None:
    for one, tag in zip(reads, tags, strict=True):
        told = {
            "at": iso(instant_of(one.at_us)), "by": one.subject, "role": one.role,
            "route": one.route, "member": None if tag is None else tag.hex(), "rows": one.rows,
            "request": one.request_id,
        }  # fmt: skip
        LOG.info("%s", json.dumps(told))
