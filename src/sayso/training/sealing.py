"""Sealing: marking what a stopped run wrote as unusable, and saying so under signature.

Promises: `SEALED` stands in the folder before anything else can read it as a result, and no
command of ours releases, resumes or forgets in a folder that has one; the statement names the
step and the holds, is signed with the workspace's key, and stands in the ledger by its digest.

    SEALED      DSSE envelope; the payload is canonical JSON (`docs/formats.md`)
"""

import hashlib
from pathlib import Path

from sayso.attest.dsse import sign
from sayso.canonical import canonical_json
from sayso.decision.states import microseconds
from sayso.errors import RefusedError
from sayso.snapshot.manifest import iso
from sayso.training.permit import Permit, StoppedError
from sayso.training.runs import SEALED, write_whole

SEALED_TYPE = "application/vnd.sayso.sealed-run.v1+json"
ENTRY = "sealed-run"


def seal_folder(permit: Permit, folder: Path, stopped: StoppedError, *, where: str) -> str:
    """Mark a folder as unusable; return the digest of what was said, in hex.

    Args:
        permit: What ended.
        folder: Where the run wrote.
        stopped: Why, and at which step.
        where: The shard that was being learned; empty where there are none.
    """
    workspace = permit.workspace
    at = workspace.clock()
    said = canonical_json(
        {
            "snapshot": permit.manifest.digest,
            "purpose": permit.manifest.purpose,
            "shard": where,
            "step": stopped.step,
            "holds": list(stopped.holds),
            "countries": sorted({one.country for one in stopped.objections}),
            "at": iso(at),
            "known": workspace.ledger.size(),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SEALED, sign(SEALED_TYPE, said, workspace.trust.key).to_bytes())
    digest = hashlib.sha256(said).hexdigest()
    payload = {
        "snapshot": permit.manifest.digest, "step": stopped.step, "holds": list(stopped.holds),
        "statement": digest,
    }  # fmt: skip
    workspace.ledger.append_public(ENTRY, payload, microseconds(at))
    return digest


def need_unsealed(folder: Path) -> None:
    """Refuse a folder that was sealed.

    Raises:
        RefusedError: It was.
    """
    if (folder / SEALED).is_file():
        raise RefusedError(
            f"'{folder}' was sealed when its permit ended", hint="delete it and train anew"
        )
