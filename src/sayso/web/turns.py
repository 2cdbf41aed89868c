"""Turns: what one request at a time may do, in whichever worker it is.

Promises: a turn is nobody's as soon as whoever had it gives it back or its process is gone,
however it went, for it is a lock of the system's or of the database's and no note with a time
on it. Nobody waits: a turn is had at once or not at all. With SQLite, whose workers share a
machine, a turn is a lock on a file of the folder `turns`; with PostgreSQL an advisory lock of
one session that a worker keeps. Names are digests, so that no lock tells what it is for.

Where the database ends that session, its turns are free while whoever had them goes on; they
are taken again with the next one. A worker that closes gives back nothing that is had: who has
it may be at work still, and nobody else may begin before they are done or their process ends.

Example:
    >>> with turns.take("a name that the two share") as is_mine:        # doctest: +SKIP
    ...     answer = work() if is_mine else "somebody else is at it"
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from sayso.ledger.store import Ledger
from sayso.web.sealed import derived

FOLDER = "turns"
# When the machine of a worker is gone, PostgreSQL notices after about fifteen seconds.
_SESSION = (
    "SET tcp_keepalives_idle = 5", "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 2", "SET idle_session_timeout = 0",
)  # fmt: skip


class _Locks(Protocol):
    """Locks that their process takes with it."""

    def take(self, digest: bytes) -> bool: ...

    def give_back(self, digest: bytes) -> None: ...

    def close(self) -> None: ...


class Turns:
    """The turns of one worker.

    Args:
        ledger: In whose folder or database they stand.

    Raises:
        UnavailableError: The database did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        is_sqlite = ledger.engine.dialect.name == "sqlite"
        self._locks: _Locks = _Files(ledger.folder / FOLDER) if is_sqlite else _Session(ledger)

    @contextmanager
    def take(self, name: str) -> Iterator[bool]:
        """Have a turn for as long as the block takes; yield whether it is had.

        Raises:
            UnavailableError: The database did not answer.
        """
        digest = derived(name, "turn")
        is_mine = self._locks.take(digest)
        try:
            yield is_mine
        finally:
            if is_mine:
                self._locks.give_back(digest)

    def close(self) -> None:
        """Release what no turn needs; one that is had stays so until it is given back."""
        self._locks.close()


class _Files:
    """Locks on files; one that is there and not locked was left by a process that is gone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[bytes, int] = {}
        folder.mkdir(mode=0o700, exist_ok=True)
        for left in folder.iterdir():
            if (descriptor := _locked(left)) is not None:
                _unlock(left, descriptor)

    def take(self, digest: bytes) -> bool:
        descriptor = _locked(self._folder / digest.hex())
        if descriptor is None:
            return False
        self._held[digest] = descriptor
        return True

    def give_back(self, digest: bytes) -> None:
        descriptor = self._held.pop(digest, None)
        if descriptor is not None:
            _unlock(self._folder / digest.hex(), descriptor)

    def close(self) -> None:
        """Do nothing: there is a file for each turn that is had, and no other."""


def _locked(path: Path) -> int | None:
    """Return the descriptor of a file that is locked now; None where another has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it before may have deleted it between the two: then it is no lock.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _unlock(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)  # under the lock, so that nobody else's goes
    os.close(descriptor)


class _Session:
    """Advisory locks of one session of PostgreSQL's.

    One session for all of a worker's turns: one each would use up the connections. A session
    may take a lock twice, so that a worker knows its own by itself.

    Raises:
        UnavailableError: The database did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # Past the pool: where requests hold all of its connections, nobody waits here for one.
        self._engine = sa.create_engine(
            ledger.engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
        )
        self._guard = threading.Lock()
        self._held: set[int] = set()
        self._is_closed = False
        with ledger.told():
            self._con: sa.Connection | None = self._open()

    def take(self, digest: bytes) -> bool:
        number = _number(digest)
        with self._guard, self._ledger.told():
            if number in self._held:
                return False
            try:
                is_mine = self._lock(number)
            except sa.exc.DBAPIError:  # it may have ended long ago, between two requests
                self._drop()
                is_mine = self._lock(number)
            if is_mine:
                self._held.add(number)
            return is_mine

    def give_back(self, digest: bytes) -> None:
        number = _number(digest)
        with self._guard:
            self._held.discard(number)
            try:
                if self._con is not None:
                    self._con.execute(sa.select(sa.func.pg_advisory_unlock(number)))
            except sa.exc.DBAPIError:
                self._drop()
            self._end()

    def close(self) -> None:
        with self._guard:
            self._is_closed = True
            self._end()

    def _lock(self, number: int) -> bool:
        if self._con is None:
            self._con = self._open()
            for one in self._held:
                self._con.execute(sa.select(sa.func.pg_try_advisory_lock(one)))
        return bool(self._con.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar_one())

    def _open(self) -> sa.Connection:
        con = self._engine.connect()
        try:
            for line in _SESSION:
                con.exec_driver_sql(line)
        except BaseException:
            con.close()
            raise
        return con

    def _end(self) -> None:
        """End the session once it is closed, and with it no turn that is had."""
        if self._is_closed and not self._held:
            self._drop()

    def _drop(self) -> None:
        if self._con is not None:
            with suppress(sa.exc.DBAPIError):
                self._con.close()
            self._con = None


def _number(digest: bytes) -> int:
    """Return the lock of a digest: below zero, where the ledger has none of its own."""
    return -1 - (int.from_bytes(digest[:8], "big") >> 1)
