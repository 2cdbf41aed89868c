"""The commitment to every member's standing: who could be admitted as of the snapshot.

Promises: one leaf per member, sorted by tag, so that one member's standing can be shown, or
that none was committed to, by the two leaves between which it would stand. The same standings,
keys and question give the same bytes; a leaf tells nothing to whoever lacks the member's key,
and its tag is another in every snapshot.

A leaf is tag ‖ digest, 64 bytes: SHA-256 over the member's key and the question (purpose,
at, known); and over the key and the canonical bytes of country and reasons.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sayso.canonical import encode
from sayso.log.bulk import hashes_of, leaf_hashes, root_of_hashes
from sayso.model import reasons_of

TAG_LABEL, STANDING_LABEL = "sayso/standing-tag/v1", "sayso/standing/v1"
KEY_BYTES, LEAF_BYTES = 32, 64

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int32]


class Standings(NamedTuple):
    """What was committed to: how many leaves, and their RFC 6962 root in hex."""

    rows: int
    root: str


def standing_tag(key: bytes, purpose: str, at: str, known: int) -> bytes:
    """Return the tag of a member in the snapshot that answers a question."""
    return hashlib.sha256(key + tag_bytes(purpose, at, known)).digest()


def tag_bytes(purpose: str, at: str, known: int) -> bytes:
    """Return what a tag is made of besides the key."""
    return encode(TAG_LABEL, purpose, at, known)


def standing_digest(key: bytes, country: str, mask: int) -> bytes:
    """Return the digest of a member's standing."""
    return hashlib.sha256(key + standing_bytes(country, mask)).digest()


def standing_bytes(country: str, mask: int) -> bytes:
    """Return the canonical bytes of a standing: the country, and every reason of the member."""
    return encode(STANDING_LABEL, country, " ".join(str(reason) for reason in reasons_of(mask)))


def commit_standings(
    keys: Bytes, codes: Codes, standings: list[bytes], question: bytes, out: Path
) -> Standings:
    """Write the leaves, sorted by tag.

    Args:
        keys: Of the members, shape (members, 32).
        codes: Index into `standings`, shape (members,).
        standings: As `standing_bytes` gives them.
        question: As `tag_bytes` gives it.
        out: The file to write.
    """
    tags = _matrix(hashes_of(keys.tobytes(), KEY_BYTES, suffix=question))
    order = _order(tags)
    leaves = np.empty((len(keys), LEAF_BYTES), np.uint8)
    leaves[:, :KEY_BYTES] = tags[order]
    digests = np.empty((len(keys), KEY_BYTES), np.uint8)
    for code in np.flatnonzero(np.bincount(codes)) if len(codes) else ():
        rows = np.flatnonzero(codes == code)
        digests[rows] = _matrix(hashes_of(keys[rows].tobytes(), KEY_BYTES, suffix=standings[code]))
    leaves[:, KEY_BYTES:] = digests[order]
    joined = leaves.tobytes()
    out.write_bytes(joined)
    return Standings(len(keys), root_of_hashes(leaf_hashes(joined, LEAF_BYTES)).hex())


def _matrix(joined: bytes) -> Bytes:
    return np.frombuffer(joined, np.uint8).reshape(-1, KEY_BYTES)


def _order(tags: Bytes) -> npt.NDArray[np.int64]:
    words = tags.view(">u8").astype(np.uint64)
    order = np.argsort(words[:, 0])
    ordered = words[order, 0]
    if (ordered[1:] == ordered[:-1]).any():  # the first 64 bits of two tags are the same
        return np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0]))
    return order
