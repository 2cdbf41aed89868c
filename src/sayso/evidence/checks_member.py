"""Checks of what is about one member: choices, receipts, records, and what was held.

Promises: a choice is shown by its member's key, which opens that member's commitments and no
other's; a record is shown to be in the training set, or not to be; what is shown of one file
is held against all others of the pack. Does not say whether a decision was right.

    member/choices/<index>.json    index, key and the fields of one choice
    member/records/<tag>.json      tag, proofs by bucket, and the record where it is opened
    member/standing.json           proof, and the standing where it is opened
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sayso.attest.dsse import parse_envelope
from sayso.attest.receipts import Receipt, verify_receipt
from sayso.attest.shape import either, fields, line, list_of, number, sha256, word
from sayso.canonical import commit, encode, parse_canonical
from sayso.errors import InputError, IntegrityError
from sayso.evidence.case import Case
from sayso.evidence.checks import count, short
from sayso.evidence.checks_log import accept
from sayso.evidence.checks_statement import signed_by
from sayso.evidence.layout import CHOICES, MEMBER_STANDING, RECEIPTS, RECORDS, matching
from sayso.evidence.merkle_proofs import MEMBERSHIP, Membership, membership, verify_membership
from sayso.log.merkle import leaf_hash
from sayso.log.proof_file import parse_proof, verify_proof

# As `sayso.ledger.store`, `sayso.snapshot.standing` and `sayso.snapshot.seal` write them.
CHOICE_LABEL = "sayso/choice/v1"
STANDING_TAG_LABEL, STANDING_LABEL = "sayso/standing-tag/v1", "sayso/standing/v1"
TAG_LABEL, RECORD_LABEL = "sayso/record-tag/v1", "sayso/record/v1"
CHOICE_FIELDS = (
    "purpose", "choice", "effective_us", "recorded_us", "country", "channel", "setting_version",
    "claimed_us",
)  # fmt: skip
RECORD_FIELDS = (
    "record_id", "member_id", "country", "category", "visibility", "authorship", "context",
    "written_at", "licence", "text",
)  # fmt: skip
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


# ---- choices and receipts ---------------------------------------------------------------


def check_choices(case: Case) -> str:
    """Check that every choice is what its entry committed to; `check_proofs` finds it there."""
    found = matching(case.files.names, CHOICES)
    for one in found:
        value = read_choice(case, one[0])
        if value["index"] != int(one["index"]):
            raise IntegrityError(f"'{one[0]}' is another entry", name=one[0])
        canonical = encode(CHOICE_LABEL, *(value["choice"][name] for name in CHOICE_FIELDS))
        commitment = commit(bytes.fromhex(value["key"]), canonical)
        case.commit(value["index"], commitment, value["choice"]["recorded_us"])
    return (
        f"{count(len(found), 'choice')} of the member, opened with the member's key: the "
        "commitment of each was computed again."
    )


def read_choice(case: Case, name: str) -> dict[str, Any]:
    """Return a choice with its key.

    Raises:
        InputError: It is none.
        IntegrityError: It is not in canonical form.
    """
    value: Any = parse_canonical(case.files.read(name))
    _CHOICE(value, name)
    return dict(value)


def check_receipts(case: Case) -> str:
    """Check every receipt: signed, and of the same choice as everything else here."""
    found = matching(case.files.names, RECEIPTS)
    called = []
    who = ""
    for one in found:
        raw = case.files.read(one[0])
        receipt, who = check_receipt(case, one[0], raw)
        ledger = receipt.value["ledger"]
        if ledger is not None and ledger["index"] != int(one["index"]):
            raise IntegrityError(f"'{one[0]}' is the receipt of another entry", name=one[0])
        called.append(f"entry {one['index']}: {receipt.called}")
    return f"{count(len(found), 'receipt')}, signed by key {who} ({'; '.join(called)})."


def check_receipt(case: Case, name: str, unverified: bytes) -> tuple[Receipt, str]:
    """Return a receipt that is signed and agrees with the case, and who signed it, in words.

    Raises:
        InputError: It is none.
        IntegrityError: It is not signed so, or something here says otherwise.
    """
    receipt = verify_receipt(unverified, case.keys)
    ledger, proof = receipt.value["ledger"], receipt.value["proof"]
    if ledger is not None:
        recorded_us = _us(receipt.value["event"]["recorded_at"])
        commitment = bytes.fromhex(ledger["commitment"])
        case.commit(ledger["index"], commitment, recorded_us)
        choice = f"member/choices/{ledger['index']}.json"
        if choice in case.files.names:
            _check_same(name, receipt.value["event"], read_choice(case, choice)["choice"])
        if proof is not None:
            parsed = parse_proof(proof.encode())
            if parsed.extra is not None:
                raise IntegrityError(f"'{name}' holds extra data that nobody signed", name=name)
            accept(case, name, parsed.checkpoint_note)
            verify_proof(parsed, leaf_hash(commitment), case.need_policy)
    return receipt, signed_by(case, parse_envelope(unverified))


def _check_same(name: str, event: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
    for field in ("purpose", "choice", "channel", "setting_version"):
        if event[field] != choice[field]:
            raise IntegrityError(f"'{name}' tells of another {field} than the entry", name=name)
    for field in ("effective", "recorded"):
        if _us(event[f"{field}_at"]) != choice[f"{field}_us"]:
            raise IntegrityError(f"'{name}' is dated otherwise than the entry", name=name)


def _us(instant: str) -> int:
    return (datetime.fromisoformat(instant) - EPOCH) // timedelta(microseconds=1)


# ---- what was held about the member -----------------------------------------------------


def check_member_standing(case: Case) -> str:
    """Check what the snapshot held about the member, or that it held nothing."""
    manifest = case.need_manifest
    value = _read_standing(case)
    proof = membership(value["proof"], f"{MEMBER_STANDING}.proof")
    _need_tree(proof, "standing")
    pinned = manifest["standing"]
    verify_membership(proof, bytes.fromhex(pinned["root"]), pinned["rows"])
    opened = value["standing"]
    if opened is not None:
        key = bytes.fromhex(opened["key"])
        tag = encode(STANDING_TAG_LABEL, manifest["purpose"], manifest["at"], manifest["known"])
        if hashlib.sha256(key + tag).digest() != proof.tag:
            raise IntegrityError("the standing is that of another member or snapshot")
    if proof.found is None:
        if opened is not None and (opened["country"], opened["reasons"]) != (None, []):
            raise IntegrityError("the standing is opened, and the proof says that there is none")
        return (
            "The snapshot held no standing of the member with this tag: the two neighbours "
            "between which it would stand are shown."
        )
    if opened is None:
        return f"The snapshot held a standing of the member with tag {short(proof.tag.hex())}."
    if opened["country"] is None:
        raise IntegrityError("the standing is opened without a country")
    canonical = encode(STANDING_LABEL, opened["country"], " ".join(opened["reasons"]))
    if hashlib.sha256(key + canonical).digest() != proof.found.digest:
        raise IntegrityError("the standing is not the one that the snapshot committed to")
    if not opened["reasons"] and (objection := _objection(case, opened["key"])) is not None:
        raise IntegrityError(
            f"entry {objection} says off, the snapshot knew it, and nothing stood against the "
            "member",
            index=objection,
        )
    against = ", ".join(opened["reasons"])
    told = f"against the member stood {against}" if against else "nothing stood against the member"
    return (
        f"What decided about the member, with country '{opened['country']}', is what the snapshot "
        f"committed to: {told}."
    )


def _objection(case: Case, key: str) -> int | None:
    """Return the entry of an `off` that counted for the snapshot by all choices shown here.

    Of the choices for its purpose or `*` that count by its instant and stand before `known`,
    those with the latest instant count, and `off` wins among them.
    """
    manifest = case.need_manifest
    counting = []
    for one in matching(case.files.names, CHOICES):
        value = read_choice(case, one[0])
        choice = value["choice"]
        if (
            value["key"] == key
            and value["index"] < manifest["known"]
            and choice["choice"] != "deferred"
            and choice["purpose"] in {manifest["purpose"], "*"}
            and choice["effective_us"] <= _us(manifest["at"])
        ):
            counting.append((choice["effective_us"], choice["choice"] == "off", value["index"]))
    last = max(counting, default=None)
    return last[2] if last is not None and last[1] else None


def _read_standing(case: Case) -> dict[str, Any]:
    value: Any = parse_canonical(case.files.read(MEMBER_STANDING))
    _STANDING(value, MEMBER_STANDING)
    return dict(value)


# ---- records ----------------------------------------------------------------------------


def check_records(case: Case) -> str:
    """Check which of the member's records are in the training set, and which are not."""
    manifest = case.need_manifest
    inside = absent = elsewhere = 0
    barred = _barred(case)
    for one in matching(case.files.names, RECORDS):
        value: Any = parse_canonical(case.files.read(one[0]))
        _RECORD(value, one[0])
        proofs = [
            membership(proof, f"{one[0]}.proofs.{place}")
            for place, proof in enumerate(value["proofs"])
        ]
        if value["tag"] != one["tag"] or any(proof.tag.hex() != one["tag"] for proof in proofs):
            raise IntegrityError(f"'{one[0]}' is about another record", name=one[0])
        buckets = [_verify_in(manifest, proof) for proof in proofs]
        found = [proof for proof in proofs if proof.found is not None]
        if len(set(buckets)) != len(buckets) or len(found) > 1:
            raise IntegrityError(f"'{one[0]}' proves one thing twice", name=one[0])
        _check_opened(one[0], value["record"], one["tag"], found)
        if found and value["record"] is not None and value["record"]["key"] in barred:
            raise IntegrityError(
                f"'{one[0]}' is in the training set, and the member's standing bars it", name=one[0]
            )
        inside += len(found)
        absent += not found and set(buckets) == manifest["buckets"].keys()
        elsewhere += not found and set(buckets) != manifest["buckets"].keys()
    told = f"{inside:,} proved to be in the training set, {absent:,} proved not to be in it"
    if elsewhere:
        told += (
            f", {elsewhere:,} proved not to be in the bucket that the platform names; that it is "
            "the member's bucket is the platform's word"
        )
    return f"{count(inside + absent + elsewhere, 'record')} of the member: {told}."


def _barred(case: Case) -> set[str]:
    """Return the keys of members whose opened standing has a reason against them."""
    if MEMBER_STANDING not in case.files.names:
        return set()
    opened = _read_standing(case)["standing"]
    return {opened["key"]} if opened is not None and opened["reasons"] else set()


def _verify_in(manifest: Mapping[str, Any], proof: Membership) -> str:
    """Verify a proof against its bucket and return the bucket's name."""
    name = proof.tree.removeprefix("bucket/")
    _need_tree(proof, f"bucket/{name}")
    listed = manifest["buckets"].get(name)
    if listed is None:
        raise IntegrityError(f"the manifest lists no bucket '{name[:20]}'")
    verify_membership(proof, bytes.fromhex(listed["root"]), listed["rows"])
    return name


def _need_tree(proof: Membership, tree: str) -> None:
    if proof.tree != tree:
        raise IntegrityError(f"the proof is of the tree '{proof.tree[:40]}', not of '{tree}'")


def _check_opened(
    name: str, record: Mapping[str, Any] | None, tag: str, found: list[Membership]
) -> None:
    """Check an opened record against its tag and digest."""
    if record is None:
        return
    key, columns = bytes.fromhex(record["key"]), record["columns"]
    if hashlib.sha256(key + encode(TAG_LABEL, record["record_id"])).hexdigest() != tag:
        raise IntegrityError(f"'{name}' opens another record than its tag", name=name)
    if columns is None:
        return
    if columns["record_id"] != record["record_id"]:
        raise InputError(f"'{name}' names two records", hint="fetch it again")
    digest = hashlib.sha256(key + encode(RECORD_LABEL, *(columns[one] for one in RECORD_FIELDS)))
    for proof in found:
        if proof.found is not None and proof.found.digest != digest.digest():
            raise IntegrityError(f"'{name}' is not the record that was admitted", name=name)


def any_text(value: object, where: str) -> None:
    """Refuse what is no text; an empty one is."""
    if not isinstance(value, str):
        raise InputError(f"{where[:200]!r} is malformed", hint="expected text")


_INTEGERS = {"effective_us", "recorded_us", "claimed_us", "written_at"}


def _integer(value: object, where: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{where[:200]!r} is malformed", hint="expected a whole number")


_CHOICE = fields(
    {
        "index": number,
        "key": sha256,
        "choice": fields(
            {
                "purpose": line,
                "choice": word("on", "off", "deferred"),
                "effective_us": _integer,
                "recorded_us": number,
                "country": either(any_text),
                "channel": either(any_text),
                "setting_version": either(any_text),
                "claimed_us": either(_integer),
            }
        ),
    }
)
_STANDING = fields(
    {
        "proof": MEMBERSHIP,
        "standing": either(
            fields({"key": sha256, "country": either(any_text), "reasons": list_of(line)})
        ),
    }
)
_COLUMNS = {name: either(_integer if name in _INTEGERS else any_text) for name in RECORD_FIELDS}
_RECORD = fields(
    {
        "tag": sha256,
        "proofs": list_of(MEMBERSHIP, least=1),
        "record": either(
            fields(
                {
                    "key": sha256,
                    "record_id": any_text,
                    "columns": either(fields(_COLUMNS)),
                }
            )
        ),
    }
)
