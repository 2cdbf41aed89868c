"""The manifest: what a snapshot holds, and everything that its bytes depend on.

Promises: canonical JSON, so that equal manifests are equal bytes; counts that reconcile
(in = admitted + refused, per country and in total), checked on every reading. Wall time
does not stand here but in `evidence/`.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from sayso.canonical import canonical_json as canonical_json  # noqa: PLC0414 (others ask here)
from sayso.errors import InputError, IntegrityError
from sayso.ledger.keys import BUCKETS

FORMAT: Literal["sayso/snapshot/v1"] = "sayso/snapshot/v1"
NAME = "manifest.json"


def bucket_name(bucket: int) -> str:
    """Return the path of a bucket's file inside the snapshot."""
    return f"records/bucket-{bucket:04d}.parquet"


def _instant(text: str) -> str:
    try:
        if iso(datetime.fromisoformat(text).astimezone(UTC)) == text:
            return text
    except (ValueError, OverflowError):
        pass
    raise PydanticCustomError("instant", "not an instant in UTC as 2025-11-02T16:00:00Z")


Instant = Annotated[str, AfterValidator(_instant)]
Number = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Counts(_Strict):
    """Records in, admitted, and refused by first reason; `reasons` overlap."""

    records_in: Number
    admitted: Number
    refused: dict[str, Number]
    reasons: dict[str, Number]

    @model_validator(mode="after")
    def _reconcile(self) -> "Counts":
        if self.records_in != self.admitted + sum(self.refused.values()):
            msg = "records_in is not admitted + refused"
            raise ValueError(msg)
        return self


class Input(_Strict):
    """A file that the snapshot was made from."""

    name: str
    sha256: Sha256
    rows: Number


class Bucket(_Strict):
    """One file of records and the Merkle root over its leaves."""

    file: str
    rows: Number
    root: Sha256
    sha256: Sha256


class RulebookPin(_Strict):
    """The published rulebook that decided."""

    digest: Sha256
    entry: Number


class LogPin(_Strict):
    """The state of the ledger's log at `known`."""

    origin: str
    size: Number
    root: Sha256


class StandingPin(_Strict):
    """The commitment to every member's standing; see `sayso.snapshot.standing`."""

    rows: Number
    root: Sha256


class Versions(_Strict):
    """What else the answers depend on."""

    semantics: int
    tzdata: str


class Manifest(_Strict):
    """All of it; see docs/formats.md."""

    format: Literal["sayso/snapshot/v1"]
    purpose: str
    at: Instant
    known: Number
    log: LogPin
    rulebook: RulebookPin
    versions: Versions
    inputs: dict[str, Input]
    counts: Counts
    by_country: dict[str, Counts]
    standing: StandingPin
    buckets: dict[Annotated[str, Field(pattern="^[0-9]{4}$")], Bucket]
    files: dict[str, Sha256]
    root: Sha256

    @model_validator(mode="after")
    def _sum_up(self) -> "Manifest":
        if self.counts.records_in != sum(part.records_in for part in self.by_country.values()):
            msg = "the countries do not add up to the total"
            raise ValueError(msg)
        if self.log.size != self.known:
            msg = "the log is pinned at another size than known"
            raise ValueError(msg)
        if self.counts.admitted != sum(bucket.rows for bucket in self.buckets.values()):
            msg = "the buckets do not add up to what was admitted"
            raise ValueError(msg)
        for name, bucket in self.buckets.items():
            if int(name) >= BUCKETS or bucket.file != bucket_name(int(name)):
                msg = f"the file of bucket {name} is another's"
                raise ValueError(msg)
        return self

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_json(self.model_dump())

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def at_instant(self) -> datetime:
        """The instant asked about, aware UTC."""
        return datetime.fromisoformat(self.at)


def parse_manifest(unverified: bytes) -> Manifest:
    """Return the manifest in `unverified`.

    Raises:
        InputError: It is no manifest.
        IntegrityError: Its counts do not reconcile, or its bytes are not canonical.
    """
    try:
        value = json.loads(unverified)
    except (ValueError, RecursionError):
        raise InputError("the manifest is not JSON") from None
    try:
        manifest = Manifest.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise IntegrityError(f"the manifest disagrees with itself: {first['msg']}") from None
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"the manifest is malformed at '{where}'", hint=first["msg"]) from None
    try:
        canonical = manifest.to_bytes()
    except UnicodeEncodeError:
        raise InputError("the manifest holds text that is not UTF-8") from None
    if canonical != unverified:
        raise IntegrityError("the manifest is not in canonical form")
    return manifest


def load_manifest(snapshot: Path) -> Manifest:
    """Read the manifest of a snapshot.

    Raises:
        InputError: There is no finished snapshot, or its manifest is malformed.
        IntegrityError: The manifest disagrees with itself.
    """
    path = snapshot / NAME
    if not path.is_file():
        raise InputError(f"no finished snapshot in '{snapshot}'", hint="build it again")
    return parse_manifest(path.read_bytes())


def iso(instant: datetime) -> str:
    """Return an aware instant as ISO 8601 in UTC with a Z."""
    return instant.isoformat().replace("+00:00", "Z")


def counts_json(counts: Counts) -> Mapping[str, object]:
    """Return counts as the `--json` surfaces print them."""
    return counts.model_dump()
