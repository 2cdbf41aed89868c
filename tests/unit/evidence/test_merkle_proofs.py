"""Proofs in sorted trees: what they show, and what nobody can show with them."""

import json
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import pytest

from sayso.canonical import canonical_json
from sayso.errors import InputError, IntegrityError
from sayso.evidence import merkle_proofs
from sayso.evidence.merkle_proofs import (
    LEAF_BYTES,
    Membership,
    SortedTree,
    parse_leaves,
    parse_membership,
    root_of_leaves,
    verify_membership,
)
from sayso.log.merkle import EMPTY_ROOT, root_of


def tag(number: int) -> bytes:
    return number.to_bytes(32)


def joined(*numbers: int) -> bytes:
    return b"".join(tag(number) + bytes([number]) * 32 for number in numbers)


def tree(rows: int) -> SortedTree:
    """Leaves at the odd numbers."""
    return SortedTree(joined(*range(1, 2 * rows, 2)))


@pytest.mark.parametrize("rows", range(18))
def test_every_tag_is_in_or_not(rows: int) -> None:
    made = tree(rows)
    assert made.rows == rows
    for number in range(2 * rows + 2):
        proof = made.prove("standing", tag(number))
        verify_membership(proof, made.root, rows)
        assert (proof.found is not None) == (number % 2 == 1 and number < 2 * rows)
        assert parse_membership(proof.to_bytes()) == proof


@pytest.mark.parametrize("rows", range(1, 10))
def test_no_two_leaves_but_neighbours_show_absence(rows: int) -> None:
    made = tree(rows)
    leaves = [made.prove("t", tag(2 * place + 1)).found for place in range(rows)]
    for number in range(2 * rows + 1):
        honest = made.prove("t", tag(number))
        for before, after in permutations([None, *leaves], 2):
            claimed = Membership("t", tag(number), None, before, after)
            if claimed == honest:
                verify_membership(claimed, made.root, rows)
                continue
            with pytest.raises(IntegrityError):
                verify_membership(claimed, made.root, rows)


def test_a_leaf_shows_its_own_tag_alone() -> None:
    made = tree(5)
    for one, other in combinations(range(5), 2):
        proof = made.prove("t", tag(2 * one + 1))
        with pytest.raises(IntegrityError):
            verify_membership(replace(proof, tag=tag(2 * other + 1)), made.root, 5)
    found = made.prove("t", tag(1))
    assert found.found is not None
    for wrong in (
        replace(found, found=replace(found.found, digest=bytes(32))),
        replace(found, found=replace(found.found, place=1)),
        replace(found, found=replace(found.found, hashes=found.found.hashes[:-1])),
        replace(found, before=found.found),
        replace(found, found=None),
    ):
        with pytest.raises(IntegrityError):
            verify_membership(wrong, made.root, 5)


def test_how_many_leaves_there_are_matters() -> None:
    made = tree(5)
    last = made.prove("t", tag(100))
    verify_membership(last, made.root, 5)
    for rows in (0, 4, 6):
        with pytest.raises(IntegrityError):
            verify_membership(last, made.root, rows)
    nobody = SortedTree(b"").prove("t", tag(1))
    verify_membership(nobody, EMPTY_ROOT, 0)
    for root, rows in ((made.root, 5), (EMPTY_ROOT, 5), (made.root, 0)):
        with pytest.raises(IntegrityError):
            verify_membership(nobody, root, rows)


def test_leaves_out_of_order_are_refused() -> None:
    for numbers in ((2, 1), (1, 1), (1, 3, 2), (3, 1, 2)):
        with pytest.raises(IntegrityError, match="out of order"):
            parse_leaves(joined(*numbers))
        with pytest.raises(IntegrityError, match="out of order"):
            SortedTree(joined(*numbers))
    for raw in (b"x", bytes(65), joined(1) + b"x"):
        with pytest.raises(InputError, match="are no leaves"):
            parse_leaves(raw)


@pytest.mark.parametrize("rows", [*range(20), 63, 64, 65])
def test_blocks_give_the_root(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = joined(*range(rows))
    parts = [leaves[at : at + 4 * LEAF_BYTES] for at in range(0, len(leaves), 4 * LEAF_BYTES)]
    expected = root_of([leaves[at : at + LEAF_BYTES] for at in range(0, len(leaves), LEAF_BYTES)])
    assert root_of_leaves(parts) == (rows, expected)
    assert root_of_leaves([leaves]) == (rows, expected)
    assert SortedTree(leaves).root == expected
    assert merkle_proofs.BLOCK_BYTES % LEAF_BYTES == 0


def test_order_is_checked_across_blocks() -> None:
    with pytest.raises(IntegrityError, match="out of order"):
        root_of_leaves([joined(1, 2), joined(2, 3)])
    with pytest.raises(InputError):
        root_of_leaves([joined(1, 2), b"x"])


@pytest.mark.parametrize(
    "change",
    [
        {"format": "sayso/membership/v2"}, {"tree": ""}, {"tag": "00"}, {"found": 1}, {"more": 1},
        {"before": {}}, {"after": []}, {"tag": None},
    ],
)  # fmt: skip
def test_what_is_no_proof(change: dict[str, Any]) -> None:
    value = tree(3).prove("t", tag(3)).to_json()
    with pytest.raises(InputError):
        parse_membership(canonical_json({**value, **change}))


def test_a_proof_has_one_form() -> None:
    proof = tree(3).prove("t", tag(2))
    raw = proof.to_bytes()
    with pytest.raises(IntegrityError):
        parse_membership(json.dumps(json.loads(raw)).encode())
    value: Any = json.loads(raw)
    value["before"]["hashes"] = ["00" * 32] * 64
    with pytest.raises(InputError, match="at most 63"):
        parse_membership(canonical_json(value))
