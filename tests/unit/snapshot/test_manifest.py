"""Any bytes give a manifest or an error for whoever must act; a changed one is noticed."""

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sayso.errors import InputError, IntegrityError
from sayso.snapshot.manifest import Manifest, canonical_json, load_manifest, parse_manifest

HEX = "0f" * 32
COUNTS = {
    "records_in": 5, "admitted": 3,
    "refused": {"ON_HOLD": 2}, "reasons": {"ON_HOLD": 2, "CHOSEN_OFF": 1},
}  # fmt: skip
VALUE: dict[str, Any] = {
    "format": "sayso/snapshot/v1",
    "purpose": "content-generation-training",
    "at": "2026-01-15T12:00:00Z",
    "known": 7,
    "log": {"origin": "example.org/log", "size": 7, "root": HEX},
    "rulebook": {"digest": HEX, "entry": 0},
    "versions": {"semantics": 1, "tzdata": "2025b"},
    "inputs": {"content": {"name": "c.parquet", "sha256": HEX, "rows": 5}},
    "counts": COUNTS,
    "by_country": {"US": COUNTS},
    "standing": {"rows": 2, "root": HEX},
    "buckets": {
        "0007": {"file": "records/bucket-0007.parquet", "rows": 3, "root": HEX, "sha256": HEX}
    },
    "files": {"README.md": HEX},
    "root": HEX,
}


def changed(*path: str, to: Any) -> bytes:
    """Return the manifest's bytes with one value replaced, or removed by `...`."""
    value = json.loads(json.dumps(VALUE))
    inner = value
    for name in path[:-1]:
        inner = inner[name]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return canonical_json(value)


def test_the_bytes_and_the_value_are_one() -> None:
    manifest = parse_manifest(canonical_json(VALUE))
    assert manifest.to_bytes() == canonical_json(VALUE)
    assert manifest.at_instant.tzinfo == UTC
    assert len(manifest.digest) == 64
    assert parse_manifest(manifest.to_bytes()) == manifest


def test_the_digest_is_that_of_the_bytes() -> None:
    one, other = (parse_manifest(changed("rulebook", "entry", to=number)) for number in (1, 2))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("counts", "admitted"), 4), (("counts", "records_in"), 6),
        (("counts", "refused", "ON_HOLD"), 1), (("by_country", "US", "admitted"), 2),
        (("by_country", "GB"), COUNTS), (("by_country",), {}), (("buckets",), {}),
        (("buckets", "0007", "rows"), 4), (("known",), 8), (("log", "size"), 6),
    ],
)  # fmt: skip
def test_counts_that_do_not_reconcile(path: tuple[str, ...], to: Any) -> None:
    with pytest.raises(IntegrityError, match="disagrees with itself"):
        parse_manifest(changed(*path, to=to))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("format",), "sayso/snapshot/v2"), (("format",), ...), (("known",), "7"), (("known",), -1),
        (("known",), 7.0), (("known",), None), (("known",), True), (("extra",), 1),
        (("counts", "extra"), 1), (("buckets", "0007", "sha256"), ...), (("root",), 5),
        (("root",), HEX.upper()), (("root",), HEX[1:]), (("root",), HEX + "\n"),
        (("rulebook",), []), (("files",), None), (("purpose",), {}), (("inputs",), [1]),
    ],
)  # fmt: skip
def test_what_is_no_manifest(path: tuple[str, ...], to: Any) -> None:
    with pytest.raises(InputError, match="malformed"):
        parse_manifest(changed(*path, to=to))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("at",), "soon"), (("at",), ""), (("at",), "2026-01-15T12:00:00"), (("at",), "2026-01-15"),
        (("at",), "2026-01-15T13:00:00+01:00"), (("at",), "9999-12-31T23:59:59.9999999Z"),
        (("buckets",), {"x": VALUE["buckets"]["0007"]}),
        (("buckets",), {"1024": VALUE["buckets"]["0007"]}),
        (("buckets",), {"7": VALUE["buckets"]["0007"]}),
        (("buckets", "0007", "file"), "../../elsewhere.parquet"),
        (("buckets", "0007", "file"), "/etc/passwd"),
        (("buckets", "0007", "file"), "records/bucket-0008.parquet"),
    ],
)  # fmt: skip
def test_values_that_nothing_could_use(path: tuple[str, ...], to: Any) -> None:
    with pytest.raises((InputError, IntegrityError)):
        parse_manifest(changed(*path, to=to))


GOOD = canonical_json(VALUE)


@pytest.mark.parametrize(
    "raw",
    [
        GOOD.rstrip(), GOOD + b"\n", b" " + GOOD, b"\xef\xbb\xbf" + GOOD,
        json.dumps(VALUE, sort_keys=True).encode(), json.dumps(VALUE, indent=2).encode() + b"\n",
        GOOD.replace(b'"known": 7', b'"known": 7,\n  "known": 7'),
        GOOD.replace(b"content-generation", b"\\u0063ontent-generation"),
    ],
)  # fmt: skip
def test_only_the_canonical_form_counts(raw: bytes) -> None:
    with pytest.raises((IntegrityError, InputError)):
        parse_manifest(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"null", b"[]", b"1", b'"x"', b"\xff\xfe", b"\x00", b"[" * 100_000,
        b'{"a":' * 50_000, b"NaN", b"1" * 5000, b'{"format":"\\ud800"}', GOOD[:-20], GOOD[5:],
        GOOD.replace(b"7,", b"NaN,"), GOOD.replace(b"known", b"\\ud800"),
        GOOD.replace(b"2025b", b"\\udfff"), GOOD.replace(b" 7", b" 1e999"),
        GOOD.replace(b" 7", b" " + b"9" * 4999),
    ],
    ids=lambda raw: repr(raw[:12]),
)  # fmt: skip
def test_odd_bytes(raw: bytes) -> None:
    with pytest.raises((InputError, IntegrityError)):
        parse_manifest(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.tuples(st.sampled_from(sorted(VALUE)), JSON).map(
        lambda pair: json.dumps(VALUE | {pair[0]: pair[1]}, sort_keys=True, indent=2).encode()
    )
    | st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)).map(
        lambda pair: GOOD[: pair[0]] + bytes([pair[1]]) + GOOD[pair[0] + 1 :]
    )
    | st.tuples(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=4)).map(
        lambda cut: GOOD[: cut[0]] + cut[2] + GOOD[cut[1] :]
    )
)
@example(GOOD)
def test_any_bytes_give_a_value_or_an_error_of_ours(raw: bytes) -> None:
    try:
        manifest = parse_manifest(raw)
    except (InputError, IntegrityError):
        return
    assert isinstance(manifest, Manifest)
    assert manifest.to_bytes() == raw
    assert manifest.at_instant.tzinfo == UTC


@pytest.mark.parametrize("bit", range(0, len(GOOD) * 8, 97))
def test_a_flipped_bit_changes_the_digest_or_is_refused(bit: int) -> None:
    raw = bytearray(GOOD)
    raw[bit // 8] ^= 1 << bit % 8
    try:
        found = parse_manifest(bytes(raw))
    except (InputError, IntegrityError):
        return
    assert found.digest != parse_manifest(GOOD).digest


def test_no_manifest_is_no_snapshot(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "not"):
        with pytest.raises(InputError, match="no finished snapshot"):
            load_manifest(place)
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(InputError, match="no finished snapshot"):
        load_manifest(tmp_path)
