"""Which record ids are null or stand more than once.

Promises: exact; every row of a repeated id is found. Does not hold the ids of a large file
in memory: see `repeated_ids`.
"""

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sayso.tables import connect

# Hashes sorted at once, 8 bytes each: 128 MiB.
PASS_ROWS = 1 << 24


def repeated_rows(ids: pa.ChunkedArray, threads: int | None = None) -> npt.NDArray[np.bool_] | None:
    """Return for each row whether its id is null or repeated; None where no id is."""
    nulls = ids.null_count
    if pa.types.is_integer(ids.type):
        values = pc.fill_null(ids, 0).to_numpy() if nulls else ids.to_numpy()
        ordered = np.sort(values[ids.is_valid().to_numpy()] if nulls else values)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(twice):
            return ids.is_null().to_numpy() if nulls else None
        odd: npt.NDArray[np.bool_] = np.isin(values, twice) | ids.is_null().to_numpy()
        return odd
    with connect(threads=threads) as con:
        con.register("content", pa.table({"record_id": ids}))
        found = repeated_ids(con, "content", "record_id", len(ids))
    if not len(found):
        return ids.is_null().to_numpy() if nulls else None
    member = pc.is_in(ids, value_set=found.combine_chunks())
    twice_or_null: npt.NDArray[np.bool_] = member.to_numpy() | ids.is_null().to_numpy()
    return twice_or_null


def repeated_ids(
    con: duckdb.DuckDBPyConnection, source: str, record_id: str, rows: int
) -> pa.ChunkedArray:
    """Return the distinct ids that stand more than once, reading only ids, in passes.

    Args:
        con: The connection that knows `source`.
        source: What stands after FROM.
        record_id: SQL of the id; nulls are passed over.
        rows: How many rows there are, to choose the number of passes.
    """
    passes = max(1, -(-rows // PASS_ROWS))
    suspects: list[npt.NDArray[np.uint64]] = []
    for number in range(passes):
        among = f"AND hash({record_id}) % {passes} = {number}" if passes > 1 else ""
        hashes = con.sql(
            f"SELECT hash({record_id}) h FROM {source} WHERE {record_id} IS NOT NULL {among}"
        ).to_arrow_table()["h"]
        ordered = np.sort(hashes.to_numpy())
        suspects.append(ordered[1:][ordered[1:] == ordered[:-1]])
    con.register("suspects", pa.table({"h": np.unique(np.concatenate(suspects))}))
    try:
        # Equal hashes are a suspicion; equal ids are the finding.
        found = con.sql(
            f"SELECT {record_id} AS id FROM {source} WHERE hash({record_id}) IN (FROM suspects) "
            f"GROUP BY 1 HAVING count(*) > 1"
        ).to_arrow_table()["id"]
    finally:
        con.unregister("suspects")
    return found
