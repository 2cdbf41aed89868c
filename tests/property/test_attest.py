"""Law 12 for what is signed: any bytes give a value or an error; what is read is what was written.

And of law 9, one flipped bit is noticed.
"""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sayso.attest.dsse import STATEMENT_TYPE, Envelope, parse_envelope, sign, verify
from sayso.attest.keys import SigningKey, parse_public_key, parse_signing_key
from sayso.attest.page import render_text
from sayso.attest.receipts import parse_receipt, sign_receipt, verify_receipt
from sayso.attest.statements import parse_statement, verify_statement
from sayso.canonical import MAX_NUMBER, canonical_json, parse_canonical
from sayso.errors import InputError, IntegrityError
from tests.unit.attest.builders import KEY, OTHER, STATEMENTS
from tests.unit.attest.test_issue import RECEIPTS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-MAX_NUMBER, MAX_NUMBER)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
# What JSON writers elsewhere may hold.
FOREIGN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)
SEEDS = st.binary(min_size=32, max_size=32)
SIGNED = {
    **{kind: sign(STATEMENT_TYPE, raw, KEY).to_bytes() for kind, raw in STATEMENTS.items()},
    **{name: sign_receipt(one, KEY).to_bytes() for name, one in RECEIPTS.items()},
}
FILES = [*STATEMENTS.values(), *(one.to_bytes() for one in RECEIPTS.values()), *SIGNED.values()]
PEMS = [KEY.to_pem(), KEY.public.to_pem()]

PARSERS: list[Callable[[bytes], Any]] = [
    parse_canonical, parse_envelope, parse_statement, parse_receipt, parse_public_key,
    parse_signing_key, lambda raw: verify_statement(raw, [KEY.public]),
    lambda raw: verify_receipt(raw, [KEY.public]),
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file of ours with a piece cut out, put in or replaced."""
    raw = draw(st.sampled_from([*FILES, *PEMS]))
    start = draw(st.integers(0, len(raw)))
    end = draw(st.integers(start, min(len(raw), start + 40)))
    return raw[:start] + draw(st.binary(max_size=8)) + raw[end:]


@st.composite
def rewritten(draw: st.DrawFn) -> bytes:
    """A file of ours with one value replaced, in canonical form."""
    value = json.loads(draw(st.sampled_from(FILES)))
    inner = value
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = draw(st.sampled_from(keys))
        if not isinstance(inner[key], dict | list) or not inner[key] or draw(st.booleans()):
            inner[key] = draw(JSON)
            return canonical_json(value)
        inner = inner[key]


@settings(max_examples=400)
@given(
    st.binary(max_size=200)
    | FOREIGN.map(lambda value: json.dumps(value).encode())
    | JSON.map(canonical_json)
    | damaged()
    | rewritten()
)
@example(b"[" * 100_000)
@example(b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")
def test_any_bytes_give_a_value_or_an_error_of_ours(raw: bytes) -> None:
    messages: list[str] = []
    for parse in PARSERS:
        try:
            found = parse(raw)
        except (InputError, IntegrityError) as error:
            messages.append(str(error))
            continue
        if parse is parse_canonical:
            assert canonical_json(found) == raw
        elif parse in (parse_envelope, parse_statement, parse_receipt):
            assert found.to_bytes() == raw
        if parse is parse_receipt:
            assert all(row.isprintable() for row in render_text(found).split("\n"))
    assert all(message.isprintable() for message in messages)


@given(JSON)
def test_canonical_json_is_read_as_it_was_written(value: object) -> None:
    raw = canonical_json(value)
    assert parse_canonical(raw) == value
    assert canonical_json(json.loads(raw)) == raw


@given(JSON, JSON)
def test_different_values_have_different_bytes(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json(one) == canonical_json(other)) == same


@given(TEXT.filter(lambda kind: kind.isprintable() and kind), st.binary(max_size=80),
       st.lists(SEEDS, min_size=1, max_size=3, unique=True))  # fmt: skip
def test_an_envelope_is_read_as_it_was_signed(
    kind: str, payload: bytes, seeds: list[bytes]
) -> None:
    keys = [SigningKey(seed) for seed in seeds]
    envelope = sign(kind, payload, *keys)
    assert parse_envelope(envelope.to_bytes()) == envelope
    for key in keys:
        assert verify(envelope, [key.public], kind) == payload


@given(SEEDS)
def test_keys_are_read_as_they_were_written(seed: bytes) -> None:
    key = SigningKey(seed)
    assert parse_signing_key(key.to_pem()) == key
    assert parse_public_key(key.public.to_pem()) == key.public


@settings(max_examples=300)
@given(st.sampled_from(sorted(SIGNED)), st.data())
def test_one_flipped_bit_is_noticed(name: str, data: st.DataObject) -> None:
    raw = bytearray(SIGNED[name])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for check in (verify_statement, verify_receipt):
        try:
            check(bytes(raw), [KEY.public, OTHER.public])
        except (InputError, IntegrityError):
            continue
        raise AssertionError(name)


@given(st.sampled_from(sorted(STATEMENTS)), st.binary(min_size=64, max_size=64))
def test_no_signature_holds_that_the_key_did_not_make(kind: str, forged: bytes) -> None:
    made = parse_envelope(SIGNED[kind])
    signature = type(made.signatures[0])(KEY.public.keyid, forged)
    try:
        verify(
            Envelope(made.payload_type, made.payload, (signature,)), [KEY.public], STATEMENT_TYPE
        )
    except IntegrityError:
        return
    assert forged == made.signatures[0].sig
