"""Proofs in a sorted tree: that a tag is among its leaves, or that it is not.

Promises: pure; a proof has one form and holds against a root and a number of leaves that
the verifier brings. A leaf is tag ‖ digest, leaves are sorted by tag and no tag stands twice,
so that absence is shown by the two leaves between which the tag would stand. Whoever signed a
root over leaves out of order could hide one from these proofs: `parse_leaves` is the check of
that, and needs all the leaves.

Example:
    >>> leaves = b"".join(bytes([n]) * 64 for n in (1, 3, 5))
    >>> tree = SortedTree(leaves)
    >>> proof = tree.prove("standing", bytes([4]) * 32)
    >>> proof.found is None, proof.before.place, proof.after.place
    (True, 1, 2)
    >>> verify_membership(proof, tree.root, 3)

Source: RFC 6962 s2.1; `sayso.snapshot.seal` and `sayso.snapshot.standing` write the leaves.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sayso.attest.shape import either, fields, line, list_of, number, refuse, sha256, word
from sayso.canonical import canonical_json, parse_canonical
from sayso.errors import InputError, IntegrityError
from sayso.log.merkle import EMPTY_ROOT, HASH_BYTES, leaf_hash, node_hash, tree_root
from sayso.log.proofs import inclusion_proof, root_at, verify_inclusion

FORMAT = "sayso/membership/v1"
TAG_BYTES = HASH_BYTES
LEAF_BYTES = TAG_BYTES + HASH_BYTES
# 65,536 leaves: a perfect subtree.
BLOCK_BYTES = LEAF_BYTES << 16
# A tree of 2**63 leaves is no deeper.
MAX_HASHES = 63


@dataclass(frozen=True, slots=True)
class Placed:
    """A leaf, where it stands, and the way from it to the root."""

    tag: bytes
    digest: bytes
    place: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """What a proof claims of one tag in one tree.

    Attributes:
        tree: Which one: `standing`, or `bucket/0007`.
        tag: Whom or what it is about.
        found: The leaf; None where there is none, and then its neighbours tell.
        before: The last leaf whose tag is smaller; None where the tag would stand first.
        after: The first leaf whose tag is greater; None where it would stand last.
    """

    tree: str
    tag: bytes
    found: Placed | None
    before: Placed | None = None
    after: Placed | None = None

    def to_json(self) -> dict[str, object]:
        """Return the proof as plain values."""
        return {
            "format": FORMAT,
            "tree": self.tree,
            "tag": self.tag.hex(),
            "found": _placed_json(self.found),
            "before": _placed_json(self.before),
            "after": _placed_json(self.after),
        }

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_json(self.to_json())


# ---- proving ----------------------------------------------------------------------------


def parse_leaves(unverified: bytes) -> list[bytes]:
    """Return the leaves in joined bytes, each of `LEAF_BYTES`.

    Raises:
        InputError: They are not a whole number of leaves.
        IntegrityError: They are out of order, or a tag stands twice.
    """
    if len(unverified) % LEAF_BYTES:
        raise InputError(f"{len(unverified)} bytes are no leaves", hint=f"one has {LEAF_BYTES}")
    leaves = [unverified[at : at + LEAF_BYTES] for at in range(0, len(unverified), LEAF_BYTES)]
    for place, (one, following) in enumerate(pairwise(leaves)):
        if one[:TAG_BYTES] >= following[:TAG_BYTES]:
            raise IntegrityError(
                f"leaf {place + 1} is out of order, or its tag stands twice", place=place + 1
            )
    return leaves


def root_of_leaves(blocks: Iterable[bytes]) -> tuple[int, bytes]:
    """Return how many leaves joined blocks hold, and the RFC 6962 root over them.

    Holds one block in memory, and a hash for every power of two.

    Args:
        blocks: Each of `BLOCK_BYTES`, but the last, which may be shorter.

    Raises:
        InputError: They are not a whole number of leaves.
        IntegrityError: They are out of order, or a tag stands twice.
    """
    rows, last = 0, b""
    # Roots of perfect subtrees, and the rows of each, the larger the earlier.
    stack: list[tuple[int, bytes]] = []
    for block in blocks:
        leaves = parse_leaves(block)
        if leaves and rows and leaves[0][:TAG_BYTES] <= last:
            raise IntegrityError(f"leaf {rows} is out of order, or its tag stands twice")
        if leaves:
            last = leaves[-1][:TAG_BYTES]
            rows += len(leaves)
            stack.append((len(leaves), tree_root([leaf_hash(leaf) for leaf in leaves])))
        while len(stack) > 1 and stack[-2][0] == stack[-1][0]:
            (count, left), (_, right) = stack[-2:]
            stack[-2:] = [(2 * count, node_hash(left, right))]
    root = stack.pop()[1] if stack else EMPTY_ROOT
    while stack:
        root = node_hash(stack.pop()[1], root)
    return rows, root


class SortedTree:
    """All leaves of a tree, from which proofs are made.

    Args:
        leaves: Joined, of 64 bytes each.

    Raises:
        InputError: They are not a whole number of leaves.
        IntegrityError: They are out of order, or a tag stands twice.
    """

    def __init__(self, leaves: bytes) -> None:
        self._leaves = parse_leaves(leaves)
        self.tags = [leaf[:TAG_BYTES] for leaf in self._leaves]
        # Hashes of the perfect subtrees, level by level.
        self._levels = [[leaf_hash(leaf) for leaf in self._leaves]]
        while len(self._levels[-1]) > 1:
            pairs = iter(self._levels[-1])
            self._levels.append([node_hash(*two) for two in zip(pairs, pairs, strict=False)])

    @property
    def rows(self) -> int:
        """How many leaves there are."""
        return len(self._leaves)

    @property
    def root(self) -> bytes:
        """The RFC 6962 root over the leaves."""
        return root_at(self.rows, self._node)

    def _node(self, level: int, index: int) -> bytes:
        return self._levels[level][index]

    def prove(self, tree: str, tag: bytes) -> Membership:
        """Return the proof that a tag is among the leaves, or that it is not.

        Args:
            tree: What this tree is called, as `Membership` says.
            tag: 32 bytes.
        """
        place = bisect_left(self.tags, tag)
        if place < self.rows and self.tags[place] == tag:
            return Membership(tree, tag, self._placed(place))
        before = self._placed(place - 1) if place else None
        after = self._placed(place) if place < self.rows else None
        return Membership(tree, tag, None, before, after)

    def _placed(self, place: int) -> Placed:
        leaf = self._leaves[place]
        hashes = tuple(inclusion_proof(place, self.rows, self._node))
        return Placed(leaf[:TAG_BYTES], leaf[TAG_BYTES:], place, hashes)


# ---- verifying --------------------------------------------------------------------------


def verify_membership(unverified: Membership, root: bytes, rows: int) -> None:
    """Return where a proof holds: `found` is in the tree, or nothing with the tag is.

    Args:
        unverified: From anywhere.
        root: Of the tree; from what was signed.
        rows: Its leaves; from what was signed, else the last leaf could be any.

    Raises:
        IntegrityError: It does not hold.
    """
    found, before, after = unverified.found, unverified.before, unverified.after
    if found is not None:
        if before is not None or after is not None or found.tag != unverified.tag:
            raise IntegrityError("the proof shows another tag than it is about")
        _verify_placed(found, root, rows)
        return
    if before is None and after is None:
        if rows or root != EMPTY_ROOT:
            raise IntegrityError("the proof of absence shows no neighbour in a tree with leaves")
        return
    first = 0 if before is None else before.place + 1
    last = rows if after is None else after.place
    if first != last:
        raise IntegrityError("the leaves that the proof of absence shows are no neighbours")
    for placed in (before, after):
        if placed is not None:
            _verify_placed(placed, root, rows)
    if (before is not None and before.tag >= unverified.tag) or (
        after is not None and after.tag <= unverified.tag
    ):
        raise IntegrityError("the tag would not stand between the leaves that the proof shows")


def _verify_placed(placed: Placed, root: bytes, rows: int) -> None:
    leaf = leaf_hash(placed.tag + placed.digest)
    verify_inclusion(leaf, placed.place, rows, placed.hashes, root)


# ---- reading ----------------------------------------------------------------------------


def parse_membership(unverified: bytes) -> Membership:
    """Return the proof whose canonical bytes are exactly `unverified`.

    Raises:
        InputError: It is no proof.
        IntegrityError: It is not in canonical form.
    """
    return membership(parse_canonical(unverified), "proof")


def membership(value: Any, where: str) -> Membership:
    """Return the proof that plain values tell.

    Raises:
        InputError: They tell none; `where` is the path to them.
    """
    MEMBERSHIP(value, where)
    return Membership(
        value["tree"],
        bytes.fromhex(value["tag"]),
        _placed(value["found"]),
        _placed(value["before"]),
        _placed(value["after"]),
    )


def _placed(value: Any) -> Placed | None:
    if value is None:
        return None
    return Placed(
        bytes.fromhex(value["tag"]),
        bytes.fromhex(value["digest"]),
        value["place"],
        tuple(map(bytes.fromhex, value["hashes"])),
    )


def _placed_json(placed: Placed | None) -> dict[str, object] | None:
    if placed is None:
        return None
    return {
        "tag": placed.tag.hex(),
        "digest": placed.digest.hex(),
        "place": placed.place,
        "hashes": [one.hex() for one in placed.hashes],
    }


def _hashes(value: object, where: str) -> None:
    list_of(sha256)(value, where)
    if isinstance(value, Sequence) and len(value) > MAX_HASHES:
        refuse(where, f"at most {MAX_HASHES} hashes")


_PLACED = fields({"tag": sha256, "digest": sha256, "place": number, "hashes": _hashes})
MEMBERSHIP = fields(
    {
        "format": word(FORMAT),
        "tree": line,
        "tag": sha256,
        "found": either(_PLACED),
        "before": either(_PLACED),
        "after": either(_PLACED),
    }
)
