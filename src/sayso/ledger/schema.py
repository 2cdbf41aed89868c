"""The tables of the ledger's head, and the steps that brought them there.

Promises: `migrate` is safe with several processes at once and does nothing when up to date.

`head` has one row: the size. `entry` has one row per entry that is not in a segment.
`segment` has one row per immutable file, with its index range. `table` has one row per
version of a table: what is not published with its entry. `member_key` has one row per
member. `erased` has one row per erased member: a keyed tag, never an id. `erasure_work` has
one row per erasure that is not finished. `snapshot` has one row per folder in which a
snapshot was made, or is being made. `checkpoint` has one row: the last one that was signed.
`kept` has one row per thing that a member gave to the assistant, or to an officer as a reason,
encrypted until it is deleted. `read` has one row per answer of the service that told somebody
else something about a member.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sayso.errors import UnavailableError

if TYPE_CHECKING:
    from sayso.ledger.store import Ledger

# "sayso" in ASCII; the advisory lock that PostgreSQL's writers share.
LOCK = 0x736179736F
# The one that whoever signs checkpoints holds.
INTEGRATE_LOCK = LOCK + 1

metadata = sa.MetaData()

head = sa.Table(
    "sayso_head",
    metadata,
    sa.Column("one", sa.Integer, sa.CheckConstraint("one = 1"), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    # How often an erasure or retention put files in the place of others.
    sa.Column("rewritten", sa.BigInteger, nullable=False),
    # How often something of `kept` was deleted, which is no entry.
    sa.Column("deletions", sa.BigInteger, nullable=False),
)
entry = sa.Table(
    "sayso_entry",
    metadata,
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False, index=True),
    sa.Column("member_id", sa.Text, index=True),
    sa.Column("purpose", sa.Text),
    sa.Column("choice", sa.Text),
    sa.Column("effective_us", sa.BigInteger),
    sa.Column("recorded_us", sa.BigInteger, nullable=False),
    sa.Column("country", sa.Text),
    sa.Column("channel", sa.Text),
    sa.Column("setting_version", sa.Text),
    sa.Column("claimed_us", sa.BigInteger),
    sa.Column("payload", sa.Text),
    sa.Column("commitment", sa.LargeBinary(32), nullable=False),
)
segment = sa.Table(
    "sayso_segment",
    metadata,
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("span", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    # The keyed digest of the file that it came from; null for what came from the head.
    sa.Column("source", sa.Text, unique=True),
    sa.Column("recorded_us", sa.BigInteger, nullable=False),
)
table = sa.Table(
    "sayso_table",
    metadata,
    sa.Column("entry", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    # As the entry holds it.
    sa.Column("root", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    # Whether every member has one row, which counts always.
    sa.Column("single", sa.Boolean, nullable=False),
    # The keyed digest of the file that it came from.
    sa.Column("source", sa.Text, nullable=False),
    # Since when its rows are deleted by retention; null: they stand.
    sa.Column("expired_us", sa.BigInteger),
)
member_key = sa.Table(
    "sayso_member_key",
    metadata,
    sa.Column("member_id", sa.Text, primary_key=True),
    sa.Column("key", sa.LargeBinary(32), nullable=False),
    sa.Column("bucket", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
erased = sa.Table(
    "sayso_erased",
    metadata,
    sa.Column("tag", sa.LargeBinary(32), primary_key=True),
    # The index of the erasure's entry.
    sa.Column("entry", sa.BigInteger, nullable=False),
)
erasure_work = sa.Table(
    "sayso_erasure_work",
    metadata,
    sa.Column("tag", sa.LargeBinary(32), primary_key=True),
    # Where to look; null: in every bucket.
    sa.Column("bucket", sa.Integer),
    # Whether all is done but what others hold at the moment.
    sa.Column("waiting", sa.Boolean, nullable=False),
)
snapshot = sa.Table(
    "sayso_snapshot",
    metadata,
    # Relative to the workspace, so that both can move together.
    sa.Column("path", sa.Text, primary_key=True),
    # The index of the snapshot's entry, and its manifest's digest; null: it is being made.
    sa.Column("entry", sa.BigInteger),
    sa.Column("manifest", sa.Text),
    # Whether erasures may have missed it.
    sa.Column("behind", sa.Boolean, nullable=False),
)

checkpoint = sa.Table(
    "sayso_checkpoint",
    metadata,
    sa.Column("one", sa.Integer, sa.CheckConstraint("one = 1"), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("root", sa.LargeBinary(32), nullable=False),
    sa.Column("note", sa.LargeBinary, nullable=False),
)

kept = sa.Table(
    "sayso_kept",
    metadata,
    sa.Column("kept_id", sa.Text, primary_key=True),
    # What it is: an exchange with the assistant, or the reason of an objection.
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("member_id", sa.Text, nullable=False, index=True),
    sa.Column("kept_us", sa.BigInteger, nullable=False),
    # Null once it is deleted.
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("deleted_us", sa.BigInteger),
)

read = sa.Table(
    "sayso_read",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at_us", sa.BigInteger, nullable=False, index=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    # Of the member, under their key; null: of many, or of nobody known.
    sa.Column("tag", sa.LargeBinary(32), index=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)


def _first(con: sa.Connection) -> None:
    metadata.create_all(con)
    con.execute(sa.insert(head).values(one=1, size=0, version=0, rewritten=0, deletions=0))


# Step i brings version i to version i + 1; never edit one that was released.
STEPS: tuple[Callable[[sa.Connection], None], ...] = (_first,)


def migrate(ledger: "Ledger") -> None:
    """Bring the tables to the newest version.

    Raises:
        UnavailableError: The tables are newer than this program.
    """
    with ledger.reading() as con:
        if _version(con) == len(STEPS):
            return
    with ledger.writing() as con:
        version = _version(con)
        if version > len(STEPS):
            raise UnavailableError(
                f"the ledger has version {version}, this program knows {len(STEPS)}",
                hint="upgrade sayso",
            )
        if not version:
            ledger.keys.make_secrets()
        for step in STEPS[version:]:
            step(con)
        con.execute(sa.update(head).values(version=len(STEPS)))


def _version(con: sa.Connection) -> int:
    if not sa.inspect(con).has_table(head.name):
        return 0
    return int(con.execute(sa.select(head.c.version)).scalar_one())
