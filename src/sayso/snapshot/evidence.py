"""What a snapshot brings along for a stranger: statements, the ledger's entry, proofs.

Promises: everything in `evidence/` follows from the manifest, the log and the keys, wall times
apart; a statement names the digests of its siblings, so that one taken away is missed. Does
not verify: see `sayso.evidence.verify`.

    standing.bin            leaves of the members' standings (`sayso.snapshot.standing`)
    provenance.json         how it was built, in SLSA's words, signed
    statement.json          what it is and depends on, signed; names provenance.json
    entry.json              the ledger's entry about it, as it was committed to
    snapshot.tlog-proof     that the entry is in the log, under a signed checkpoint
    consistency.json        that this checkpoint's tree begins with the one of the manifest
    policy, attest.pem      whom to believe, as the platform states it
    handovers/              how its keys came after others, where they did
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.statements import (
    Builder,
    StandingRoot,
    provenance,
    snapshot_statement,
)
from sayso.attest.trust import Trust
from sayso.canonical import canonical_json
from sayso.errors import InputError
from sayso.ledger.integrate import Integrated, integrate
from sayso.ledger.store import Ledger, PublicEntry
from sayso.log import Proof, TileReader, folder_fetch, root_at
from sayso.snapshot.manifest import LogPin, Manifest, load_manifest
from sayso.snapshot.notes import bring_handovers
from sayso.snapshot.pins import pins_of
from sayso.tables import flush

FOLDER = "evidence"
STANDING, STATEMENT, PROVENANCE = "standing.bin", "statement.json", "provenance.json"
ENTRY, PROOF, CONSISTENCY = "entry.json", "snapshot.tlog-proof", "consistency.json"
BUILDER = "build"


@dataclass(frozen=True, slots=True)
class Run:
    """What is true of one run of a build and not of its bytes."""

    started_us: int
    finished_at: datetime


def pin_log(ledger: Ledger, trust: Trust, known: int) -> LogPin:
    """Integrate what the ledger holds, and return the state of the log at `known`.

    Raises:
        IntegrityError: The log and the ledger disagree.
        UnavailableError: A witness that the policy needs does not answer.
    """
    done = integrate(ledger, trust.log, trust.policy, retiring=trust.retiring)
    reader = TileReader(folder_fetch(ledger.folder / "log"), done.size)
    root = root_at(known, reader.node)
    return LogPin(origin=trust.log.name, size=known, root=root.hex())


def write_statements(folder: Path, manifest: Manifest, trust: Trust, run: Run) -> str:
    """Write the signed statements of a snapshot; return the digest of its own one, in hex.

    `build.json` stands there already: the statement names it, as it names all its siblings.
    """
    evidence = folder / FOLDER
    (evidence / "policy").write_bytes(trust.policy_bytes)
    (evidence / "attest.pem").write_bytes(trust.key.public.to_pem())
    for name, raw in trust.handovers.items():
        (evidence / "handovers").mkdir(exist_ok=True)
        (evidence / "handovers" / name).write_bytes(raw)
    subjects = {"manifest.json": manifest.digest}
    built = provenance(subjects, pins_of(manifest, {}), _builder(manifest, run))
    siblings = {PROVENANCE: hashlib.sha256(built).hexdigest()}
    for name in ("build.json", "policy", "attest.pem"):
        siblings[name] = hashlib.sha256((evidence / name).read_bytes()).hexdigest()
    standing = StandingRoot(bytes.fromhex(manifest.standing.root), manifest.standing.rows)
    stated = snapshot_statement(manifest.digest, pins_of(manifest, siblings), standing)
    for name, raw in ((PROVENANCE, built), (STATEMENT, stated)):
        (evidence / name).write_bytes(sign(STATEMENT_TYPE, raw, trust.key).to_bytes())
    return hashlib.sha256(stated).hexdigest()


def _builder(manifest: Manifest, run: Run) -> Builder:
    versions = {
        "sayso": version("sayso"), "duckdb": duckdb.__version__,
        "pyarrow": pa.__version__, "numpy": np.__version__,
    }  # fmt: skip
    return Builder(
        name=BUILDER,
        versions=versions,
        invocation=f"{run.started_us}-{manifest.digest[:16]}",
        started_at=datetime.fromtimestamp(run.started_us // 1_000_000, UTC),
        finished_at=run.finished_at,
    )


def write_proofs(
    folder: Path, manifest: Manifest, entry: PublicEntry, ledger: Ledger, trust: Trust
) -> Integrated:
    """Integrate, and write the entry of a snapshot with the proofs about it.

    Raises:
        IntegrityError: The log and the ledger disagree.
        UnavailableError: A witness that the policy needs does not answer.
    """
    evidence = folder / FOLDER
    told = {
        "index": entry.index, "kind": entry.kind, "recorded_us": entry.recorded_us,
        "payload": dict(entry.payload),
    }  # fmt: skip
    _put(evidence / ENTRY, canonical_json(told))
    done = integrate(ledger, trust.log, trust.policy, retiring=trust.retiring)
    reader = TileReader(folder_fetch(ledger.folder / "log"), done.size)
    proof = Proof(entry.index, tuple(reader.inclusion_proof(entry.index)), done.note)
    _put(evidence / PROOF, proof.to_bytes())
    hashes = [one.hex() for one in reader.consistency_proof(manifest.log.size)]
    _put(
        evidence / CONSISTENCY,
        canonical_json({"old_size": manifest.log.size, "new_size": done.size, "hashes": hashes}),
    )
    flush(evidence)
    return done


def renew_proofs(folder: Path, ledger: Ledger, trust: Trust) -> tuple[int, int]:
    """Write the proofs of a finished snapshot anew; return its entry and the log's size.

    Raises:
        InputError: It is no snapshot of this workspace.
        IntegrityError: The log and the ledger disagree.
        UnavailableError: A witness that the policy needs does not answer.
    """
    manifest = load_manifest(folder)
    entry = ledger.latest("snapshot", ledger.size(), manifest=manifest.digest)
    if entry is None:
        raise InputError(
            f"'{folder}' is no snapshot of this workspace", hint="name the workspace it came from"
        )
    (folder / FOLDER).mkdir(exist_ok=True)
    bring_handovers(ledger.folder, folder)
    return entry.index, write_proofs(folder, manifest, entry, ledger, trust).size


def _put(path: Path, data: bytes) -> None:
    made = path.with_name(f".{path.name}.tmp")
    made.write_bytes(data)
    flush(made)
    made.replace(path)
