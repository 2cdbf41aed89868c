"""Checks of who signed what about a snapshot: trust, statement, provenance, erasures.

Promises: a statement that held is, byte for byte, the one that follows from the manifest, so
that nothing in it can say otherwise. Whose keys were used is said each time: keys that came
with the evidence prove only that it was not changed since.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sayso.attest.dsse import STATEMENT_TYPE, Envelope, parse_envelope, verify
from sayso.attest.keys import PublicKey, parse_public_key
from sayso.attest.predicates import ERASURE, NAMESPACE, PROVENANCE
from sayso.attest.predicates import RETENTION as EXPIRY
from sayso.attest.statements import (
    Builder,
    Pins,
    StandingRoot,
    Statement,
    parse_statement,
    provenance,
    snapshot_statement,
)
from sayso.errors import InputError, IntegrityError
from sayso.evidence.case import Case
from sayso.evidence.checks import count, instant_of, short
from sayso.evidence.layout import (
    BUILD,
    ERASURES,
    EVIDENCE,
    KEY,
    POLICY,
    RETENTION,
    STATEMENT,
    matching,
)
from sayso.evidence.layout import PROVENANCE as PROVENANCE_FILE
from sayso.log.checkpoint import Checkpoint
from sayso.log.policy import NO_QUORUM, parse_policy, shown

# What a statement may name as belonging to it.
SIBLINGS = frozenset({PROVENANCE_FILE, BUILD, POLICY, KEY})


def check_trust(case: Case) -> str:
    """Check and tell whose keys and which policy everything else is checked against."""
    given, names = case.given, case.files.names
    along = _key_along(case) if KEY in names else None
    case.keys = given.keys or ((along,) if along else ())
    if not case.keys:
        raise InputError("there is no key to check signatures with", hint="give one with --key")
    if POLICY in names:
        case.stated = parse_policy(case.files.read(POLICY))
    case.policy = parse_policy(given.policy) if given.policy is not None else case.stated
    ids = " or ".join(short(key.keyid) for key in case.keys)
    if given.keys:
        told = f"Statements are checked against the key {ids}, which you gave."
        if along and along not in given.keys:
            told += f" The key that came with the files is another, {short(along.keyid)}."
    else:
        told = (
            f"Statements are checked against the key {ids}, which came with the files, as the "
            "platform states it: that shows that nothing was changed since it signed, and not "
            "who signed."
        )
    if case.policy is None:
        return f"{told} There is no policy for the log."
    quorum = case.policy.quorum
    asks = "no witness" if quorum == NO_QUORUM else f"the witnesses '{shown(quorum)}'"
    whose = "you gave" if given.policy is not None else "came with the files"
    return f"{told} Checkpoints are checked against the policy that {whose}; it asks for {asks}."


def _key_along(case: Case) -> PublicKey:
    raw = case.files.read(KEY)
    key = parse_public_key(raw)
    if key.to_pem() != raw:
        raise IntegrityError(f"'{KEY}' is not in its one form", name=KEY)
    return key


def signed_by(case: Case, envelope: Envelope) -> str:
    """Return who signed an envelope that was verified, in words."""
    known = {key.keyid for key in case.keys}
    ids = [one.keyid for one in envelope.signatures]
    given = {key.keyid for key in case.given.keys}
    whose = "given by you" if given else "as the platform states it"
    if given and not given.intersection(ids):
        whose = "handed over to or by one that you gave"
    told = f"{' and '.join(short(one) for one in ids if one in known)} ({whose})"
    others = sum(one not in known for one in ids)
    return f"{told}, and by {count(others, 'key')} that nobody vouches for" if others else told


def read_statement(case: Case, name: str) -> tuple[Statement, bytes, str]:
    """Return the statement in a file, its bytes, and who signed it, in words.

    Raises:
        InputError: It holds none.
        IntegrityError: It is missing, not signed by a key of the case, or not canonical.
    """
    envelope = parse_envelope(case.files.read(name))
    payload = verify(envelope, case.keys, STATEMENT_TYPE)
    return parse_statement(payload), payload, signed_by(case, envelope)


def check_statement(case: Case) -> str:
    """Check that the snapshot's statement is signed and says what the manifest says."""
    manifest = case.need_manifest
    found, payload, who = read_statement(case, STATEMENT)
    siblings = {one["name"]: one["digest"]["sha256"] for one in found.predicate.get("siblings", ())}
    standing = manifest["standing"]
    root = StandingRoot(bytes.fromhex(standing["root"]), standing["rows"])
    expected = snapshot_statement(
        case.manifest_digest, replace(pins_of(manifest), siblings=siblings), root
    )
    if payload != expected:
        raise IntegrityError("the signed statement speaks of another snapshot than the manifest")
    _check_siblings(case, {EVIDENCE + name: digest for name, digest in siblings.items()})
    case.statement = found
    return (
        f"The statement is signed by key {who}. It names this manifest, and the same question, "
        "state of the log, rulebook, inputs and standings as the manifest."
    )


def _check_siblings(case: Case, siblings: Mapping[str, str]) -> None:
    """Check that all that belongs to a statement is here.

    One that is signed itself is named by what was signed, another by its bytes.
    """
    if PROVENANCE_FILE not in siblings or not siblings.keys() <= SIBLINGS:
        raise IntegrityError("the statement names other siblings than a snapshot has")
    for name, digest in siblings.items():
        if case.in_pack and name == BUILD and name not in case.files.names:
            continue  # tells of the platform's machine, so that packs leave it out
        raw = case.files.read(name)
        said = parse_envelope(raw).payload if name == PROVENANCE_FILE else raw
        if hashlib.sha256(said).hexdigest() != digest:
            raise IntegrityError(f"'{name}' is not the sibling that the statement names", name=name)
    case.signed |= siblings.keys()


def check_provenance(case: Case) -> str:
    """Check that the provenance is signed and says what the manifest says."""
    found, payload, who = read_statement(case, PROVENANCE_FILE)
    if found.predicate_type != PROVENANCE:
        raise IntegrityError("the provenance is a statement of another type")
    run = found.predicate["runDetails"]
    metadata = run["metadata"]
    builder = Builder(
        name=run["builder"]["id"].removeprefix(NAMESPACE),
        versions=run["builder"]["version"],
        invocation=metadata["invocationId"],
        started_at=datetime.fromisoformat(metadata["startedOn"]),
        finished_at=datetime.fromisoformat(metadata["finishedOn"]),
    )
    subjects = {"manifest.json": case.manifest_digest}
    if provenance(subjects, pins_of(case.need_manifest), builder) != payload:
        raise IntegrityError("the provenance speaks of another snapshot than the manifest")
    return (
        f"The provenance is signed by key {who}. It says that '{builder.name}' made this manifest "
        f"from {metadata['startedOn']} to {metadata['finishedOn']}, by the platform's clock."
    )


def pins_of(manifest: Mapping[str, Any]) -> Pins:
    """Return what a statement about a manifest must be pinned to, siblings apart."""
    log = manifest["log"]
    return Pins(
        purpose=manifest["purpose"],
        at=datetime.fromisoformat(manifest["at"]),
        known=manifest["known"],
        log=Checkpoint(log["origin"], log["size"], bytes.fromhex(log["root"])),
        rulebook=manifest["rulebook"]["digest"],
        rulebook_entry=manifest["rulebook"]["entry"],
        semantics=manifest["versions"]["semantics"],
        tzdata=manifest["versions"]["tzdata"],
        inputs={name: one["sha256"] for name, one in manifest["inputs"].items()},
        siblings={},
    )


def check_erasures(case: Case) -> str:
    """Check that every replaced file was replaced by an erasure that somebody signed for."""
    manifest = case.need_manifest
    listed = manifest["files"] | {
        one["file"]: one["sha256"] for one in manifest["buckets"].values()
    }
    notes = matching(case.files.names, ERASURES)
    # File -> digest -> digests that took its place.
    steps: dict[str, dict[str, set[str | None]]] = {}
    for note in notes:
        found, _, who = read_statement(case, note[0])
        subjects = {"manifest.json": case.manifest_digest}
        if found.predicate_type != ERASURE or found.subjects != subjects:
            raise IntegrityError(f"'{note[0]}' is no erasure in this snapshot", name=note[0])
        if found.predicate["entry"] != int(note["index"]):
            raise IntegrityError(f"'{note[0]}' tells of another entry", name=note[0])
        for one in found.predicate["files"]:
            after = None if one["after"] is None else one["after"]["sha256"]
            own = steps.setdefault(one["name"], {})
            own.setdefault(one["before"]["sha256"], set()).add(after)
    for name, own in steps.items():
        case.replaced[name] = _ends(name, listed.get(name), own)
    return (
        f"{count(len(notes), 'erasure')} after the snapshot was made replaced "
        f"{count(len(case.replaced), 'file')} of it; the digests before and after are signed by "
        f"key {who}. What was erased cannot be shown any more; that something stood there can."
    )


def check_retention(case: Case) -> str:
    """Check that somebody signed for the records that retention deleted."""
    found, _, who = read_statement(case, RETENTION)
    subjects = {"manifest.json": case.manifest_digest}
    if found.predicate_type != EXPIRY or found.subjects != subjects:
        raise IntegrityError(f"'{RETENTION}' is no note about this snapshot", name=RETENTION)
    said = found.predicate
    return (
        f"The records were deleted at {instant_of(said['deleted_us'])} by the platform's clock, "
        f"after being kept for {said['keep']}: signed by key {who}."
    )


def _ends(
    name: str, listed: str | None, steps: Mapping[str, set[str | None]]
) -> frozenset[str | None]:
    """Return the digests that a file may have after erasures, from the one that is listed.

    Erasures are told of in the order of their entries and may have been done in another.

    Raises:
        IntegrityError: One replaced what the file never was.
    """
    reached: set[str | None] = {listed}
    waiting = [listed]
    while waiting:
        for after in steps.get(waiting.pop() or "", ()):
            if after not in reached:
                reached.add(after)
                waiting.append(after)
    if not steps.keys() <= reached:
        raise IntegrityError(f"an erasure replaces a '{name}' that never was", name=name)
    return frozenset(reached - steps.keys())
