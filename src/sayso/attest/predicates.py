"""Predicates: the types of statement that we make, and what each holds.

Promises: one shape for each type, total over any JSON value; a predicate that passes also
agrees with itself. Needs only the standard library. `docs/schemas/` says the same as JSON
schemas, and the tests hold the two together.

A predicate type is a name and not an address: nothing need answer at `sayso.example`.

Example:
    >>> check_predicate("https://example.org/other/v1", {}, {})
    Traceback (most recent call last):
    sayso.errors.InputError: a predicate of type 'https://example.org/other/v1'; ...
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sayso.attest.shape import (
    Shape,
    either,
    fields,
    instant,
    line,
    list_of,
    map_of,
    number,
    refuse,
    sha256,
    text,
    word,
)
from sayso.errors import InputError, IntegrityError

NAMESPACE = "https://sayso.example/"
SNAPSHOT = f"{NAMESPACE}snapshot/v1"
TRAINING_RUN = f"{NAMESPACE}training-run/v1"
RELEASE = f"{NAMESPACE}release/v1"
ERASURE = f"{NAMESPACE}erasure/v1"
RETENTION = f"{NAMESPACE}retention/v1"
PACK = f"{NAMESPACE}pack/v1"
HANDOVER = f"{NAMESPACE}handover/v1"
PACK_KINDS = ("snapshot", "member", "hold", "period", "release")
# Source: SLSA v1.0, provenance.
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = f"{NAMESPACE}snapshot-build/v1"


def check_predicate(kind: str, predicate: object, subjects: Mapping[str, str]) -> None:
    """Return where a predicate is what its type says.

    Args:
        kind: The predicate type.
        predicate: Any JSON value.
        subjects: What the statement is about: name -> SHA-256 in hex.

    Raises:
        InputError: There is no such type, or the predicate has another shape.
        IntegrityError: The predicate disagrees with itself or with the subjects.
    """
    if kind not in PREDICATES:
        hint = f"expected one of {', '.join(PREDICATES)}"
        raise InputError(f"a predicate of type {kind[:200]!r}", hint=hint)
    PREDICATES[kind](predicate, "statement.predicate")
    checked: Any = predicate
    if (
        kind not in {PROVENANCE, PACK, HANDOVER}
        and not checked["rulebook"]["entry"] < checked["known"] <= (checked["log"]["size"])
    ):
        raise IntegrityError("the statement's checkpoint does not cover what it depends on")
    for where in ("inputs", "siblings", "adapters", "shards", "files"):
        check_order(checked.get(where, ()), where)
    if kind == TRAINING_RUN:
        # One adapter that learned from several shards could not let go of one.
        if sorted(one["adapter"] for one in checked["shards"]) != sorted(subjects):
            raise IntegrityError("the statement's adapters and shards are not one to one")
        used = {one["environment"]["sha256"] for one in checked["shards"]}
        if sorted(used) != [one["digest"]["sha256"] for one in checked["environments"]]:
            raise IntegrityError("the statement's environments are not those of its shards")
    elif kind == ERASURE and any(one["before"] == one["after"] for one in checked["files"]):
        raise IntegrityError("the statement names a file that did not change")


def check_order(named: Sequence[Any], where: str) -> None:
    """Return where every name stands once and in order.

    Raises:
        IntegrityError: One stands twice, or out of order.
    """
    names = [one["name"] for one in named]
    if names != sorted(set(names)):
        raise IntegrityError(f"the statement's {where} name one twice, or out of order")


_DIGEST = fields({"sha256": sha256})
NAMED = fields({"name": line, "digest": _DIGEST})
_LOG = fields({"origin": line, "size": number, "root": sha256})
_BASE = fields({"name": line, "digest": _DIGEST, "exposure": word("none", "unknown")})
_PINS: Mapping[str, Shape] = {
    "purpose": line,
    "at": instant,
    "known": number,
    "log": _LOG,
    "rulebook": fields({"digest": _DIGEST, "entry": number}),
    "versions": fields({"semantics": number, "tzdata": line}),
    "inputs": list_of(NAMED),
    "siblings": list_of(NAMED),
}


def anything(value: object, where: str) -> None:
    """Any keys with any values."""
    if not isinstance(value, dict):
        refuse(where, "keys with values")


# Predicate type -> what its predicate holds. docs/schemas says the same as JSON schemas.
PREDICATES: Mapping[str, Shape] = {
    SNAPSHOT: fields(
        {**_PINS, "standing": fields({"root": sha256, "rows": number}, optional={"rows"})},
        optional={"standing"},
    ),
    TRAINING_RUN: fields(
        {
            **_PINS,
            "snapshot": fields({"digest": _DIGEST}),
            "base": _BASE,
            "recipe": fields({"digest": _DIGEST}),
            "seed": number,
            "shards": list_of(
                fields({"name": line, "root": sha256, "adapter": line, "environment": _DIGEST}),
                least=1,
            ),
            "environments": list_of(fields({"digest": _DIGEST, "values": map_of(line)}), least=1),
        }
    ),
    RELEASE: fields(
        {
            **_PINS,
            "base": _BASE,
            "adapters": list_of(NAMED, least=1),
            "merge": word("mean", "concatenation"),
        }
    ),
    ERASURE: fields(
        {
            **_PINS,
            "entry": number,
            "files": list_of(
                fields({"name": line, "before": _DIGEST, "after": either(_DIGEST)}), least=1
            ),
        }
    ),
    RETENTION: fields({**_PINS, "deleted_us": number, "keep": line, "reason": text}),
    HANDOVER: fields({"old": _DIGEST, "new": _DIGEST}),
    PACK: fields({"kind": word(*PACK_KINDS), "created_us": number}),
    PROVENANCE: fields(
        {
            "buildDefinition": fields(
                {
                    "buildType": word(BUILD_TYPE),
                    "externalParameters": fields({"purpose": line, "at": instant, "known": number}),
                    "resolvedDependencies": list_of(
                        fields(
                            {"name": line, "digest": _DIGEST, "annotations": anything},
                            optional={"annotations"},
                        ),
                        least=2,
                    ),
                }
            ),
            "runDetails": fields(
                {
                    "builder": fields({"id": line, "version": map_of(line)}),
                    "metadata": fields(
                        {"invocationId": line, "startedOn": instant, "finishedOn": instant}
                    ),
                }
            ),
        }
    ),
}
