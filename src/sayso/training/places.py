"""Which folders hold runs and releases of a workspace: what forgetting visits.

Promises: `runs.json` in the workspace names each by its digest, with paths relative to the
workspace; written whole, one writer at a time. It is a note of places and no evidence: what
counts stands in the ledger, by digest.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sayso.canonical import canonical_json
from sayso.training.runs import write_whole

NAME = "runs.json"
RUNS, RELEASES = "runs", "releases"


def note_place(workspace: Path, kind: str, digest: str, folder: Path) -> None:
    """Note where a run or a release stands."""
    told = os.path.relpath(folder.resolve(), workspace.resolve())
    with _alone(workspace):
        notes = _read(workspace)
        notes[kind] = {**notes.get(kind, {}), digest: told}
        write_whole(workspace / NAME, canonical_json(notes))


def places(workspace: Path, kind: str) -> Mapping[str, Path]:
    """Return digest -> folder of every run or release that was noted; some may be gone."""
    inside = workspace.resolve()
    noted = _read(workspace).get(kind, {})
    return {digest: Path(os.path.normpath(inside / told)) for digest, told in noted.items()}


def _read(workspace: Path) -> dict[str, dict[str, str]]:
    try:
        value = json.loads((workspace / NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return {kind: dict(noted) for kind, noted in value.items() if isinstance(noted, dict)}


@contextmanager
def _alone(workspace: Path) -> Iterator[None]:
    descriptor = os.open(workspace / f".{NAME}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
