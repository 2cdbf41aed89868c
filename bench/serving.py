"""What the service stands on: choices from several processes, and single decisions about now.

Needs a PostgreSQL that answers at SAYSO_TEST_POSTGRES, or at 127.0.0.1:5432; makes a database of
its own and drops it. The HTTP benches stand on these.
"""

import os
import secrets
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from bench.measure import Report, ratio, seconds
from sayso.decision.many import decide_many
from sayso.ledger import open_ledger
from sayso.ledger.committing import Committer
from sayso.ledger.entries import NewChoice
from sayso.ledger.fsck import fsck
from sayso.model import DEFAULT_PURPOSE, Choice
from sayso.opening import FOLDERS, init_workspace
from sayso.present import Present
from sayso.workspace import Workspace

SERVER = os.environ.get("SAYSO_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
# Eight writers as the service runs them: `--workers 2`, four request threads each.
PROCESSES, THREADS = 2, 4
ROUND_SECONDS = 3.0
BATCH_RECORDS = 100_000
COUNTRIES = ("US", "GB", "HK", "DE", "FR", "CA")

# The columns of an entry; the index comes from a sequence, which is not gapless.
BARE = """CREATE TABLE bare ("index" bigserial PRIMARY KEY, kind text NOT NULL, member_id text, purpose text, choice text,
effective_us bigint, recorded_us bigint NOT NULL, country text, channel text, setting_version text, claimed_us bigint,
payload text, commitment bytea NOT NULL)"""
INSERT = """INSERT INTO bare (kind, member_id, purpose, choice, effective_us, recorded_us, country, channel, setting_version,
claimed_us, commitment) VALUES ('choice', %s, %s, 'off', %s, %s, NULL, 'web', '2024-09', NULL, %s)"""


@contextmanager
def database() -> Iterator[str]:
    """Give the address of a database, which is dropped at the end."""
    name = f"sayso_bench_{secrets.token_hex(4)}"
    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as con:
        con.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield sa.make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as con:
            con.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


# ---- appends ----------------------------------------------------------------------------

Write = Callable[[str, int], object]


def appends(report: Report, folder: Path, runs: int) -> None:
    """Measure durable choices by eight writers against bare durable INSERTs by as many."""
    place = folder / "appends"
    shutil.rmtree(place, ignore_errors=True)
    for name in FOLDERS:
        (place / name).mkdir(parents=True)
    with database() as url:
        with psycopg.connect(url, autocommit=True) as con:
            con.execute(BARE)
        open_ledger(url, place).close()
        for work, processes, threads, bar in (
            ("choices by 8 writers in 2 processes over bare INSERTs by 8", PROCESSES, THREADS, 0.5),
            ("choices by 1 writer over bare INSERTs by 1", 1, 1, None),
        ):
            ours, bare = [], []
            for number in range(runs):
                bare.append(_round(_bare, (url,), processes, threads, f"b{number}"))
                ours.append(_round(_committed, (url, place), processes, threads, f"c{number}"))
            many, few = statistics.median(ours), statistics.median(bare)
            report.add(
                work, many / few, "x", at_least=bar, detail=f"{many:,.0f} /s / {few:,.0f} /s"
            )
        ledger = open_ledger(url, place)
        found = fsck(ledger)
        assert found.size == found.commitments, "an index is missing, or a commitment is wrong"
        print(f"       {found.size:,} entries without a gap, every commitment derived again")
        ledger.close()
    shutil.rmtree(place)


def _round(target: Any, given: tuple[Any, ...], processes: int, threads: int, name: str) -> float:
    """Return writes per second of some processes with some threads each."""
    context = get_context("forkserver")
    barrier, out = context.Barrier(processes), context.SimpleQueue()
    children = [
        context.Process(target=target, args=(*given, barrier, out, threads, f"{name}-{number}"))
        for number in range(processes)
    ]
    for child in children:
        child.start()
    done = sum(out.get() for _ in children)
    for child in children:
        child.join()
    return float(done) / ROUND_SECONDS


def _write(barrier: Barrier, out: Any, writes: list[Write], name: str) -> None:
    """Have one thread for each `write` write until the time is over."""
    done = [0] * len(writes)
    barrier.wait()
    end = time.monotonic() + ROUND_SECONDS

    def run(number: int) -> None:
        while time.monotonic() < end:
            writes[number](f"m-{name}-{number}-{done[number]}", time.time_ns() // 1000)
            done[number] += 1

    threads = [Thread(target=run, args=(number,)) for number in range(len(writes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put(sum(done))


def _bare(url: str, barrier: Barrier, out: Any, threads: int, name: str) -> None:
    """Insert through one connection a thread, each row its own durable transaction."""
    cons = [psycopg.connect(url, autocommit=True) for _ in range(threads)]

    def writing(con: Any) -> Write:
        def write(who: str, us: int) -> object:
            given = (who, DEFAULT_PURPOSE, us, us, os.urandom(32))
            return con.execute(INSERT, given, prepare=True)

        return write

    writes = [writing(con) for con in cons]
    for write in writes:
        write("before", 0)
    _write(barrier, out, writes, name)
    for con in cons:
        con.close()


def _committed(url: str, place: Path, barrier: Barrier, out: Any, threads: int, name: str) -> None:
    """Append through one committer, as a worker of the service."""
    ledger = open_ledger(url, place)
    with Committer(ledger) as committer:

        def write(who: str, us: int) -> object:
            return committer.append_choice(
                NewChoice.of(
                    who, DEFAULT_PURPOSE, Choice.OFF, effective_us=us, recorded_us=us, channel="web",
                    setting_version="2024-09",
                )
            )  # fmt: skip

        write("before", 0)
        _write(barrier, out, [write] * threads, name)
    ledger.close()


# ---- the present ------------------------------------------------------------------------


def present(report: Report, folder: Path, members: int, runs: int) -> None:
    """Measure single decisions, and batches, on both databases."""
    with database() as url:
        for name, address in (("PostgreSQL", url), ("SQLite", "sqlite:///ledger.db")):
            place = folder / "present"
            shutil.rmtree(place, ignore_errors=True)
            workspace = init_workspace(
                place, lambda: datetime.now(UTC), template="linkedin-2024", url=address
            )
            fill(workspace, folder, members)
            asked = Present(workspace)
            try:
                _one(report, name, workspace, asked, members, runs)
                _many(report, name, workspace, asked, members, runs)
            finally:
                asked.close()
                workspace.close()
                shutil.rmtree(place)


def fill(workspace: Workspace, folder: Path, members: int) -> None:
    ids = [f"m{number}" for number in range(members)]
    said = ids[::3]
    tables: dict[str, dict[str, list[str]]] = {
        "members": {"member_id": ids, "country": [COUNTRIES[n % len(COUNTRIES)] for n in range(members)],
                    "birth_date": ["1980-05-01"] * members},
        "notices": {"member_id": ids, "purpose": [DEFAULT_PURPOSE] * members,
                    "served_at": ["2025-09-20T00:00:00Z"] * members},
        "choices": {"member_id": said, "purpose": [DEFAULT_PURPOSE] * len(said), "choice": ["off"] * len(said),
                    "effective_at": ["2025-10-20T00:00:00Z"] * len(said)},
    }  # fmt: skip
    for kind, columns in tables.items():
        path = folder / f"present-{kind}.parquet"
        pq.write_table(pa.table(columns), path)
        workspace.ingest(kind, path)
        path.unlink()
    for number in range(100):
        workspace.choose(f"m{number}", "on")


def _one(
    report: Report, name: str, workspace: Workspace, asked: Present, members: int, runs: int
) -> None:
    loops = 500
    ids = [f"m{number * 7919 % members}" for number in range(loops)]
    with workspace.ledger.engine.connect() as con:
        driver: Any = con.connection.driver_connection
        mark = "?" if con.dialect.name == "sqlite" else "%s"
        by_key = f"SELECT key FROM sayso_member_key WHERE member_id = {mark}"

        def select() -> None:
            for who in ids:
                driver.execute(by_key, (who,)).fetchone()

        def decide() -> None:
            for who in ids:
                asked.decide(who)

        decide()
        value, ours, floor = ratio(decide, select, runs)
    report.add(f"one decision about now over one SELECT by key, {name}", value, "x",
               detail=f"{ours / loops * 1e6:.0f} us / {floor / loops * 1e6:.0f} us")  # fmt: skip
    after = []
    for number in range(20):
        workspace.choose(ids[number], "off")
        after.append(seconds(lambda who=ids[number]: asked.decide(who)))  # type: ignore[misc]
    report.add(f"  the same after a choice of theirs, {name}", statistics.median(after) * 1e6, "us")


def _many(
    report: Report, name: str, workspace: Workspace, asked: Present, members: int, runs: int
) -> None:
    rng = np.random.default_rng(2)
    places = rng.integers(0, members, BATCH_RECORDS)
    content = pa.table(
        {
            "record_id": np.arange(BATCH_RECORDS), "member_id": [f"m{place}" for place in places],
            "category": ["post"] * BATCH_RECORDS, "visibility": ["public"] * BATCH_RECORDS,
            "authorship": ["own"] * BATCH_RECORDS,
            "mentions": pa.array([[]] * BATCH_RECORDS, pa.list_(pa.string())),
            "written_at": pa.array([datetime(2024, 1, 1)] * BATCH_RECORDS, pa.timestamp("us")),
        }
    )  # fmt: skip
    asked.decide_many(content)
    states = asked.states()
    value, ours, floor = ratio(
        lambda: asked.decide_many(content), lambda: decide_many(content, states), runs
    )
    report.add(f"{BATCH_RECORDS:,} decisions about now over decide_many with states in hand, {name}",
               value, "x", detail=f"{ours * 1e3:.0f} ms / {floor * 1e3:.0f} ms")  # fmt: skip
    after = []
    for number in range(10):
        workspace.choose(f"m{number}", ("on", "off")[number % 2])
        after.append(seconds(asked.states))
    report.add(f"  everybody's states after one choice, {members:,} members, {name}",
               statistics.median(after) * 1e3, "ms")  # fmt: skip
