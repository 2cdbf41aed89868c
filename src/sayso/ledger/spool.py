"""Spool: files that a request brings or takes away, or that work spills, for as long as it takes.

Promises: they stand in the workspace's folder `spool` and nowhere else, each in a folder of its
own that its process locks; what a process left that is gone is deleted by whoever opens the
workspace next, and by every erasure. What somebody is still at is never touched. Does not know
what the files hold.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sayso.ledger.files import Swept

FOLDER = "spool"


@contextmanager
def spooling(workspace: Path) -> Iterator[Path]:
    """Yield a new folder that is deleted when the block ends."""
    spool = workspace / FOLDER
    spool.mkdir(mode=0o700, exist_ok=True)
    place = spool / secrets.token_hex(8)
    # Between its making and its lock nobody may take it for one that was left.
    with _locked(spool, fcntl.LOCK_SH):
        place.mkdir(mode=0o700)
        descriptor = os.open(place, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield place
    finally:
        try:
            shutil.rmtree(place)
        finally:
            os.close(descriptor)


def sweep_spool(workspace: Path) -> Swept:
    """Delete what processes left that are gone; complete where nothing is left then.

    What cannot be deleted is left to the next sweep, and is not told as deleted.
    """
    spool = workspace / FOLDER
    if not spool.is_dir():
        return Swept((), is_complete=True)
    names = []
    is_complete = True
    with _locked(spool, fcntl.LOCK_EX):
        for place in sorted(spool.iterdir()):
            if is_in_use(place):
                is_complete = False
                continue
            shutil.rmtree(place, ignore_errors=True)
            if place.exists():
                is_complete = False
                continue
            names.append(f"{FOLDER}/{place.name}")
    return Swept(tuple(names), is_complete)


def is_spooling(workspace: Path) -> bool:
    """Whether somebody is at a file there."""
    spool = workspace / FOLDER
    return spool.is_dir() and any(is_in_use(place) for place in spool.iterdir())


def is_in_use(place: Path) -> bool:
    """Whether the process that made a folder is at it still."""
    try:
        with _locked(place, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
