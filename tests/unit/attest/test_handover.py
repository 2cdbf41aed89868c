"""A new key of statements: believed where one that is known announced it, and else refused."""

from typing import Any

import pytest

from sayso.attest.dsse import STATEMENT_TYPE, parse_envelope, sign
from sayso.attest.handover import (
    check_payload,
    follow_keys,
    keys_of,
    log_payload,
    statements_payload,
)
from sayso.attest.keys import SigningKey
from sayso.errors import InputError, IntegrityError

ONE, TWO, THREE, OTHER = (SigningKey(bytes([n] * 32)) for n in (1, 2, 3, 4))
FIRST, SECOND = statements_payload(ONE, TWO), statements_payload(TWO, THREE)


def signed_by(payload: dict[str, Any], *keys: SigningKey) -> dict[str, Any]:
    said = parse_envelope(payload["signed"].encode()).payload
    return {**payload, "signed": sign(STATEMENT_TYPE, said, *keys).to_bytes().decode()}


@pytest.mark.parametrize("known", [ONE, TWO, THREE])
def test_a_chain_is_followed_from_any_of_its_keys(known: SigningKey) -> None:
    for order in ([FIRST, SECOND], [SECOND, FIRST]):
        assert set(follow_keys(order, [known.public])) == {ONE.public, TWO.public, THREE.public}


def test_a_key_that_nobody_known_announced_is_refused() -> None:
    with pytest.raises(IntegrityError, match="announced by none that you know"):
        follow_keys([statements_payload(OTHER, THREE)], [ONE.public])
    with pytest.raises(IntegrityError, match="announced by none"):
        follow_keys([FIRST, statements_payload(OTHER, THREE)], [ONE.public])


def test_both_keys_sign_and_nobody_else() -> None:
    assert keys_of(FIRST) == (ONE.public, TWO.public)
    for keys in ([TWO], [ONE], [TWO, OTHER]):
        with pytest.raises(IntegrityError, match="none of the given keys signed"):
            keys_of(signed_by(FIRST, *keys))
    with pytest.raises(IntegrityError, match="that of other keys"):
        keys_of(signed_by(FIRST, ONE, TWO, OTHER))
    with pytest.raises(IntegrityError, match="none of the given keys signed"):
        keys_of({**FIRST, "new": THREE.public.raw.hex()})
    with pytest.raises(IntegrityError, match="that of other keys"):
        keys_of({**signed_by(SECOND, ONE, TWO), "old": FIRST["old"], "new": FIRST["new"]})


def test_other_shapes_are_refused() -> None:
    assert check_payload(log_payload("a", "b"), "x")["role"] == "log"
    for broken in ({}, {**FIRST, "role": "bucket"}, {**FIRST, "more": 1}, {**FIRST, "signed": 7}):
        with pytest.raises(InputError):
            check_payload(broken, "x")
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        keys_of({**FIRST, "old": "zz"})
    with pytest.raises(InputError):
        keys_of({**FIRST, "old": "00"})
