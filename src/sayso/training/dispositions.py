"""Dispositions: what becomes of runs and releases that hold what must go, and its deletion.

Promises: every run and release that is touched gets an entry in the ledger: `kept`, `sealed`
(out of our reach) or `forgotten`, by whom and why. Everything that holds a dropped adapter
and that this workspace knows of is deleted and listed: releases, other runs that took the
adapter over, what was begun and never finished. We keep no optimiser states, no checkpoints
and no caches, so there are none to delete. Reaches no copy that others hold.
"""

import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sayso.canonical import canonical_json
from sayso.decision.states import microseconds
from sayso.tables import sha256_of
from sayso.training.places import BEGUN, RELEASES, RUNS, noted, places
from sayso.training.release import DISPOSITION, MODEL
from sayso.training.runs import (
    ADAPTERS,
    DELETED,
    DROPPED,
    NAME,
    STARTED,
    WEIGHTS,
    load_note,
    write_whole,
)
from sayso.training.servable import Dropped, Standing, load_dropped
from sayso.workspace import Workspace

KEPT, SEALED, FORGOTTEN = "kept", "sealed", "forgotten"
# Why a shard goes that a forgetting marked before it was killed.
UNFINISHED = "begun before"


@dataclass(frozen=True, slots=True)
class Disposition:
    """What became of a run or a release; `what` is `kept`, `sealed` or `forgotten`."""

    entry: int
    release: str
    what: str
    why: tuple[str, ...]


def dispose(
    workspace: Workspace,
    standing: Standing,
    shards: Collection[str],
    why: Mapping[str, tuple[str, ...]],
    by: str,
) -> Iterator[Disposition]:
    """Append what becomes of a run's shards and of every release that holds them."""
    run = standing.run
    found = {reason for name in shards for reason in why.get(name, (UNFINISHED,))}
    reasons = tuple(sorted(found))
    yield append(workspace, run.digest, "", FORGOTTEN, sorted(shards), reasons, by)
    weights = {run.shards[name].adapter for name in shards}
    stands = places(workspace.path, RELEASES)
    gone = {digest for digest, what in _disposed(workspace).items() if what == FORGOTTEN}
    for digest, adapters in _releases(workspace).items():
        hit = sorted(name for name, one in adapters.items() if one in weights)
        if hit and digest not in gone:
            # What we cannot reach, we can only seal.
            reached = digest in stands and stands[digest].is_dir()
            what = FORGOTTEN if reached else SEALED
            yield append(workspace, run.digest, digest, what, hit, reasons, by)


def keep(
    workspace: Workspace, standing: Standing, dropped: Collection[str], by: str
) -> Iterator[Disposition]:
    """Append once, for every release with members who chose off since, that it is kept."""
    run = standing.run
    spared = {
        run.shards[name].adapter: name
        for name, tags in standing.spared.items()
        if tags and name not in dropped
    }
    disposed = _disposed(workspace)
    for digest, adapters in _releases(workspace).items():
        hit = sorted(name for name, one in adapters.items() if one in spared)
        if hit and digest not in disposed:
            yield append(workspace, run.digest, digest, KEPT, hit, ("future-runs",), by)


def append(
    workspace: Workspace, run: str, release: str, what: str, shards: list[str],
    why: tuple[str, ...], by: str,
) -> Disposition:  # fmt: skip
    """Append one; an empty `release` means the run itself."""
    payload = {
        "run": run, "release": release, "disposition": what, "shards": shards,
        "why": list(why), "by": by,
    }  # fmt: skip
    at_us = microseconds(workspace.clock())
    entry = workspace.ledger.append_public(DISPOSITION, payload, at_us).index
    return Disposition(entry, release, what, why)


def _releases(workspace: Workspace) -> dict[str, Mapping[str, str]]:
    """Return the adapters of every release in the ledger."""
    entries = workspace.ledger.public("release", workspace.ledger.size())
    return {entry.payload["release"]: entry.payload["adapters"] for entry in entries}


def _disposed(workspace: Workspace) -> dict[str, str]:
    """Return the last disposition of every release that has one."""
    entries = workspace.ledger.public(DISPOSITION, workspace.ledger.size())
    return {entry.payload["release"]: entry.payload["disposition"] for entry in entries}


# ---- deleting ---------------------------------------------------------------------------


def delete_all(
    workspace: Workspace, standing: Standing, folder: Path, dropped: Dropped
) -> dict[str, str]:
    """Delete whatever holds the adapters of dropped shards; return path -> SHA-256 of each file.

    Args:
        workspace: Where runs and releases are noted.
        standing: Of the run.
        folder: Of the run; `evidence/deleted.json` in it lists the same.
        dropped: What is dropped now.
    """
    weights = {standing.run.shards[name].adapter for name in dropped.shards}
    gone = {digest for digest, what in _disposed(workspace).items() if what == FORGOTTEN}
    releases = noted(workspace.path, RELEASES)
    doomed = [place / MODEL for place, digest in releases.items() if digest in gone]
    for place in noted(workspace.path, RUNS):
        if place.is_dir() and place.resolve() != folder.resolve():
            doomed += _taken_from(place, weights, dropped)
    for place in noted(workspace.path, BEGUN):
        # A release in the making holds nobody knows whom; it is quickly made again. A run holds
        # adapters that were finished, and maybe the statement of who stopped it, which stays.
        is_run = (place / ADAPTERS).is_dir() or (place / STARTED).is_file()
        doomed += _copies(place, weights) if is_run else [place]
    # Last: as long as they stand, the next forgetting knows that this one was not finished.
    doomed += [folder / ADAPTERS / name for name in sorted(dropped.shards)]
    return delete(doomed, folder / DELETED)


def delete(doomed: Collection[Path], listing: Path) -> dict[str, str]:
    """Delete folders; list every file by path and SHA-256, and add them to a file first."""
    files = [
        path
        for place in doomed
        if place.is_dir()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    ]
    deleted = {str(path): sha256_of((path,)) for path in files}
    if deleted:
        write_whole(listing, canonical_json({**load_note(listing), **deleted}))
    for place in doomed:
        if place.is_dir():
            shutil.rmtree(place)
    return deleted


def _taken_from(place: Path, weights: Collection[str], dropped: Dropped) -> list[Path]:
    """Return the same adapters in another run, after marking them as dropped there."""
    copies = _copies(place, weights)
    if copies and (place / NAME).is_file():
        names = frozenset(one.name for one in copies)
        more = Dropped(names, dropped.left_out, dropped.without)
        write_whole(place / DROPPED, load_dropped(place).and_also(more).to_bytes())
    return copies


def _copies(place: Path, weights: Collection[str]) -> list[Path]:
    found = (place / ADAPTERS).glob(f"*/{WEIGHTS}")
    return [path.parent for path in sorted(found) if sha256_of((path,)) in weights]
