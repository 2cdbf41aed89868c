"""Law 11: erasure leaves the root and all other proofs as they were."""

from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest

from sayso.ledger.commitments import commitments
from sayso.ledger.fsck import fsck
from sayso.ledger.versions import Version, every_version
from sayso.log import leaf_hash, tree_root
from sayso.snapshot import load_manifest
from sayso.snapshot.seal import bucket_root
from sayso.workspace import Workspace
from tests.differential.stored import Stored
from tests.traces import digests, traces
from tests.unit.ledger.builders import key_of
from tests.world import Ask, World, asks, random_world


def committed(workspace: Workspace) -> list[bytes]:
    """The commitment of every entry, in order, from the head and from the segments."""
    joined = b"".join(commitments(workspace.ledger, 0, workspace.ledger.size()))
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]


def keys_of(workspace: Workspace, ids: list[str]) -> dict[str, bytes]:
    found = {who: key_of(workspace.ledger, who) for who in ids}
    return {who: key for who, key in found.items() if key is not None}


def bucket_roots(workspace: Workspace, snapshot: Path, ids: list[str]) -> dict[str, str]:
    """The root of every bucket, row by row from the keys that there are."""
    keys = keys_of(workspace, ids)
    manifest = load_manifest(snapshot)
    return {n: bucket_root(snapshot / one.file, keys) for n, one in manifest.buckets.items()}


def replayed(folder: Path, seed: int) -> tuple[Stored, World, Random]:
    rng = Random(seed)
    world = random_world(seed, members=30, records=150, sound=True)
    stored = Stored(folder)
    half = len(world.history) // 2
    stored.replay(world.history[:half], bulk=True)
    stored.seal()
    stored.replay(world.history[half:])
    return stored, world, rng


@pytest.mark.parametrize("seed", range(3))
def test_roots_proofs_and_answers_stay(seed: int, tmp_path: Path) -> None:
    stored, world, rng = replayed(tmp_path, seed)
    workspace = stored.workspace
    asked = asks(world, seed, 4)
    content = stored.content(world.records, integer_ids=False)
    built = workspace.build(content, tmp_path / "first", at=asked[0].at)
    ids = sorted({one.member_id for one in world.records if one.member_id})
    entered, manifest = committed(workspace), built.manifest
    tables = [(v.entry, v.root, v.rows) for v in _versions(workspace)]
    masks = [stored.masks(world.records, ask, integer_ids=False) for ask in asked]

    gone: set[str] = set()
    for who in rng.sample(ids, min(4, len(ids))):
        workspace.erase(who)
        gone.add(who)
        now = committed(workspace)
        assert now[: len(entered)] == entered
        assert len(now) == len(entered) + len(gone)
        assert tree_root([leaf_hash(one) for one in now[: len(entered)]]) == tree_root(
            [leaf_hash(one) for one in entered]
        )
        assert [(v.entry, v.root, v.rows) for v in _versions(workspace)] == tables
        assert fsck(workspace.ledger).roots == len(tables)
        assert load_manifest(tmp_path / "first") == manifest
        roots = bucket_roots(workspace, tmp_path / "first", ids)
        assert roots == {number: one.root for number, one in manifest.buckets.items()}
        _same_answers(stored, world, asked, masks, gone)
    stored.workspace.close()


def _versions(workspace: Workspace) -> list[Version]:

    return every_version(workspace.ledger)


def _same_answers(
    stored: Stored, world: World, asked: list[Ask], masks: list[list[int]], gone: set[str]
) -> None:
    """Others are answered as before, at every (at, known); the erased are refused."""
    for ask, before in zip(asked, masks, strict=True):
        found = stored.masks(world.records, ask, integer_ids=False)
        for record, mask, now in zip(world.records, before, found, strict=True):
            if record.member_id in gone:
                assert now
            else:
                assert now == mask


def test_no_unkeyed_digest_of_an_id_or_a_text_anywhere(tmp_path: Path) -> None:
    stored, world, _ = replayed(tmp_path / "w", 2)
    workspace = stored.workspace
    content = stored.content(world.records, integer_ids=False)
    workspace.build(content, tmp_path / "first", at=asks(world, 2, 1)[0].at)
    texts = pq.read_table(content)["text"].to_pylist()
    ids = {one.member_id for one in world.records if one.member_id}
    records = {one.record_id for one in world.records if one.record_id}
    words = {*ids, *records, *texts}
    assert traces([workspace.path, tmp_path / "first"], digests(words)) == set()
    workspace.close()
