"""RFC 6962 Merkle tree hashes.

Promises: pure functions over bytes. Does not store anything.

Example:
    >>> root_of([b""]) == leaf_hash(b"")
    True
"""

import hashlib
from collections.abc import Iterable

# RFC 6962 s2.1: the hash of an empty list.
EMPTY_ROOT: bytes = hashlib.sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf. Source: RFC 6962 s2.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node. Source: RFC 6962 s2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over the data of leaves, in order."""
    return tree_root([leaf_hash(leaf) for leaf in leaves])


def tree_root(hashes: list[bytes]) -> bytes:
    """Return the root over leaf hashes, in order.

    Level by level: RFC 6962 splits at the largest power of two below n, so that pairing
    neighbours and carrying an odd last one up gives the same tree.
    """
    if not hashes:
        return EMPTY_ROOT
    sha256 = hashlib.sha256
    while len(hashes) > 1:
        odd = hashes[-1:] if len(hashes) % 2 else []
        pairs = iter(hashes)
        hashes = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs, strict=False)
        ] + odd
    return hashes[0]
