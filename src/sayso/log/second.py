"""The second pass: what was stored is read back and hashed again before anybody signs.

Promises: whole tiles of leaves, their bundles, and the roots of the tiles are derived again
from the stored bytes and compared with what the first pass found, in a thread of its own,
which also writes the bundles. A bit that flipped in one leaf ended a public log.
Does not look at partial tiles or upper levels: `sayso.log.write` does, they are few.
"""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from sayso.errors import IntegrityError
from sayso.log.bulk import leaf_hashes, parents_of
from sayso.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, bundle_path, tile_path

ENTRY_BYTES = 32
BUNDLE_BYTES = TILE_WIDTH * (2 + ENTRY_BYTES)
WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
# Batches that the first pass may be ahead.
AHEAD = 2


class Second:
    """The second pass over the whole tiles of an extension, some batches behind the first.

    Args:
        folder: Where `tile/` stands.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1)
        self._asked: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._thread.shutdown(cancel_futures=True)

    def __call__(self, first: int, entries: bytes, tops: bytes) -> list[str]:
        """Write the bundles of whole tiles that were stored; return their paths.

        Args:
            first: The number of the first tile.
            entries: Of all of them, joined.
            tops: The roots of the tiles, as the first pass found them.

        Raises:
            IntegrityError: The stored bytes of an earlier call lead to others.
        """
        count = len(entries) // (TILE_WIDTH * ENTRY_BYTES)
        names = [bundle_path(first + place, TILE_WIDTH) for place in range(count)]
        paths = [f"{self._folder}/{name}" for name in names]
        self._asked.append(self._thread.submit(self._check, first, paths, entries, tops))
        while len(self._asked) > AHEAD:
            self._asked.popleft().result()
        return paths

    def finish(self) -> None:
        """Wait for what is left; raises as a call does."""
        while self._asked:
            self._asked.popleft().result()

    def _check(self, first: int, paths: list[str], entries: bytes, tops: bytes) -> None:
        bundles = bundled(entries)
        for place, path in enumerate(paths):
            write_file(path, bundles[place * BUNDLE_BYTES : (place + 1) * BUNDLE_BYTES])
        if derived(self._folder, first, len(paths)) != tops:
            raise IntegrityError(
                f"what is stored from tile {first} on is not what was hashed",
                hint="check memory and disks, then integrate again",
            )


def write_file(path: str, data: bytes) -> None:
    """Write a file, and its folder where that is new."""
    try:
        descriptor = os.open(path, WRITING, 0o644)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, WRITING, 0o644)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(0, "a file was not written whole")
    finally:
        os.close(descriptor)


def derived(folder: Path, first: int, count: int) -> bytes:
    """Return the joined roots of stored tiles; nothing where bundles do not hash to them.

    Raises:
        OSError: One of them cannot be read.
    """
    places = range(first, first + count)
    bundles = b"".join([_stored(f"{folder}/{bundle_path(n, TILE_WIDTH)}") for n in places])
    tiles = b"".join([_stored(f"{folder}/{tile_path(Tile(0, n, TILE_WIDTH))}") for n in places])
    if len(bundles) != count * BUNDLE_BYTES:
        return b""
    rows = np.frombuffer(bundles, np.uint8).reshape(-1, 2 + ENTRY_BYTES)
    entries = np.ascontiguousarray(rows[:, 2:]).tobytes()
    if bundled(entries) != bundles or leaf_hashes(entries, ENTRY_BYTES) != tiles:
        return b""
    for _ in range(TILE_HEIGHT):
        tiles = parents_of(tiles)
    return tiles


def bundled(entries: bytes) -> bytes:
    """Return entries of 32 bytes behind their lengths. Source: tlog-tiles, "Log entries"."""
    rows = np.frombuffer(entries, np.uint8).reshape(-1, ENTRY_BYTES)
    made = np.empty((len(rows), 2 + ENTRY_BYTES), np.uint8)
    made[:, :2] = (0, ENTRY_BYTES)
    made[:, 2:] = rows
    return made.tobytes()


def _stored(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 2 * BUNDLE_BYTES)
    finally:
        os.close(descriptor)
