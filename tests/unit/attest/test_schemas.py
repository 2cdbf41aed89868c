"""docs/schemas says what the parsers say; strangers read the one, the verifier runs the other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from sayso.attest.predicates import NAMESPACE, PREDICATES, PROVENANCE
from sayso.attest.receipts import parse_receipt
from sayso.attest.statements import parse_statement
from sayso.canonical import canonical_json
from sayso.errors import InputError, IntegrityError
from tests.unit.attest.builders import STATEMENTS
from tests.unit.attest.test_issue import RECEIPTS

FOLDER = Path(__file__).parents[3] / "docs" / "schemas"
SCHEMAS: dict[str, Any] = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.schema.json"))
}
NAMES = {
    kind: kind.removeprefix(NAMESPACE).replace("/", "-")
    for kind in PREDICATES
    if kind != PROVENANCE
}
# Values that some field takes and others do not.
VALUES: tuple[object, ...] = (
    ..., None, True, -1, 1, "", "x", "a\tb", [], {}, ["x"], [{}], "0f" * 32, "0F" * 32,
    "2026-01-15T12:00:00Z", "2026-01-15", "mean", "unknown", {"sha256": "0f" * 32},
)  # fmt: skip


def checker(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(SCHEMAS[name])


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value inside."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for key, one in inner:
        yield (*at, key)
        yield from places(one, (*at, key))


def replaced(value: Any, place: tuple[str | int, ...], to: object) -> Any:
    """Return a copy with one value replaced, or removed by `...`."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    if to is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = to
    return copy


def variants(value: Any) -> Iterator[Any]:
    """Yield a value with each of its parts replaced by each of `VALUES`, and with one more."""
    for place in list(places(value)):
        for to in VALUES:
            yield replaced(value, place, to)
        yield replaced(value, (*place[:-1], "extra"), 1) if isinstance(place[-1], str) else value


def takes(raw: bytes, parse: Any) -> bool:
    """Whether the shape is taken; what disagrees with itself has its shape."""
    try:
        parse(raw)
    except IntegrityError:
        return True
    except InputError:
        return False
    return True


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_says_what_it_is(name: str) -> None:
    schema = SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(f"/{name}.schema.json")
    assert schema["title"]
    assert schema["description"]


def test_there_is_one_for_each_of_ours_and_one_for_receipts() -> None:
    assert set(SCHEMAS) == {*NAMES.values(), "receipt-v1"}
    for kind, name in NAMES.items():
        assert SCHEMAS[name]["title"] == f"Predicate {kind}"


def test_definitions_of_one_name_are_one() -> None:
    found: dict[str, Any] = {}
    for schema in SCHEMAS.values():
        for name, definition in schema["$defs"].items():
            assert found.setdefault(name, definition) == definition


@pytest.mark.parametrize("kind", NAMES)
def test_a_statement_fits_its_schema_and_no_other(kind: str) -> None:
    predicate = json.loads(STATEMENTS[kind])["predicate"]
    assert [name for name in SCHEMAS if checker(name).is_valid(predicate)] == [NAMES[kind]]


@pytest.mark.parametrize("kind", NAMES)
def test_schema_and_parser_refuse_the_same_predicates(kind: str) -> None:
    value, schema = json.loads(STATEMENTS[kind]), checker(NAMES[kind])
    for predicate in variants(value["predicate"]):
        raw = canonical_json({**value, "predicate": predicate})
        assert takes(raw, parse_statement) == schema.is_valid(predicate), predicate


def test_receipts_fit_their_schema() -> None:
    for name, receipt in RECEIPTS.items():
        checker("receipt-v1").validate(json.loads(receipt.to_bytes())), name


def test_schema_and_parser_refuse_the_same_receipts() -> None:
    schema = checker("receipt-v1")
    value = json.loads(RECEIPTS["objection"].to_bytes())
    # One of each list is enough; a receipt repeats itself.
    value["purposes"][0]["pii_information"] = value["purposes"][0]["pii_information"][:1]
    for one in (*value["purposes"], *value["purposes"][0]["rules"]):
        one["sources"] = dict(list(one["sources"].items())[:1])
    assert takes(canonical_json(value), parse_receipt)
    for variant in variants(value):
        if variant.get("proof") is None:  # a proof has a format of its own
            taken = takes(canonical_json(variant), parse_receipt)
            assert taken == schema.is_valid(variant), variant
