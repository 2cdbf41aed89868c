"""Sealing: marking what a stopped run wrote as unusable, and saying so under signature.

Promises: `SEALED` stands in the folder before anything else can read it as a result, and no
command of ours releases, resumes or forgets in a folder that has one; the statement names the
step and the holds, is signed with the workspace's key, and stands in the ledger by its digest.

    SEALED      DSSE envelope; the payload is canonical JSON (`docs/formats.md`)
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from sayso.attest.dsse import sign
from sayso.canonical import canonical_json
from sayso.decision.states import microseconds
from sayso.errors import RefusedError
from sayso.snapshot.manifest import iso
from sayso.training.permit import Permit, StoppedError
from sayso.training.runs import SEALED, write_whole

T = TypeVar("T")

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


def permitted(permit: Permit, work: Iterable[T], folder: Path) -> Iterator[T]:
    """Yield the items of a training loop, each after renewing: for loops without a `Trainer`.

    Args:
        permit: Asked for before the first item.
        work: Whatever the loop goes over; one item is one step.
        folder: Where the loop writes; sealed when the permit ends.

    Raises:
        StoppedError: A hold or another rule stands against it now.
        UnavailableError: The ledger did not answer.

    Example:
        >>> for batch in permitted(permit, batches, Path("out")):      # doctest: +SKIP
        ...     learn(batch)
    """
    for step, item in enumerate(work):
        try:
            permit.renew(step)
        except StoppedError as stopped:
            seal_folder(permit, folder, stopped, where="")
            raise
        yield item


def need_unsealed(folder: Path) -> None:
    """Refuse a folder that was sealed.

    Raises:
        RefusedError: It was.
    """
    if (folder / SEALED).is_file():
        raise RefusedError(
            f"'{folder}' was sealed when its permit ended", hint="delete it and train anew"
        )
