"""Checks of runs and releases that a pack speaks of, each by its entry in the ledger.

Promises: a release is followed down to the snapshots: its signed statement, the run whose
adapters it is the mean of, the shards that they learned from, the entry of the snapshot; each
names the next by digest, and each was recorded after the one that it stands on. The bill of
materials is the one that follows from these. The weights themselves are not in a pack: whoever
has them compares them with `release.json`.

    releases/<index>/release.json     the entry names its digest
    releases/<index>/statement.json   signed; the entry names its digest
    runs/<index>/run.json             likewise
    runs/<index>/statement.json       likewise
    bom.cdx.json                      follows from release and entries
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sayso.attest.predicates import RELEASE, SNAPSHOT, TRAINING_RUN, anything
from sayso.attest.shape import Shape, fields, line, map_of, number, refuse, sha256, word
from sayso.attest.statements import Statement
from sayso.canonical import canonical_json, parse_canonical
from sayso.errors import IntegrityError
from sayso.evidence.bom import bom_bytes, bom_of_release
from sayso.evidence.case import Case
from sayso.evidence.checks import count, short
from sayso.evidence.checks_log import read_entry
from sayso.evidence.checks_statement import read_statement
from sayso.evidence.layout import BOM, ENTRIES, RELEASES, RUNS, matching


def _string(value: object, where: str) -> None:
    """Any text, also none."""
    if not isinstance(value, str):
        refuse(where, "text")


_BASE = fields({"name": line, "sha256": sha256, "exposure": word("none", "unknown")})
_LEARNED = fields(
    {
        "country": line, "number": number, "rows": number, "tokens": number, "steps": number,
        "root": sha256, "adapter": sha256, "environment": sha256,
    }
)  # fmt: skip
_RUN = fields(
    {
        "format": word("sayso/run/v1"), "purpose": line, "base": _BASE, "recipe": anything,
        "environments": map_of(map_of(_string)), "shards": map_of(_LEARNED),
    }
)  # fmt: skip
_RELEASE = fields(
    {
        "format": word("sayso/release/v1"), "purpose": line, "base": _BASE, "run": sha256,
        "merge": word("mean", "concatenation"), "rank": number, "adapters": map_of(sha256),
        "files": map_of(sha256),
    }
)  # fmt: skip
_SNAPSHOT = fields(
    {
        "manifest": sha256, "root": sha256, "purpose": line, "at": line, "known": number,
        "rulebook": sha256, "statement": sha256, "standing": sha256,
    }
)  # fmt: skip
_PINNED = ("purpose", "at", "known", "log", "rulebook", "versions", "inputs")


@dataclass(frozen=True, slots=True)
class _Shown:
    """A file with its entry and its statement, all of which agree on its digest."""

    index: int
    value: Mapping[str, Any]
    digest: str
    entry: Mapping[str, Any]
    statement: Statement
    who: str


def check_releases(case: Case) -> str:
    """Check every run and release that is shown by its entry."""
    snapshots: dict[str, Mapping[str, Any]] = {}
    for index, value in _entries(case, "snapshot").items():
        _SNAPSHOT(value["payload"], f"entries/{index}.json")
        snapshots[value["payload"]["manifest"]] = value
    runs = {one.digest: one for one in _all(case, "run")}
    for one in runs.values():
        _check_run(case, one, snapshots)
    releases = _all(case, "release")
    for one in releases:
        _check_release(case, one, runs)
    used = {one.value["run"] for one in releases}
    if odd := sorted(runs.keys() - used):
        raise IntegrityError(f"the run {short(odd[0])} belongs to no release that is here")
    _check_bom(case, releases, runs, snapshots)
    told = [_told(case, one, runs[one.value["run"]]) for one in releases]
    return " ".join(told)


def _entries(case: Case, kind: str) -> dict[int, dict[str, Any]]:
    """Return the public entries of one kind by their index."""
    found = {}
    for one in matching(case.files.names, ENTRIES):
        value = read_entry(case, one[0])
        if value["kind"] == kind:
            anything(value["payload"], one[0])
            found[value["index"]] = value
    return found


def _all(case: Case, what: str) -> list[_Shown]:
    """Return the runs or the releases of a pack, each the one that its entry names."""
    pattern, kind, shape, predicate = _KINDS[what]
    folder = f"{what}s"
    found = []
    for index in sorted({int(one["index"]) for one in matching(case.files.names, pattern)}):
        name = f"{folder}/{index}/{what}.json"
        raw = case.files.read(name)
        value: Any = parse_canonical(raw)
        shape(value, name)
        entry = read_entry(case, f"entries/{index}.json")
        anything(entry["payload"], f"entries/{index}.json")
        digest = hashlib.sha256(raw).hexdigest()
        if entry["kind"] != kind or entry["payload"].get(what) != digest:
            raise IntegrityError(f"'{name}' is not the one that its entry names", name=name)
        signed = f"{folder}/{index}/statement.json"
        statement, said, who = read_statement(case, signed)
        if statement.predicate_type != predicate or hashlib.sha256(said).hexdigest() != entry[
            "payload"
        ].get("statement"):
            raise IntegrityError(f"'{signed}' is not the one that its entry names", name=signed)
        found.append(_Shown(index, value, digest, entry, statement, who))
    return found


def _check_run(case: Case, run: _Shown, snapshots: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that a run's file, entry, statement and snapshot say the same."""
    value, predicate, payload = run.value, run.statement.predicate, run.entry["payload"]
    shards = value["shards"]
    files = {name: f"adapters/{name}/adapter.safetensors" for name in shards}
    expected = {
        "purpose": value["purpose"],
        "base": _base(value),
        "recipe": {"digest": {"sha256": _digest(value["recipe"])}},
        "seed": value["recipe"].get("seed"),
        "snapshot": {"digest": {"sha256": payload.get("snapshot")}},
        "shards": [
            {
                "name": name,
                "root": shards[name]["root"],
                "adapter": files[name],
                "environment": {"sha256": shards[name]["environment"]},
            }
            for name in sorted(shards)
        ],
        "environments": [
            {"digest": {"sha256": name}, "values": value["environments"][name]}
            for name in sorted(value["environments"])
        ],
    }
    _need_same(predicate, expected, f"the statement of run entry {run.index}")
    siblings = {one["name"]: one["digest"]["sha256"] for one in predicate["siblings"]}
    adapters = {name: one["adapter"] for name, one in shards.items()}
    if (
        siblings.get("run.json") != run.digest
        or run.statement.subjects != {files[name]: adapters[name] for name in shards}
        or payload.get("shards") != adapters
        or payload.get("purpose") != value["purpose"]
    ):
        raise IntegrityError(f"run entry {run.index} speaks of other adapters than its file")
    snapshot = snapshots.get(str(payload.get("snapshot")))
    if snapshot is None:
        raise IntegrityError(f"the snapshot that run entry {run.index} learned from is not here")
    _need_after(run.index, snapshot["index"])
    stated, _, _ = read_statement(case, f"snapshots/{snapshot['index']}/statement.json")
    if stated.predicate_type != SNAPSHOT:
        raise IntegrityError(f"snapshot entry {snapshot['index']} has no statement")
    pinned = {name: stated.predicate[name] for name in _PINNED}
    _need_same(predicate, pinned, f"the statement of run entry {run.index}")


def _check_release(case: Case, release: _Shown, runs: Mapping[str, _Shown]) -> None:
    """Check that a release's file, entry, statement and run say the same."""
    value, predicate, payload = release.value, release.statement.predicate, release.entry["payload"]
    run = runs.get(value["run"])
    if run is None:
        raise IntegrityError(f"the run of release entry {release.index} is not here")
    _need_after(release.index, run.index)
    for name, adapter in value["adapters"].items():
        if run.value["shards"].get(name, {}).get("adapter") != adapter:
            raise IntegrityError(f"the release holds an adapter of '{name}' that its run has not")
    named = {f"adapters/{name}/adapter.safetensors": one for name, one in value["adapters"].items()}
    expected = {
        "purpose": value["purpose"],
        "base": _base(value),
        "merge": value["merge"],
        "adapters": [{"name": name, "digest": {"sha256": named[name]}} for name in sorted(named)],
        "inputs": [{"name": "run.json", "digest": {"sha256": run.digest}}],
    }
    _need_same(predicate, expected, f"the statement of release entry {release.index}")
    subjects = {f"model/{name}": one for name, one in value["files"].items()}
    if (
        release.statement.subjects != subjects | {"release.json": release.digest}
        or payload.get("adapters") != value["adapters"]
        or payload.get("run") != value["run"]
        or value["base"] != run.value["base"]
        or value["purpose"] != run.value["purpose"]
    ):
        raise IntegrityError(f"release entry {release.index} speaks of another release")
    rulebook = predicate["rulebook"]["entry"]
    if rulebook not in _entries(case, "rulebook"):
        raise IntegrityError(f"the rulebook of entry {rulebook} is not here", index=rulebook)
    _need_after(release.index, rulebook)


def _check_bom(
    case: Case,
    releases: list[_Shown],
    runs: Mapping[str, _Shown],
    snapshots: Mapping[str, Mapping[str, Any]],
) -> None:
    """Check that the bill of materials is the one that follows from the rest."""
    if len(releases) != 1:
        raise IntegrityError(f"a pack of a release holds {len(releases)}", hint="ask for one each")
    (release,) = releases
    run = runs[release.value["run"]]
    snapshot = snapshots[str(run.entry["payload"]["snapshot"])]
    made = bom_of_release(
        release.value, release.digest, release.entry["recorded_us"], snapshot["payload"]
    )
    if case.files.read(BOM) != bom_bytes(made):
        raise IntegrityError("the bill of materials is that of another release", name=BOM)


def _told(case: Case, release: _Shown, run: _Shown) -> str:
    adapters = count(len(release.value["adapters"]), "adapter")
    became = [
        value["payload"].get("disposition")
        for _, value in sorted(_entries(case, "disposition").items())
        if value["payload"].get("release") == release.digest
    ]
    after = f" The last that the ledger says of it here: '{became[-1]}'." if became else ""
    return (
        f"The release {short(release.digest)} of entry {release.index} is a base and the mean of "
        f"{adapters}, signed by key {release.who}. Each learned from one shard of the snapshot "
        f"that run entry {run.index} names; base, recipe, shards and adapters are the same in the "
        f"files, in the signed statements and in the entries, and the bill of materials follows "
        f"from them.{after}"
    )


def _base(value: Mapping[str, Any]) -> dict[str, object]:
    base = value["base"]
    return {
        "name": base["name"], "digest": {"sha256": base["sha256"]}, "exposure": base["exposure"],
    }  # fmt: skip


def _digest(value: object) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _need_same(found: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    for name, value in expected.items():
        if found.get(name) != value:
            raise IntegrityError(f"{what} says another '{name}' than the files beside it")


def _need_after(index: int, before: int) -> None:
    if index <= before:
        raise IntegrityError(
            f"entry {index} is back-dated: it stands before entry {before}, on which it rests",
            index=index,
        )


_KINDS: Mapping[str, tuple[Any, str, Shape, str]] = {
    "run": (RUNS, "training-run", _RUN, TRAINING_RUN),
    "release": (RELEASES, "release", _RELEASE, RELEASE),
}
