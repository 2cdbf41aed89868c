r"""Checkpoints: what a log says of itself, its size and its root, before anyone signs it.

Promises: pure; the text of C2SP tlog-checkpoint, in one form. Does not sign or verify (`notes`),
and does not interpret extension lines, which no monitor can check and no ML-DSA cosignature
covers: Sayso writes none.

Example:
    >>> from sayso.log.merkle import EMPTY_ROOT
    >>> Checkpoint("example.org/log", 0, EMPTY_ROOT).to_text()
    'example.org/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n'
"""

from dataclasses import dataclass

from sayso.errors import InputError
from sayso.log.lines import parse_decimal, parse_hash, quoted, to_base64


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: who issued it, how many leaves it has, and its root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Return the text that is signed.

        Raises:
            InputError: It could not be read back, as an origin with a newline could not.
        """
        head = (self.origin, str(self.size), to_base64(self.root))
        text = "".join(f"{line}\n" for line in (*head, *self.extensions))
        if parse_checkpoint_text(text) != self:
            raise InputError(f"the origin is {quoted(self.origin)}", hint="write one line of text")
        return text


def parse_checkpoint_text(unverified: str) -> Checkpoint:
    """Return the checkpoint that the text of a note holds.

    Raises:
        InputError: It holds none, or not in the one form.
    """
    *lines, rest = unverified.split("\n")
    if len(lines) < 3 or rest or not all(lines):
        raise InputError(
            f"the checkpoint is {quoted(unverified)}",
            hint="write lines that are not empty: origin, size, root",
        )
    origin, size, root, *extensions = lines
    return Checkpoint(
        origin,
        parse_decimal(size, "the size of the checkpoint"),
        parse_hash(root, "the root of the checkpoint"),
        tuple(extensions),
    )
