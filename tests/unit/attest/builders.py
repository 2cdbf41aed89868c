"""Keys, pins and one statement of each type."""

from datetime import UTC, datetime, timedelta

from sayso.attest.keys import SigningKey
from sayso.attest.predicates import (
    ERASURE,
    HANDOVER,
    PACK,
    PROVENANCE,
    RELEASE,
    RETENTION,
    SNAPSHOT,
    TRAINING_RUN,
)
from sayso.attest.statements import (
    Base,
    Builder,
    Pins,
    Rewritten,
    Shard,
    StandingRoot,
    erasure_statement,
    pack_statement,
    provenance,
    release_statement,
    retention_statement,
    snapshot_statement,
    statement,
    training_run_statement,
)
from sayso.log.checkpoint import Checkpoint

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(reversed(range(32))))
AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
ZERO, ONE, TWO = "00" * 32, "11" * 32, "22" * 32

PINS = Pins(
    purpose="content-generation-training",
    at=AT,
    known=7,
    log=Checkpoint("example.org/log", 8, bytes(32)),
    rulebook=ONE,
    rulebook_entry=0,
    semantics=1,
    tzdata="2026f",
    inputs={"members": TWO, "content": ONE},
    siblings={"provenance": TWO},
)
BASE = Base("base-1", ONE, "none")
SHARD = Shard("HK-000", bytes(32), "adapters/HK-000.safetensors", TWO)
ENVIRONMENTS = {TWO: {"torch": "1", "device": "cpu"}}

STATEMENTS = {
    SNAPSHOT: snapshot_statement(ZERO, PINS, StandingRoot(bytes(32), 5)),
    TRAINING_RUN: training_run_statement(
        {SHARD.adapter: TWO},
        PINS,
        snapshot=ZERO,
        base=BASE,
        recipe=ONE,
        seed=7,
        shards=[SHARD],
        environments=ENVIRONMENTS,
    ),
    RELEASE: release_statement(
        {"model.safetensors": ZERO}, PINS, base=BASE, adapters={SHARD.adapter: TWO}, merge="mean"
    ),
    ERASURE: erasure_statement(
        ZERO,
        PINS,
        entry=6,
        files=[
            Rewritten("records/bucket-0007.parquet", ONE, TWO),
            Rewritten("records/bucket-0003.parquet", ONE, None),
        ],
    ),
    RETENTION: retention_statement(
        ZERO, PINS, deleted_us=1_800_000_000_000_000, keep="30 days", reason="audits\nof a month"
    ),
    HANDOVER: statement(
        {"attest.pem": TWO}, HANDOVER, {"old": {"sha256": ONE}, "new": {"sha256": TWO}}
    ),
    PACK: pack_statement(ZERO, "member", 1_800_000_000_000_000),
    PROVENANCE: provenance(
        {"manifest.json": ZERO},
        PINS,
        Builder("builder", {"sayso": "0.1.0"}, "run-1", AT, AT + timedelta(seconds=9)),
    ),
}
