"""Webhooks: what is found in the ledger is told to whoever registered for it.

Promises: in the order of the ledger, at least once, whoever wrote it: the command line and
other workers as well. One that does not answer is asked again for three days, ever more rarely,
and what comes later waits; 410 ends it, and so do three days. No member's id is in what is
sent. An address inside our own network is refused when it is registered and again each time it
is used, and the connection goes to the very address that was looked at.

Each address is told by one worker at a time, in a turn of its own: an address that is slow
holds up neither what other workers tell others, nor anything once its worker is gone. What is
wrong with one registration is logged by its type, and those behind it are told all the same.

Tables: `web_webhook`, one row per registration, with how far it was told.

Source: Standard Webhooks 1.0, signature scheme v1.
"""

import base64
import json
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from threading import Event as Ended
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet
from standardwebhooks import Webhook

from sayso.errors import IntegrityError, SaysoError
from sayso.facts import instant_of
from sayso.ledger import schema
from sayso.ledger.store import Ledger, PublicEntry
from sayso.model import Hold
from sayso.publishing import published
from sayso.snapshot.manifest import iso
from sayso.tables import write_once
from sayso.web.outward import Answer, check_url, send
from sayso.web.problems import NotFoundError
from sayso.web.sealed import metadata
from sayso.web.turns import Turns

LOG = logging.getLogger(__name__)
SECRET_BYTES = 32
SECOND_US = 1_000_000
KEY_NAME = "webhooks.key"
# Waits between tries. Source: Standard Webhooks, "Retries and exponential backoff".
WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)
# Where it is ours that something is wrong: no try of the address, and not one every second.
FAULT_US = 60 * SECOND_US
GONE = 410
# Longest wait that an address may ask for.
MOST_WAIT = timedelta(days=1)


class Event(StrEnum):
    """What may be told."""

    HOLD_PLACED = "hold.placed"
    HOLD_LIFTED = "hold.lifted"
    RELEASE_MADE = "release.made"
    CHOICES_INGESTED = "choices.ingested"


hook = sa.Table(
    "web_webhook",
    metadata,
    sa.Column("webhook_id", sa.String(16), primary_key=True),
    sa.Column("owner", sa.String(500), nullable=False),
    sa.Column("url", sa.String(2000), nullable=False),
    sa.Column("events", sa.String(200), nullable=False),
    sa.Column("secret", sa.LargeBinary, nullable=False),
    sa.Column("made_us", sa.BigInteger, nullable=False),
    # What comes next: the index of an entry, and how much of it was told.
    sa.Column("index", sa.BigInteger, nullable=False),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_us", sa.BigInteger, nullable=False),
    sa.Column("disabled", sa.String(100)),
)


@dataclass(frozen=True, slots=True)
class Hook:
    """One registration."""

    webhook_id: str
    url: str
    events: frozenset[str]
    made_us: int
    disabled: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to tell: where in the ledger it was found, and what it is."""

    index: int
    part: int
    event: Event
    recorded_us: int
    data: Mapping[str, Any]

    def body(self) -> bytes:
        """Return what is sent."""
        told = {
            "type": str(self.event), "timestamp": iso(instant_of(self.recorded_us)),
            "data": {"entry": self.index, **self.data},
        }  # fmt: skip
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


# ---- registrations ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hooks:
    """The registrations of one workspace.

    Attributes:
        hosts: Names inside our own network that may be told all the same.
    """

    ledger: Ledger
    hosts: frozenset[str]

    def add(
        self, owner: str | None, url: str, events: frozenset[Event], now_us: int, *,
        replaces: str | None = None, note: Callable[[sa.Connection, str], None] | None = None,
    ) -> tuple[Hook, str]:  # fmt: skip
        """Register an address; return it and its secret.

        Args:
            owner: Whose registration it is.
            url: The address.
            events: What it is told.
            now_us: The time.
            replaces: A registration that goes in the same transaction, if it is there.
            note: Given the new id, writes more in that transaction.

        Raises:
            InputError: The address is none that may be told anything.
        """
        check_url(url, self.hosts)
        raw = os.urandom(SECRET_BYTES)
        made = Hook(secrets.token_hex(8), url, frozenset(map(str, events)), now_us, None)
        row = {
            "webhook_id": made.webhook_id, "owner": owner or "", "url": url,
            "events": " ".join(sorted(made.events)), "secret": _box(self.ledger).encrypt(raw),
            "made_us": now_us, "index": self.ledger.size(), "part": 0, "tries": 0, "next_us": 0,
            "disabled": None,
        }  # fmt: skip
        with self.ledger.writing() as con:
            if replaces is not None:
                mine = (hook.c.webhook_id == replaces, hook.c.owner == row["owner"])
                con.execute(sa.delete(hook).where(*mine))
            con.execute(sa.insert(hook).values(row))
            if note is not None:
                note(con, made.webhook_id)
        return made, "whsec_" + base64.b64encode(raw).decode()

    def all(self, owner: str | None = None) -> list[Hook]:
        """Return the registrations of an owner, or all."""
        query = sa.select(hook).order_by(hook.c.made_us, hook.c.webhook_id)
        if owner is not None:
            query = query.where(hook.c.owner == owner)
        with self.ledger.reading() as con:
            rows = con.execute(query).mappings().all()
        return [
            Hook(
                row["webhook_id"], row["url"], frozenset(row["events"].split()), row["made_us"],
                row["disabled"],
            )
            for row in rows
        ]  # fmt: skip

    def drop(self, owner: str | None, webhook_id: str) -> None:
        """Take a registration away.

        Raises:
            NotFoundError: The owner has none of this id.
        """
        query = sa.delete(hook).where(hook.c.webhook_id == webhook_id)
        if owner is not None:
            query = query.where(hook.c.owner == owner)
        with self.ledger.writing() as con:
            done = con.execute(query)
        if not done.rowcount:
            raise NotFoundError("there is no such webhook of yours", hint="list them")


def _box(ledger: Ledger) -> Fernet:
    """Return what secrets are sealed with.

    They must be had again to sign, and stand in the database and its backups only sealed.
    """
    path = ledger.folder / "keys" / KEY_NAME
    if not path.is_file():
        write_once(path, Fernet.generate_key())
    try:
        return Fernet(path.read_bytes())
    except (OSError, ValueError):
        raise IntegrityError(f"'keys/{KEY_NAME}' is damaged", hint="restore it") from None


# ---- what there is to tell --------------------------------------------------------------


def found_in(ledger: Ledger, first: int, end: int) -> Iterator[Told]:
    """Yield what there is to tell of the entries [first, end), in their order."""
    column, ranges = schema.entry.c, schema.segment.c
    entries = sa.select(column.index, column.kind, column.recorded_us, column.payload).where(
        column.kind.in_(("rulebook", "release")), column.index >= first, column.index < end
    )
    files = sa.select(ranges.first, ranges.rows, ranges.recorded_us).where(
        ranges.kind == "choices", ranges.first >= first, ranges.first < end
    )
    with ledger.reading() as con:
        rows = con.execute(entries).all()
        taken = con.execute(files).all()
    public = [PublicEntry(int(i), kind, int(us), json.loads(text)) for i, kind, us, text in rows]
    found = [
        Told(int(index), 0, Event.CHOICES_INGESTED, int(us), {"rows": int(count)})
        for index, count, us in taken
    ]
    for entry in public:
        found += _of_entry(ledger, entry)
    yield from sorted(found, key=lambda one: (one.index, one.part))


def _of_entry(ledger: Ledger, entry: PublicEntry) -> list[Told]:
    if entry.kind == "release":
        data = {name: entry.payload[name] for name in ("release", "run", "purpose")}
        return [Told(entry.index, 0, Event.RELEASE_MADE, entry.recorded_us, data)]
    before = {one.hold_id: one for one in published(ledger, entry.index).book.holds}
    changes: list[tuple[Event, Hold]] = []
    for now in published(ledger, entry.index + 1).book.holds:
        was = before.get(now.hold_id)
        if was is None:
            changes.append((Event.HOLD_PLACED, now))
        if now.lifted is not None and (was is None or was.lifted is None):
            changes.append((Event.HOLD_LIFTED, now))
    return [
        Told(entry.index, part, event, entry.recorded_us, _hold(one))
        for part, (event, one) in enumerate(changes)
    ]


def _hold(one: Hold) -> dict[str, Any]:
    return {
        "hold": one.hold_id,
        "scope": one.scope,
        "purposes": sorted(one.purposes),
        "from": str(one.begins) if one.begins else None,
        "lifted": str(one.lifted) if one.lifted else None,
        "placed_by": one.placed_by,
        "asked_by": one.asked_by or None,
        "ordered_by": one.ordered_by or None,
    }


# ---- delivering -------------------------------------------------------------------------


@dataclass
class Deliverer:
    """Tells what there is to tell; each address by one at a time, wherever it runs.

    Attributes:
        hosts: Names inside our own network that may be told all the same.
        turns: Of the worker that it runs in.
        post: Sends a body; tests bring their own.
        ended: Set when no further address is to be told.
    """

    ledger: Ledger
    hosts: frozenset[str]
    turns: Turns
    post: Any = send
    ended: Ended = field(default_factory=Ended)

    def deliver(self, clock_us: Callable[[], int]) -> int:
        """Tell whatever is due and nobody else is at; return how many were told.

        Args:
            clock_us: Asked anew for each address: those before it may have been slow, and who
                is told looks at the time in what it gets.
        """
        now_us = clock_us()
        with self.ledger.reading() as con:
            due = (
                con.execute(
                    sa.select(hook).where(
                        hook.c.disabled.is_(None), hook.c.next_us <= now_us,
                        hook.c.index < sa.select(schema.head.c.size).scalar_subquery(),
                    )
                )
                .mappings()
                .all()
            )  # fmt: skip
        told = 0
        for row in due:
            if self.ended.is_set():
                break
            try:
                with self.turns.take(f"webhook/{row['webhook_id']}") as is_mine:
                    told += self._deliver_to(row["webhook_id"], clock_us()) if is_mine else 0
            except Exception as error:  # noqa: BLE001  those behind it have their turn
                # By its type alone: a message may quote what nobody should read.
                LOG.warning("a webhook waits: %s", type(error).__name__)
                with suppress(Exception):  # it may be the database that does not answer
                    self._put_off(row["webhook_id"], clock_us() + FAULT_US)
        return told

    def _put_off(self, webhook_id: str, until_us: int) -> None:
        here = hook.c.webhook_id == webhook_id
        with self.ledger.writing() as con:
            con.execute(sa.update(hook).where(here).values(next_us=until_us))

    def _deliver_to(self, webhook_id: str, now_us: int) -> int:
        """Tell one address the next thing that it wants to know."""
        # Read again in our turn: whoever had it before may have told this, or failed to.
        query = sa.select(hook).where(hook.c.webhook_id == webhook_id)
        with self.ledger.reading() as con:
            found = con.execute(query).mappings().first()
        row = {} if found is None else dict(found)
        if not row or row["disabled"] is not None or row["next_us"] > now_us:
            return 0
        size, wanted, place = self.ledger.size(), row["events"].split(), (row["index"], row["part"])
        for told in found_in(self.ledger, row["index"], size):
            if (told.index, told.part) < place or told.event not in wanted:
                continue
            change = self._tell(row, told, now_us)
            self._note(row, change)
            return int("index" in change)
        self._note(row, {"index": size, "part": 0, "tries": 0})
        return 0

    def _tell(self, row: Mapping[str, Any], told: Told, now_us: int) -> dict[str, Any]:
        """Send one thing; return what changes about its registration."""
        body, moment = told.body(), instant_of(now_us)
        name = f"msg_{row['webhook_id']}_{told.index}_{told.part}"
        secret = _box(self.ledger).decrypt(bytes(row["secret"]))
        signature = Webhook(secret).sign(name, moment, body.decode())
        headers = {
            "content-type": "application/json", "webhook-id": name,
            "webhook-timestamp": str(now_us // SECOND_US), "webhook-signature": signature,
            "user-agent": "sayso-webhooks/1",
        }  # fmt: skip
        try:
            answer: Answer = self.post(row["url"], body, headers, self.hosts)
        except (SaysoError, OSError):
            answer = Answer(0, None)
        if 200 <= answer.status < 300:
            return {"index": told.index, "part": told.part + 1, "tries": 0, "next_us": 0}
        if answer.status == GONE:
            return {"disabled": "the address answered 410"}
        tries = row["tries"]
        if tries >= len(WAITS):
            return {"disabled": "the address did not take it for three days"}
        wait = WAITS[tries].total_seconds() * (0.8 + 0.4 * secrets.SystemRandom().random())
        if answer.retry_after_seconds is not None:
            wait = max(wait, min(answer.retry_after_seconds, MOST_WAIT.total_seconds()))
        return {"tries": tries + 1, "next_us": now_us + int(wait * SECOND_US)}

    def _note(self, row: Mapping[str, Any], change: dict[str, Any]) -> None:
        # Only where nobody came further meanwhile: the database may have ended our turn.
        here = [hook.c[name] == row[name] for name in ("webhook_id", "index", "part", "tries")]
        with self.ledger.writing() as con:
            con.execute(sa.update(hook).where(*here).values(change))
