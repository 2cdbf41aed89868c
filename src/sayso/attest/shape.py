"""Shapes of signed JSON: what a file may hold, said in a line for each key.

Promises: a shape is total over any JSON value, returns nothing and refuses with the path of
what is wrong. No key that is not named passes. Needs only the standard library, since the
verifier that stands alone carries it. Does not look at what values mean together.

Example:
    >>> shape = fields({"name": text, "sizes": list_of(number)})
    >>> shape({"name": "a", "sizes": [1]}, "file")
    >>> shape({"name": "a", "sizes": [-1]}, "file")
    Traceback (most recent call last):
    sayso.errors.InputError: 'file.sizes.0' is malformed; expected a whole number from 0 on
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import NoReturn, TypeAlias

from sayso.errors import InputError

# Takes a value and its path.
Shape: TypeAlias = Callable[[object, str], None]

_LINE = re.compile(r"[^\x00-\x1f\x7f]+")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def refuse(where: str, expected: str) -> NoReturn:
    """Refuse a value by its path."""
    raise InputError(f"{where[:200]!r} is malformed", hint=f"expected {expected}")


def text(value: object, where: str) -> None:
    """Any text but none."""
    if not isinstance(value, str) or not value:
        refuse(where, "text")


def line(value: object, where: str) -> None:
    """Text on one line, without control characters."""
    if not isinstance(value, str) or not _LINE.fullmatch(value):
        refuse(where, "text on one line")


def number(value: object, where: str) -> None:
    """A whole number from 0 on; true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        refuse(where, "a whole number from 0 on")


def flag(value: object, where: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        refuse(where, "true or false")


def sha256(value: object, where: str) -> None:
    """32 bytes as 64 small hexadecimal digits."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        refuse(where, "64 small hexadecimal digits")


def instant(value: object, where: str) -> None:
    """An instant in UTC, written the one way in which `iso` writes it."""
    if isinstance(value, str) and value.endswith("Z") and value.isascii():
        try:
            if iso(datetime.fromisoformat(value)) == value:
                return
        except ValueError:
            pass
    refuse(where, "an instant in UTC such as 2025-11-02T16:00:00Z")


def word(*words: str) -> Shape:
    """One of some words."""

    def check(value: object, where: str) -> None:
        if not isinstance(value, str) or value not in words:
            refuse(where, " or ".join(f"'{one}'" for one in words))

    return check


def either(shape: Shape) -> Shape:
    """A shape or null."""

    def check(value: object, where: str) -> None:
        if value is not None:
            shape(value, where)

    return check


def list_of(shape: Shape, *, least: int = 0) -> Shape:
    """A list of at least so many values of one shape."""

    def check(value: object, where: str) -> None:
        if not isinstance(value, list) or len(value) < least:
            refuse(where, f"a list of {least} or more" if least else "a list")
        for place, inner in enumerate(value):
            shape(inner, f"{where}.{place}")

    return check


def map_of(shape: Shape) -> Shape:
    """Keys of any name, with values of one shape."""

    def check(value: object, where: str) -> None:
        if not isinstance(value, dict):
            refuse(where, "keys with values")
        for key, inner in value.items():
            line(key, f"{where} (a key)")
            shape(inner, f"{where}.{key}")

    return check


def fields(shapes: Mapping[str, Shape], *, optional: Collection[str] = ()) -> Shape:
    """Exactly these keys, of which those in `optional` may be missing."""

    def check(value: object, where: str) -> None:
        if not isinstance(value, dict):
            refuse(where, "keys with values")
        for key, shape in shapes.items():
            if key in value:
                shape(value[key], f"{where}.{key}")
            elif key not in optional:
                refuse(f"{where}.{key}", "a value; the key is missing")
        for key in value:
            if key not in shapes:
                refuse(f"{where}.{key}", "no such key")

    return check


def iso(value: datetime) -> str:
    """Write an aware instant as ISO 8601 in UTC with a Z.

    Raises:
        InputError: It has no zone, and would be taken for this machine's time.
    """
    if value.tzinfo is None:
        raise InputError(f"an instant without a zone: '{value}'", hint="give aware UTC")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
