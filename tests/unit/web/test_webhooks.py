import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from typing import Any, cast

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from sayso.errors import InputError, RefusedError, UnavailableError
from sayso.facts import instant_of
from sayso.model import Choice, Position
from sayso.rulebook.schema import read_bound
from sayso.web import outward
from sayso.web.access import Scope
from sayso.web.outward import Answer, check_url, is_public, resolve, send
from sayso.web.turns import Turns
from sayso.web.webhooks import WAITS, Deliverer, Event, Hooks, found_in, hook
from tests.town import choice_row, write_jsonl
from tests.unit.web.asking import Service

NONE: frozenset[str] = frozenset()
URL = "https://receiver.example/hook"


class Receiver:
    """Takes what is sent, or answers as it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.sent: list[tuple[bytes, dict[str, str]]] = []
        self.status = 200
        self.retry_after: int | None = None

    def __call__(self, _url: str, body: bytes, headers: dict[str, str], _hosts: object) -> Answer:
        if self.status == 0:
            raise UnavailableError("nobody answered")
        self.sent.append((body, headers))
        if self.status == 200:
            self.got.append((headers["webhook-id"], json.loads(body)))
        return Answer(self.status, self.retry_after)

    @property
    def types(self) -> list[str]:
        return [told["type"] for _, told in self.got]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def registered(service: Service, *events: Event) -> str:
    hooks = Hooks(service.desk.workspace.ledger, NONE)
    _, secret = hooks.add("job", URL, frozenset(events or Event), service.desk.now_us())
    return secret


def deliver(service: Service, receiver: Receiver, times: int = 12) -> None:
    deliverer = Deliverer(service.desk.workspace.ledger, NONE, service.desk.turns, receiver)
    for _ in range(times):
        deliverer.deliver(service.desk.now_us)
        service.clock.move(seconds=61)  # what was not taken is due again


def happen(service: Service) -> None:
    """Let one of each thing happen, through the workspace, as the command line does."""
    workspace = service.desk.workspace
    name, _ = workspace.place_hold("US", begins=read_bound("2026-01-01"), placed_by="x")
    path = write_jsonl(workspace.path.parent / "c.jsonl", [choice_row("maya"), choice_row("wing")])
    workspace.ingest("choices", path)
    workspace.lift_hold(
        name, lifted=read_bound("2026-01-02"), source=None, position=Position.APPROVED
    )
    workspace.ledger.append_public("release", {"release": "a", "run": "b", "purpose": "c"}, 5)


ALL = ["hold.placed", "choices.ingested", "hold.lifted", "release.made"]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own thread delivers nothing here: the tests do."""
    monkeypatch.setattr("sayso.web.desk.TELL_SECONDS", 3600.0)


def test_what_happens_is_told_in_order_and_verifies(service: Service, receiver: Receiver) -> None:
    secret = registered(service)
    happen(service)
    # The receiver's library compares with the real time.
    deliver(service, receiver)

    assert receiver.types == ALL
    assert [told["data"]["entry"] for _, told in receiver.got] == sorted(
        told["data"]["entry"] for _, told in receiver.got
    )
    for body, headers in receiver.sent:
        at = instant_of(int(headers["webhook-timestamp"]) * 1_000_000)
        signed = Webhook(secret).sign(headers["webhook-id"], at, body.decode())
        assert headers["webhook-signature"] == signed
        assert b"maya" not in body
        assert b"wing" not in body


def test_what_was_before_is_not_told(service: Service, receiver: Receiver) -> None:
    happen(service)
    registered(service)

    deliver(service, receiver, 2)

    assert receiver.got == []


def test_only_what_was_asked_for_is_told(service: Service, receiver: Receiver) -> None:
    registered(service, Event.HOLD_LIFTED)
    happen(service)

    deliver(service, receiver, 3)

    assert receiver.types == ["hold.lifted"]


def test_what_was_not_taken_comes_again_under_its_id_and_the_rest_waits(
    service: Service, receiver: Receiver
) -> None:
    registered(service)
    happen(service)
    receiver.status = 500
    deliver(service, receiver, 3)
    ids = {headers["webhook-id"] for _, headers in receiver.sent}

    receiver.status = 200
    service.clock.move(hours=1)
    deliver(service, receiver)

    assert len(ids) == 1
    assert receiver.got[0][0] in ids
    assert receiver.types == ALL


def test_tries_grow_rarer_and_end_after_days(service: Service, receiver: Receiver) -> None:
    registered(service, Event.HOLD_PLACED)
    happen(service)
    receiver.status = 0
    begun = service.clock.now
    deliverer = Deliverer(service.desk.workspace.ledger, NONE, service.desk.turns, receiver)
    hooks = Hooks(service.desk.workspace.ledger, NONE)
    for _ in range(len(WAITS) + 1):
        deliverer.deliver(service.desk.now_us)
        service.clock.move(hours=30)

    [hook] = hooks.all()
    assert hook.disabled is not None
    assert 2.5 < sum(wait.total_seconds() for wait in WAITS) / 86400 < 4
    assert service.clock.now > begun


def test_gone_disables_at_once(service: Service, receiver: Receiver) -> None:
    registered(service)
    happen(service)
    receiver.status = 410

    deliver(service, receiver, 3)

    assert len(receiver.sent) == 1
    assert Hooks(service.desk.workspace.ledger, NONE).all()[0].disabled is not None


def test_an_address_is_told_by_one_at_a_time_however_slow_others_are(either: Service) -> None:
    """Whoever is amid it for hours keeps its turn; the addresses after it are told by others."""
    hooks = Hooks(either.desk.workspace.ledger, NONE)
    for name in ("slow", "quick"):
        hooks.add("job", f"https://{name}.example/", frozenset({Event.HOLD_PLACED}), 0)
        either.clock.move(seconds=1)
    either.desk.workspace.place_hold("US", begins=read_bound("2026-01-01"), placed_by="x")
    ledger, turns = either.desk.workspace.ledger, Turns(either.desk.workspace.ledger)
    told: list[tuple[str, str]] = []
    meanwhile: list[int] = []

    def by_other(url: str, *_rest: object) -> Answer:
        told.append(("other", url))
        return Answer(200, None)

    other = Deliverer(ledger, NONE, turns, by_other)

    def by_one(url: str, *_rest: object) -> Answer:
        told.append(("one", url))
        either.clock.move(hours=2)
        meanwhile.append(other.deliver(either.desk.now_us))
        return Answer(200, None)

    one = Deliverer(ledger, NONE, either.desk.turns, by_one)
    first = one.deliver(either.desk.now_us)

    assert (first, meanwhile) == (1, [1])
    assert told == [("one", "https://slow.example/"), ("other", "https://quick.example/")]
    assert other.deliver(either.desk.now_us) == 0
    turns.close()


def test_each_address_is_told_the_time_at_which_it_is_told(service: Service) -> None:
    hooks = Hooks(service.desk.workspace.ledger, NONE)
    for number in range(3):
        url = f"https://{number}.example/"
        hooks.add("job", url, frozenset({Event.HOLD_PLACED}), service.desk.now_us())
    service.desk.workspace.place_hold("US", begins=read_bound("2026-01-01"), placed_by="x")
    times: list[int] = []

    def slow(_url: str, _body: bytes, headers: dict[str, str], _hosts: object) -> Answer:
        times.append(int(headers["webhook-timestamp"]))
        service.clock.move(minutes=10)
        return Answer(200, None)

    told = Deliverer(service.desk.workspace.ledger, NONE, service.desk.turns, slow)

    assert told.deliver(service.desk.now_us) == 3
    assert [after - before for before, after in pairwise(times)] == [600, 600]


def test_what_is_wrong_with_one_ends_no_round(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = Hooks(service.desk.workspace.ledger, NONE)
    for number in range(3):
        hooks.add("job", f"https://{number}.example/", frozenset({Event.HOLD_PLACED}), 0)
    first = sa.select(hook.c.webhook_id).order_by(hook.c.webhook_id).limit(1).scalar_subquery()
    with service.desk.workspace.ledger.writing() as con:
        con.execute(sa.update(hook).where(hook.c.webhook_id == first).values(secret=b"gone"))
    service.desk.workspace.place_hold("US", begins=read_bound("2026-01-01"), placed_by="x")
    told: list[str] = []

    def take(url: str, *_rest: object) -> Answer:
        told.append(url)
        if len(told) == 1:
            raise ValueError("a fault of ours, with maya in it")
        return Answer(200, None)

    deliverer = Deliverer(service.desk.workspace.ledger, NONE, service.desk.turns, take)

    assert deliverer.deliver(service.desk.now_us) == 1
    assert deliverer.deliver(service.desk.now_us) == 0
    assert len(told) == len(set(told)) == 2
    service.clock.move(minutes=2)
    assert deliverer.deliver(service.desk.now_us) == 1
    assert len(told) == 3
    assert all(one.disabled is None for one in hooks.all())
    assert {one.getMessage() for one in caplog.records} == {
        "a webhook waits: InvalidToken", "a webhook waits: ValueError"
    }  # fmt: skip


def test_what_was_tried_meanwhile_is_not_tried_again_at_once(service: Service) -> None:
    registered(service)
    happen(service)
    tries = 0

    def refusing(*_given: object) -> Answer:
        nonlocal tries
        tries += 1
        return Answer(500, None)

    desk = service.desk
    deliverer = Deliverer(desk.workspace.ledger, NONE, desk.turns, refusing)

    class Late:
        """Lets another be first between the look at what is due and the turn."""

        def take(self, name: str) -> AbstractContextManager[bool]:
            deliverer.deliver(desk.now_us)
            return desk.turns.take(name)

    late = Deliverer(desk.workspace.ledger, NONE, cast("Turns", Late()), refusing)

    assert late.deliver(desk.now_us) == 0
    assert tries == 1


def test_a_single_choice_is_nobodys_news(service: Service, receiver: Receiver) -> None:
    registered(service)
    service.desk.workspace.choose("maya", Choice.OFF)

    deliver(service, receiver, 2)

    assert receiver.got == []
    assert list(found_in(service.desk.workspace.ledger, 1, 99)) == []


def test_a_secret_is_shown_once_and_kept_sealed(service: Service) -> None:
    job, other = service.token(Scope.WEBHOOKS_WRITE), service.token(Scope.WEBHOOKS_WRITE)
    made = service.ask("POST", "/webhooks", job, json={"url": URL, "events": ["hold.placed"]})
    secret, name = made.json()["secret"], made.json()["webhook_id"]

    assert secret.startswith("whsec_")
    assert secret not in service.ask("GET", "/webhooks", job).text
    database = service.desk.workspace.path / "ledger.db"
    assert secret.removeprefix("whsec_").encode() not in database.read_bytes()
    assert service.ask("GET", "/webhooks", other).json()["webhooks"] == []
    assert service.ask("DELETE", f"/webhooks/{name}", other).status_code == 404
    assert service.ask("DELETE", f"/webhooks/{name}", job).status_code == 204
    assert service.ask("GET", "/webhooks", job).json()["webhooks"] == []


# ---- addresses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/", "https://127.0.0.1/", "https://[::1]/", "https://10.1.2.3/",
        "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/",
        "https://[2002:7f00:1::]/", "https://0.0.0.0/", "https://100.64.0.1/", "https://[fd00::1]/",
        "https://localhost/", "https://x.internal/", "https://user@receiver.example/", "ftp://x/",
        "https://receiver.example/#x", "https://receiver.example:0/", "https://receiver.example:x/",
        "https:///x", "https://a b/", "https://receiver.example\\@10.0.0.1/", "https://[::1", "",
        "https://224.0.0.1/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_for_others_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        check_url(url, NONE)


def test_such_an_address_is_not_registered(service: Service) -> None:
    job = service.token(Scope.WEBHOOKS_WRITE)
    given = {"url": "https://169.254.169.254/latest", "events": ["hold.placed"]}

    assert service.ask("POST", "/webhooks", job, json=given).status_code == 400
    assert service.ask("GET", "/webhooks", job).json()["webhooks"] == []


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_name_that_leads_inside_is_refused_when_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where only one of its addresses does, and though it did not when it was registered."""

    def two(*_args: object, **_more: object) -> list[Any]:
        return [(0, 0, 0, "", (one, 443)) for one in ("93.184.216.34", "10.0.0.7")]

    monkeypatch.setattr(socket, "getaddrinfo", two)

    with pytest.raises(RefusedError):
        resolve("receiver.example", 443, NONE)
    with pytest.raises(RefusedError):
        send(URL, b"{}", {}, NONE)


def test_a_name_that_is_long_in_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    may_answer = threading.Event()

    def slow(*_args: object, **_more: object) -> list[Any]:
        may_answer.wait(30)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setattr(outward, "TIMEOUT_SECONDS", 0.1)

    try:
        with pytest.raises(UnavailableError, match="the name has no address"):
            send(URL, b"{}", {}, NONE)
        assert not may_answer.is_set()
    finally:
        may_answer.set()


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A receiver on this machine, which sends whoever asks `/away` elsewhere."""
    got: list[tuple[str, bytes]] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, body))
            self.send_response(302 if self.path == "/away" else 204)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", got
        running.shutdown()
        thread.join()


@pytest.fixture
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    """A receiver that sends a byte each few moments, and never comes to an end."""
    done = threading.Event()

    def drip(listening: socket.socket) -> None:
        taken, _ = listening.accept()
        with taken:
            try:
                taken.sendall(request.param)
                while not done.wait(0.05):
                    taken.sendall(b"x")
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}/hook"
        done.set()
        thread.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "dripping",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nx: ",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n",
        b"\x16\x03\x03\x40\x00",  # of TLS: a message that is long in coming
    ],
    indirect=True,
)
def test_an_answer_that_drips_is_cut(
    dripping: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is for the whole of it: others wait for their turn."""
    monkeypatch.setattr(outward, "TIMEOUT_SECONDS", 0.4)
    begun = time.monotonic()

    with pytest.raises(UnavailableError):
        send(f"{scheme}://{dripping}", b"{}", {}, frozenset({"127.0.0.1"}))

    assert time.monotonic() - begun < 3


def test_nothing_more_is_told_when_the_desk_closes(service: Service, receiver: Receiver) -> None:
    registered(service)
    service.desk.workspace.place_hold("US", begins=read_bound("2026-01-01"), placed_by="x")
    deliverer = Deliverer(service.desk.workspace.ledger, NONE, service.desk.turns, receiver)
    deliverer.ended.set()

    assert deliverer.deliver(service.desk.now_us) == 0
    assert receiver.got == []


def test_a_host_that_was_named_is_asked_and_no_redirect_is_followed(
    server: tuple[str, list[tuple[str, bytes]]],
) -> None:
    address, got = server
    hosts = frozenset({"127.0.0.1"})

    assert send(f"{address}/hook?a=b", b"{}", {}, hosts).status == 204
    assert send(f"{address}/away", b"{}", {}, hosts).status == 302
    with pytest.raises(InputError):
        send(f"{address}/hook", b"{}", {}, NONE)
    assert got == [("/hook?a=b", b"{}"), ("/away", b"{}")]
