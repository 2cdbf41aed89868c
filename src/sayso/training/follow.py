"""Follow: from a snapshot to its runs, shards, adapters and releases.

Promises: pure functions over the ledger's public entries, so that whoever holds the ledger
can follow by digest, without a folder of ours; what was trained outside of it is not known.
Serves `sayso.evidence.trace`.

Example:
    >>> follow(entries, "5f0c...", {"HK"})[0].releases         # doctest: +SKIP
    (Outcome(entry=9, release='9f5d...', disposition='sealed', ...),)
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sayso.ledger.store import Ledger, PublicEntry

RUN, RELEASE, DISPOSITION, SEALED = "training-run", "release", "disposition", "sealed-run"
KINDS = (RUN, RELEASE, DISPOSITION, SEALED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A release that holds adapters of a run, and what became of it; `served` if nothing did."""

    entry: int
    release: str
    adapters: tuple[str, ...]
    disposition: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FollowedRun:
    """A run of a snapshot.

    Attributes:
        before: Digest of the run whose place it took; empty for the first.
        adapters: Shard -> SHA-256 of its weights, of the countries asked about.
        forgotten: Shards whose adapter was dropped since.
    """

    entry: int
    run: str
    before: str
    adapters: dict[str, str]
    forgotten: tuple[str, ...]
    releases: tuple[Outcome, ...]


def training_entries(ledger: Ledger, known: int) -> list[PublicEntry]:
    """Return every public entry about training below `known`, in order."""
    found = [entry for kind in KINDS for entry in ledger.public(kind, known)]
    return sorted(found, key=lambda entry: entry.index)


def follow(
    entries: Iterable[PublicEntry], snapshot: str, countries: Collection[str] | None = None
) -> tuple[FollowedRun, ...]:
    """Return the runs of a snapshot and what became of them.

    Args:
        entries: Of `training_entries`.
        snapshot: Digest of its manifest.
        countries: Only their shards; None for all.
    """
    told = list(entries)
    found = []
    for entry in told:
        payload = entry.payload
        if entry.kind != RUN or payload["snapshot"] != snapshot:
            continue
        adapters = {
            name: digest
            for name, digest in payload["shards"].items()
            if countries is None or country_of(name) in countries
        }
        gone = {
            shard
            for one in told
            if one.kind == DISPOSITION
            and one.payload["run"] == payload["run"]
            and not one.payload["release"]
            for shard in one.payload["shards"]
        }
        found.append(
            FollowedRun(
                entry.index, payload["run"], payload["before"], adapters,
                tuple(sorted(gone & adapters.keys())), tuple(_outcomes(told, adapters)),
            )
        )  # fmt: skip
    return tuple(found)


def country_of(shard: str) -> str:
    """Return the country in a shard's name."""
    return shard.partition("-")[0]


def _outcomes(entries: Sequence[PublicEntry], adapters: dict[str, str]) -> Iterable[Outcome]:
    last = {one.payload["release"]: one.payload for one in entries if one.kind == DISPOSITION}
    for entry in entries:
        if entry.kind != RELEASE:
            continue
        mine = entry.payload["adapters"]
        hit = tuple(sorted(name for name, one in adapters.items() if mine.get(name) == one))
        if hit:
            digest = entry.payload["release"]
            became = last.get(digest, {"disposition": "served", "why": ()})
            yield Outcome(entry.index, digest, hit, became["disposition"], tuple(became["why"]))
