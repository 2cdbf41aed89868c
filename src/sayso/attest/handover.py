"""Handovers: a new key that the old one announced, for the log or for statements.

Promises: pure. A handover is a public entry of kind `key`. One of the log's key counts because
the old key signed a checkpoint of the log that holds the entry; one of the statements' key
holds a statement that both keys signed, the old one to announce and the new one to show that
it is there. Whoever believes one of two keys of a handover can follow it to the other.

    payload    role: `log` or `statements`; old, new: the keys (vkey, or 64 hexadecimal digits);
               signed: the envelope of both keys, null for the log

Example:
    >>> old, new = SigningKey(bytes(32)), SigningKey(bytes([1] * 32))
    >>> follow_keys([statements_payload(old, new)], [old.public]) == [old.public, new.public]
    True

Source: C2SP tlog-checkpoint, "Signatures"; tlog-policy, "Defining a log": several keys of one
origin may be known.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sayso.attest.dsse import STATEMENT_TYPE, parse_envelope, sign
from sayso.attest.keys import PublicKey, SigningKey
from sayso.attest.predicates import HANDOVER
from sayso.attest.shape import Shape, fields, line, refuse, word
from sayso.attest.statements import statement, verify_statement
from sayso.errors import IntegrityError

ENTRY = "key"
LOG, STATEMENTS = "log", "statements"
NAME = "attest.pem"


def log_payload(old: str, new: str) -> dict[str, object]:
    """Return the payload of an entry by which the log's key is handed over.

    Args:
        old: The key that signs now, as a vkey.
        new: The one that will.
    """
    return {"role": LOG, "old": old, "new": new, "signed": None}


def statements_payload(old: SigningKey, new: SigningKey) -> dict[str, object]:
    """Return the payload of an entry by which the key of statements is handed over."""
    said = statement(
        {NAME: _digest(new.public)},
        HANDOVER,
        {"old": {"sha256": _digest(old.public)}, "new": {"sha256": _digest(new.public)}},
    )
    envelope = sign(STATEMENT_TYPE, said, old, new)
    return {
        "role": STATEMENTS, "old": old.public.raw.hex(), "new": new.public.raw.hex(),
        "signed": envelope.to_bytes().decode(),
    }  # fmt: skip


def check_payload(payload: object, where: str) -> Mapping[str, Any]:
    """Return the payload of an entry of kind `key`.

    Raises:
        InputError: It is none.
    """
    _PAYLOAD(payload, where)
    checked: Any = payload
    return dict(checked)


def keys_of(payload: Mapping[str, Any]) -> tuple[PublicKey, PublicKey]:
    """Return the old and the new key of a handover of statements, both of which signed it.

    Raises:
        InputError: It is none.
        IntegrityError: One of them did not sign it, another did too, or it is of other keys.
    """
    old, new = (PublicKey(_raw(payload[name], name)) for name in ("old", "new"))
    signed = str(payload["signed"]).encode()
    found = [verify_statement(signed, [key]) for key in (old, new)]
    expected = {"old": {"sha256": _digest(old)}, "new": {"sha256": _digest(new)}}
    if (
        len(parse_envelope(signed).signatures) != 2
        or found[0].predicate_type != HANDOVER
        or found[0].subjects != {NAME: _digest(new)}
        or found[0].predicate != expected
    ):
        raise IntegrityError("the signed handover is that of other keys")
    return old, new


def follow_keys(
    payloads: Iterable[Mapping[str, Any]], known: Sequence[PublicKey]
) -> list[PublicKey]:
    """Return the keys of statements that handovers lead to from known ones, those included.

    Raises:
        InputError: One is no handover.
        IntegrityError: One is not signed by both of its keys, or leads to none that is known.
    """
    found = list(known)
    waiting = [keys_of(one) for one in payloads if one["role"] == STATEMENTS]
    while waiting:
        reached = [one for one in waiting if one[0] in found or one[1] in found]
        if not reached:
            raise IntegrityError(
                f"the key {waiting[0][1].keyid[:16]} was announced by none that you know",
                hint="get the key from who signs",
            )
        for pair in reached:
            found += [key for key in pair if key not in found]
            waiting.remove(pair)
    return found


def _digest(key: PublicKey) -> str:
    return hashlib.sha256(key.to_pem()).hexdigest()


def _raw(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        refuse(where, "64 hexadecimal digits")


def _text_or_null(value: object, where: str) -> None:
    if value is not None and not isinstance(value, str):
        refuse(where, "an envelope as text, or null")


_PAYLOAD: Shape = fields(
    {"role": word(LOG, STATEMENTS), "old": line, "new": line, "signed": _text_or_null}
)
