"""Beginning and ending the service: what is wrong is one line, and who listens is who is asked."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from sayso.web.access import Role, read_roles
from sayso.web.development import MARK, SECRET_FILE
from sayso.web.people import PEOPLE
from tests.e2e.cli import Done, sayso, start
from tests.e2e.services import Visitor, free_port


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("serving") / "ws"
    done = sayso("init", made, "--template", "linkedin-2024")
    assert done.code == 0, done.err
    return made


@pytest.fixture
def settings(ws: Path) -> Iterator[Callable[..., None]]:
    """Write settings of `[web]`; what they were comes back afterwards."""
    config = ws / "sayso.toml"
    before = config.read_text()

    def write(**told: str) -> None:
        text = config.read_text()
        for name, value in told.items():
            text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {json.dumps(value)}", text, count=1)
        config.write_text(text)

    yield write
    config.write_text(before)


@contextmanager
def taken() -> Iterator[int]:
    """Listen at a port, and answer nothing."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def need_one_line(done: Done, code: int, *words: str) -> None:
    """Need a refusal in one line, with nothing before it."""
    assert (done.code, done.out) == (code, ""), done
    assert len(done.err.splitlines()) == 1, done.err
    for word in words:
        assert word in done.err


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({"client_secret_file": "keys/none"}, "client_secret_file"),
        ({"issuer": "login.example"}, "login.example"),
        ({"member_claim": ""}, "web.member_claim"),
    ],
)
def test_what_is_wrong_in_the_settings_is_told_before_anything_begins(
    ws: Path, settings: Callable[..., None], told: dict[str, str], word: str, workers: str
) -> None:
    settings(**told)

    need_one_line(sayso("serve", "--workspace", ws, "--port", "0", "--workers", workers), 2, word)


def test_a_port_that_is_taken_is_told(ws: Path) -> None:
    with taken() as port:
        done = sayso("serve", "--workspace", ws, "--port", str(port))

    need_one_line(done, 4, f"port {port}", "--port")


@pytest.mark.parametrize("host", ["nowhere.invalid", "203.0.113.1", "a" * 70 + ".example"])
def test_a_host_that_is_not_here_is_told(ws: Path, host: str) -> None:
    need_one_line(sayso("serve", "--workspace", ws, "--host", host, "--port", "0"), 4, "--host")


@pytest.mark.parametrize("port", ["-1", "65536"])
@pytest.mark.parametrize("option", ["--port", "--provider-port"])
def test_a_port_that_is_none_is_refused(ws: Path, option: str, port: str) -> None:
    assert sayso("serve", "--workspace", ws, option, port).code == 2


@contextmanager
def begun(
    *arguments: str | Path,
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """Run a service until the block ends; yield its process and what it said once it listens."""
    process = start("serve", "--port", "0", "--json", *arguments)
    try:
        assert process.stdout
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()
            said += line
        yield process, json.loads(said)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)], ids=["interrupt", "end"]
)
def test_it_says_where_it_listens_and_ends_in_order(
    ws: Path, workers: str, number: signal.Signals, code: int
) -> None:
    with begun("--workspace", ws, "--workers", workers) as (process, told):
        assert told["address"] == "http://127.0.0.1:8000"
        assert told["listens"] != told["address"]
        answer = httpx.get(f"{told['listens']}/livez", timeout=60)
        assert answer.status_code == 200

        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert process.returncode == code, err
    assert "Traceback" not in err
    assert ("interrupted" in out + err) == (code == 130)


def test_a_person_is_told_that_the_address_is_another(ws: Path) -> None:
    process = start("serve", "--port", "0", "--workspace", ws)
    assert process.stdout
    line = process.stdout.readline()
    process.terminate()
    process.communicate(timeout=60)

    assert re.match(r"listens at http://127\.0\.0\.1:[1-9]\d*, but sayso\.toml has", line), line
    assert "web.address" in line


# ---- the demonstration ------------------------------------------------------------------


def made(folder: Path) -> Path:
    """Make a folder that a demonstration takes for its own, without half a minute of teaching."""
    (folder / "ws").parent.mkdir(parents=True)
    sayso("init", folder / "ws", "--template", "linkedin-2024")
    (folder / "ws" / SECRET_FILE).write_text("any\n")
    config = folder / "ws" / "sayso.toml"
    empty, told = (f'client_secret_file = "{name}"' for name in ("", SECRET_FILE))
    config.write_text(config.read_text().replace(empty, told))
    (folder / MARK).write_text("made\n")
    return folder


def test_who_listens_at_the_providers_port_is_no_provider(tmp_path: Path) -> None:
    folder = made(tmp_path / "out")
    before = (folder / "ws" / "sayso.toml").read_bytes()
    with taken() as port:
        done = sayso(
            "serve", "--demonstration", "--out", folder, "--port", "0", "--provider-port", str(port)
        )

    need_one_line(done, 4, f"port {port}", "--provider-port")
    assert (folder / "ws" / "sayso.toml").read_bytes() == before


def test_a_demonstration_that_cannot_listen_changes_no_settings(tmp_path: Path) -> None:
    folder = made(tmp_path / "out")
    before = (folder / "ws" / "sayso.toml").read_bytes()
    with taken() as port:
        done = sayso("serve", "--demonstration", "--out", folder, "--port", str(port))

    need_one_line(done, 4, f"port {port}")
    assert (folder / "ws" / "sayso.toml").read_bytes() == before


def test_a_demonstration_ends_with_its_provider(tmp_path: Path) -> None:
    folder = made(tmp_path / "out")
    port = free_port()
    with begun("--demonstration", "--out", folder, "--provider-port", str(port)) as (process, told):
        assert told["address"] == told["listens"]
        answer = httpx.get(f"{told['address']}/sign-in", timeout=60)
        assert answer.headers["location"].startswith(f"http://127.0.0.1:{port}/")
        for one in PEOPLE:
            assert f"Sign in as {one.subject}" in Visitor(told["address"]).page("/")
            browser = Visitor(told["address"])
            answer = browser.sign_in(one.subject, one.to)
            assert (answer.status_code, answer.headers["location"]) == (303, one.to)
            browser.page(one.to)
        roles = {role for one in PEOPLE for role in read_roles(one.claims.get("roles"))[0]}
        assert roles == {Role.OFFICER, Role.APPROVER}, "one person stops, two lift"
        provider = [
            one
            for one in psutil.Process(process.pid).children()
            if "oidc_provider_mock" in one.cmdline()
        ]
        assert provider

        process.terminate()
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert psutil.wait_procs(provider, timeout=10)[1] == []
