"""A run and a release of the hand-made town, and the pack about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.statements import Base, Shard, release_statement, training_run_statement
from sayso.canonical import canonical_json
from sayso.evidence.bom import bom_bytes, bom_of_release
from sayso.log.proof_file import Proof
from sayso.log.proofs import inclusion_proof
from tests.unit.evidence.builders import (
    AT_US,
    ONE,
    POLICY,
    PURPOSE,
    RULEBOOK,
    TWO,
    Town,
    public_commitment,
    sha,
)
from tests.unit.log.trees import Defined

SHARD = "DE-0000-of-0001"
BASE = {"name": "small", "sha256": ONE, "exposure": "none"}
WEIGHTS = f"adapters/{SHARD}/adapter.safetensors"


def release_pack(town: Town, **changed: Any) -> dict[str, bytes]:
    """What is about a release of one adapter; `changed` before it is signed."""
    return Released(town, **changed).files()


@dataclass
class Released:
    """A run and a release of the town's snapshot, in a ledger that ends after them.

    Attributes:
        run, release: Keys of the files that are otherwise.
        run_entry, release_entry: Keys of the entries that are otherwise.
        order: Which of the two comes first.
        became: A disposition, if there is one.
    """

    town: Town
    run: Mapping[str, Any] = field(default_factory=dict)
    release: Mapping[str, Any] = field(default_factory=dict)
    run_entry: Mapping[str, Any] = field(default_factory=dict)
    release_entry: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, str] = ("training-run", "release")
    became: str = ""

    @cached_property
    def run_file(self) -> dict[str, Any]:
        learned = {
            "country": "DE", "number": 0, "rows": 6, "tokens": 60, "steps": 2, "root": TWO,
            "adapter": ONE, "environment": TWO,
        }  # fmt: skip
        value = {
            "format": "sayso/run/v1", "purpose": PURPOSE, "base": BASE,
            "recipe": {"shards": 1, "seed": 7}, "environments": {TWO: {"torch": "2"}},
            "shards": {SHARD: learned},
        }  # fmt: skip
        return {**value, **self.run}

    @cached_property
    def release_file(self) -> dict[str, Any]:
        value = {
            "format": "sayso/release/v1", "purpose": PURPOSE, "base": self.run_file["base"],
            "run": sha(canonical_json(self.run_file)), "merge": "mean", "rank": 8,
            "adapters": {SHARD: ONE}, "files": {"model.safetensors": TWO},
        }  # fmt: skip
        return {**value, **self.release}

    @cached_property
    def statements(self) -> tuple[bytes, bytes]:
        """Of the run and of the release, as an honest platform would sign them."""
        run, release = self.run_file, self.release_file
        base = Base("small", ONE, "none")
        siblings = {"run.json": sha(canonical_json(run)), "source.json": TWO}
        learned = training_run_statement(
            {WEIGHTS: ONE}, self.town.pins(siblings), snapshot=sha(self.town.manifest_bytes),
            base=base, recipe=sha(canonical_json(run["recipe"])), seed=7,
            shards=[Shard(SHARD, bytes.fromhex(TWO), WEIGHTS, TWO)],
            environments=run["environments"],
        )  # fmt: skip
        pins = replace(self.town.pins({}), inputs={"run.json": release["run"]})
        files = {f"model/{name}": one for name, one in release["files"].items()}
        released = release_statement(
            files | {"release.json": sha(canonical_json(release))}, pins, base=base,
            adapters=dict.fromkeys([WEIGHTS], release["adapters"][SHARD]), merge=release["merge"],
        )  # fmt: skip
        return learned, released

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        """The snapshot's entry and those after it, in the order of the ledger."""
        learned, released = self.statements
        digest = sha(canonical_json(self.release_file))
        payloads = {
            "training-run": {
                "run": sha(canonical_json(self.run_file)), "purpose": PURPOSE, "before": "",
                "snapshot": sha(self.town.manifest_bytes), "statement": sha(learned),
                "shards": {SHARD: ONE}, **self.run_entry,
            },
            "release": {
                "release": digest, "run": self.release_file["run"], "purpose": PURPOSE,
                "statement": sha(released), "adapters": self.release_file["adapters"],
                **self.release_entry,
            },
            "disposition": {"release": digest, "disposition": self.became},
        }  # fmt: skip
        kinds = [*self.order, *(["disposition"] if self.became else [])]
        first = self.town.snapshot_entry["index"] + 1
        told = [
            {"index": first + n, "kind": kind, "recorded_us": AT_US + n, "payload": payloads[kind]}
            for n, kind in enumerate(kinds)
        ]
        return [self.town.snapshot_entry, *told]

    def files(self) -> dict[str, bytes]:
        town = self.town
        by_kind = {one["kind"]: one["index"] for one in self.entries}
        snapshot, own, run = by_kind["snapshot"], by_kind["release"], by_kind["training-run"]
        learned, released = self.statements

        def signed(raw: bytes) -> bytes:
            return sign(STATEMENT_TYPE, raw, town.key).to_bytes()

        recorded_us = self.entries[own - snapshot]["recorded_us"]
        payload = town.snapshot_entry["payload"]
        digest = sha(canonical_json(self.release_file))
        return {
            "report.html": b"<p>",
            "evidence/policy": POLICY,
            "evidence/attest.pem": town.key.public.to_pem(),
            f"snapshots/{snapshot}/statement.json": signed(town.statements[0]),
            f"snapshots/{snapshot}/manifest.json": town.manifest_bytes,
            f"runs/{run}/run.json": canonical_json(self.run_file),
            f"runs/{run}/statement.json": signed(learned),
            f"releases/{own}/release.json": canonical_json(self.release_file),
            f"releases/{own}/statement.json": signed(released),
            "bom.cdx.json": bom_bytes(
                bom_of_release(self.release_file, digest, recorded_us, payload)
            ),
            **self._proved(),
        }

    def _proved(self) -> dict[str, bytes]:
        """The entries with their proofs, and the checkpoint."""
        made = [
            public_commitment(one["kind"], one["recorded_us"], one["payload"])
            for one in self.entries
        ]
        log = [*self.town.commitments, *made]
        tree, note = Defined(log), self.town.note(len(log), log=log)
        files = {"log/checkpoint": note}
        first = {"index": 0, "kind": "rulebook", "recorded_us": AT_US - 9, "payload": RULEBOOK}
        for one in (first, *self.entries):
            path = tuple(inclusion_proof(one["index"], len(log), tree.node))
            files[f"entries/{one['index']}.json"] = canonical_json(one)
            files[f"proofs/{one['index']}.tlog-proof"] = Proof(one["index"], path, note).to_bytes()
        return files
