import json
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sayso.errors import InputError
from sayso.evidence.bom import Adapter, Base, Dataset, Release, bom_bytes, bom_of

RELEASE = Release("writer-2026-01", "a" * 64, "2026-01-20T10:00:00Z")
BASE = Base("small-base", "b" * 64, exposure="none")
DATA = [
    Dataset("set-1", "c" * 64, "content-generation-training", "2026-01-15T12:00:00Z", 24, "d" * 64)
]
ADAPTERS = [
    Adapter("HK-0", "1" * 64, "HK-0", "set-1"),
    Adapter("GB-0", "2" * 64, "GB-0", "set-1"),
]


def made() -> dict[str, Any]:
    return bom_of(RELEASE, BASE, ADAPTERS, DATA)


def test_it_is_valid_cyclonedx() -> None:
    raw = bom_bytes(made()).decode()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(raw) is None


def test_an_invalid_one_would_be_noticed() -> None:
    broken = made() | {"components": [{"type": "spell", "name": "x"}]}

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_every_component_has_its_digest_and_every_reference_leads_somewhere() -> None:
    bom = made()
    parts = [bom["metadata"]["component"], *bom["components"]]

    assert {one["hashes"][0]["content"] for one in parts} == {
        digit * 64 for digit in ("a", "b", "c", "1", "2")
    }
    refs = {one["bom-ref"] for one in parts}
    assert len(refs) == len(parts)
    for one in bom["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= refs
    for one in parts:
        for dataset in one.get("modelCard", {}).get("modelParameters", {}).get("datasets", ()):
            assert dataset["ref"] in refs


def test_a_release_can_be_followed_down_to_the_snapshots() -> None:
    bom = made()
    depends = {one["ref"]: one["dependsOn"] for one in bom["dependencies"]}

    assert depends["release:writer-2026-01"] == ["base:small-base", "adapter:GB-0", "adapter:HK-0"]
    assert depends["adapter:HK-0"] == ["base:small-base", "data:set-1"]
    kinds = {one["bom-ref"]: one["type"] for one in bom["components"]}
    assert kinds["data:set-1"] == "data"
    assert kinds["base:small-base"] == "machine-learning-model"


def test_the_same_release_gives_the_same_bytes_in_any_order() -> None:
    assert bom_bytes(made()) == bom_bytes(bom_of(RELEASE, BASE, ADAPTERS[::-1], DATA))


@pytest.mark.parametrize(
    ("adapters", "datasets", "message"),
    [
        ([Adapter("x", "1" * 64, "s", "nowhere")], DATA, "names dataset 'nowhere'"),
        ([Adapter("set-1", "1" * 64, "s", "set-1")], DATA, "share a name"),
    ],
)
def test_what_does_not_fit_is_refused(
    adapters: list[Adapter], datasets: list[Dataset], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        bom_of(RELEASE, BASE, adapters, datasets)
