"""Law 9, of the log: inclusion and growth are proved, and one flipped bit is noticed.

Trees up to a million leaves, against the definition of RFC 6962.
"""

import functools
import hashlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sayso.errors import IntegrityError
from sayso.log.merkle import EMPTY_ROOT, leaf_hash
from sayso.log.proofs import (
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from sayso.log.tiles import (
    TILE_WIDTH,
    Bundle,
    TileReader,
    bundle_path,
    encode_bundle,
    parse_bundle,
    parse_path,
    tile_path,
    tiles_of,
)
from tests.unit.log.trees import Defined, below, entries, files_of, patterned

MILLION = 1_000_000
sizes = st.integers(1, MILLION) | st.integers(0, 20).map(lambda power: 1 << power)
node = patterned(b"%d".__mod__)


def leaf_at(index: int) -> bytes:
    return leaf_hash(b"%d" % (index % 16))


@functools.cache
def defined(first: int, end: int) -> bytes:
    """MTH(D[first:end]) by the definition; whole subtrees are alike, so that any size is cheap."""
    length = end - first
    if length == 1:
        return leaf_at(first)
    if first >= 16 and first % 16 == 0 and length & (length - 1) == 0:
        return defined(0, length)
    split = first + below(length)
    return hashlib.sha256(b"\x01" + defined(first, split) + defined(split, end)).digest()


def path(index: int, first: int, end: int) -> list[bytes]:
    """PATH by the definition."""
    if end - first == 1:
        return []
    split = first + below(end - first)
    if index < split:
        return [*path(index, first, split), defined(split, end)]
    return [*path(index, split, end), defined(first, split)]


def subproof(old: int, first: int, end: int, *, whole: bool) -> list[bytes]:
    """SUBPROOF by the definition."""
    if old == end:
        return [] if whole else [defined(first, end)]
    split = first + below(end - first)
    if old <= split:
        return [*subproof(old, first, split, whole=whole), defined(split, end)]
    return [*subproof(old, split, end, whole=False), defined(first, split)]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


@given(sizes, st.data())
@settings(max_examples=400)
def test_law_9_any_inclusion_in_up_to_a_million(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1) | st.sampled_from([0, size - 1]))
    root, proof = root_at(size, node), inclusion_proof(index, size, node)
    assert root == defined(0, size)
    assert proof == path(index, 0, size)
    verify_inclusion(leaf_at(index), index, size, proof, root)
    if proof:
        place, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
        proof[place] = flipped(proof[place], bit)
        with pytest.raises(IntegrityError):
            verify_inclusion(leaf_at(index), index, size, proof, root)


@given(sizes, sizes, st.data())
@settings(max_examples=400)
def test_law_9_any_growth_up_to_a_million(one: int, other: int, data: st.DataObject) -> None:
    old, new = sorted((one, other))
    proof = consistency_proof(old, new, node)
    assert proof == subproof(old, 0, new, whole=True)
    old_root, new_root = root_at(old, node), root_at(new, node)
    verify_consistency(old, old_root, new, new_root, proof)
    if proof:
        place, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
        proof[place] = flipped(proof[place], bit)
        with pytest.raises(IntegrityError):
            verify_consistency(old, old_root, new, new_root, proof)


@given(
    st.integers(-1, 2**64),
    st.integers(-1, 2**64),
    st.lists(st.binary(max_size=33) | st.just(EMPTY_ROOT), max_size=70),
)
def test_any_claimed_proof_is_refused_or_true(index: int, size: int, proof: list[bytes]) -> None:
    for hashes in (proof, [EMPTY_ROOT] * len(proof)):
        with pytest.raises(IntegrityError):
            verify_inclusion(EMPTY_ROOT, index, size, hashes, bytes(32))
        if size > 0 and index != size:
            with pytest.raises(IntegrityError):
                verify_consistency(index, bytes(32), size, EMPTY_ROOT, hashes)


@given(st.integers(0, 1200), st.data())
@settings(max_examples=20)
@example(256, None)
def test_tiles_hold_the_tree(size: int, data: st.DataObject | None) -> None:
    tree = Defined(entries(size))
    files = files_of(tree.leaves)
    reader = TileReader(files.get, size)
    assert reader.root() == tree.mth(0, size)
    assert list(reader.entries(0, size)) == tree.leaves
    assert {tile_path(tile) for tile in tiles_of(size)} == {
        path for path in files if "entries" not in path
    }
    if size and data is not None:
        old = data.draw(st.integers(1, size))
        assert reader.consistency_proof(old) == tree.proof(old, size)
        assert reader.inclusion_proof(old - 1) == tree.path(old - 1, 0, size)


@given(st.integers(0, 2**63 - 1), st.integers(1, TILE_WIDTH))
def test_paths_are_read_back(index: int, width: int) -> None:
    text = bundle_path(index, width)
    assert parse_path(text) == Bundle(index, width)
    assert len(text.removeprefix("tile/entries/").split(".")[0].split("/")[-1]) == 3


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=TILE_WIDTH))
def test_bundles_are_read_back(some: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(some)) == some
