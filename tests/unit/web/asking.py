"""A service over a workspace of invented members, and whoever asks it something."""

import hashlib
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from starlette.testclient import TestClient

from sayso.opening import init_workspace
from sayso.settings import WebSettings
from sayso.web.access import Caller, Role, Scope
from sayso.web.app import app_for
from sayso.web.clients import token
from sayso.web.desk import Desk, desk_over
from sayso.web.sessions import COOKIE, CSRF_HEADER
from tests.town import AT, member_row, write_jsonl

API = "/api/v1"
Headers = dict[str, str]


class Moment:
    """A clock that stands, but for a microsecond each time that it is read."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def move(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)


def open_test_desk(folder: Path, clock: Moment, url: str = "sqlite:///ledger.db") -> Desk:
    """Return a desk over a new workspace with four members."""
    workspace = init_workspace(folder, clock, template="linkedin-2024", url=url)
    members = [member_row(name, country) for name, country in
               (("maya", "US"), ("wing", "HK"), ("jonas", "DE"), ("bruno", "BR"))]  # fmt: skip
    workspace.ingest("members", write_jsonl(folder.parent / "members.jsonl", members))
    return desk_over(workspace, WebSettings())


@dataclass
class Service:
    """A running service."""

    desk: Desk
    clock: Moment
    client: TestClient

    def token(self, *scopes: Scope) -> Headers:
        """Return the headers of a client with these scopes."""
        now_us = self.desk.now_us()
        who, secret = self.desk.clients.add("a job", scopes, now_us)
        made, _ = self.desk.clients.give_token(who, secret, None, now_us)
        return {"authorization": f"Bearer {made}"}

    def renewed(self) -> Headers:
        """Return a new token of the same client."""
        now_us = self.desk.now_us()
        # Tokens last as long as a request may be under way: the same client asks anew.
        [client] = self.desk.clients.all()
        made = secrets.token_urlsafe(32)
        row = {
            "digest": hashlib.sha256(made.encode()).digest(),
            "client_id": client.client_id,
            "scopes": " ".join(client.scopes),
            "expires_us": now_us + 600_000_000,
        }
        with self.desk.workspace.ledger.writing() as con:
            con.execute(sa.insert(token).values(row))
        return {"authorization": f"Bearer {made}"}

    def person(
        self, *roles: Role, member: str = "", subject: str = "somebody",
        places: Collection[str] = (),
    ) -> Headers:  # fmt: skip
        """Return the headers of somebody who is signed in."""
        caller = Caller(subject, member, frozenset(roles), jurisdictions=frozenset(places))
        session = self.desk.sessions.begin(caller, self.desk.now_us())
        return {"cookie": f"{COOKIE}={session.secret}", CSRF_HEADER: session.csrf}

    def ask(self, method: str, path: str, headers: Headers | None = None, **more: Any) -> Any:
        """Return an answer of the API."""
        more_headers = more.pop("more", {})
        return self.client.request(
            method, API + path, headers={**(headers or {}), **more_headers}, **more
        )


def serving(desk: Desk, clock: Moment) -> Iterator[Service]:
    """Yield a service while it runs."""
    with TestClient(
        app_for(desk),
        base_url=desk.settings.address,
        follow_redirects=False,
        raise_server_exceptions=False,
    ) as client:
        yield Service(desk, clock, client)
