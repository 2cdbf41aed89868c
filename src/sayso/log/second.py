"""The second pass: what was stored is read back and hashed again before anybody signs.

Promises: whole tiles of leaves, their bundles, and the roots of the tiles are derived again
from the stored bytes and compared with what the first pass found; for many, in a process of
its own, which also writes the bundles. A bit that flipped in one leaf ended a public log.
Does not look at partial tiles or upper levels: `sayso.log.write` does, they are few.
"""

import fcntl
import hashlib
import os
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from sayso.errors import IntegrityError, UnavailableError
from sayso.log.bulk import leaf_hashes, parents_of
from sayso.log.merkle import HASH_BYTES
from sayso.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, bundle_path, tile_path

ENTRY_BYTES = 32
BUNDLE_BYTES = TILE_WIDTH * (2 + ENTRY_BYTES)
WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
# From here on a process of its own does it.
APART_TILES = 512
# Batches that the first pass may be ahead.
AHEAD = 2
PIPE_BYTES = 1 << 20
HEADER = struct.Struct(">QQ")


class Second:
    """The second pass, here and at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, first: int, entries: bytes, tops: bytes) -> list[str]:
        """Write the bundles of whole tiles that were stored; return their paths.

        Args:
            first: The number of the first tile.
            entries: Of all of them, joined.
            tops: The roots of the tiles, as the first pass found them.

        Raises:
            IntegrityError: The stored bytes lead to others.
        """
        written = write_bundles(self._folder, first, entries)
        self._compare(first, _digest(tops), derived(self._folder, first, len(written)))
        return written

    def finish(self) -> None:
        """Compare what is left."""

    @staticmethod
    def _compare(first: int, expected: bytes, found: bytes) -> None:
        if found != expected:
            raise IntegrityError(
                f"what is stored from tile {first} on is not what was hashed",
                hint="check memory and disks, then integrate again",
            )


class _Apart(Second):
    """The same in another process, some batches behind."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        super().__init__(folder)
        assert process.stdin is not None  # noqa: S101  pipes
        assert process.stdout is not None  # noqa: S101
        self._asking, self._hearing = process.stdin, process.stdout
        self._asked: deque[tuple[int, bytes]] = deque()

    def __call__(self, first: int, entries: bytes, tops: bytes) -> list[str]:
        """See `Second`; what is wrong shows later, in `finish` at the latest."""
        try:
            self._asking.write(HEADER.pack(first, len(entries)) + entries)
            self._asking.flush()
        except BrokenPipeError:
            raise _ended() from None
        self._asked.append((first, _digest(tops)))
        while len(self._asked) > AHEAD:
            self._hear()
        count = len(tops) // HASH_BYTES
        return [f"{self._folder}/{bundle_path(first + n, TILE_WIDTH)}" for n in range(count)]

    def finish(self) -> None:
        """See `Second`."""
        while self._asked:
            self._hear()

    def _hear(self) -> None:
        first, expected = self._asked.popleft()
        found = self._hearing.read(HASH_BYTES)
        if len(found) < HASH_BYTES:
            raise _ended()
        self._compare(first, expected, found)


def _ended() -> UnavailableError:
    return UnavailableError(
        "the second pass ended before the first", hint="check disk and memory, then try again"
    )


@contextmanager
def second_pass(folder: Path, tiles: int, lock: int | None = None) -> Iterator[Second]:
    """Yield the second pass over about so many tiles."""
    if tiles < APART_TILES:
        yield Second(folder)
        return
    program = "from sayso.log.second import serve; serve()"
    # INVARIANT: it holds the lock too. It may outlive us by a batch, and writes bundles until then.
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
        pass_fds=() if lock is None else (lock,),
    ) as process:
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux: so that one batch waits while one is hashed
            fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # type: ignore[arg-type]
        try:
            yield _Apart(folder, process)
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]


def serve() -> None:
    """Answer each batch with the digest of what is stored of it; of nothing, where it is broken."""
    with suppress(OSError):  # whoever asked hears no answer
        answer(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)


def answer(folder: Path, asked: IO[bytes], answers: IO[bytes]) -> None:
    """Write the bundles of each batch that comes, and say what its tiles lead to."""
    while len(header := asked.read(HEADER.size)) == HEADER.size:
        first, length = HEADER.unpack(header)
        written = write_bundles(folder, first, asked.read(length))
        answers.write(derived(folder, first, len(written)))
        answers.flush()


def write_bundles(folder: Path, first: int, entries: bytes) -> list[str]:
    """Write whole bundles; return their paths."""
    bundles, paths = bundled(entries), []
    for start in range(0, len(bundles), BUNDLE_BYTES):
        path = f"{folder}/{bundle_path(first + start // BUNDLE_BYTES, TILE_WIDTH)}"
        write_file(path, bundles[start : start + BUNDLE_BYTES])
        paths.append(path)
    return paths


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
    """Return the digest of the roots of stored tiles; of nothing where bundles do not hash to them.

    Raises:
        OSError: One of them cannot be read.
    """
    places = range(first, first + count)
    bundles = b"".join([_stored(f"{folder}/{bundle_path(n, TILE_WIDTH)}") for n in places])
    tiles = b"".join([_stored(f"{folder}/{tile_path(Tile(0, n, TILE_WIDTH))}") for n in places])
    if len(bundles) != count * BUNDLE_BYTES:
        return _digest(b"")
    rows = np.frombuffer(bundles, np.uint8).reshape(-1, 2 + ENTRY_BYTES)
    entries = np.ascontiguousarray(rows[:, 2:]).tobytes()
    if bundled(entries) != bundles or leaf_hashes(entries, ENTRY_BYTES) != tiles:
        return _digest(b"")
    for _ in range(TILE_HEIGHT):
        tiles = parents_of(tiles)
    return _digest(tiles)


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


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
