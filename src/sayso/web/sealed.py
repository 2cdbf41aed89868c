"""What the service keeps for itself, sealed: sessions, sign-ins under way, answers to repeat.

Promises: a row is found by the digest of its owner's secret and opened with a key derived
from that secret, neither of which is kept; so no file of the workspace names the member whose
session it is, and an erasure has nothing to look for. What has expired is never given out.
Clients, webhooks and proposals, which name no member, stand beside it in the clear.

Tables: `web_sealed`, one row per thing kept; see `docs/formats.md`.
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy.dialects import postgresql, sqlite

from sayso.ledger.store import Ledger

SECRET_BYTES = 32

metadata = sa.MetaData()
sealed = sa.Table(
    "web_sealed",
    metadata,
    sa.Column("name", sa.LargeBinary(32), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("box", sa.LargeBinary, nullable=False),
    sa.Column("expires_us", sa.BigInteger, nullable=False, index=True),
)


def make_tables(ledger: Ledger) -> None:
    """Make the tables of the service, where they are not there."""
    with ledger.writing() as con:
        metadata.create_all(con)


def new_secret() -> str:
    """Return a secret that nobody guesses, as text for a cookie."""
    return secrets.token_urlsafe(SECRET_BYTES)


def derived(secret: str, what: str) -> bytes:
    """Return 32 bytes that follow from a secret, other bytes for each use."""
    return hmac.digest(secret.encode(), f"sayso/web/{what}/v1".encode(), "sha256")


def _name(secret: str, kind: str) -> bytes:
    return hashlib.sha256(derived(secret, f"{kind}-name")).digest()


def _box(secret: str, kind: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derived(secret, f"{kind}-box")))


@dataclass(frozen=True, slots=True)
class Sealed:
    """The sealed rows of one kind.

    Attributes:
        ledger: In whose database they stand.
        kind: A short name; keeps kinds apart though a secret were the same.
    """

    ledger: Ledger
    kind: str

    def put(self, secret: str, value: dict[str, Any], *, now_us: int, lasts_us: int) -> bool:
        """Keep a value; return whether nothing was kept under this secret before.

        Takes away whatever has expired by then, of any kind.
        """
        row = {
            "name": _name(secret, self.kind), "kind": self.kind, "expires_us": now_us + lasts_us,
            "box": _box(secret, self.kind).encrypt(json.dumps(value).encode()),
        }  # fmt: skip
        with self.ledger.noting() as con:
            con.execute(sa.delete(sealed).where(sealed.c.expires_us <= now_us))
            insert = postgresql.insert if con.dialect.name == "postgresql" else sqlite.insert
            made = insert(sealed).values(row).on_conflict_do_nothing().returning(sealed.c.kind)
            return con.execute(made).first() is not None

    def replace(self, secret: str, value: dict[str, Any], *, expires_us: int | None = None) -> None:
        """Put another value in the place of one that is kept, until then or as long as it."""
        with self.ledger.noting() as con:
            self.replace_with(con, secret, value, expires_us=expires_us)

    def replace_with(
        self, con: sa.Connection, secret: str, value: dict[str, Any], *,
        expires_us: int | None = None,
    ) -> None:  # fmt: skip
        """Do the same within a transaction that writes more."""
        box = _box(secret, self.kind).encrypt(json.dumps(value).encode())
        name = _name(secret, self.kind)
        change = sa.update(sealed).where(sealed.c.name == name).values(box=box)
        if expires_us is not None:
            change = change.values(expires_us=expires_us)
        con.execute(change)

    def get(self, secret: str, now_us: int) -> dict[str, Any] | None:
        """Return what is kept under a secret; None for nothing, or nothing any more."""
        query = sa.select(sealed.c.box).where(
            sealed.c.name == _name(secret, self.kind), sealed.c.expires_us > now_us
        )
        with self.ledger.reading() as con:
            box = con.execute(query).scalar()
        if box is None:
            return None
        try:
            found = json.loads(_box(secret, self.kind).decrypt(bytes(box)))
        except (InvalidToken, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def drop(self, secret: str) -> None:
        """Take away what is kept under a secret."""
        with self.ledger.noting() as con:
            con.execute(sa.delete(sealed).where(sealed.c.name == _name(secret, self.kind)))

    def take(self, secret: str, now_us: int) -> dict[str, Any] | None:
        """Return what is kept, and take it away: it is given out once."""
        found = self.get(secret, now_us)
        if found is None:
            return None
        with self.ledger.noting() as con:
            mine = sealed.c.name == _name(secret, self.kind)
            gone = con.execute(sa.delete(sealed).where(mine).returning(sealed.c.kind)).first()
        return None if gone is None else found
