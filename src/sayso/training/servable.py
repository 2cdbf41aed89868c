"""Which adapters of a run may be served now, and why others may not.

Promises: every shard of a run is asked about, as of now and all that is known; unknown means
no: a snapshot that is gone, or records that retention deleted, leave nothing servable. Does
not need PyTorch, and changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from sayso.canonical import canonical_json
from sayso.errors import IntegrityError
from sayso.model import Reason, reasons_of
from sayso.rulebook.in_force import in_force
from sayso.snapshot.manifest import load_manifest
from sayso.training.objections import (
    COUNTRY_WIDE,
    Refusal,
    against_countries,
    law_then,
    refused_today,
)
from sayso.training.runs import ADAPTERS, DROPPED, LEAVES, Run, load_note, load_origin, load_run
from sayso.training.shards import bucket_tables, parse_tags, root_of_leaves, shard_name
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
        by_shard: Shard -> tags of all records of the snapshot that are refused now.
        dropped: Shards whose adapter was dropped.
    """

    at: datetime
    known: int
    run: Run
    countries: Mapping[str, tuple[str, ...]]
    pending: Mapping[str, Mapping[bytes, tuple[str, ...]]]
    spared: Mapping[str, frozenset[bytes]]
    dropped: frozenset[str]
    by_shard: Mapping[str, frozenset[bytes]]

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

    def refused_tags(self, name: str) -> frozenset[bytes]:
        """Return the tags of a shard's records that nothing may learn from now."""
        return self.by_shard.get(name, frozenset())

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
    there: set[bytes] = set()
    by_shard: dict[str, set[bytes]] = {}
    for bucket, table in bucket_tables(snapshot):
        for row in table.select(["tag", "country"]).to_pylist():
            tag = bytes(row["tag"])
            there.add(tag)
            if tag in refused:
                name = shard_name(row["country"], bucket, run.recipe.shards)
                by_shard.setdefault(name, set()).add(tag)
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
        load_dropped(folder).shards, {name: frozenset(tags) for name, tags in by_shard.items()},
    )  # fmt: skip


# These stand against the shard as a whole, and are not forgotten for: they end.
_COUNTRY_WIDE = set(map(str, reasons_of(COUNTRY_WIDE)))


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
    if name in load_dropped(folder).shards and not leaves:
        return []
    if root_of_leaves(leaves) != run.shards[name].root:
        raise IntegrityError(
            f"the records of '{name}' are not those that the run lists", hint="train anew"
        )
    return parse_tags(leaves)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was taken out of a run: `evidence/dropped.json`.

    Attributes:
        shards: Whose adapter was deleted.
        left_out: Tags of records that nothing learns from again.
        without: Countries that were dropped whole.
    """

    shards: frozenset[str] = frozenset()
    left_out: frozenset[bytes] = frozenset()
    without: frozenset[str] = frozenset()

    def and_also(self, other: "Dropped") -> "Dropped":
        """Return both together."""
        return Dropped(
            self.shards | other.shards, self.left_out | other.left_out,
            self.without | other.without,
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_json(
            {
                "shards": sorted(self.shards),
                "left_out": sorted(tag.hex() for tag in self.left_out),
                "without": sorted(self.without),
            }
        )


def load_dropped(folder: Path) -> Dropped:
    """Return what was taken out of a run; nothing where nothing was.

    Raises:
        IntegrityError: The file cannot be read.
    """
    path = folder / DROPPED
    if not path.is_file():
        return Dropped()
    value = load_note(path)
    try:
        tags = frozenset(bytes.fromhex(tag) for tag in value["left_out"])
        return Dropped(frozenset(value["shards"]), tags, frozenset(value["without"]))
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(f"'{path}' cannot be read", hint="restore it from backup") from None
