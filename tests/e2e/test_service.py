"""The service as its users meet it: signing in, switching off, and what a switch does.

Read your own writes, across workers; the next build; a job that runs under a hold.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sayso.opening import open_workspace
from sayso.snapshot import load_records
from sayso.web.desk import system_clock
from tests.conftest import DATABASES
from tests.e2e.cli import environment, sayso
from tests.e2e.services import (
    PURPOSE,
    Service,
    make_workspace,
    own_database,
    running_service,
)

SETTING = "/settings/ai-training"
# Each choice is looked for over a new connection, which either worker may get.
TIMES = 8
JOB_SECONDS = 60


@pytest.fixture(scope="module", params=DATABASES)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with two workers, on both databases."""
    folder = tmp_path_factory.mktemp("service")
    with own_database(request, str(request.param)) as url:
        ws, content = make_workspace(folder, url=url)
        with running_service(ws, content, workers=2) as running:
            yield running


def test_a_new_user_signs_in_switches_off_and_verifies_the_receipt(
    service: Service, tmp_path: Path
) -> None:
    browser = service.visitor()
    browser.cookies["__Host-sayso"] = "planted"

    answer = browser.sign_in("Wing")

    assert (answer.status_code, answer.headers["location"]) == (303, SETTING)
    assert browser.cookies["__Host-sayso"] != "planted", "a session begins with a secret of its own"
    assert "Your setting now" in browser.page(SETTING)
    place = browser.choose("off")
    assert "You chose off." in browser.page(place)
    receipt = f"{place.partition('?')[0]}.json"
    until = time.monotonic() + 30
    while b'"proof"' not in browser.ask("GET", receipt).content and time.monotonic() < until:
        time.sleep(0.1)
    file = tmp_path / "receipt.json"
    file.write_bytes(browser.ask("GET", receipt).content)
    key = tmp_path / "attest.pem"
    with_keys = open_workspace(service.folder, system_clock)
    key.write_bytes(with_keys.trust.key.public.to_pem())
    with_keys.close()
    done = sayso("verify", file, "--key", key, "--policy", service.folder / "log" / "policy")
    assert done.code == 0, done.err + done.out


def test_a_sign_in_is_used_once_and_only_where_it_was_begun(service: Service) -> None:
    browser = service.visitor()
    begun = browser.ask("GET", "/sign-in")
    agreed = httpx.post(begun.headers["location"], data={"sub": "Maya"}, timeout=60)
    back = agreed.headers["location"].removeprefix(service.address)

    assert service.visitor().ask("GET", back).status_code == 403, "begun at another browser"
    copy = dict(browser.cookies)
    assert browser.ask("GET", back).status_code == 303
    browser.cookies = copy
    assert browser.ask("GET", back).status_code == 403, "used before"


def test_whoever_is_neither_member_nor_staff_is_not_let_in(service: Service) -> None:
    answer = service.visitor().sign_in("somebody@elsewhere.example")

    assert answer.status_code == 403
    assert "neither a member" in answer.text


def test_every_worker_sees_a_choice_once_it_is_acknowledged(service: Service) -> None:
    browser = service.member("jonas")
    for number in range(TIMES):
        choice = "on" if number % 2 else "off"
        browser.choose(choice)
        for _ in range(3):
            assert f"Your setting now: {choice.capitalize()}" in browser.page(SETTING), number
    workspace = open_workspace(service.folder, system_clock)
    assert str(workspace.decide("jonas").choice) == "on"
    workspace.close()


def test_the_next_build_leaves_out_whoever_switched_off(service: Service, tmp_path: Path) -> None:
    browser = service.member("maya")
    browser.choose("on")

    def built(name: str) -> set[str]:
        out = tmp_path / name
        done = sayso(
            "build", "--content", service.content, "--out", out, "--workspace", service.folder
        )
        assert done.code == 0, done.err
        return set(load_records(out)["member_id"].to_pylist())

    assert "maya" in built("before")
    browser.choose("off")
    assert "maya" not in built("after")
    browser.choose("on")


JOB = """
import sys, time
from pathlib import Path
from sayso.training.permit import Permit, StoppedError
from sayso.opening import open_workspace
from sayso.web.desk import system_clock

permit = Permit.ask(open_workspace(Path(sys.argv[1]), system_clock), Path(sys.argv[2]))
print("begun", flush=True)
step = 0
try:
    while True:
        permit.renew(step)
        step += 1
        time.sleep(0.01)
except StoppedError as stopped:
    print(time.time(), ",".join(stopped.holds), flush=True)
"""


def test_a_job_that_runs_stops_within_a_second_of_a_hold(service: Service, tmp_path: Path) -> None:
    place = ("--workspace", service.folder)
    done = sayso("build", "--content", service.content, "--out", tmp_path / "set", *place)
    assert done.code == 0, done.err
    job = subprocess.Popen(
        [sys.executable, "-c", JOB, str(service.folder), str(tmp_path / "set")],
        stdout=subprocess.PIPE, encoding="utf-8", env=environment(),
    )  # fmt: skip
    try:
        assert job.stdout
        assert job.stdout.readline() == "begun\n"
        workspace = open_workspace(service.folder, system_clock)
        now = system_clock()
        from sayso.model import Dated

        workspace.place_hold("US", begins=Dated(now), placed_by="the platform", hold_id="us-1")
        placed = time.time()
        workspace.close()
        told, _ = job.communicate(timeout=JOB_SECONDS)
    finally:
        job.kill()
        job.wait()
    stopped, holds = told.split()
    assert holds == "us-1"
    assert float(stopped) - placed < 1
    assert "A hold protects you now" in service.member("maya").page(SETTING)


def test_what_the_service_says_names_nobody(service: Service) -> None:
    browser = service.member("wing")
    browser.ask("POST", f"{SETTING}/objection", reason="zq-words", csrf_token=browser.token())
    browser.ask("GET", "/zq-words")

    said = service.log.read_text()

    for secret in ("wing", "zq-words", browser.cookies["__Host-sayso"], browser.token(), PURPOSE):
        assert secret not in said


def test_whoever_is_erased_elsewhere_is_nobody_in_every_worker(service: Service) -> None:
    """The last of all here: Jonas is gone after it."""
    browser = service.visitor()
    assert browser.sign_in("Jonas").status_code == 303
    assert "Your setting now" in browser.page(SETTING)

    done = sayso("erase", "jonas", "--workspace", service.folder)

    assert done.code in {0, 4}, done.err  # 4: a worker reads the database; all else is done
    for _ in range(TIMES):
        answer = browser.ask("GET", SETTING)
        assert answer.status_code == 303, (done, answer.status_code, answer.text[-1500:])
        assert answer.headers["location"] == f"/sign-in?to={SETTING}"
    again = browser.sign_in("Jonas")
    assert again.status_code == 403
    assert "What was held of you here was erased" in again.text
