"""One pass over the content: decide every record, keep the admitted by partition.

Promises: refused text is never written; memory is bounded by BATCH_ROWS, not by the
content. Does not hash; see `sayso.snapshot.seal`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sayso.decision.content import content_columns
from sayso.decision.many import Masks, batch_masks
from sayso.decision.repeated import repeated_ids
from sayso.decision.states import STANDING_BITS, MemberStates
from sayso.ledger.keys import BUCKETS
from sayso.snapshot.seal import PARTITION_SCHEMA, Part
from sayso.snapshot.tally import NO_BUCKET, Tally
from sayso.tables import Table

# Rows decided at once: about 60 MB of text.
BATCH_ROWS = 1 << 18
# Rows that a partition should have: a thread that seals it holds about four times its bytes.
PARTITION_ROWS = 200_000

Progress = Callable[[str, int], None]


def partitions_for(rows: int) -> int:
    """Return a power of two up to BUCKETS, so that partitions are whole buckets."""
    wanted = max(1, -(-rows // PARTITION_ROWS))
    return min(BUCKETS, 1 << (wanted - 1).bit_length())


class Partitions:
    """Arrow streams of admitted records, one per range of buckets."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self._shift = (BUCKETS // count).bit_length() - 1
        self._paths = [folder / f"part-{number:04d}.arrows" for number in range(count)]
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}

    def add(
        self, batch: pa.RecordBatch, rows: npt.NDArray[np.int64],
        country: npt.NDArray[np.int32], states: MemberStates,
    ) -> None:  # fmt: skip
        """Keep some rows of a batch of content, copying each once."""
        part_of = batch["bucket"].to_numpy()[rows] >> self._shift
        order = np.argsort(part_of, kind="stable")
        rows = rows[order]
        kept = _as_records(batch.take(pa.array(rows)), country[rows], states)
        numbers, starts = np.unique(part_of[order], return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        for part, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True):
            self._writer(part).write_batch(kept.slice(start, end - start))

    def _writer(self, part: int) -> pa.ipc.RecordBatchStreamWriter:
        if part not in self._writers:
            self._writers[part] = pa.ipc.new_stream(str(self._paths[part]), PARTITION_SCHEMA)
        return self._writers[part]

    def close(self, every: Iterable[int] = ()) -> list[Part]:
        """Finish and return the parts that hold anything, and those of buckets in `every`."""
        for writer in self._writers.values():
            writer.close()
        parts = {*self._writers, *(bucket >> self._shift for bucket in every)}
        return [
            Part(
                range(part << self._shift, (part + 1) << self._shift),
                self._paths[part] if part in self._writers else None,
            )
            for part in sorted(parts)
        ]


@dataclass(frozen=True)
class Pass:
    """What one pass needs.

    Attributes:
        duck: Knows tables `states` (member_id, state, bucket, member) and the content.
        content: The content.
        states: What the states mean.
        repeated: The ids that stand more than once; see `repeated_in`.
        buckets: Only the records of these buckets, and those of nobody known; None: all.
        members: Only the records of members with these ids, as text; None: all.
    """

    duck: duckdb.DuckDBPyConnection
    content: Table
    states: MemberStates
    repeated: pa.ChunkedArray
    buckets: frozenset[int] | None = None
    members: pa.Array | None = None


# What makes a whole pass: `run_pass`, or an engine of its own that counts and keeps the same.
Engine = Callable[[Pass, Tally, Partitions, Progress], int]


def repeated_in(duck: duckdb.DuckDBPyConnection, content: Table, rows: int) -> pa.ChunkedArray:
    """Return the record ids that stand more than once in `rows` records of content."""
    if "record_id" not in content.types:
        return pa.chunked_array([], pa.string())  # `run_pass` says so
    has_integers = content.has_integers("record_id")
    id_column = '"record_id"' if has_integers else content.id("record_id")
    return repeated_ids(duck, content.sql, id_column, rows)


def run_pass(
    plan: Pass, tally: Tally | None, partitions: Partitions | None, progress: Progress
) -> int:
    """Decide, and count, and keep the admitted; without partitions no text is read.

    Returns:
        How many are admitted.

    Raises:
        InputError: The content has no record_id.
        duckdb.Error: The content cannot be read.
    """
    reader = plan.duck.sql(_query(plan, words=partitions is not None)).to_arrow_reader(BATCH_ROWS)
    done = admitted = 0
    for batch in reader:
        masks, country = _decide(batch, plan.states)
        if tally is not None:
            tally.add(batch["bucket"].to_numpy(), country, masks)
        rows = np.flatnonzero(masks == 0)
        admitted += len(rows)
        if partitions is not None and len(rows):
            partitions.add(batch, rows, country, plan.states)
        done += batch.num_rows
        progress("deciding", done)
    return admitted


def _query(plan: Pass, *, words: bool) -> str:
    """SQL: the records of a pass with the state of their member; registers what it names."""
    integer_ids = pa.types.is_integer(plan.states.ids.type)
    columns = content_columns(plan.content, integer_ids=integer_ids)
    if words:
        columns += (
            f", {plan.content.text('licence')} AS licence, {plan.content.text('text')} AS text"
        )
    plan.duck.register("repeated_ids", pa.table({"record_id": plan.repeated}))
    flag = (
        "record_id IS NULL"
        if not len(plan.repeated)
        else ("(record_id IS NULL OR record_id IN (FROM repeated_ids))")
    )
    join, where = "LEFT JOIN states s", ""
    if plan.buckets is not None:
        chosen = pa.table({"bucket": pa.array(sorted(plan.buckets), pa.int16())})
        plan.duck.register("chosen_buckets", chosen)
        where = (
            f"WHERE s.bucket IS NULL OR s.bucket = {NO_BUCKET} OR s.bucket IN (FROM chosen_buckets)"
        )
    if plan.members is not None:
        plan.duck.register("chosen_members", pa.table({"member_id": plan.members}))
        # A small table, so that few of the texts are read.
        join = "JOIN (FROM states WHERE member_id::VARCHAR IN (FROM chosen_members)) s"
    return (
        f"SELECT c.*, {flag} AS repeated, coalesce(s.state, 0) AS state, "
        "coalesce(s.bucket, -1)::SMALLINT AS bucket, coalesce(s.member, -1)::INTEGER AS member "
        f"FROM (SELECT {columns} FROM {plan.content.sql}) c {join} USING (member_id) {where}"
    )


def _decide(batch: pa.RecordBatch, states: MemberStates) -> tuple[Masks, npt.NDArray[np.int32]]:
    """Return the mask and the country code of each record."""
    packed = batch["state"].to_numpy()
    repeated = batch["repeated"].to_numpy(zero_copy_only=False)
    masks = batch_masks(batch, packed, states, repeated if repeated.any() else None)
    return masks, states.country.take(packed & ((1 << STANDING_BITS) - 1))


def _as_records(
    batch: pa.RecordBatch, country: npt.NDArray[np.int32], states: MemberStates
) -> pa.RecordBatch:
    """Return a batch with PARTITION_SCHEMA; its text is shared, not copied."""
    written = pc.min_element_wise(batch["written_at"], batch["first_seen_at"])
    made = {
        "country": pa.array(states.countries).take(pa.array(country)),
        "written_at": written.cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
    }
    arrays = [
        made[field.name] if field.name in made else batch[field.name].cast(field.type)
        for field in PARTITION_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=PARTITION_SCHEMA)
