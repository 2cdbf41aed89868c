"""The desk: what one worker of the service has in hand.

Promises: opened once for each process, after it was forked; brings what was appended into the
log in a thread of its own, so that nobody waits for a witness. Does not answer requests.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from sayso.decision.explain import Explanation
from sayso.decision.states import microseconds
from sayso.ledger.committing import Committer
from sayso.ledger.entries import Receipt
from sayso.ledger.ingest import Ingested
from sayso.ledger.integrate import is_behind
from sayso.model import DEFAULT_PURPOSE, Choice, MemberFacts, RecordFacts
from sayso.opening import open_workspace
from sayso.present import Decided, Present
from sayso.settings import WebSettings, load_settings
from sayso.web.assisting import Writer
from sayso.web.clients import Clients
from sayso.web.limits import Limits
from sayso.web.sealed import Sealed, make_tables
from sayso.web.sessions import Sessions
from sayso.web.telemetry import DELIVERED
from sayso.web.turns import Turns
from sayso.web.webhooks import Deliverer
from sayso.workspace import Clock, Workspace

LOG = logging.getLogger("sayso.web")
# The log is looked at again after so long, though nobody here appended anything.
INTEGRATE_SECONDS = 0.5
# The ledger is looked at for what webhooks tell after so long.
TELL_SECONDS = 1.0
# The threads are waited for so long: more than one request outward takes.
CLOSE_SECONDS = 15.0


def system_clock() -> datetime:
    """Return the present, aware UTC."""
    return datetime.now(UTC)


@dataclass
class Desk:
    """What a worker holds. Use `open_desk`.

    Attributes:
        workspace: Whose pages these are.
        present: Answers about now.
        settings: What `[web]` says.
        sessions: Who is signed in.
        sign_ins: Sign-ins under way.
        answers: What was answered under an idempotency key.
        turns: What one request at a time may do, in whichever worker it is.
        limits: How often one caller may ask for what is dear.
        clients: Service clients.
        writer: Who writes for members.
        is_demonstration: Whether the members are generated, and offered on the first page.
    """

    workspace: Workspace
    present: Present
    settings: WebSettings
    sessions: Sessions
    sign_ins: Sealed
    answers: Sealed
    turns: Turns
    limits: Limits
    clients: Clients
    writer: Writer
    is_demonstration: bool = False
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)
    _stirred: threading.Event = field(default_factory=threading.Event, repr=False)
    _logging: threading.Thread | None = field(default=None, repr=False)
    _telling: threading.Thread | None = field(default=None, repr=False)

    @property
    def clock(self) -> Clock:
        """The clock that everything here goes by."""
        return self.workspace.clock

    def now_us(self) -> int:
        """Return the present, microseconds since 1970."""
        return microseconds(self.clock())

    @property
    def content(self) -> Path | None:
        """Where the content table stands; None for nowhere."""
        name = self.settings.content
        return self.workspace.path / name if name else None

    def is_erased(self, member: str) -> bool:
        """Whether a member was erased, by whatever process; asked of the database each time."""
        ledger = self.workspace.ledger
        with ledger.reading() as con:
            return ledger.keys.is_erased(con, member)

    def explain(self, member: str, purpose: str = DEFAULT_PURPOSE) -> Explanation:
        """Return the member's part of the decision, as of now."""
        return self.present.decide(member, purpose=purpose)

    def member_facts(self, member: str, purpose: str = DEFAULT_PURPOSE) -> MemberFacts:
        """Return the facts about a member that a decision depends on, as of now."""
        return self.present.facts(member, purpose=purpose)

    def decide(
        self, member: str | int, record: RecordFacts | None, *, purpose: str,
        at: datetime | None, known: int | None,
    ) -> Explanation:  # fmt: skip
        """Return the decision about a member, or about one of their records."""
        if at is None and known is None:
            return self.present.decide(member, record, purpose=purpose)
        return self.workspace.decide(member, record, purpose=purpose, at=at, known=known)

    def decide_many(
        self, content: pa.Table, *, purpose: str, at: datetime | None, known: int | None
    ) -> Decided:
        """Return the decision of every record, in their order; of now where neither is given."""
        if at is None and known is None:
            return self.present.decided(content, purpose=purpose)
        when, size = at or self.clock(), self.workspace.ledger.known(known)
        found = self.workspace.decide_many(content, purpose=purpose, at=when, known=size)
        return Decided(found, when, size)

    def choose(
        self, member: str | int, choice: Choice, *, purpose: str, channel: str,
        setting_version: str | None, effective_at: datetime | None = None,
        country: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Record what a member said; durable, and seen by every worker, when this returns."""
        made = self.workspace.choose(
            member, choice, purpose=purpose, channel=channel, setting_version=setting_version,
            effective_at=effective_at, country=country,
        )  # fmt: skip
        self.stir()
        return made

    def ingest(self, kind: str, path: Path) -> tuple[Ingested, dict[str, int]]:
        """Take a file whole or not at all; return also rows by purpose that nobody declares."""
        taken = self.workspace.ingest(kind, path)
        self.stir()
        return taken, {} if kind == "members" else self.workspace.unknown_purposes(path)

    def stir(self) -> None:
        """Have the log look at once: something was appended."""
        self._stirred.set()

    def start(self) -> None:
        """Begin to bring entries into the log, to tell and to note."""
        self.workspace.committer = Committer(self.workspace.ledger)
        self._logging = threading.Thread(target=self._integrate, name="sayso-log", daemon=True)
        self._logging.start()
        self._telling = threading.Thread(target=self._tell, name="sayso-webhooks", daemon=True)
        self._telling.start()

    def close(self) -> None:
        """End the threads and release the database.

        A thread that waits for somebody else is waited for only so long: what it was at is
        found in the ledger again, by whoever comes next. Turns that somebody here still has
        stay theirs: a request may outlive the server's patience, and until it is done or this
        process is gone nobody else does the same thing.
        """
        self._ended.set()
        self._stirred.set()
        ends = time.monotonic() + CLOSE_SECONDS
        for thread in (self._logging, self._telling):
            if thread is not None:
                thread.join(max(0.0, ends - time.monotonic()))
                if thread.is_alive():
                    LOG.warning("'%s' was not waited for any longer", thread.name)
        self.writer.close()
        self.present.close()
        self.turns.close()
        self.workspace.close()

    def _tell(self) -> None:
        """Deliver webhooks: what others appended is found in the ledger as well."""
        deliverer = Deliverer(
            self.workspace.ledger, self.settings.webhook_hosts_allowed, self.turns,
            ended=self._ended,
        )  # fmt: skip
        while not self._ended.wait(TELL_SECONDS):
            try:
                while (told := deliverer.deliver(self.now_us)) and not self._ended.is_set():
                    DELIVERED.inc(told)
            except Exception as error:  # noqa: BLE001  the thread goes on, whatever it was
                LOG.warning("webhooks wait: %s", type(error).__name__)
                self._ended.wait(TELL_SECONDS * 4)

    def _integrate(self) -> None:
        while not self._ended.is_set():
            self._stirred.wait(INTEGRATE_SECONDS)
            self._stirred.clear()
            if self._ended.is_set():
                return
            try:
                if is_behind(self.workspace.ledger):
                    self.workspace.integrate()
            except Exception as error:  # noqa: BLE001  the thread goes on, whatever it was
                # Said by its type alone: a message may quote what nobody should read.
                LOG.warning("no new checkpoint: %s", type(error).__name__)
                self._ended.wait(INTEGRATE_SECONDS * 4)


def open_desk(path: Path, clock: Clock = system_clock, *, is_demonstration: bool = False) -> Desk:
    """Open a workspace for a worker, and make the service's tables.

    Raises:
        InputError: There is none, or `sayso.toml` cannot be read.
        UnavailableError: Its database did not answer.
    """
    settings = load_settings(path).web
    workspace = open_workspace(path, clock)
    try:
        return desk_over(workspace, settings, is_demonstration=is_demonstration)
    except BaseException:
        workspace.close()
        raise


def desk_over(
    workspace: Workspace, settings: WebSettings, *, is_demonstration: bool = False
) -> Desk:
    """Return the desk of an open workspace, which it closes; makes the service's tables.

    Raises:
        InputError: `sayso.toml` cannot be read.
        UnavailableError: The database did not answer.
    """
    ledger = workspace.ledger
    make_tables(ledger)
    release = workspace.path / settings.release if settings.release else None
    writer = Writer(workspace, release)
    return Desk(
        workspace, Present(workspace), settings, Sessions(Sealed(ledger, "session")),
        Sealed(ledger, "sign-in"), Sealed(ledger, "answer"), Turns(ledger),
        Limits(ledger, settings), Clients(ledger), writer, is_demonstration,
    )  # fmt: skip


OpenDesk = Callable[[], Desk]
