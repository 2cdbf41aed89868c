"""The fold of everybody: from rows, choices and notices to one standing per member, in SQL.

Promises: what `sayso.ledger.standing` says of each member, for millions, without rows
passing through Python. Does not decide: notices are compared with bounds given as data.

An `on` or `off` packs into one number, instant first and protectiveness last, so that `max`
finds the choice that stands; members whose latest word is an `on` that may have been said
elsewhere are folded again, exactly, with the country of every `on`.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from sayso.ledger.rows import MEMBERS, NOTICES, member_columns, notice_columns
from sayso.ledger.standing import ALWAYS_US, NEVER_US
from sayso.ledger.store import Ledger
from sayso.ledger.versions import Version, version_at
from sayso.model import EVERY_PURPOSE, Country, Dated, permits_at, stops_at
from sayso.rulebook.civil import COUNTRIES, zones_of
from sayso.tables import Table, quoted

# Below every packed choice; a CASE that ends in 0 would beat instants before 1970.
NOTHING = "-9223372036854775808"
MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class NoticeBound:
    """What one rule asks of notices in one country."""

    country: Country
    since_us: int  # a notice served before does not count
    wait_us: int  # from the notice to the first admission


def load_tables(
    ledger: Ledger, duck: duckdb.DuckDBPyConnection, known: int, members: Table | None = None
) -> bool:
    """Leave views `member_table` and `notice_table` as of `known`.

    Args:
        ledger: Whose.
        duck: Where to.
        known: The size of the ledger to look at.
        members: A table that replaces the ingested one for this call.

    Returns:
        Whether every member has one row, which counts always.

    Raises:
        InputError: Retention deleted the rows that counted at `known`.
    """
    single = False
    if members is not None:
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE members_given AS SELECT {member_columns(members)} "
            f"FROM {members.sql}"
        )
        duck.execute(
            "CREATE OR REPLACE TEMP VIEW member_table AS FROM members_given "
            "WHERE member_id IS NOT NULL"
        )
        ((odd,),) = duck.sql(
            "SELECT (SELECT count(*) FROM member_table WHERE since_us IS NOT NULL OR since_day "
            "IS NOT NULL OR since_odd) "
            "+ (SELECT count(*) - count(DISTINCT member_id) FROM member_table)"
        ).fetchall()
        single = odd == 0
    else:
        version = version_at(ledger, MEMBERS, known)
        single = version is None or version.single
        _view(duck, "member_table", version, MEMBERS)
    _view(duck, "notice_table", version_at(ledger, NOTICES, known), NOTICES)
    return single


_EMPTY = {
    MEMBERS: member_columns(Table("", {})),
    NOTICES: notice_columns(Table("", {})),
}


def _view(duck: duckdb.DuckDBPyConnection, view: str, version: Version | None, kind: str) -> None:
    if version is None:
        empty = "NULL::VARCHAR AS member_id, " + _EMPTY[kind].split(" AS member_id, ", 1)[1]
        duck.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT {empty} WHERE false")
        return
    # A row without a member is an erased one.
    duck.execute(
        f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT * EXCLUDE (commitment) "
        f"FROM read_parquet({quoted(str(version.path))}) WHERE member_id IS NOT NULL"
    )


def load_choices(ledger: Ledger, duck: duckdb.DuckDBPyConnection, purpose: str, known: int) -> None:
    """Leave a view `choice_entries` (member_id, choice, us, country) as of `known`."""
    head, segments = ledger.choices(known)
    duck.register("head_choices", head)
    where = f"purpose IN ({quoted(purpose)}, '{EVERY_PURPOSE}')"
    columns = "member_id, choice, effective_us AS us, country"
    parts = [f"SELECT {columns} FROM head_choices WHERE {where}"] if head.num_rows else []
    for segment in segments:
        path = quoted(str(segment.path))
        cut = f" AND ordinal < {known - segment.first}" if segment.end > known else ""
        parts.append(f"SELECT {columns} FROM read_parquet({path}) WHERE {where}{cut}")
    union = " UNION ALL ".join(parts) or f"SELECT {columns} FROM head_choices"
    duck.execute(f"CREATE OR REPLACE TEMP VIEW choice_entries AS {union}")


def fold_members(duck: duckdb.DuckDBPyConnection, at_us: int, *, single: bool) -> None:
    """Leave table `member_rows` (bounds resolved) and `members_now` (what counts at `at`).

    `members_now`: one row per member known at `at`; member_id, country, born, status, null
    where unknown.
    """
    for name in ("members_now", "member_rows"):  # a view of one fold, a table of another
        _drop(duck, name)
    if single:
        duck.execute(
            "CREATE OR REPLACE TEMP VIEW members_now AS "
            "SELECT member_id, country, born, status FROM member_table"
        )
        duck.execute(
            f"CREATE OR REPLACE TEMP VIEW member_rows AS SELECT *, {ALWAYS_US}::BIGINT first_us, "
            f"{ALWAYS_US}::BIGINT last_us FROM member_table"
        )
        return
    _resolve_days(duck)
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE member_rows AS SELECT m.*, "
        f"CASE WHEN since_odd THEN {ALWAYS_US} WHEN m.since_day IS NOT NULL THEN d.first_us "
        f"ELSE coalesce(since_us, {ALWAYS_US}) END::BIGINT AS first_us, "
        f"CASE WHEN since_odd THEN {NEVER_US} WHEN m.since_day IS NOT NULL THEN d.last_us "
        f"ELSE coalesce(since_us, {ALWAYS_US}) END::BIGINT AS last_us "
        "FROM member_table m LEFT JOIN since_days d "
        "ON m.since_day = d.since_day AND m.country IS NOT DISTINCT FROM d.country"
    )
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE members_now AS "
        + _counting(
            f"SELECT member_id, {at_us}::BIGINT AS us "
            "FROM (SELECT DISTINCT member_id FROM member_rows)"
        )
    )


def _drop(duck: duckdb.DuckDBPyConnection, name: str) -> None:
    for kind in ("VIEW", "TABLE"):
        with suppress(duckdb.CatalogException):  # it is there as the other kind
            duck.execute(f"DROP {kind} IF EXISTS temp.{name}")


def _counting(moments: str) -> str:
    """SQL: the facts that count for each (member_id, us) of `moments`."""

    def agreed(column: str) -> str:
        return (
            f"CASE WHEN count({column}) = count(*) AND min({column}) = max({column}) "
            f"THEN min({column}) END AS {column}"
        )

    return (
        "SELECT member_id, us, "
        f"{agreed('country')}, {agreed('born')}, {agreed('status')} FROM ("
        "SELECT r.*, q.us, max(CASE WHEN last_us <= q.us THEN last_us END) "
        "OVER (PARTITION BY r.member_id, q.us) AS latest "
        f"FROM member_rows r JOIN ({moments}) q USING (member_id) WHERE first_us <= q.us) "
        "WHERE latest IS NOT NULL AND (last_us = latest OR last_us > us) GROUP BY member_id, us"
    )


def _resolve_days(duck: duckdb.DuckDBPyConnection) -> None:
    """Leave table `since_days`: the bounds of every civil `since`, in the row's country."""
    days: Sequence[tuple[str | None, date]] = duck.sql(
        "SELECT DISTINCT country, since_day FROM member_table WHERE since_day IS NOT NULL"
    ).fetchall()
    first, last = [], []
    for country, day in days:
        bound = Dated(day)
        zones = zones_of(Country(country)) if country in COUNTRIES else zones_of(Country(""))
        first.append(_us(stops_at(bound, zones).timestamp()))
        last.append(_us(permits_at(bound, zones).timestamp()))
    duck.register(
        "since_rows",
        pa.table(
            {
                "country": pa.array([country for country, _ in days], pa.string()),
                "since_day": pa.array([day for _, day in days], pa.date32()),
                "first_us": pa.array(first, pa.int64()),
                "last_us": pa.array(last, pa.int64()),
            }
        ),
    )
    duck.execute("CREATE OR REPLACE TEMP TABLE since_days AS FROM since_rows")
    duck.unregister("since_rows")


def _us(seconds: float) -> int:
    # Midnights are whole seconds, so that nothing is lost in the float.
    return int(seconds) * 1_000_000


def fold_choices(duck: duckdb.DuckDBPyConnection, at_us: int, *, single: bool) -> None:
    """Leave table `choices_now` (member_id, choice): what stands at `at`.

    `choice_entries`, `members_now` and `member_rows` must be there.
    """
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE said AS SELECT member_id, "
        "max(CASE choice WHEN 'off' THEN us * 4 + 2 WHEN 'on' THEN us * 4 + 1 "
        f"ELSE {NOTHING} END) AS said, "
        "bool_or(choice = 'on' AND country IS NOT NULL) AS placed, "
        "bool_or(choice = 'deferred') AS deferred "
        f"FROM choice_entries WHERE us <= {at_us} GROUP BY member_id"
    )
    # Where an `on` is the latest word, somebody may have said it elsewhere: always where a
    # country stands with it or rows are dated, and where the country now is unknown.
    elsewhere = (
        "SELECT s.member_id FROM said s LEFT JOIN members_now m USING (member_id) "
        f"WHERE s.said <> {NOTHING} AND s.said & 3 = 1 "
        + ("AND (s.placed OR m.country IS NULL)" if single else "")
    )
    duck.execute(f"CREATE OR REPLACE TEMP TABLE unsure AS {elsewhere}")
    ((unsure,),) = duck.sql("SELECT count(*) FROM unsure").fetchall()
    if unsure:
        _fold_exactly(duck, at_us)
    verdict = (
        f"CASE WHEN said <> {NOTHING} THEN CASE said & 3 WHEN 2 THEN 'off' ELSE 'on' END "
        "WHEN deferred THEN 'deferred' ELSE 'unset' END"
    )
    plain = f"SELECT member_id, {verdict} AS choice FROM said"
    if unsure:
        plain += (
            f" ANTI JOIN unsure USING (member_id) UNION ALL SELECT member_id, {verdict} FROM exact"
        )
    duck.execute(f"CREATE OR REPLACE TEMP TABLE choices_now AS {plain}")


def _fold_exactly(duck: duckdb.DuckDBPyConnection, at_us: int) -> None:
    """Fold the members of `unsure` with the country in which each `on` was said."""
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE entries AS SELECT c.* FROM choice_entries c "
        f"SEMI JOIN unsure USING (member_id) WHERE us <= {at_us}"
    )
    moments = "SELECT DISTINCT member_id, us FROM entries WHERE choice = 'on' AND country IS NULL"
    duck.execute(f"CREATE OR REPLACE TEMP TABLE lived AS {_counting(moments)}")
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE exact AS SELECT e.member_id, "
        "max(CASE WHEN choice = 'off' THEN e.us * 4 + 2 "
        "WHEN choice = 'on' AND coalesce(e.country, lived.country) = m.country THEN e.us * 4 + 1 "
        f"ELSE {NOTHING} END) AS said, bool_or(choice = 'deferred') AS deferred "
        "FROM entries e LEFT JOIN members_now m USING (member_id) "
        "LEFT JOIN lived ON lived.member_id = e.member_id AND lived.us = e.us GROUP BY e.member_id"
    )


def fold_notices(
    duck: duckdb.DuckDBPyConnection, purpose: str, at_us: int, bounds: Iterable[NoticeBound]
) -> None:
    """Leave table `notices_now` (member_id, notice): bit 0 none served, bit 1 still waiting.

    Members of countries without a bound have no row.
    """
    rows = list(bounds)
    duck.register(
        "notice_bounds",
        pa.table(
            {
                "number": pa.array(range(len(rows)), pa.int32()),
                "country": pa.array([row.country for row in rows], pa.string()),
                "since_us": pa.array([row.since_us for row in rows], pa.int64()),
                "wait_us": pa.array([row.wait_us for row in rows], pa.int64()),
            }
        ),
    )
    served = (
        "SELECT b.number, n.member_id, min(n.served_us) AS served_us FROM notice_table n "
        "JOIN members_now m USING (member_id) JOIN notice_bounds b USING (country) "
        f"WHERE n.purpose = {quoted(purpose)} AND n.outcome = 'delivered' "
        f"AND n.served_us <= {at_us} AND n.served_us >= b.since_us GROUP BY 1, 2"
    )
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE notices_now AS SELECT m.member_id, "
        "(bool_or(s.served_us IS NULL)::INTEGER + 2 * bool_or(coalesce("
        f"{at_us} - s.served_us < b.wait_us, false))::INTEGER)::TINYINT AS notice "
        f"FROM members_now m JOIN notice_bounds b USING (country) LEFT JOIN ({served}) s "
        "ON s.member_id = m.member_id AND s.number = b.number GROUP BY 1"
    )


def fold_standing(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    *,
    purpose: str,
    at_us: int,
    known: int,
    bounds: Iterable[NoticeBound],
    members: Table | None = None,
    others: Sequence[str] = (),
) -> pa.Table:
    """Return one row per member of whom anything is known, as of (at, known).

    Args:
        ledger: Whose.
        duck: A connection of `sayso.tables.connect`; keeps the folded tables.
        purpose: Choices for it, or for every purpose, count.
        at_us: The instant asked about, microseconds since 1970, UTC.
        known: The size of the ledger to look at.
        bounds: What rules in force ask of notices.
        members: Replaces the ingested table for this call, erasures apart.
        others: Relations in `duck` whose member ids may be of erased members.

    Returns:
        Columns of `sayso.decision.states.STANDING_SCHEMA`.
    """

    def fold() -> pa.Table:
        single = load_tables(ledger, duck, known, members)
        load_choices(ledger, duck, purpose, known)
        fold_members(duck, at_us, single=single)
        fold_choices(duck, at_us, single=single)
        fold_notices(duck, purpose, at_us, bounds)
        with ledger.reading() as con:
            ledger.keys.erased_among(con, duck, ["members_now", "choices_now", *others])
        return duck.sql(_STANDING).to_arrow_table()

    bounds = list(bounds)
    return ledger.steadily(fold)


_STANDING = (
    "SELECT coalesce(m.member_id, c.member_id) AS member_id, "
    "CASE WHEN m.member_id IS NULL THEN 1 ELSE 0 END::TINYINT AS presence, "
    "m.country, m.born, m.status, coalesce(c.choice, 'unset') AS choice, "
    "coalesce(n.notice, 0)::TINYINT AS notice "
    "FROM members_now m FULL JOIN choices_now c ON m.member_id = c.member_id "
    "LEFT JOIN notices_now n ON n.member_id = m.member_id "
    "WHERE coalesce(m.member_id, c.member_id) NOT IN (FROM erased_members) "
    "UNION ALL SELECT member_id, 2::TINYINT, NULL, NULL, NULL, 'unset', 0::TINYINT "
    "FROM erased_members"
)
