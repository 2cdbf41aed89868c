"""Tombstones beside the secrets: `keys/erased.tags`, which outlives a restored database.

Promises: a tag that `keep_tags` was given is on disk when it returns; a file cut short by a
crash is read up to its last whole line. Knows tags only, never an id.

A tombstone stands in the database and here. Where a database comes back from a backup, what
stands here and not there was erased after the backup was made, and is erased again.

Form: one tag a line, 64 hexadecimal digits and a line feed, oldest first.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from sayso.errors import IntegrityError
from sayso.tables import flush

NAME = "erased.tags"
TAG_BYTES = 32
LINE_BYTES = 2 * TAG_BYTES + 1


def _path(folder: Path) -> Path:
    return folder / "keys" / NAME


def _lines(tags: Iterable[bytes]) -> bytes:
    return "".join(f"{tag.hex()}\n" for tag in tags).encode()


def count_tags(folder: Path) -> int:
    """Return how many tags a workspace keeps, without reading them."""
    try:
        return _path(folder).stat().st_size // LINE_BYTES
    except FileNotFoundError:
        return 0


def read_tags(folder: Path) -> list[bytes]:
    """Return the tags that a workspace keeps, oldest first.

    Raises:
        IntegrityError: A line holds something else.
    """
    try:
        raw = _path(folder).read_bytes()
    except FileNotFoundError:
        return []
    whole = raw[: len(raw) // LINE_BYTES * LINE_BYTES]
    try:
        tags = [bytes.fromhex(line.decode()) for line in whole.splitlines()]
    except ValueError:
        tags = []
    if any(len(tag) != TAG_BYTES for tag in tags) or whole != _lines(tags):
        raise IntegrityError(
            f"'keys/{NAME}' holds something else than tags", hint="restore it from backup"
        )
    return tags


def keep_tags(folder: Path, tags: Iterable[bytes]) -> None:
    """Add the tags that are not kept yet; only inside `Ledger.writing`."""
    kept = set(read_tags(folder))
    new = [tag for tag in dict.fromkeys(tags) if tag not in kept]
    if not new:
        return
    path = _path(folder)
    is_first = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        # What a crash left of a line was never acknowledged.
        file.truncate(count_tags(folder) * LINE_BYTES)
        file.seek(0, os.SEEK_END)
        file.write(_lines(new))
        file.flush()
        os.fsync(file.fileno())
    if is_first:
        flush(path.parent)
