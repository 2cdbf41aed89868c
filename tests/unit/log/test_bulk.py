"""Many hashes at once are the hashes of the definition."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.digests import FEW_ROWS
from sayso.log import bulk, leaf_hash, tree_root
from sayso.log.bulk import hashes_of, root_of_hashes, roots_of_hashes

HASHES = [leaf_hash(b"%d" % number) for number in range(5000)]


@pytest.mark.parametrize("rows", [0, 1, 3, FEW_ROWS + 5])
def test_prefix_and_suffix_stand_around_each(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "STEP_ROWS", FEW_ROWS + 2)
    parts = [number.to_bytes(5) for number in range(rows)]
    expected = b"".join(sha256(b"<" + one + b">>").digest() for one in parts)
    assert hashes_of(b"".join(parts), 5, prefix=b"<", suffix=b">>") == expected


@pytest.mark.parametrize("size", [*range(70), 1023, 1024, 1025, 5000])
def test_a_root_is_that_of_the_definition(size: int) -> None:
    assert root_of_hashes(b"".join(HASHES[:size])) == tree_root(HASHES[:size])


@given(st.lists(st.integers(0, 40), max_size=12))
def test_trees_side_by_side_do_not_touch(leaves: list[int]) -> None:
    ends = [sum(leaves[: place + 1]) for place in range(len(leaves))]
    trees = [HASHES[end - size : end] for end, size in zip(ends, leaves, strict=True)]
    joined = b"".join(b"".join(tree) for tree in trees)
    assert roots_of_hashes(joined, leaves) == [tree_root(tree) for tree in trees]
