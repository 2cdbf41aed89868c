"""Receipts: what a member keeps of one choice, signed, and readable without us.

Promises: a receipt has one form; what it calls the choice follows from the choice and from
the bases that its own rules claim (`sayso.attest.naming`), so that no receipt can call
silence a consent. Field names are those of ISO/IEC TS 27560 where it has one and ours
elsewhere; `@context` maps them to DPV, and nobody has to process it. Does not claim to
conform to either, since a rulebook need not say all that they ask for, and does not say
that a use is lawful. `sayso.attest.issue` makes receipts from the rulebook.

Example:
    >>> verify_receipt(sign_receipt(receipt, key).to_bytes(), [key.public]).called
    ...                                                         # doctest: +SKIP
    'objection'

Source: ISO/IEC TS 27560:2023 and DPV 2.3 by the DPVCG guide "consent-27560".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sayso.attest.dsse import Envelope, parse_envelope, sign, verify
from sayso.attest.keys import PublicKey, SigningKey
from sayso.attest.naming import (
    CHOICES,
    CONSENT_ACTS,
    STATES,
    basis_of,
    name_choice,
    state_of,
)
from sayso.attest.shape import (
    either,
    fields,
    flag,
    instant,
    line,
    list_of,
    map_of,
    number,
    refuse,
    sha256,
    text,
    word,
)
from sayso.canonical import canonical_json, parse_canonical
from sayso.errors import InputError, IntegrityError
from sayso.log.checkpoint import parse_checkpoint_text
from sayso.log.notes import parse_note
from sayso.log.proof_file import parse_proof

RECEIPT_TYPE = "application/vnd.sayso.receipt+json"
# A name and not an address, like the predicate types.
SCHEMA = "https://sayso.example/receipt/v1"

CONTEXT: Mapping[str, str] = {
    "@vocab": "https://sayso.example/terms#",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "schema": "https://schema.org/",
    "ConsentReceipt": "dpv:ConsentReceipt",
    "assessments": "dpv:hasAssessment",
    "channel": "dpv:hasIndicationMethod",
    "contact": "schema:contactPoint",
    "effective_at": "dpv:isIndicatedAtTime",
    "event_state": "dpv:hasStatus",
    "jurisdiction": "dpv:hasJurisdiction",
    "lawful_basis": "dpv:hasLegalBasis",
    "pii_controllers": "dpv:hasDataController",
    "pii_information": "dpv:hasPersonalData",
    "pii_principal_id": "dpv:hasDataSubject",
    "purpose": "dpv:hasPurpose",
    "purposes": "dpv:hasProcess",
    "receipt_id": "dct:identifier",
    "recipients": "dpv:hasRecipient",
    "recorded_at": "dct:created",
    "retention_period": "dpv:hasStorageCondition",
    "schema_version": "dct:conformsTo",
    "title": "dct:title",
    "withdrawal_method": "dpv:isExercisedAt",
    "wording": "dpv:hasNotice",
}


@dataclass(frozen=True)
class Receipt:
    """A receipt that agrees with itself.

    Attributes:
        value: As `docs/schemas/receipt-v1.schema.json` says.
    """

    value: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_json(self.value)

    @property
    def called(self) -> str:
        """What the choice is called."""
        return str(self.value["called"])

    @property
    def receipt_id(self) -> str:
        """The receipt's own id."""
        return str(self.value["receipt_id"])


def receipt(value: Mapping[str, object]) -> Receipt:
    """Return a receipt with these fields; what follows from others is filled in.

    Args:
        value: All fields but `@context`, `@type`, `called`, `schema_version`, `proof` and
            the event's `event_state`.

    Raises:
        InputError: A value has another shape.
    """
    made: dict[str, Any] = {**value, "schema_version": SCHEMA, "proof": None}
    try:
        made["@context"] = dict(CONTEXT)
        made["called"] = called = _called(made)
        made["@type"] = _type(called)
        state = state_of(called, made["event"]["choice"])
        made["event"] = {**made["event"], "event_state": state}
        raw = canonical_json(made)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "the receipt lacks a field, or holds what JSON cannot", hint="give plain values"
        ) from None
    return parse_receipt(raw)


def sign_receipt(unsigned: Receipt, *keys: SigningKey) -> Envelope:
    """Return a receipt in an envelope.

    Raises:
        InputError: No key, or one of them twice.
    """
    return sign(RECEIPT_TYPE, unsigned.to_bytes(), *keys)


def verify_receipt(unverified: bytes, public_keys: Iterable[PublicKey]) -> Receipt:
    """Return the receipt in an envelope that one of `public_keys` signed.

    An inclusion proof in it is read and not verified: that needs the log's policy
    (`sayso.log.proof_file`).

    Raises:
        InputError: It is no envelope, or holds no receipt.
        IntegrityError: It is not signed so, or disagrees with itself.
    """
    return parse_receipt(verify(parse_envelope(unverified), public_keys, RECEIPT_TYPE))


def with_proof(unproved: Receipt, proof: bytes) -> Receipt:
    """Return the receipt with the proof that its entry is in the log; sign it again.

    Args:
        unproved: A receipt of a choice that was recorded.
        proof: A tlog-proof file.

    Raises:
        InputError: It is no proof, or the receipt has no entry.
        IntegrityError: It is the proof of another entry.
    """
    parse_proof(proof)
    return parse_receipt(canonical_json({**unproved.value, "proof": proof.decode()}))


def parse_receipt(unverified: bytes) -> Receipt:
    """Return the receipt whose canonical bytes are exactly `unverified`.

    Raises:
        InputError: It is no receipt.
        IntegrityError: It is not in canonical form, or disagrees with itself.
    """
    value: Any = parse_canonical(unverified)
    _RECEIPT(value, "receipt")
    called, event = value["called"], value["event"]
    if called != _called(value):
        raise IntegrityError(
            f"the receipt calls the choice '{called}'", hint=f"by its own rules: {_called(value)}"
        )
    if value["@type"] != _type(called) or event["event_state"] != state_of(called, event["choice"]):
        raise IntegrityError("the receipt's type or state is that of another choice")
    if value["proof"] is not None:
        _check_proof(value["proof"], value["ledger"])
    return Receipt(value)


def _called(value: Mapping[str, Any]) -> str:
    event = value["event"]
    claims = [rule["lawful_basis"] for one in value["purposes"] for rule in one["rules"]]
    return name_choice(event["choice"], event["purpose"], basis_of(claims), event["before"])


def _type(called: str) -> str:
    return "ConsentReceipt" if called in CONSENT_ACTS else "ChoiceReceipt"


def _check_proof(proof: str, ledger: Mapping[str, Any] | None) -> None:
    if ledger is None:
        raise InputError("a proof for a choice that has no entry", hint="remove the proof")
    found = parse_proof(proof.encode())
    head = parse_checkpoint_text(parse_note(found.checkpoint_note).text)
    if (head.origin, found.index) != (ledger["origin"], ledger["index"]):
        raise IntegrityError("the receipt's proof is that of another entry")


def _context(value: object, where: str) -> None:
    if value != CONTEXT:
        refuse(where, "the context of this version")


_SOURCE = fields(
    {"title": text, "address": either(text), "seen": either(line), "note": either(text)}
)
_SOURCES = map_of(_SOURCE)
_LOCAL = list_of(fields({"zone": line, "time": line}))
_WORDING = fields({"version": text, "from": line, "label": text, "text": text})
_RULE = fields(
    {
        "scope": line,
        "file": line,
        "line": number,
        "from": line,
        "mode": word("not-enabled", "opt-out", "opt-in"),
        "decided_by": line,
        "controller": either(text),
        "lawful_basis": either(text),
        "assessments": list_of(text),
        "withdrawal": word("future-runs", "forget"),
        "sources": _SOURCES,
    }
)
_HOLD = fields(
    {
        "hold_id": line,
        "scope": line,
        "file": line,
        "line": number,
        "from": either(line),
        "placed_by": text,
        "asked_by": either(text),
        "ordered_by": either(text),
        "condition": either(text),
        "sources": _SOURCES,
    }
)
_PURPOSE = fields(
    {
        "purpose": line,
        "title": either(text),
        "pii_controllers": list_of(text),
        "recipients": list_of(text),
        "sharing": either(flag),
        "wording": either(_WORDING),
        "lawful_basis": list_of(text),
        "pii_information": list_of(fields({"category": line, "visibilities": list_of(line)})),
        "retention_period": either(text),
        "withdrawal_method": either(text),
        "withdrawal": either(word("future-runs", "forget")),
        "withdrawal_means": text,
        "contact": either(text),
        "rules": list_of(_RULE),
        "holds": list_of(_HOLD),
        "no_rule_for": list_of(line),
        "sources": _SOURCES,
    }
)
_EVENT = fields(
    {
        "purpose": line,
        "choice": word(*CHOICES),
        "before": either(word(*CHOICES)),
        "effective_at": instant,
        "recorded_at": instant,
        "claimed_at": either(instant),
        "local": fields({"effective_at": _LOCAL, "recorded_at": _LOCAL}),
        "channel": either(text),
        "setting_version": either(text),
        "event_state": either(line),
    }
)
_RECEIPT = fields(
    {
        "@context": _context,
        "@type": word("ConsentReceipt", "ChoiceReceipt"),
        "called": word(*STATES),
        "schema_version": word(SCHEMA),
        "receipt_id": line,
        "pii_principal_id": sha256,
        "member_id": either(text),
        "jurisdiction": fields({"country": either(line), "name": either(line)}),
        "event": _EVENT,
        "purposes": list_of(_PURPOSE, least=1),
        "rulebook": fields({"digest": sha256, "entry": number}),
        "ledger": either(fields({"origin": line, "index": number, "commitment": sha256})),
        "proof": either(text),
    }
)
