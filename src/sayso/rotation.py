"""Rotation: another key for the log or for statements, announced by the one that it follows.

Promises: the announcement is an entry of the ledger, in the log under a checkpoint that the old
key signed, before the new key signs anything; killed at any moment, the next run goes on; old
evidence verifies as it did. The old key of statements is deleted at once; that of the log
signs beside the new one until the handover is finished, so that whoever knows one of the two,
a witness or a verifier of others, can follow. Does not help against a key that was stolen.

Life of a rotation: make the new key; append the entry; have it in the log; keep the proof;
name the key in the policy; put it in the place of the old one.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sayso.attest.handover import ENTRY, LOG, STATEMENTS, log_payload, statements_payload
from sayso.attest.keys import SigningKey, parse_signing_key
from sayso.attest.trust import (
    ATTEST_KEY,
    HANDOVERS,
    LOG_KEY,
    OLD_LOG_KEY,
    POLICY,
    SEED_BYTES,
    load_trust,
)
from sayso.canonical import canonical_json
from sayso.decision.states import microseconds
from sayso.errors import ConflictError, InputError
from sayso.ledger.logged import prove_entry
from sayso.ledger.store import PublicEntry
from sayso.log import SignerKey, parse_signer_key
from sayso.tables import flush, write_once
from sayso.workspace import Workspace

ROLES = (LOG, STATEMENTS)
_NEXT = {LOG: "keys/log.next.key", STATEMENTS: "keys/attest.next.pem"}


@dataclass(frozen=True, slots=True)
class Rotated:
    """A handover: its entry, and the public keys as the policy or a PEM file writes them."""

    role: str
    entry: int
    old: str
    new: str


def rotate_key(
    workspace: Workspace, role: str, randomness: Callable[[int], bytes] = os.urandom
) -> Rotated:
    """Hand over to a new key; what was interrupted goes on.

    Args:
        workspace: Whose; reads its keys anew afterwards.
        role: `log` or `statements`.
        randomness: Gives so many random bytes.

    Raises:
        ConflictError: A handover of the log's key is not finished.
        UnavailableError: A witness is silent; the old key signs on, and the next run goes on.
        IntegrityError: The log and the ledger disagree.
    """
    folder = workspace.path
    is_under_way = role == LOG and (folder / OLD_LOG_KEY).is_file()
    if is_under_way and not (folder / _NEXT[LOG]).is_file():
        raise ConflictError("a handover of the log's key is under way", hint="end it with --finish")
    payload = (
        _log_payload(folder, workspace, randomness)
        if role == LOG
        else _payload(folder, workspace, randomness)
    )
    entry = workspace.ledger.latest(
        ENTRY, workspace.ledger.size(), role=role, old=payload["old"], new=payload["new"]
    )
    if entry is None:
        at_us = microseconds(workspace.clock())
        index = workspace.ledger.append_public(ENTRY, payload, at_us).index
        entry = PublicEntry(index, ENTRY, at_us, payload)
    workspace.integrate()
    _show(folder, workspace, entry)
    if role == LOG:
        _name_in_policy(folder / POLICY, payload["old"], payload["new"])
        write_once(folder / OLD_LOG_KEY, (folder / LOG_KEY).read_bytes())
    (folder / _NEXT[role]).replace(folder / (LOG_KEY if role == LOG else ATTEST_KEY))
    flush(folder / "keys")
    workspace.trust = load_trust(folder, workspace.trust.log.name)
    return Rotated(role, entry.index, str(payload["old"]), str(payload["new"]))


def finish_log_handover(workspace: Workspace) -> None:
    """Delete the log's old key: from now on the new one signs alone.

    Raises:
        InputError: No handover is under way.
        ConflictError: One was interrupted.
    """
    folder = workspace.path
    if not (folder / OLD_LOG_KEY).is_file():
        raise InputError("no handover of the log's key is under way", hint="begin one first")
    if (folder / _NEXT[LOG]).is_file():
        raise ConflictError("the handover was interrupted", hint="run it again without --finish")
    (folder / OLD_LOG_KEY).unlink()
    flush(folder / "keys")
    workspace.trust = load_trust(folder, workspace.trust.log.name)


def _log_payload(
    folder: Path, workspace: Workspace, randomness: Callable[[int], bytes]
) -> dict[str, Any]:
    name = workspace.trust.log.name
    made = SignerKey.from_seed(name, randomness(SEED_BYTES))
    write_once(folder / _NEXT[LOG], made.to_text().encode() + b"\n")
    new = parse_signer_key((folder / _NEXT[LOG]).read_text(encoding="utf-8").rstrip("\n"))
    return log_payload(workspace.trust.log.verifier().to_text(), new.verifier().to_text())


def _payload(
    folder: Path, workspace: Workspace, randomness: Callable[[int], bytes]
) -> dict[str, Any]:
    place = folder / _NEXT[STATEMENTS]
    write_once(place, SigningKey(randomness(SEED_BYTES)).to_pem())
    return statements_payload(workspace.trust.key, parse_signing_key(place.read_bytes()))


def _show(folder: Path, workspace: Workspace, entry: PublicEntry) -> None:
    """Keep what shows a handover: its entry, and the proof under a checkpoint of the old key."""
    place = folder / HANDOVERS
    place.mkdir(exist_ok=True)
    told = {
        "index": entry.index, "kind": entry.kind, "recorded_us": entry.recorded_us,
        "payload": dict(entry.payload),
    }  # fmt: skip
    proof = prove_entry(workspace.ledger, entry.index).to_bytes()
    write_once(place / f"{entry.index}.tlog-proof", proof, 0o644)
    write_once(place / f"{entry.index}.json", canonical_json(told), 0o644)
    flush(place)


def _name_in_policy(policy: Path, old: str, new: str) -> None:
    """Name the new key behind the old one, whatever else the policy says."""
    lines = policy.read_bytes().split(b"\n")
    if any(new.encode() in line.split() for line in lines):
        return
    at = next((n + 1 for n, line in enumerate(lines) if old.encode() in line.split()), 0)
    lines.insert(at, f"log {new}".encode())
    made = policy.with_name(".policy.tmp")
    made.write_bytes(b"\n".join(lines))
    flush(made)
    made.replace(policy)
    flush(policy.parent)
