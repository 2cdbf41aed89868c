"""Trace: from a member to every snapshot, shard, adapter and release that holds what is theirs.

Promises: speaks of one member and names nobody else; what cannot be looked at (a folder that
is not at hand, records that retention deleted, a run whose own account is gone) is unknown and
never none. A run is said to have forgotten them once another took its place that learned
without them, and not when their adapter was dropped. Reaches what stands in this ledger.

Example:
    >>> trace_member(ledger, folders, "m1").snapshots[0].runs[0].learned     # doctest: +SKIP
    True
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sayso.attest.predicates import TRAINING_RUN
from sayso.attest.statements import verify_statement
from sayso.attest.trust import Trust
from sayso.errors import InputError, SaysoError
from sayso.evidence.entries import Folders
from sayso.evidence.own import own_records
from sayso.evidence.trace import Build
from sayso.ledger.store import Ledger, PublicEntry
from sayso.receipting import Said, choices_of, key_of
from sayso.snapshot.seal import record_tag
from sayso.training.follow import FollowedRun, Outcome, follow, training_entries
from sayso.training.places import RUNS, places
from sayso.training.runs import SOURCE, STATEMENT, load_origin
from sayso.training.shards import shard_name


@dataclass(frozen=True, slots=True)
class MemberRun:
    """A run of a snapshot, as far as it concerns one member.

    Attributes:
        shard: Theirs; None where their country in the snapshot is unknown. So `adapter`.
        adapter: SHA-256 of the weights that the shard gave.
        learned: Whether it learned from a record of theirs; None where nobody can tell.
        dropped: Whether the adapter was dropped since.
        after: The entry of the run that took its place and learned nothing of theirs.
        releases: That hold the adapter; of all adapters where the shard is unknown.
    """

    entry: int
    run: str
    before: str
    shard: str | None
    adapter: str | None
    learned: bool | None
    dropped: bool
    after: int | None
    releases: tuple[Outcome, ...]

    @property
    def forgotten(self) -> bool:
        """Whether it let go of them: dropped, and a run without them took its place."""
        return self.dropped and self.after is not None


@dataclass(frozen=True, slots=True)
class MemberBuild:
    """A snapshot, as far as it concerns one member.

    Attributes:
        records: Of theirs that it holds; None where it cannot be looked at.
        country: In which they were counted there; None where there is none of theirs.
    """

    build: Build
    records: int | None
    country: str | None
    runs: tuple[MemberRun, ...]

    @property
    def is_touched(self) -> bool:
        """Whether it holds something of theirs, or may."""
        return self.records != 0


@dataclass(frozen=True, slots=True)
class MemberTrace:
    """What a member said, and every snapshot of the ledger, in the order of recording."""

    said: tuple[Said, ...]
    snapshots: tuple[MemberBuild, ...]

    @property
    def touched(self) -> tuple[MemberBuild, ...]:
        """Snapshots that hold something of theirs, or may."""
        return tuple(one for one in self.snapshots if one.is_touched)


def trace_member(ledger: Ledger, trust: Trust, folders: Folders, member: str) -> MemberTrace:
    """Return everything that holds what is a member's.

    Args:
        ledger: Whose.
        trust: Who signed the runs.
        folders: Snapshots that are at hand.
        member: Canonical text of the id.

    Raises:
        InputError: Nothing of the member stands here, or they were erased.
        IntegrityError: A snapshot is not the one that was signed.
    """
    key = key_of(ledger, member)
    if key is None:
        raise InputError(
            "nothing of this member stands in the ledger",
            hint="they never said anything and stand in no table, or were erased: then nothing "
            "tells any more which leaves were theirs",
        )
    known = ledger.size()
    training = training_entries(ledger, known)
    look = _Look(ledger, trust, folders, member, key, training)
    return MemberTrace(
        tuple(choices_of(ledger, member, known)),
        tuple(look.at(build) for build in folders.builds(ledger)),
    )


@dataclass(frozen=True)
class _Look:
    """Looking for one member."""

    ledger: Ledger
    trust: Trust
    folders: Folders
    member: str
    key: bytes
    training: Sequence[PublicEntry]

    def at(self, build: Build) -> MemberBuild:
        tags, country = self._tags(build)
        if tags is None:
            followed = follow(self.training, build.manifest)
            return MemberBuild(build, None, None, tuple(_unknown(run) for run in followed))
        if not tags or country is None:
            return MemberBuild(build, 0, None, ())
        return MemberBuild(build, len(tags), country, tuple(self._runs(build, tags, country)))

    def _tags(self, build: Build) -> tuple[frozenset[bytes] | None, str | None]:
        """Return the tags of the member's records in a snapshot, and their country there."""
        folder = self.folders.by_entry.get(build.entry)
        if folder is None:
            return None, None
        bucket = self.ledger.keys.bucket_of(self.member)
        try:
            _, rows = own_records(folder, self.member, bucket)
        except InputError:  # retention deleted them
            return None, None
        tags = frozenset(record_tag(self.key, str(row["record_id"])) for row in rows)
        return tags, str(rows[0]["country"]) if rows else None

    def _runs(self, build: Build, tags: frozenset[bytes], country: str) -> Iterator[MemberRun]:
        bucket = self.ledger.keys.bucket_of(self.member)
        every = follow(self.training, build.manifest)
        found = {
            (run.entry, shard): self._learned(run, tags)
            for run in every
            for shard in run.adapters
            if shard == shard_name(country, bucket, int(shard.rpartition("-")[2]))
        }
        for run in every:
            for shard in sorted(run.adapters):
                if (run.entry, shard) not in found:
                    continue
                yield MemberRun(
                    entry=run.entry, run=run.run, before=run.before, shard=shard,
                    adapter=run.adapters[shard], learned=found[run.entry, shard],
                    dropped=shard in run.forgotten, after=_after(run, every, found),
                    releases=tuple(one for one in run.releases if shard in one.adapters),
                )  # fmt: skip

    def _learned(self, run: FollowedRun, tags: frozenset[bytes]) -> bool | None:
        """Whether a run learned from one of these records, as its signed account says."""
        folder = places(self.ledger.folder, RUNS).get(run.run)
        left_out = self._left_out(folder, run) if folder is not None else None
        return None if left_out is None else bool(tags - left_out)

    def _left_out(self, folder: Path, run: FollowedRun) -> frozenset[bytes] | None:
        """Return the tags that a run left out; None where its account is gone or not signed."""
        try:
            found = verify_statement((folder / STATEMENT).read_bytes(), self.trust.keys)
            raw = (folder / SOURCE).read_bytes()
            origin = load_origin(folder)
        except (SaysoError, OSError):
            return None
        entry = next(one for one in self.training if one.index == run.entry)
        siblings = {one["name"]: one["digest"]["sha256"] for one in found.predicate["siblings"]}
        is_signed = (
            found.predicate_type == TRAINING_RUN
            and found.digest == entry.payload["statement"]
            and siblings.get("source.json") == hashlib.sha256(raw).hexdigest()
        )
        return frozenset(map(bytes.fromhex, origin.left_out)) if is_signed else None


def _after(
    run: FollowedRun, every: Sequence[FollowedRun], found: Mapping[tuple[int, str], bool | None]
) -> int | None:
    """Return the entry of the first run in another's place that learned nothing of theirs."""
    line = {run.run}
    for later in every:
        if later.before in line:
            line.add(later.run)
            if all(
                learned is False for (entry, _), learned in found.items() if entry == later.entry
            ):
                return later.entry
    return None


def _unknown(run: FollowedRun) -> MemberRun:
    """Return a run of a snapshot that cannot be looked at."""
    return MemberRun(
        entry=run.entry, run=run.run, before=run.before, shard=None, adapter=None, learned=None,
        dropped=False, after=None, releases=run.releases,
    )  # fmt: skip
