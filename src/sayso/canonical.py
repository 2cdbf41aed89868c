r"""Canonical bytes: one encoding that Python and bulk SQL both write, and one form of JSON.

Promises: `encode` and `sql_bytes` give the same bytes for the same values; different values
give different bytes. Text is UTF-8 as it stands, without normalisation. `parse_canonical`
takes any bytes and returns only what `canonical_json` would write again, bit for bit.

Form: the label and every field after it, each as `<bytes>:<value>,` (text), `i<number>,`
(integer) or `-,` (null). JSON has sorted keys, two spaces and a final line feed, and holds
no fractions.

Example:
    >>> encode("sayso/example/v1", "é", 7, None)
    b'16:sayso/example/v1,2:\xc3\xa9,i7,-,'
    >>> parse_canonical(canonical_json({"b": 1, "a": ["é"]}))
    {'a': ['é'], 'b': 1}
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from sayso.errors import InputError, IntegrityError

# The key of an entry that is about no member.
PUBLIC_KEY = bytes(32)
# Deeper than any file of ours; bounds the recursion of whoever reads on.
MAX_DEPTH = 64
# What every reader keeps exact. Source: RFC 7493 s2.2.
MAX_NUMBER = (1 << 53) - 1


def encode(label: str, *fields: str | int | None) -> bytes:
    """Return the canonical bytes of fields under a label."""
    return b"".join([_text(label), *map(encode_field, fields)])


def encode_field(value: str | int | None) -> bytes:
    """Return the canonical bytes of one field."""
    if value is None:
        return b"-,"
    return b"i%d," % value if isinstance(value, int) else _text(value)


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"%d:%s," % (len(raw), raw)


class Dialect(NamedTuple):
    """The names by which an engine's SQL calls what canonical bytes need.

    Attributes:
        length: The function that gives the bytes of a text.
        binary: The form that gives a text as bytes, with `{}` for it.
    """

    length: str
    binary: str


DUCKDB = Dialect("strlen", "encode({})")
DATAFUSION = Dialect("octet_length", "CAST({} AS BYTEA)")


def sql_text(expression: str, dialect: Dialect = DUCKDB) -> str:
    """SQL: one text field, as text."""
    # A coalesce around it would never see null: concat passes over nulls.
    pieces = sql_pieces(expression, dialect)
    return f"CASE WHEN {expression} IS NULL THEN '-,' ELSE concat({pieces}) END"


def sql_pieces(expression: str, dialect: Dialect = DUCKDB) -> str:
    """SQL: one text field that is never null, as further arguments of a concat."""
    return f"{dialect.length}({expression}), ':', {expression}, ','"


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
    return f"unhex(sha256({sql_keyed(key, canonical)}))"


def sql_keyed(key: str, canonical: str, dialect: Dialect = DUCKDB) -> str:
    """SQL: what a commitment is the hash of, as bytes; `key` is binary, `canonical` text."""
    return f"{key} || {dialect.binary.format(canonical)}"


# ---- JSON -------------------------------------------------------------------------------


def canonical_json(value: object) -> bytes:
    """Return JSON with sorted keys, two spaces, UTF-8 and a final line feed.

    Raises:
        ValueError: The value holds NaN, an infinity, or text that UTF-8 cannot hold.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, indent=2, allow_nan=False)
    return f"{text}\n".encode()


def parse_canonical(unverified: bytes) -> object:
    """Return the value whose canonical JSON is exactly `unverified`.

    Raises:
        InputError: It is no JSON, or holds what two readers could read differently: a key
            twice, a fraction, a number beyond `MAX_NUMBER`, text that is not UTF-8, more
            than `MAX_DEPTH` levels.
        IntegrityError: It is JSON, and not in canonical form.
    """
    try:
        value = json.loads(
            unverified.decode(),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
        _check_depth(value, MAX_DEPTH)
        canonical = canonical_json(value)
    except RecursionError:
        _refuse_depth()
    except UnicodeError:
        raise InputError("the JSON is not UTF-8 throughout", hint="fetch it again") from None
    except ValueError:
        raise InputError("it is not JSON", hint="fetch it again") from None
    if canonical != unverified:
        raise IntegrityError(
            "the JSON is not in canonical form", hint="fetch it again, as it was published"
        )
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InputError("a key stands twice in the JSON", hint="fetch it again")
    return value


def _integer(digits: str) -> int:
    # The length first: reading a number takes time by the square of its digits.
    if len(digits) > len(str(-MAX_NUMBER)) or abs(int(digits)) > MAX_NUMBER:
        _refuse_number(digits)
    return int(digits)


def _refuse_number(digits: str) -> NoReturn:
    raise InputError(
        f"the number '{digits[:20]}' in the JSON is not exact everywhere",
        hint="write whole numbers below 2 to the power of 53",
    )


def _check_depth(value: object, levels: int) -> None:
    if not isinstance(value, dict | list):
        return
    if not levels:
        _refuse_depth()
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, levels - 1)


def _refuse_depth() -> NoReturn:
    raise InputError(f"the JSON is more than {MAX_DEPTH} levels deep", hint="fetch it again")
