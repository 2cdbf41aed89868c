"""Issue: a receipt from what was said and the rulebook that was in force then.

Promises: all that a receipt says of purposes, rules, holds and sources is read from the
rulebook; what it does not say is null, and never guessed. Knows no clock and no randomness:
instants, the receipt's id and the member's tag are the caller's.

Example:
    >>> receipt_of(facts, book).called                          # doctest: +SKIP
    'objection'
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sayso.attest.receipts import Receipt, receipt
from sayso.attest.shape import iso
from sayso.model import (
    EVERY_PURPOSE,
    Category,
    Choice,
    Country,
    Hold,
    Purpose,
    Rule,
    Rulebook,
    Source,
    Visibility,
    Withdrawal,
)
from sayso.rulebook.civil import COUNTRY_NAMES, zone, zone_names
from sayso.rulebook.in_force import in_force

_LATER = "Off keeps all that is yours out of every training set that is built once it counts."
WITHDRAWAL_MEANS: Mapping[Withdrawal | None, str] = {
    Withdrawal.FUTURE_RUNS: f"{_LATER} Models that were trained before stay as they are.",
    Withdrawal.FORGET: (
        f"{_LATER} The rule also asks that models forget what they learned from you before: the "
        "part that held it is dropped, and trained again without you. That reaches neither the "
        "model underneath nor copies that others hold."
    ),
    None: f"{_LATER} No rule of the platform is in force for you, so nothing of yours may be used.",
}


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """What a receipt is about.

    Attributes:
        receipt_id: Its own id; hard to guess where it stands in an address.
        tag: 32 bytes, a keyed hash of the member.
        member_id: The member's own id; None leaves it out.
        country: Where the member lives, as the platform counts it.
        purpose: A purpose, or `*`.
        before: The choice that stood before; None where that was not looked up.
        effective_at: From when it counts, aware UTC; for nothing said, the instant asked.
        recorded_at: When it was recorded; rules and holds are those in force then.
        claimed_at: The instant that was claimed, where another one counts.
        setting_version: The wording that was shown.
        index: The entry of the ledger; None where nothing was said.
        commitment: The entry's commitment.
    """

    receipt_id: str
    tag: bytes
    member_id: str | None
    country: Country | None
    purpose: str
    choice: Choice
    effective_at: datetime
    recorded_at: datetime
    rulebook_entry: int
    log_origin: str
    index: int | None = None
    commitment: bytes | None = None
    before: Choice | None = None
    claimed_at: datetime | None = None
    channel: str | None = None
    setting_version: str | None = None


def receipt_of(facts: ReceiptFacts, book: Rulebook) -> Receipt:
    """Return the receipt of one choice, without a proof and not signed.

    Raises:
        InputError: A fact has another shape.
    """
    # An objection to everything is one to every training, and stops no text that is asked for.
    every = sorted(book.trainings)
    names = every if facts.purpose == EVERY_PURPOSE else [facts.purpose]
    entry = None
    if facts.index is not None and facts.commitment is not None:
        entry = {
            "origin": facts.log_origin,
            "index": facts.index,
            "commitment": facts.commitment.hex(),
        }
    return receipt(
        {
            "receipt_id": facts.receipt_id,
            "pii_principal_id": facts.tag.hex(),
            "member_id": facts.member_id,
            "jurisdiction": {
                "country": facts.country,
                "name": COUNTRY_NAMES.get(facts.country) if facts.country else None,
            },
            "event": _event(facts),
            "purposes": [_purpose(name, facts, book) for name in names or [EVERY_PURPOSE]],
            "rulebook": {"digest": book.digest, "entry": facts.rulebook_entry},
            "ledger": entry,
        }
    )


def _event(facts: ReceiptFacts) -> dict[str, object]:
    return {
        "purpose": facts.purpose,
        "choice": str(facts.choice),
        "before": str(facts.before) if facts.before is not None else None,
        "effective_at": iso(facts.effective_at),
        "recorded_at": iso(facts.recorded_at),
        "claimed_at": iso(facts.claimed_at) if facts.claimed_at else None,
        "local": {
            "effective_at": local_times(facts.country, facts.effective_at),
            "recorded_at": local_times(facts.country, facts.recorded_at),
        },
        "channel": facts.channel or None,
        "setting_version": facts.setting_version or None,
    }


def local_times(country: Country | None, at: datetime) -> list[dict[str, str]]:
    """Return what clocks showed in a country: its one zone, or its earliest and its latest.

    Returns:
        Nothing for an unknown country, one without a zone, and an instant at the edge of
        the calendar.
    """
    try:
        shown = [(name, at.astimezone(zone(name))) for name in zone_names(country or Country(""))]
    except OverflowError:
        return []
    if not shown:
        return []
    shown.sort(key=lambda local: local[1].replace(tzinfo=None))
    ends = [shown[0]]
    if shown[-1][1].utcoffset() != shown[0][1].utcoffset():
        ends.append(shown[-1])
    return [{"zone": name, "time": local.isoformat()} for name, local in ends]


def _purpose(name: str, facts: ReceiptFacts, book: Rulebook) -> dict[str, object]:
    current = in_force(book, name, facts.recorded_at).jurisdiction(facts.country)
    rules = [held.rule for held in current.rules] if current else []
    withdrawal = _strictest(rules)
    return {
        "purpose": name,
        **_declared(book.purposes.get(name), facts.setting_version),
        "pii_controllers": _distinct(rule.controller for rule in rules),
        "lawful_basis": _distinct(rule.lawful_basis for rule in rules),
        "pii_information": _categories(rules),
        "withdrawal": str(withdrawal) if withdrawal else None,
        "withdrawal_means": WITHDRAWAL_MEANS[withdrawal],
        "rules": [_rule(rule) for rule in rules],
        "holds": [_hold(hold) for hold in (current.holds if current else ())],
        "no_rule_for": list(current.unruled) if current else [],
    }


def _declared(purpose: Purpose | None, version: str | None) -> dict[str, object]:
    """Return what the purpose's own file says; all null where there is no such file."""
    if purpose is None:
        return {
            "title": None, "recipients": [], "sharing": None, "wording": None,
            "retention_period": None, "withdrawal_method": None, "contact": None, "sources": {},
        }  # fmt: skip
    # Which wording was shown is what the choice says, and not what was in force.
    shown = next((one for one in purpose.wordings if one.version == version), None)
    return {
        "title": purpose.title,
        "recipients": list(purpose.recipients),
        "sharing": purpose.sharing,
        "wording": shown and {
            "version": shown.version, "from": str(shown.begins),
            "label": shown.label, "text": shown.text,
        },
        "retention_period": purpose.retention or None,
        "withdrawal_method": purpose.how_to_change or None,
        "contact": purpose.contact or None,
        "sources": _sources(purpose.sources),
    }  # fmt: skip


def _strictest(rules: list[Rule]) -> Withdrawal | None:
    if not rules:
        return None
    forget = any(rule.withdrawal is Withdrawal.FORGET for rule in rules)
    return Withdrawal.FORGET if forget else Withdrawal.FUTURE_RUNS


def _categories(rules: list[Rule]) -> list[dict[str, object]]:
    """Return what all rules name alike: the rules join, and the narrower one decides."""
    found: list[dict[str, object]] = []
    for category in Category:
        named = [rule.categories.get(category, frozenset()) for rule in rules]
        seen = frozenset.intersection(*named) if named else frozenset()
        if seen:
            shown = [str(one) for one in Visibility if one in seen]
            found.append({"category": str(category), "visibilities": shown})
    return found


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "scope": rule.scope,
        "file": rule.place.file,
        "line": rule.place.line,
        "from": str(rule.begins) if rule.begins else "always",
        "mode": str(rule.mode),
        "decided_by": rule.decided_by,
        "controller": rule.controller or None,
        "lawful_basis": rule.lawful_basis or None,
        "assessments": list(rule.assessments),
        "withdrawal": str(rule.withdrawal),
        "sources": _sources(rule.sources),
    }


def _hold(hold: Hold) -> dict[str, object]:
    return {
        "hold_id": hold.hold_id,
        "scope": hold.scope,
        "file": hold.place.file,
        "line": hold.place.line,
        "from": str(hold.begins) if hold.begins else None,
        "placed_by": hold.placed_by,
        "asked_by": hold.asked_by or None,
        "ordered_by": hold.ordered_by or None,
        "condition": hold.condition or None,
        "sources": _sources(hold.sources),
    }


def _sources(sources: Mapping[str, Source]) -> dict[str, object]:
    return {
        fact: {
            "title": source.title,
            "address": source.address or None,
            "seen": source.seen.isoformat() if source.seen else None,
            "note": source.note or None,
        }
        for fact, source in sources.items()
    }


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted({value for value in values if value})
