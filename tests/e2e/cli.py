"""Running `sayso` as its users do: a process with arguments, an environment and two streams."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

# What the process sees of our environment; no setting of the caller leaks in.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START")
COMMAND = (sys.executable, "-m", "sayso.cli")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> dict[str, Any]:
        """The one JSON object on stdout, and nothing else there."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Story:
    """A workspace that has been through everything, and what each step printed."""

    folder: Path
    steps: dict[str, Done]

    def __getitem__(self, step: str) -> Done:
        return self.steps[step]


def environment(**more: str) -> dict[str, str]:
    """Return what a process is given."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | more


def sayso(*arguments: str | Path, cwd: Path | None = None, **more: str) -> Done:
    """Run a command to its end; `more` is added to its environment."""
    found = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True, encoding="utf-8", env=environment(**more), cwd=cwd, check=False,
        timeout=120,
    )  # fmt: skip
    return Done(found.returncode, found.stdout, found.stderr)


def start(*arguments: str | Path, stderr: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=stderr, encoding="utf-8", env=environment(),
        start_new_session=True,
    )  # fmt: skip


def strike(
    process: subprocess.Popen[str],
    number: signal.Signals,
    when: Callable[[], bool],
    *,
    group: bool = True,
    timeout_seconds: float = 60,
) -> Done:
    """Send a signal as soon as `when` holds or the process ends; return how it ended."""
    until = time.monotonic() + timeout_seconds
    while not when() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    if process.poll() is None:
        (os.killpg if group else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=timeout_seconds)
    return Done(process.returncode, out, err)
