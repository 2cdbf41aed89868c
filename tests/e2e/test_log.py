"""`sayso log` as its users run it: the log, its proofs, its witness, its export, its check."""

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from sayso.log import (
    TileReader,
    leaf_hash,
    parse_policy,
    parse_proof,
    verify_consistency,
    verify_proof,
)
from sayso.log.policy import Policy
from tests.e2e.cli import environment, sayso, start, strike
from tests.town import choice_row, write_jsonl
from tests.unit.ledger.logs import head_of

WITNESS = "example.org/witness"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with entries in every kind of place, its log brought up to date."""
    folder = tmp_path_factory.mktemp("log") / "ws"
    told = sayso("init", folder, "--template", "linkedin-2024", "--json").value
    assert told["log_key"].startswith("example.org/ws+")
    assert f"log {told['log_key']}\n" in (folder / "log/policy").read_text()
    rows = [choice_row(f"m{number}") for number in range(600)]
    path = write_jsonl(folder.parent / "choices.jsonl", rows)
    assert sayso("ingest", "choices", path, "--workspace", folder, "--json").value["rows"] == 600
    return folder


@pytest.fixture
def ws(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "ws"))


def log(ws: Path, *arguments: str | Path) -> Any:
    done = sayso("log", *arguments, "--workspace", ws, "--json")
    assert done.code == 0, done.err
    return done.value


def policy_of(ws: Path) -> Policy:
    return parse_policy((ws / "log/policy").read_bytes())


def read_object(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next JSON object that a process prints."""
    assert process.stdout
    text = ""
    while not text.endswith("\n}\n"):
        line = process.stdout.readline()
        assert line, "it ended"
        text += line
    found: dict[str, Any] = json.loads(text)
    return found


@contextmanager
def running(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = start(*arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# ---- proofs -----------------------------------------------------------------------------


def test_a_choice_is_under_the_next_checkpoint_and_proved(ws: Path) -> None:
    chosen = sayso("choose", "m1", "off", "--workspace", ws, "--json").value
    told = log(ws, "checkpoint")
    proof = parse_proof(log(ws, "prove", str(chosen["index"]))["proof"].encode())
    verified = verify_proof(proof, leaf_hash(bytes.fromhex(chosen["commitment"])), policy_of(ws))

    assert told["size"] == verified.checkpoint.size == chosen["index"] + 1
    assert proof.checkpoint_note == told["note"].encode()
    assert told["log_key"] in (ws / "log/policy").read_text()


def test_a_proof_in_a_file(ws: Path, tmp_path: Path) -> None:
    out = tmp_path / "entry.tlog-proof"
    told = log(ws, "prove", "0", "--out", out)

    assert out.read_text() == told["proof"]
    assert sayso("log", "prove", "700", "--workspace", ws).code == 2
    assert sayso("log", "prove", "--workspace", ws).code == 2


# ---- export -----------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder with the web server that comes with Python."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(),
    ) as process:  # fmt: skip
        assert process.stdout
        port = process.stdout.readline().split(" port ")[1].split()[0]
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()


def test_a_stranger_checks_the_export_over_http(ws: Path, tmp_path: Path) -> None:
    first = head_of(log(ws, "checkpoint")["note"].encode())
    for choice in ("off", "on"):
        sayso("choose", "m7", choice, "--workspace", ws)
    told = log(ws, "export", "--out", tmp_path / "out")
    assert told["size"] == first.size + 2
    assert sayso("log", "export", "--out", tmp_path / "out", "--workspace", ws).code == 5
    with served(tmp_path / "out") as base:

        def fetch(path: str) -> bytes | None:
            try:
                with urllib.request.urlopen(base + path) as answer:
                    data: bytes = answer.read()
                    return data
            except HTTPError:
                return None

        policy, note = fetch("policy"), fetch("checkpoint")
        assert policy
        assert note
        head = parse_policy(policy).check(note).checkpoint
        reader = TileReader(fetch, head.size)
        assert reader.root() == head.root
        assert len([*reader.entries(0, head.size)]) == told["size"]
        proof = reader.consistency_proof(first.size)
        verify_consistency(first.size, first.root, head.size, head.root, proof)


# ---- check ------------------------------------------------------------------------------

FILES = {
    "tile/0/001": "another entry",
    "tile/entries/000": "tile/entries/000",
    "tile/0/002.p/89": "another entry",
    "tile/entries/002.p/89": "tile/entries/002.p/89",
    "tile/1/000.p/2": "tile/1/000.p/2",
    "checkpoint": "sign",
}


@pytest.mark.parametrize("name", FILES)
def test_fsck_names_the_first_difference(ws: Path, name: str) -> None:
    place = ws / "log" / name
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    done = sayso("log", "fsck", "--workspace", ws, "--json")

    assert done.code == 1
    assert FILES[name] in done.value["error"]["message"]


def test_fsck_derives_all_of_it_again(ws: Path) -> None:
    assert log(ws, "fsck")["log"] == {"signed": 601, "published": 601, "waiting": 0, "tiles": 4}


# ---- witness ----------------------------------------------------------------------------


def set_policy(ws: Path, line: str) -> None:
    place = ws / "log/policy"
    name = line.split()[1]
    place.write_text(place.read_text().replace("quorum none", f"{line}\nquorum {name}"))


def test_a_witness_as_a_process(ws: Path, tmp_path: Path) -> None:
    key = log(ws, "checkpoint")["log_key"]
    place = tmp_path / "witness"
    made = sayso("log", "witness", place, "--name", WITNESS, "--show-key", "--json").value
    assert made["key"].startswith(f"{WITNESS}+")
    with running("log", "witness", place, "--log", key, "--listen", "127.0.0.1:0", "--json") as one:
        url = listening(one)
        set_policy(ws, made["policy_line"].rsplit(" ", 1)[0] + f" {url}")
        told = log(ws, "integrate")
        assert told["appended"] == 0
        assert [*told["witnesses"]] == ["example.org-witness"]
        assert policy_of(ws).check((ws / "log/checkpoint").read_bytes()).witnesses
    # It is gone: the command's own work is done, and says that no checkpoint came of it.
    chosen = sayso("choose", "m1", "off", "--workspace", ws, "--json")
    assert chosen.code == 0
    assert "warning: no new checkpoint was published" in chosen.err
    assert sayso("log", "integrate", "--workspace", ws).code == 4
    assert log(ws, "checkpoint")["size"] == told["size"]


def listening(process: subprocess.Popen[str]) -> str:
    """Wait until a witness says where it answers."""
    found = read_object(process)
    assert found["logs"]
    with pytest.raises(HTTPError if found["url"] else URLError):
        urllib.request.urlopen(found["url"])
    url: str = found["url"]
    return url


def test_a_witness_refuses_a_second_history(ws: Path, tmp_path: Path) -> None:
    """The workspace is put back from a backup and goes on differently."""
    key, place = log(ws, "checkpoint")["log_key"], tmp_path / "witness"
    sayso("log", "witness", place, "--name", WITNESS, "--show-key")
    with running("log", "witness", place, "--log", key, "--listen", "127.0.0.1:0", "--json") as one:
        url = listening(one)
        vkey = sayso("log", "witness", place, "--show-key", "--json").value["key"]
        set_policy(ws, f"witness other {vkey} {url}")
        backup = shutil.copytree(ws, tmp_path / "backup")
        assert sayso("choose", "m1", "off", "--workspace", ws).code == 0
        shutil.rmtree(ws)
        backup.rename(ws)
        forked = sayso("choose", "m2", "off", "--workspace", ws)

    assert forked.code == 1
    assert "another root of this size" in forked.err
    assert log_size(ws) == 601


def log_size(ws: Path) -> int:
    return head_of((ws / "log/checkpoint").read_bytes()).size


@pytest.mark.parametrize(
    "arguments",
    [["--log", "no key"], [], ["--log", "no key", "--listen", "nowhere"],
     ["--listen", "127.0.0.1:70000"], ["--listen", ":80"]],
)  # fmt: skip
def test_a_witness_that_cannot_run_says_why(tmp_path: Path, arguments: list[str]) -> None:
    done = sayso("log", "witness", tmp_path / "w", "--name", WITNESS, *arguments)

    assert done.code == 2
    assert "error: " in done.err
    assert sayso("log", "witness", tmp_path / "new").code == 2


# ---- following --------------------------------------------------------------------------


# Another program, which takes a file and does not integrate.
INGEST = """
import sys, sayso
from pathlib import Path
sayso.open(sys.argv[1]).ingest("choices", Path(sys.argv[2]))
"""


def test_following_stops_on_ctrl_c(ws: Path) -> None:
    with running("log", "integrate", "--follow", "0.05", "--workspace", ws, "--json") as process:
        rows = [choice_row(f"x{number}") for number in range(300)]
        path = write_jsonl(ws.parent / "more.jsonl", rows)
        subprocess.run(
            [sys.executable, "-c", INGEST, str(ws), str(path)], check=True, env=environment()
        )
        told = read_object(process)
        done = strike(process, signal.SIGINT, lambda: True)

    assert (told["size"], told["appended"]) == (901, 300)
    assert done.code == 130
    assert done.value["error"]["family"] == "Interrupted"
    assert log_size(ws) == 901
    assert log(ws, "fsck")["log"]["waiting"] == 0


def test_following_goes_on_while_a_witness_is_silent(ws: Path, tmp_path: Path) -> None:
    place = tmp_path / "w"
    told = sayso("log", "witness", place, "--name", WITNESS, "--show-key", "--json").value
    set_policy(ws, f"witness silent {told['key']} http://127.0.0.1:1")
    assert sayso("choose", "m1", "off", "--workspace", ws).code == 0
    with running("log", "integrate", "--follow", "0.05", "--workspace", ws) as process:
        assert process.stderr
        while "warning: the checkpoint lacks its quorum" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.3)
        done = strike(process, signal.SIGINT, lambda: True)

    assert done.code == 130
    assert "warning" not in done.err, "told once"
