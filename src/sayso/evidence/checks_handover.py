"""Checks of handovers: how keys that sign now came after those that signed before.

Promises: a key that the verifier does not know counts only where one that it knows announced
it: for the log, in an entry of a checkpoint that the old key signed; for statements, in an
entry that both keys signed. Everything shown of a handover is proved, also where nobody needs
it. A stolen key can announce another: see `docs/design/trust.md`.

    evidence/handovers/<index>.json         the public entry, of kind `key`
    evidence/handovers/<index>.tlog-proof   that it is in the log
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sayso.attest.handover import ENTRY, LOG, STATEMENTS, check_payload, follow_keys
from sayso.errors import IntegrityError
from sayso.evidence.case import Case
from sayso.evidence.checks import count, short
from sayso.evidence.checks_log import accept, read_entry
from sayso.evidence.layout import HANDOVER_FOLDER, HANDOVERS, matching
from sayso.log.checkpoint import parse_checkpoint_text
from sayso.log.keys import VerifierKey, parse_verifier_key
from sayso.log.merkle import leaf_hash
from sayso.log.notes import parse_note, verify_note
from sayso.log.policy import Party, Policy
from sayso.log.proof_file import Proof, parse_proof
from sayso.log.proofs import verify_inclusion


@dataclass(frozen=True)
class _Shown:
    """One handover: the entry that announces it, and the proof that this is in the log."""

    index: int
    payload: Mapping[str, Any]
    proof: Proof

    @property
    def name(self) -> str:
        return f"{HANDOVER_FOLDER}{self.index}.tlog-proof"


def check_handovers(case: Case) -> str:
    """Check every handover, and believe the keys that those which are known lead to."""
    indexes = sorted({int(one["index"]) for one in matching(case.files.names, HANDOVERS)})
    shown = [_read(case, index) for index in indexes]
    for one in shown:
        if one.payload["role"] == LOG:
            _follow_log(case, one)
    for one in shown:
        _prove(case, one)
    signed = [one.payload for one in shown if one.payload["role"] == STATEMENTS]
    before = set(case.keys)
    case.keys = tuple(follow_keys(signed, case.keys))
    found = [short(key.keyid) for key in case.keys if key not in before]
    told = f" So statements by {' and '.join(found)} count as well." if found else ""
    logs = len(shown) - len(signed)
    return (
        f"{count(len(shown), 'handover')} to a new key, {logs:,} of the log's and "
        f"{len(signed):,} of the statements': each was announced by the key before it, and the "
        f"announcement is in the log.{told}"
    )


def _read(case: Case, index: int) -> _Shown:
    name = f"{HANDOVER_FOLDER}{index}.json"
    entry = read_entry(case, name)
    if entry["index"] != index or entry["kind"] != ENTRY:
        raise IntegrityError(f"'{name}' announces no key", name=name)
    case.handed.add(index)
    payload = check_payload(entry["payload"], name)
    proof = parse_proof(case.files.read(f"{HANDOVER_FOLDER}{index}.tlog-proof"))
    if proof.index != index or proof.extra is not None:
        raise IntegrityError(f"the proof of handover {index} is that of another entry")
    return _Shown(index, payload, proof)


def _follow_log(case: Case, one: _Shown) -> None:
    """Believe the log's new key where a policy knows the old one, which signed the tree."""
    old, new = (parse_verifier_key(one.payload[name]) for name in ("old", "new"))
    note = parse_note(one.proof.checkpoint_note)
    head = parse_checkpoint_text(note.text)
    if not old.name == new.name == head.origin:
        raise IntegrityError(f"handover {one.index} is that of another log", index=one.index)
    verify_note(note, [old])
    leaf = leaf_hash(case.leaves[one.index])
    verify_inclusion(leaf, one.index, head.size, list(one.proof.hashes), head.root)
    if case.policy is not None and not _knows(case.policy, old) and not _knows(case.policy, new):
        raise IntegrityError(
            f"the log's key {new.key_id.hex()} was announced by none that you know",
            hint="get the policy from who watches the log",
        )
    if case.policy is not None:
        case.policy = _with(case.policy, old, new)
    if case.stated is not None:
        case.stated = _with(case.stated, old, new)


def _knows(policy: Policy, key: VerifierKey) -> bool:
    return any(party.key == key for party in policy.logs)


def _with(policy: Policy, old: VerifierKey, new: VerifierKey) -> Policy:
    """Return a policy with the new key beside the old one, if it knows that."""
    if not _knows(policy, old) or _knows(policy, new):
        return policy
    return replace(policy, logs=(*policy.logs, Party(new)))


def _prove(case: Case, one: _Shown) -> None:
    """Check that an announcement is in the log, by the policy that reaches its checkpoint."""
    given, own = case.policy, case.stated
    note = one.proof.checkpoint_note
    try:
        head = accept(case, one.name, note)
    except IntegrityError:
        # Whoever gives a policy with the new key alone need not believe the old one.
        if own is None or given is own:
            raise
        case.policy = own
        head = accept(case, one.name, note)
        del case.heads[one.name]
    finally:
        case.policy = given
    checkpoint = head.checkpoint
    leaf = leaf_hash(case.leaves[one.index])
    verify_inclusion(leaf, one.index, checkpoint.size, list(one.proof.hashes), checkpoint.root)
