r"""Submissions: what a log sends to a witness.

Promises: pure; the body of C2SP tlog-witness `add-checkpoint` in one form, so that
`parse_submission(body).to_bytes()` is `body`. Does not send it (`witnessing`) or judge it
(`witness`).

Example:
    >>> parse_submission(b"old 07\n\n")
    Traceback (most recent call last):
    sayso.errors.InputError: the old size is '07'; write a decimal from 0 to 9223372036854775807 ...
"""

from dataclasses import dataclass

from sayso.errors import InputError
from sayso.log.checkpoint import Checkpoint, parse_checkpoint_text
from sayso.log.lines import parse_decimal, parse_hash, parse_text, to_base64
from sayso.log.notes import MAX_NOTE_BYTES, Note, parse_note

# Source: tlog-witness.
MAX_PROOF_LINES = 63
MAX_SUBMISSION_BYTES = MAX_NOTE_BYTES + 4096


@dataclass(frozen=True)
class Submission:
    """A signed checkpoint, and the proof that it grew out of one that the witness has seen."""

    old_size: int
    proof: tuple[bytes, ...]
    note: Note

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says. Raises InputError as `parse_checkpoint_text`."""
        return parse_checkpoint_text(self.note.text)

    def to_bytes(self) -> bytes:
        """Return the body."""
        head = [f"old {self.old_size}", *map(to_base64, self.proof), ""]
        return "".join(f"{line}\n" for line in head).encode() + self.note.to_bytes()


def parse_submission(unverified: bytes) -> Submission:
    """Return the submission that a body holds.

    Raises:
        InputError: It holds none, or not in the one form.
    """
    whole = parse_text(unverified, "the body", MAX_SUBMISSION_BYTES)
    head, _, rest = whole.partition("\n\n")
    first, *lines = head.split("\n")
    if not first.startswith("old "):
        raise InputError("the body has no old size", hint="write 'old <size>' on the first line")
    old_size = parse_decimal(first.removeprefix("old "), "the old size")
    if len(lines) > MAX_PROOF_LINES:
        raise InputError(f"the proof has {len(lines)} hashes", hint=f"at most {MAX_PROOF_LINES} go")
    proof = tuple(parse_hash(line, "a hash of the proof") for line in lines)
    note = parse_note(rest.encode())
    parse_checkpoint_text(note.text)
    return Submission(old_size, proof, note)
