"""The ledger: bulk ingest against bare hashing, and the fold against arg_max."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.measure import Report, ratio
from sayso.ledger.entries import canonical_choice
from sayso.ledger.fold import fold_choices
from sayso.opening import init_workspace
from sayso.tables import connect, quoted

PURPOSE = "content-generation-training"


def clock() -> datetime:
    """Return a fixed present."""
    return datetime(2025, 12, 1, tzinfo=UTC)


def ingest(report: Report, folder: Path, rows: int, runs: int) -> None:
    """Measure bulk ingest of choices, keys of new members included."""
    members = rows // 3
    path = folder / f"choices-{rows}.parquet"
    if not path.exists():
        with connect() as con:
            con.execute(
                f"""COPY (SELECT 'm' || (hash(i) % {members}) AS member_id, '{PURPOSE}' AS purpose,
                CASE (hash(i + 1) % 7)::INTEGER WHEN 0 THEN 'off' WHEN 1 THEN 'deferred' ELSE 'on' END AS choice,
                TIMESTAMP '2024-01-01' + INTERVAL (i % 50000000) SECOND AS effective_at,
                'settings' AS channel FROM range({rows}) t(i)) TO {quoted(str(path))} (FORMAT PARQUET)"""
            )
    sample = [
        canonical_choice(
            PURPOSE,
            "on",
            1_700_000_000_000_000 + i,
            1_764_547_200_000_000,
            None,
            "settings",
            None,
            None,
        )
        for i in range(1_000_000)
    ]
    key = bytes(32)

    def floor() -> None:
        sha256 = hashlib.sha256
        for raw in sample:
            sha256(key + raw).digest()

    def ours() -> None:
        shutil.rmtree(folder / "ingest", ignore_errors=True)
        workspace = init_workspace(folder / "ingest", clock, template="linkedin-2024")
        workspace.ingest("choices", path)
        workspace.close()

    _, took, bare = ratio(ours, floor, runs)
    shutil.rmtree(folder / "ingest", ignore_errors=True)
    speed = (rows / took) / (len(sample) / bare)
    report.add("bulk ingest of choices over bare hashlib, entries per second", speed, "x", at_least=1 / 6,
               detail=f"{rows / took / 1e6:.2f} M/s / {len(sample) / bare / 1e6:.2f} M/s, {members:,} new members")  # fmt: skip


def fold(report: Report, folder: Path, rows: int, runs: int) -> None:
    """Measure the fold of choices to standing against DuckDB's arg_max on the same file."""
    members = rows // 3
    path = folder / f"fold-{rows}.parquet"
    if not path.exists():
        with connect() as con:
            con.execute(
                f"""COPY (SELECT i::INTEGER AS ordinal, 'm' || (hash(i) % {members}) AS member_id, '{PURPOSE}' AS purpose,
                CASE (hash(i + 1) % 7)::INTEGER WHEN 0 THEN 'off' WHEN 1 THEN 'deferred' ELSE 'on' END AS choice,
                1704067200000000 + (hash(i + 2) % 50000000)::BIGINT * 1000000 AS effective_us, NULL::VARCHAR AS country
                FROM range({rows}) t(i)) TO {quoted(str(path))} (FORMAT PARQUET)"""
            )
            con.execute(
                f"COPY (SELECT 'm' || i AS member_id, 'HK' AS country, DATE '1990-01-01' AS born, 'active' AS status "
                f"FROM range({members}) t(i)) TO {quoted(str(folder / f'fold-members-{rows}.parquet'))} (FORMAT PARQUET)"
            )
    source = f"read_parquet({quoted(str(path))})"
    at_us = int(np.datetime64("2025-11-10", "us").astype(np.int64))
    con = connect()
    con.execute(
        f"CREATE VIEW choice_entries AS SELECT member_id, choice, effective_us AS us, country FROM {source} "
        f"WHERE purpose IN ('{PURPOSE}', '*')"
    )
    con.execute(
        f"CREATE VIEW members_now AS FROM read_parquet({quoted(str(folder / f'fold-members-{rows}.parquet'))})"
    )
    value, took, floor = ratio(
        lambda: fold_choices(con, at_us, single=True),
        lambda: con.execute(
            f"CREATE OR REPLACE TEMP TABLE plain AS SELECT member_id, arg_max(choice, effective_us) FROM {source} GROUP BY 1"
        ),
        runs,
    )
    report.add(f"fold of {rows / 1e6:g} M choices of {members / 1e6:g} M members over arg_max", value, "x", at_most=1.5,
               detail=f"{took:.2f} s / {floor:.2f} s")  # fmt: skip
