"""Looking for what is left of somebody: every file, as it stands and as it reads."""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Hash functions that a digest without a key might come from.
HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")


def spelled(raw: bytes) -> set[bytes]:
    """Return the ways in which bytes may be written."""
    return {
        raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="), base64.b32encode(raw).rstrip(b"="),
    }  # fmt: skip


def digests(words: Iterable[str]) -> set[bytes]:
    """Return every unkeyed digest of some words, as it may be written; halves as well."""
    found: set[bytes] = set()
    for word in words:
        for name in HASHES:
            digest = hashlib.new(name, word.encode()).digest()
            for part in (digest, digest[: len(digest) // 2]):
                found |= spelled(part)
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
    """Return which of some words stand in which files below some folders."""
    wanted = sorted(words)
    found: set[tuple[str, bytes]] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            for text in texts_of(path):
                found |= {(str(path), word) for word in wanted if word in text}
        found |= {
            (str(path), word)
            for path in folder.rglob("*")
            for word in wanted
            if word in str(path.relative_to(folder)).encode()
        }
    return found
