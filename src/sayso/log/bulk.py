"""Many hashes at once, for trees that are written and not only checked.

Promises: the hashes of `sayso.log.merkle`, over joined bytes and in bounded memory; see
`sayso.digests` for how. Not part of the verifier, which needs no NumPy.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sayso.digests import sha256_of_each
from sayso.log.merkle import EMPTY_ROOT, HASH_BYTES

LEAF_PREFIX, NODE_PREFIX = b"\x00", b"\x01"
# Messages hashed at once: bounds what is copied for them.
STEP_ROWS = 1 << 18


def hashes_of(joined: bytes, width: int, *, prefix: bytes = b"", suffix: bytes = b"") -> bytes:
    """Return the joined SHA-256 of prefix, each `width` bytes, and suffix."""
    rows = np.frombuffer(joined, np.uint8).reshape(-1, width)
    whole = len(prefix) + width + len(suffix)
    parts = []
    for start in range(0, len(rows), STEP_ROWS):
        some = rows[start : start + STEP_ROWS]
        made = np.empty((len(some), whole), np.uint8)
        made[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
        made[:, len(prefix) : len(prefix) + width] = some
        made[:, len(prefix) + width :] = np.frombuffer(suffix, np.uint8)
        ends = np.arange(0, made.size + 1, whole, dtype=np.int64)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(made)]
        messages = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(some), buffers)
        parts.append(sha256_of_each(pa.chunked_array([messages])))
    return b"".join(parts)


def leaf_hashes(joined: bytes, width: int) -> bytes:
    """Return the joined leaf hashes of joined leaves of one width. Source: RFC 6962 s2.1."""
    return hashes_of(joined, width, prefix=LEAF_PREFIX)


def parents_of(hashes: bytes) -> bytes:
    """Return the joined hashes of neighbouring pairs, an even number of hashes."""
    return hashes_of(hashes, 2 * HASH_BYTES, prefix=NODE_PREFIX)


def root_of_hashes(hashes: bytes) -> bytes:
    """Return the root over joined leaf hashes; see `merkle.tree_root`."""
    return roots_of_hashes(hashes, [len(hashes) // HASH_BYTES])[0]


def roots_of_hashes(hashes: bytes, leaves: Sequence[int]) -> list[bytes]:
    """Return the root of each of several trees, all raised a level at a time.

    Args:
        hashes: Their leaf hashes, joined, tree after tree.
        leaves: How many each tree has.
    """
    counts = np.asarray(leaves, np.int64)
    level = np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BYTES)
    while len(counts) and counts.max() > 1:
        level, counts = _raised(level, counts)
    roots = iter(level)
    return [next(roots).tobytes() if count else EMPTY_ROOT for count in counts.tolist()]


def _raised(
    level: npt.NDArray[np.uint8], counts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the next level of several trees: pairs hashed, an odd last one carried up."""
    above = (counts + 1) // 2
    starts, places = np.cumsum(counts) - counts, np.cumsum(above) - above
    odd = counts % 2 == 1
    is_pair, is_paired = np.ones(above.sum(), np.bool_), np.ones(len(level), np.bool_)
    is_pair[(places + above - 1)[odd]] = False
    is_paired[(starts + counts - 1)[odd]] = False
    made = np.empty((len(is_pair), HASH_BYTES), np.uint8)
    parents = parents_of(level[is_paired].tobytes())
    made[is_pair] = np.frombuffer(parents, np.uint8).reshape(-1, HASH_BYTES)
    made[~is_pair] = level[~is_paired]
    return made, above
