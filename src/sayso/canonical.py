r"""Canonical bytes: one encoding that Python and bulk SQL both write.

Promises: `encode` and `sql_bytes` give the same bytes for the same values; different values
give different bytes. Text is UTF-8 as it stands, without normalisation.

Form: the label and every field after it, each as `<bytes>:<value>,` (text), `i<number>,`
(integer) or `-,` (null).

Example:
    >>> encode("sayso/example/v1", "é", 7, None)
    b'16:sayso/example/v1,2:\xc3\xa9,i7,-,'
"""

import hashlib
from collections.abc import Sequence

# The key of an entry that is about no member.
PUBLIC_KEY = bytes(32)


def encode(label: str, *fields: str | int | None) -> bytes:
    """Return the canonical bytes of fields under a label."""
    parts = [_text(label)]
    for value in fields:
        if value is None:
            parts.append(b"-,")
        elif isinstance(value, int):
            parts.append(b"i%d," % value)
        else:
            parts.append(_text(value))
    return b"".join(parts)


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"%d:%s," % (len(raw), raw)


def sql_text(expression: str) -> str:
    """SQL: one text field, as text."""
    # A coalesce around it would never see null: concat passes over nulls.
    whole = f"concat(strlen({expression}), ':', {expression}, ',')"
    return f"CASE WHEN {expression} IS NULL THEN '-,' ELSE {whole} END"


def sql_integer(expression: str) -> str:
    """SQL: one integer field, as text."""
    return f"coalesce('i' || ({expression})::VARCHAR || ',', '-,')"


def sql_fields(label: str, fields: Sequence[str]) -> str:
    """SQL: the canonical text of fields made by `sql_text` and `sql_integer`."""
    head = _text(label).decode().replace("'", "''")
    return f"concat('{head}', {', '.join(fields)})"


def commit(key: bytes, canonical: bytes) -> bytes:
    """Return the commitment to canonical bytes under a 32-byte key."""
    return hashlib.sha256(key + canonical).digest()


def sql_commit(key: str, canonical: str) -> str:
    """SQL: the commitment as a BLOB; `key` is a BLOB, `canonical` text."""
    return f"unhex(sha256({key} || encode({canonical})))"
