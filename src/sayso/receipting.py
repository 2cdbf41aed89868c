"""Receipts: what one member said, as they said it, with the rules that were in force then.

Promises: everything follows from the ledger and the published rulebook as of the choice's own
entry; the same choice gets the same receipt, its proof apart. Tells an erased member's choices
to nobody: they are gone.

Example:
    >>> receipts_of(ledger, trust, "7")[0].to_bytes()       # doctest: +SKIP
    b'{"payload": ...'
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sayso.attest.dsse import Envelope
from sayso.attest.issue import ReceiptFacts, receipt_of
from sayso.attest.receipts import Receipt, sign_receipt, with_proof
from sayso.attest.trust import Trust
from sayso.canonical import encode
from sayso.errors import InputError
from sayso.facts import instant_of, standing_of_one
from sayso.ledger import schema
from sayso.ledger.integrate import published_note
from sayso.ledger.logged import prove_entry
from sayso.ledger.reads import receipt_tag
from sayso.ledger.store import Ledger
from sayso.log import parse_checkpoint_text, parse_note
from sayso.model import Choice, Country
from sayso.publishing import published
from sayso.tables import connect, quoted

ID_LABEL = "sayso/receipt/v1"


@dataclass(frozen=True, slots=True)
class Said:
    """One choice of one member, as its entry holds it.

    Attributes:
        effective_us: From when it counts, microseconds since 1970.
        claimed_us: What was claimed, where another instant counts.
    """

    index: int
    purpose: str
    choice: Choice
    effective_us: int
    recorded_us: int
    country: str | None
    channel: str | None
    setting_version: str | None
    claimed_us: int | None
    commitment: bytes


_COLUMNS = (
    "purpose", "choice", "effective_us", "recorded_us", "country", "channel", "setting_version",
)  # fmt: skip


def choices_of(ledger: Ledger, who: str, known: int) -> list[Said]:
    """Return every choice of a member below `known`, in the order of the ledger."""
    return ledger.steadily(lambda: _choices(ledger, who, known))


def _choices(ledger: Ledger, who: str, known: int) -> list[Said]:
    head, segments = ledger.choices(known, who)
    found = [
        _said(row["index"], [row[name] for name in _COLUMNS], row["claimed_us"], row["commitment"])
        for row in head.to_pylist()
    ]
    with connect() as duck:
        for segment in segments:
            relation = f"read_parquet({quoted(str(segment.path))})"
            claimed = (
                "claimed_us" if "claimed_us" in duck.sql(f"FROM {relation}").columns else "NULL"
            )
            rows = duck.sql(
                f"SELECT ordinal, {', '.join(_COLUMNS)}, {claimed}, commitment FROM {relation} "
                f"WHERE member_id = {quoted(who)} AND ordinal < {known - segment.first}"
            ).fetchall()
            found += [
                _said(segment.first + ordinal, fields, claimed_us, commitment)
                for ordinal, *fields, claimed_us, commitment in rows
            ]
    return sorted(found, key=lambda said: said.index)


def _said(index: int, fields: list[object], claimed_us: int | None, commitment: bytes) -> Said:
    purpose, choice, effective_us, recorded_us, country, channel, version = fields
    return Said(
        index, str(purpose), Choice(str(choice)), int(str(effective_us)), int(str(recorded_us)),
        _text(country), _text(channel), _text(version), claimed_us, bytes(commitment),
    )  # fmt: skip


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def key_of(ledger: Ledger, who: str) -> bytes | None:
    """Return a member's key; None for whoever was erased or never stood in the ledger."""
    column = schema.member_key.c
    with ledger.reading() as con:
        key = con.execute(sa.select(column.key).where(column.member_id == who)).scalar()
    return None if key is None else bytes(key)


def receipt_id(ledger: Ledger, who: str, index: int) -> str:
    """Return the id of the receipt of a member's entry; nobody guesses it without their key.

    Raises:
        InputError: The member was erased, or never stood in the ledger.
    """
    key = key_of(ledger, who)
    if key is None:
        raise InputError("the member was erased", hint="their choices are gone")
    return _receipt_id(key, index)


def _receipt_id(key: bytes, index: int) -> str:
    return hashlib.sha256(key + encode(ID_LABEL, index)).hexdigest()[:32]


def receipts_of(ledger: Ledger, trust: Trust, who: str) -> list[Envelope]:
    """Return the signed receipt of every choice of a member, proved where the log covers it.

    Raises:
        InputError: The member never said anything here, or was erased.
    """
    said = choices_of(ledger, who, ledger.size())
    if not said:
        raise InputError("no choice of this member stands in the ledger")
    return [signed_receipt(ledger, trust, who, one) for one in said]


def signed_receipt(ledger: Ledger, trust: Trust, who: str, said: Said) -> Envelope:
    """Return the signed receipt of one choice, with its proof where the log covers it."""
    return sign_receipt(plain_receipt(ledger, trust, who, said), trust.key)


def plain_receipt(ledger: Ledger, trust: Trust, who: str, said: Said) -> Receipt:
    """Return the receipt of one choice, not signed, with its proof where the log covers it.

    Raises:
        InputError: The member was erased.
    """
    key = key_of(ledger, who)
    if key is None:
        raise InputError("the member was erased", hint="their choices are gone")
    rules = published(ledger, said.index)
    recorded_at = instant_of(said.recorded_us)
    standing, _ = standing_of_one(ledger, who, said.purpose, said.recorded_us, said.index, None)
    made = receipt_of(
        ReceiptFacts(
            receipt_id=_receipt_id(key, said.index),
            tag=receipt_tag(key),
            member_id=who,
            country=_country(said.country or standing.country),
            purpose=said.purpose,
            choice=said.choice,
            effective_at=instant_of(said.effective_us),
            recorded_at=recorded_at,
            rulebook_entry=rules.entry,
            log_origin=trust.log.name,
            index=said.index,
            commitment=said.commitment,
            before=standing.choice,
            claimed_at=_instant(said.claimed_us),
            channel=said.channel,
            setting_version=said.setting_version,
        ),
        rules.book,
    )
    note = published_note(ledger)
    if note is None or parse_checkpoint_text(parse_note(note).text).size <= said.index:
        return made
    return with_proof(made, prove_entry(ledger, said.index).to_bytes())


def _country(code: str | None) -> Country | None:
    return None if code is None else Country(code)


def _instant(us: int | None) -> datetime | None:
    return None if us is None else instant_of(us)
