"""A PostgreSQL of a test's own, to be stopped and killed, and the workers that stand on it."""

import os
import random
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.services import free_port

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@dataclass
class Server:
    """A PostgreSQL of this test's own.

    Attributes:
        url: Of its one database.
        restarts: How often it was killed and started again.
    """

    folder: Path
    port: int
    owner: str | None
    url: str
    restarts: int = 0

    def control(self, *arguments: str) -> None:
        """Run `pg_ctl`."""
        subprocess.run(
            [BINARIES[-1].with_name("pg_ctl"), "-D", self.folder, "-w", "-s", *arguments],
            check=True, user=self.owner, stdout=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip

    def stop(self) -> None:
        """Kill it as a power cut would."""
        self.control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start it again."""
        self.control("start", "-l", str(self.folder / "said"))

    def crash(self) -> None:
        """Kill it as a power cut would, and start it again."""
        self.control("restart", "-m", "immediate", "-l", str(self.folder / "said"))
        self.restarts += 1


@contextmanager
def own_postgres(folder: Path) -> Iterator[Server]:
    """Run a PostgreSQL until the block ends."""
    # It does not run as root.
    owner = "postgres" if os.geteuid() == 0 else None
    place = Path("/tmp") / f"sayso-pg-{uuid.uuid4().hex[:8]}" if owner else folder / "pg"
    port = free_port()
    place.mkdir(mode=0o700)
    if owner:
        shutil.chown(place, owner, owner)
    subprocess.run(
        [BINARIES[-1], "-D", place, "-A", "trust", "-U", "sayso", "-E", "UTF8"],
        check=True, user=owner, stdout=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    with (place / "postgresql.conf").open("a") as settings:
        settings.write(
            f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{place}'\n"
            "fsync = on\nmax_connections = 100\n"
        )
    made = Server(place, port, owner, f"postgresql://sayso@127.0.0.1:{port}/postgres")
    made.control("start", "-l", str(place / "said"))
    try:
        yield made
    finally:
        with suppress(subprocess.CalledProcessError):  # the test may have stopped it
            made.stop()
        shutil.rmtree(place)


def workers_of(parent: int) -> list[psutil.Process]:
    """Return the processes that answer."""
    found = []
    for one in psutil.Process(parent).children():
        with suppress(psutil.Error):  # it was killed before and is not cleared away yet
            if any("spawn_main" in part for part in one.cmdline()):
                found.append(one)
    return found


def kill_a_worker(parent: int, dice: random.Random) -> bool:
    """Kill one of the processes that answer; return whether there was one."""
    workers = workers_of(parent)
    if workers:
        dice.choice(workers).send_signal(signal.SIGKILL)
    return bool(workers)
