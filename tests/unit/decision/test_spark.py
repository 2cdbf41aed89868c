"""What tasks of Spark do, without Spark: parts, their order, and rows that must all be there.

Whether Spark gives what DuckDB gives is asked in `tests/differential/test_spark.py`.
"""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.decision import spark
from sayso.decision.cells import tabulate
from sayso.decision.many import Masks
from sayso.decision.spark import JOINED, Content, content_of
from sayso.decision.states import STANDING_SCHEMA, MemberStates, classify_members
from sayso.errors import InputError, IntegrityError
from sayso.publishing import template_files
from sayso.rulebook.in_force import in_force
from sayso.rulebook.parse import parse_rulebook
from sayso.tables import connect, open_table


@pytest.fixture(scope="module")
def states() -> MemberStates:
    book = parse_rulebook(template_files("linkedin-2024"))
    at = datetime(2025, 1, 1, tzinfo=UTC)
    cells = tabulate(in_force(book, "content-generation-training", at))
    standing = pa.table({name: [] for name in STANDING_SCHEMA.names}, schema=STANDING_SCHEMA)
    return classify_members(cells, standing, integer_ids=False)


@pytest.fixture
def content(tmp_path: Path) -> Content:
    """Two files of which one has what the other lacks, in four parts."""
    one = {"record_id": range(10), "member_id": range(10), "text": ["a"] * 10}
    other = {"record_id": ["x", None, "z"], "member_id": ["7", "007", None]}
    pq.write_table(pa.table(one), tmp_path / "1.parquet", row_group_size=4)
    pq.write_table(pa.table(other), tmp_path / "2.parquet")
    with pytest.MonkeyPatch.context() as patch, connect() as con:
        patch.setattr(spark, "PART_ROWS", 4)
        return content_of(open_table(con, tmp_path), integer_ids=False, words=True)


def joined(content: Content) -> Iterator[pa.RecordBatch]:
    """Yield what Spark hands to a task: nobody is known."""
    for number in range(len(content.parts)):
        for batch in spark._ids_of(content, number, with_ids=True):
            rows = len(batch)
            columns = {"part": batch["part"], "row": batch["row"], "repeated": batch["lost"]}
            for name in ("state", "bucket", "member"):
                columns[name] = pa.array(np.zeros(rows), JOINED.field(name).type)
            yield pa.RecordBatch.from_pydict(columns, schema=JOINED)


def task(batch: pa.RecordBatch, masks: Masks, _states: MemberStates) -> pa.RecordBatch:
    columns = {name: batch[name] for name in ("part", "row", "record_id", "member_id", "text")}
    return pa.RecordBatch.from_pydict({**columns, "mask": pa.array(masks)})


def test_every_row_comes_once_with_its_words(content: Content, states: MemberStates) -> None:
    assert [(part.first, part.last) for part in content.parts] == [(0, 4), (4, 8), (8, 10), (0, 3)]
    found = pa.Table.from_batches(spark._decide(joined(content), content, states, task))
    assert found["record_id"].to_pylist() == [*map(str, range(10)), "x", None, "z"]
    assert found["member_id"].to_pylist() == [*map(str, range(10)), "7", "007", None]
    assert found["text"].to_pylist() == ["a"] * 10 + [None] * 3
    assert found["row"].to_pylist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 0, 1, 2]
    lost = [mask & 1 for mask in found["mask"].to_pylist()]  # RECORD_UNKNOWN is the first reason
    assert lost == [0] * 11 + [1, 0]


def test_rows_that_are_missing_or_doubled_are_noticed(
    content: Content, states: MemberStates
) -> None:
    table = pa.Table.from_batches(joined(content))
    for wrong in (
        table.slice(1),
        table.slice(0, 9),
        pa.concat_tables([table.slice(0, 3), table.slice(2)]),
        pa.concat_tables([table, table.slice(12)]),
        table.take(pa.array([1, 0, *range(2, 13)])),
    ):
        batches = iter(wrong.combine_chunks().to_batches())
        with pytest.raises(IntegrityError):
            list(spark._decide(batches, content, states, task))


def test_content_that_shrank_meanwhile_is_noticed(content: Content, states: MemberStates) -> None:
    rows = list(joined(content))
    path = Path(content.parts[-1].path)
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(IntegrityError, match="fewer rows"):
        list(spark._decide(iter(rows), content, states, task))
    path.write_text("no Parquet")
    with pytest.raises(InputError):
        list(spark._decide(iter(rows), content, states, task))


def test_an_interrupt_waits_until_spark_stands() -> None:
    done = []

    def start() -> None:
        with spark._undisturbed():
            signal.raise_signal(signal.SIGINT)
            done.append("started")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["started"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
