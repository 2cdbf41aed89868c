"""What members gave the assistant and what it gave back, until they delete it; and their reasons.

Promises: bytes stand encrypted, under a key that is derived from the member's own and from
the id, so that deleting the member's key deletes them in every copy; a member reaches their
own alone. What was deleted leaves its id, and nothing else, so that whatever learned from it
can be made to forget it; erasure takes the id as well. No entry of the ledger: nobody but
the member is to be shown it. Does not read what it keeps.

Example:
    >>> keep(ledger, "7", "c0ffee", b"words", kept_us)         # doctest: +SKIP
    >>> kept_of(ledger, "7")                                   # doctest: +SKIP
    [Kept(kept_id='c0ffee', kept_us=..., raw=b'words')]
"""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sayso.canonical import encode
from sayso.errors import ConflictError, IntegrityError, RefusedError
from sayso.ledger import schema
from sayso.ledger.store import Ledger

LABEL = "sayso/kept/v1"
# What is kept: a use of the assistant, or why a member objects, which no model is shown.
EXCHANGE, REASON = "exchange", "reason"
KEY_BYTES = 32
# Source: NIST SP 800-38D s8.2; random, and each key encrypts once.
NONCE_BYTES = 12
# Records that were made of what was kept; see `kept_id_of`.
RECORD = "assistant-{kept_id}-{part}"
_RECORD = re.compile(r"assistant-([^-]+)-[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that is kept.

    Attributes:
        kept_id: Its name; made at random, and says nothing.
        kept_us: Since when, microseconds since 1970.
        raw: The bytes as they were given.
    """

    kept_id: str
    kept_us: int
    raw: bytes = field(repr=False)


def keep(
    ledger: Ledger, member_id: str, kept_id: str, raw: bytes, kept_us: int, kind: str = EXCHANGE
) -> None:
    """Keep bytes for a member, durably.

    Raises:
        RefusedError: The member was erased.
        ConflictError: The id is taken.
    """
    column = schema.kept.c
    with ledger.writing() as con:
        if ledger.keys.is_erased(con, member_id):
            raise RefusedError("the member was erased", hint="nothing of theirs is kept")
        if con.execute(sa.select(column.kept_id).where(column.kept_id == kept_id)).first():
            raise ConflictError("something is kept under this id", hint="give another id")
        sealed = _seal(ledger.keys.ensure(con, member_id), kept_id, raw)
        con.execute(
            sa.insert(schema.kept).values(
                kept_id=kept_id, kind=kind, member_id=member_id, kept_us=kept_us, sealed=sealed
            )
        )


def kept_of(ledger: Ledger, member_id: str, kind: str = EXCHANGE) -> list[Kept]:
    """Return what is kept for a member, oldest first; nothing for whoever was erased."""
    return [one for _, one in _opened(ledger, member_id, kind)]


def kept_of_all(ledger: Ledger, kind: str = EXCHANGE) -> Iterator[tuple[str, Kept]]:
    """Yield (member, what is kept of a kind) of everybody, in the order of the ids."""
    yield from _opened(ledger, None, kind)


def _opened(ledger: Ledger, member_id: str | None, kind: str) -> list[tuple[str, Kept]]:
    kept, key = schema.kept.c, schema.member_key.c
    query = (
        sa.select(kept.member_id, kept.kept_id, kept.kept_us, kept.sealed, key.key)
        .join(schema.member_key, key.member_id == kept.member_id)
        .where(kept.sealed.is_not(None), kept.kind == kind)
        .order_by(kept.member_id, kept.kept_us, kept.kept_id)
    )
    if member_id is not None:
        query = query.where(kept.member_id == member_id)
    with ledger.reading() as con:
        rows = con.execute(query).all()
    return [
        (who, Kept(kept_id, int(kept_us), _open(bytes(own), kept_id, bytes(sealed))))
        for who, kept_id, kept_us, sealed, own in rows
    ]


def delete_kept(
    ledger: Ledger,
    member_id: str,
    ids: Collection[str] | None,
    deleted_us: int,
    kind: str = EXCHANGE,
) -> tuple[str, ...]:
    """Delete what is kept for a member; return the ids that stood.

    Args:
        ledger: Whose.
        member_id: Whose; nobody else's is deleted, whatever ids are given.
        ids: Which; None: all.
        deleted_us: When, microseconds since 1970.
        kind: Of which kind.
    """
    column = schema.kept.c
    chosen = sa.and_(column.member_id == member_id, column.sealed.is_not(None), column.kind == kind)
    if ids is not None:
        chosen = sa.and_(chosen, column.kept_id.in_(sorted(ids)))
    with ledger.writing() as con:
        found = con.execute(sa.select(column.kept_id).where(chosen).order_by(column.kept_id))
        gone = tuple(str(one) for one in found.scalars())
        con.execute(sa.update(schema.kept).where(chosen).values(sealed=None, deleted_us=deleted_us))
        con.execute(sa.update(schema.head).values(deletions=schema.head.c.deletions + 1))
    return gone


def size_and_deletions(ledger: Ledger) -> tuple[int, int]:
    """Return the ledger's size, and how often something was deleted, which is no entry.

    Whoever serves what learned from members looks again when either grew.
    """
    column = schema.head.c
    with ledger.reading() as con:
        size, deleted = con.execute(sa.select(column.size, column.deletions)).one()
    return int(size), int(deleted)


def deleted_kept(ledger: Ledger) -> frozenset[tuple[str, str]]:
    """Return (member, id) of everything that was deleted."""
    column = schema.kept.c
    query = sa.select(column.member_id, column.kept_id).where(column.sealed.is_(None))
    with ledger.reading() as con:
        return frozenset((str(who), str(kept_id)) for who, kept_id in con.execute(query))


def kept_id_of(record_id: str) -> str:
    """Return the id of what a record was made of; empty where it is no such record.

    Example:
        >>> kept_id_of(RECORD.format(kept_id="c0ffee", part="asked"))
        'c0ffee'
    """
    told = _RECORD.fullmatch(record_id)
    return told[1] if told else ""


def _key(own: bytes, kept_id: str) -> bytes:
    """Derive the key of one thing. Source: RFC 5869."""
    derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=encode(LABEL, kept_id))
    return derived.derive(own)


def _seal(own: bytes, kept_id: str, raw: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(_key(own, kept_id)).encrypt(nonce, raw, None)


def _open(own: bytes, kept_id: str, sealed: bytes) -> bytes:
    nonce, box = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return AESGCM(_key(own, kept_id)).decrypt(nonce, box, None)
    except InvalidTag:
        raise IntegrityError(
            "what is kept for a member cannot be read", hint="restore the ledger from backup"
        ) from None
