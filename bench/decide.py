"""Deciding: every reason for many records in memory, against DuckDB's own left join."""

from datetime import UTC, datetime

import cedarpy
import duckdb
import numpy as np
import pyarrow as pa

from bench.measure import Report, ratio, seconds
from sayso.decision.cells import tabulate
from sayso.decision.many import decide_many
from sayso.decision.one import decide
from sayso.decision.states import STANDING_SCHEMA, MemberStates, classify_members
from sayso.model import (
    DEFAULT_PURPOSE,
    Authorship,
    Category,
    Choice,
    Facts,
    MemberFacts,
    Presence,
    RecordFacts,
    Status,
    Visibility,
)
from sayso.publishing import template_files
from sayso.rulebook.in_force import in_force
from sayso.rulebook.parse import parse_rulebook

AT = datetime(2025, 11, 10, tzinfo=UTC)
COUNTRIES = ("HK", "GB", "US", "CA", "DE", "FR", "IN", "JP", "BR", "CH", "IE", "AU")


def members(count: int, seed: int = 1) -> tuple[np.ndarray, pa.Table]:
    """Return random 64-bit ids and their standing."""
    rng = np.random.default_rng(seed)
    ids = np.unique(rng.integers(-(2**62), 2**62, count + 1000))[:count]
    rng.shuffle(ids)
    days = rng.integers(-7000, 14500, count).astype(np.int32)
    table = pa.table(
        {
            "member_id": pa.array(ids).cast(pa.string()),
            "presence": pa.array(np.zeros(count, np.int8)),
            "country": pa.array(COUNTRIES).take(pa.array(rng.integers(0, len(COUNTRIES), count))),
            "born": pa.array(days, pa.int32()).cast(pa.date32()),
            "status": pa.array(["active"]).take(pa.array(np.zeros(count, np.int8))),
            "choice": pa.array([str(c) for c in Choice]).take(
                pa.array(rng.choice(4, count, p=[0.7, 0.05, 0.1, 0.15]))
            ),
            "notice": pa.array(rng.choice(4, count, p=[0.9, 0.04, 0.06, 0.0]).astype(np.int8)),
        },
        schema=STANDING_SCHEMA,
    )
    return ids, table


def content(ids: np.ndarray, rows: int, seed: int = 2) -> pa.Table:
    """Return content in random order with codes as dictionaries."""
    rng = np.random.default_rng(seed)

    def coded(values: tuple[str, ...], weights: list[float]) -> pa.Array:
        codes = rng.choice(len(values), rows, p=weights).astype(np.int8)
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(values))

    written = rng.integers(1_200_000_000, 1_770_000_000, rows) * 1_000_000
    return pa.table(
        {
            "record_id": rng.permutation(rows).astype(np.int64) * 7919 + 13,
            "member_id": ids[rng.integers(0, len(ids), rows)],
            "category": coded(("post", "comment", "profile", "message"), [0.4, 0.3, 0.2, 0.1]),
            "visibility": coded(("public", "members", "private"), [0.8, 0.15, 0.05]),
            "authorship": coded(("own", "edited", "shared"), [0.9, 0.05, 0.05]),
            "mentions": pa.ListArray.from_arrays(
                np.zeros(rows + 1, np.int32), pa.array([], pa.string())
            ),
            "written_at": pa.array(written).cast(pa.timestamp("us")),
        }
    )


def run(report: Report, rows: int, count: int) -> None:
    """Measure the deciding bars."""
    rules = in_force(parse_rulebook(template_files("linkedin-2024")), DEFAULT_PURPOSE, AT)
    cells = tabulate(rules)
    ids, standing = members(count)
    table = content(ids, rows)
    states = classify_members(cells, standing, integer_ids=True)
    _integers(report, table, states)
    _texts(report, table, classify_members(cells, standing, integer_ids=False))
    _cedar(report, table, states, rows)
    _one(report)


def _integers(report: Report, table: pa.Table, states: MemberStates) -> None:
    con = duckdb.connect()
    con.execute("SET threads = 1")
    con.register("c", table.select(["record_id", "member_id"]))
    con.register("m", pa.table({"member_id": states.ids, "state": states.packed}))
    con.execute("CREATE TABLE records AS FROM c; CREATE TABLE states AS FROM m")
    value, ours, floor = ratio(
        lambda: decide_many(table, states),
        lambda: con.sql(
            "SELECT sum(state) FROM records LEFT JOIN states USING (member_id)"
        ).fetchall(),
    )
    report.add("decide_many, 64-bit ids, over DuckDB's left join", value, "x", at_most=1.0,
               detail=f"{ours:.3f} s / {floor:.3f} s")  # fmt: skip
    value, ours, floor = ratio(
        lambda: decide_many(table, states),
        lambda: con.sql("SELECT count(*), sum(hash(record_id)) FROM records").fetchall(),
    )
    report.add(
        "  the same over count(*), sum(hash(record_id))", value, "x", detail=f"{floor:.3f} s"
    )


def _texts(report: Report, table: pa.Table, states: MemberStates) -> None:
    texts = table
    for place, name in enumerate(("record_id", "member_id")):
        texts = texts.set_column(place, name, table[name].cast(pa.string()))
    con = duckdb.connect()
    con.execute("SET threads = 1")
    con.register("c", texts.select(["record_id", "member_id"]))
    con.register("m", pa.table({"member_id": states.ids, "state": states.packed}))
    con.execute("CREATE TABLE records AS FROM c; CREATE TABLE states AS FROM m")
    value, ours, floor = ratio(
        lambda: decide_many(texts, states, threads=1),
        lambda: con.sql(
            "SELECT sum(state) FROM records LEFT JOIN states USING (member_id)"
        ).fetchall(),
    )
    report.add("decide_many, text ids, over DuckDB's left join", value, "x", at_most=1.5,
               detail=f"{ours:.3f} s / {floor:.3f} s")  # fmt: skip


CEDAR = """
permit (principal, action, resource) when {
  context.country == "HK" && context.adult && context.noticed &&
  ["unset", "deferred", "on"].contains(context.choice) &&
  ["post", "comment", "profile", "article"].contains(context.category) &&
  context.visibility == "public" && context.authorship == "own" && context.written
};
"""


def _cedar(report: Report, table: pa.Table, states: MemberStates, rows: int) -> None:
    requests = [
        {
            "principal": {"type": "Member", "id": str(i)},
            "action": {"type": "Action", "id": "train"},
            "resource": {"type": "Record", "id": str(i)},
            "context": {
                "country": "HK", "adult": True, "noticed": i % 3 > 0, "choice": "off" if i % 7 == 0 else "unset",
                "category": "post", "visibility": "public", "authorship": "own", "written": True,
            },
        }
        for i in range(5000)
    ]  # fmt: skip
    policies = (
        cedarpy.PolicySet.from_str(CEDAR) if hasattr(cedarpy.PolicySet, "from_str") else CEDAR
    )
    _, ours, theirs = ratio(
        lambda: decide_many(table, states),
        lambda: cedarpy.is_authorized_batch(requests, policies, []),
    )
    speed = (rows / ours) / (len(requests) / theirs)
    report.add("decide_many over cedarpy's batch, decisions per second", speed, "x", at_least=500,
               detail=f"{rows / ours / 1e6:.1f} M/s / {len(requests) / theirs / 1e3:.1f} k/s")  # fmt: skip


def _one(report: Report) -> None:
    rules = in_force(parse_rulebook(template_files("linkedin-2024")), DEFAULT_PURPOSE, AT)
    facts = Facts(
        AT,
        MemberFacts(
            Presence.KNOWN, rules.jurisdiction("HK"), Status.ACTIVE,
            datetime(1990, 5, 1, tzinfo=UTC).date(), Choice.UNSET,
            (datetime(2025, 9, 10, tzinfo=UTC),),
        ),
        RecordFacts(True, Category.POST, Visibility.PUBLIC, Authorship.OWN, None, False,
                    datetime(2020, 1, 1, tzinfo=UTC), None),
    )  # fmt: skip
    loops = 20_000
    times = sorted(seconds(lambda: [decide(facts) for _ in range(loops)]) / loops for _ in range(5))
    report.add("one decide, warm", times[2] * 1e6, "us", at_most=20)
