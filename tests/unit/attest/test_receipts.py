"""Receipts: signed, in one form, and never calling a choice what it is not."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.naming import STATES
from sayso.attest.receipts import (
    RECEIPT_TYPE,
    parse_receipt,
    receipt,
    sign_receipt,
    verify_receipt,
    with_proof,
)
from sayso.canonical import canonical_json
from sayso.errors import InputError, IntegrityError
from tests.unit.attest.builders import KEY, OTHER
from tests.unit.attest.test_issue import RECEIPTS

OBJECTION = RECEIPTS["objection"]
# Of the form of a C2SP tlog-proof; whether it holds is for the log's policy.
PROOF = (
    "c2sp.org/tlog-proof@v1\nindex 12\n\nexample.org/log\n13\n"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
    f"\N{EM DASH} example.org/log {'A' * 91}=\n"
).encode()


def changed(change: Callable[[Any], Any]) -> bytes:
    value = json.loads(OBJECTION.to_bytes())
    change(value)
    return canonical_json(value)


@pytest.mark.parametrize("name", RECEIPTS)
def test_there_and_back(name: str) -> None:
    made = RECEIPTS[name]
    assert parse_receipt(made.to_bytes()) == made
    assert verify_receipt(sign_receipt(made, KEY).to_bytes(), [KEY.public]) == made
    assert made.receipt_id == "5e7c9d1a"


def test_a_receipt_is_no_statement_and_a_statement_no_receipt() -> None:
    raw = OBJECTION.to_bytes()
    assert sign_receipt(OBJECTION, KEY).payload_type == RECEIPT_TYPE
    with pytest.raises(InputError, match="an envelope of type"):
        verify_receipt(sign(STATEMENT_TYPE, raw, KEY).to_bytes(), [KEY.public])


def test_another_key_did_not_sign_it() -> None:
    with pytest.raises(IntegrityError, match="none of the given keys"):
        verify_receipt(sign_receipt(OBJECTION, OTHER).to_bytes(), [KEY.public])


def test_every_byte_counts() -> None:
    raw = sign_receipt(OBJECTION, KEY).to_bytes()
    for place in range(0, len(raw), 61):
        broken = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises((InputError, IntegrityError)):
            verify_receipt(broken, [KEY.public])


@pytest.mark.parametrize(("name", "other"), [*itertools.permutations(RECEIPTS, 2)])
def test_no_receipt_passes_under_the_name_of_another(name: str, other: str) -> None:
    value = json.loads(RECEIPTS[name].to_bytes())
    value["called"] = other
    with pytest.raises(IntegrityError, match=f"calls the choice '{other}'"):
        parse_receipt(canonical_json(value))


def test_all_names_have_a_receipt_here() -> None:
    assert RECEIPTS.keys() == STATES.keys()


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update({"@type": "ConsentReceipt"}),
        lambda v: v["event"].update(event_state="dpv:ConsentGiven"),
        lambda v: v["event"].update(event_state=None),
        lambda v: v["event"].update(choice="on"),
        lambda v: v["event"].update(purpose="*"),
        lambda v: v["purposes"][0]["rules"][0].update(lawful_basis="consent"),
        lambda v: v["purposes"][0]["rules"][0].update(lawful_basis=None),
        lambda v: v["purposes"][0].update(rules=[]),
    ],
)
def test_a_receipt_that_disagrees_with_itself(change: Callable[[Any], Any]) -> None:
    with pytest.raises(IntegrityError):
        parse_receipt(changed(change))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda v: v.update(extra=1), "receipt.extra"),
        (lambda v: v.pop("event"), "receipt.event"),
        (lambda v: v.update(called="agreement"), "receipt.called"),
        (lambda v: v.update(schema_version="2"), "receipt.schema_version"),
        (lambda v: v["@context"].pop("dpv"), "receipt.@context"),
        (lambda v: v["event"].update(choice="yes"), "receipt.event.choice"),
        (lambda v: v["event"].update(effective_at="2025-11-05"), "receipt.event.effective_at"),
        (lambda v: v.update(purposes=[]), "receipt.purposes"),
        (lambda v: v["purposes"][0].update(sharing="no"), "receipt.purposes.0.sharing"),
        (lambda v: v["ledger"].update(index=None), "receipt.ledger.index"),
        (lambda v: v.update(pii_principal_id="7"), "receipt.pii_principal_id"),
        (lambda v: v.update(proof="x"), "proof"),
        (lambda v: v.update(proof=PROOF.decode(), ledger=None), "no entry"),
    ],
)
def test_what_is_no_receipt(change: Callable[[Any], Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_receipt(changed(change))


def test_with_a_proof_it_is_the_same_receipt() -> None:
    proved = with_proof(OBJECTION, PROOF)
    assert proved.value == {**OBJECTION.value, "proof": PROOF.decode()}
    assert proved.receipt_id == OBJECTION.receipt_id
    assert verify_receipt(sign_receipt(proved, KEY).to_bytes(), [KEY.public]) == proved


def test_the_proof_of_another_entry() -> None:
    with pytest.raises(IntegrityError, match="proof is that of another entry"):
        with_proof(OBJECTION, PROOF.replace(b"index 12", b"index 11"))
    with pytest.raises(IntegrityError, match="proof is that of another entry"):
        with_proof(OBJECTION, PROOF.replace(b"example.org/log", b"example.org/logs"))
    with pytest.raises(InputError):
        with_proof(OBJECTION, PROOF[:-1])
    with pytest.raises(InputError):
        with_proof(OBJECTION, b"\xff")
    with pytest.raises(InputError, match="no entry"):
        with_proof(RECEIPTS["no choice"], PROOF)


def test_what_follows_is_filled_in() -> None:
    rest = {
        key: value for key, value in OBJECTION.value.items()
        if key not in {"@context", "@type", "called", "schema_version", "proof"}
    }  # fmt: skip
    event = {key: value for key, value in rest["event"].items() if key != "event_state"}
    assert receipt({**rest, "event": event}) == OBJECTION
    for wrong in ({}, {**rest, "event": 1}, {**rest, "event": {}}, {**rest, "purposes": None}):
        with pytest.raises(InputError):
            receipt(wrong)
