"""Writing tiles: a tree in a folder that grows at its right edge.

Promises: what a published checkpoint needs is never written into; when `extend` returns, the
disk holds the new tiles, and everything that leads from the new entries to the new root was
read back and hashed a second time. Does not sign, and does not know what an entry says:
entries are commitments of 32 bytes.

Life of an extension: the partial tile at the right edge is read back, with its entries; whole
tiles are written as they fill, leaves first, and each batch is hashed again by
`sayso.log.second`; partial tiles come last. A crash leaves files that no
checkpoint speaks of, and the next extension writes the same bytes over them.
"""

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sayso.errors import IntegrityError, UnavailableError
from sayso.log.bulk import leaf_hashes, parents_of
from sayso.log.merkle import HASH_BYTES
from sayso.log.second import ENTRY_BYTES, Second, bundled, write_file
from sayso.log.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileReader,
    bundle_path,
    folder_fetch,
    tile_path,
)

TILE_BYTES = TILE_WIDTH * HASH_BYTES
# Tiles written at once, two MiB of hashes.
BATCH_TILES = 256
# Up to so many files are flushed one by one; more cost less in one go.
FLUSHED_SINGLY = 64


def extend(folder: Path, old_size: int, batches: Iterable[bytes]) -> None:
    """Append entries to the tree in a folder, which has `old_size` leaves.

    Args:
        folder: Where `tile/` stands.
        old_size: Leaves that a checkpoint speaks of.
        batches: Joined entries of 32 bytes each, in their order.

    Raises:
        IntegrityError: What is stored is not what was written, or the old right edge is broken.
        UnavailableError: The disk does not take it.
    """
    with storage(), Second(folder) as second:
        growing = _Growing(folder, old_size, second)
        for batch in batches:
            growing.add(batch)
        second.finish()
        growing.finish()


def tops_of(tiles: bytes) -> bytes:
    """Return the joined roots of joined full tiles."""
    for _ in range(TILE_HEIGHT):
        tiles = parents_of(tiles)
    return tiles


class _Growing:
    """A tree in the making: what stands at its right edge, by level."""

    def __init__(self, folder: Path, old_size: int, second: Second) -> None:
        self._folder = folder
        self._second = second
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

    def add(self, batch: bytes) -> None:
        """Take entries; write the tiles that they fill."""
        entries = memoryview(self._entries + batch if self._entries else batch)
        tile = TILE_WIDTH * ENTRY_BYTES
        end = len(entries) // tile * tile
        for start in range(0, end, BATCH_TILES * tile):
            self._leaves(bytes(entries[start : min(end, start + BATCH_TILES * tile)]))
        self._entries = bytes(entries[end:])

    def _leaves(self, entries: bytes) -> None:
        """Write whole tiles of leaves; the second pass writes their bundles."""
        first = self._whole[0] // TILE_WIDTH
        leaves = leaf_hashes(entries, ENTRY_BYTES)
        for place in range(len(leaves) // TILE_BYTES):
            self._put_tile(0, first + place, leaves[place * TILE_BYTES : (place + 1) * TILE_BYTES])
        self._whole[0] += len(leaves) // HASH_BYTES
        tops = tops_of(leaves)
        self._written += self._second(first, entries, tops)
        self._raise(1, tops)

    def _raise(self, level: int, hashes: bytes) -> None:
        """Take the roots of whole tiles of the level below."""
        if level == len(self._edges):
            self._edges.append(b"")
            self._whole.append(0)
        self._edges[level] += hashes
        while len(self._edges[level]) >= TILE_BYTES:
            tile = self._edges[level][:TILE_BYTES]
            self._edges[level] = self._edges[level][TILE_BYTES:]
            stored = self._put_tile(level, self._whole[level] // TILE_WIDTH, tile)
            self._whole[level] += TILE_WIDTH
            tops = tops_of(tile)
            if tops_of(self._again(stored, tile)) != tops:
                raise _differs(stored)
            self._raise(level + 1, tops)

    def finish(self) -> None:
        """Write the partial tiles, hash them again, and have the disk hold all of it."""
        if self._entries:
            leaves = leaf_hashes(self._entries, ENTRY_BYTES)
            self._edges[0] = leaves
        for level, edge in enumerate(self._edges):
            count = self._whole[level] + len(edge) // HASH_BYTES
            # INVARIANT: a partial tile of the old width is one that a checkpoint may need.
            if not edge or count == self._old_size >> (TILE_HEIGHT * level):
                continue
            index = self._whole[level] // TILE_WIDTH
            if level == 0:
                bundle = bundle_path(index, len(edge) // HASH_BYTES)
                self._put(bundle, bundled(self._entries))
                self._again(bundle, bundled(self._entries))
            stored = self._again(self._put_tile(level, index, edge), edge)
            if level == 0 and leaf_hashes(self._entries, ENTRY_BYTES) != stored:
                raise _differs(tile_path(Tile(level, index, len(edge) // HASH_BYTES)))
        _flush(self._folder, self._written)

    def _again(self, name: str, data: bytes) -> bytes:
        """Return what was stored, which must be what was written."""
        stored = (self._folder / name).read_bytes()
        if stored != data:
            raise _differs(name)
        return stored

    def _put_tile(self, level: int, index: int, hashes: bytes) -> str:
        name = tile_path(Tile(level, index, len(hashes) // HASH_BYTES))
        self._put(name, hashes)
        return name

    def _put(self, name: str, data: bytes) -> None:
        """Write a file that no checkpoint speaks of yet, so that a torn one harms nobody."""
        path = f"{self._folder}/{name}"
        write_file(path, data)
        self._written.append(path)


def _differs(name: str) -> IntegrityError:
    return IntegrityError(
        f"'{name}' is not what was hashed", hint="check memory and disks, then integrate again"
    )


# ---- the disk ---------------------------------------------------------------------------


@contextmanager
def storage() -> Iterator[None]:
    """Turn what the disk complains of into an error for whoever keeps it."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"the log's files cannot be written ({error.strerror})",
            hint="check the disk, then integrate again",
        ) from error


def _flush(folder: Path, written: list[str]) -> None:
    if len(written) > FLUSHED_SINGLY:
        sync_disk(folder)
        return
    paths = [Path(path) for path in written]
    folders = {parent for path in paths for parent in path.parents if folder in parent.parents}
    for path in [*paths, *folders, folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_disk(folder: Path) -> None:
    """Have the disk under a folder hold everything, and say if it cannot. Source: syncfs(2)."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not hasattr(library, "syncfs"):  # not Linux
            os.sync()
        elif library.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
