"""What may differ between an earlier snapshot and the one to be made.

Promises: whoever's records could be decided or written otherwise is among the ids returned.
Where a record's own part of the decision may differ, no set of members says it: see
`same_record_part` and `any_time_between`.
"""

from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from sayso.decision.cells import Cells
from sayso.decision.states import STANDING_BITS, MemberStates
from sayso.ledger.store import Ledger
from sayso.tables import Table, quoted

TIMES = ("written_at", "first_seen_at", "deleted_at")


def said_since(
    ledger: Ledger, duck: duckdb.DuckDBPyConnection, content: Table, before: int, known: int
) -> pa.Array:
    """Return the ids of members who chose from `before` until `known`, or were ever erased."""
    head, segments = ledger.choices(known)
    duck.register("head_now", head)
    parts = [f"SELECT member_id FROM head_now WHERE index >= {before}"]
    parts += [
        f"SELECT member_id FROM read_parquet({quoted(str(one.path))}) "
        f"WHERE ordinal >= {before - one.first} AND ordinal < {known - one.first} "
        "AND member_id IS NOT NULL"  # null: erased
        for one in segments
        if one.end > before
    ]
    ids = f"(SELECT DISTINCT {content.id('member_id')} member_id FROM {content.sql})"
    with ledger.reading() as con:
        if ledger.keys.erased_among(con, duck, [ids]):
            parts.append("SELECT member_id FROM erased_members")
        return _ids(duck, " UNION ".join(parts))


def otherwise(
    duck: duckdb.DuckDBPyConnection, before: MemberStates, after: MemberStates
) -> pa.Array:
    """Return the ids of members whose part of the decision, or whose country, differs.

    Also of everybody in `erased_members`: both sides hold their erasure, and what was built
    before it may not.
    """
    for name, states in (("before", before), ("after", after)):
        standing = (states.packed & ((1 << STANDING_BITS) - 1)).astype(np.int64)
        meaning = states.mask[standing].astype(np.int64) << 16 | states.country[standing]
        table = pa.table(
            {"member_id": states.ids, "meaning": meaning, "age": states.packed >> STANDING_BITS}
        )
        duck.register(name, table)
    try:
        return _ids(
            duck,
            "SELECT coalesce(a.member_id, b.member_id)::VARCHAR member_id FROM before b "
            "FULL JOIN after a ON a.member_id = b.member_id "
            "WHERE a.meaning IS DISTINCT FROM b.meaning OR a.age IS DISTINCT FROM b.age "
            "UNION SELECT member_id FROM erased_members",
        )
    finally:
        duck.unregister("before")
        duck.unregister("after")


def _ids(duck: duckdb.DuckDBPyConnection, query: str) -> pa.Array:
    return duck.sql(query).to_arrow_table()["member_id"].cast(pa.string()).combine_chunks()


def same_record_part(old: Cells, new: Cells) -> bool:
    """Whether a record's own part of the decision is the same then and now, times apart."""
    if old.contexts != new.contexts:
        return False
    for country in new.profile_of:
        mine, its = new.profile_of[country], old.profile_of[country]
        law, former = new.in_force.jurisdiction(country), old.in_force.jurisdiction(country)
        if law is None or former is None:
            return False
        if (
            not (new.what[mine] == old.what[its]).all()
            or not (new.when[mine] == old.when[its]).all()
        ):
            return False
        if [r.earliest_at for r in law.rules] != [r.earliest_at for r in former.rules]:
            return False
    return True


def any_time_between(
    duck: duckdb.DuckDBPyConnection, content: Table, one: datetime, other: datetime
) -> bool:
    """Whether a record was written, seen or deleted after one instant and not after the other."""
    low, high = sorted((one, other))
    between = " OR ".join(
        f"({content.instant(name)} > TIMESTAMP '{low:%Y-%m-%d %H:%M:%S.%f}' "
        f"AND {content.instant(name)} <= TIMESTAMP '{high:%Y-%m-%d %H:%M:%S.%f}')"
        for name in TIMES
    )
    query = f"SELECT count(*) FROM {content.sql} WHERE {between}"
    ((rows,),) = duck.sql(query).fetchall()
    return bool(rows)
