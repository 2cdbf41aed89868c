import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sayso.errors import InputError, IntegrityError
from sayso.log.merkle import EMPTY_ROOT, leaf_hash
from sayso.log.proofs import (
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.log.trees import Defined, entries

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "rfc6962.json").read_text(encoding="utf-8")
)
CT = Defined([bytes.fromhex(leaf) for leaf in VECTORS["leaves"]])
ROOTS = [bytes.fromhex(VECTORS["empty"]), *map(bytes.fromhex, VECTORS["roots"])]

# Hashes that the published proofs are made of. Source: the tests of Certificate Transparency's
# reference implementation of RFC 6962, over the eight leaves of VECTORS.
H1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
H23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
H47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
H4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
H45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
H67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
H03 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
H01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize(
    ("index", "size", "published"),
    [
        (0, 1, []),
        (0, 8, [H1, H23, H47]),
        (5, 8, [H4, H67, H03]),
        (2, 3, [H01]),
        (1, 5, [H0, H23, H4]),
    ],
)
def test_the_published_inclusion_proofs(index: int, size: int, published: list[str]) -> None:
    proof = inclusion_proof(index, size, CT.node)
    assert [found.hex() for found in proof] == published
    verify_inclusion(leaf_hash(CT.leaves[index]), index, size, proof, ROOTS[size])


@pytest.mark.parametrize(
    ("old", "new", "published"),
    [(1, 1, []), (1, 8, [H1, H23, H47]), (6, 8, [H45, H67, H03]), (2, 5, [H23, H4])],
)
def test_the_published_consistency_proofs(old: int, new: int, published: list[str]) -> None:
    proof = consistency_proof(old, new, CT.node)
    assert [found.hex() for found in proof] == published
    verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)


def test_every_inclusion_proof_of_small_trees_is_the_definition() -> None:
    tree = Defined(entries(300))
    hashes = [leaf_hash(one) for one in tree.leaves]
    for size in range(1, 301):
        root = root_at(size, tree.node)
        assert root == tree.mth(0, size)
        for index in range(size):
            proof = inclusion_proof(index, size, tree.node)
            assert proof == tree.path(index, 0, size)
            verify_inclusion(hashes[index], index, size, proof, root)


def test_every_consistency_proof_of_small_trees_is_the_definition() -> None:
    tree = Defined(entries(300))
    roots = [tree.mth(0, size) for size in range(301)]
    for new in range(301):
        for old in range(new + 1):
            proof = consistency_proof(old, new, tree.node)
            assert proof == (tree.proof(old, new) if old else [])
            verify_consistency(old, roots[old], new, roots[new], proof)


def flips(data: bytes) -> Iterator[bytes]:
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def refused(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except IntegrityError:
        return True
    return False


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 11])
def test_one_flipped_bit_breaks_an_inclusion_proof(size: int) -> None:
    tree = Defined(entries(size))
    root = tree.mth(0, size)
    for index in range(size):
        leaf, proof = leaf_hash(tree.leaves[index]), tree.path(index, 0, size)
        for place, found in enumerate(proof):
            for bad in flips(found):
                broken = [*proof[:place], bad, *proof[place + 1 :]]
                assert refused(lambda: verify_inclusion(leaf, index, size, broken, root))  # noqa: B023
        for bad in flips(leaf):
            assert refused(lambda: verify_inclusion(bad, index, size, proof, root))  # noqa: B023
        for bad in flips(root):
            assert refused(lambda: verify_inclusion(leaf, index, size, proof, bad))  # noqa: B023


@pytest.mark.parametrize("new", [2, 5, 8, 11])
def test_one_flipped_bit_breaks_a_consistency_proof(new: int) -> None:
    tree = Defined(entries(new))
    new_root = tree.mth(0, new)
    for old in range(1, new):
        old_root, proof = tree.mth(0, old), tree.proof(old, new)
        for place, found in enumerate(proof):
            for bad in flips(found):
                broken = [*proof[:place], bad, *proof[place + 1 :]]
                assert refused(lambda: verify_consistency(old, old_root, new, new_root, broken))  # noqa: B023
        for bad in flips(old_root):
            assert refused(lambda: verify_consistency(old, bad, new, new_root, proof))  # noqa: B023
        for bad in flips(new_root):
            assert refused(lambda: verify_consistency(old, old_root, new, bad, proof))  # noqa: B023


def test_a_proof_is_exactly_as_long_as_it_must_be() -> None:
    tree = Defined(entries(40))
    for size in range(1, 41):
        root = tree.mth(0, size)
        for index in range(size):
            leaf, proof = leaf_hash(tree.leaves[index]), tree.path(index, 0, size)
            with pytest.raises(IntegrityError, match="too long"):
                verify_inclusion(leaf, index, size, [*proof, root], root)
            if proof:
                with pytest.raises(IntegrityError, match="too short"):
                    verify_inclusion(leaf, index, size, proof[:-1], root)
        for old in range(size + 1):
            proof = consistency_proof(old, size, tree.node)
            with pytest.raises(IntegrityError, match="too long"):
                verify_consistency(old, tree.mth(0, old), size, root, [*proof, root])
            if proof:
                with pytest.raises(IntegrityError, match="too short"):
                    verify_consistency(old, tree.mth(0, old), size, root, proof[:-1])


def test_hashes_have_32_bytes() -> None:
    tree = Defined(entries(3))
    root, leaf = tree.mth(0, 3), leaf_hash(tree.leaves[2])
    with pytest.raises(IntegrityError, match="has 31 bytes"):
        verify_inclusion(leaf, 2, 3, [tree.mth(0, 2)[:-1]], root)
    with pytest.raises(IntegrityError, match="has 0 bytes"):
        verify_consistency(3, root, 3, b"", [])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_leaf_outside_the_tree(index: int, size: int) -> None:
    tree = Defined(entries(3))
    with pytest.raises(InputError, match=f"no leaf {index} in a tree of {size}"):
        inclusion_proof(index, size, tree.node)
    with pytest.raises(IntegrityError, match="outside a tree"):
        verify_inclusion(leaf_hash(b""), index, size, [], EMPTY_ROOT)


@pytest.mark.parametrize(("old", "new"), [(4, 3), (-1, 3)])
def test_no_tree_shrinks(old: int, new: int) -> None:
    tree = Defined(entries(3))
    with pytest.raises(InputError, match="cannot hold"):
        consistency_proof(old, new, tree.node)
    with pytest.raises(IntegrityError, match="shrank"):
        verify_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, [])


def test_nothing_begins_every_tree_but_has_one_root() -> None:
    root = Defined(entries(3)).mth(0, 3)
    verify_consistency(0, EMPTY_ROOT, 3, root, [])
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    with pytest.raises(IntegrityError, match="no leaves"):
        verify_consistency(0, root, 3, root, [])
    with pytest.raises(IntegrityError, match="two roots of 3"):
        verify_consistency(3, root, 3, EMPTY_ROOT, [])
    assert root_at(0, Defined([]).node) == EMPTY_ROOT


def test_another_history_of_the_same_leaves_but_one_is_noticed() -> None:
    one = Defined(entries(20))
    other = Defined([*entries(12), b"another", *entries(20)[13:]])
    for old in range(13, 20):
        with pytest.raises(IntegrityError, match="does not lead to the root"):
            verify_consistency(old, one.mth(0, old), 20, other.mth(0, 20), other.proof(old, 20))
