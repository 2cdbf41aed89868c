"""Statements: there and back, pinned to what they depend on, and strict."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.predicates import (
    ERASURE,
    HANDOVER,
    PACK,
    PREDICATES,
    PROVENANCE,
    RELEASE,
    SNAPSHOT,
    TRAINING_RUN,
    check_predicate,
)
from sayso.attest.statements import (
    Base,
    Rewritten,
    Shard,
    erasure_statement,
    parse_statement,
    snapshot_statement,
    statement,
    training_run_statement,
    verify_statement,
)
from sayso.canonical import canonical_json
from sayso.errors import InputError, IntegrityError
from sayso.log.checkpoint import Checkpoint
from tests.unit.attest.builders import (
    BASE,
    ENVIRONMENTS,
    KEY,
    ONE,
    OTHER,
    PINS,
    SHARD,
    STATEMENTS,
    TWO,
    ZERO,
)

OWN = [kind for kind in PREDICATES if kind not in {PROVENANCE, PACK, HANDOVER}]


def changed(kind: str, change: Callable[[Any], Any]) -> bytes:
    value = json.loads(STATEMENTS[kind])
    change(value)
    return canonical_json(value)


@pytest.mark.parametrize("kind", PREDICATES)
def test_there_and_back(kind: str) -> None:
    raw = STATEMENTS[kind]
    found = parse_statement(raw)
    assert found.predicate_type == kind
    assert found.to_bytes() == raw
    assert statement(found.subjects, kind, found.predicate) == raw
    assert parse_statement(found.to_bytes()).digest == found.digest
    assert verify_statement(sign(STATEMENT_TYPE, raw, KEY).to_bytes(), [KEY.public]) == found


def test_each_type_has_an_example() -> None:
    assert STATEMENTS.keys() == PREDICATES.keys()


@pytest.mark.parametrize("kind", OWN)
def test_our_own_are_pinned(kind: str) -> None:
    predicate = parse_statement(STATEMENTS[kind]).predicate
    assert predicate["log"] == {"origin": "example.org/log", "size": 8, "root": ZERO}
    assert predicate["rulebook"] == {"digest": {"sha256": ONE}, "entry": 0}
    assert predicate["versions"] == {"semantics": 1, "tzdata": "2026f"}
    assert (predicate["at"], predicate["known"]) == ("2026-01-15T12:00:00Z", 7)
    assert [one["name"] for one in predicate["inputs"]] == ["content", "members"]
    assert predicate["siblings"] == [{"name": "provenance", "digest": {"sha256": TWO}}]


@pytest.mark.parametrize("kind", PREDICATES)
def test_no_counts_stand_in_a_statement(kind: str) -> None:
    assert not {"records_in", "admitted", "refused", "by_country", "counts"} & set(
        json.dumps(json.loads(STATEMENTS[kind])).replace('"', " ").split()
    )


def test_slsa_names_what_was_read() -> None:
    found = parse_statement(STATEMENTS[PROVENANCE]).predicate
    definition = found["buildDefinition"]
    assert definition["externalParameters"] == {
        "purpose": PINS.purpose, "at": "2026-01-15T12:00:00Z", "known": 7,
    }  # fmt: skip
    assert [one["name"] for one in definition["resolvedDependencies"]] == [
        "checkpoint", "rulebook", "content", "members",
    ]  # fmt: skip
    assert definition["resolvedDependencies"][0]["digest"]["sha256"] == (
        # printf 'example.org/log\n8\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n' | sha256sum
        "007aef1793bfd97e737a99f765a9c398e197f01aa1a34de06722cd42b0150b53"
    )
    assert found["runDetails"]["metadata"]["finishedOn"] == "2026-01-15T12:00:09Z"
    assert found["runDetails"]["builder"]["id"] == "https://sayso.example/builder"


def test_a_standing_may_be_left_out() -> None:
    bare = parse_statement(snapshot_statement(ZERO, PINS)).predicate
    assert "standing" not in bare


@pytest.mark.parametrize("kind", PREDICATES)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda v: v.update(extra=1), "statement.extra"),
        (lambda v: v.pop("subject"), "statement.subject"),
        (lambda v: v.update(subject=[]), "statement.subject"),
        (lambda v: v.update(_type="https://in-toto.io/Statement/v0.1"), "statement._type"),
        (lambda v: v.update(predicate=[]), "statement.predicate"),
        (lambda v: v["predicate"].update(counts=1), "statement.predicate.counts"),
        (lambda v: v["subject"][0]["digest"].update(sha256=ONE[1:]), "subject.0.digest.sha256"),
        (lambda v: v["subject"][0]["digest"].update(sha256="AB" * 32), "subject.0.digest.sha256"),
        (lambda v: v["subject"][0]["digest"].update(sha1="ab"), "subject.0.digest.sha1"),
        (lambda v: v["subject"][0].update(name="a\nb"), "subject.0.name"),
        (lambda v: v.update(predicateType="https://example.org/x"), "of type 'https://example.org"),
        (lambda v: v.update(predicateType=None), "statement.predicateType"),
    ],
)  # fmt: skip
def test_what_is_no_statement(kind: str, change: Callable[[Any], Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_statement(changed(kind, change))


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: p.pop("log"), "predicate.log"),
        (lambda p: p.update(at="2026-01-15T12:00:00"), "predicate.at"),
        (lambda p: p.update(at="2026-01-15T13:00:00+01:00"), "predicate.at"),
        (lambda p: p.update(at="2026-02-30T12:00:00Z"), "predicate.at"),
        (lambda p: p.update(at="2026-01-15T12:00:00.5Z"), "predicate.at"),
        (lambda p: p.update(at=1), "predicate.at"),
        (lambda p: p.update(known=-1), "predicate.known"),
        (lambda p: p.update(known=True), "predicate.known"),
        (lambda p: p.update(known="7"), "predicate.known"),
        (lambda p: p["log"].update(root=None), "predicate.log.root"),
        (lambda p: p["versions"].pop("tzdata"), "predicate.versions.tzdata"),
        (lambda p: p["rulebook"].update(digest=ONE), "predicate.rulebook.digest"),
        (lambda p: p.update(inputs={}), "predicate.inputs"),
        (lambda p: p["inputs"][0].update(rows=5), "predicate.inputs.0.rows"),
    ],
)  # fmt: skip
def test_what_is_no_predicate(kind: str, change: Callable[[Any], Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_statement(changed(kind, lambda value: change(value["predicate"])))


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["log"].update(size=6), lambda p: p["rulebook"].update(entry=7),
        lambda p: p["inputs"].reverse(), lambda p: p.update(inputs=p["inputs"][:1] * 2),
        lambda p: p.update(siblings=p["siblings"] * 2),
    ],
)  # fmt: skip
def test_a_predicate_that_disagrees_with_itself(kind: str, change: Callable[[Any], Any]) -> None:
    with pytest.raises(IntegrityError):
        parse_statement(changed(kind, lambda value: change(value["predicate"])))


@pytest.mark.parametrize("names", ["ba", "aa"])
def test_subjects_stand_once_and_in_order(names: str) -> None:
    value = json.loads(STATEMENTS[SNAPSHOT])
    value["subject"] = [{"name": name, "digest": {"sha256": ZERO}} for name in names]
    with pytest.raises(IntegrityError, match="subjects name one twice, or out of order"):
        parse_statement(canonical_json(value))


@pytest.mark.parametrize(
    "shards",
    [
        [SHARD, replace(SHARD, name="HK-001")], [replace(SHARD, adapter="another")],
        [SHARD, SHARD],
    ],
)  # fmt: skip
def test_an_adapter_learned_from_one_shard(shards: list[Shard]) -> None:
    with pytest.raises(IntegrityError):
        training_run_statement(
            {SHARD.adapter: TWO}, PINS, snapshot=ZERO, base=BASE, recipe=ONE, seed=7,
            shards=shards, environments=ENVIRONMENTS,
        )  # fmt: skip


@pytest.mark.parametrize("told", [{}, {ONE: {"torch": "1"}}, {**ENVIRONMENTS, ONE: {"a": "b"}}])
def test_the_environments_are_those_of_the_shards(told: dict[str, dict[str, str]]) -> None:
    with pytest.raises((InputError, IntegrityError)):
        training_run_statement(
            {SHARD.adapter: TWO}, PINS, snapshot=ZERO, base=BASE, recipe=ONE, seed=7,
            shards=[SHARD], environments=told,
        )  # fmt: skip


def test_what_did_not_change_was_not_rewritten() -> None:
    with pytest.raises(IntegrityError, match="did not change"):
        erasure_statement(ZERO, PINS, entry=6, files=[Rewritten("a", ONE, ONE)])
    twice = [Rewritten("a", ONE, TWO), Rewritten("a", TWO, ONE)]
    with pytest.raises(IntegrityError, match="one twice"):
        erasure_statement(ZERO, PINS, entry=6, files=twice)


@pytest.mark.parametrize(
    "build",
    [
        lambda: statement({}, SNAPSHOT, PINS.to_json()),
        lambda: statement({"a": "b"}, SNAPSHOT, PINS.to_json()),
        lambda: statement({"a": ZERO}, SNAPSHOT, {"x": float("nan")}),
        lambda: statement({"a": ZERO}, SNAPSHOT, {"x": object()}),
        lambda: statement({"\ud800": ZERO}, SNAPSHOT, PINS.to_json()),
        lambda: snapshot_statement("short", PINS),
        lambda: snapshot_statement(ZERO, replace(PINS, purpose="")),
        lambda: snapshot_statement(ZERO, replace(PINS, log=Checkpoint("x", 8, bytes(31)))),
        lambda: erasure_statement(ZERO, PINS, entry=6, files=[]),
        lambda: training_run_statement(
            {SHARD.adapter: TWO}, PINS, snapshot=ZERO, base=Base("b", ONE, "some"), recipe=ONE,
            seed=7, shards=[SHARD], environments=ENVIRONMENTS,
        ),
    ],
)  # fmt: skip
def test_nothing_is_built_that_could_not_be_read(build: Callable[[], bytes]) -> None:
    with pytest.raises(InputError):
        build()


def test_another_key_or_payload_is_no_statement() -> None:
    raw = STATEMENTS[RELEASE]
    with pytest.raises(IntegrityError, match="none of the given keys"):
        verify_statement(sign(STATEMENT_TYPE, raw, KEY).to_bytes(), [OTHER.public])
    with pytest.raises(InputError, match="an envelope of type"):
        verify_statement(sign("text/plain", raw, KEY).to_bytes(), [KEY.public])
    with pytest.raises(InputError, match="not JSON"):
        verify_statement(sign(STATEMENT_TYPE, b"", KEY).to_bytes(), [KEY.public])


def test_a_statement_of_one_type_is_none_of_another() -> None:
    for kind in PREDICATES:
        for other in PREDICATES:
            predicate = parse_statement(STATEMENTS[other]).predicate
            subjects = parse_statement(STATEMENTS[other]).subjects
            if kind == other:
                check_predicate(kind, predicate, subjects)
            else:
                with pytest.raises(InputError):
                    check_predicate(kind, predicate, subjects)


def test_the_procedure_of_the_page_runs(tmp_path: Path) -> None:
    if missing := [tool for tool in ("jq", "base64", "openssl", "bash") if not shutil.which(tool)]:
        pytest.skip(f"NO {', '.join(missing)} HERE: docs/schemas/README.md was not run")
    page = (Path(__file__).parents[3] / "docs" / "schemas" / "README.md").read_text()
    script = "\n".join(re.findall(r"^    (.+)$", page, re.MULTILINE))
    (tmp_path / "key.pem").write_bytes(KEY.public.to_pem())
    envelope = sign(STATEMENT_TYPE, STATEMENTS[SNAPSHOT], KEY).to_bytes()
    for signed, shown in ((envelope, "Successfully"), (envelope.replace(b"ew", b"eg", 1), "Fail")):
        (tmp_path / "statement.json").write_bytes(signed)
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert shown in done.stdout + done.stderr


def test_the_kinds_keep_their_names() -> None:
    assert [SNAPSHOT, TRAINING_RUN, RELEASE, ERASURE, PACK, PROVENANCE] == [
        "https://sayso.example/snapshot/v1",
        "https://sayso.example/training-run/v1",
        "https://sayso.example/release/v1",
        "https://sayso.example/erasure/v1",
        "https://sayso.example/pack/v1",
        "https://slsa.dev/provenance/v1",
    ]


def test_an_instant_without_a_zone_is_not_guessed() -> None:
    with pytest.raises(InputError, match="without a zone"):
        snapshot_statement(ZERO, replace(PINS, at=PINS.at.replace(tzinfo=None)))
