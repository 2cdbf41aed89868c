"""Service clients: jobs of the platform that use the API, each with scopes of its own.

Promises: a client's secret is shown once and kept as a digest; a token lasts ten minutes and
ends with its client at once; a token never gives more than its client has. Names no member.

Tables: `web_client`, one row per client; `web_token`, one row per token.

Source: RFC 6749, section 4.4; RFC 6750.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from sayso.errors import InputError
from sayso.ledger.store import Ledger
from sayso.web.access import Caller, Scope
from sayso.web.problems import NotSignedInError
from sayso.web.sealed import metadata, new_secret

TOKEN_SECONDS = 600
TITLE_LETTERS = 100

client = sa.Table(
    "web_client",
    metadata,
    sa.Column("client_id", sa.String(40), primary_key=True),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("secret", sa.LargeBinary(32), nullable=False),
    sa.Column("scopes", sa.String(1000), nullable=False),
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("revoked_us", sa.BigInteger),
)
token = sa.Table(
    "web_token",
    metadata,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("client_id", sa.String(40), sa.ForeignKey(client.c.client_id), nullable=False),
    sa.Column("scopes", sa.String(1000), nullable=False),
    sa.Column("expires_us", sa.BigInteger, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Client:
    """One service client; its secret is known to itself alone."""

    client_id: str
    title: str
    scopes: frozenset[Scope]
    made_us: int
    revoked_us: int | None


@dataclass(frozen=True, slots=True)
class Clients:
    """The service clients of one workspace."""

    ledger: Ledger

    def add(self, title: str, scopes: Collection[Scope], now_us: int) -> tuple[str, str]:
        """Make a client; return its id and its secret, which nobody can read again.

        Raises:
            InputError: The title is none that a list can show in a line, or there is no scope.
        """
        _need_title(title)
        if not scopes:
            raise _no_scope()
        client_id, secret = secrets.token_hex(8), new_secret()
        row = {
            "client_id": client_id, "title": title, "secret": _digest(secret),
            "scopes": " ".join(sorted(scopes)), "made_us": now_us,
        }  # fmt: skip
        with self.ledger.writing() as con:
            con.execute(sa.insert(client).values(row))
        return client_id, secret

    def all(self) -> list[Client]:
        """Return every client, the oldest first."""
        with self.ledger.reading() as con:
            rows = con.execute(sa.select(client).order_by(client.c.made_us)).mappings().all()
        return [
            Client(
                row["client_id"], row["title"], _scopes(row["scopes"]), row["made_us"],
                row["revoked_us"],
            )
            for row in rows
        ]  # fmt: skip

    def revoke(self, client_id: str, now_us: int) -> None:
        """End a client and every token of it, at once.

        Raises:
            InputError: There is no such client.
        """
        with self.ledger.writing() as con:
            done = con.execute(
                sa.update(client)
                .where(client.c.client_id == client_id, client.c.revoked_us.is_(None))
                .values(revoked_us=now_us)
            )
            con.execute(sa.delete(token).where(token.c.client_id == client_id))
        if not done.rowcount:
            raise InputError(f"no client '{client_id}'", hint="see 'sayso client list'")

    def give_token(
        self, client_id: str, secret: str, wanted: str | None, now_us: int
    ) -> tuple[str, frozenset[Scope]]:
        """Return a token of a client, and what it gives.

        Args:
            client_id: Whose.
            secret: The client's.
            wanted: Scopes with spaces between them; None for all that the client has.
            now_us: The present.

        Raises:
            NotSignedInError: There is no such client with this secret.
            InputError: The client has not every scope that it asks for.
        """
        query = sa.select(client.c.secret, client.c.scopes).where(
            client.c.client_id == client_id, client.c.revoked_us.is_(None)
        )
        with self.ledger.reading() as con:
            found = con.execute(query).first()
        # Compared also where there is no client, so that time tells nothing of ids.
        kept = bytes(found.secret) if found else bytes(32)
        if not hmac.compare_digest(kept, _digest(secret)) or found is None:
            raise NotSignedInError("no client with this id and secret", hint="check both")
        has = _scopes(found.scopes)
        asked = has if wanted is None else read_scopes(wanted)
        if not asked <= has:
            raise InputError("the client has not every scope that it asks for", hint="ask for less")
        made = new_secret()
        row = {
            "digest": _digest(made), "client_id": client_id, "scopes": " ".join(sorted(asked)),
            "expires_us": now_us + TOKEN_SECONDS * 1_000_000,
        }  # fmt: skip
        with self.ledger.noting() as con:
            con.execute(sa.delete(token).where(token.c.expires_us <= now_us))
            con.execute(sa.insert(token).values(row))
        return made, asked

    def caller_of(self, given: str, now_us: int) -> Caller:
        """Return the client whose token this is.

        Raises:
            NotSignedInError: It is none, or none any more.
        """
        query = sa.select(token.c.client_id, token.c.scopes).where(
            token.c.digest == _digest(given), token.c.expires_us > now_us
        )
        with self.ledger.reading() as con:
            found = con.execute(query).first()
        if found is None:
            raise NotSignedInError("the token is none that is valid", hint="ask for a new one")
        return Caller(subject=found.client_id, scopes=_scopes(found.scopes), is_client=True)


def _digest(secret: str) -> bytes:
    # 32 random bytes: nobody tries them all, and so no slow hash is needed.
    return hashlib.sha256(secret.encode()).digest()


def _need_title(title: str) -> None:
    # Line ends and what steers a terminal would let one title forge the lines of others.
    if not (title.strip() and len(title) <= TITLE_LETTERS and title.isprintable()):
        raise InputError(
            "the title of a client is not one line of words",
            hint=f"give 1 to {TITLE_LETTERS} printable characters",
        )


def _no_scope() -> InputError:
    return InputError("no scope is named", hint="name at least one; see the API's document")


def _scopes(text: str) -> frozenset[Scope]:
    return frozenset(Scope(name) for name in text.split())


def read_scopes(text: str) -> frozenset[Scope]:
    """Return scopes from words with spaces between them.

    Raises:
        InputError: One is none of ours, or there is none.
    """
    try:
        found = _scopes(text)
    except ValueError:
        raise InputError(
            "one of the scopes is none of ours", hint="see the API's document"
        ) from None
    if not found:
        raise _no_scope()
    return found
