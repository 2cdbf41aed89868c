"""Serving: the processes that answer.

Promises: each worker opens its own desk; a worker that comes back while the database is away
waits for it, and the others go on; a client that sends its request too slowly is hung up
on, and so is one that opens a connection and says nothing; what is logged is routes and
statuses, not addresses, queries or ids. What can be known to be wrong is an error of whoever
begins the service, before it answers.

Example:
    >>> check(Path("ws"))                                                # doctest: +SKIP
    >>> serve(Path("ws"), listen("127.0.0.1", 8000), workers=2)          # doctest: +SKIP
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from sayso.errors import UnavailableError
from sayso.settings import load_settings
from sayso.web.app import make_app
from sayso.web.desk import Desk, open_desk
from sayso.web.signing_in import make_client
from sayso.web.telemetry import SHARED

# For a request line and its headers, however small their pieces.
HEAD_SECONDS = 10.0
# Connections that wait to be taken.
BACKLOG = 2048
# Before a worker looks again whether the database is back.
WAIT_SECONDS = 1.0
LOG = logging.getLogger("sayso.web")
WORKSPACE, DEMONSTRATION = "SAYSO_WEB_WORKSPACE", "SAYSO_WEB_DEMONSTRATION"


class PatientProtocol(HttpToolsProtocol):
    """Waits `HEAD_SECONDS` for the head of a request, and hangs up."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take a piece; the first of a further request begins to wait again."""
        if self._head_timer is None and self._is_idle():
            self._wait()
        super().data_received(data)
        if not self._is_idle():
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hang_up(self) -> None:
        self._head_timer = None
        if self._is_idle():
            self.transport.close()


def worker_app() -> FastAPI:
    """Return the application of one worker, as the environment says."""
    _log_to_stderr()
    path = Path(os.environ[WORKSPACE])
    is_demonstration = os.environ.get(DEMONSTRATION) == "1"
    web = load_settings(path).web

    def opened() -> Desk:
        try:
            return open_desk(path, is_demonstration=is_demonstration)
        except UnavailableError:
            if SHARED not in os.environ:  # nobody would begin this process again
                raise
            LOG.warning("a worker waits for the ledger's database")
            time.sleep(WAIT_SECONDS)
            # A failure to start would have the parent end every worker, those that serve among
            # them; of a process that died it makes another one.
            os._exit(1)

    return make_app(
        opened,
        hosts=web.hosts,
        is_encrypted=web.address.startswith("https://"),
    )


def _log_to_stderr() -> None:
    """Have our own lines go to stderr; they hold templates of routes, statuses and times."""
    ours = logging.getLogger("sayso.web")
    if not ours.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        ours.addHandler(handler)
        ours.setLevel(logging.INFO)
        ours.propagate = False


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that nobody else takes the port.

    Args:
        host: A name or an address of this machine; of several, one of IPv4.
        port: 0 for any that is free.

    Raises:
        UnavailableError: The port is taken, or there is no such host here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UnavailableError(
            f"'{host}' is no name of this machine", hint="choose another --host"
        ) from None
    family, kind, protocol, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        reason = (error.strerror or type(error).__name__).lower()
        raise UnavailableError(
            f"nobody can listen at '{host}', port {port}: {reason}",
            hint="end what listens there, or choose another --port or --host",
        ) from None
    made.set_inheritable(True)
    return made


def check(path: Path) -> None:
    """Open once what every worker opens: whoever begins the service is told what is wrong.

    Raises:
        InputError: There is no workspace, or what `sayso.toml` says cannot be had.
        UnavailableError: Its database did not answer.
    """
    desk = open_desk(path)
    try:
        make_client(desk)
    finally:
        desk.close()


def serve(
    path: Path, listening: socket.socket, *, workers: int = 1, is_demonstration: bool = False
) -> None:
    """Answer until interrupted, or told to end.

    Args:
        path: The workspace.
        listening: Where to answer.
        workers: Processes.
        is_demonstration: Whether the people on the first page are offered.

    Raises:
        KeyboardInterrupt: Somebody interrupted.
        UnavailableError: A worker could not begin.
    """
    os.environ[WORKSPACE] = str(path.resolve())
    os.environ[DEMONSTRATION] = "1" if is_demonstration else "0"
    with ExitStack() as stack:
        if workers > 1:  # each writes what it measured into files, and any of them sums up
            folder = tempfile.TemporaryDirectory(prefix="sayso-metrics-")
            os.environ[SHARED] = stack.enter_context(folder)
        _run(listening, workers)


class _Workers(Multiprocess):
    """Processes that answer, and which signal ended them."""

    ended_by: signal.Signals | None = None

    def handle_int(self) -> None:
        self.ended_by = signal.SIGINT
        super().handle_int()

    def handle_term(self) -> None:
        self.ended_by = signal.SIGTERM
        super().handle_term()


def _run(listening: socket.socket, workers: int) -> None:
    config = uvicorn.Config(
        "sayso.web.serving:worker_app",
        factory=True,
        workers=workers,
        http=PatientProtocol,
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        limit_concurrency=1000,
        backlog=BACKLOG,
        log_level="warning",
    )
    if workers == 1:
        server = uvicorn.Server(config)
        server.run(sockets=[listening])
        has_begun = server.started
    else:
        several = _Workers(config, sockets=[listening])
        several.run()
        if several.ended_by is signal.SIGINT:
            raise KeyboardInterrupt
        codes = {process.exitcode for process in several.processes}
        has_begun = several.ended_by is not None or STARTUP_FAILURE not in codes
    if not has_begun:
        raise UnavailableError("the service could not begin", hint="what is wrong stands above")
