"""Workers that are killed amid a request: what they leave, and how soon it is nobody's."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso.ledger.spool import spooling
from sayso.opening import open_workspace
from sayso.receipting import choices_of
from sayso.web.desk import system_clock
from tests.conftest import DATABASES
from tests.e2e.cli import sayso
from tests.e2e.services import (
    Service,
    kill_workers,
    make_workspace,
    own_database,
    running_service,
    wait_until_answered,
)

KEY = "a-key-that-nobody-guesses"
# Far less than any time that a note in the database could be given.
SECONDS = 30


@pytest.fixture(scope="module", params=DATABASES)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with two workers, on both databases."""
    folder = tmp_path_factory.mktemp("killed")
    with own_database(request, str(request.param)) as url:
        ws, content = make_workspace(folder, url=url)
        with running_service(ws, content, workers=2, with_provider=False) as running:
            yield running


@pytest.fixture(scope="module")
def credentials(service: Service) -> tuple[str, str]:
    scopes = ("choices:write", "members:write")
    made = sayso(
        "client", "add", "a job", *(part for one in scopes for part in ("--scope", one)),
        "--workspace", service.folder, "--json",
    )  # fmt: skip
    return made.value["client_id"], made.value["client_secret"]


@contextmanager
def writers_wait(service: Service) -> Iterator[None]:
    """Hold the lock of the ledger's writers, so that whoever appends is amid it."""
    workspace = open_workspace(service.folder, system_clock)
    try:
        with workspace.ledger.writing():
            yield
    finally:
        workspace.close()


class Job:
    """A service client."""

    def __init__(self, service: Service, credentials: tuple[str, str]) -> None:
        self.service = service
        answer = httpx.post(
            f"{service.address}/oauth2/token", data={"grant_type": "client_credentials"},
            auth=credentials, timeout=60,
        )  # fmt: skip
        self.token = answer.json()["access_token"]

    def choose(self, key: str, timeout: float = 60) -> httpx.Response:
        """Say `on` for a member, over a connection of its own."""
        headers = {"authorization": f"Bearer {self.token}", "idempotency-key": key}
        return httpx.post(
            f"{self.service.address}/api/v1/members/maya/choices", json={"choice": "on"},
            headers=headers, timeout=timeout,
        )  # fmt: skip


def said(service: Service) -> list[int]:
    workspace = open_workspace(service.folder, system_clock)
    try:
        return [one.index for one in choices_of(workspace.ledger, "maya", workspace.ledger.size())]
    finally:
        workspace.close()


def test_a_key_is_free_again_as_soon_as_its_worker_is_gone(
    service: Service, credentials: tuple[str, str]
) -> None:
    job, before, got = Job(service, credentials), said(service), list[int]()

    def first() -> None:
        with suppress(httpx.HTTPError):
            got.append(job.choose(KEY).status_code)

    with writers_wait(service):
        asking = threading.Thread(target=first)
        asking.start()
        refused = _until(lambda: job.choose(KEY, timeout=2), 409)
        kill_workers(service)
    wait_until_answered(service)
    asking.join(SECONDS)
    begun = time.monotonic()
    done = _until(lambda: job.choose(KEY), 201)
    again = job.choose(KEY)

    assert set(got) <= {409}, "a worker answered though it was killed amid it"
    assert int(refused.headers["retry-after"]) > 0
    assert time.monotonic() - begun < SECONDS
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == done.json()
    assert [one for one in said(service) if one not in before] == [done.json()["index"]]


def test_nothing_of_a_body_is_left_once_its_worker_is_gone(
    service: Service, credentials: tuple[str, str]
) -> None:
    """Neither where others put what is temporary; the workers that come next sweep it."""
    job, secret, ended = Job(service, credentials), b"zq-left-behind", threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b'{"member_id": "' + secret + b'"}\n' + b" " * 100_000
        ended.wait(SECONDS)

    def send() -> None:
        headers = {
            "authorization": f"Bearer {job.token}", "content-type": "application/x-ndjson"
        }  # fmt: skip
        with suppress(httpx.HTTPError):
            httpx.put(
                f"{service.address}/api/v1/members", content=pieces(), headers=headers, timeout=60
            )

    sending = threading.Thread(target=send)
    sending.start()
    try:
        until = time.monotonic() + SECONDS
        while not holding(service.folder, secret) and time.monotonic() < until:
            time.sleep(0.02)
        amid = holding(service.folder, secret)
        kill_workers(service)
        wait_until_answered(service)
    finally:
        ended.set()
        sending.join(SECONDS)

    assert [path.parent.parent.name for path in amid] == ["spool"]
    assert holding(service.folder, secret) == []
    assert list((service.folder / "spool").iterdir()) == []
    assert list(Path(tempfile.gettempdir()).glob("sayso-body-*")) == []


def test_an_erasure_sweeps_what_the_dead_left_and_waits_for_the_living(service: Service) -> None:
    left = service.folder / "spool" / "00"
    left.mkdir(parents=True)
    (left / "body.csv").write_text("zq-left-behind")

    with spooling(service.folder) as place:
        (place / "body.csv").write_text("zq-at-it")
        amid = sayso("erase", "wing", "--workspace", service.folder, "--json")
        stands = (place / "body.csv").read_text()
    after = sayso("erase", "--reapply", "--workspace", service.folder, "--json")

    assert amid.code == 0, amid.err
    assert stands == "zq-at-it"
    assert not left.exists()
    assert "spool/" in amid.value["waiting"]
    assert after.value["waiting"] == []


def holding(folder: Path, secret: bytes) -> list[Path]:
    """Return the files below a folder in which something stands."""
    found = []
    for path in folder.rglob("*"):
        with suppress(OSError):  # it went meanwhile
            if path.is_file() and secret in path.read_bytes():
                found.append(path)
    return found


def _until(ask: Any, status: int) -> httpx.Response:
    """Ask until an answer has this status."""
    until, answer = time.monotonic() + SECONDS, None
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):
            answer = ask()
            if answer.status_code == status:
                return answer  # type: ignore[no-any-return]
        time.sleep(0.05)
    raise AssertionError(answer and (answer.status_code, answer.text))
