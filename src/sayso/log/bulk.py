"""Many hashes at once, for trees that are written and not only checked.

Promises: the hashes of `sayso.log.merkle`, over joined bytes and in bounded memory. Not part
of the verifier, which needs no NumPy.
"""

import hashlib
from struct import iter_unpack

import numpy as np

from sayso.log.merkle import EMPTY_ROOT, HASH_BYTES

LEAF_PREFIX, NODE_PREFIX = b"\x00", b"\x01"
# Rows hashed at once: their digests are Python objects until they are joined.
STEP_ROWS = 1 << 18


def hashes_of(joined: bytes, width: int, *, prefix: bytes = b"", suffix: bytes = b"") -> bytes:
    """Return the joined SHA-256 of prefix, each `width` bytes, and suffix."""
    sha256 = hashlib.sha256
    rows = np.frombuffer(joined, np.uint8).reshape(-1, width)
    whole = len(prefix) + width + len(suffix)
    parts = []
    for start in range(0, len(rows), STEP_ROWS):
        some = rows[start : start + STEP_ROWS]
        made = np.empty((len(some), whole), np.uint8)
        made[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
        made[:, len(prefix) : len(prefix) + width] = some
        made[:, len(prefix) + width :] = np.frombuffer(suffix, np.uint8)
        messages = iter_unpack(f"{whole}s", made.tobytes())
        parts.append(b"".join([sha256(message).digest() for (message,) in messages]))
    return b"".join(parts)


def leaf_hashes(joined: bytes, width: int) -> bytes:
    """Return the joined leaf hashes of joined leaves of one width. Source: RFC 6962 s2.1."""
    return hashes_of(joined, width, prefix=LEAF_PREFIX)


def parents_of(hashes: bytes) -> bytes:
    """Return the joined hashes of neighbouring pairs, an even number of hashes."""
    return hashes_of(hashes, 2 * HASH_BYTES, prefix=NODE_PREFIX)


def root_of_hashes(hashes: bytes) -> bytes:
    """Return the root over joined leaf hashes; see `merkle.tree_root`."""
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > HASH_BYTES:
        pairs = len(hashes) // (2 * HASH_BYTES) * 2 * HASH_BYTES
        hashes = parents_of(hashes[:pairs]) + hashes[pairs:]
    return hashes
