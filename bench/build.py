"""Building: Parquet to Parquet with buckets, digests and roots, against a plain COPY."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.measure import Report, seconds
from sayso.opening import init_workspace
from sayso.tables import connect, quoted

AT = "2025-11-10T00:00:00Z"
COUNTRIES = ("HK", "GB", "US", "CA", "IN", "JP", "BR", "AU", "NZ", "MX", "ZA", "KR")


def clock() -> datetime:
    """Return a fixed present."""
    return datetime(2025, 12, 1, tzinfo=UTC)


def make_world(folder: Path, members: int) -> Path:
    """Make a workspace with members, choices and notices."""
    folder = folder / f"world-{members}"
    folder.mkdir(exist_ok=True)
    workspace_path = folder / "ws"
    if (workspace_path / "sayso.toml").exists():
        return workspace_path
    shutil.rmtree(workspace_path, ignore_errors=True)
    workspace = init_workspace(workspace_path, clock, template="linkedin-2024")
    rng = np.random.default_rng(5)
    ids = np.arange(members) * 7 + 1
    take = pa.array(COUNTRIES).take
    pq.write_table(
        pa.table(
            {
                "member_id": ids,
                "country": take(pa.array(rng.integers(0, len(COUNTRIES), members))),
                "birth_date": pa.array(rng.integers(-9000, 13000, members).astype(np.int32)).cast(
                    pa.date32()
                ),
            }
        ),
        folder / "members.parquet",
    )
    served = np.full(members, 1_757_000_000_000_000)
    purpose = pa.array(["content-generation-training"]).take(pa.array(np.zeros(members, np.int8)))
    pq.write_table(
        pa.table(
            {
                "member_id": ids,
                "purpose": purpose,
                "served_at": pa.array(served).cast(pa.timestamp("us")),
            }
        ),
        folder / "notices.parquet",
    )
    some = rng.choice(ids, members // 7, replace=False)
    pq.write_table(
        pa.table(
            {
                "member_id": some,
                "purpose": purpose.slice(0, len(some)),
                "choice": pa.array(["off", "on"]).take(
                    pa.array((rng.random(len(some)) < 0.2).astype(np.int8))
                ),
                "effective_at": pa.array(
                    rng.integers(1_726_000_000, 1_760_000_000, len(some)) * 1_000_000
                ).cast(pa.timestamp("us")),
            }
        ),
        folder / "choices.parquet",
    )
    for kind in ("members", "notices", "choices"):
        workspace.ingest(kind, folder / f"{kind}.parquet")
    workspace.close()
    return workspace_path


def make_content(folder: Path, rows: int, members: int) -> Path:
    """Write content of about 200 bytes of text a record, in random order of members."""
    path = folder / f"content-{rows}-{members}.parquet"
    if path.exists():
        return path
    with connect() as con:
        con.execute(
            f"""COPY (SELECT (i * 7919 + 13)::BIGINT AS record_id,
            (hash(i) % {members} * 7 + 1)::BIGINT AS member_id,
            CASE (hash(i + 1) % 10)::INTEGER WHEN 0 THEN 'message' WHEN 1 THEN 'profile'
              WHEN 2 THEN 'comment' ELSE 'post' END AS category,
            CASE WHEN hash(i + 2) % 12 = 0 THEN 'connections' ELSE 'public' END AS visibility,
            CASE WHEN hash(i + 3) % 20 = 0 THEN 'shared' ELSE 'own' END AS authorship,
            TIMESTAMP '2019-01-01' + INTERVAL (i % 100000000) SECOND AS written_at,
            concat_ws(' ', md5(i::VARCHAR), 'some words that anybody could have written about',
              sha256((i + 7)::VARCHAR), 'and', hash(i + 5), hash(i + 6)) AS text
            FROM range({rows}) t(i)) TO {quoted(str(path))} (FORMAT PARQUET)"""
        )
    return path


def plain_copy(content: Path, out: Path) -> float:
    """Return the seconds of DuckDB's own COPY of about the same rows."""
    with connect() as con:
        return seconds(
            lambda: con.execute(
                f"COPY (SELECT * FROM read_parquet({quoted(str(content))}) WHERE category <> "
                f"'message' AND visibility = 'public' AND authorship = 'own' AND member_id % 8 <> 0) "
                f"TO {quoted(str(out))} (FORMAT PARQUET)"
            )
        )


def command(workspace: Path, *arguments: str) -> tuple[float, int, dict[str, object]]:
    """Run `sayso` as a process; return seconds, peak bytes of its tree, and its JSON."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sayso.cli", "--json", "--workspace", str(workspace), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    out, _ = process.communicate()
    watcher.join()
    if process.returncode:
        msg = f"sayso {arguments[0]} failed: {out}"
        raise RuntimeError(msg)
    return time.perf_counter() - start, peak[0], json.loads(out)


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    while process.poll() is None:
        total = 0
        for pid in _tree(process.pid):
            try:
                # Shared pages counted once: proportional set size where the kernel tells it.
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += (
                    next(
                        int(line.split()[1])
                        for line in text.splitlines()
                        if line.startswith("Pss:")
                    )
                    * 1024
                )
            except (OSError, StopIteration):
                try:
                    total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
                except OSError:
                    continue
        peak[0] = max(peak[0], total)
        time.sleep(0.1)


def _tree(pid: int) -> list[int]:
    found = [pid]
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return found
    for child in children:
        found += _tree(int(child))
    return found


def run(report: Report, folder: Path, rows: int, members: int, runs: int, *, large: bool) -> None:
    """Measure the building bars."""
    workspace = make_world(folder, members)
    content = make_content(folder, rows, members)
    builds, copies, rebuilds, peaks = [], [], [], []
    for turn in range(runs):
        out = folder / f"out-{turn}"
        again = folder / f"again-{turn}"
        for old in (out, again):
            shutil.rmtree(old, ignore_errors=True)
        copies.append(plain_copy(content, folder / "plain.parquet"))
        took, peak, answer = command(
            workspace, "build", "--content", str(content), "--at", AT, "--out", str(out)
        )
        builds.append(took)
        peaks.append(peak)
        switched = [str(7 * (turn * 1009 + 31 * i) + 1) for i in range(100)]
        _switch_off(workspace, folder, switched, turn)
        took, _, _ = command(workspace, "rebuild", str(out), "--at", AT, "--out", str(again))
        rebuilds.append(took)
        for old in (out, again):
            shutil.rmtree(old, ignore_errors=True)
    build, copy, rebuild = (statistics.median(times) for times in (builds, copies, rebuilds))
    report.add(f"build of {rows / 1e6:g} M records over a plain COPY", build / copy, "x", at_most=4,
               detail=f"{build:.1f} s / {copy:.1f} s, {answer['admitted']:,} admitted")  # fmt: skip
    report.add("  its peak memory", max(peaks) / 2**30, "GiB", at_most=2)
    report.add("rebuild after 100 members switched off, over the build", rebuild / build, "x",
               at_most=0.25, detail=f"{rebuild:.1f} s")  # fmt: skip
    if large:
        _large(report, folder, workspace, rows, members, build, max(peaks))


def _switch_off(workspace: Path, folder: Path, ids: list[str], turn: int) -> None:
    path = folder / f"off-{turn}.csv"
    lines = [
        f"{one},content-generation-training,off,2025-11-0{1 + turn % 8}T00:00:00Z" for one in ids
    ]
    path.write_text("\n".join(["member_id,purpose,choice,effective_at", *lines]) + "\n")
    command(workspace, "ingest", "choices", str(path))


def _large(
    report: Report, folder: Path, workspace: Path, rows: int, members: int, build: float, peak: int
) -> None:
    content = make_content(folder, rows * 10, members)
    out = folder / "out-large"
    shutil.rmtree(out, ignore_errors=True)
    took, large_peak, _ = command(
        workspace, "build", "--content", str(content), "--at", AT, "--out", str(out)
    )
    shutil.rmtree(out, ignore_errors=True)
    content.unlink()
    report.add(f"build of {rows / 1e5:g} M records, time over that of {rows / 1e6:g} M", took / build, "x",
               at_most=11, detail=f"{took:.0f} s, one run")  # fmt: skip
    report.add("  its peak memory over that of the smaller", large_peak / peak, "x", at_most=1.3,
               detail=f"{large_peak / 2**30:.2f} GiB")  # fmt: skip
