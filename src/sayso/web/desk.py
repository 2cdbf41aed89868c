"""The desk: what one worker of the service has in hand.

Promises: opened once for each process, after it was forked; brings what was appended into the
log in a thread of its own, so that nobody waits for a witness. Does not answer requests.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sayso.decision.explain import Explanation
from sayso.decision.states import microseconds
from sayso.errors import SaysoError
from sayso.facts import member_facts, standing_of_one
from sayso.ledger.integrate import is_behind
from sayso.ledger.store import Receipt
from sayso.model import DEFAULT_PURPOSE, Choice, MemberFacts
from sayso.opening import open_workspace
from sayso.rulebook.in_force import in_force
from sayso.settings import WebSettings, load_settings
from sayso.web.assisting import Writer
from sayso.web.clients import Clients
from sayso.web.sealed import Sealed, make_tables
from sayso.web.sessions import Sessions
from sayso.workspace import Clock, Workspace

LOG = logging.getLogger("sayso.web")
# The log is looked at again after so long, though nobody here appended anything.
INTEGRATE_SECONDS = 0.5


def system_clock() -> datetime:
    """Return the present, aware UTC."""
    return datetime.now(UTC)


@dataclass
class Desk:
    """What a worker holds. Use `open_desk`.

    Attributes:
        workspace: Whose pages these are.
        settings: What `[web]` says.
        sessions: Who is signed in.
        sign_ins: Sign-ins under way.
        answers: What was answered under an idempotency key.
        clients: Service clients.
        writer: Who writes for members.
        is_demonstration: Whether the members are generated, and offered on the first page.
    """

    workspace: Workspace
    settings: WebSettings
    sessions: Sessions
    sign_ins: Sealed
    answers: Sealed
    clients: Clients
    writer: Writer
    is_demonstration: bool = False
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)
    _stirred: threading.Event = field(default_factory=threading.Event, repr=False)
    _logging: threading.Thread | None = field(default=None, repr=False)

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

    def explain(self, member: str, purpose: str = DEFAULT_PURPOSE) -> Explanation:
        """Return the member's part of the decision, as of now."""
        return self.workspace.decide(member, purpose=purpose)

    def member_facts(self, member: str, purpose: str = DEFAULT_PURPOSE) -> MemberFacts:
        """Return the facts about a member that a decision depends on, as of now."""
        workspace = self.workspace
        size = workspace.ledger.size()
        at = workspace.clock()
        standing, notices = standing_of_one(
            workspace.ledger, member, purpose, microseconds(at), size, None
        )
        current = in_force(workspace.rules(size).book, purpose, at)
        return member_facts(standing, notices, current)

    def choose(
        self, member: str, choice: Choice, *, purpose: str, channel: str,
        setting_version: str | None,
    ) -> Receipt:  # fmt: skip
        """Record what a member said; durable, and seen by every worker, when this returns."""
        made = self.workspace.choose(
            member, choice, purpose=purpose, channel=channel, setting_version=setting_version
        )
        self.stir()
        return made

    def stir(self) -> None:
        """Have the log look at once: something was appended."""
        self._stirred.set()

    def start(self) -> None:
        """Begin to bring entries into the log."""
        self._logging = threading.Thread(target=self._integrate, name="sayso-log", daemon=True)
        self._logging.start()

    def close(self) -> None:
        """End the thread and release the database."""
        self._ended.set()
        self._stirred.set()
        if self._logging is not None:
            self._logging.join()
        self.writer.close()
        self.workspace.close()

    def _integrate(self) -> None:
        while not self._ended.is_set():
            self._stirred.wait(INTEGRATE_SECONDS)
            self._stirred.clear()
            if self._ended.is_set():
                return
            try:
                if is_behind(self.workspace.ledger):
                    self.workspace.integrate()
            except SaysoError as error:
                # Said by its family alone: a message may quote what nobody should read.
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
    release = workspace.path / settings.release if settings.release else None
    ledger = workspace.ledger
    try:
        make_tables(ledger)
    except BaseException:
        workspace.close()
        raise
    return Desk(
        workspace, settings, Sessions(Sealed(ledger, "session")), Sealed(ledger, "sign-in"),
        Sealed(ledger, "answer"), Clients(ledger), Writer(workspace, release), is_demonstration,
    )  # fmt: skip


OpenDesk = Callable[[], Desk]
