"""Packs: the evidence for one question, made from a workspace; here that of a snapshot.

Promises: what goes into a pack was verified while it was made, and stands in the report as
what was checked; the same workspace, question and time give the same bytes; nothing of a
member in clear. A member's own pack is `sayso.evidence.pack_member`, and those of a hold and
of a period stand beside it. Does not decide.

Example:
    >>> pack_snapshot(Source(ledger, trust, created_us), Path("first"), Path("first.zip"))
    ...                                                     # doctest: +SKIP
    Packed(path=PosixPath('first.zip'), kind='snapshot', ...)
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.attest.trust import Trust
from sayso.canonical import PUBLIC_KEY, commit, encode, parse_canonical
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.evidence.article53 import Provider, render_summary, summary_of
from sayso.evidence.container import write_pack
from sayso.evidence.entries import (
    RULEBOOK,
    SNAPSHOT,
    Logged,
    entries_at,
    payload_text,
    verified_statement,
)
from sayso.evidence.layout import (
    CONSISTENCY,
    ENTRY,
    KEY,
    MANIFEST,
    POLICY,
    PROOF,
    PROVENANCE,
    STANDING,
    STATEMENT,
)
from sayso.evidence.merkle_proofs import BLOCK_BYTES, root_of_leaves
from sayso.evidence.report import Check, render
from sayso.evidence.report_parts import instant_of, plural
from sayso.evidence.report_snapshot import SnapshotFacts, report_snapshot
from sayso.ledger.store import Ledger, PublicEntry
from sayso.log import leaf_hash, parse_proof
from sayso.log.proof_file import verify_proof
from sayso.model import Rulebook
from sayso.rulebook.parse import parse_rulebook
from sayso.snapshot.load import verified_buckets
from sayso.snapshot.manifest import Manifest, load_manifest

# What a snapshot's folder tells a stranger; its circumstances (paths) are not among it.
EVIDENCE = (STATEMENT, PROVENANCE, ENTRY, PROOF, CONSISTENCY, POLICY, KEY)
REPORT = "report.html"
HELD = "Held."


@dataclass(frozen=True)
class Source:
    """What every pack is made from.

    Attributes:
        trust: Whose key signs the pack.
        created_us: When it is made, in microseconds since 1970.
    """

    ledger: Ledger
    trust: Trust
    created_us: int

    @property
    def made_at(self) -> datetime:
        """When the pack is made."""
        return instant_of(self.created_us)


@dataclass(frozen=True)
class Packed:
    """A pack that was written; `digest` is the SHA-256 of its `pack.json`."""

    path: Path
    kind: str
    digest: str
    files: int

    def to_json(self) -> dict[str, object]:
        """Return the object that the command prints."""
        return {
            "kind": self.kind, "out": str(self.path), "digest": self.digest, "files": self.files,
        }  # fmt: skip


def need_room(out: Path) -> None:
    """Check that nothing stands where a pack will.

    Raises:
        ConflictError: Something does.
        InputError: There is no such folder.
    """
    if out.exists():
        raise ConflictError(f"'{out}' exists", hint="choose another name")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder '{out.parent}'", hint="make it first")


def finish(
    source: Source,
    out: Path,
    kind: str,
    question: Mapping[str, object],
    files: Mapping[str, bytes | Path],
) -> Packed:
    """Sign and write a pack."""
    digest = write_pack(out, kind, question, files, source.trust.key, source.created_us)
    return Packed(out, kind, digest, len(files))


# ---- the pack of a snapshot -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Words:
    """What a summary tells of the records: how much text, of which categories."""

    characters: int
    categories: Mapping[str, int]


def pack_snapshot(
    source: Source, snapshot: Path, out: Path, *, provider: Provider | None = None
) -> Packed:
    """Write the pack of a snapshot.

    Args:
        source: What it is made from.
        snapshot: Its folder.
        out: The file; nothing stands there yet.
        provider: What the public summary says of whoever provides the model.

    Raises:
        InputError: There is no finished snapshot, or retention deleted its records.
        IntegrityError: Something in it does not hold.
        ConflictError: Something stands at `out`.
    """
    need_room(out)
    # Leaves of all records go through the disk: there may be more of them than memory.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".leaves-") as spool:
        leaves, words = _leaves(snapshot, Path(spool))
        files: dict[str, bytes | Path] = {**leaves, STANDING: snapshot / STANDING}
        told, question = _told(source, snapshot, words, provider)
        return finish(source, out, SNAPSHOT, question, files | told)


def _told(
    source: Source, snapshot: Path, words: _Words, provider: Provider | None
) -> tuple[dict[str, bytes], dict[str, object]]:
    """Return all files of the pack of a snapshot but leaves and standings, and its question."""
    manifest = load_manifest(snapshot)
    files = {MANIFEST: manifest.to_bytes(), **_evidence(snapshot)}
    _check_standing(snapshot / STANDING, manifest)
    entry = _own_entry(files, manifest, source.trust)
    logged = Logged(source.ledger, source.trust, parse_proof(files[PROOF]).checkpoint_note)
    files |= logged.trusted()
    book, published = _rulebook(source.ledger, manifest, logged)
    files |= published
    facts = SnapshotFacts(
        manifest=manifest,
        book=book,
        policy=source.trust.policy,
        entry=entry.index,
        recorded_at=instant_of(entry.recorded_us),
        tree_size=logged.size,
        checks=_checks(manifest, entry, logged.size),
        made_at=source.made_at,
    )
    summary = summary_of(
        manifest, book, characters=words.characters, categories=words.categories,
        updated=source.made_at.date(), provider=provider,
    )  # fmt: skip
    files |= {
        REPORT: render(report_snapshot(facts)),
        "article-53.html": render_summary(summary),
        "article-53.json": summary.to_bytes(),
    }
    return files, {
        "snapshot": manifest.digest, "purpose": manifest.purpose, "at": manifest.at,
        "known": manifest.known,
    }  # fmt: skip


def _evidence(snapshot: Path) -> dict[str, bytes]:
    """Return the evidence in a snapshot's folder, by allow-list."""
    names = [*EVIDENCE]
    folder = snapshot / "evidence" / "erasures"
    names += sorted(f"evidence/erasures/{one.name}" for one in folder.glob("[0-9]*.json"))
    found: dict[str, bytes] = {}
    for name in names:
        try:
            found[name] = (snapshot / name).read_bytes()
        except FileNotFoundError:
            raise IntegrityError(f"'{name}' is missing", hint="restore it from backup") from None
    return found


def _leaves(snapshot: Path, spool: Path) -> tuple[dict[str, Path], _Words]:
    """Write tag and digest of every record into files; return these, and what the summary tells.

    Raises:
        IntegrityError: They do not lead to the roots in the manifest.
    """
    files: dict[str, Path] = {}
    characters = 0
    categories: Counter[str] = Counter()
    for number, path, bucket in verified_buckets(snapshot):
        rows = pq.read_table(path, columns=["tag", "digest", "category", "text"])
        pairs = zip(rows["tag"].to_pylist(), rows["digest"].to_pylist(), strict=True)
        joined = b"".join(tag + digest for tag, digest in pairs)
        blocks = (joined[at : at + BLOCK_BYTES] for at in range(0, len(joined), BLOCK_BYTES))
        count, root = root_of_leaves(blocks)
        if (count, root.hex()) != (bucket.rows, bucket.root):
            raise IntegrityError(f"the leaves of bucket {number} do not lead to its root")
        made = spool / f"{number:04d}.bin"
        made.write_bytes(joined)
        files[f"leaves/{made.name}"] = made
        characters += int(pc.sum(pc.utf8_length(rows["text"])).as_py() or 0)
        for pair in pc.value_counts(rows["category"].drop_null()).to_pylist():
            categories[pair["values"]] += pair["counts"]
    return files, _Words(characters, categories)


def _check_standing(path: Path, manifest: Manifest) -> None:
    """Check that the members' standings lead to the root in the manifest.

    Raises:
        IntegrityError: They do not, or are missing.
    """
    try:
        with path.open("rb") as file:
            count, root = root_of_leaves(iter(lambda: file.read(BLOCK_BYTES), b""))
    except FileNotFoundError:
        raise IntegrityError(f"'{STANDING}' is missing", hint="restore it from backup") from None
    if (count, root.hex()) != (manifest.standing.rows, manifest.standing.root):
        raise IntegrityError("the members' standings do not lead to the root in the manifest")


def _own_entry(files: Mapping[str, bytes], manifest: Manifest, trust: Trust) -> PublicEntry:
    """Return the ledger's entry about a snapshot, from its own files, verified.

    Raises:
        IntegrityError: A signature, a root or a proof does not hold.
    """
    verified_statement(files[STATEMENT], manifest, trust)
    told = parse_canonical(files[ENTRY])
    if not isinstance(told, dict):
        raise IntegrityError(f"'{ENTRY}' holds no entry", hint="restore it from backup")
    entry = PublicEntry(**told)
    if entry.payload.get("manifest") != manifest.digest:
        raise IntegrityError("the entry is that of another snapshot")
    said = encode(f"sayso/{entry.kind}/v1", payload_text(entry.payload), entry.recorded_us)
    proof = parse_proof(files[PROOF])
    if proof.index != entry.index:
        raise IntegrityError("the proof is that of another entry")
    verify_proof(proof, leaf_hash(commit(PUBLIC_KEY, said)), trust.policy)
    return entry


def _rulebook(
    ledger: Ledger, manifest: Manifest, logged: Logged
) -> tuple[Rulebook, dict[str, bytes]]:
    """Return the rulebook that decided, and the files that show its publication.

    Raises:
        IntegrityError: The ledger published another one there.
    """
    for entry in entries_at(ledger, RULEBOOK, [manifest.rulebook.entry]):
        book = parse_rulebook(entry.payload["files"])
        if book.digest == manifest.rulebook.digest:
            return book, logged.public(entry)
    raise IntegrityError(
        f"entry {manifest.rulebook.entry} does not publish the rulebook of the manifest",
        hint="is this the workspace that built the snapshot?",
    )


def _checks(manifest: Manifest, entry: PublicEntry, size: int) -> tuple[Check, ...]:
    countries = plural(len(manifest.by_country), "jurisdiction", "jurisdictions")
    return (
        Check(
            "The counts add up: records in are those admitted and those refused, in total and "
            f"for each of {countries}.",
            HELD,
        ),
        Check(
            "Tags and digests of all "
            f"{plural(manifest.counts.admitted, 'admitted record', 'admitted records')} stand in "
            "order and lead to the roots in the manifest: none was added, taken away or changed.",
            HELD,
        ),
        Check(
            f"The standings of {plural(manifest.standing.rows, 'member', 'members')} lead to the "
            "root that was signed.",
            HELD,
        ),
        Check("The platform's key signed the statement, and it names this manifest.", HELD),
        Check(
            f"Entry {entry.index} of the ledger names this manifest, and stands in the log of "
            f"{plural(size, 'entry', 'entries')} under a signed checkpoint.",
            HELD,
        ),
        Check(
            f"The rulebook that decided is the one published as entry {manifest.rulebook.entry}, "
            "which stands in the same log.",
            HELD,
        ),
    )
