"""Which folders hold runs and releases of a workspace, also unfinished: what forgetting visits.

Promises: `runs.json` in the workspace names the folder of each, relative to the workspace,
and its digest; written whole, one writer at a time. It is a note of places and no evidence: what
counts stands in the ledger, by digest. One that cannot be read is an error: what it names would
be passed over by a forgetting.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sayso.canonical import canonical_json
from sayso.errors import IntegrityError
from sayso.training.runs import load_note, write_whole

NAME = "runs.json"
# What was begun has no digest yet.
RUNS, RELEASES, BEGUN = "runs", "releases", "begun"


def note_place(workspace: Path, kind: str, digest: str, folder: Path) -> None:
    """Note that a run or a release stands in a folder."""
    with _alone(workspace):
        notes = _read(workspace)
        notes[kind] = {**notes.get(kind, {}), _told(workspace, folder): digest}
        write_whole(workspace / NAME, canonical_json(notes))


def drop_place(workspace: Path, kind: str, folder: Path) -> None:
    """Note that nothing stands in a folder any more."""
    with _alone(workspace):
        notes = _read(workspace)
        if notes.get(kind, {}).pop(_told(workspace, folder), None) is not None:
            write_whole(workspace / NAME, canonical_json(notes))


@contextmanager
def begun(workspace: Path, folder: Path) -> Iterator[None]:
    """Have a folder noted until what is made in it was finished; for good if it never is."""
    note_place(workspace, BEGUN, "", folder)
    yield
    drop_place(workspace, BEGUN, folder)


def places(workspace: Path, kind: str) -> Mapping[str, Path]:
    """Return digest -> folder of every run or release that was noted; some may be gone.

    Where equal ones stand in several folders, it is one that is there.
    """
    found: dict[str, Path] = {}
    for folder, digest in noted(workspace, kind).items():
        if digest not in found or not found[digest].is_dir():
            found[digest] = folder
    return found


def noted(workspace: Path, kind: str) -> Mapping[Path, str]:
    """Return folder -> digest of everything of a kind that was noted."""
    inside = workspace.resolve()
    told = _read(workspace).get(kind, {})
    return {Path(os.path.normpath(inside / place)): digest for place, digest in told.items()}


def _told(workspace: Path, folder: Path) -> str:
    return os.path.relpath(folder.resolve(), workspace.resolve())


def _read(workspace: Path) -> dict[str, dict[str, str]]:
    path = workspace / NAME
    told = load_note(path)
    for one in told.values():
        if not isinstance(one, dict) or not all(isinstance(digest, str) for digest in one.values()):
            raise IntegrityError(f"'{path}' cannot be read", hint="restore it from backup")
    return told


@contextmanager
def _alone(workspace: Path) -> Iterator[None]:
    descriptor = os.open(workspace / f".{NAME}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
