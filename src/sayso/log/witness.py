r"""The witness: somebody else's small program that cosigns a log only while it keeps its history.

Promises: C2SP tlog-witness `add-checkpoint`. For each log it remembers the last checkpoint that
it cosigned, on the disk before it answers, and never cosigns one that does not contain it: not
after a restart, and not when many ask at once, in one process or in several over one folder. What
a known log signed and could not reconcile is kept in `evidence/`. Does not choose the time: the
clock is given. Does not read a log's entries.

A witness says nothing for a platform that runs it itself; give it to somebody else. Never put its
folder back from a backup: it would cosign a second history. Served to strangers, it wants a proxy
before it that ends slow requests: here only silence ends one.

Example:
    >>> import tempfile
    >>> from sayso.log.keys import KeyType
    >>> signer = SignerKey.from_seed("example.org/w", bytes(32), KeyType.ED25519_COSIGNATURE)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     witness = Witness(Path(folder), [signer], {}, clock=lambda: 0)
    ...     witness.add_checkpoint(b"old 0\n").status
    400
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sayso.errors import InputError, IntegrityError, SaysoError, UnavailableError
from sayso.log.checkpoint import Checkpoint, parse_checkpoint_text
from sayso.log.keys import TIMED, SignerKey, VerifierKey
from sayso.log.merkle import EMPTY_ROOT
from sayso.log.notes import cosign, parse_note, verify_note
from sayso.log.proofs import verify_consistency
from sayso.log.submission import MAX_SUBMISSION_BYTES, Submission, parse_submission

TEXT = "text/plain; charset=utf-8"
# Source: tlog-witness; the body is the size to prove from.
SIZE = "text/x.tlog.size"
PATH = "/add-checkpoint"
# How long a connection may be silent, and how many may be open.
IDLE_SECONDS = 15.0
MAX_CONNECTIONS = 64


@dataclass(frozen=True)
class Response:
    """What the witness answers: an HTTP status, and a body of a type."""

    status: int
    content_type: str
    body: bytes


class Witness:
    """Cosigns checkpoints of known logs.

    Args:
        folder: Where it remembers, made if it is not there.
        signers: Its keys, each of a cosignature type.
        logs: For each origin that it knows, the keys that may sign for it.
        clock: Gives the time in Unix seconds.

    Raises:
        InputError: There is no signer, or one is not for cosignatures.
        UnavailableError: The folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        signers: Sequence[SignerKey],
        logs: Mapping[str, Sequence[VerifierKey]],
        clock: Callable[[], int],
    ) -> None:
        if not signers or any(signer.type not in TIMED for signer in signers):
            raise InputError("a witness signs with cosignature keys", hint="give types 4 or 6")
        self._signers = tuple(signers)
        self._logs = {origin: tuple(keys) for origin, keys in logs.items()}
        self._clock = clock
        self._state, self._evidence = folder / "state", folder / "evidence"
        with _storage():
            self._state.mkdir(parents=True, exist_ok=True)
            self._evidence.mkdir(exist_ok=True)
            for made in (folder.parent, folder):
                _sync(made)

    def add_checkpoint(self, unverified: bytes) -> Response:
        """Answer one request. Source: tlog-witness, "add-checkpoint".

        Raises:
            IntegrityError: What it remembers of this log is broken; nothing is cosigned until a
                person has looked.
            UnavailableError: The disk does not take it.
        """
        try:
            asked = parse_submission(unverified)
        except InputError as error:
            return _refused(HTTPStatus.BAD_REQUEST, error)
        keys = self._logs.get(asked.checkpoint.origin)
        if keys is None:
            return _refused(HTTPStatus.NOT_FOUND, "the log is not known here")
        try:
            verify_note(asked.note, keys)
        except (InputError, IntegrityError) as error:
            return _refused(HTTPStatus.FORBIDDEN, error)
        if asked.old_size > asked.checkpoint.size:
            return _refused(HTTPStatus.BAD_REQUEST, "the old size is larger than the checkpoint's")
        name = hashlib.sha256(asked.checkpoint.origin.encode()).hexdigest()
        # INVARIANT: whoever holds the lock compares, writes and signs before another reads, or a
        # slow request would take back a later size, and sign less at a later time.
        with _storage(), _locked(self._state / f"{name}.lock"):
            return self._compare(asked, self._state / name)

    def _compare(self, asked: Submission, place: Path) -> Response:
        """Hold a signed checkpoint against the last one, and cosign it if it only grew."""
        new, known_note = asked.checkpoint, _read(place)
        known = _remembered(known_note, new.origin)
        if new.size == known.size and new.root != known.root:
            self._keep("split", asked, known_note)
        if asked.old_size != known.size:
            return Response(int(HTTPStatus.CONFLICT), SIZE, b"%d\n" % known.size)
        if new.size == known.size and new.root != known.root:
            return _refused(HTTPStatus.CONFLICT, "another root of this size was cosigned here")
        try:
            verify_consistency(known.size, known.root, new.size, new.root, asked.proof)
        except IntegrityError as error:
            self._keep("unproven", asked, known_note)
            return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, error)
        # Also where nothing grew: whoever wrote it before us may have died before it was durable.
        _write(place, asked.note.to_bytes())
        now = self._clock()
        lines = [cosign(asked.note.text, signer, now).to_line() for signer in self._signers]
        return Response(int(HTTPStatus.OK), TEXT, "".join(lines).encode())

    def _keep(self, kind: str, asked: Submission, known_note: bytes | None) -> None:
        """Keep what was sent, and what it contradicts.

        `split` is proof: two roots of one size, both signed. `unproven` is a reason to ask, as
        the proof may be to blame. One of each per checkpoint that the log signed, so that only
        the log can fill the disk.
        """
        told = hashlib.sha256(asked.note.text.encode()).hexdigest()[:16]
        name = f"{kind}-{asked.checkpoint.size}-{told}"
        if not (self._evidence / f"{name}.submitted").exists():
            _write(self._evidence / f"{name}.known", known_note or b"")
            _write(self._evidence / f"{name}.submitted", asked.to_bytes())


def _remembered(note: bytes | None, origin: str) -> Checkpoint:
    """Return the last checkpoint cosigned: that of no leaves, where there is none."""
    if note is None:
        return Checkpoint(origin, 0, EMPTY_ROOT)
    try:
        known = parse_checkpoint_text(parse_note(note).text)
    except InputError as error:
        raise IntegrityError(f"what is remembered of a log is broken: {error.message}") from error
    if known.origin != origin:
        raise IntegrityError("what is remembered of a log is another's")
    return known


def _refused(status: HTTPStatus, why: object) -> Response:
    return Response(int(status), TEXT, f"{why}\n".encode(errors="replace"))


@contextmanager
def _storage() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"the witness cannot write: {error.strerror}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that others, threads as well as processes, wait for."""
    with path.open("ab") as file:  # each open is a lock of its own, so that threads exclude too
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    """Write a file so that, whenever the power fails, it is the old one or the new one.

    The caller holds the lock of the log that the file is about.
    """
    draft = path.with_name(f"{path.name}.tmp")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_server(witness: Witness, host: str, port: int) -> "WitnessServer":
    """Return a server that listens and does not yet answer; port 0 takes a free one.

    Raises:
        UnavailableError: The address is taken or not this machine's.
    """
    try:
        return WitnessServer(witness, (host, port))
    except OSError as error:
        raise UnavailableError(f"{host}:{port} cannot be served: {error.strerror}") from error


def serve(witness: Witness, host: str, port: int) -> None:
    """Answer until interrupted. Raises as `open_server`."""
    with open_server(witness, host, port) as server:
        server.serve_forever()


class WitnessServer(ThreadingHTTPServer):
    """One thread for each connection, and no more than some connections."""

    daemon_threads = True

    def __init__(self, witness: Witness, address: tuple[str, int]) -> None:
        self.witness = witness
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection; where too many are open, the next waits for one to end."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a connection that broke: nothing was answered, so nothing was promised."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    timeout = IDLE_SECONDS
    server_version, sys_version = "sayso-witness", ""
    server: WitnessServer

    def do_POST(self) -> None:
        length = self._length()
        if isinstance(length, Response):
            self.close_connection = True  # its body was not read
            self._answer(length)
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
        elif self.path != PATH:
            self._answer(_refused(HTTPStatus.NOT_FOUND, f"there is only {PATH}"))
        else:
            self._answer(self._added(body))

    def _length(self) -> int | Response:
        """Return the length of the body, or why it will not be read."""
        told = self.headers.get_all("Content-Length", [])
        if self.headers["Transfer-Encoding"] or len(told) != 1 or not told[0].isdecimal():
            return _refused(HTTPStatus.LENGTH_REQUIRED, "give one Content-Length")
        if len(told[0]) > 9 or int(told[0]) > MAX_SUBMISSION_BYTES:
            return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
        return int(told[0])

    def _added(self, body: bytes) -> Response:
        try:
            return self.server.witness.add_checkpoint(body)
        except UnavailableError as error:
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, error)
        except SaysoError as error:
            return _refused(HTTPStatus.INTERNAL_SERVER_ERROR, error)

    def do_GET(self) -> None:
        self.close_connection = True  # it may have a body
        self._answer(_refused(HTTPStatus.METHOD_NOT_ALLOWED, "POST only"))

    do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = do_GET  # noqa: N815  (their names)

    def _answer(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_message(self, *args: Any) -> None:
        """Say nothing: printing is for the edge."""
