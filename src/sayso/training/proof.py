"""Proof: making the run that never had somebody, and comparing every file.

Promises: whatever is compared is equal, or it raises; what cannot be compared is named: the
shards that were learned in another environment, for which nobody promised the same bytes,
and those that may not be learned now. The run that was made for it is deleted.
"""

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from sayso.errors import IntegrityError
from sayso.tables import sha256_of
from sayso.training.environment import digest_of, fingerprint, prepare_torch
from sayso.training.run import Order, Told, Trained, train
from sayso.training.runs import ADAPTERS, NAME, SHARD_FILES
from sayso.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof showed.

    Attributes:
        equal: Files that equal those of a run that never had them.
        unproved: Shards that were not compared.
    """

    equal: int
    unproved: tuple[str, ...]


def prove(
    workspace: Workspace,
    order: Order,
    trained: Trained,
    closed: Collection[str],
    tell: Callable[[Told], None],
) -> Proof:
    """Make the run that never had them, and compare.

    Args:
        workspace: Whose.
        order: Of the run that is compared.
        trained: That run.
        closed: Countries of which nothing may be learned now.
        tell: Told how far the learning is.

    Raises:
        IntegrityError: A file differs.
        RefusedError: There is no permit.
        UnavailableError: The ledger did not answer.
    """
    here = digest_of(fingerprint(prepare_torch(order.device)))
    shards = trained.run.shards
    names = tuple(
        name
        for name, one in shards.items()
        if one.country not in closed and one.environment == here
    )
    unproved = tuple(name for name in shards if name not in names)
    if not names:
        return Proof(0, unproved)
    proof = order.out.with_name(f"{order.out.name}.proof")
    if proof.exists():
        shutil.rmtree(proof)
    never = replace(
        order, out=proof, without=order.without | set(closed), taken_from=None,
        again=frozenset(shards[name].country for name in names), before="",
    )  # fmt: skip
    train(workspace, never, tell)
    try:
        count = compare(order.out, proof, names, whole=not unproved)
    finally:
        shutil.rmtree(proof)
    return Proof(count, unproved)


def compare(ours: Path, theirs: Path, names: Collection[str], *, whole: bool) -> int:
    """Return how many files of two runs are the same.

    Args:
        ours: A finished run.
        theirs: Another.
        names: Shards to compare.
        whole: Whether they are all, so that the run files must be the same as well.

    Raises:
        IntegrityError: A file differs.
    """
    files = [f"{ADAPTERS}/{name}/{file}" for name in names for file in SHARD_FILES]
    files += [NAME] if whole else []
    for file in files:
        if _digest(ours / file) != _digest(theirs / file):
            raise IntegrityError(
                f"'{file}' differs from that of a run that never had them",
                hint="the environments are the same: do not release it, and look for what changed",
            )
    return len(files)


def _digest(path: Path) -> str:
    return sha256_of((path,)) if path.is_file() else "missing"
