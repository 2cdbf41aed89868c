"""Spark gives what DuckDB gives: the same masks (law 7), and the same snapshot.

One session serves all of it. Where PySpark or Java is missing, all of it is skipped and the
end of the run says so.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.decision.cells import Cells
from sayso.decision.one import decide
from sayso.decision.spark import decide_many_in
from sayso.decision.states import STANDING_SCHEMA, classify_members
from sayso.errors import InputError
from sayso.model import DEFAULT_PURPOSE, Facts, Presence, mask_of
from sayso.opening import init_workspace
from tests.differential.case import template
from tests.differential.cells import Row, rows_of
from tests.differential.engines import Loaded, by_definition, cells_of, content_table
from tests.town import (
    AT,
    MEMBER_COLUMNS,
    Clock,
    town_choices,
    town_content,
    town_members,
    write_content,
    write_csv,
    write_jsonl,
)
from tests.world import Ask, RecordLine, World, asks, random_world

MENTIONED: dict[bool | None, tuple[str, ...] | None] = {
    None: None, False: (), True: ("Invented Person",),
}  # fmt: skip
# About every bound of the story, in one zone or another.
INSTANTS = (
    "2024-10-10T15:59:59.999999", "2024-10-10T16:00:00", "2025-11-02T16:00:00",
)  # fmt: skip


def standing_row(name: str, row: Row, country: str | None) -> dict[str, object]:
    facts = row.member.facts
    return {
        "member_id": name,
        "presence": facts.presence.value,
        "country": country if facts.presence is Presence.KNOWN else None,
        "born": facts.born,
        "status": facts.status,
        "choice": facts.choice,
        "notice": row.member.place[2],
    }


def record_line(name: str, row: Row) -> RecordLine:
    record = row.record
    return RecordLine(
        record_id=name if record.is_single else None,
        member_id=name,
        category=record.category,
        visibility=record.visibility,
        authorship=record.authorship,
        context=record.context,
        mentions=MENTIONED[record.mentions],
        written_at=record.written_at,
        deleted_at=record.deleted_at,
    )


def every_cell(cells: Cells, at: datetime) -> tuple[pa.Table, list[RecordLine], list[int]]:
    """Return members and records for every cell of every profile, and what is defined of them."""
    members: list[dict[str, object]] = []
    records: list[RecordLine] = []
    defined: list[int] = []
    for profile in cells.profiles:
        country = profile.countries[0] if profile.countries else None
        for row in rows_of(profile.jurisdiction, cells.contexts, at):
            name = str(len(records))
            members.append(standing_row(name, row, country))
            records.append(record_line(name, row))
            defined.append(mask_of(decide(Facts(at, row.member.facts, row.record)).reasons))
    return pa.Table.from_pylist(members, STANDING_SCHEMA), records, defined


@pytest.mark.parametrize("at", INSTANTS)
def test_law_7_over_every_cell(spark: Any, tmp_path: Path, at: str) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    cells = cells_of(template(), DEFAULT_PURPOSE, moment)
    standing, records, defined = every_cell(cells, moment)
    integer_ids = INSTANTS.index(at) % 2 == 0
    content = content_table(records, integer_ids=integer_ids)
    pq.write_table(content, tmp_path / "content.parquet", row_group_size=len(content) // 3)
    states = classify_members(cells, standing, integer_ids=integer_ids)
    found = decide_many_in(spark, tmp_path / "content.parquet", states)
    assert found.masks.tolist() == defined
    assert len(defined) > 4 * 4032


@pytest.mark.parametrize("seed", [3])
def test_law_7_at_boundary_instants(spark: Any, tmp_path: Path, seed: int) -> None:
    world = random_world(seed, records=80, odd_ids=True)
    pq.write_table(content_table(world.records, integer_ids=False), tmp_path / "content.parquet")
    for ask in asks(world, seed, 2):
        masks = world_masks(spark, tmp_path / "content.parquet", world, ask)
        assert masks == by_definition(world, ask)


def world_masks(spark: Any, content: Path, world: World, ask: Ask) -> list[int]:
    with Loaded(world, integer_ids=False) as loaded:
        found: list[int] = decide_many_in(spark, content, loaded.states(ask)).masks.tolist()
    return found


# ---- content in all its forms -----------------------------------------------------------


def columns(count: int, **more: Sequence[object]) -> dict[str, Sequence[object]]:
    plain: dict[str, Sequence[object]] = {
        name: [value] * count
        for name, value in (
            ("category", "post"), ("visibility", "public"), ("authorship", "own"),
            ("written_at", "2023-05-01T08:00:00Z"), ("text", "Invented words."),
        )
    }  # fmt: skip
    return plain | more


def write_forms(folder: Path) -> dict[str, Path]:
    """Write content as files of every kind: each has what the others lack."""
    lines = [
        {"record_id": 1, "member_id": "m0", "category": "post", "written_at": "2023-05-01"},
        {"record_id": "1", "member_id": "m1", "mentions": [], "visibility": "public"},
        {"record_id": None, "member_id": 7, "category": "post", "text": "\u0000é\U0001f600"},
    ]
    (folder / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [f"r{n},m{n % 9},post,public,own,20{n % 30:02}-02-30,words {n}\n" for n in range(40)]
    header = "record_id,member_id,category,visibility,authorship,written_at,text\n"
    (folder / "c.csv").write_text(header + "".join(rows) + 'r0,m1,post,,,,"two\nlines"\n')
    several = folder / "several"
    several.mkdir()
    stamps = pa.array([1_600_000_000_000_000_001] * 30, pa.timestamp("ns"))
    tables = [
        columns(50, record_id=range(50), member_id=[f"m{n % 20}" for n in range(50)]),
        # Ids are numbers here, and some are repeated there.
        columns(30, record_id=range(40, 70), member_id=range(30), written_at=stamps),
        columns(2, record_id=["40", None], member_id=["m1", None], licence=["CC BY", None]),
    ]
    for number, table in enumerate(tables):
        pq.write_table(pa.table(table), several / f"{number}.parquet", row_group_size=7)
    pq.write_table(pa.table(columns(0, record_id=[], member_id=[])), folder / "none.parquet")
    return {
        "jsonl": folder / "c.jsonl", "csv": folder / "c.csv", "several": several,
        "none": folder / "none.parquet",
    }  # fmt: skip


def test_the_same_snapshot_as_duckdb(spark: Any, tmp_path: Path) -> None:
    """Of all that a snapshot is, nothing says which engine made it."""
    workspace = init_workspace(tmp_path / "ws", Clock(), template="linkedin-2024")
    workspace.ingest("members", write_csv(tmp_path / "m.csv", town_members(50), MEMBER_COLUMNS))
    workspace.ingest("choices", write_jsonl(tmp_path / "c.jsonl", town_choices(20, 50)))
    town = write_content(tmp_path / "town.parquet", town_content(400, 50))
    known = workspace.ledger.size()
    for name, content in {"town": town, **write_forms(tmp_path)}.items():
        made = {
            engine: workspace.build(
                content, tmp_path / f"{name}-{engine}", at=AT, known=known, engine=engine
            )
            for engine in ("duckdb", "spark")
        }
        one, other = made["duckdb"], made["spark"]
        assert one.manifest.digest == other.manifest.digest, name
        files = sorted(path.name for path in (one.path / "records").iterdir())
        assert files == sorted(path.name for path in (other.path / "records").iterdir())
        for file in [*(f"records/{file}" for file in files), "counts.parquet", "README.md"]:
            assert (one.path / file).read_bytes() == (other.path / file).read_bytes(), file
        assert not (other.path / "work").exists()
    assert made["spark"].manifest.counts.records_in == 0
    workspace.close()


def test_what_tasks_cannot_read_is_told(spark: Any, tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path / "ws", Clock(), template="linkedin-2024")
    content = tmp_path / "c.csv"
    content.write_bytes(b"record_id,member_id,text\n1,2,m-1234\xe9\n")
    with pytest.raises(InputError, match="is not UTF-8") as caught:
        workspace.build(content, tmp_path / "out", engine="spark")
    assert "1234" not in str(caught.value)
    pq.write_table(pa.table({"member_id": [1]}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match="no column 'record_id'"):
        workspace.build(tmp_path / "c.parquet", tmp_path / "out", engine="spark")
    with pytest.raises(InputError, match="unknown engine 'flink'; use duckdb or spark"):
        workspace.build(content, tmp_path / "out", engine="flink")
    assert not list(tmp_path.glob("out*"))
    workspace.close()
