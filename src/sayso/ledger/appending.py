"""How choices become entries: many in one transaction, one path for one and for many.

Promises: what is returned as a receipt is durable; indexes follow the order of the choices,
without a gap; an erased member's choice is refused alone, and the others become entries.
Where it raises, nothing is acknowledged.

With SQLite, a transaction under the writers' lock. With PostgreSQL one round trip: the
transaction takes the lock and commits without waiting for the disk, which releases the lock;
then a tiny one waits for the disk. A lock that is held while the disk flushes would have the
server flush once for each worker; so it flushes once for all that wait. Between the two, others
see entries that are not durable yet: `Ledger.flush` is for whoever publishes.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sayso.canonical import commit
from sayso.errors import InputError, RefusedError, SaysoError
from sayso.ledger import schema
from sayso.ledger.entries import NewChoice, Receipt
from sayso.ledger.keys import KEY_BYTES

if TYPE_CHECKING:
    from sayso.ledger.store import Ledger

Outcome = Receipt | SaysoError

# Bound parameters of one statement of SQLite; its own limit is 32,766 (sqlite.org/limits.html).
SQLITE_TERMS = 5_000

_COLUMNS = (
    "purpose", "choice", "effective_us", "recorded_us", "country", "channel", "setting_version",
    "claimed_us",
)  # fmt: skip
_KINDS = ("text", "text", "bigint", "bigint", "text", "text", "text", "bigint")

_INSERT = (
    f'INSERT INTO {schema.entry.name} ("index", kind, member_id, {", ".join(_COLUMNS)}, '
    f"commitment) VALUES (?, 'choice', ?, {', '.join('?' for _ in _COLUMNS)}, ?)"
)

# In PostgreSQL one statement does it all: its snapshot is taken after the lock. What is looked
# up, row by row and by a primary key, stays cheap however much is erased.
_GIVEN = (
    "n int, member_id text, tag text, fresh text, bucket int, canonical text, "
    + ", ".join(map(" ".join, zip(_COLUMNS, _KINDS, strict=True)))
)  # fmt: skip
_BATCH = f"""
WITH given AS (
  SELECT *, (SELECT key FROM {schema.member_key.name} k WHERE k.member_id = g.member_id) AS own
  FROM json_to_recordset($1) AS g({_GIVEN})
  WHERE (SELECT entry FROM {schema.erased.name} e WHERE e.tag = decode(g.tag, 'hex')) IS NULL
), standing AS MATERIALIZED (
  SELECT *, row_number() OVER (ORDER BY n) - 1 AS place,
  sha256(coalesce(own, decode(fresh, 'hex')) || convert_to(canonical, 'UTF8')) AS commitment
  FROM given
), made AS (
  INSERT INTO {schema.member_key.name} (member_id, key, bucket)
  SELECT DISTINCT ON (member_id) member_id, decode(fresh, 'hex'), bucket FROM standing
  WHERE own IS NULL ORDER BY member_id
), counted AS (
  UPDATE {schema.head.name} SET size = size + rows
  FROM (SELECT count(*) AS rows FROM standing) AS c RETURNING size - rows AS first
), stored AS (
  INSERT INTO {schema.entry.name} ("index", kind, member_id, {", ".join(_COLUMNS)}, commitment)
  SELECT first + place, 'choice', member_id, {", ".join(_COLUMNS)}, commitment
  FROM standing, counted
)
SELECT n, first + place, commitment FROM standing, counted
"""
_PREPARE = f"PREPARE sayso_append (json) AS {_BATCH}"
# Writes a few bytes to the log and no table; whoever commits them waits for all before them.
FLUSH = "SELECT pg_logical_emit_message(true, 'sayso', '')"
# One message to the server. What comes after COMMIT is a transaction of its own.
_MESSAGE = (
    "BEGIN; SELECT set_config('synchronous_commit', 'off', true), "
    f"pg_advisory_xact_lock({schema.LOCK}); EXECUTE sayso_append ({{}}); COMMIT; {FLUSH}"
)
_ANSWER = 2  # the statement of the message whose rows are wanted


def append_choices(
    ledger: "Ledger", choices: Sequence[NewChoice], con: sa.Connection | None = None
) -> list[Outcome]:
    """Append choices, durably; return for each its receipt, or why it was refused.

    Args:
        ledger: Where to.
        choices: In the order of their indexes.
        con: A connection of `holding`; None: one for this call.

    Raises:
        InputError: The database cannot hold a value, and there is only one choice.
        UnavailableError: The database did not answer; what it holds of them is unknown.
    """
    if not choices:
        return []
    try:
        if ledger.engine.dialect.name != "postgresql":
            with ledger.writing() as own:
                return _through_sqlite(ledger, own, choices)
        if con is not None:
            with ledger.told():
                return _through_postgresql(ledger, con, choices)
        with holding(ledger) as made:
            return _through_postgresql(ledger, made, choices)
    except InputError:
        if len(choices) == 1:
            raise
    # Nothing was taken; each again by itself, so that one bad value harms nobody else.
    return [_alone(ledger, one) for one in choices]


def _alone(ledger: "Ledger", choice: NewChoice) -> Outcome:
    try:
        return append_choices(ledger, [choice])[0]
    except InputError as error:
        return error


@contextmanager
def holding(ledger: "Ledger") -> Iterator[sa.Connection]:
    """Give a connection that `append_choices` uses again and again."""
    with ledger.told(), ledger.engine.connect() as con:
        if con.dialect.name == "postgresql":
            con.execution_options(isolation_level="AUTOCOMMIT")
        yield con


def _refused() -> RefusedError:
    return RefusedError("the member was erased", hint="their choices are refused for ever")


def _fresh(choices: Sequence[NewChoice]) -> dict[str, bytes]:
    """Return a key for every member, for those who have none."""
    ids = list(dict.fromkeys(one.member_id for one in choices))
    joined = os.urandom(KEY_BYTES * len(ids))
    return {
        who: joined[KEY_BYTES * place : KEY_BYTES * (place + 1)] for place, who in enumerate(ids)
    }


# ---- PostgreSQL -------------------------------------------------------------------------


def _through_postgresql(
    ledger: "Ledger", con: sa.Connection, choices: Sequence[NewChoice]
) -> list[Outcome]:
    driver: Any = con.connection.driver_connection
    # No parameters, so that all of it goes as one message.
    message = _MESSAGE.format(_literal(driver, _given(ledger, choices)))
    try:
        try:
            rows = _sent(con, driver, message)
        except driver_errors().InvalidSqlStatementName:
            # The driver forgets everything prepared after some rollbacks (DEALLOCATE ALL). Then
            # nothing was appended, since EXECUTE failed before COMMIT.
            driver.rollback()
            con.connection.info.pop(_PREPARE, None)
            rows = _sent(con, driver, message)
    except BaseException:
        # Nobody knows how far it came: the connection, and all that it holds, goes.
        con.invalidate()
        raise
    found = {int(n): Receipt(int(index), bytes(commitment)) for n, index, commitment in rows}
    return [found.get(place) or _refused() for place in range(len(choices))]


def _sent(con: sa.Connection, driver: Any, message: str) -> list[Any]:
    """Send the message, after what it executes was prepared; return the rows of the batch."""
    if not con.connection.info.get(_PREPARE):
        driver.execute("SELECT 1")  # what the driver put off, it does now
        driver.execute(_PREPARE)
        con.connection.info[_PREPARE] = True
    with driver.cursor() as cursor:
        cursor.execute(message)
        for _ in range(_ANSWER):
            cursor.nextset()
        rows: list[Any] = cursor.fetchall()
    return rows


def driver_errors() -> Any:
    """Return the driver's errors; it is of the extra `server`, and not loaded with the core."""
    from psycopg import errors  # noqa: PLC0415

    return errors


def _given(ledger: "Ledger", choices: Sequence[NewChoice]) -> str:
    """Return the rows that `_BATCH` takes, as JSON."""
    fresh = _fresh(choices)
    rows = [
        {
            "n": place, "member_id": one.member_id, "fresh": fresh[one.member_id].hex(),
            "tag": ledger.keys.tag_of(one.member_id).hex(),
            "bucket": ledger.keys.bucket_of(one.member_id), "canonical": one.canonical.decode(),
            "purpose": one.purpose, "choice": one.choice, "effective_us": one.effective_us,
            "recorded_us": one.recorded_us, "country": one.country, "channel": one.channel,
            "setting_version": one.setting_version, "claimed_us": one.claimed_us,
        }
        for place, one in enumerate(choices)
    ]  # fmt: skip
    return json.dumps(rows, ensure_ascii=False)


def _literal(driver: Any, text: str) -> str:
    """Return text as a SQL literal, as libpq escapes it. Source: PQescapeLiteral."""
    from psycopg.pq import Escaping  # noqa: PLC0415  of the extra `server`

    return bytes(Escaping(driver.pgconn).escape_literal(text.encode())).decode()


# ---- SQLite -----------------------------------------------------------------------------


def _through_sqlite(
    ledger: "Ledger", con: sa.Connection, choices: Sequence[NewChoice]
) -> list[Outcome]:
    tags = {one.member_id: ledger.keys.tag_of(one.member_id) for one in choices}
    erased = {
        bytes(tag)
        for (tag,) in _among(con, f"SELECT tag FROM {schema.erased.name} WHERE tag", tags.values())
    }
    standing = [one for one in choices if tags[one.member_id] not in erased]
    keys = _keys(ledger, con, standing)
    index = ledger.reserve(con, len(standing)) if standing else 0
    outcomes: list[Outcome] = []
    rows = []
    for one in choices:
        if tags[one.member_id] in erased:
            outcomes.append(_refused())
            continue
        commitment = commit(keys[one.member_id], one.canonical)
        rows.append((index, one.member_id, *(getattr(one, name) for name in _COLUMNS), commitment))
        outcomes.append(Receipt(index, commitment))
        index += 1
    if rows:
        con.exec_driver_sql(_INSERT, rows)
    return outcomes


def _keys(ledger: "Ledger", con: sa.Connection, choices: Sequence[NewChoice]) -> dict[str, bytes]:
    """Return the key of every member, those missing made."""
    table = schema.member_key.name
    keys = _fresh(choices)
    found = _among(con, f"SELECT member_id, key FROM {table} WHERE member_id", keys)
    own = {str(who): bytes(key) for who, key in found}
    made = [(who, key, ledger.keys.bucket_of(who)) for who, key in keys.items() if who not in own]
    if made:
        con.exec_driver_sql(f"INSERT INTO {table} (member_id, key, bucket) VALUES (?, ?, ?)", made)
    return keys | own


def _among(con: sa.Connection, select: str, values: Any) -> list[Any]:
    """Return the rows of a SELECT that ends before `IN`."""
    given = list(values)
    found: list[Any] = []
    for start in range(0, len(given), SQLITE_TERMS):
        part = tuple(given[start : start + SQLITE_TERMS])
        marks = ", ".join("?" for _ in part)
        found += con.exec_driver_sql(f"{select} IN ({marks})", part).all()
    return found
