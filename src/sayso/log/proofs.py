r"""Proofs: that a leaf is in a tree, and that a tree grew out of a smaller one.

Promises: pure; proofs as in RFC 6962, found from the hashes of perfect subtrees, so that a proof
costs as many look-ups as it has hashes, times the logarithm of the size. What is verified is
exactly as long as it must be. Does not know where hashes are kept, and does not trust whoever
sent a proof.

Example:
    >>> from sayso.log.merkle import leaf_hash, tree_root
    >>> leaves = [leaf_hash(b"%d" % number) for number in range(5)]
    >>> node = lambda level, index: tree_root(leaves[index << level : (index + 1) << level])
    >>> proof = inclusion_proof(3, 5, node)
    >>> verify_inclusion(leaves[3], 3, 5, proof, root_at(5, node))
"""

from collections.abc import Callable, Sequence

from sayso.errors import InputError, IntegrityError
from sayso.log.merkle import EMPTY_ROOT, HASH_BYTES, node_hash

# (level, index) -> MTH(D[index * 2**level : (index + 1) * 2**level]), for those of these subtrees
# that are full in the tree that is asked about.
Node = Callable[[int, int], bytes]


def root_at(size: int, node: Node) -> bytes:
    """Return the root of the first `size` leaves. Source: RFC 6962 s2.1."""
    return _span_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Return the audit path of a leaf, from its sibling up. Source: RFC 6962 s2.1.1.

    Raises:
        InputError: The tree has no such leaf.
    """
    if not 0 <= index < size:
        raise InputError(f"there is no leaf {index} in a tree of {size}", index=index, size=size)
    proof, first, end = [], 0, size
    while end - first > 1:
        middle = _middle(first, end)
        if index < middle:
            proof.append(_span_hash(middle, end, node))
            end = middle
        else:
            proof.append(_span_hash(first, middle, node))
            first = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Return the proof that the tree of `new` leaves begins with that of `old`.

    From nothing, and to itself, the proof is empty. Source: RFC 6962 s2.1.2.

    Raises:
        InputError: The new tree is smaller than the old one.
    """
    if not 0 <= old <= new:
        raise InputError(f"a tree of {new} cannot hold one of {old}", old=old, new=new)
    if not old:
        return []
    proof, first, end = [], 0, new
    while old != end:
        middle = _middle(first, end)
        if old <= middle:
            proof.append(_span_hash(middle, end, node))
            end = middle
        else:
            proof.append(_span_hash(first, middle, node))
            first = middle
    if first:  # what is left is not the whole old tree, whose root the verifier has
        proof.append(_span_hash(first, end, node))
    return proof[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Verify that a leaf hash stands at an index under a root. Source: RFC 9162 s2.1.3.2.

    Raises:
        IntegrityError: It does not, or the proof is too short or too long.
    """
    if not 0 <= index < size:
        raise IntegrityError(f"leaf {index} lies outside a tree of {size}", index=index, size=size)
    _check_lengths([leaf, root, *proof])
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        if not last:
            raise IntegrityError("the inclusion proof is too long", index=index, size=size)
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            place, last = _up_past_left_edge(place, last)
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise IntegrityError("the inclusion proof is too short", index=index, size=size)
    if found != root:
        raise IntegrityError(
            f"the inclusion proof of leaf {index} does not lead to the root of {size} leaves",
            index=index,
            size=size,
        )


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Verify that a tree only grew: its first leaves are all of the old one's.

    Source: RFC 9162 s2.1.4.2; the empty tree, which it leaves out, begins every tree.

    Raises:
        IntegrityError: It did not, or the proof is too short or too long.
    """
    if not 0 <= old_size <= new_size:
        raise _disproved(old_size, new_size, f"a tree of {old_size} shrank to {new_size}")
    _check_lengths([old_root, new_root, *proof])
    if old_size in {0, new_size}:
        _verify_trivial(old_size, old_root, new_size, new_root, proof)
        return
    if not proof:
        raise _disproved(old_size, new_size, "the consistency proof is too short")
    # A full old tree is a node of the new one, so that the proof leaves its root out.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_found = new_found = path[0]
    for sibling in path[1:]:
        if not last:
            raise _disproved(old_size, new_size, "the consistency proof is too long")
        if place & 1 or place == last:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
            place, last = _up_past_left_edge(place, last)
        else:
            new_found = node_hash(new_found, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise _disproved(old_size, new_size, "the consistency proof is too short")
    for found, root, size in ((old_found, old_root, old_size), (new_found, new_root, new_size)):
        if found != root:
            why = f"the consistency proof does not lead to the root of {size} leaves"
            raise _disproved(old_size, new_size, why)


def _verify_trivial(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Verify growth from nothing, or none, neither of which needs a hash."""
    if proof:
        raise _disproved(old_size, new_size, "the consistency proof is too long")
    if not old_size and old_root != EMPTY_ROOT:
        raise _disproved(old_size, new_size, "the root of no leaves is another")
    if old_size == new_size and old_root != new_root:
        raise _disproved(old_size, new_size, f"there are two roots of {new_size} leaves")


def _disproved(old_size: int, new_size: int, why: str) -> IntegrityError:
    return IntegrityError(why, old_size=old_size, new_size=new_size)


def _check_lengths(hashes: Sequence[bytes]) -> None:
    for found in hashes:
        if len(found) != HASH_BYTES:
            raise IntegrityError(f"a hash of the proof has {len(found)} bytes, not {HASH_BYTES}")


def _up_past_left_edge(place: int, last: int) -> tuple[int, int]:
    """Pass over the levels on which a last node is alone, and so was carried up as it is."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _middle(first: int, end: int) -> int:
    """Return where RFC 6962 splits a range: after the largest power of two below its length."""
    return first + (1 << ((end - first - 1).bit_length() - 1))


def _span_hash(first: int, end: int, node: Node) -> bytes:
    """Return the hash of a range that splitting a tree led to.

    Such a range starts at a multiple of a power of two that is no shorter than it, so that it
    falls into perfect subtrees, the larger the earlier.
    """
    perfect = []
    while first < end:
        level = (end - first).bit_length() - 1
        perfect.append(node(level, first >> level))
        first += 1 << level
    found = perfect.pop()
    while perfect:
        found = node_hash(perfect.pop(), found)
    return found
