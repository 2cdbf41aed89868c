"""The pass over the content as tasks of Spark: `sayso build --engine spark`.

Promises: what `sayso.snapshot.stream.run_pass` counts and keeps, byte for byte once it is
sealed. What tasks write, into the folder of the snapshot in the making, is counts and
admitted records; refused text is never written. Does not decide; see `sayso.decision.spark`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sayso.decision.many import Masks
from sayso.decision.spark import (
    content_of,
    decided,
    open_session,
    running,
    spark_path,
    write_repeated,
)
from sayso.decision.states import STANDING_BITS, MemberStates
from sayso.snapshot.stream import BATCH_ROWS, Partitions, Pass, Progress
from sayso.snapshot.tally import Tally
from sayso.tables import quoted

STANDING_MASK = (1 << STANDING_BITS) - 1

# A row is an admitted record, or (with `rows`) a count of records alike. Times are
# microseconds since 1970: Spark's own may be moved to another calendar or zone.
_KEPT = pa.schema(
    [
        ("record_id", pa.string()),
        ("member_id", pa.string()),
        ("category", pa.string()),
        ("visibility", pa.string()),
        ("authorship", pa.string()),
        ("context", pa.string()),
        ("written_at", pa.int64()),
        ("first_seen_at", pa.int64()),
        ("licence", pa.string()),
        ("text", pa.string()),
        ("bucket", pa.int16()),
        ("member", pa.int32()),
        ("country", pa.int32()),
        ("mask", pa.int64()),
        ("rows", pa.int64()),
    ]
)
_TIMES = ("written_at", "first_seen_at")
_SPARK = {pa.string(): "string", pa.int16(): "smallint", pa.int32(): "int", pa.int64(): "bigint"}


def run_spark_pass(plan: Pass, tally: Tally, partitions: Partitions, progress: Progress) -> int:
    """Decide, count, and keep the admitted, in a session of Spark; an `Engine`.

    Returns:
        How many are admitted.

    Raises:
        InputError: PySpark is not installed, or the content cannot be read.
        UnavailableError: Spark does not start, or gave up.
    """
    progress("starting Spark", 0)
    spark = open_session()
    folder = partitions.folder / "spark"
    folder.mkdir()
    places = folder / "places.parquet"
    plan.duck.execute(f"COPY states TO {quoted(str(places))} (FORMAT PARQUET)")
    integer_ids = pa.types.is_integer(plan.states.ids.type)
    content = content_of(plan.content, integer_ids=integer_ids, words=True)
    schema = ", ".join(f"{one.name} {_SPARK[one.type]}" for one in _KEPT)
    progress("deciding", 0)
    with running():
        again = write_repeated(plan.repeated, folder / "repeated.parquet")
        found = decided(spark, content, plan.states, places, again, _keep, schema)
        found.write.parquet(spark_path(folder / "kept"))
    admitted = 0
    for batch in _read(folder / "kept"):
        admitted += _take(batch, plan.states, tally, partitions)
    return admitted


def _keep(batch: pa.RecordBatch, masks: Masks, states: MemberStates) -> pa.RecordBatch:
    """Return the admitted records of a batch, and how many records are alike (in a task)."""
    country = states.country.take(batch["state"].to_numpy() & STANDING_MASK)
    rows = np.flatnonzero(masks == 0)
    taken = batch.take(pa.array(rows))
    records = {
        field.name: taken[field.name].cast(pa.timestamp("us")).cast(pa.int64())
        if field.name in _TIMES
        else taken[field.name].cast(field.type)
        for field in _KEPT
        if field.name in taken.schema.names
    }
    records["country"] = pa.array(country[rows])
    kinds = np.stack([batch["bucket"].to_numpy().astype(np.int64), country, masks], axis=1)
    alike, counts = np.unique(kinds, axis=0, return_counts=True)
    counted = {
        "bucket": pa.array(alike[:, 0].astype(np.int16)),
        "country": pa.array(alike[:, 1].astype(np.int32)),
        "mask": pa.array(alike[:, 2]),
        "rows": pa.array(counts),
    }
    columns = [
        pa.concat_arrays(
            [
                part.get(field.name, pa.nulls(length, field.type))
                for part, length in ((records, len(rows)), (counted, len(counts)))
            ]
        )
        for field in _KEPT
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_KEPT)


def _read(folder: Path) -> Iterator[pa.RecordBatch]:
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                yield batch.cast(_KEPT)


def _take(batch: pa.RecordBatch, states: MemberStates, tally: Tally, partitions: Partitions) -> int:
    """Count what a task counted and keep what it kept; return how many records it kept."""
    is_count = batch["rows"].is_valid().to_numpy(zero_copy_only=False)
    counts = batch.filter(pa.array(is_count))
    tally.add_counted(
        counts["bucket"].to_numpy(),
        counts["country"].to_numpy(),
        counts["mask"].to_numpy().astype(np.uint32),
        counts["rows"].to_numpy(),
    )
    rows = np.flatnonzero(~is_count)
    if len(rows):
        times = {
            name: batch[name].cast(pa.timestamp("us")) if name in _TIMES else batch[name]
            for name in batch.schema.names
        }
        country = np.zeros(len(batch), np.int32)
        country[rows] = batch["country"].take(pa.array(rows)).to_numpy()
        partitions.add(pa.RecordBatch.from_pydict(times), rows, country, states)
    return len(rows)
