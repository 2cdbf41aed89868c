"""The engine: every reason for many records at once, by classes and looked-up masks.

Promises: the answers of `sayso.decision.one`, for Arrow tables, Parquet paths and DuckDB
relations. Never decides: it classifies (comparisons of dates and codes), looks a member's
state up, and ORs the masks of the cells. Does not fold ledgers; see `sayso.ledger`.

Example:
    >>> decisions = decide_many(content, states)          # doctest: +SKIP
    >>> decisions.counts()                                # doctest: +SKIP
    {'CHOSEN_OFF': 3}
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sayso.decision.content import as_content
from sayso.decision.probe import ProbeTable
from sayso.decision.repeated import repeated_rows
from sayso.decision.states import (
    CALENDAR_US,
    STANDING_BITS,
    Codes,
    MemberStates,
    codes_of,
    microseconds,
)
from sayso.model import (
    REASONS,
    Authorship,
    Category,
    Reason,
    Visibility,
    reasons_of,
)
from sayso.tables import connect

Masks = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STANDING_MASK = (1 << STANDING_BITS) - 1
FULL = (1 << 64) - 1
# A missing time: later than any instant, so that the comparison with `at` refuses it.
NEVER_US = np.iinfo(np.int64).max
# Texts looked up at once.
TEXT_ROWS = 1 << 15
# Rows classified at once; see probe.STEP_ROWS.
BATCH_ROWS = 1 << 16

_CATEGORIES = tuple(Category)
_VISIBILITIES = tuple(Visibility)
_AUTHORSHIPS = tuple(Authorship)


@dataclass(frozen=True)
class Decisions:
    """One mask per record, in the order of the records.

    Attributes:
        masks: Bit i is the i-th reason of the order; 0 is admitted. Shape (records,).
    """

    masks: Masks = field(repr=False)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.masks)

    @property
    def allow(self) -> Bools:
        """Whether each record is admitted, shape (records,)."""
        admitted: Bools = self.masks == 0
        return admitted

    def reasons(self, row: int) -> tuple[Reason, ...]:
        """Return every reason of one record, in order."""
        return reasons_of(int(self.masks[row]))

    @cached_property
    def _by_mask(self) -> dict[int, int]:
        masks, rows = np.unique(self.masks, return_counts=True)
        return dict(zip(masks.tolist(), rows.tolist(), strict=True))

    def refused(self) -> dict[str, int]:
        """Return records by first reason; the sum is what was not admitted."""
        return refused_by_first(self._by_mask)

    def counts(self) -> dict[str, int]:
        """Return records by reason; a record counts under each of its reasons."""
        return reasons_overlapping(self._by_mask)

    def to_arrow(self) -> pa.Table:
        """Return columns `allow` (bool) and `reasons` (list of names), one row per record."""
        masks, rows = np.unique(self.masks, return_inverse=True)
        names = pa.array(
            [[str(r) for r in reasons_of(int(m))] for m in masks], pa.list_(pa.string())
        )
        return pa.table({"allow": self.allow, "reasons": names.take(pa.array(rows))})


def refused_by_first(by_mask: dict[int, int]) -> dict[str, int]:
    """Sum records of each mask under its first reason, in the order of the enum."""
    sums = dict.fromkeys(REASONS, 0)
    for mask, rows in by_mask.items():
        if mask:
            sums[reasons_of(mask)[0]] += rows
    return {str(reason): rows for reason, rows in sums.items() if rows}


def reasons_overlapping(by_mask: dict[int, int]) -> dict[str, int]:
    """Sum records of each mask under each of its reasons, in the order of the enum."""
    sums = dict.fromkeys(REASONS, 0)
    for mask, rows in by_mask.items():
        for reason in reasons_of(mask):
            sums[reason] += rows
    return {str(reason): rows for reason, rows in sums.items() if rows}


def decide_many(
    content: pa.Table | Path | str | duckdb.DuckDBPyRelation,
    states: MemberStates,
    *,
    threads: int | None = None,
) -> Decisions:
    """Return the decision of every record of `content`, in its order.

    Args:
        content: Columns of the content table; those beyond record_id may be missing.
        states: The members, classified; see `classify_members`.
        threads: DuckDB threads, which text ids use; None for all.

    Raises:
        InputError: The content cannot be read or has no record_id.
    """
    integer_ids = pa.types.is_integer(states.ids.type)
    table = as_content(content, integer_ids=integer_ids)
    repeated = repeated_rows(table["record_id"], threads)
    # Integers are looked up batch by batch, which keeps what is in hand in the cache.
    probe = ProbeTable(states.ids.to_numpy(), states.packed) if integer_ids else None
    texts = None if integer_ids else _states_of_texts(table["member_id"], states, threads)
    masks = np.empty(table.num_rows, np.uint32)
    start = 0
    for batch in _batches(table):
        stop = start + batch.num_rows
        packed = _states_of(batch["member_id"], probe) if texts is None else texts[start:stop]
        masks[start:stop] = batch_masks(
            batch, packed, states, None if repeated is None else repeated[start:stop]
        )
        start = stop
    return Decisions(masks)


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    for chunk in table.to_batches():
        for start in range(0, chunk.num_rows, BATCH_ROWS):
            yield chunk.slice(start, BATCH_ROWS)


def _states_of(ids: pa.Array, probe: ProbeTable | None) -> Ints:
    """Return the packed state of each integer id, 0 for a null or unknown one."""
    assert probe is not None  # noqa: S101  integers come with a table
    if not ids.null_count:
        return probe.take(ids.to_numpy())
    found = probe.take(pc.fill_null(ids, 0).to_numpy())
    found[ids.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


def _states_of_texts(ids: pa.ChunkedArray, states: MemberStates, threads: int | None) -> Ints:
    """Look texts up by their hash, and compare them: a hash alone proves nothing."""
    with connect(threads=threads) as con:
        keys = np.concatenate([np.empty(0, np.int64), *_hash_batches(con, states.ids)])
        ordered = np.sort(keys)
        if not len(keys) or (ordered[1:] == ordered[:-1]).any():  # two members share a hash
            return _states_by_join(con, ids, states)
        table = ProbeTable(keys, np.arange(1, len(keys) + 1))
        packed = np.concatenate([np.zeros(1, np.int64), states.packed])
        found = np.zeros(len(ids), np.int64)
        start = 0
        for hashes in _hash_batches(con, ids):
            part = ids.slice(start, len(hashes)).combine_chunks()
            place = table.take(hashes)
            own = pc.equal(part, states.ids.take(pa.array(np.maximum(place - 1, 0))))
            same = pc.fill_null(own, False).to_numpy(zero_copy_only=False)
            found[start : start + len(part)] = packed[np.where(same, place, 0)]
            start += len(part)
    return found


def _hash_batches(
    con: duckdb.DuckDBPyConnection, texts: pa.Array | pa.ChunkedArray
) -> Iterator[Ints]:
    """Yield 64-bit hashes of texts, in their order."""
    con.register("texts", pa.table({"id": texts}))
    for batch in con.sql("SELECT hash(id) AS hash FROM texts").to_arrow_reader(TEXT_ROWS):
        hashes: Ints = batch["hash"].to_numpy().view(np.int64)
        yield hashes


def _states_by_join(
    con: duckdb.DuckDBPyConnection, ids: pa.ChunkedArray, states: MemberStates
) -> Ints:
    con.register("content", pa.table({"row": np.arange(len(ids)), "member_id": ids}))
    con.register("states", pa.table({"member_id": states.ids, "state": states.packed}))
    joined = con.sql(
        "SELECT row, coalesce(state, 0) state FROM content LEFT JOIN states USING (member_id)"
    ).to_arrow_table()
    found = np.zeros(len(ids), np.int64)
    # The join does not promise an order; the row number does.
    found[joined["row"].to_numpy()] = joined["state"].to_numpy()
    return found


def batch_masks(
    batch: pa.RecordBatch, packed: Ints, states: MemberStates, repeated: Bools | None
) -> Masks:
    """Return the masks of one batch of content (see `sayso.decision.content`).

    Args:
        batch: One row per record.
        packed: State of each record's member, 0 where there is none, shape (rows,).
        states: What the states mean.
        repeated: Whether the id of each record is null or repeated; None: no id is.
    """
    cells = states.cells
    standing = (packed & STANDING_MASK).astype(np.int32)
    profile = states.profile.take(standing)
    what = cells.what.reshape(len(cells.profiles), -1)
    code = _what_codes(batch, states) + profile * np.int32(what.shape[1])
    when = _when_codes(batch, packed, standing, states, repeated)
    masks = states.mask.take(standing)
    masks |= what.reshape(-1).take(code)
    masks |= cells.when.reshape(-1).take(when + (profile << 5))
    return masks


def _what_codes(batch: pa.RecordBatch, states: MemberStates) -> npt.NDArray[np.int32]:
    contexts = states.cells.contexts
    code = codes_of(batch["category"], _CATEGORIES).astype(np.int32)
    code *= len(_VISIBILITIES) + 1
    code += codes_of(batch["visibility"], _VISIBILITIES)
    code *= len(_AUTHORSHIPS) + 1
    code += codes_of(batch["authorship"], _AUTHORSHIPS)
    code *= len(contexts)
    code += _context_codes(batch["context"], contexts)
    code *= 3
    code += batch["mentions"].to_numpy(zero_copy_only=False)
    return code


def _context_codes(column: pa.Array, contexts: tuple[str | None, ...]) -> Codes:
    named = tuple(context for context in contexts[:-2] if context is not None)
    codes = codes_of(column, named)
    # codes_of gives len(named) to other and null alike; null is one place further. A null may
    # also stand inside a dictionary, where only the values tell.
    plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if plain.null_count:
        codes[plain.is_null().to_numpy(zero_copy_only=False)] = len(named) + 1
    return codes


def _when_codes(
    batch: pa.RecordBatch,
    packed: Ints,
    standing: npt.NDArray[np.int32],
    states: MemberStates,
    repeated: Bools | None,
) -> npt.NDArray[np.int32]:
    at_us = microseconds(states.cells.in_force.at)
    written = times_of(batch["written_at"])
    if batch["first_seen_at"].null_count < batch.num_rows:
        written = np.minimum(written, times_of(batch["first_seen_at"]))
    # Unsigned, one comparison finds what is missing, after `at`, or before the calendar.
    since = written.view(np.uint64) - np.uint64(CALENDAR_US & FULL)
    unknown = since > np.uint64(at_us - CALENDAR_US)
    # Floored seconds compare exactly with a bound that is a whole second.
    minor = (since // np.uint64(1_000_000)).view(np.int64) + 1 < packed >> STANDING_BITS
    when = (minor & ~unknown).astype(np.int32) << 4
    when |= unknown.astype(np.int32) << 2
    if (states.earliest_us > np.iinfo(np.int64).min).any():
        early = (written < states.earliest_us.take(standing)) & ~unknown
        when |= early.astype(np.int32) << 3
    if batch["deleted_at"].null_count < batch.num_rows:
        when |= (times_of(batch["deleted_at"]) <= at_us).astype(np.int32) << 1
    if repeated is not None:
        when |= repeated
    return when


def times_of(column: pa.Array) -> Ints:
    """Return microseconds since 1970, NEVER_US for null."""
    if column.null_count == len(column):
        return np.full(len(column), NEVER_US, np.int64)
    ints = column.cast(pa.int64())
    if ints.null_count:
        ints = pc.fill_null(ints, NEVER_US)
    times: Ints = ints.to_numpy()
    return times
