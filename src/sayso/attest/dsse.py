"""DSSE envelopes: a payload, its type, and signatures over both.

Promises: what `verify` returns was signed by a key that the caller named, as the type that
the caller asked for, and every signature that names one of those keys holds. An envelope
has one form, byte for byte. Signatures that name other keys are passed over, so that others
may sign too. Does not read the payload.

Example:
    >>> key = SigningKey(bytes(32))
    >>> unverified = sign("text/plain", b"said", key).to_bytes()
    >>> verify(parse_envelope(unverified), [key.public], "text/plain")
    b'said'

Source: DSSE v1.0.0, protocol.md and envelope.md.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sayso.attest.keys import SIGNATURE_BYTES, PublicKey, SigningKey
from sayso.attest.shape import fields, line, list_of, refuse
from sayso.canonical import canonical_json, parse_canonical
from sayso.errors import InputError, IntegrityError

# Source: in-toto attestation, spec v1, envelope.
STATEMENT_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the id of the key that it names; the id is a hint, not a proof."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with signatures, sorted by the ids of their keys, each key once."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_json(
            {
                "payload": _encoded(self.payload),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": one.keyid, "sig": _encoded(one.sig)} for one in self.signatures
                ],
            }
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: the type and the payload, each after its length.

    Source: DSSE v1.0.0, protocol.md, Signature Definition.
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, *keys: SigningKey) -> Envelope:
    """Return an envelope signed by one key or several.

    Raises:
        InputError: No key, or one of them twice.
    """
    if not keys or len({key.public for key in keys}) != len(keys):
        raise InputError(f"{len(keys)} keys to sign with", hint="give at least one, each once")
    message = pae(payload_type, payload)
    made = [Signature(key.public.keyid, key.sign(message)) for key in keys]
    return Envelope(payload_type, payload, tuple(sorted(made, key=lambda one: one.keyid)))


def parse_envelope(unverified: bytes) -> Envelope:
    """Return the envelope whose canonical bytes are exactly `unverified`.

    Raises:
        InputError: It is no envelope.
        IntegrityError: It is not in canonical form.
    """
    value: Any = parse_canonical(unverified)
    _ENVELOPE(value, "envelope")
    signatures = tuple(
        Signature(one["keyid"], _decoded(one["sig"], f"envelope.signatures.{place}.sig"))
        for place, one in enumerate(value["signatures"])
    )
    ids = [one.keyid for one in signatures]
    if ids != sorted(set(ids)):
        refuse("envelope.signatures", "each key once, in the order of the ids")
    if any(len(one.sig) != SIGNATURE_BYTES for one in signatures):
        refuse("envelope.signatures", f"signatures of {SIGNATURE_BYTES} bytes")
    payload = _decoded(value["payload"], "envelope.payload")
    return Envelope(value["payloadType"], payload, signatures)


def verify(envelope: Envelope, public_keys: Iterable[PublicKey], payload_type: str) -> bytes:
    """Return the payload of an envelope that at least one of `public_keys` signed.

    Args:
        envelope: From anywhere.
        public_keys: The keys that the caller trusts.
        payload_type: What the caller can read; another type is refused before anything else.

    Raises:
        InputError: The envelope is of another type, or no key was given.
        IntegrityError: None of the keys signed it, or a signature that names one of them
            does not hold.
    """
    if envelope.payload_type != payload_type:
        raise InputError(
            f"an envelope of type {envelope.payload_type[:200]!r}", hint=f"give a '{payload_type}'"
        )
    keys = {key.keyid: key for key in public_keys}
    if not keys:
        raise InputError("no key to verify with", hint="give the public key of who signed")
    message = pae(envelope.payload_type, envelope.payload)
    named = [one for one in envelope.signatures if one.keyid in keys]
    for one in named:
        keys[one.keyid].verify(one.sig, message)
    if not named:
        raise IntegrityError(
            "none of the given keys signed it",
            hint="get the public key from who signed, not from who sent",
            keyids=[one.keyid for one in envelope.signatures],
        )
    return envelope.payload


def _base64(value: object, where: str) -> None:
    if not isinstance(value, str):
        refuse(where, "base64")


_ENVELOPE = fields(
    {
        "payload": _base64,
        "payloadType": line,
        "signatures": list_of(fields({"keyid": line, "sig": _base64}), least=1),
    }
)


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(encoded: str, where: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        refuse(where, "standard base64")
    # Padding bits can be anything for a lenient reader; here one value has one spelling.
    if _encoded(raw) != encoded:
        refuse(where, "standard base64 with zero padding bits")
    return raw
