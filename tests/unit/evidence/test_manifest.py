"""The verifier's own reader of manifests against the one that snapshots are read with."""

import json
from typing import Any

import pytest

from sayso.canonical import canonical_json
from sayso.errors import InputError, IntegrityError
from sayso.evidence.checks_manifest import parse_manifest
from sayso.snapshot.manifest import parse_manifest as parse_snapshot_manifest
from tests.unit.attest.test_schemas import variants
from tests.unit.evidence.builders import Town

TOWN = Town()
VALUE: dict[str, Any] = json.loads(TOWN.manifest_bytes)


def refusal(parse: Any, raw: bytes) -> type[Exception] | None:
    try:
        parse(raw)
    except (InputError, IntegrityError) as error:
        return type(error)
    return None


def test_they_read_the_same_manifest() -> None:
    assert parse_manifest(TOWN.manifest_bytes) == VALUE
    assert parse_snapshot_manifest(TOWN.manifest_bytes).to_bytes() == TOWN.manifest_bytes


def test_what_either_refuses_the_other_refuses() -> None:
    seen = 0
    for variant in variants(VALUE):
        raw = canonical_json(variant)
        ours, theirs = refusal(parse_manifest, raw), refusal(parse_snapshot_manifest, raw)
        if theirs is None and ours is IntegrityError:  # the root, which only this one derives
            continue
        assert (ours is None) == (theirs is None), (variant, ours, theirs)
        seen += 1
    assert seen > 500


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["counts"].update(admitted=7),
        lambda v: v["counts"].update(records_in=9, refused={"CHOSEN_OFF": 3}),
        lambda v: v["by_country"].clear(),
        lambda v: v["log"].update(size=5),
        lambda v: v["buckets"]["0001"].update(rows=4),
        lambda v: v["buckets"]["0001"].update(file="records/bucket-0002.parquet"),
        lambda v: v["buckets"].update({"1024": v["buckets"].pop("0700")}),
        lambda v: v["buckets"]["0001"].update(root="00" * 32),
        lambda v: v.update(root="00" * 32),
    ],
)
def test_a_manifest_that_disagrees_with_itself(change: Any) -> None:
    value = json.loads(TOWN.manifest_bytes)
    change(value)
    with pytest.raises(IntegrityError, match="disagrees with itself"):
        parse_manifest(canonical_json(value))


def test_odd_names_of_buckets() -> None:
    value = json.loads(TOWN.manifest_bytes)
    value["buckets"]["07OO"] = value["buckets"].pop("0700")
    with pytest.raises(InputError, match="four digits"):
        parse_manifest(canonical_json(value))
