"""The verifier on checkpoints: who signed and saw them, and that there is one history."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from sayso.evidence.case import Given
from sayso.evidence.checks import Outcome
from sayso.evidence.verify import verify_pack_bytes
from sayso.log.checkpoint import Checkpoint
from sayso.log.merkle import root_of
from sayso.log.notes import Note, cosign, parse_note
from sayso.log.notes import sign as sign_note
from sayso.log.proof_file import parse_proof
from sayso.log.proofs import consistency_proof
from sayso.log.submission import Submission
from sayso.log.witness import Witness
from tests.unit.evidence.builders import (
    GIVEN,
    KEY,
    POLICY,
    SEEN,
    Town,
    checked,
    failed,
    packed,
)
from tests.unit.log.signers import LOG, ORIGIN, W1, W2, signer
from tests.unit.log.trees import Defined, files_of

TOWN = Town()


# ---- checkpoints ------------------------------------------------------------------------


def with_note(change: Callable[[bytes], bytes]) -> dict[str, bytes]:
    """The folder with another checkpoint in its proof."""
    proof = parse_proof(TOWN.folder["evidence/snapshot.tlog-proof"])
    other = replace(proof, checkpoint_note=change(proof.checkpoint_note))
    return {**TOWN.folder, "evidence/snapshot.tlog-proof": other.to_bytes()}


def test_a_signature_by_nobody_is_refused() -> None:
    stranger = signer("example.org/w9", W1.type)

    def signed_more(note: bytes) -> bytes:
        parsed = parse_note(note)
        more = cosign(parsed.text, stranger, SEEN)
        return Note(parsed.text, (*parsed.signatures, more)).to_bytes()

    check, words = failed(checked(with_note(signed_more)))
    assert (check, "by nobody that its policy names" in words) == ("inclusion", True)


def test_a_quorum_of_some_is_enough() -> None:
    def one_less(note: bytes) -> bytes:
        parsed = parse_note(note)
        return Note(parsed.text, parsed.signatures[:-1]).to_bytes()

    assert checked(with_note(one_less)).is_sound
    strict = POLICY.replace(b"both any", b"both all")
    assert "lacks its quorum" in failed(checked(with_note(one_less), Given((), strict)))[1]


def test_lines_that_no_witness_vouches_for_are_refused() -> None:
    def extended(note: bytes) -> bytes:
        parsed = parse_note(note)
        text = f"{parsed.text}more\n"
        cosigned = (cosign(text, W1, SEEN), cosign(text, W2, SEEN))
        return Note(text, (sign_note(text, LOG), *cosigned)).to_bytes()

    assert "no witness vouches" in failed(checked(with_note(extended)))[1]


def test_extra_data_in_a_proof_is_refused() -> None:
    proof = replace(parse_proof(TOWN.folder["evidence/snapshot.tlog-proof"]), extra=b"x")
    files = {**TOWN.folder, "evidence/snapshot.tlog-proof": proof.to_bytes()}
    assert "extra data" in failed(checked(files))[1]


def test_your_own_policy_counts() -> None:
    other = signer("example.org/else")
    policy = f"log {other.verifier().to_text()}\nquorum none\n".encode()
    check, words = failed(checked(TOWN.folder, Given((KEY.public,), policy)))
    assert check == "inclusion"
    assert "is not in the policy" in words
    lone = f"log {LOG.verifier().to_text()}\nquorum none\n".encode()
    report = checked(TOWN.folder, Given((KEY.public,), lone))
    assert report.is_sound
    assert report.checks[-1].outcome is Outcome.NOT_MADE
    assert any("asks for no independent witness" in one for one in report.limits)


# ---- what the verifier knew -------------------------------------------------------------


def knowing(note: bytes, consistency: bytes | None = None) -> Given:
    return Given((KEY.public,), POLICY, note, consistency)


def test_a_known_checkpoint_of_the_same_history() -> None:
    for size, proof in (
        (7, None), (4, None), (5, TOWN.consistency(5, 7)), (0, None),
    ):  # fmt: skip
        report = checked(TOWN.folder, knowing(TOWN.note(size), proof))
        assert report.is_sound, report.lines()
        assert report.checks[-1].name == "known-checkpoint"
        assert not any("--known-checkpoint" in one for one in report.limits)


def test_an_older_checkpoint_is_refused() -> None:
    later = Town(later=5)
    check, words = failed(checked(TOWN.folder, knowing(later.note(10))))
    assert check == "known-checkpoint"
    assert "older than the one that you know" in words


@pytest.mark.parametrize("size", [4, 5, 7])
def test_a_second_history_is_refused(size: int) -> None:
    other = [*TOWN.log]
    other[0] = bytes(32)
    for proof in (None, TOWN.consistency(size, 7)):
        check, words = failed(checked(TOWN.folder, knowing(TOWN.note(size, log=other), proof)))
        assert check == "known-checkpoint"
        assert "second history" in words or (size == 5 and "nothing here shows" in words)
    check, words = failed(
        verify_pack_bytes(packed(TOWN.member_pack()), knowing(TOWN.note(size, log=other)))
    )
    assert (check, "second history" in words) == ("known-checkpoint", True)


def tampered(how: str, log: list[bytes]) -> list[bytes]:
    """What a platform made of the log that somebody has seen."""
    match how:
        case "deleted":
            return [*log[:1], *log[2:]]
        case "reordered":
            return [log[1], log[0], *log[2:]]
        case "changed":
            return [bytes(32), *log[1:]]
        case "back-dated":
            return [log[0], bytes(32), *log[1:]]
        case _:
            return [*log[:-1], bytes(32)]


@pytest.mark.parametrize("how", ["deleted", "reordered", "changed", "back-dated", "second"])
def test_a_log_that_was_tampered_with_is_refused_by_name(how: str, tmp_path: Path) -> None:
    """What is shown hangs together in itself: the checkpoint that somebody kept tells."""
    seen = TOWN.log[:5]
    log = [*tampered(how, seen), *TOWN.log[5:]]
    tree = Defined(log)
    note = TOWN.note(len(log), log=log)
    files = TOWN.member_pack()
    for name in [one for one in files if one.startswith(("log/tile", "proofs/", "receipts/"))]:
        del files[name]
    files |= {f"log/{name}": raw for name, raw in files_of(log).items()} | {"log/checkpoint": note}
    check, words = failed(verify_pack_bytes(packed(files), knowing(TOWN.note(5))))
    assert check in {"inclusion", "entries", "proofs", "known-checkpoint", "one-history"}, words
    bare = {
        name: raw
        for name, raw in files.items()
        if name.startswith("log/") or name in {"evidence/policy", "evidence/attest.pem"}
    }
    check, words = failed(verify_pack_bytes(packed(bare), knowing(TOWN.note(5))))
    assert check == "known-checkpoint"
    assert "this is a second history of the log: its first 5 entries are others" in words
    # The witness, who saw the same five, does not cosign it, and keeps the proof.
    witness = Witness(tmp_path, [W1], {ORIGIN: [LOG.verifier()]}, clock=lambda: SEEN)
    before = Submission(0, (), parse_note(TOWN.note(5)))
    assert witness.add_checkpoint(before.to_bytes()).status == HTTPStatus.OK
    proof = tuple(consistency_proof(5, len(log), tree.node))
    asked = Submission(5, proof, parse_note(note))
    assert witness.add_checkpoint(asked.to_bytes()).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert len(list((tmp_path / "evidence").iterdir())) == 2


def test_growth_that_nothing_shows_is_refused_and_tiles_show_it() -> None:
    check, words = failed(checked(TOWN.folder, knowing(TOWN.note(5))))
    assert (check, "ask for the proof" in words) == ("known-checkpoint", True)
    assert verify_pack_bytes(packed(TOWN.member_pack()), knowing(TOWN.note(5))).is_sound


def test_a_back_dated_entry_is_refused() -> None:
    # The witness saw a log without it two days after the time that it states.
    known = TOWN.note(4, SEEN + 2 * 86_400)
    town = Town(seen=SEEN + 3 * 86_400)
    check, words = failed(checked(town.folder, knowing(known)))
    assert check == "known-checkpoint"
    assert "entry 4 is back-dated" in words


def test_a_known_checkpoint_of_another_log_is_refused() -> None:
    other = signer("example.org/else")
    text = Checkpoint("example.org/else", 3, bytes(32)).to_text()
    note = Note(text, (sign_note(text, other), cosign(text, W1, SEEN))).to_bytes()
    policy = POLICY + f"log {other.verifier().to_text()}\n".encode()
    report = checked(TOWN.folder, Given((KEY.public,), policy, note))
    assert "you know the log 'example.org/else'" in failed(report)[1]


def test_two_histories_within_one_pack_are_refused() -> None:
    files = TOWN.member_pack()
    other = [*TOWN.log]
    other[-1] = bytes(32)
    text = Checkpoint(ORIGIN, 7, root_of(other)).to_text()
    cosigned = (cosign(text, W1, SEEN), cosign(text, W2, SEEN))
    files["log/checkpoint"] = Note(text, (sign_note(text, LOG), *cosigned)).to_bytes()
    for name in [name for name in files if name.startswith("log/tile")]:
        del files[name]
    check, words = failed(verify_pack_bytes(packed(files), GIVEN))
    assert check == "one-history"
    assert "two histories of the log: two roots of 7 entries" in words


def test_states_that_nothing_connects_are_told_of() -> None:
    files = TOWN.member_pack()
    for name in [name for name in files if name.startswith("log/tile")]:
        del files[name]
    report = verify_pack_bytes(packed(files), GIVEN)
    assert report.is_sound
    assert "for 1 of them nothing here shows" in report.checks[-2].words
