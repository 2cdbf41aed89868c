"""The assistant as processes: a real server of a small model, and what is kept of it."""

import importlib.util
import os
import pty
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli import COMMAND, Done, environment, sayso
from tests.town import MEMBER_COLUMNS, write_content, write_csv
from tests.unit.training.lab import member_rows, small_base
from tests.unit.writing.lab import profile_row

for _name in ("torch", "transformers", "fastapi", "uvicorn", "openai", "httpx2"):
    if importlib.util.find_spec(_name) is None:
        pytest.skip(f"'{_name}' is not installed", allow_module_level=True)

PATIENCE_SECONDS = 120
CHAT = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
ABOUT = "zq-a-quiet-week"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A `transformers serve` of a small model with a chat template; yields address and name."""
    import torch
    import transformers

    place = tmp_path_factory.mktemp("served") / "small"
    shutil.copytree(small_base(), place)
    # Our instructions alone are longer than what the small base reads.
    model = transformers.AutoModelForCausalLM.from_pretrained(place)
    wider = torch.nn.Embedding(1024, model.config.n_embd)
    with torch.no_grad():
        wider.weight.copy_(model.transformer.wpe.weight.repeat(8, 1))
    model.transformer.wpe, model.config.n_positions = wider, 1024
    model.save_pretrained(place)
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "transformers.cli.transformers", "serve", str(place),
        "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
    ]  # fmt: skip
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment(**quiet), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(process, f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}/v1", str(place)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_SECONDS)


def _wait_for(process: "subprocess.Popen[bytes]", root: str) -> None:
    import httpx2

    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx2.get(f"{root}/health", trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    pytest.fail("transformers serve did not answer")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of the present, and content with profiles."""
    made = tmp_path_factory.mktemp("writing")
    write_csv(made / "members.csv", member_rows(), MEMBER_COLUMNS)
    rows = [profile_row(f"p{n}", f"m{n}", f"zq-profile-of-{n} plans projects.") for n in (1, 2)]
    write_content(made / "content.parquet", rows)
    for command in (
        ("init", made / "ws", "--template", "linkedin-2024"),
        ("ingest", "members", made / "members.csv", "--workspace", made / "ws"),
    ):
        done = sayso(*command)
        assert done.code == 0, done.err
    return made


def write(folder: Path, *arguments: str | Path) -> Done:
    return sayso("write", *arguments, "--workspace", folder / "ws")


def remote(server: tuple[str, str], recipient: str = "LinkedIn") -> tuple[str, ...]:
    return ("--url", server[0], "--model", server[1], "--recipient", recipient, "--tokens", "8")


def test_a_post_from_a_real_server_is_kept_and_drawn_by_its_seed(
    folder: Path, server: tuple[str, str]
) -> None:
    asking = ("post", "--member", "m2", "--about", ABOUT, *remote(server), "--seed", "3")
    done = write(folder, *asking, "--alternatives", "2", "--yes", "--json")

    assert done.code == 0, done.err
    assert f"what the member says goes to 'LinkedIn' at {server[0]}" in done.err
    told = done.value
    assert told["generated"] is True
    assert len(told["texts"]) == 2
    assert all(told["texts"])
    assert told["recipient"] == {"name": "LinkedIn", "url": server[0]}
    kept = write(folder, "kept", "--member", "m2", "--json").value["kept"]
    assert [(one["asked"], one["written"]) for one in kept] == [(ABOUT, told["texts"])]
    again = write(folder, *asking, "--yes", "--json")
    assert again.value["texts"] == told["texts"][:1]


def test_in_a_terminal_the_text_is_labelled_and_the_recipient_confirmed(
    folder: Path, server: tuple[str, str]
) -> None:
    command = [
        *COMMAND, "write", "bio", "--member", "m1", "--content", str(folder / "content.parquet"),
        *remote(server), "--workspace", str(folder / "ws"),
    ]  # fmt: skip
    for answer, code in (("n", 3), ("y", 0)):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, env=environment()
        ) as process:
            os.close(theirs)
            seen = b""
            while b"send it?" not in seen:
                seen += os.read(ours, 1024)
            os.write(ours, answer.encode() + b"\n")
            out, _ = process.communicate(timeout=PATIENCE_SECONDS)
        os.close(ours)
        text = out.decode()
        assert process.returncode == code
        assert b"the member's profile goes to 'LinkedIn' at " in seen
        assert text.startswith("[written by a machine; nobody has checked it]\n") == (code == 0)
