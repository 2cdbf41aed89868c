import http.client
import itertools
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sayso.errors import ConflictError, InputError, IntegrityError, UnavailableError
from sayso.log import witness as room
from sayso.log import witnessing as client
from sayso.log.keys import VerifierKey
from sayso.log.notes import Note, verify_note
from sayso.log.submission import MAX_SUBMISSION_BYTES
from sayso.log.witness import Witness, WitnessServer, open_server
from sayso.log.witnessing import ask_witness, obtain_cosignatures
from tests.unit.log.signers import AT, LOG, W1, W3, signed
from tests.unit.log.test_witness import OTHER, TREE, body, head, new_witness
from tests.unit.log.trees import Defined

KEYS: list[VerifierKey] = [W1.verifier(), W3.verifier()]


@contextmanager
def served(witness: Witness) -> Iterator[WitnessServer]:
    with open_server(witness, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def url_of(server: WitnessServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WitnessServer]:
    with served(new_witness(tmp_path)) as found:
        yield found


def ask(server: WitnessServer, old: int, new: int, tree: Defined = TREE) -> None:
    proof = tree.proof(old, new) if old else []
    ask_witness(url_of(server), signed(head(new, tree)), old, proof, timeout_seconds=5)


def test_a_log_asks_a_witness(server: WitnessServer) -> None:
    signatures = ask_witness(url_of(server), signed(head(5)), 0, [], timeout_seconds=5)
    found = verify_note(Note(head(5).to_text(), signatures), KEYS)
    assert [one.unix_seconds for one in found] == [AT, AT]


def test_it_says_who_must_act(server: WitnessServer, tmp_path: Path) -> None:
    ask(server, 0, 10)
    with pytest.raises(ConflictError, match="has seen a tree of 10") as caught:
        ask(server, 0, 20)
    assert caught.value.data["size"] == 10
    with pytest.raises(IntegrityError, match="another history"):
        ask(server, 10, 10, OTHER)
    with pytest.raises(IntegrityError, match="another history"):
        ask(server, 10, 20, OTHER)
    with pytest.raises(InputError, match="knows the log and its key"):
        ask_witness(url_of(server), signed(head(20), W3), 10, [], timeout_seconds=5)
    with pytest.raises(InputError, match="answers 404"):
        ask_witness(url_of(server) + "/elsewhere", signed(head(20)), 0, [], timeout_seconds=5)
    (state,) = (path for path in (tmp_path / "state").iterdir() if not path.suffix)
    state.write_bytes(b"broken")
    with pytest.raises(UnavailableError, match="answers 500"):
        ask(server, 10, 20)


def test_it_asks_again_from_the_size_that_the_witness_has_seen(server: WitnessServer) -> None:
    def prove(old: int) -> list[bytes]:
        asked.append(old)
        return TREE.proof(old, 40) if old else []

    asked: list[int] = []
    ask(server, 0, 10)
    found = obtain_cosignatures(url_of(server), KEYS, signed(head(40)), prove)
    assert {one.key for one in found} == set(KEYS)
    assert asked == [0, 10]
    with pytest.raises(ConflictError):
        obtain_cosignatures(url_of(server), KEYS, signed(head(30)), lambda _: [])
    with pytest.raises(IntegrityError, match="no signature is by a known key"):
        obtain_cosignatures(url_of(server), [LOG.verifier()], signed(head(40)), prove, old_size=40)


def test_a_witness_that_moves_on_is_asked_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def moving(_url: str, _note: bytes, old: int, _proof: object, **_: object) -> None:
        asked.append(old)
        raise ConflictError("has moved on", size=40 - 3 + len(asked))

    monkeypatch.setattr(client, "ask_witness", moving)
    with pytest.raises(ConflictError) as caught:
        obtain_cosignatures("http://x", KEYS, signed(head(40)), lambda _: [])
    assert asked == [0, 38, 39]
    assert caught.value.data["size"] == 40


def test_a_witness_that_has_seen_this_size_is_asked_from_there(server: WitnessServer) -> None:
    ask(server, 0, 40)
    assert obtain_cosignatures(url_of(server), KEYS, signed(head(40)), lambda _: [])


def test_connections_are_kept(server: WitnessServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    for old, new in ((0, 1), (1, 2), (0, 3)):
        connection.request("POST", "/add-checkpoint", body(old, new))
        port = connection.sock.getsockname()[1]
        answer = connection.getresponse()
        assert answer.status == (409 if old == 0 and new == 3 else 200)
        answer.read()
        assert connection.sock.getsockname()[1] == port
    connection.close()


def talk(server: WitnessServer, sent: bytes) -> bytes:
    """Send bytes, and return all that comes until the other side closes."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /add-checkpoint HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"PUT /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404),
        (b"POST /add-checkpoint?x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404),
        (b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n\r\n", 411),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 411),
        (b"POST /add-checkpoint HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 99999999999999999\r\n\r\n", 413),
        (
            b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
            % (MAX_SUBMISSION_BYTES + 1),
            413,
        ),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_other_requests(server: WitnessServer, sent: bytes, status: int) -> None:
    answer = talk(server, sent)
    assert b" %d " % status in answer.split(b"\r\n")[0]
    assert b"Python" not in answer
    assert (b"\r\nAllow: POST\r\n" in answer) == (status == 405)


def test_a_request_that_breaks_off_changes_nothing(server: WitnessServer, tmp_path: Path) -> None:
    sent = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % 10_000
    assert talk(server, sent + body(0, 5)) == b""
    assert list((tmp_path / "state").iterdir()) == []
    ask(server, 0, 5)


def test_silent_connections_end_and_do_not_lock_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room._Handler, "timeout", 0.2)
    monkeypatch.setattr(room, "MAX_CONNECTIONS", 4)
    with served(new_witness(tmp_path)) as server:
        silent = [
            socket.create_connection(("127.0.0.1", server.server_port), timeout=5)
            for _ in range(12)
        ]
        try:
            ask(server, 0, 5)
        finally:
            for sock in silent:
                sock.close()


def test_an_address_that_is_taken(server: WitnessServer, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be served"):
        open_server(new_witness(tmp_path), "127.0.0.1", server.server_port)


@contextmanager
def answering(parts: Iterable[bytes], *, drips: bool = False) -> Iterator[str]:
    """A server that gives one connection these bytes, whatever it asks, and the URL of it.

    One that drips pauses after each, and ends when it is left.
    """
    left = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            sock, _ = listening.accept()
            with sock:
                sock.settimeout(5)
                sock.recv(65536)
                try:
                    for part in parts:
                        sock.sendall(part)
                        if drips and left.wait(0.01):
                            return
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):  # closing over unread bytes would reset the answer
                        pass
                except OSError:
                    return

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            left.set()
        thread.join(5)


def reply(status: str, data: bytes, kind: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
    return f"{head}Location: http://127.0.0.1:1/add-checkpoint\r\n\r\n".encode() + data


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "does not answer"),
        (b"nonsense\r\n\r\n", "does not answer"),
        (reply("200 OK", b""), "outside of its protocol"),
        (reply("200 OK", b"\xff"), "outside of its protocol"),
        (reply("200 OK", b"not a signature\n"), "outside of its protocol"),
        (reply("200 OK", b"x" * 600_000), "outside of its protocol"),
        (reply("301 Moved", b""), "answers 301"),
        (reply("307 Temporary Redirect", b""), "answers 307"),
        (reply("429 Too Many", b"later"), "answers 429: 'later'"),
        (reply("503 Unavailable", b""), "answers 503"),
        (reply("409 Conflict", b"01\n", "text/x.tlog.size"), "outside of its protocol"),
        (reply("409 Conflict", b"", "text/x.tlog.size"), "outside of its protocol"),
    ],
)
def test_a_witness_that_answers_otherwise_is_unavailable(answer: bytes, why: str) -> None:
    with answering([answer]) as url, pytest.raises(UnavailableError, match=why):
        ask_witness(url, signed(head(5)), 0, [], timeout_seconds=5)


def test_a_witness_that_drips_is_left() -> None:
    """It never ends: whoever waited for a silence would read on until the line is too long."""
    with (
        answering(itertools.repeat(b"H" * 8), drips=True) as url,
        pytest.raises(UnavailableError, match=r"not within 0\.3 seconds|timed out"),
    ):
        ask_witness(url, signed(head(5)), 0, [], timeout_seconds=0.3)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(UnavailableError, match="does not answer"):
        ask_witness(f"http://127.0.0.1:{port}", signed(head(5)), 0, [], timeout_seconds=2)


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://x", "file:///x", "http://", "http://x:y", "http://a:b@x", "http://x?q", "//x"],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="write an http or https URL"):
        ask_witness(url, signed(head(5)), 0, [], timeout_seconds=1)


def test_a_note_that_is_none_is_not_sent() -> None:
    with pytest.raises(InputError):
        ask_witness("http://127.0.0.1:1", b"nothing", 0, [], timeout_seconds=1)
