"""Envelopes: the vector of the specification, another program's eyes, and every flipped bit."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sayso.attest.dsse import STATEMENT_TYPE, Envelope, pae, parse_envelope, sign, verify
from sayso.attest.keys import SigningKey
from sayso.canonical import canonical_json
from sayso.errors import InputError, IntegrityError
from tests.unit.attest.builders import KEY, OTHER

KIND = "http://example.com/HelloWorld"
SIGNED = sign(KIND, b"hello world", KEY)
RAW = SIGNED.to_bytes()


def changed(change: Callable[[Any], Any]) -> bytes:
    value = json.loads(RAW)
    change(value)
    return canonical_json(value)


def test_the_vector_of_the_specification() -> None:
    assert pae(KIND, b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_there_and_back() -> None:
    assert parse_envelope(RAW) == SIGNED
    assert verify(parse_envelope(RAW), [KEY.public], KIND) == b"hello world"
    assert verify(SIGNED, iter([OTHER.public, KEY.public]), KIND) == b"hello world"
    assert json.loads(RAW)["payload"] == base64.b64encode(b"hello world").decode()
    assert SIGNED.digest == parse_envelope(RAW).digest


def test_openssl_agrees(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("NO openssl HERE: the signature was not shown to another program")
    (tmp_path / "key.pem").write_bytes(KEY.public.to_pem())
    (tmp_path / "secret.pem").write_bytes(KEY.to_pem())
    (tmp_path / "pae").write_bytes(pae(KIND, b"hello world"))
    (tmp_path / "sig").write_bytes(SIGNED.signatures[0].sig)
    command = [openssl, "pkeyutl", "-rawin", "-in", "pae"]
    shown = subprocess.run(
        [*command, "-verify", "-pubin", "-inkey", "key.pem", "-sigfile", "sig"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, shown.stdout.strip()) == (0, "Signature Verified Successfully")
    made = subprocess.run(
        [*command, "-sign", "-inkey", "secret.pem"], cwd=tmp_path, capture_output=True, check=True
    )
    assert made.stdout == SIGNED.signatures[0].sig


@pytest.mark.parametrize("place", range(len(RAW)))
def test_every_flipped_bit_is_noticed(place: int) -> None:
    for bit in range(8):
        raw = bytearray(RAW)
        raw[place] ^= 1 << bit
        with pytest.raises((InputError, IntegrityError)):
            verify(parse_envelope(bytes(raw)), [KEY.public], KIND)


@pytest.mark.parametrize("length", range(len(RAW)))
def test_every_cut_is_noticed(length: int) -> None:
    with pytest.raises((InputError, IntegrityError)):
        parse_envelope(RAW[:length])


def test_another_key_did_not_sign_it() -> None:
    with pytest.raises(IntegrityError, match="none of the given keys"):
        verify(SIGNED, [OTHER.public], KIND)


def test_without_a_key_nothing_is_verified() -> None:
    with pytest.raises(InputError, match="no key to verify with"):
        verify(SIGNED, [], KIND)


def test_an_envelope_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="an envelope of type 'http://example"):
        verify(SIGNED, [KEY.public], STATEMENT_TYPE)


def test_the_type_is_signed_too() -> None:
    claimed = Envelope(STATEMENT_TYPE, SIGNED.payload, SIGNED.signatures)
    with pytest.raises(IntegrityError, match="does not hold"):
        verify(claimed, [KEY.public], STATEMENT_TYPE)


def test_several_sign_in_one_order() -> None:
    both = sign(KIND, b"x", OTHER, KEY)
    assert both == sign(KIND, b"x", KEY, OTHER) == parse_envelope(both.to_bytes())
    assert [one.keyid for one in both.signatures] == sorted(
        key.public.keyid for key in (KEY, OTHER)
    )
    for keys in ([KEY.public], [OTHER.public], [KEY.public, OTHER.public]):
        assert verify(both, keys, KIND) == b"x"


def test_each_signature_that_names_a_known_key_must_hold() -> None:
    both = sign(KIND, b"x", KEY, OTHER)
    for broken in range(2):
        signatures = list(both.signatures)
        signatures[broken] = type(signatures[broken])(signatures[broken].keyid, bytes(64))
        with pytest.raises(IntegrityError, match="does not hold"):
            verify(Envelope(KIND, b"x", tuple(signatures)), [KEY.public, OTHER.public], KIND)


def test_a_signature_under_the_name_of_another_key_does_not_hold() -> None:
    stolen = type(SIGNED.signatures[0])(KEY.public.keyid, OTHER.sign(pae(KIND, b"x")))
    with pytest.raises(IntegrityError, match="does not hold"):
        verify(Envelope(KIND, b"x", (stolen,)), [KEY.public, OTHER.public], KIND)


@pytest.mark.parametrize("keys", [(), (KEY, KEY), (KEY, SigningKey(KEY.seed))])
def test_whoever_signs_signs_once(keys: tuple[SigningKey, ...]) -> None:
    with pytest.raises(InputError, match="keys to sign with"):
        sign(KIND, b"x", *keys)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda v: v.update(extra=1), "envelope.extra"),
        (lambda v: v.pop("payload"), "envelope.payload"),
        (lambda v: v.update(payload=None), "envelope.payload"),
        (lambda v: v.update(payload="aGVsbG8gd29ybGQ"), "envelope.payload"),
        (lambda v: v.update(payload="aGVsbG8gd29ybGR="), "envelope.payload"),
        (lambda v: v.update(payload="aGVs bG8gd29ybGQ="), "envelope.payload"),
        (lambda v: v.update(payload="-_8="), "envelope.payload"),
        (lambda v: v.update(payload="é"), "envelope.payload"),
        (lambda v: v.update(payloadType=""), "envelope.payloadType"),
        (lambda v: v.update(payloadType="a\nb"), "envelope.payloadType"),
        (lambda v: v.update(payloadType=1), "envelope.payloadType"),
        (lambda v: v.update(signatures=[]), "envelope.signatures"),
        (lambda v: v.update(signatures={}), "envelope.signatures"),
        (lambda v: v.update(signatures=v["signatures"] * 2), "each key once"),
        (lambda v: v["signatures"][0].update(cert="x"), "envelope.signatures.0.cert"),
        (lambda v: v["signatures"][0].pop("keyid"), "envelope.signatures.0.keyid"),
        (lambda v: v["signatures"][0].update(keyid=""), "envelope.signatures.0.keyid"),
        (lambda v: v["signatures"][0].update(sig="AAAA"), "signatures of 64 bytes"),
        (lambda v: v["signatures"].insert(0, v["signatures"][0] | {"keyid": "zz"}), "in the order"),
    ],
)  # fmt: skip
def test_what_is_no_envelope(change: Callable[[Any], Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_envelope(changed(change))


@pytest.mark.parametrize("value", [[], None, "x", 1, [json.loads(RAW)]])
def test_what_is_not_even_keys_with_values(value: object) -> None:
    with pytest.raises(InputError, match="'envelope' is malformed"):
        parse_envelope(canonical_json(value))
