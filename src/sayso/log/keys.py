r"""Keys of signed notes: who signs, with what, and how to tell.

Promises: the encodings of verifier and signer keys of C2SP signed-note, each in one form; for
every type of key, the bytes that it signs. Signs nothing but with the seed that it is given, and
neither shows nor quotes a seed. Does not read notes (`notes`).

Example:
    >>> SignerKey("example.org/log", KeyType.ED25519, bytes(32)).verifier().to_text()
    'example.org/log+4e933303+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
"""

import functools
import hashlib
import struct
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sayso.errors import InputError, IntegrityError, UnavailableError
from sayso.log.checkpoint import parse_checkpoint_text
from sayso.log.lines import MAX_INTEGER, parse_base64, quoted, to_base64

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # an older cryptography: all but ML-DSA keys still work
    mldsa = None  # type: ignore[assignment]

SEED_BYTES = 32
KEY_ID_BYTES = 4
PRIVATE_PREFIX = "PRIVATE+KEY+"


class KeyType(IntEnum):
    """The signature type byte of a key. Source: signed-note; tlog-cosignature."""

    ED25519 = 0x01
    ED25519_COSIGNATURE = 0x04
    MLDSA44_COSIGNATURE = 0x06


PUBLIC_BYTES = {
    KeyType.ED25519: 32,
    KeyType.ED25519_COSIGNATURE: 32,
    KeyType.MLDSA44_COSIGNATURE: 1312,
}
# Those whose signatures say when.
TIMED = frozenset({KeyType.ED25519_COSIGNATURE, KeyType.MLDSA44_COSIGNATURE})


def check_name(name: str) -> None:
    """Check the name of a key.

    Raises:
        InputError: It is empty, or holds a space, a plus or a control character.
    """
    odd = any(c.isspace() or c < " " or c == "+" or "\ud800" <= c <= "\udfff" for c in name)
    if not name or odd:
        raise InputError(
            f"the key name is {quoted(name)}",
            hint="write a name without spaces, plus signs and control characters",
        )


@dataclass(frozen=True)
class VerifierKey:
    """The public half of a key, with its name.

    Raises:
        InputError: The name or the length of the key is not possible.
    """

    name: str
    type: KeyType
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != PUBLIC_BYTES[self.type]:
            raise InputError(
                f"the public key of '{self.name}' has {len(self.public)} bytes",
                hint=f"one of type {self.type:#04x} has {PUBLIC_BYTES[self.type]}",
            )

    @property
    def key_id(self) -> bytes:
        """Four bytes that, with the name, tell the key. Source: signed-note, "Signatures"."""
        named = b"%s\n%c%s" % (self.name.encode(), self.type, self.public)
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]

    def to_text(self) -> str:
        """Return the key as a vkey: name, id and key, with plus signs between."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.type]) + self.public)}"

    def verify(self, text: str, blob: bytes) -> int | None:
        """Verify what follows the key id in a signature of a note's text.

        Returns:
            The time that a cosignature states, in Unix seconds; None for other signatures.

        Raises:
            IntegrityError: The key did not make this signature of this text.
            InputError: A type that only signs checkpoints is given another text.
            UnavailableError: This machine's `cryptography` cannot verify the type.
        """
        failed = IntegrityError(f"the signature by '{self.name}' does not verify", name=self.name)
        unix_seconds, signature = None, blob
        if self.type in TIMED:
            unix_seconds, signature = int.from_bytes(blob[:8]), blob[8:]
            if unix_seconds > MAX_INTEGER:
                raise failed
        message = _message(self.type, self.name, text, unix_seconds)
        try:
            self._public().verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise failed from error
        return unix_seconds

    def _public(self) -> "Ed25519PublicKey | mldsa.MLDSA44PublicKey":
        if self.type is not KeyType.MLDSA44_COSIGNATURE:
            return Ed25519PublicKey.from_public_bytes(self.public)
        _check_mldsa()
        return mldsa.MLDSA44PublicKey.from_public_bytes(self.public)


@dataclass(frozen=True)
class SignerKey:
    """The private half of a key, with its name.

    Raises:
        InputError: The name is not possible, or the seed has not 32 bytes.
    """

    name: str
    type: KeyType
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.seed) != SEED_BYTES:
            raise InputError(f"the seed of a key has {SEED_BYTES} bytes, not {len(self.seed)}")

    @classmethod
    def from_seed(cls, name: str, seed: bytes, key_type: KeyType = KeyType.ED25519) -> "SignerKey":
        """Return the key of a seed, which is 32 bytes of the caller's randomness."""
        return cls(name, key_type, seed)

    def verifier(self) -> VerifierKey:
        """Return the public half."""
        return VerifierKey(self.name, self.type, self._private().public_key().public_bytes_raw())

    def to_text(self) -> str:
        """Return the key as Go's note package writes it. Keep it secret."""
        data = to_base64(bytes([self.type]) + self.seed)
        return f"{PRIVATE_PREFIX}{self.name}+{self.verifier().key_id.hex()}+{data}"

    def sign(self, text: str, unix_seconds: int | None = None) -> bytes:
        """Return what follows the key id in a signature of a note's text.

        Args:
            text: What is signed, its last newline included.
            unix_seconds: When; for the cosignature types, and for them alone.

        Raises:
            InputError: The type needs a time, takes none, or signs checkpoints alone.
            UnavailableError: This machine's `cryptography` cannot sign with the type.
        """
        if (self.type in TIMED) != (unix_seconds is not None):
            say = "a time" if self.type in TIMED else "no time"
            raise InputError(f"a signature of type {self.type:#04x} states {say}")
        if unix_seconds is not None and not 0 <= unix_seconds <= MAX_INTEGER:
            raise InputError(f"the time of a cosignature is {unix_seconds} seconds")
        signature = self._private().sign(_message(self.type, self.name, text, unix_seconds))
        return signature if unix_seconds is None else struct.pack(">Q", unix_seconds) + signature

    def _private(self) -> "Ed25519PrivateKey | mldsa.MLDSA44PrivateKey":
        if self.type is not KeyType.MLDSA44_COSIGNATURE:
            return Ed25519PrivateKey.from_private_bytes(self.seed)
        _check_mldsa()
        return mldsa.MLDSA44PrivateKey.from_seed_bytes(self.seed)


def parse_verifier_key(unverified: str) -> VerifierKey:
    """Return the key that a vkey encodes.

    Raises:
        InputError: It encodes none, or its id is that of another key.
    """
    shown = f"the verifier key is {quoted(unverified)}"
    key_type, name, key_id, public = _split_key(unverified, shown)
    key = VerifierKey(name, key_type, public)
    if key.key_id.hex() != key_id:
        raise InputError(shown, hint=f"its id would be {key.key_id.hex()}; copy the key again")
    return key


def parse_signer_key(unverified: str) -> SignerKey:
    """Return the key that its private text encodes, of which a message quotes nothing.

    Raises:
        InputError: It encodes none, or its id is that of another key.
    """
    shown = "this is not the text of a signer key"
    if not unverified.startswith(PRIVATE_PREFIX):
        raise InputError(shown, hint=f"it begins with {PRIVATE_PREFIX}")
    key_type, name, key_id, seed = _split_key(unverified.removeprefix(PRIVATE_PREFIX), shown)
    key = SignerKey(name, key_type, seed)
    if key.verifier().key_id.hex() != key_id:
        raise InputError(shown, hint="its id is that of another key; copy it again")
    return key


def _split_key(unverified: str, shown: str) -> tuple[KeyType, str, str, bytes]:
    """Return the type, the name, the id and the key of an encoded key."""
    try:
        name, key_id, encoded = unverified.split("+", 2)
        data = parse_base64(encoded, "the key")
        return KeyType(data[0]), name, key_id, data[1:]
    except (InputError, IndexError, ValueError):
        # Not `from`: what failed may quote a seed.
        raise InputError(
            shown, hint="write <name>+<id>+<base64 of type and key>, of type 1, 4 or 6"
        ) from None


def _message(key_type: KeyType, name: str, text: str, unix_seconds: int | None) -> bytes:
    """Return the bytes that a key of a type signs. Source: tlog-cosignature."""
    match key_type:
        case KeyType.ED25519:
            return text.encode()
        case KeyType.ED25519_COSIGNATURE:
            return f"cosignature/v1\ntime {unix_seconds}\n{text}".encode()
        case KeyType.MLDSA44_COSIGNATURE:
            head = parse_checkpoint_text(text)
            cosigner, origin = name.encode(), head.origin.encode()
            if max(len(cosigner), len(origin)) > 255:
                raise InputError("an ML-DSA cosignature names up to 255 bytes", name=name)
            return b"".join(
                (
                    b"subtree/v1\n\0",
                    struct.pack(">B", len(cosigner)) + cosigner,
                    struct.pack(">Q", unix_seconds),
                    struct.pack(">B", len(origin)) + origin,
                    struct.pack(">QQ", 0, head.size),
                    head.root,
                )
            )


@functools.cache
def _check_mldsa() -> None:
    """Check that this machine's `cryptography`, and what it is built on, have ML-DSA-44."""
    try:
        if mldsa is not None:
            mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(SEED_BYTES))
            return
    except UnsupportedAlgorithm:
        pass
    raise UnavailableError(
        "this machine's cryptography has no ML-DSA-44", hint="install a newer one"
    )
