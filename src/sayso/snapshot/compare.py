"""The difference of two snapshots: what entered, what left.

Promises: compares tags and digests by bucket, passing over buckets whose roots agree. Why a
record moved is for `sayso.workspace`, which can decide again.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from sayso.snapshot.load import verified_file
from sayso.snapshot.manifest import Manifest, load_manifest
from sayso.snapshot.notes import need_records, read_notes, visiting
from sayso.snapshot.seal import BUCKET_SCHEMA, RECORD_COLUMNS
from sayso.tables import connect, quoted


@dataclass(frozen=True)
class Difference:
    """What two snapshots do not share.

    Attributes:
        entered: Columns record_id, member_id, country; one row per record only in the second.
        left: The same for records only in the first.
        changed: The same for records in both with other contents.
        erased: Records in one of them alone of which nothing is left but tag and digest.
    """

    before: Manifest
    after: Manifest
    buckets_compared: int
    entered: pa.Table
    left: pa.Table
    changed: pa.Table
    erased: int


def compare(first: Path, second: Path) -> Difference:
    """Compare two snapshots of one workspace.

    Raises:
        InputError: One is no finished snapshot, or retention deleted its records.
        IntegrityError: One disagrees with its manifest.
    """
    before, after = load_manifest(first), load_manifest(second)
    differing = sorted(
        name
        for name in before.buckets.keys() | after.buckets.keys()
        if (one := before.buckets.get(name)) is None
        or (other := after.buckets.get(name)) is None
        or one.root != other.root
    )
    with connect() as con, ExitStack() as held:
        for view, folder, manifest in (("a", first, before), ("b", second, after)):
            need_records(folder, manifest)
            held.enter_context(visiting(folder, alone=False))
            steps = read_notes(folder)
            files = [
                quoted(str(verified_file(folder, manifest.buckets[name], steps)))
                for name in differing
                if name in manifest.buckets
            ]
            con.register(f"no_{view}", BUCKET_SCHEMA.empty_table())
            source = f"read_parquet([{', '.join(files)}])" if files else f"no_{view}"
            con.execute(f"CREATE TEMP VIEW {view} AS FROM {source}")
        entered, entered_erased = _only(con, "b", "a")
        left, left_erased = _only(con, "a", "b")
        differ = " OR ".join(
            f'a."{name}" IS DISTINCT FROM b."{name}"' for name in RECORD_COLUMNS.names
        )
        changed = con.sql(
            "SELECT b.record_id, b.member_id, b.country FROM a JOIN b USING (tag) "
            f"WHERE ({differ}) AND a.member_id IS NOT NULL AND b.member_id IS NOT NULL "
            "ORDER BY ALL"
        ).to_arrow_table()
    erased = entered_erased + left_erased
    return Difference(before, after, len(differing), entered, left, changed, erased)


def _only(con: duckdb.DuckDBPyConnection, view: str, other: str) -> tuple[pa.Table, int]:
    """Return the records of one view alone, and how many of those were erased."""
    only = con.sql(
        f"SELECT record_id, member_id, country FROM {view} ANTI JOIN {other} USING (tag) "
        "ORDER BY ALL"
    ).to_arrow_table()
    erased = only["member_id"].null_count
    return only.filter(pc.is_valid(only["member_id"])), erased
