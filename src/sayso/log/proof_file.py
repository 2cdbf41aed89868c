r"""Proof files: that one entry is in a log, in a file that needs nothing else.

Promises: the format of C2SP tlog-proof in one form, so that `parse_proof(data).to_bytes()` is
`data`; verified against a policy alone, without the log. Does not authenticate `extra`, and does
not know the entry: the caller gives its leaf hash.

Example:
    >>> parse_proof(b"c2sp.org/tlog-proof@v2\n")
    Traceback (most recent call last):
    sayso.errors.InputError: the proof begins with 'c2sp.org/tlog-proof@v2'; this reads ...
"""

from dataclasses import dataclass

from sayso.errors import InputError
from sayso.log.checkpoint import parse_checkpoint_text
from sayso.log.lines import (
    parse_base64,
    parse_decimal,
    parse_hash,
    parse_text,
    quoted,
    to_base64,
)
from sayso.log.notes import MAX_NOTE_BYTES, parse_note
from sayso.log.policy import Policy, VerifiedCheckpoint
from sayso.log.proofs import verify_inclusion

FIRST_LINE = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = 2 * MAX_NOTE_BYTES
# A tree of 2**63 leaves is no deeper.
MAX_HASHES = 63


@dataclass(frozen=True)
class Proof:
    """Where an entry stands, the way to the root, and the checkpoint of that root.

    `extra` is the application's and is vouched for by nobody; an empty one is none.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint_note: bytes
    extra: bytes | None = None

    def to_bytes(self) -> bytes:
        """Return the file."""
        extra = [f"extra {to_base64(self.extra)}"] if self.extra else []
        head = [FIRST_LINE, *extra, f"index {self.index}", *map(to_base64, self.hashes)]
        return "".join(f"{line}\n" for line in [*head, ""]).encode() + self.checkpoint_note


def parse_proof(unverified: bytes) -> Proof:
    """Return the proof that a file holds.

    Raises:
        InputError: It holds none, or not in the one form.
    """
    whole = parse_text(unverified, "the proof", MAX_PROOF_BYTES)
    head, _, note = whole.partition("\n\n")
    first, *lines = head.split("\n")
    if first != FIRST_LINE:
        raise InputError(f"the proof begins with {quoted(first)}", hint=f"this reads {FIRST_LINE}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = parse_base64(lines.pop(0).removeprefix("extra "), "the extra data")
    if not lines or not lines[0].startswith("index ") or extra == b"":
        raise InputError("the proof has no index", hint="write 'index <number>' before the hashes")
    index = parse_decimal(lines.pop(0).removeprefix("index "), "the index")
    if len(lines) > MAX_HASHES:
        raise InputError(f"the proof has {len(lines)} hashes", hint=f"at most {MAX_HASHES} go")
    hashes = tuple(parse_hash(line, "a hash of the proof") for line in lines)
    parse_checkpoint_text(parse_note(note.encode()).text)
    return Proof(index, hashes, note.encode(), extra)


def verify_proof(unverified: Proof, leaf: bytes, policy: Policy) -> VerifiedCheckpoint:
    """Return the checkpoint under which the entry with a leaf hash stands.

    Args:
        unverified: The proof.
        leaf: `merkle.leaf_hash` of the entry.
        policy: Which logs and witnesses are trusted.

    Raises:
        InputError: The proof holds no checkpoint.
        IntegrityError: The policy does not accept it, or the entry is not in its tree.
    """
    verified = policy.check(unverified.checkpoint_note)
    head = verified.checkpoint
    verify_inclusion(leaf, unverified.index, head.size, unverified.hashes, head.root)
    return verified
