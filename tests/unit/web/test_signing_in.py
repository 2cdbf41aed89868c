"""Signing in where the provider is down or wrong: it does not answer, and that is said."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.web.house import House, made_house
from tests.unit.web.public_site import text_of

NOTHING = "http://127.0.0.1:1"  # nobody listens there
METADATA = "/.well-known/openid-configuration"


class Answers:
    """What a provider says, by path: a status and a body."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[int, bytes]] = {}
        self.issuer = ""

    def is_whole(self) -> None:
        """Say where everything is, and answer nothing there."""
        told = {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/jwks",
        }  # fmt: skip
        self.told = {METADATA: (200, json.dumps(told).encode())}


@contextmanager
def provider() -> Iterator[Answers]:
    """Run a provider that says what it is told to."""
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.told.get(self.path, (404, b"nothing"))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    answers.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def need_unavailable(house: House) -> None:
    """Need the page that says that the provider does not answer."""
    answer = house.visitor().get("/sign-in")
    assert answer.status_code == 503, answer.text[:300]
    assert "This does not answer at the moment" in text_of(answer.text)


def test_a_provider_that_is_down_does_not_answer(tmp_path: Path) -> None:
    with made_house(tmp_path, issuer=NOTHING) as house:
        need_unavailable(house)


def test_a_provider_without_encryption_where_https_is_asked_for(tmp_path: Path) -> None:
    with provider() as answers:
        issuer = answers.issuer.replace("http:", "https:")
        with made_house(tmp_path, issuer=issuer) as house:
            need_unavailable(house)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"{}"), (500, b""), (200, b"<html>"), (200, b"[]"), (200, b"null"), (200, b"\xff"),
        (200, b"{}"), (200, b'{"authorization_endpoint": 7}'),
    ],
)  # fmt: skip
def test_what_is_no_metadata_is_none_and_asked_for_again(
    tmp_path: Path, status: int, body: bytes
) -> None:
    with provider() as answers, made_house(tmp_path, issuer=answers.issuer) as house:
        answers.told = {METADATA: (status, body)}
        need_unavailable(house)

        answers.is_whole()
        assert house.visitor().get("/sign-in").status_code == 302


def come_back(house: House, *, dead: bool = False) -> tuple[int, str]:
    """Begin a sign-in and come back with a code; return status and text of the answer."""
    browser = house.visitor()
    begun = browser.get("/sign-in")
    assert begun.status_code == 302
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    if dead:
        house.app.state.oauth.create_client("provider").server_metadata["token_endpoint"] = (
            f"{NOTHING}/token"
        )
    answer = browser.get(f"/signed-in?code=any&state={state}")
    return answer.status_code, text_of(answer.text)


def test_a_provider_that_dies_meanwhile_does_not_answer(tmp_path: Path) -> None:
    with provider() as answers, made_house(tmp_path, issuer=answers.issuer) as house:
        answers.is_whole()
        status, text = come_back(house, dead=True)

        assert status == 503
        assert "This does not answer at the moment" in text


@pytest.mark.parametrize(
    "token", [b"<html>", b"[]", b"{}", b'{"access_token": "a", "id_token": "a.b.c"}']
)
def test_a_token_that_is_none_signs_nobody_in(tmp_path: Path, token: bytes) -> None:
    with provider() as answers, made_house(tmp_path, issuer=answers.issuer) as house:
        answers.is_whole()
        answers.told |= {"/token": (200, token), "/jwks": (200, b'{"keys": []}')}
        status, _ = come_back(house)

        assert status == 403
