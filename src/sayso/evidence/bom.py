"""The bill of materials of a release: CycloneDX 1.6, with models and data as components.

Promises: pure, from plain values; the same values give the same bytes; every component has its
digest, and what a release depends on can be followed down to the snapshots. Digests only: no
counts, no ids, no text. Does not sign.

Example:
    >>> bom = bom_of(Release("r1", "0" * 64, "2026-01-01T00:00:00Z"), Base("b", "1" * 64), [], [])
    >>> bom["specVersion"], bom["metadata"]["component"]["type"]
    ('1.6', 'machine-learning-model')

Source: CycloneDX v1.6, JSON reference; ECMA-424.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sayso.canonical import canonical_json
from sayso.errors import InputError

SPEC = "1.6"
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
# The serial number follows from the release, so that the same release has the same one.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://sayso.example/release/v1")

LIMITS = (
    (
        "Admitted under a rule means that a published rule of the platform admitted a record; it "
        "is not a finding that the use is lawful."
    ),
    (
        "Forgetting reaches the adapters of a release, and neither the base nor copies that others "
        "hold."
    ),
)


@dataclass(frozen=True, slots=True)
class Release:
    """What is described: a name, the SHA-256 of its files' listing, and when it was made."""

    name: str
    sha256: str
    made_at: str
    version: str = "1"


@dataclass(frozen=True, slots=True)
class Base:
    """What the adapters stand on; `exposure` to members' data is `none` or `unknown`."""

    name: str
    sha256: str
    exposure: str = "unknown"
    architecture: str = "transformer"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A snapshot: the SHA-256 of its manifest, and what it is pinned to."""

    name: str
    manifest: str
    purpose: str
    at: str
    known: int
    rulebook: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """Weights that learned from one shard of one dataset, by its name."""

    name: str
    sha256: str
    shard: str
    dataset: str


def bom_of(
    release: Release, base: Base, adapters: Sequence[Adapter], datasets: Sequence[Dataset]
) -> dict[str, Any]:
    """Return the bill of materials of a release.

    Args:
        release: What is described.
        base: The model underneath.
        adapters: All that were merged, and no other.
        datasets: The snapshots that they learned from.

    Raises:
        InputError: Two parts share a name, or an adapter learned from no listed dataset.
    """
    names = [base.name, *(one.name for one in adapters), *(one.name for one in datasets)]
    if len(set(names)) != len(names):
        raise InputError("two parts of the release share a name", hint="name each once")
    known = {one.name for one in datasets}
    for adapter in adapters:
        if adapter.dataset not in known:
            raise InputError(
                f"adapter '{adapter.name}' names dataset '{adapter.dataset}'",
                hint="list every dataset that an adapter learned from",
            )
    parts = sorted(adapters, key=lambda one: one.name)
    data = sorted(datasets, key=lambda one: one.name)
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, release.sha256)}",
        "version": 1,
        "metadata": {
            "timestamp": release.made_at,
            "tools": {"components": [{"type": "application", "name": "sayso"}]},
            "component": _release(release, base, data),
        },
        "components": [_base(base), *map(_adapter, parts), *map(_dataset, data)],
        "dependencies": [
            {
                "ref": _ref("release", release.name),
                "dependsOn": [
                    _ref("base", base.name),
                    *(_ref("adapter", one.name) for one in parts),
                ],
            },
            *(
                {
                    "ref": _ref("adapter", one.name),
                    "dependsOn": [_ref("base", base.name), _ref("data", one.dataset)],
                }
                for one in parts
            ),
        ],
    }


def bom_of_release(
    release: Mapping[str, Any], digest: str, recorded_us: int, snapshot: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the bill of materials of a release as its own files and entries tell it.

    Args:
        release: The values of `release.json`.
        digest: SHA-256 (hex) of that file.
        recorded_us: When its entry was recorded, in microseconds since 1970.
        snapshot: The payload of the entry of the snapshot that its run learned from.

    Raises:
        InputError: Two parts share a name, or the time is none.
    """
    data = f"snapshot-{str(snapshot['manifest'])[:16]}"
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=recorded_us)
    except OverflowError:
        raise InputError("the release was recorded at no time that a calendar has") from None
    base = release["base"]
    return bom_of(
        Release(f"release-{digest[:16]}", digest, at.isoformat().replace("+00:00", "Z")),
        Base(base["name"], base["sha256"], exposure=base["exposure"]),
        [Adapter(name, sha256, name, data) for name, sha256 in release["adapters"].items()],
        [
            Dataset(
                data, snapshot["manifest"], snapshot["purpose"], snapshot["at"],
                snapshot["known"], snapshot["rulebook"],
            )
        ],
    )  # fmt: skip


def bom_bytes(bom: Mapping[str, Any]) -> bytes:
    """Return a bill of materials as canonical JSON."""
    return canonical_json(bom)


def _ref(kind: str, name: str) -> str:
    return f"{kind}:{name}"


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"sayso:{name}", "value": value}


def _release(release: Release, base: Base, datasets: Sequence[Dataset]) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": _ref("release", release.name),
        "name": release.name,
        "version": release.version,
        "description": "A base plus the exact mean of adapters, each learned from one shard.",
        "hashes": _hashes(release.sha256),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "self-supervised"},
                "task": "text-generation",
                "architectureFamily": base.architecture,
                "datasets": [{"ref": _ref("data", one.name)} for one in datasets],
                "inputs": [{"format": "text"}],
                "outputs": [{"format": "text"}],
            },
            "considerations": {"technicalLimitations": list(LIMITS)},
        },
    }


def _base(base: Base) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": _ref("base", base.name),
        "name": base.name,
        "hashes": _hashes(base.sha256),
        "modelCard": {"modelParameters": {"architectureFamily": base.architecture}},
        "properties": [_property("member-exposure", base.exposure)],
    }


def _adapter(one: Adapter) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": _ref("adapter", one.name),
        "name": one.name,
        "description": "Low-rank adapter, learned from one shard and nothing else.",
        "hashes": _hashes(one.sha256),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "self-supervised"},
                "datasets": [{"ref": _ref("data", one.dataset)}],
            }
        },
        "properties": [_property("shard", one.shard)],
    }


def _dataset(one: Dataset) -> dict[str, Any]:
    pins = {
        "purpose": one.purpose,
        "at": one.at,
        "known": str(one.known),
        "rulebook-sha256": one.rulebook,
        "manifest-sha256": one.manifest,
    }
    return {
        "type": "data",
        "bom-ref": _ref("data", one.name),
        "name": one.name,
        "hashes": _hashes(one.manifest),
        "data": [
            {
                "type": "dataset",
                "name": one.name,
                "classification": "personal data, admitted under rules of the platform",
                "description": "A snapshot: records that a published rule admits as of an instant.",
            }
        ],
        "properties": [_property(name, value) for name, value in pins.items()],
    }
