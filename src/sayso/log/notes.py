r"""Signed notes: a text, and under it who signed it.

Promises: the format of C2SP signed-note in one form, so that `parse_note(data).to_bytes()` is
`data`; a known key whose signature fails condemns the note, and unknown keys count for nothing.
Does not interpret the text (`checkpoint`) and does not choose whom to trust (`policy`).

Example:
    >>> from sayso.log.keys import SignerKey
    >>> signer = SignerKey.from_seed("example.org/log", bytes(32))
    >>> note = parse_note(Note("text\n", (sign("text\n", signer),)).to_bytes())
    >>> [verified.key.name for verified in verify_note(note, [signer.verifier()])]
    ['example.org/log']
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sayso.errors import InputError, IntegrityError
from sayso.log.checkpoint import parse_checkpoint_text
from sayso.log.keys import KEY_ID_BYTES, SignerKey, VerifierKey, check_name
from sayso.log.lines import parse_base64, parse_text, quoted, to_base64

# As in Go's note package; signed-note asks for at least 16 signatures.
MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100

_DASH = "\u2014"


@dataclass(frozen=True)
class Signature:
    """One line under a note: the key's name and id, and what the key's type puts behind them."""

    name: str
    key_id: bytes
    blob: bytes

    def to_line(self) -> str:
        """Return the line, its newline included."""
        return f"{_DASH} {self.name} {to_base64(self.key_id + self.blob)}\n"


@dataclass(frozen=True)
class Note:
    """A text that ends in a newline, and its signatures, of which nothing is verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        """Return the note as it is sent and kept."""
        lines = "".join(signature.to_line() for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()


@dataclass(frozen=True)
class VerifiedSignature:
    """A signature by a known key, verified; with its time where the key's type states one."""

    key: VerifierKey
    signature: Signature
    unix_seconds: int | None


def parse_note(unverified: bytes) -> Note:
    """Return the note that bytes hold.

    Raises:
        InputError: They hold none, or not in the one form.
    """
    whole = parse_text(unverified, "the note", MAX_NOTE_BYTES)
    text, blank, signatures = whole.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise InputError(
            "the note has no signatures", hint="write the text, an empty line, and signature lines"
        )
    return Note(text + "\n", parse_signatures(signatures))


def parse_signatures(unverified: str) -> tuple[Signature, ...]:
    """Return the signatures of lines, each of which ends in a newline.

    Raises:
        InputError: A line is none, or there are none or more than 100.
    """
    *lines, rest = unverified.split("\n")
    if rest or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise InputError(
            f"there are {len(lines)} signature lines", hint=f"write 1 to {MAX_SIGNATURES}"
        )
    return tuple(_parse_signature(line) for line in lines)


def _parse_signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    check_name(name)
    data = parse_base64(encoded, f"the signature by '{name}'")
    if dash != _DASH or len(data) <= KEY_ID_BYTES:
        raise InputError(
            f"the signature line is {quoted(line)}",
            hint=f"write '{_DASH} <name> <base64 of key id and signature>'",
        )
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def sign(text: str, signer: SignerKey) -> Signature:
    """Return a signature of a text.

    Raises:
        InputError: The text cannot stand in a note, or the key is for cosignatures.
    """
    _check_text(text)
    return Signature(signer.name, signer.verifier().key_id, signer.sign(text))


def cosign(checkpoint_text: str, signer: SignerKey, unix_seconds: int) -> Signature:
    """Return a cosignature of a checkpoint as of a time.

    Ed25519 cosignatures are the same each time; those of ML-DSA take randomness from the
    library that makes them.

    Raises:
        InputError: The text is no checkpoint, or the key is not for cosignatures.
    """
    _check_text(checkpoint_text)
    parse_checkpoint_text(checkpoint_text)
    blob = signer.sign(checkpoint_text, unix_seconds)
    return Signature(signer.name, signer.verifier().key_id, blob)


def _check_text(text: str) -> None:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise InputError("the text is not UTF-8") from error
    parse_text(data, "the text", MAX_NOTE_BYTES)
    if not text.endswith("\n"):
        raise InputError("the text of a note ends in a newline")


def verify_note(unverified: Note, keys: Iterable[VerifierKey]) -> list[VerifiedSignature]:
    """Return the signatures by known keys, one for each key, in the note's order.

    Every signature by a known key must verify; of several by one key the first is returned.

    Raises:
        IntegrityError: One fails, or none is by a known key.
        InputError: Two different keys have the same name and id.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise InputError(f"two keys are called '{key.name}' and have the id {key.key_id.hex()}")
    found: dict[VerifierKey, VerifiedSignature] = {}
    for signature in unverified.signatures:
        signer = known.get((signature.name, signature.key_id))
        if signer is not None:
            unix_seconds = signer.verify(unverified.text, signature.blob)
            found.setdefault(signer, VerifiedSignature(signer, signature, unix_seconds))
    if not found:
        raise IntegrityError(
            "no signature is by a known key",
            hint=f"known are {sorted({key.name for key in known.values()})}",
        )
    return list(found.values())
