"""A receipt as a page of text that the member it belongs to understands.

Promises: the receipt's own words and numbers, nothing else; what a receipt does not hold is
said to be missing. No character that moves a cursor comes out. Does not verify.

Example:
    >>> render_text(verify_receipt(unverified, keys)).splitlines()[0]       # doctest: +SKIP
    'Receipt: objection'
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sayso.attest.naming import (
    CONSENT,
    NO_CHOICE,
    NO_CONSENT,
    NO_OBJECTION,
    OBJECTION,
    OPT_IN,
    OPT_OUT,
    REFUSAL,
    STANDING_OBJECTION,
    WITHDRAWAL,
)
from sayso.attest.receipts import Receipt

WIDTH = 88
MISSING = "the rulebook does not say"

# What was said, by the person themselves, and where somebody or something else told it.
SAID: Mapping[str, str] = {
    "on": "You chose on.",
    "off": "You chose off.",
    "deferred": "You closed the question without answering. That counts as no answer.",
    "unset": "You have said nothing.",
}
TOLD: Mapping[str, str] = {
    "on": "The answer is on.",
    "off": "The answer is off.",
    "deferred": "The question was closed without an answer, which counts as none.",
}
# Channels of pages on which members themselves answer.
OWN = frozenset({"settings", "objection-form", "web"})
TELLERS: Mapping[str, str] = {
    "staff": "Staff recorded it for you.",
    "gpc": "Your browser's signal said it: Global Privacy Control.",
}
APPLICATION = "An application of the platform recorded it."
NOBODY = "The platform recorded it; through what, it did not say."
MEANINGS: Mapping[str, str] = {
    CONSENT: "The platform asks for consent here, and you gave it.",
    WITHDRAWAL: "The platform asks for consent here, and you took it back.",
    REFUSAL: "The platform asks for consent here, and you did not give it.",
    NO_CONSENT: "The platform asks for consent here. Silence is none.",
    OBJECTION: "The platform claims a legitimate interest, and you object to it.",
    STANDING_OBJECTION: (
        "You object to every training purpose of the platform, of today and of any later day."
    ),
    NO_OBJECTION: (
        "The platform claims a legitimate interest. You have not objected; that is not a consent."
    ),
    OPT_IN: "What the rules below admit may be used while no hold stops it. That is not a consent.",
    OPT_OUT: "The platform may use nothing of yours for this.",
    NO_CHOICE: "What happens without an answer is for the rules below to say.",
}
_MODES: Mapping[str, str] = {
    "not-enabled": "not enabled",
    "opt-out": "on unless you choose off",
    "opt-in": "only where you choose on",
}


def render_text(receipt: Receipt) -> str:
    """Return a receipt as plain text, with a final line feed."""
    value, event = receipt.value, receipt.value["event"]
    title = f"Receipt: {receipt.called}"
    lines = [title, "=" * len(title), ""]
    lines += _said(event, receipt.called)
    for purpose in value["purposes"]:
        lines += ["", *_purpose(purpose)]
    lines += ["", *_evidence(value)]
    return "".join(f"{_clean(line)}\n" for line in lines)


def said_of(choice: str, channel: str | None) -> tuple[str, ...]:
    """Return who said what, as sentences: `You chose` only where the member did so here.

    Args:
        choice: One of `CHOICES`.
        channel: Through which it came; None where nobody said.

    Example:
        >>> said_of("off", "staff")
        ('The answer is off.', 'Staff recorded it for you.')
    """
    if channel in OWN or choice not in TOLD:
        return (SAID[choice],)
    return (TOLD[choice], TELLERS.get(channel, APPLICATION) if channel else NOBODY)


def _said(event: Mapping[str, Any], called: str) -> Iterator[str]:
    yield from _filled(" ".join((*said_of(event["choice"], event["channel"]), MEANINGS[called])))
    yield ""
    if event["before"] is not None:
        yield from _field("before", event["before"])
    yield from _field("counts from", _when(event, "effective_at"))
    yield from _field("recorded", _when(event, "recorded_at"))
    if event["claimed_at"] is not None:
        yield from _field("you named", f"{event['claimed_at']}, which is not what counts")
    if event["channel"] is not None:
        yield from _field("through", event["channel"])


def _when(event: Mapping[str, Any], name: str) -> str:
    clocks = " to ".join(
        f"{one['time'].replace('T', ' ', 1)} in {one['zone']}" for one in event["local"][name]
    )
    return str(event[name]) + (f" ({clocks})" if clocks else "")


def _purpose(one: Mapping[str, Any]) -> Iterator[str]:
    heading = f"{one['title'] or 'A purpose that the rulebook does not describe'}"
    yield from _filled(f"{heading} [{one['purpose']}]")
    yield "-" * min(WIDTH, len(heading))
    wording = one["wording"]
    shown = f"version {wording['version']}: {wording['label']}. {wording['text']}" if wording else (
        "not recorded, or not a wording of the rulebook"
    )  # fmt: skip
    yield from _field("shown to you", shown)
    yield from _field("controller", ", ".join(one["pii_controllers"]) or MISSING)
    yield from _field("goes to", ", ".join(one["recipients"]) or MISSING)
    sharing = {True: "yes", False: "no", None: MISSING}[one["sharing"]]
    yield from _field("others outside", sharing)
    yield from _field("basis claimed", ", ".join(one["lawful_basis"]) or "none")
    kinds = [f"{kind['category']} ({', '.join(kind['visibilities'])})" for kind in (
        one["pii_information"]
    )]  # fmt: skip
    yield from _field("covers", ", ".join(kinds) or "nothing")
    yield from _field("kept", one["retention_period"] or MISSING)
    yield from _field("to change it", one["withdrawal_method"] or MISSING)
    yield from _field("ask", one["contact"] or MISSING)
    yield from _field("what off does", one["withdrawal_means"])
    for rule in one["rules"]:
        yield from _rule(rule)
    for scope in one["no_rule_for"]:
        yield from _field("no rule", f"none has begun for {scope}")
    for hold in one["holds"]:
        yield from _hold(hold)


def _rule(rule: Mapping[str, Any]) -> Iterator[str]:
    yield from _field(
        "rule",
        f"{rule['file']}:{rule['line']}, {rule['scope']}, from {rule['from']}, "
        f"{_MODES[rule['mode']]}, decided by {rule['decided_by']}; {_cited(rule['sources'])}",
    )


def _hold(hold: Mapping[str, Any]) -> Iterator[str]:
    asked = f", asked by {hold['asked_by']}" if hold["asked_by"] else ""
    ordered = f", ordered by {hold['ordered_by']}" if hold["ordered_by"] else ""
    yield from _field(
        "hold",
        f"{hold['hold_id']} protects you now: {hold['file']}:{hold['line']}, {hold['scope']}, "
        f"from {hold['from'] or 'an unknown day'}, placed by {hold['placed_by']}{asked}{ordered}; "
        f"{_cited(hold['sources'])}",
    )


def _cited(sources: Mapping[str, Any]) -> str:
    """Name each source once, with the facts that come from it."""
    facts: dict[str, list[str]] = {}
    for fact, source in sorted(sources.items()):
        where = f" <{source['address']}>" if source["address"] else ""
        facts.setdefault(f"{source['title']}{where}", []).append(fact)
    return "; ".join(f"{', '.join(names)}: {cited}" for cited, names in facts.items())


def _evidence(value: Mapping[str, Any]) -> Iterator[str]:
    yield "How this can be checked"
    yield "-----------------------"
    yield from _field("receipt", value["receipt_id"])
    yield from _field("yours as", value["member_id"] or "not named")
    yield from _field("reference", value["pii_principal_id"])
    country = value["jurisdiction"]
    yield from _field("country", country["name"] or country["country"] or "unknown")
    book = value["rulebook"]
    yield from _field("rulebook", book["digest"])
    yield from _field("published", f"as entry {book['entry']}")
    ledger = value["ledger"]
    if ledger is None:
        yield from _field("ledger", "no entry, since nothing was said")
        return
    yield from _field("ledger", f"entry {ledger['index']} of {ledger['origin']}")
    yield from _field("commitment", ledger["commitment"])
    proof = "with this receipt" if value["proof"] else "not yet with this receipt"
    yield from _field("proof", proof)
    yield ""
    yield from _filled(
        f"Your choice counts in every answer about {value['event']['effective_at']} or later that "
        f"knows {ledger['index'] + 1} entries of the ledger or more. This receipt says what you "
        "chose and which rules were published. It does not say that a use is lawful."
    )


def _field(name: str, value: str) -> Sequence[str]:
    return textwrap.wrap(
        _clean(value), WIDTH, initial_indent=f"{name:<16}", subsequent_indent=" " * 16,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def _filled(value: str) -> Sequence[str]:
    return textwrap.wrap(_clean(value), WIDTH, break_on_hyphens=False, break_long_words=False)


def _clean(value: str) -> str:
    return "".join(one if one.isprintable() else " " for one in value)
