"""Keys for tests, from fixed seeds, and signed checkpoints."""

import hashlib

from sayso.log.checkpoint import Checkpoint
from sayso.log.keys import KeyType, SignerKey
from sayso.log.notes import Note, cosign, sign

ORIGIN = "example.org/log"
AT = 1_800_000_000


def signer(name: str, key_type: KeyType = KeyType.ED25519) -> SignerKey:
    seed = hashlib.sha256(f"{name} {key_type}".encode()).digest()
    return SignerKey.from_seed(name, seed, key_type)


LOG = signer(ORIGIN)
W1 = signer("example.org/w1", KeyType.ED25519_COSIGNATURE)
W2 = signer("example.org/w2", KeyType.ED25519_COSIGNATURE)
W3 = signer("example.org/w3", KeyType.MLDSA44_COSIGNATURE)


def signed(head: Checkpoint, by: SignerKey = LOG, *witnesses: SignerKey, at: int = AT) -> bytes:
    """A checkpoint, signed by a log and cosigned by witnesses."""
    text = head.to_text()
    log = sign(text, by) if by.type is KeyType.ED25519 else cosign(text, by, at)
    return Note(text, (log, *(cosign(text, witness, at) for witness in witnesses))).to_bytes()
