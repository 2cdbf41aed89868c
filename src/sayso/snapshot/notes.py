"""Erasure notes: which files of a snapshot were written anew, and why that is no fault.

Promises: the manifest of a snapshot never changes, and its root stays true, since every leaf
(tag, digest) stays in the files. A note says which file took the place of which; following
the notes from the digest in the manifest leads to the digest of the file that stands.

A note is `evidence/erasures/<entry>.json`, named for the erasure's entry in the ledger: a
signed statement (`sayso.attest.statements.erasure_statement`). It stands before the file is
replaced, so that a crash leaves a replacement that is announced and not done, and never one
that nobody can explain.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sayso.attest.dsse import STATEMENT_TYPE, parse_envelope, sign, verify
from sayso.attest.handover import follow_keys
from sayso.attest.keys import PublicKey, SigningKey, parse_public_key
from sayso.attest.predicates import ERASURE
from sayso.attest.statements import (
    Rewritten,
    erasure_statement,
    parse_statement,
    retention_statement,
)
from sayso.attest.trust import load_handovers, read_handovers
from sayso.errors import InputError, IntegrityError
from sayso.snapshot.manifest import NAME, Manifest, load_manifest
from sayso.snapshot.pins import pins_of
from sayso.tables import flush

FOLDER = "evidence/erasures"
# Says, signed, that retention deleted the records; see `sayso.retention`.
EXPIRED_NAME = "evidence/retention.json"

# What leads from the key that a snapshot was signed with to those that came after.
HANDOVERS = "evidence/handovers"

# File -> digest -> digests that took its place.
Steps = Mapping[str, Mapping[str, set[str]]]


@contextmanager
def visiting(snapshot: Path, *, alone: bool) -> Iterator[None]:
    """Hold a snapshot while it is read, or alone while its files are replaced.

    Raises:
        InputError: There is no such folder.
    """
    try:
        descriptor = os.open(snapshot, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"no finished snapshot in '{snapshot}'", hint="build it again") from None
    try:
        with suppress(OSError):  # a file system without locks is read all the same
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


# ---- writing ----------------------------------------------------------------------------


def write_note(
    snapshot: Path, entry: int, files: Mapping[str, tuple[str, str]], key: SigningKey
) -> Path:
    """Write a note, durably, adding to what it said before; return its path.

    Args:
        snapshot: The folder.
        entry: The index of the erasure's entry in the ledger.
        files: Path in the snapshot -> digest (SHA-256, hex) before, and after.
        key: Signs it.
    """
    manifest = load_manifest(snapshot)
    path = snapshot / FOLDER / f"{entry}.json"
    if path.exists():
        keys = [key.public, *_stated_keys(snapshot)]
        before = _parse_note(path.read_bytes(), path.name, manifest, keys)
        # Killed between note and file, it is told again: from what stood at first.
        files = before | {
            name: (before[name][0] if name in before else old, new)
            for name, (old, new) in files.items()
        }
    said = erasure_statement(
        manifest.digest,
        pins_of(manifest, {}),
        entry=entry,
        files=[Rewritten(name, old, new) for name, (old, new) in files.items()],
    )
    _write(path, sign(STATEMENT_TYPE, said, key).to_bytes())
    return path


def write_expiry(
    snapshot: Path, key: SigningKey, *, deleted_us: int, keep: str, reason: str
) -> None:
    """Write, durably and signed, that the records of a snapshot are deleted."""
    manifest = load_manifest(snapshot)
    said = retention_statement(
        manifest.digest, pins_of(manifest, {}), deleted_us=deleted_us, keep=keep, reason=reason
    )
    _write(snapshot / EXPIRED_NAME, sign(STATEMENT_TYPE, said, key).to_bytes())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    made = path.with_name(f".{path.name}.tmp")
    made.write_bytes(data)
    flush(made)
    made.rename(path)
    flush(path.parent)


# ---- reading ----------------------------------------------------------------------------


def _parse_note(
    unverified: bytes, name: str, manifest: Manifest, keys: Sequence[PublicKey]
) -> dict[str, tuple[str, str]]:
    """Return the files of a note of a snapshot, which one of some keys signed.

    Raises:
        InputError: It is no note.
        IntegrityError: It is not in canonical form, of another snapshot, or not signed so.
    """
    problem = InputError(f"'{FOLDER}/{name}' is no erasure note", hint="restore it from backup")
    said = parse_statement(verify(parse_envelope(unverified), keys, STATEMENT_TYPE))
    if said.subjects != {NAME: manifest.digest}:
        raise IntegrityError(f"'{FOLDER}/{name}' is of another snapshot")
    if said.predicate_type != ERASURE or f"{said.predicate['entry']}.json" != name:
        raise problem
    if any(one["after"] is None for one in said.predicate["files"]):
        raise problem
    return {
        one["name"]: (one["before"]["sha256"], one["after"]["sha256"])
        for one in said.predicate["files"]
    }


def read_notes(snapshot: Path, keys: Sequence[PublicKey] | None = None) -> Steps:
    """Return every step that the notes of a snapshot tell.

    Args:
        snapshot: The folder.
        keys: Who must have signed them; None: those that the folder itself names, which
            shows that nothing was changed since, and not who signed.

    Raises:
        InputError: A file among them is no note.
        IntegrityError: One is not in canonical form, of another snapshot, or not signed so.
    """
    paths = sorted((snapshot / FOLDER).glob("[0-9]*.json"))
    if not paths:
        return {}
    manifest, signers = load_manifest(snapshot), keys or _stated_keys(snapshot)
    steps: dict[str, dict[str, set[str]]] = {}
    for path in paths:
        found = _parse_note(path.read_bytes(), path.name, manifest, signers)
        for name, (old, new) in found.items():
            steps.setdefault(name, {}).setdefault(old, set()).add(new)
    return steps


def _stated_keys(snapshot: Path) -> list[PublicKey]:
    """Return the key that a folder names, and those that its handovers lead to."""
    try:
        stated = parse_public_key((snapshot / "evidence" / "attest.pem").read_bytes())
        return follow_keys(read_handovers(snapshot / HANDOVERS), [stated])
    except (OSError, InputError):
        raise IntegrityError(
            "'evidence/attest.pem' is missing or no key", hint="restore it from backup"
        ) from None


def bring_handovers(workspace: Path, snapshot: Path) -> None:
    """Lay what shows the workspace's handovers beside a snapshot's evidence."""
    for name, raw in load_handovers(workspace).items():
        if not (snapshot / HANDOVERS / name).is_file():
            _write(snapshot / HANDOVERS / name, raw)


def standing_digests(file: str, listed: str, steps: Steps) -> tuple[set[str], set[str]]:
    """Return the digests that a file may have, and those that it had on the way.

    Args:
        file: Its path in the snapshot.
        listed: Its digest in the manifest.
        steps: Of `read_notes`.
    """
    own = steps.get(file, {})
    reached, waiting = {listed}, [listed]
    while waiting:
        for digest in own.get(waiting.pop(), set()) - reached:
            reached.add(digest)
            waiting.append(digest)
    ends = {digest for digest in reached if digest not in own}
    return ends, reached - ends


def need_records(snapshot: Path, manifest: Manifest) -> None:
    """Say so where retention deleted the records.

    Raises:
        InputError: It did.
    """
    if manifest.buckets and (snapshot / EXPIRED_NAME).is_file():
        raise InputError(
            f"the records of '{snapshot}' were deleted by retention",
            hint="build a snapshot of the present",
        )


def unfinished(file: str) -> IntegrityError:
    """Return what to say of a replacement that is announced and not done."""
    return IntegrityError(
        f"an erasure in '{file}' is not finished", hint="run 'sayso erase --reapply'"
    )
