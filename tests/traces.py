"""Looking for what is left of somebody: every file, as it stands and as it reads."""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Hash functions that a digest without a key might come from.
HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")
# By so many bytes words are looked for first.
WINDOW_BYTES = 8


def spelled(raw: bytes) -> set[bytes]:
    """Return the ways in which bytes may be written."""
    return {
        raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="), base64.b32encode(raw).rstrip(b"="),
    }  # fmt: skip


def digests(words: Iterable[str]) -> set[bytes]:
    """Return the first half of every unkeyed digest of some words, as it may be written."""
    found: set[bytes] = set()
    for word in words:
        for name in HASHES:
            digest = hashlib.new(name, word.encode()).digest()
            found |= spelled(digest[: len(digest) // 2])
    return found


def texts_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, and what stands in it when it is Parquet."""
    raw = path.read_bytes()
    yield raw
    if raw[:4] == b"PAR1":
        values = [
            value if isinstance(value, bytes) else str(value).encode()
            for column in pq.read_table(path).columns
            for value in column.to_pylist()
            if value is not None
        ]
        yield b"\x00".join([*values, str(pq.read_metadata(path).to_dict()).encode()])
    elif raw[:2] == b"\x1f\x8b":
        yield zlib.decompress(raw, 31)
    elif raw[:4] == b"\x28\xb5\x2f\xfd":
        yield pa.CompressedInputStream(pa.py_buffer(raw), "zstd").read()


def traces(folders: Iterable[Path], words: Iterable[bytes]) -> set[tuple[str, bytes]]:
    """Return which of some words stand in which files below some folders, or in their names."""
    wanted = _Wanted(words)
    found: set[tuple[str, bytes]] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder)).encode()
            texts = [name, *texts_of(path)] if path.is_file() else [name]
            found |= {(str(path), word) for text in texts for word in wanted.among(text)}
    return found


class _Wanted:
    """Many words, looked for in one pass: by their first bytes, then whole."""

    def __init__(self, words: Iterable[bytes]) -> None:
        every = sorted(set(words))
        self._short = [word for word in every if len(word) < WINDOW_BYTES]
        self._long: dict[int, list[bytes]] = {}
        for word in every:
            if len(word) >= WINDOW_BYTES:
                first = int.from_bytes(word[:WINDOW_BYTES], "little")
                self._long.setdefault(first, []).append(word)
        self._firsts = np.array(sorted(self._long), np.uint64)

    def among(self, text: bytes) -> set[bytes]:
        """Return the words that stand in a text."""
        found = {word for word in self._short if word in text}
        raw = np.frombuffer(text, np.uint8)
        if len(raw) < WINDOW_BYTES or not len(self._firsts):
            return found
        windows = np.zeros(len(raw) - WINDOW_BYTES + 1, np.uint64)
        for place in range(WINDOW_BYTES):
            windows |= raw[place : place + len(windows)].astype(np.uint64) << np.uint64(8 * place)
        for first in np.intersect1d(windows, self._firsts).tolist():
            found |= {word for word in self._long[first] if word in text}
        return found
