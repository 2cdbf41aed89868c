"""Which adapters of a run may be served now, and why others may not.

Promises: every shard of a run is asked about, as of now and all that is known; unknown means
no: a snapshot that is gone, or records that retention deleted, leave nothing servable. Does
not need PyTorch, and changes nothing.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from sayso.errors import IntegrityError
from sayso.model import Reason
from sayso.rulebook.in_force import in_force
from sayso.snapshot.manifest import load_manifest
from sayso.training.objections import Refusal, against_countries, law_then, refused_today
from sayso.training.runs import ADAPTERS, DROPPED, LEAVES, Run, load_origin, load_run
from sayso.training.shards import bucket_tables, parse_tags, root_of_leaves
from sayso.workspace import Workspace

ERASED = str(Reason.MEMBER_ERASED)


@dataclass(frozen=True)
class Standing:
    """What stands against the adapters of a run.

    Attributes:
        at: As of when.
        known: The ledger's size then.
        countries: Country -> the holds and rules that stand against it.
        pending: Shard -> tag of a record -> why it must be forgotten.
        spared: Shard -> tags of records of members who chose off, under `future-runs`.
        dropped: Shards whose adapter was dropped.
    """

    at: datetime
    known: int
    run: Run
    countries: Mapping[str, tuple[str, ...]]
    pending: Mapping[str, Mapping[bytes, tuple[str, ...]]]
    spared: Mapping[str, frozenset[bytes]]
    dropped: frozenset[str]

    @cached_property
    def refused(self) -> dict[str, tuple[str, ...]]:
        """Shard -> why its adapter may not be served; the others may."""
        found = {}
        for name, one in self.run.shards.items():
            why = list(self.countries.get(one.country, ()))
            why += ["it was dropped"] if name in self.dropped else []
            reasons = {reason for reasons in self.pending[name].values() for reason in reasons}
            why += [f"it learned from records refused now: {reason}" for reason in sorted(reasons)]
            if why:
                found[name] = tuple(why)
        return found

    def spared_records(self, names: Iterable[str]) -> int:
        """Return how many records of some shards are spared."""
        return sum(len(self.spared[name]) for name in names)


def standing_of(workspace: Workspace, folder: Path, content: Path | None = None) -> Standing:
    """Return what stands against the adapters of a run now.

    Args:
        workspace: Asked.
        folder: A finished run.
        content: Records as they are now; None: as in the snapshot.

    Raises:
        InputError: There is no finished run, or its snapshot is gone.
        IntegrityError: The snapshot, or what a shard says it learned from, differs.
        UnavailableError: The ledger did not answer.
    """
    run, origin = load_run(folder), load_origin(folder)
    snapshot = Path(origin.snapshot)
    manifest = load_manifest(snapshot)
    if manifest.digest != origin.manifest:
        raise IntegrityError(
            f"'{snapshot}' is not the snapshot that the run learned from",
            hint="bring it back, or train anew",
        )
    at, known = workspace.clock(), workspace.ledger.size()
    now = in_force(workspace.rules(known).book, run.purpose, at)
    countries = sorted({one.country for one in run.shards.values()})
    against: dict[str, list[str]] = {}
    for one in against_countries(countries, law_then(workspace, manifest), now):
        against.setdefault(one.country, []).append(one.text)
    refused = refused_today(workspace, snapshot, content)
    there = {
        bytes(tag)
        for _, table in bucket_tables(snapshot)
        for tag in table["tag"].to_pylist()
    }
    pending: dict[str, dict[bytes, tuple[str, ...]]] = {}
    spared: dict[str, frozenset[bytes]] = {}
    for name in run.shards:
        tags = learned_tags(folder, run, name)
        found = {tag: _why(refused.get(tag), is_there=tag in there) for tag in tags}
        # A hold is the country's, and ends; what it refuses is not forgotten for it.
        pending[name] = {tag: why for tag, why in found.items() if why}
        spared[name] = frozenset(tag for tag in tags if tag in refused and refused[tag].spared)
    return Standing(
        at, known, run, {name: tuple(texts) for name, texts in against.items()}, pending, spared,
        frozenset(dropped_shards(folder)),
    )  # fmt: skip


# What a country's holds and rules refuse; these stand against the shard as a whole.
_COUNTRY_WIDE = {str(Reason.ON_HOLD), str(Reason.NOT_ENABLED), str(Reason.NO_RULE)}


def _why(refusal: Refusal | None, *, is_there: bool) -> tuple[str, ...]:
    if not is_there:
        return (ERASED,)
    if refusal is None or refusal.spared:
        return ()
    return tuple(reason for reason in refusal.reasons if reason not in _COUNTRY_WIDE)


def learned_tags(folder: Path, run: Run, name: str) -> list[bytes]:
    """Return the tags of the records that a shard learned from, in order.

    Raises:
        IntegrityError: The file is missing, or is not what the run file commits to.
    """
    path = folder / ADAPTERS / name / LEAVES
    leaves = path.read_bytes() if path.is_file() else b""
    if name in dropped_shards(folder) and not leaves:
        return []
    if root_of_leaves(leaves) != run.shards[name].root:
        raise IntegrityError(
            f"the records of '{name}' are not those that the run lists", hint="train anew"
        )
    return parse_tags(leaves)


def dropped_shards(folder: Path) -> dict[str, str]:
    """Return the shards of a run whose adapters were dropped, with the reason."""
    try:
        value = json.loads((folder / DROPPED).read_bytes())
    except FileNotFoundError:
        return {}
    return {str(name): str(why) for name, why in value["shards"].items()}
