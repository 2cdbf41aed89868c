"""Entries: what the ledger says in public, with the proof that each stands in the log.

Promises: every proof was verified when it was made, under the workspace's own policy; all of
one pack lead to one checkpoint. Hands out rulebooks and snapshots, and nothing about a member.

Example:
    >>> files = Logged(ledger, trust).public(entry)         # doctest: +SKIP
    >>> sorted(files)                                       # doctest: +SKIP
    ['entries/0.json', 'proofs/0.tlog-proof']
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sayso.attest.dsse import parse_envelope
from sayso.attest.statements import Statement, verify_statement
from sayso.attest.trust import Trust
from sayso.canonical import PUBLIC_KEY, canonical_json, commit, encode
from sayso.errors import InputError, IntegrityError, SaysoError
from sayso.evidence.layout import CHECKPOINT, HANDOVER_FOLDER, KEY, MANIFEST, POLICY, STATEMENT
from sayso.evidence.report_parts import instant_of
from sayso.evidence.trace import Build, Publication
from sayso.ledger.logged import reader_of
from sayso.ledger.store import Ledger, PublicEntry
from sayso.log import Proof, TileReader, folder_fetch, leaf_hash, parse_checkpoint_text, parse_note
from sayso.log.proof_file import verify_proof
from sayso.rulebook.parse import parse_rulebook
from sayso.snapshot.known import known_snapshots
from sayso.snapshot.manifest import Manifest, load_manifest

RULEBOOK, SNAPSHOT = "rulebook", "snapshot"


class Logged:
    """The log of a workspace under one checkpoint.

    Args:
        ledger: Whose.
        trust: Whose policy the checkpoint satisfies.
        note: The signed checkpoint; by default the published one.

    Raises:
        InputError: Nothing was published yet.
        IntegrityError: The policy does not accept the checkpoint.
    """

    def __init__(self, ledger: Ledger, trust: Trust, note: bytes | None = None) -> None:
        self._trust = trust
        if note is None:
            self.reader, self.note = reader_of(ledger)
        else:
            head = parse_checkpoint_text(parse_note(note).text)
            self.reader = TileReader(folder_fetch(ledger.folder / "log"), head.size)
            self.note = note
        trust.policy.check(self.note)

    @property
    def size(self) -> int:
        """How many entries the checkpoint covers."""
        return self.reader.size

    def trusted(self) -> dict[str, bytes]:
        """Return the files by which everything else is checked."""
        return {
            CHECKPOINT: self.note,
            POLICY: self._trust.policy_bytes,
            KEY: self._trust.key.public.to_pem(),
            **{f"{HANDOVER_FOLDER}{name}": raw for name, raw in self._trust.handovers.items()},
        }

    def proof(self, index: int, commitment: bytes) -> dict[str, bytes]:
        """Return the file that proves an entry.

        Raises:
            InputError: The checkpoint does not cover it.
            IntegrityError: The log holds something else there.
        """
        if index >= self.size:
            raise InputError(
                f"entry {index} is not in the published log of {self.size}",
                hint="run 'sayso log integrate' first",
            )
        proof = Proof(index, tuple(self.reader.inclusion_proof(index)), self.note)
        verify_proof(proof, leaf_hash(commitment), self._trust.policy)
        return {f"proofs/{index}.tlog-proof": proof.to_bytes()}

    def public(self, entry: PublicEntry) -> dict[str, bytes]:
        """Return the files of a public entry: what it says, and its proof. Raises as `proof`."""
        told = {
            "index": entry.index, "kind": entry.kind, "recorded_us": entry.recorded_us,
            "payload": dict(entry.payload),
        }  # fmt: skip
        said = encode(f"sayso/{entry.kind}/v1", payload_text(entry.payload), entry.recorded_us)
        files = {f"entries/{entry.index}.json": canonical_json(told)}
        return files | self.proof(entry.index, commit(PUBLIC_KEY, said))


def payload_text(payload: Mapping[str, Any]) -> str:
    """Return the text of a payload as the ledger commits to it."""
    return json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


# ---- rulebooks --------------------------------------------------------------------------


def publications(ledger: Ledger) -> list[Publication]:
    """Return every published rulebook, in order."""
    return [
        Publication(
            entry.index, instant_of(entry.recorded_us), parse_rulebook(entry.payload["files"])
        )
        for entry in ledger.public(RULEBOOK, ledger.size())
    ]


def entries_at(ledger: Ledger, kind: str, indexes: Iterable[int]) -> list[PublicEntry]:
    """Return the public entries of a kind that stand at some indexes."""
    wanted = set(indexes)
    return [entry for entry in ledger.public(kind, ledger.size()) if entry.index in wanted]


# ---- snapshots --------------------------------------------------------------------------


@dataclass(frozen=True)
class Folder:
    """A snapshot's folder, as far as it belongs to an entry of the ledger."""

    path: Path
    entry: int
    manifest: Manifest
    statement: bytes


class Folders:
    """The snapshots of a workspace whose folders are at hand, by the index of their entries.

    Args:
        ledger: Whose.
        trust: Who signed them.
        more: Folders that the workspace does not know, such as copies.

    Raises:
        InputError: One of `more` is no snapshot of this workspace.
        IntegrityError: The statement in a folder is not signed, or of another snapshot.
    """

    def __init__(self, ledger: Ledger, trust: Trust, more: Sequence[Path] = ()) -> None:
        self.by_entry: dict[int, Folder] = {}
        entries = {
            str(entry.payload["statement"]): entry.index
            for entry in ledger.public(SNAPSHOT, ledger.size())
        }
        for known in known_snapshots(ledger):
            if known.entry is not None and (known.path / MANIFEST).is_file():
                self._take(known.path, entries, trust, is_asked=False)
        for path in more:
            self._take(path, entries, trust, is_asked=True)

    def _take(self, path: Path, entries: dict[str, int], trust: Trust, *, is_asked: bool) -> None:
        try:
            manifest = load_manifest(path)
        except SaysoError:
            if is_asked:
                raise
            return  # a folder that somebody else uses by now
        signed = (path / STATEMENT).read_bytes() if (path / STATEMENT).is_file() else b""
        entry = entries.get(_stated(signed))
        if entry is None:
            if is_asked:
                raise InputError(
                    f"'{path}' is no snapshot of this workspace",
                    hint="name one that was built here",
                )
            return
        if entry not in self.by_entry:
            verified_statement(signed, manifest, trust)
            self.by_entry[entry] = Folder(path, entry, manifest, signed)

    def among(self, paths: Sequence[Path]) -> list[Folder]:
        """Return the snapshots in some of the folders, or in all where none is named."""
        wanted = {load_manifest(path).digest for path in paths}
        return [
            folder
            for _, folder in sorted(self.by_entry.items())
            if not wanted or folder.manifest.digest in wanted
        ]

    def builds(self, ledger: Ledger) -> Iterator[Build]:
        """Yield every snapshot's entry, with its counts where the folder is at hand."""
        for entry in ledger.public(SNAPSHOT, ledger.size()):
            said, folder = entry.payload, self.by_entry.get(entry.index)
            yield Build(
                entry=entry.index,
                recorded_at=instant_of(entry.recorded_us),
                purpose=str(said["purpose"]),
                at=datetime.fromisoformat(str(said["at"])),
                known=int(said["known"]),
                rulebook=str(said["rulebook"]),
                manifest=str(said["manifest"]),
                counts=folder.manifest.by_country if folder else None,
            )

    def files(self, entry: int, *, manifest: bool) -> dict[str, bytes]:
        """Return what a pack tells of a snapshot; nothing where the folder is not at hand."""
        folder = self.by_entry.get(entry)
        if folder is None:
            return {}
        found = {f"snapshots/{entry}/statement.json": folder.statement}
        if manifest:
            found[f"snapshots/{entry}/manifest.json"] = folder.manifest.to_bytes()
        return found


def _stated(unverified: bytes) -> str:
    """Return the digest of what an envelope holds; empty where it is none."""
    try:
        return hashlib.sha256(parse_envelope(unverified).payload).hexdigest()
    except SaysoError:
        return ""


def verified_statement(unverified: bytes, manifest: Manifest, trust: Trust) -> Statement:
    """Return the statement of a snapshot, signed by the workspace.

    Raises:
        IntegrityError: It is not, or speaks of another manifest.
    """
    found = verify_statement(unverified, trust.keys)
    if found.subjects != {MANIFEST: manifest.digest}:
        raise IntegrityError("the signed statement is that of another snapshot")
    return found
