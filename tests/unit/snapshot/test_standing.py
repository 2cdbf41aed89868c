"""The commitment to every member's standing: rebuilt leaf by leaf, shown, and shown absent."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from sayso.canonical import encode
from sayso.ledger import schema
from sayso.log import leaf_hash, tree_root
from sayso.model import Choice, Reason
from sayso.snapshot import standing
from sayso.snapshot.manifest import load_manifest
from sayso.snapshot.standing import (
    LEAF_BYTES,
    commit_standings,
    standing_bytes,
    standing_digest,
    standing_tag,
    tag_bytes,
)
from tests.unit.snapshot.builders import AT, Town

QUESTION = tag_bytes("p", "2026-01-01T00:00:00Z", 7)
STANDINGS = [standing_bytes("HK", 0), standing_bytes("GB", 1 << 12), standing_bytes("unknown", 2)]


def keys_of(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32)).astype(np.uint8)


def leaves_of(raw: bytes) -> list[bytes]:
    return [raw[at : at + LEAF_BYTES] for at in range(0, len(raw), LEAF_BYTES)]


@given(count=st.integers(0, 70), seed=st.integers(0, 5))
def test_the_leaves_are_those_of_the_definition(
    tmp_path_factory: pytest.TempPathFactory, count: int, seed: int
) -> None:
    out = tmp_path_factory.mktemp("standing") / "standing.bin"
    keys = keys_of(count, seed)
    codes = np.random.default_rng(seed).integers(0, 3, count).astype(np.int32)
    made = commit_standings(keys, codes, STANDINGS, QUESTION, out)
    expected = sorted(
        hashlib.sha256(key.tobytes() + QUESTION).digest()
        + hashlib.sha256(key.tobytes() + STANDINGS[code]).digest()
        for key, code in zip(keys, codes, strict=True)
    )
    assert leaves_of(out.read_bytes()) == expected
    assert made.rows == count
    assert made.root == tree_root([leaf_hash(leaf) for leaf in expected]).hex()


def test_tags_that_begin_alike_are_sorted_to_their_end() -> None:
    tags = np.zeros((4, 32), np.uint8)
    tags[:, 31] = [3, 1, 2, 0]
    assert standing._order(tags).tolist() == [3, 1, 2, 0]


def test_a_standing_names_its_country_and_reasons() -> None:
    mask = sum(1 << list(Reason).index(one) for one in (Reason.ON_HOLD, Reason.CHOSEN_OFF))
    assert standing_bytes("HK", mask) == encode("sayso/standing/v1", "HK", "ON_HOLD CHOSEN_OFF")


def test_every_member_of_a_snapshot_can_be_shown(town: Town, tmp_path: Path) -> None:
    """Also the one whose off came last: leaving it out would leave out a leaf, or change it."""
    workspace = town.workspace
    workspace.choose("7", Choice.OFF, effective_at=AT)
    built = workspace.build(town.content, tmp_path / "s", at=AT)
    manifest = load_manifest(built.path)
    leaves = set(leaves_of((built.path / "evidence" / "standing.bin").read_bytes()))
    table = schema.member_key
    with workspace.ledger.reading() as con:
        keys = {row.member_id: bytes(row.key) for row in con.execute(sa.select(table))}
    assert len(leaves) == manifest.standing.rows == len(keys)
    for who, key in keys.items():
        found = workspace.decide(who, at=AT, known=manifest.known)
        mask = sum(1 << list(Reason).index(one) for one in found.decision.reasons)
        country = found.jurisdiction.country if found.jurisdiction else "unknown"
        tag = standing_tag(key, manifest.purpose, manifest.at, manifest.known)
        assert tag + standing_digest(key, country, mask) in leaves, who
