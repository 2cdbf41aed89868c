"""The members of a build with their keys: where their records go, and what is committed to.

Promises: everybody who stands, has a key and no erased member gets one again; a member's
ordinal is their place in the file of keys. Does not decide.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from sayso.decision.states import STANDING_BITS, MemberStates
from sayso.errors import ConflictError
from sayso.ledger.keys import Fetched
from sayso.ledger.store import Ledger
from sayso.model import REASONS, Reason
from sayso.snapshot.seal import key_matrix
from sayso.snapshot.standing import standing_bytes
from sayso.snapshot.tally import NO_BUCKET

STANDING_MASK = (1 << STANDING_BITS) - 1
ERASED_BIT = np.uint32(1 << REASONS.index(Reason.MEMBER_ERASED))


@dataclass(frozen=True)
class Keyed:
    """Every member who has a key.

    Attributes:
        keys: Shape (members, 32).
        codes: Index into `standings`, shape (members,).
        standings: Canonical bytes of each standing that occurs.
    """

    keys: npt.NDArray[np.uint8]
    codes: npt.NDArray[np.int32]
    standings: list[bytes]


def prepare_keys(
    ledger: Ledger,
    duck: duckdb.DuckDBPyConnection,
    states: MemberStates,
    erased: int,
    fetched: Fetched,
    path: Path,
) -> Keyed:
    """Leave table `states` (member_id, state, bucket, member), and the keys in a file.

    Args:
        ledger: Whose keys.
        duck: Where the table goes; holds what the fold left.
        states: Of every member.
        erased: How many were erased before the fold.
        fetched: The keys, as of a while ago.
        path: The NumPy file of keys, by ordinal, of those whose ids the content can hold.

    Raises:
        ConflictError: A member was erased since.
    """
    every = [states] if states.left is None else [states, states.left]
    for number, some in enumerate(every):
        stands = some.mask.take(some.packed & STANDING_MASK) & ERASED_BIT == 0
        rows = {"member_id": some.ids, "state": some.packed, "stands": stands}
        duck.register(f"state_rows_{number}", pa.table(rows))
    _ensure_keys(ledger, duck, len(every), erased, fetched)
    parts, codes = [], []
    standings: list[bytes] = []
    for number, some in enumerate(every):
        key, state = _keyed(duck, number)
        parts.append(key)
        codes.append((state & STANDING_MASK).astype(np.int32) + len(standings))
        standings += [
            standing_bytes(some.countries[country], mask)
            for country, mask in zip(some.country.tolist(), some.mask.tolist(), strict=True)
        ]
    np.save(path, parts[0])
    # A member without a key has no bucket: nothing of theirs was ever admitted.
    duck.execute(
        "CREATE OR REPLACE TEMP TABLE states AS SELECT member_id, state, bucket, member "
        f"FROM keyed_0 UNION ALL SELECT s.member_id, s.state, {NO_BUCKET}::SMALLINT, "
        "-1::INTEGER FROM state_rows_0 s ANTI JOIN keyed_0 USING (member_id)"
    )
    for number in range(len(every)):
        duck.unregister(f"state_rows_{number}")
        _drop(duck, f"keyed_{number}")
    for name in ("member_keys", "members_now", "choices_now", "notices_now", "said"):
        _drop(duck, name)
    return Keyed(np.concatenate(parts), np.concatenate(codes), standings)


def erased_meanwhile() -> ConflictError:
    """Return the error of a build during which somebody was erased."""
    return ConflictError("a member was erased while the snapshot was built", hint="build it again")


def _ensure_keys(
    ledger: Ledger, duck: duckdb.DuckDBPyConnection, tables: int, erased: int, fetched: Fetched
) -> None:
    """Leave every member's key as table `member_keys`, made where there was none."""
    wanted = " UNION ALL ".join(
        f"SELECT member_id::VARCHAR AS member_id FROM state_rows_{number} WHERE stands"
        for number in range(tables)
    )
    # Those of a table that replaces the ingested one may have no key yet.
    with ledger.writing() as con:
        if ledger.keys.count_erased(con) != erased:
            _need_nobody_erased(ledger, con, duck, wanted)
        ledger.keys.ensure_many(con, duck, wanted, fetched=fetched)


def _need_nobody_erased(
    ledger: Ledger, con: sa.Connection, duck: duckdb.DuckDBPyConnection, ids: str
) -> None:
    """INVARIANT: nobody who was erased since the fold is admitted, or gets a key again."""
    found = ledger.keys.erasures_among(con, duck, [f"({ids})"])
    if found is not None and found.num_rows:
        raise erased_meanwhile()


def _keyed(
    duck: duckdb.DuckDBPyConnection, number: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Leave table `keyed_<number>`; return the key and the state of each of its members.

    A member's ordinal is its place in both.
    """
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE keyed_{number} AS SELECT s.member_id, s.state, "
        "k.bucket, k.key, (row_number() OVER () - 1)::INTEGER AS member "
        f"FROM state_rows_{number} s JOIN member_keys k ON k.member_id = s.member_id::VARCHAR"
    )
    ordered = duck.sql(f"SELECT key, state FROM keyed_{number} ORDER BY member").to_arrow_table()
    return key_matrix(ordered["key"]), ordered["state"].to_numpy()


def _drop(duck: duckdb.DuckDBPyConnection, name: str) -> None:
    for kind in ("VIEW", "TABLE"):
        try:
            duck.execute(f"DROP {kind} IF EXISTS {name}")
        except duckdb.CatalogException:
            continue
