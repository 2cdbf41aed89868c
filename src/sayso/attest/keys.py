"""Ed25519 keys of whoever signs: PEM in, PEM out, and an id that others compute alike.

Promises: a signing key is its 32-byte seed, which the caller brings; nothing here is random
and no seed is ever printed. The id of a key is the one of TUF and in-toto. Does not say
whose a key is: whoever verifies knows that, or does not know anything.

Example:
    >>> key = SigningKey(bytes(32))
    >>> key.public.verify(key.sign(b"said"), b"said")
    >>> parse_public_key(key.public.to_pem()) == key.public
    True
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sayso.errors import InputError, IntegrityError

# Source: RFC 8032 s5.1.5 and s5.1.6.
KEY_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class PublicKey:
    """What a signature is checked with."""

    raw: bytes

    def __post_init__(self) -> None:
        """Refuse what cannot be a key.

        Raises:
            InputError: It has not `KEY_BYTES` bytes.
        """
        _check_length(self.raw)

    @cached_property
    def keyid(self) -> str:
        """SHA-256 (hex) of the key as canonical JSON.

        The id that securesystemslib and in-toto give the same key by themselves; cosign
        takes any.

        Source: TUF specification s4.2 (keyid), with the key in the form of s4.3 (ed25519).
        """
        value = {"keytype": "ed25519", "keyval": {"public": self.raw.hex()}, "scheme": "ed25519"}
        canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return where `signature` is this key's over `message`.

        Raises:
            IntegrityError: It is not.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise IntegrityError(
                f"the signature of key {self.keyid} does not hold",
                hint="the content or the key is another's",
                keyid=self.keyid,
            ) from None

    def to_pem(self) -> bytes:
        """Return the key as PEM (SubjectPublicKeyInfo, RFC 8410)."""
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@dataclass(frozen=True)
class SigningKey:
    """What signs.

    Attributes:
        seed: 32 bytes, from a source of randomness that the caller answers for.
    """

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be a key.

        Raises:
            InputError: The seed has not `KEY_BYTES` bytes.
        """
        _check_length(self.seed)

    @cached_property
    def public(self) -> PublicKey:
        """The other half."""
        return PublicKey(self._private.public_key().public_bytes_raw())

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a message; the same message gives the same one."""
        return self._private.sign(message)

    def to_pem(self) -> bytes:
        """Return the key as PEM (PKCS #8, RFC 8410), not encrypted."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def parse_public_key(unverified: bytes) -> PublicKey:
    """Return the public key in a PEM file.

    Raises:
        InputError: It is no PEM of an Ed25519 public key.
    """
    try:
        key = serialization.load_pem_public_key(unverified)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(
            "it is no public key", hint="give an Ed25519 key as PEM (-----BEGIN PUBLIC KEY-----)"
        )
    return PublicKey(key.public_bytes_raw())


def parse_signing_key(secret: bytes) -> SigningKey:
    """Return the signing key in a PEM file.

    Raises:
        InputError: It is no PEM of an Ed25519 private key, or is encrypted. The message
            quotes nothing of it.
    """
    try:
        key = serialization.load_pem_private_key(secret, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(
            "it is no signing key",
            hint="give an Ed25519 key as PEM (-----BEGIN PRIVATE KEY-----), not encrypted",
        )
    return SigningKey(key.private_bytes_raw())


def _check_length(raw: bytes) -> None:
    if len(raw) != KEY_BYTES:
        raise InputError(f"a key of {len(raw)} bytes", hint=f"give {KEY_BYTES}")
