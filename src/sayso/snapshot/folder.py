"""The folder of a snapshot in the making, and files shared with an earlier one.

Promises: what is not finished has another name and no manifest; two builds of one snapshot
never write into each other. A killed build's leftovers go with the next.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sayso.errors import ConflictError, InputError
from sayso.snapshot.manifest import NAME, Manifest
from sayso.tables import flush, sha256_of


@contextmanager
def making(out: Path) -> Iterator[Path]:
    """Hold `<out>.partial`, where a snapshot is made; yield it."""
    _need_room(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(out.name + ".partial")
    folder.mkdir(exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConflictError(f"another process builds '{out}'", hint="wait for it") from None
        _need_room(out)  # it may have been finished just now
        clear(folder)
        try:
            yield folder
        except BaseException:
            with suppress(OSError):
                clear(folder)
                folder.rmdir()
            raise
    finally:
        os.close(lock)


def _need_room(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConflictError(f"'{out}' exists", hint="choose another folder, snapshots never change")


def clear(folder: Path) -> None:
    """Remove what a build left behind, the manifest first: without it, nothing is finished."""
    (folder / NAME).unlink(missing_ok=True)
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def link(source: Path, target: Path) -> None:
    """Share an immutable file, or copy it where the file systems differ."""
    if not source.is_file():
        raise InputError(f"'{source}' is missing", hint="build the snapshot anew")
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        flush(target)


def is_listed(base: Path, manifest: Manifest, name: str) -> bool:
    """Whether a file of a snapshot is the one that its manifest lists."""
    path = base / name
    return path.is_file() and sha256_of((path,)) == manifest.files.get(name)
