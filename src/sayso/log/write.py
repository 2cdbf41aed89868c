"""Writing tiles: a tree in a folder that grows at its right edge.

Promises: what a published checkpoint needs is never written into; when `extend` returns, the
disk holds the new tiles, and a second pass over what was stored has hashed every new leaf
again and found the same. Does not sign, and does not know what an entry says: entries are
commitments of 32 bytes.

Life of an extension: the partial tile at the right edge is read back, with its entries; whole
tiles are written as they fill, leaves first; partial tiles come last. A crash leaves files
that no checkpoint speaks of, and the next extension writes the same bytes over them.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sayso.errors import IntegrityError, UnavailableError
from sayso.log.bulk import leaf_hashes, parents_of
from sayso.log.merkle import HASH_BYTES
from sayso.log.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileReader,
    bundle_path,
    folder_fetch,
    tile_path,
)

ENTRY_BYTES = 32
TILE_BYTES = TILE_WIDTH * HASH_BYTES
BUNDLE_BYTES = TILE_WIDTH * (2 + ENTRY_BYTES)
WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
# Tiles written at once, 2 MiB of hashes.
BATCH_TILES = 256
# From here on a second process hashes again what the first one stored.
CHECKED_APART_TILES = 2 * BATCH_TILES
# Up to so many files are flushed one by one; more cost less in one go.
FLUSHED_SINGLY = 64


def extend(folder: Path, old_size: int, batches: Iterable[bytes], *, expected: int) -> None:
    """Append entries to the tree in a folder, which has `old_size` leaves.

    Args:
        folder: Where `tile/` stands.
        old_size: Leaves that a checkpoint speaks of.
        batches: Joined entries of 32 bytes each, in their order.
        expected: How many there are, which decides how they are checked.

    Raises:
        IntegrityError: What is stored is not what was written, or the old right edge is broken.
    """
    growing = _Growing(folder, old_size)
    with _second_pass(folder, expected // TILE_WIDTH) as check:
        for batch in batches:
            growing.add(batch, check)
    growing.finish()


def tops_of(tiles: bytes) -> bytes:
    """Return the joined roots of joined full tiles."""
    for _ in range(TILE_HEIGHT):
        tiles = parents_of(tiles)
    return tiles


class _Growing:
    """A tree in the making: what stands at its right edge, by level."""

    def __init__(self, folder: Path, old_size: int) -> None:
        self._folder = folder
        self._old_size = old_size
        reader = TileReader(folder_fetch(folder), old_size)
        first = old_size - old_size % TILE_WIDTH
        # Checked against their tile, which the old root is checked against.
        self._entries = b"".join(reader.entries(first, old_size))
        # Hashes at each level in whole tiles, and those of the partial tile.
        self._whole: list[int] = [first]
        self._edges: list[bytes] = [b""]
        level = 1
        while count := old_size >> (TILE_HEIGHT * level):
            whole = count - count % TILE_WIDTH
            self._whole.append(whole)
            self._edges.append(
                b"".join(reader.node(TILE_HEIGHT * level, place) for place in range(whole, count))
            )
            level += 1
        self._written: list[str] = []

    def add(self, batch: bytes, check: "Check") -> None:
        """Take entries; write the tiles that they fill."""
        self._entries += batch
        step = BATCH_TILES * TILE_WIDTH * ENTRY_BYTES
        tile = TILE_WIDTH * ENTRY_BYTES
        while len(self._entries) >= tile:
            now = min(step, len(self._entries) // tile * tile)
            self._leaves(self._entries[:now], check)
            self._entries = self._entries[now:]

    def _leaves(self, entries: bytes, check: "Check") -> None:
        """Write whole tiles of leaves and their bundles."""
        first = self._whole[0] // TILE_WIDTH
        leaves = leaf_hashes(entries, ENTRY_BYTES)
        bundles = _bundled(entries)
        for place in range(len(leaves) // TILE_BYTES):
            bundle = bundles[place * BUNDLE_BYTES : (place + 1) * BUNDLE_BYTES]
            self._put(bundle_path(first + place, TILE_WIDTH), bundle)
            self._put_tile(0, first + place, leaves[place * TILE_BYTES : (place + 1) * TILE_BYTES])
        self._whole[0] += len(leaves) // HASH_BYTES
        tops = tops_of(leaves)
        check(first, tops)
        self._raise(1, tops)

    def _raise(self, level: int, hashes: bytes) -> None:
        """Take the roots of whole tiles of the level below."""
        if level == len(self._edges):
            self._edges.append(b"")
            self._whole.append(0)
        self._edges[level] += hashes
        while len(self._edges[level]) >= TILE_BYTES:
            tile, self._edges[level] = (
                self._edges[level][:TILE_BYTES],
                self._edges[level][TILE_BYTES:],
            )
            name = self._put_tile(level, self._whole[level] // TILE_WIDTH, tile)
            if (self._folder / name).read_bytes() != tile:
                raise IntegrityError(f"'{name}' is not what was written", hint="check the disk")
            self._whole[level] += TILE_WIDTH
            self._raise(level + 1, tops_of(tile))

    def finish(self) -> None:
        """Write the partial tiles, and have the disk hold all of it."""
        width = len(self._entries) // ENTRY_BYTES
        if width:
            index = self._whole[0] // TILE_WIDTH
            self._put(bundle_path(index, width), _bundled(self._entries))
            self._put_tile(0, index, leaf_hashes(self._entries, ENTRY_BYTES))
        for level in range(1, len(self._edges)):
            if self._edges[level]:
                self._put_tile(level, self._whole[level] // TILE_WIDTH, self._edges[level])
        size = self._whole[0] + width
        first = self._old_size - self._old_size % TILE_WIDTH
        if size - first < CHECKED_APART_TILES * TILE_WIDTH:  # the others were checked apart
            for _ in TileReader(folder_fetch(self._folder), size).entries(first, size):
                pass
        _flush(self._folder, self._written)

    def _put_tile(self, level: int, index: int, hashes: bytes) -> str:
        return self._put(tile_path(Tile(level, index, len(hashes) // HASH_BYTES)), hashes)

    def _put(self, name: str, data: bytes) -> str:
        """Write a file that no checkpoint speaks of yet, so that a torn one harms nobody."""
        path = f"{self._folder}/{name}"
        try:
            descriptor = os.open(path, WRITING, 0o644)
        except FileNotFoundError:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, WRITING, 0o644)
        try:
            if os.write(descriptor, data) != len(data):
                raise UnavailableError(f"'{name}' was not written whole", hint="check the disk")
        finally:
            os.close(descriptor)
        self._written.append(path)
        return name


def _bundled(entries: bytes) -> bytes:
    """Return entries of 32 bytes behind their lengths. Source: tlog-tiles, "Log entries"."""
    rows = np.frombuffer(entries, np.uint8).reshape(-1, ENTRY_BYTES)
    made = np.empty((len(rows), 2 + ENTRY_BYTES), np.uint8)
    made[:, :2] = (0, ENTRY_BYTES)
    made[:, 2:] = rows
    return made.tobytes()


def _flush(folder: Path, written: list[str]) -> None:
    if len(written) > FLUSHED_SINGLY:
        os.sync()
        return
    paths = [Path(path) for path in written]
    folders = {parent for path in paths for parent in path.parents if folder in parent.parents}
    for path in [*paths, *folders, folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- the second pass --------------------------------------------------------------------

# A bit that flips in one leaf ended a public log: what is signed is hashed twice.


class Check:
    """Compares the roots of whole tiles with what a second pass finds; here, later."""

    def __call__(self, first: int, tops: bytes) -> None:
        """Hear of whole tiles that were stored, and their roots."""


class _CheckApart(Check):
    """Has a process of its own read and hash the stored tiles, one batch behind."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._asked: list[tuple[int, bytes]] = []

    def __call__(self, first: int, tops: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101  a pipe
        try:
            self._process.stdin.write(f"{first} {len(tops) // HASH_BYTES}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise IntegrityError("the second pass ended before the first") from None
        self._asked.append((first, tops))
        if len(self._asked) > 1:
            self.hear()

    def hear(self) -> None:
        """Compare the oldest answer."""
        assert self._process.stdout is not None  # noqa: S101  a pipe
        first, tops = self._asked.pop(0)
        answer = self._process.stdout.readline().strip()
        if answer != hashlib.sha256(tops).hexdigest():
            raise IntegrityError(
                f"what is stored from tile {first} on is not what was hashed",
                hint="check memory and disks, then integrate again",
            )

    def finish(self) -> None:
        """Compare the answers that are left."""
        while self._asked:
            self.hear()


@contextmanager
def _second_pass(folder: Path, tiles: int) -> Iterator[Check]:
    if tiles < CHECKED_APART_TILES:
        yield Check()
        return
    program = "from sayso.log.write import serve_checks; serve_checks()"
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            check = _CheckApart(process)
            yield check
            check.finish()
        finally:
            process.kill()


def serve_checks() -> None:
    """Answer each line `first count` with a digest of the roots of these tiles, as stored."""
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        first, count = map(int, line.split())
        try:
            found = hashlib.sha256(_stored_tops(folder, first, count)).hexdigest()
        except (OSError, ValueError) as error:
            found = f"{type(error).__name__}"
        sys.stdout.write(found + "\n")
        sys.stdout.flush()


def _stored_tops(folder: Path, first: int, count: int) -> bytes:
    """Return the joined roots of stored tiles, once their entries hash to them."""
    places = range(first, first + count)
    bundles = b"".join((folder / bundle_path(n, TILE_WIDTH)).read_bytes() for n in places)
    tiles = b"".join((folder / tile_path(Tile(0, n, TILE_WIDTH))).read_bytes() for n in places)
    rows = np.frombuffer(bundles, np.uint8).reshape(-1, 2 + ENTRY_BYTES)
    entries = np.ascontiguousarray(rows[:, 2:]).tobytes()
    if _bundled(entries) != bundles or leaf_hashes(entries, ENTRY_BYTES) != tiles:
        msg = "entries and hashes differ"
        raise ValueError(msg)
    return tops_of(tiles)
