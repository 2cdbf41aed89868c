r"""Lines: the small strict pieces that the formats of a log are made of.

Promises: pure; each value has one form, and any other form of it is an `InputError`, so that
what was parsed can be written back to the same bytes. Does not know what a line is for: the
caller names it, for the message.

Example:
    >>> parse_decimal("70000", "the size"), parse_base64("c2F5c28=", "the data")
    (70000, b'sayso')
"""

import base64
import re

from sayso.errors import InputError
from sayso.log.merkle import HASH_BYTES

# Sizes and times stay below 2**63, as in tlog-cosignature and in every signed 64-bit reader.
MAX_INTEGER = 2**63 - 1
QUOTED_CHARACTERS = 60

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


def quoted(text: str) -> str:
    """Return text as a message quotes it: escaped, and cut where it is long."""
    cut = "..." if len(text) > QUOTED_CHARACTERS else ""
    return f"{text[:QUOTED_CHARACTERS]!r}{cut}"


def parse_text(unverified: bytes, what: str, max_bytes: int) -> str:
    """Return bytes as text: UTF-8, and of the control characters only the newline.

    Raises:
        InputError: They are not, or are more than `max_bytes`.
    """
    if len(unverified) > max_bytes:
        raise InputError(f"{what} has {len(unverified)} bytes", hint=f"at most {max_bytes} go")
    try:
        text = unverified.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is not UTF-8 at byte {error.start}") from error
    if control := _CONTROL.search(text):
        raise InputError(
            f"{what} holds the control character {control[0]!r}",
            hint="only the newline may stand there",
        )
    return text


def parse_decimal(unverified: str, what: str) -> int:
    """Return a whole number from 0 to 2**63 - 1, written without leading zeros.

    Raises:
        InputError: It is something else.
    """
    if not _DECIMAL.fullmatch(unverified) or int(unverified) > MAX_INTEGER:
        raise InputError(
            f"{what} is {quoted(unverified)}",
            hint=f"write a decimal from 0 to {MAX_INTEGER} without leading zeros",
        )
    return int(unverified)


def parse_base64(unverified: str, what: str) -> bytes:
    """Return the bytes of standard base64, padded. Source: RFC 4648 s4.

    Raises:
        InputError: It is not base64, or not as an encoder writes it.
    """
    try:
        data = base64.b64decode(unverified, validate=True)
    except ValueError:
        data = b""
    if to_base64(data) != unverified:
        raise InputError(f"{what} is {quoted(unverified)}", hint="write standard base64, padded")
    return data


def parse_hash(unverified: str, what: str) -> bytes:
    """Return a SHA-256 hash written in base64.

    Raises:
        InputError: It is not base64, or not 32 bytes.
    """
    found = parse_base64(unverified, what)
    if len(found) != HASH_BYTES:
        raise InputError(f"{what} has {len(found)} bytes", hint=f"a hash has {HASH_BYTES}")
    return found


def to_base64(data: bytes) -> str:
    """Return data in standard base64. Source: RFC 4648 s4."""
    return base64.b64encode(data).decode()
