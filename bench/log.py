"""The log: integration against bare hashing, proofs per second, and the standing commitment."""

import hashlib
import os
import statistics
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from bench.measure import Report, ratio, seconds
from sayso.ledger import Ledger, open_ledger, schema
from sayso.ledger.integrate import integrate
from sayso.log import (
    SignerKey,
    TileReader,
    folder_fetch,
    leaf_hash,
    parse_policy,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from sayso.model import REASONS
from sayso.opening import FOLDERS
from sayso.snapshot.standing import commit_standings, standing_bytes, tag_bytes

SIGNER = SignerKey.from_seed("example.org/bench", bytes(32))
POLICY = parse_policy(f"log {SIGNER.verifier().to_text()}\nquorum none\n".encode())
PROOFS = 20_000


def run(report: Report, folder: Path, rows: int, members: int, runs: int) -> None:
    """Measure the bars of the log."""
    # Left for `make clean`: ext4 passes over inodes that were deleted in the last five minutes one
    # by one, so that after deleting ten thousand files each new one costs a hundred times more.
    work = Path(mkdtemp(prefix="log-", dir=folder))
    last = _integrate(report, work, rows, runs)
    _proofs(report, last, rows)
    _one_more(report, last, rows)
    last.close()
    _standings(report, work, members, min(runs, 3))


def _filled(folder: Path, commitments: bytes) -> Ledger:
    """Return a ledger of one bulk segment, in an order that is not that of its entries."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", folder)
    rows = len(commitments) // 32
    order = np.random.default_rng(3).permutation(rows).astype(np.int32)
    joined = np.frombuffer(commitments, np.uint8).reshape(-1, 32)[order].tobytes()
    offsets = np.arange(0, len(joined) + 1, 32, dtype=np.int32)
    column = pa.BinaryArray.from_buffers(
        pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(joined)]
    )
    table = pa.table({"ordinal": pa.array(order), "commitment": column})
    pq.write_table(table, folder / "segments" / "choices-0.parquet", row_group_size=122_880)
    with ledger.writing() as con:
        con.execute(
            sa.insert(schema.segment).values(
                first=ledger.reserve(con, rows), span=rows, rows=rows, kind="choices",
                name="choices-0.parquet", sha256="", source="bench", recorded_us=0,
            )
        )  # fmt: skip
    return ledger


def _integrate(report: Report, work: Path, rows: int, runs: int) -> Ledger:
    commitments = os.urandom(32 * rows)
    leaves = [b"\0" + commitments[at : at + 32] for at in range(0, len(commitments), 32)]
    node = b"\1" + bytes(64)
    ledgers = iter([_filled(work / f"ledger-{number}", commitments) for number in range(runs)])
    os.sync()
    last: list[Ledger] = []

    def floor() -> None:
        sha256 = hashlib.sha256
        for leaf in leaves:
            sha256(leaf).digest()

    def ours() -> None:
        last.append(next(ledgers))
        assert integrate(last[-1], SIGNER, POLICY).size == rows

    value, took, bare = ratio(ours, floor, runs)
    for ledger in last[:-1]:
        ledger.close()
    sha256 = hashlib.sha256
    nodes = statistics.median(
        seconds(lambda: [sha256(node).digest() for _ in range(rows)]) for _ in range(3)
    )
    report.add(f"integrate {rows / 1e6:g} M entries, hashed twice, over bare hashlib", value, "x", at_most=3.0,
               detail=f"{took:.2f} s / {bare:.2f} s")  # fmt: skip
    report.add("  the same over bare hashlib of leaves and nodes", took / (bare + nodes), "x",
               detail=f"{bare + nodes:.2f} s")  # fmt: skip
    return last[-1]


def _one_more(report: Report, ledger: Ledger, rows: int) -> None:
    """From one append to the checkpoint that has it, in a log that is long already."""

    def append() -> None:
        index = ledger.append_public("note", {}, 0).index
        assert integrate(ledger, SIGNER, POLICY).size == index + 1

    took = statistics.median(seconds(append) for _ in range(20))
    report.add(f"an append to its checkpoint, in a log of {rows / 1e6:g} M", took * 1e3, "ms",
               at_most=1000.0)  # fmt: skip


def _proofs(report: Report, ledger: Ledger, rows: int) -> None:
    fetch = folder_fetch(ledger.folder / "log")
    dice = np.random.default_rng(4)
    places = [int(one) for one in dice.integers(0, rows, PROOFS)]
    reader = TileReader(fetch, rows)
    root = reader.root()
    leaves = [leaf_hash(reader.entry(place)) for place in sorted(places)]
    places.sort()
    made: dict[str, Any] = {}

    def prove() -> None:
        fresh = TileReader(fetch, rows)
        made["proofs"] = [fresh.inclusion_proof(place) for place in places]

    def verify() -> None:
        for place, leaf, proof in zip(places, leaves, made["proofs"], strict=True):
            verify_inclusion(leaf, place, rows, proof, root)

    for name, work in (("made from tiles, in order", prove), ("verified", verify)):
        took = statistics.median(seconds(work) for _ in range(3))
        report.add(f"inclusion proofs {name}, per second", PROOFS / took / 1e3, "k/s")
    scattered = [int(one) for one in dice.permutation(places)[:2000]]
    fresh = TileReader(fetch, rows)
    took = seconds(lambda: [fresh.inclusion_proof(place) for place in scattered])
    report.add("inclusion proofs made at random places, per second", 2 / took, "k/s")
    olds = [place + 1 for place in places[:: PROOFS // 500]]
    took = seconds(lambda: made.update(grown=[reader.consistency_proof(old) for old in olds]))
    report.add("consistency proofs made, per second", len(olds) / took / 1e3, "k/s")
    grown = [
        (old, root_at(old, reader.node), proof)
        for old, proof in zip(olds, made["grown"], strict=True)
    ]

    def verify_grown() -> None:
        for old, was, proof in grown:
            verify_consistency(old, was, rows, root, proof)

    took = seconds(verify_grown)
    report.add("consistency proofs verified, per second", len(olds) / took / 1e3, "k/s")


def _standings(report: Report, work: Path, members: int, runs: int) -> None:
    dice = np.random.default_rng(5)
    keys = dice.integers(0, 256, (members, 32), np.uint8)
    codes = dice.integers(0, 40, members).astype(np.int32)
    standings = [standing_bytes(f"C{code}", code % (1 << len(REASONS))) for code in range(40)]
    question = tag_bytes("content-generation-training", "2025-11-10T00:00:00Z", 1)
    # As many messages of the same lengths: tags, digests, leaves, nodes.
    sizes = (32 + len(question), 32 + len(standings[0]), 65, 65)
    bare = SimpleNamespace(messages=[bytes(size) for size in sizes])

    def floor() -> None:
        sha256 = hashlib.sha256
        for message in bare.messages:
            for _ in range(members):
                sha256(message).digest()

    value, took, plain = ratio(
        lambda: commit_standings(keys, codes, standings, question, work / "standings.bin"),
        floor,
        runs,
    )
    report.add(f"standing commitment of {members / 1e6:g} M members over as many bare hashes",
               value, "x", detail=f"{took:.1f} s / {plain:.1f} s")  # fmt: skip
