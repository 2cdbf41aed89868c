"""One form of JSON: what it refuses, and why."""

import json

import pytest

from sayso.canonical import MAX_DEPTH, MAX_NUMBER, canonical_json, parse_canonical
from sayso.errors import InputError, IntegrityError

GOOD = canonical_json({"b": [1, True, None], "a": {"é\n": "\U0001f600"}})


def nested(levels: int) -> bytes:
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return canonical_json(value)


def test_the_form_stays_what_it_is() -> None:
    lines = ["{", '  "a": {', '    "é\\n": "\U0001f600"', "  },", '  "b": [', "    1,"]
    lines += ["    true,", "    null", "  ]", "}", ""]
    assert "\n".join(lines).encode() == GOOD
    assert canonical_json(parse_canonical(GOOD)) == GOOD


@pytest.mark.parametrize(
    "raw",
    [
        GOOD[:-1], GOOD + b"\n", b" " + GOOD, GOOD.replace(b"\n", b"\r\n"), b"-0\n", b"1",
        b'"\\u0061"\n', b'"\\/"\n', b"[]\n\n",
        b'{\n  "b": 1,\n  "a": 2\n}\n', b'{"a":1}\n', b"[ ]\n",
    ],
)  # fmt: skip
def test_another_form_of_a_value_is_a_broken_file(raw: bytes) -> None:
    with pytest.raises(IntegrityError, match="not in canonical form"):
        parse_canonical(raw)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not JSON"), (b"{", "not JSON"), (b"nul", "not JSON"), (b"01\n", "not JSON"),
        (b"\xef\xbb\xbf1\n", "not JSON"), (b"'a'\n", "not JSON"), (b'"\n"\n', "not JSON"),
        (b"\xff", "UTF-8"), ("1\n".encode("utf-16"), "UTF-8"), (b'"\\ud800"\n', "UTF-8"),
        (b'{\n  "\\udfff": 1\n}\n', "UTF-8"), (b'"\xed\xa0\x80"\n', "UTF-8"),
        (b"1.0\n", "not exact"), (b"1e2\n", "not exact"), (b"NaN\n", "not exact"),
        (b"-Infinity\n", "not exact"), (b"9007199254740992\n", "not exact"),
        (b"9" * 5000 + b"\n", "not exact"), (b"-9007199254740992\n", "not exact"),
        (b'{\n  "a": 1,\n  "a": 1\n}\n', "twice"), (b'{"a": {"b": 1, "\\u0062": 2}}', "twice"),
        (nested(MAX_DEPTH + 1), "levels"), (b"[" * 100_000, "levels"),
        (b'{"a":' * 50_000, "levels"), (b"[" * 5_000 + b"]" * 5_000, "levels"),
    ],
    ids=lambda value: repr(value[:20]),
)  # fmt: skip
def test_what_two_readers_could_read_differently(raw: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_canonical(raw)


@pytest.mark.parametrize("value", [MAX_NUMBER, -MAX_NUMBER, 0])
def test_numbers_up_to_the_bound(value: int) -> None:
    assert parse_canonical(canonical_json(value)) == value


def test_levels_up_to_the_bound() -> None:
    assert json.dumps(parse_canonical(nested(MAX_DEPTH))).count("[") == MAX_DEPTH


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"\udfff": 1}])
def test_what_no_json_holds_is_not_written(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)
