"""Checks of snapshots that a pack speaks of, each by its entry in the ledger.

Promises: what is shown of a snapshot leads to its public entry, which `check_proofs` finds in
the log: the signed statement, the manifest where it is here, the buckets' roots where it is
not. Proofs about a member are held against those roots by `sayso.evidence.checks_member`.

    snapshots/<index>/statement.json       signed; the entry names its digest
    snapshots/<index>/manifest.json        the entry names its digest
    snapshots/<index>/buckets.json         rows and roots; they lead to the entry's root
    snapshots/<index>/standing.json        as member/standing.json
    snapshots/<index>/records/<tag>.json   as member/records/<tag>.json
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from sayso.attest.predicates import SNAPSHOT
from sayso.attest.shape import fields, map_of, number, sha256
from sayso.attest.statements import Statement
from sayso.canonical import encode, parse_canonical
from sayso.errors import IntegrityError
from sayso.evidence.case import Case
from sayso.evidence.checks import count
from sayso.evidence.checks_log import read_entry
from sayso.evidence.checks_manifest import parse_manifest
from sayso.evidence.checks_member import check_member_standing, check_records
from sayso.evidence.checks_statement import read_statement
from sayso.evidence.files import PackFiles
from sayso.evidence.layout import CHOICES, MANIFEST, MEMBER_STANDING, SNAPSHOTS, matching
from sayso.log.merkle import root_of

_BUCKETS = map_of(fields({"rows": number, "root": sha256}))


def check_snapshots(case: Case) -> str:
    """Check every snapshot that is shown by its entry."""
    found: dict[str, list[str]] = {}
    for one in matching(case.files.names, SNAPSHOTS):
        found.setdefault(one["index"], []).append(one["file"])
    told = [_check(case, index, names) for index, names in found.items()]
    manifests = sum(MANIFEST in names for names in found.values())
    said = (
        f"{count(len(found), 'snapshot')} shown by the entries of the ledger: each statement is "
        "signed, and is the one that its entry names."
    )
    if manifests:
        said += (
            f" {count(manifests, 'manifest is', 'manifests are')} here: each is the one that its "
            "entry names, and agrees with itself."
        )
    return " ".join(one for one in (said, *told) if one)


def _check(case: Case, index: str, names: list[str]) -> str:
    """Check one snapshot; return what was found about a member, if anything is shown."""
    inside = f"snapshots/{index}/"
    payload = _payload(case, f"entries/{index}.json")
    statement = _statement(case, f"{inside}statement.json", payload)
    if MANIFEST in names:
        raw = case.files.read(inside + MANIFEST)
        manifest = parse_manifest(raw)
        if hashlib.sha256(raw).hexdigest() != payload["manifest"]:
            raise IntegrityError(f"'{inside}{MANIFEST}' is not the one that the entry names")
        if manifest["root"] != payload["root"]:
            raise IntegrityError(f"'{inside}{MANIFEST}' has another root than the entry")
    about_member = [one for one in names if one == "standing.json" or one.startswith("records/")]
    if "buckets.json" not in names:
        if about_member:
            raise IntegrityError(f"'{inside}buckets.json' is missing")
        return ""
    buckets = _buckets(case, f"{inside}buckets.json", str(payload["root"]))
    # The same proofs as beside a manifest, with the same roots, from what was signed and logged.
    read = case.files.read
    shown = {f"member/{name}": read(inside + name) for name in about_member}
    shown |= {one[0]: read(one[0]) for one in matching(case.files.names, CHOICES)}
    own = Case(
        PackFiles(shown),
        case.given,
        keys=case.keys,
        policy=case.policy,
        manifest={
            "purpose": statement.predicate["purpose"],
            "at": statement.predicate["at"],
            "known": statement.predicate["known"],
            "standing": statement.predicate["standing"],
            "buckets": buckets,
        },
    )
    told = [f"Of entry {index}:"]
    if MEMBER_STANDING in own.files.names:
        told.append(check_member_standing(own))
    if any(name.startswith("records/") for name in about_member):
        told.append(check_records(own))
    return " ".join(told) if len(told) > 1 else ""


def _payload(case: Case, name: str) -> Mapping[str, Any]:
    value = read_entry(case, name)
    if value["kind"] != "snapshot" or not {"manifest", "root", "statement"} <= set(
        value["payload"]
    ):
        raise IntegrityError(f"'{name}' is no entry of a snapshot", name=name)
    return dict(value["payload"])


def _statement(case: Case, name: str, payload: Mapping[str, Any]) -> Statement:
    """Return the signed statement of a snapshot, which says what its entry says."""
    found, said, _ = read_statement(case, name)
    if found.predicate_type != SNAPSHOT or hashlib.sha256(said).hexdigest() != payload["statement"]:
        raise IntegrityError(f"'{name}' is not the one that the entry names", name=name)
    predicate = found.predicate
    pinned = {
        "manifest": found.subjects.get(MANIFEST),
        "purpose": predicate["purpose"],
        "at": predicate["at"],
        "known": predicate["known"],
        "rulebook": predicate["rulebook"]["digest"]["sha256"],
        "standing": predicate.get("standing", {}).get("root"),
    }
    if any(payload.get(key) != value for key, value in pinned.items()):
        raise IntegrityError(f"'{name}' speaks of another snapshot than its entry", name=name)
    return found


def _buckets(case: Case, name: str, root: str) -> dict[str, Any]:
    value: Any = parse_canonical(case.files.read(name))
    _BUCKETS(value, name)
    leaves = [
        encode("sayso/bucket/v1", bucket, one["rows"], one["root"]) for bucket, one in value.items()
    ]
    if root_of(leaves).hex() != root:
        raise IntegrityError(f"the roots in '{name}' do not lead to the entry's root", name=name)
    return dict(value)
