"""SHA-256 of many messages at once.

Promises: the digests of hashlib. Many messages go through DataFusion, whose SHA-256 uses the
processor's own instructions and holds no lock of Python; few go through hashlib, since a
query has a start of its own. Not part of the verifier, which needs neither.

Example:
    >>> sha256_of_each(pa.chunked_array([pa.array([b"a", b"b"])]))[:4].hex()
    'ca978112'
"""

import hashlib
import os

import pyarrow as pa

DIGEST_BYTES = 32
# Up to so many messages, the start of a query costs more than hashlib.
FEW_ROWS = 1 << 11
# The process in which DataFusion started its threads.
_started: list[int] = []


def is_worth_a_query(rows: int) -> bool:
    """Whether so many messages are better digested by `sha256_of_rows`.

    Never in a process that was forked from one that used it: the fork left DataFusion's
    threads behind, and would wait for them for ever.
    """
    if rows <= FEW_ROWS:
        return False
    if not _started:
        _started.append(os.getpid())
    return _started[0] == os.getpid()


def sha256_of_each(messages: pa.ChunkedArray) -> bytes:
    """Return the joined digests of messages, binary and without nulls."""
    if not is_worth_a_query(len(messages)):
        return b"".join([hashlib.sha256(one).digest() for one in messages.to_pylist()])
    (found,) = sha256_of_rows(pa.table({"message": messages}), "message")
    return found


def sha256_of_rows(table: pa.Table, *messages: str) -> list[bytes]:
    """Return the joined digests of every row, for each message.

    Args:
        table: The rows.
        messages: SQL of DataFusion over the table's columns, binary and never null.
    """
    # Here, and not above: most commands never come here, and it takes a quarter of a second.
    from datafusion import SessionConfig, SessionContext  # noqa: PLC0415

    # A context remembers every table that it was given: each call has its own.
    context = SessionContext(SessionConfig().with_target_partitions(1))
    context.from_arrow(table, "rows_here")
    digests = ", ".join(f"sha256({one}) d{place}" for place, one in enumerate(messages))
    found = context.sql(f"SELECT {digests} FROM rows_here").to_arrow_table()
    return [b"".join(map(_joined, column.chunks)) for column in found.columns]


def _joined(digests: pa.BinaryArray) -> memoryview:
    start = digests.offset * DIGEST_BYTES  # each is as long, and none is null
    return memoryview(digests.buffers()[2])[start : start + len(digests) * DIGEST_BYTES]
