"""Law 9: every admitted record's inclusion, and any other's absence, can be proved; one
flipped bit is noticed.

Over random sets of records in random buckets, as packs carry them; `tests/unit/evidence/
test_flips.py` flips every bit of a small snapshot and of small packs.
"""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.errors import InputError, IntegrityError
from sayso.evidence.merkle_proofs import SortedTree, parse_membership, verify_membership
from sayso.evidence.verify import verify_pack_bytes
from tests.unit.evidence.builders import GIVEN, Town, packed, record_of, tag_of

RECORDS = st.sets(st.integers(0, 255), max_size=40)


def leaf(number: int) -> bytes:
    tag, digest = (hashlib.sha256(b"%c%d" % (kind, number)).digest() for kind in b"td")
    return tag + digest


def tree_of(numbers: set[int]) -> SortedTree:
    return SortedTree(b"".join(sorted(leaf(number) for number in numbers)))


@given(admitted=RECORDS)
def test_law_9_inclusion_and_absence(admitted: set[int]) -> None:
    tree = tree_of(admitted)
    for number in range(256):
        proof = tree.prove("bucket/0001", leaf(number)[:32])
        verify_membership(parse_membership(proof.to_bytes()), tree.root, tree.rows)
        assert (proof.found is not None) == (number in admitted)
        assert proof.found is None or proof.found.digest == leaf(number)[32:]


@given(admitted=RECORDS, others=RECORDS, number=st.integers(0, 255))
def test_law_9_a_proof_holds_for_its_own_set(
    admitted: set[int], others: set[int], number: int
) -> None:
    tree, other = tree_of(admitted), tree_of(others)
    proof = tree.prove("bucket/0001", leaf(number)[:32])
    if (other.root, other.rows) == (tree.root, tree.rows):
        return
    with pytest.raises(IntegrityError):
        verify_membership(proof, other.root, other.rows)


@given(admitted=RECORDS, number=st.integers(0, 255), at=st.integers(0), bit=st.integers(0, 7))
def test_law_9_one_flipped_bit_of_a_proof(
    admitted: set[int], number: int, at: int, bit: int
) -> None:
    tree = tree_of(admitted)
    asked = leaf(number)[:32]
    broken = bytearray(tree.prove("bucket/0001", asked).to_bytes())
    broken[at % len(broken)] ^= 1 << bit
    with pytest.raises((InputError, IntegrityError)):  # noqa: PT012  any of these may notice
        proof = parse_membership(bytes(broken))
        verify_membership(proof, tree.root, tree.rows)
        # The tag and the tree that were asked about are the verifier's own.
        if (proof.tag, proof.tree) != (asked, "bucket/0001"):
            raise IntegrityError("the proof is of something else")


@given(
    buckets=st.dictionaries(
        st.sampled_from(["0000", "0001", "0512", "1023"]),
        st.sampled_from(["ann", "bo", "cy"]),
        min_size=1,
    ),
    records=st.integers(1, 5),
)
def test_law_9_packs(buckets: dict[str, str], records: int) -> None:
    who = sorted(set(buckets.values()))
    one_each: dict[str, list[str]] = {}
    for bucket, member in sorted(buckets.items()):
        if not any(member in members for members in one_each.values()):
            one_each[bucket] = [member]
    town = Town(buckets=one_each, records=records, standings={name: [] for name in who})
    assert verify_pack_bytes(packed(town.snapshot_pack(), "snapshot"), GIVEN).is_sound
    trees = {bucket: SortedTree(leaves) for bucket, leaves in town.leaves.items()}
    manifest: dict[str, Any] = town.manifest
    for bucket, (member,) in one_each.items():
        for number in range(records + 2):
            tag = tag_of(member, record_of(member, number)["record_id"])
            for name, tree in trees.items():
                listed = manifest["buckets"][name]
                proof = tree.prove(f"bucket/{name}", tag)
                verify_membership(proof, bytes.fromhex(listed["root"]), listed["rows"])
                assert (proof.found is not None) == (name == bucket and number < records)
