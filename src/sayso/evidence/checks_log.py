"""Checks against the log: checkpoints, entries, inclusion, growth, tiles, one history.

Promises: whatever is said of an entry is proved under a checkpoint that the policy accepts;
two checkpoints of one log never disagree unseen. A signature by nobody that the policy names
is refused in files that came with the policy, since nothing would tell if it changed.
"""

import json
from typing import Any

from sayso.attest.shape import fields, line, list_of, number, sha256
from sayso.canonical import PUBLIC_KEY, commit, encode, parse_canonical
from sayso.errors import IntegrityError
from sayso.evidence.case import Case
from sayso.evidence.checks import count, instant_of, short
from sayso.evidence.layout import CHECKPOINT, CONSISTENCY, ENTRIES, ENTRY, PROOF, PROOFS, matching
from sayso.log.merkle import leaf_hash
from sayso.log.notes import parse_note, verify_note
from sayso.log.policy import Policy, VerifiedCheckpoint
from sayso.log.proof_file import parse_proof, verify_proof
from sayso.log.proofs import verify_consistency

# What a log of C2SP tlog-tiles has hashed of one of our entries is the commitment to it.
Head = VerifiedCheckpoint


def accept(case: Case, name: str, note: bytes) -> Head:
    """Return the checkpoint in a note that the policy accepts, and keep it as a head.

    Raises:
        InputError: There is no checkpoint in it.
        IntegrityError: The policy does not accept it.
    """
    head = case.need_policy.check(note)
    if head.checkpoint.extensions:
        raise IntegrityError("the checkpoint has lines that no witness vouches for")
    if case.stated is not None:
        _check_all_known(case.stated, note)
    case.heads[name] = head
    return head


def _check_all_known(stated: Policy, unverified: bytes) -> None:
    """Check that every signature of a note is by a key that the policy beside it names."""
    note = parse_note(unverified)
    stated.check(unverified)
    keys = [party.key for party in (*stated.logs, *stated.witnesses.values())]
    if len(verify_note(note, keys)) != len(note.signatures):
        raise IntegrityError("the checkpoint has a signature by nobody that its policy names")


def seen_by(head: Head) -> str:
    """Return who saw a checkpoint, and when, in words."""
    told = [
        f"{name} at {instant_of(seconds * 1_000_000)}"
        for name, seconds in sorted(head.witnesses.items())
    ]
    return f"witnessed by {', '.join(told)}" if told else "witnessed by nobody"


# ---- the snapshot's entry ---------------------------------------------------------------


def check_entry(case: Case) -> str:
    """Check that the public entry speaks of this snapshot."""
    manifest = case.need_manifest
    value = read_entry(case, ENTRY)
    if case.statement is None:
        raise IntegrityError("there is no statement that the entry could name")
    expected = {
        "manifest": case.manifest_digest,
        "root": manifest["root"],
        "purpose": manifest["purpose"],
        "at": manifest["at"],
        "known": manifest["known"],
        "rulebook": manifest["rulebook"]["digest"],
        "statement": case.statement.digest,
        "standing": manifest["standing"]["root"],
    }
    if value["kind"] != "snapshot" or value["payload"] != expected:
        raise IntegrityError("the ledger's entry speaks of another snapshot", name=ENTRY)
    if value["index"] < manifest["known"]:
        raise IntegrityError(
            f"entry {value['index']} is back-dated: it stands before what the snapshot knew",
            name=ENTRY,
        )
    return (
        f"Entry {value['index']:,} of the ledger, recorded at "
        f"{instant_of(value['recorded_us'])} by the platform's clock, names this manifest, its "
        "statement and its standings."
    )


def read_entry(case: Case, name: str) -> dict[str, Any]:
    """Return a public entry, and keep its commitment.

    Raises:
        InputError: It is none.
        IntegrityError: It is missing, not canonical, or another file says otherwise.
    """
    value: Any = parse_canonical(case.files.read(name))
    _ENTRY(value, name)
    text = json.dumps(value["payload"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    label = f"sayso/{value['kind']}/v1"
    commitment = commit(PUBLIC_KEY, encode(label, text, value["recorded_us"]))
    case.commit(value["index"], commitment, value["recorded_us"])
    return dict(value)


def check_inclusion(case: Case) -> str:
    """Check that the snapshot's entry is in the log."""
    raw = case.files.read(PROOF)
    index = read_entry(case, ENTRY)["index"]
    head = prove(case, PROOF, raw, index)
    return (
        f"Entry {index:,} is in the log '{head.log_name}': it leads to the root of the checkpoint "
        f"of {count(head.checkpoint.size, 'entry', 'entries')}, signed by the log, "
        f"{seen_by(head)}."
    )


def prove(case: Case, name: str, unverified: bytes, index: int) -> Head:
    """Return the checkpoint under which a committed entry stands.

    Raises:
        InputError: The bytes are no proof.
        IntegrityError: It proves another entry, or nothing.
    """
    proof = parse_proof(unverified)
    if proof.index != index:
        raise IntegrityError(
            f"'{name}' is the proof of entry {proof.index}, not of {index}", name=name
        )
    if proof.extra is not None:
        raise IntegrityError(f"'{name}' holds extra data that nobody signed", name=name)
    accept(case, name, proof.checkpoint_note)
    return verify_proof(proof, leaf_hash(case.leaves[index]), case.need_policy)


def check_consistency(case: Case) -> str:
    """Check that the log only grew since the state that the manifest pins."""
    pinned = case.need_manifest["log"]
    head = case.heads[PROOF].checkpoint
    value = read_consistency(case.files.read(CONSISTENCY), CONSISTENCY)
    if pinned["origin"] != head.origin:
        raise IntegrityError("the manifest pins another log than the checkpoint")
    if (value["old_size"], value["new_size"]) != (pinned["size"], head.size):
        raise IntegrityError("the consistency proof is between other sizes")
    hashes = [bytes.fromhex(one) for one in value["hashes"]]
    verify_consistency(pinned["size"], bytes.fromhex(pinned["root"]), head.size, head.root, hashes)
    return (
        f"The log that the snapshot knew, {count(pinned['size'], 'entry', 'entries')} with root "
        f"{short(pinned['root'])}, is the beginning of the log of the checkpoint: nothing in it "
        "was removed, changed, moved or put in later."
    )


def read_consistency(unverified: bytes, name: str) -> dict[str, Any]:
    """Return a consistency proof.

    Raises:
        InputError: It is none.
        IntegrityError: It is not in canonical form.
    """
    value: Any = parse_canonical(unverified)
    _CONSISTENCY(value, name)
    return dict(value)


# ---- other entries ----------------------------------------------------------------------


def check_entries(case: Case) -> str:
    """Check that the public entries of a pack are read and committed to."""
    found = matching(case.files.names, ENTRIES)
    kinds: dict[str, int] = {}
    for one in found:
        value = read_entry(case, one[0])
        if value["index"] != int(one["index"]):
            raise IntegrityError(f"'{one[0]}' is another entry", name=one[0])
        kinds[value["kind"]] = kinds.get(value["kind"], 0) + 1
    told = ", ".join(f"{number:,} of kind '{kind}'" for kind, number in sorted(kinds.items()))
    return f"{count(len(found), 'public entry', 'public entries')} of the ledger, {told}."


def check_proofs(case: Case) -> str:
    """Check every proof of a pack, and that every committed entry has one."""
    proved: set[int] = {read_entry(case, ENTRY)["index"]} if PROOF in case.heads else set()
    proved |= case.handed
    for one in matching(case.files.names, PROOFS):
        index = int(one["index"])
        if index not in case.leaves:
            raise IntegrityError(f"'{one[0]}' is the proof of nothing that is here", name=one[0])
        prove(case, one[0], case.files.read(one[0]), index)
        proved.add(index)
    for index in case.leaves.keys() & case.logged.keys():
        if case.logged[index] != case.leaves[index]:
            raise IntegrityError(f"entry {index} of the log is another than is shown", index=index)
        proved.add(index)
    if bare := sorted(case.leaves.keys() - proved):
        raise IntegrityError(f"there is no proof that entry {bare[0]} is in the log", index=bare[0])
    return (
        f"{count(len(proved), 'entry', 'entries')} shown here: each is in the log at its place, "
        "under a signed checkpoint. None was changed or dated otherwise since."
    )


def check_published(case: Case) -> str:
    """Check the published checkpoint of a pack."""
    head = accept(case, CHECKPOINT, case.files.read(CHECKPOINT))
    return (
        f"The published checkpoint of '{head.log_name}', "
        f"{count(head.checkpoint.size, 'entry', 'entries')}, is signed by the log, {seen_by(head)}."
    )


_ENTRY = fields({"index": number, "kind": line, "recorded_us": number, "payload": lambda *_: None})
_CONSISTENCY = fields({"old_size": number, "new_size": number, "hashes": list_of(sha256)})
