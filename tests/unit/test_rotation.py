"""Another key for the log and for statements: old evidence holds, and no stranger's key does."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sayso import rotation
from sayso.attest.handover import log_payload, statements_payload
from sayso.attest.keys import PublicKey, SigningKey
from sayso.attest.trust import load_trust
from sayso.canonical import PUBLIC_KEY, canonical_json, commit, encode, parse_canonical
from sayso.decision.states import microseconds
from sayso.errors import ConflictError, InputError, IntegrityError, UnavailableError
from sayso.evidence.case import Given
from sayso.evidence.checks import Report
from sayso.evidence.container import pack_bytes, read_pack
from sayso.evidence.files import PackFiles
from sayso.evidence.pack_hold import pack_hold
from sayso.evidence.packs import Source
from sayso.evidence.verify import verify_folder, verify_pack_bytes, verify_path
from sayso.ledger.fsck import fsck
from sayso.ledger.integrate import published_note
from sayso.ledger.logged import check_log, export_log
from sayso.log import Checkpoint, Note, Proof, SignerKey, parse_note, parse_policy, sign
from sayso.log.merkle import leaf_hash, tree_root
from sayso.opening import open_workspace
from sayso.rotation import finish_log_handover, rotate_key
from sayso.snapshot import load_records
from sayso.workspace import Workspace
from tests.town import AT, Clock
from tests.unit.snapshot.builders import Town, copy_town, make_town


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Given, Given]:
    """A town that was handed over, with a snapshot from before and one from after.

    Returns:
        Its folder, and what a verifier brings who knows the old keys, or the new ones.
    """
    folder = tmp_path_factory.mktemp("rotated")
    town = make_town(folder)
    workspace = town.workspace
    workspace.build(town.content, folder / "before", at=AT)
    old = Given((workspace.trust.key.public,), workspace.trust.policy_bytes)
    rotate_key(workspace, "statements")
    rotate_key(workspace, "log")
    workspace.build(town.content, folder / "during", at=AT)
    finish_log_handover(workspace)
    workspace.build(town.content, folder / "after", at=AT)
    vkey = workspace.trust.log.verifier().to_text()
    new = Given((workspace.trust.key.public,), f"log {vkey}\nquorum none\n".encode())
    town.close()
    return folder, old, new


@pytest.fixture
def town(rotated: tuple[Path, Given, Given], tmp_path: Path) -> Iterator[Town]:
    mine = copy_town(rotated[0], tmp_path / "town")
    yield mine
    mine.close()


def names(report: Report) -> list[str]:
    return [one.name for one in report.checks]


def failed(report: Report) -> str:
    assert not report.is_sound, report.lines()
    return f"{report.checks[-1].name}: {report.checks[-1].words}"


# ---- what holds -------------------------------------------------------------------------


def test_old_and_new_evidence_holds_for_whoever_knows_the_old_keys(
    rotated: tuple[Path, Given, Given],
) -> None:
    folder, old, _ = rotated
    for name, has_handover in (("before", False), ("during", True), ("after", True)):
        report = verify_path(folder / name, old)
        assert report.is_sound, report.lines()
        assert ("handovers" in names(report)) is has_handover
        assert verify_path(folder / name, Given()).is_sound
    (told,) = [one for one in verify_path(folder / "after", old).checks if one.name == "handovers"]
    assert told.words.startswith(
        "2 handovers to a new key, 1 of the log's and 1 of the statements'"
    )


def test_new_evidence_holds_for_whoever_knows_the_new_keys_alone(
    rotated: tuple[Path, Given, Given],
) -> None:
    folder, old, new = rotated
    assert verify_path(folder / "after", new).is_sound
    assert verify_path(folder / "during", new).is_sound
    # What only the old key of the log signed needs somebody who believes it.
    assert "none of the given keys signed" in failed(verify_path(folder / "before", new))
    mixed = replace(new, policy=old.policy)
    assert verify_path(folder / "after", mixed).is_sound


def test_a_pack_shows_what_was_signed_before_and_after(
    town: Town, rotated: tuple[Path, Given, Given], tmp_path: Path
) -> None:
    _, old, new = rotated
    workspace = town.workspace
    source = Source(workspace.ledger, workspace.trust, microseconds(AT))
    pack_hold(source, "hk-2024-10-11", tmp_path / "hold.zip")
    files = read_pack(tmp_path / "hold.zip").files
    assert len([name for name in files if name.startswith("snapshots/")]) == 6
    for given in (old, new, Given()):
        report = verify_path(tmp_path / "hold.zip", given)
        assert report.is_sound, report.lines()


def test_the_workspace_goes_on(town: Town, rotated: tuple[Path, Given, Given]) -> None:
    _, old, _ = rotated
    workspace = town.workspace
    assert fsck(workspace.ledger).size == workspace.ledger.size()
    assert check_log(workspace.ledger, workspace.trust.policy).waiting == 0
    assert load_records(town.folder / "before").num_rows
    # An erasure in a snapshot of the old key is told of under the new one.
    member = str(load_records(town.folder / "before")["member_id"][0])
    workspace.erase(member)
    workspace.integrate()
    assert member not in load_records(town.folder / "before")["member_id"].to_pylist()
    for given in (old, Given()):
        report = verify_path(town.folder / "before", given)
        assert report.is_sound, report.lines()
        assert {"handovers", "erasures"} <= set(names(report))
    export_log(workspace.ledger, workspace.trust.policy_bytes, town.folder / "public")
    assert len(list((town.folder / "public" / "handovers").iterdir())) == 4
    entries = (town.folder / "public" / "public.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["kind"] == "key" for line in entries) == 2
    again = open_workspace(workspace.path, Clock())
    assert len(again.trust.keys) == 2
    again.close()


def test_both_keys_sign_while_the_log_is_handed_over(tmp_path: Path) -> None:
    town = make_town(tmp_path)
    workspace = town.workspace
    before = parse_policy(workspace.trust.policy_bytes)
    rotate_key(workspace, "log")
    with pytest.raises(ConflictError, match="under way"):
        rotate_key(workspace, "log")
    workspace.choose("m0001", "off")
    workspace.integrate()
    note = published_note(workspace.ledger)
    assert note is not None
    assert len(parse_note(note).signatures) == 2
    # Whoever knows the old key alone still reads the log, and so does who knows the new one.
    assert before.check(note).checkpoint.size == workspace.ledger.size()
    alone = f"log {workspace.trust.log.verifier().to_text()}\nquorum none\n"
    assert parse_policy(alone.encode()).check(note)
    finish_log_handover(workspace)
    with pytest.raises(InputError, match="no handover"):
        finish_log_handover(workspace)
    assert not (workspace.path / "keys" / "log.old.key").exists()
    workspace.choose("m0001", "on")
    workspace.integrate()
    note = published_note(workspace.ledger)
    assert note is not None
    assert len(parse_note(note).signatures) == 1
    with pytest.raises(IntegrityError, match="no signature is by a known key"):
        before.check(note)
    rotate_key(workspace, "log")  # and another time
    assert check_log(workspace.ledger, workspace.trust.policy).waiting == 0
    town.close()


# ---- what does not ----------------------------------------------------------------------


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_new_key_that_nobody_announced_is_refused(rotated: tuple[Path, Given, Given]) -> None:
    folder, old, _ = rotated
    files = {
        name: raw
        for name, raw in files_of(folder / "after").items()
        if not name.startswith("evidence/handovers/")
    }
    bare = verify_folder(lambda: PackFiles(files), old)
    assert "none of the given keys signed" in failed(bare)
    stranger = Given((SigningKey(bytes(32)).public,), old.policy)
    assert failed(verify_path(folder / "after", stranger)).startswith("handovers")


def rogue_log(old: bytes) -> dict[str, bytes]:
    """A handover of the log to a key of somebody else, in a tree that they made up."""
    (party,) = parse_policy(old).logs
    mine = SignerKey.from_seed(party.key.name, bytes([7] * 32))
    payload = log_payload(party.key.to_text(), mine.verifier().to_text())
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    leaf = commit(PUBLIC_KEY, encode("sayso/key/v1", text, 1))
    head = Checkpoint(party.key.name, 1, tree_root([leaf_hash(leaf)])).to_text()
    note = Note(head, (sign(head, mine),)).to_bytes()
    entry = {"index": 0, "kind": "key", "recorded_us": 1, "payload": payload}
    return {
        "evidence/handovers/0.json": canonical_json(entry),
        "evidence/handovers/0.tlog-proof": Proof(0, (), note).to_bytes(),
    }


def test_a_key_of_the_log_that_only_itself_announces_is_refused(
    rotated: tuple[Path, Given, Given],
) -> None:
    folder, old, _ = rotated
    assert old.policy is not None
    files = files_of(folder / "before") | rogue_log(old.policy)
    told = failed(verify_folder(lambda: PackFiles(files), old))
    assert told.startswith("handovers")
    assert "no signature is by a known key" in told


def test_a_key_of_statements_that_only_itself_announces_is_refused(
    rotated: tuple[Path, Given, Given],
) -> None:
    folder, old, _ = rotated
    files = files_of(folder / "after")
    rogue = SigningKey(bytes([9] * 32))
    (name,) = [
        one
        for one, raw in files.items()
        if one.startswith("evidence/handovers/") and b'"statements"' in raw and "json" in one
    ]
    entry: Any = parse_canonical(files[name])
    real: PublicKey = old.keys[0]
    payload = statements_payload(rogue, rogue_new())
    for changed in (
        payload,
        {**payload, "old": real.raw.hex()},
        {**entry["payload"], "new": rogue.public.raw.hex()},
    ):
        broken = {**files, name: canonical_json({**entry, "payload": changed})}
        assert failed(verify_folder(partial(PackFiles, broken), old)).startswith("handovers")


def rogue_new() -> SigningKey:
    return SigningKey(bytes([8] * 32))


def test_law_9_flipped_bits_of_handovers(rotated: tuple[Path, Given, Given]) -> None:
    folder, old, new = rotated
    files = {
        name: raw
        for name, raw in files_of(folder / "after").items()
        if name.startswith("evidence/handovers/") or name == "evidence/policy"
    } | {"evidence/attest.pem": (folder / "after/evidence/attest.pem").read_bytes()}
    key = SigningKey(bytes(32))

    def made(changed: dict[str, bytes]) -> bytes:
        return pack_bytes("hold", {}, {**files, **changed}, key, 0)

    for given in (old, new):
        trusting = replace(given, keys=(*given.keys, key.public))
        assert verify_pack_bytes(made({}), trusting).is_sound
        for name in (one for one in files if "handovers" in one):
            raw = bytearray(files[name])
            for place in range(0, len(raw), 23):
                raw[place] ^= 1 << place % 8
                report = verify_pack_bytes(made({name: bytes(raw)}), trusting)
                assert not report.is_sound, (name, place)
                raw[place] ^= 1 << place % 8


# ---- interrupted ------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["statements", "log"])
@pytest.mark.parametrize("step", ["integrate", "_show", "_name_in_policy", "write_once", "flush"])
def test_an_interrupted_rotation_goes_on(
    role: str, step: str, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = town.workspace
    size = workspace.ledger.size()

    def silent(*_: object, **__: object) -> None:
        raise UnavailableError("the witness is silent")

    with monkeypatch.context() as patch:
        if step == "integrate":
            patch.setattr(Workspace, step, silent)
        else:
            patch.setattr(rotation, step, silent)
        try:
            rotate_key(workspace, role)
        except UnavailableError:
            pass
        else:
            assert (role, step) == ("statements", "_name_in_policy")
            return
    again = open_workspace(workspace.path, Clock())  # whatever stands, can be worked with
    again.choose("m0002", "off")
    again.integrate()
    if not (workspace.path / rotation._NEXT[role]).is_file():
        again.close()
        return  # the new key had its place already
    done = rotate_key(again, role)
    kinds = list(again.ledger.public("key", again.ledger.size()))
    assert sum(entry.index >= size for entry in kinds) == 1
    assert done.entry == kinds[-1].index
    assert check_log(again.ledger, again.trust.policy).waiting == 0
    assert load_trust(again.path, again.trust.log.name).keys == again.trust.keys
    again.close()


def test_old_keys_of_a_copy_do_not_come_back(town: Town) -> None:
    """A folder that lost its handovers knows its present key alone."""
    shutil.rmtree(town.workspace.path / "log" / "handovers")
    assert len(load_trust(town.workspace.path, town.workspace.trust.log.name).keys) == 1
