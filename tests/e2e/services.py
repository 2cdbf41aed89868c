"""Running the service as its users do: real processes, a real provider, browsers over HTTP."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import pytest
import sqlalchemy as sa

from sayso.web.development import provider
from tests.e2e.cli import sayso, start
from tests.town import (
    MEMBER_COLUMNS,
    NOTICE_COLUMNS,
    member_row,
    record_row,
    write_content,
    write_csv,
)

PURPOSE = "content-generation-training"
MEMBERS = {"wing": "HK", "jonas": "DE", "maya": "US"}
READY_SECONDS = 60


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Visitor:
    """A browser: keeps cookies as one does, also those for encrypted transport alone.

    Attributes:
        cookies: What it keeps, by name.
    """

    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **form: str) -> httpx.Response:
        """Ask for one page, over a connection of its own, and follow nothing."""
        headers = {"cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        answer = httpx.request(
            method, self.address + path, headers=headers, data=form or None, timeout=60
        )
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0].strip('"')
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def page(self, path: str) -> str:
        """Return the text of a page that must be there."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        return answer.text

    def token(self, path: str = "/settings/ai-training") -> str:
        """Return the token of the forms of this session."""
        found = re.search('name="csrf_token" value="([0-9a-f]+)"', self.page(path))
        assert found
        return found[1]

    def choose(self, choice: str) -> str:
        """Choose, and return the address of the receipt."""
        answer = self.ask("POST", "/settings/ai-training", choice=choice, csrf_token=self.token())
        assert answer.status_code == 303, answer.text[:500]
        return str(answer.headers["location"])

    def sign_in(self, subject: str, to: str = "/settings/ai-training") -> httpx.Response:
        """Go through the provider, and return what comes of it."""
        begun = self.ask("GET", f"/sign-in?to={to}")
        assert begun.status_code == 302, begun.text[:500]
        asked = begun.headers["location"]
        assert parse_qs(urlsplit(asked).query)["code_challenge_method"] == ["S256"]
        agreed = httpx.post(asked, data={"sub": subject}, timeout=60)
        assert agreed.status_code == 302, agreed.text[:500]
        back = urlsplit(agreed.headers["location"])
        return self.ask("GET", f"{back.path}?{back.query}")


@dataclass
class Service:
    """A service that runs.

    Attributes:
        folder: The workspace.
        content: What its members wrote.
        log: What its processes said on stderr so far.
        process: The id of the one that the others belong to.
    """

    folder: Path
    content: Path
    address: str
    log: Path
    process: int

    def visitor(self) -> Visitor:
        """Return a browser without cookies."""
        return Visitor(self.address)

    def member(self, who: str) -> Visitor:
        """Return the browser of a member who went through the provider."""
        made = self.visitor()
        answer = made.sign_in(who.capitalize())
        assert answer.status_code == 303, answer.text[:500]
        return made


def make_workspace(folder: Path, *, url: str | None = None) -> tuple[Path, Path]:
    """Make a platform of three members; return its workspace and what they wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    ws = folder / "ws"
    more = ("--database", url) if url else ()
    done = sayso("init", ws, "--template", "linkedin-2024", *more)
    assert done.code == 0, done.err
    write_csv(
        folder / "members.csv", [member_row(who, where) for who, where in MEMBERS.items()],
        MEMBER_COLUMNS,
    )  # fmt: skip
    notices = [
        dict.fromkeys(NOTICE_COLUMNS)
        | {"member_id": who, "purpose": PURPOSE, "served_at": "2025-09-15T09:00:00Z"}
        for who in MEMBERS
    ]
    write_csv(folder / "notices.csv", notices, NOTICE_COLUMNS)
    for kind in ("members", "notices"):
        done = sayso("ingest", kind, folder / f"{kind}.csv", "--workspace", ws)
        assert done.code == 0, done.err
    rows = [record_row(f"{who}-{n}", who) for who in MEMBERS for n in range(3)]
    return ws, write_content(folder / "content.parquet", rows)


@contextmanager
def running_service(
    ws: Path, content: Path, *, workers: int = 1, with_provider: bool = True
) -> Iterator[Service]:
    """Run a service until the block ends."""
    port, provider_port = free_port(), free_port()
    address, issuer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{provider_port}"
    (ws / "keys" / "client.secret").write_text("any\n")
    told = {
        "address": address, "issuer": issuer, "client_secret_file": "keys/client.secret",
        "content": str(content),
    }  # fmt: skip
    config = ws / "sayso.toml"
    text = config.read_text()
    for name, value in told.items():
        line = f"{name} = {json.dumps(value)}"
        text = re.sub(rf"(?m)^{name} = .*$", lambda _, made=line: made, text, count=1)  # type: ignore[misc]
    config.write_text(text)
    log = ws.parent / f"service-{port}.log"
    with ExitStack() as stack:
        if with_provider:
            stack.enter_context(provider(provider_port))
        process = stack.enter_context(_started(ws, port, workers, log))
        _wait_until_ready(address, process, log)
        yield Service(ws, content, address, log, process.pid)


@contextmanager
def _started(ws: Path, port: int, workers: int, log: Path) -> "Iterator[subprocess.Popen[str]]":
    with log.open("w") as said:
        process = start(
            "serve", "--workspace", ws, "--port", str(port), "--workers", str(workers), stderr=said
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout
            process.stdout.close()


def _wait_until_ready(address: str, process: "subprocess.Popen[str]", log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@contextmanager
def own_database(request: pytest.FixtureRequest, name: str) -> Iterator[str | None]:
    """Make a database of PostgreSQL's until the block ends; yield its URL, None for SQLite."""
    if name == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgres_server")
    made = f"sayso_service_{secrets.token_hex(4)}"
    admin = sa.create_engine(
        f"{server}/postgres".replace("postgresql://", "postgresql+psycopg://"),
        isolation_level="AUTOCOMMIT",
    )
    with admin.connect() as con:
        con.execute(sa.text(f"CREATE DATABASE {made}"))
    try:
        yield f"{server}/{made}"
    finally:
        with admin.connect() as con:
            con.execute(sa.text(f"DROP DATABASE {made} WITH (FORCE)"))
        admin.dispose()


def workers_of(service: Service) -> list[psutil.Process]:
    """Return the processes that answer."""
    found = []
    for one in psutil.Process(service.process).children():
        with suppress(psutil.Error):  # it ended and is not cleared away yet
            if any("spawn_main" in part for part in one.cmdline()):
                found.append(one)
    return found


def kill_workers(service: Service) -> None:
    """Kill every process that answers; others come in their place."""
    killed = workers_of(service)
    assert killed
    for one in killed:
        os.kill(one.pid, signal.SIGKILL)
    psutil.wait_procs(killed, timeout=READY_SECONDS)


def wait_until_answered(service: Service) -> None:
    """Wait until somebody answers."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{service.address}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(service.log.read_text())
