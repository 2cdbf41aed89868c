"""Statements: what we say, signed, of snapshots, training, releases, and what was deleted.

Promises: an in-toto Statement v1 of one of the types in `sayso.attest.predicates`, as
canonical bytes; every predicate of ours is pinned to a checkpoint of the log, a published
rulebook, the versions, the inputs and its sibling statements. Digests only: no counts, no
ids, no text. Does not sign (`sayso.attest.dsse` does), and does not look at the files that
it names.

Example:
    >>> raw = snapshot_statement("0" * 64, pins)                # doctest: +SKIP
    >>> verify_statement(sign(STATEMENT_TYPE, raw, key).to_bytes(), [key.public]).subjects
    ...                                                         # doctest: +SKIP
    {'manifest.json': '0000000000000000000000000000000000000000000000000000000000000000'}

Source: in-toto attestation, spec v1, statement.md; SLSA v1.0, provenance.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sayso.attest.dsse import STATEMENT_TYPE, parse_envelope, verify
from sayso.attest.keys import PublicKey
from sayso.attest.predicates import (
    BUILD_TYPE,
    ERASURE,
    NAMED,
    NAMESPACE,
    PACK,
    PROVENANCE,
    RELEASE,
    RETENTION,
    SNAPSHOT,
    TRAINING_RUN,
    anything,
    check_order,
    check_predicate,
)
from sayso.attest.shape import fields, iso, line, list_of, refuse
from sayso.canonical import canonical_json, parse_canonical
from sayso.errors import InputError
from sayso.log.checkpoint import Checkpoint

# Source: in-toto attestation, spec v1, statement.md.
STATEMENT = "https://in-toto.io/Statement/v1"

# File names, or names of other things -> SHA-256 in hex.
Digests = Mapping[str, str]


# ---- what statements are pinned to ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pins:
    """What every statement of ours depends on.

    Attributes:
        known: How many entries of the ledger counted.
        log: The state of the log; covers all of those entries.
        rulebook: Digest (hex) of the published rulebook.
        rulebook_entry: The entry that published it.
        inputs: What was read: the name in the manifest -> SHA-256.
        siblings: Statements that belong to this one: name -> SHA-256 of its canonical
            bytes. A bundle from which one was taken away shows it.
    """

    purpose: str
    at: datetime
    known: int
    log: Checkpoint
    rulebook: str
    rulebook_entry: int
    semantics: int
    tzdata: str
    inputs: Digests
    siblings: Digests

    def to_json(self) -> dict[str, object]:
        """Return the keys that all predicates of ours share."""
        return {
            "purpose": self.purpose,
            "at": iso(self.at),
            "known": self.known,
            "log": {
                "origin": self.log.origin, "size": self.log.size, "root": self.log.root.hex(),
            },
            "rulebook": {"digest": _digest(self.rulebook), "entry": self.rulebook_entry},
            "versions": {"semantics": self.semantics, "tzdata": self.tzdata},
            "inputs": _named(self.inputs),
            "siblings": _named(self.siblings),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class StandingRoot:
    """The tree over every member's standing, sorted by tag, in which absence can be shown.

    Attributes:
        rows: Its leaves; needed to show that the last leaf is the last. None: not said.
    """

    root: bytes
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """The model that adapters stand on.

    Attributes:
        exposure: `none` where it saw no member's data, else `unknown`.
    """

    name: str
    sha256: str
    exposure: str


@dataclass(frozen=True, slots=True)
class Shard:
    """What one adapter learned from.

    Attributes:
        root: Merkle root (32 bytes) over the records of the shard.
        adapter: Name of the subject that learned from it, and from nothing else.
        environment: SHA-256 (hex) of the environment in which it learned.
    """

    name: str
    root: bytes
    adapter: str
    environment: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One file of a snapshot before and after an erasure; `after` is None where it is gone."""

    file: str
    before: str
    after: str | None


@dataclass(frozen=True, slots=True)
class Builder:
    """Who built: the name of a builder and the versions of what it used."""

    name: str
    versions: Mapping[str, str]
    invocation: str
    started_at: datetime
    finished_at: datetime


# ---- building ---------------------------------------------------------------------------


def statement(subjects: Digests, predicate_type: str, predicate: Mapping[str, object]) -> bytes:
    """Return the canonical bytes of a statement.

    Args:
        subjects: What it is about: name -> SHA-256 in hex.
        predicate_type: One of those in `sayso.attest.predicates`.
        predicate: What is said.

    Raises:
        InputError: A value has another shape, or there is no such type.
        IntegrityError: The values disagree with each other, as `parse_statement` would say.
    """
    value = {
        "_type": STATEMENT,
        "subject": _named(subjects),
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    try:
        raw = canonical_json(value)
    except (TypeError, ValueError):
        raise InputError("the statement holds what JSON cannot", hint="give plain values") from None
    parse_statement(raw)
    return raw


def snapshot_statement(manifest: str, pins: Pins, standing: StandingRoot | None = None) -> bytes:
    """Say that a snapshot was built: its subject is the manifest, which holds all the rest.

    Args:
        manifest: SHA-256 (hex) of `manifest.json`.
        pins: What it depends on.
        standing: The members' standings that decided.

    Raises:
        InputError: A value has another shape.
        IntegrityError: The checkpoint does not cover what the pins name.
    """
    predicate = pins.to_json()
    if standing is not None:
        rows = {} if standing.rows is None else {"rows": standing.rows}
        predicate["standing"] = {"root": standing.root.hex(), **rows}
    return statement({"manifest.json": manifest}, SNAPSHOT, predicate)


def training_run_statement(
    adapters: Digests,
    pins: Pins,
    *,
    snapshot: str,
    base: Base,
    recipe: str,
    seed: int,
    shards: Sequence[Shard],
    environments: Mapping[str, Mapping[str, str]],
) -> bytes:
    """Say that each adapter learned from one shard of a snapshot, on a base.

    Args:
        adapters: The subjects: file name -> SHA-256.
        pins: What the snapshot depends on.
        snapshot: SHA-256 (hex) of the snapshot's manifest.
        base: What the adapters stand on.
        recipe: SHA-256 (hex) of the canonical settings of the training.
        seed: What all randomness of the training comes from.
        shards: One for each adapter.
        environments: SHA-256 (hex) -> what stands in it. The same bytes are claimed only
            where these are the same.

    Raises:
        InputError: A value has another shape.
        IntegrityError: The shards and the adapters are not one to one, a shard's environment
            is not told, or the checkpoint does not cover what the pins name.
    """
    predicate = pins.to_json() | {
        "snapshot": {"digest": _digest(snapshot)},
        "base": _base(base),
        "recipe": {"digest": _digest(recipe)},
        "seed": seed,
        "shards": [
            {
                "name": one.name,
                "root": one.root.hex(),
                "adapter": one.adapter,
                "environment": _digest(one.environment),
            }
            for one in sorted(shards, key=lambda shard: shard.name)
        ],
        "environments": [
            {"digest": _digest(one), "values": dict(environments[one])}
            for one in sorted(environments)
        ],
    }
    return statement(adapters, TRAINING_RUN, predicate)


def release_statement(
    release: Digests, pins: Pins, *, base: Base, adapters: Digests, merge: str
) -> bytes:
    """Say that a release is a base plus the exact mean of a set of adapters.

    Args:
        release: The subjects: the files of the release -> SHA-256.
        pins: At which instant it was looked whether each adapter may be served.
        base: What the adapters stand on.
        adapters: All that went into it, and no other: file name -> SHA-256.
        merge: How the mean was taken: `mean` of the halves B, or `concatenation`.

    Raises:
        InputError: A value has another shape.
        IntegrityError: The checkpoint does not cover what the pins name.
    """
    predicate = pins.to_json() | {
        "base": _base(base), "adapters": _named(adapters), "merge": merge,
    }  # fmt: skip
    return statement(release, RELEASE, predicate)


def erasure_statement(
    manifest: str, pins: Pins, *, entry: int, files: Sequence[Rewritten]
) -> bytes:
    """Say that files of a snapshot were rewritten because a member was erased.

    The manifest stays as it was signed; whoever checks a file takes the digest after the
    last erasure in place of the manifest's.

    Args:
        manifest: SHA-256 (hex) of the snapshot's `manifest.json`.
        pins: At which state of the log the files were rewritten.
        entry: The entry of the ledger that records the erasure.
        files: What changed.

    Raises:
        InputError: A value has another shape.
        IntegrityError: A file stands twice or did not change, or the checkpoint does not
            cover what the pins name.
    """
    predicate = pins.to_json() | {
        "entry": entry,
        "files": [
            {
                "name": one.file,
                "before": _digest(one.before),
                "after": _digest(one.after) if one.after is not None else None,
            }
            for one in sorted(files, key=lambda rewritten: rewritten.file)
        ],
    }
    return statement({"manifest.json": manifest}, ERASURE, predicate)


def retention_statement(
    manifest: str, pins: Pins, *, deleted_us: int, keep: str, reason: str
) -> bytes:
    """Say that the records of a snapshot were deleted, since they had been kept long enough.

    Args:
        manifest: SHA-256 (hex) of the snapshot's `manifest.json`.
        pins: What the snapshot depends on.
        deleted_us: When, in microseconds since 1970.
        keep: How long they were kept, as the settings say it.
        reason: Why so long, in the platform's words.

    Raises:
        InputError: A value has another shape.
        IntegrityError: The checkpoint does not cover what the pins name.
    """
    predicate = pins.to_json() | {"deleted_us": deleted_us, "keep": keep, "reason": reason}
    return statement({"manifest.json": manifest}, RETENTION, predicate)


def pack_statement(listing: str, kind: str, created_us: int) -> bytes:
    """Say that a pack was made: its subject is the listing, which names every file.

    Args:
        listing: SHA-256 (hex) of `pack.json`.
        kind: One of `sayso.attest.predicates.PACK_KINDS`.
        created_us: When, in microseconds since 1970.

    Raises:
        InputError: A value has another shape.
    """
    return statement({"pack.json": listing}, PACK, {"kind": kind, "created_us": created_us})


def provenance(subjects: Digests, pins: Pins, builder: Builder) -> bytes:
    """Say how a snapshot was built, in the words of SLSA, which other tools read.

    Args:
        subjects: What was built: name -> SHA-256.
        pins: The question and what answered it; siblings do not stand here.
        builder: Who built, with what, when.

    Raises:
        InputError: A value has another shape.
    """
    checkpoint = {
        "name": "checkpoint",
        "digest": _digest(hashlib.sha256(pins.log.to_text().encode()).hexdigest()),
        "annotations": pins.to_json()["log"],
    }
    rulebook = {
        "name": "rulebook",
        "digest": _digest(pins.rulebook),
        "annotations": {"entry": pins.rulebook_entry},
    }
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "purpose": pins.purpose, "at": iso(pins.at), "known": pins.known,
            },
            "resolvedDependencies": [checkpoint, rulebook, *_named(pins.inputs)],
        },
        "runDetails": {
            "builder": {"id": f"{NAMESPACE}{builder.name}", "version": dict(builder.versions)},
            "metadata": {
                "invocationId": builder.invocation,
                "startedOn": iso(builder.started_at),
                "finishedOn": iso(builder.finished_at),
            },
        },
    }  # fmt: skip
    return statement(subjects, PROVENANCE, predicate)


def _digest(value: str) -> dict[str, str]:
    return {"sha256": value}


def _named(digests: Digests) -> list[dict[str, object]]:
    return [{"name": name, "digest": _digest(digests[name])} for name in sorted(digests)]


def _base(base: Base) -> dict[str, object]:
    return {"name": base.name, "digest": _digest(base.sha256), "exposure": base.exposure}


# ---- reading ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Statement:
    """A statement that has the shape of its type.

    Attributes:
        subjects: Name -> SHA-256 in hex.
        predicate: As its type says.
    """

    subjects: Digests
    predicate_type: str
    predicate: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return statement(self.subjects, self.predicate_type, self.predicate)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex; what a sibling names it by."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def verify_statement(unverified: bytes, public_keys: Iterable[PublicKey]) -> Statement:
    """Return the statement in an envelope that one of `public_keys` signed.

    Raises:
        InputError: It is no envelope, or holds no statement of a type of ours.
        IntegrityError: It is not signed so, or disagrees with itself.
    """
    return parse_statement(verify(parse_envelope(unverified), public_keys, STATEMENT_TYPE))


def parse_statement(unverified: bytes) -> Statement:
    """Return the statement whose canonical bytes are exactly `unverified`.

    Raises:
        InputError: It is no statement of a type that we make.
        IntegrityError: It is not in canonical form, or disagrees with itself.
    """
    value: Any = parse_canonical(unverified)
    _STATEMENT(value, "statement")
    kind, predicate = value["predicateType"], value["predicate"]
    check_order(value["subject"], "subjects")
    subjects = {one["name"]: one["digest"]["sha256"] for one in value["subject"]}
    check_predicate(kind, predicate, subjects)
    return Statement(subjects, kind, predicate)


def _type(value: object, where: str) -> None:
    if value != STATEMENT:
        refuse(where, f"'{STATEMENT}'")


_STATEMENT = fields(
    {
        "_type": _type,
        "subject": list_of(NAMED, least=1),
        "predicateType": line,
        "predicate": anything,
    }
)
