import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.log import EMPTY_ROOT, leaf_hash, node_hash, root_of, tree_root

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "rfc6962.json").read_text(encoding="utf-8")
)
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 s2.1 writes it: split at the largest power of two below n."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = defined_root(leaves[:split]), defined_root(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_no_leaves_have_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == VECTORS["empty"] == root_of([]).hex() == tree_root([]).hex()


@pytest.mark.parametrize("size", range(1, 9))
def test_the_published_roots(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == VECTORS["roots"][size - 1]


def test_the_published_roots_of_the_definition() -> None:
    roots = [defined_root(LEAVES[:size]).hex() for size in range(1, 9)]
    assert roots == VECTORS["roots"]


@pytest.mark.parametrize("size", [*range(301), 512, 513, 1000, 1023])
def test_level_by_level_is_the_recursive_definition(size: int) -> None:
    leaves = [b"%d" % number for number in range(size)]
    assert tree_root([leaf_hash(leaf) for leaf in leaves]) == defined_root(leaves)


def test_the_argument_stays_as_it_was() -> None:
    hashes = [leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")]
    before = list(hashes)
    tree_root(hashes)
    assert hashes == before


def test_a_leaf_is_never_a_node() -> None:
    a, b = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(a + b) != node_hash(a, b)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=40), st.data())
def test_any_flipped_bit_changes_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 1))
    changed = list(leaves)
    leaf = bytearray(leaves[place] or b"\x00")
    leaf[data.draw(st.integers(0, len(leaf) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed[place] = bytes(leaf)
    assert root_of(changed) != root_of(leaves)


@given(st.lists(st.binary(max_size=8), max_size=40), st.integers(0, 6))
def test_whole_subtrees_may_be_hashed_apart(leaves: list[bytes], height: int) -> None:
    hashes = [leaf_hash(leaf) for leaf in leaves]
    width = 1 << height
    subtrees = [tree_root(hashes[at : at + width]) for at in range(0, len(hashes), width)]
    assert tree_root(subtrees) == tree_root(hashes)
