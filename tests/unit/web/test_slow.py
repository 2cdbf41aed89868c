"""Clients that send their requests slowly, over real connections."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from sayso.web import guards, serving
from sayso.web.serving import PatientProtocol
from tests.unit.web.house import House

SHORT = 0.3
# A hang-up that never comes fails here, and not by the patience of whoever runs the tests.
LONG = 30.0


@contextmanager
def listening(house: House) -> Iterator[int]:
    """Run the house's application in a thread; give its port."""
    config = uvicorn.Config(
        house.app, host="127.0.0.1", port=0, http=PatientProtocol, lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + LONG
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def port(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(serving, "HEAD_SECONDS", SHORT)
    monkeypatch.setattr(guards, "BODY_SECONDS", SHORT)
    with listening(house) as found:
        yield found


def answer_to(port: int, *pieces: bytes) -> bytes:
    """Send pieces, wait, and return what came until the other side hung up."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        while True:
            try:
                more = connection.recv(65536)
            except ConnectionResetError:
                return received
            if not more:
                return received
            received += more


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: privacy.example\r\nX-Slow: "])
def test_who_never_ends_a_head_is_hung_up_on(port: int, head: bytes) -> None:
    assert answer_to(port, head) == b""


def test_who_never_ends_a_body_is_answered_and_hung_up_on(port: int) -> None:
    head = (
        b"POST /oauth2/token HTTP/1.1\r\nHost: privacy.example\r\nContent-Length: 100\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_"
    )

    answer = answer_to(port, head)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body-too-slow" in answer
    assert b'"detail": "send all of it within ' in answer


def test_who_is_quick_is_answered_also_after_a_while(port: int) -> None:
    ask = b"GET /livez HTTP/1.1\r\nHost: privacy.example\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        for last in (b"", b"Connection: close\r\n"):
            connection.sendall(ask + last + b"\r\n")
            received = b""
            while b"ok\n" not in received:
                more = connection.recv(65536)
                assert more, received
                received += more


def test_a_second_request_on_a_connection_is_as_patient_as_the_first(port: int) -> None:
    ask = b"GET /livez HTTP/1.1\r\nHost: privacy.example\r\n\r\n"

    received = answer_to(port, ask, b"GET /livez HTTP/1.1\r\nHo")

    assert received.count(b"ok\n") == 1
