"""What a choice is called on a receipt: by what was said, and by the basis that is claimed.

Promises: silence is never called a consent, nor is anything said where no consent was
claimed. Where the rules in force claim different bases, none of them names the choice. Does
not judge whether a claimed basis is the right one.

| said | consent is claimed | legitimate interest is claimed | another basis, none, or several |
|---|---|---|---|
| `on` | consent | no objection | opt-in |
| `off` | withdrawal of consent | objection | opt-out |
| `off`, and no `on` before | refusal of consent | objection | opt-out |
| `off` for `*` | standing objection | standing objection | standing objection |
| `deferred` | no consent | no objection | no choice |
| nothing | no consent | no objection | no choice |

An `on` under legitimate interest is no consent: nobody was asked for one, and saying `on`
only means that the member does not object. A `deferred` answers nothing.

Example:
    >>> name_choice("off", "content-generation-training", basis_of(["legitimate interest"]))
    'objection'

Source: GDPR articles 7(3) and 21; `docs/glossary.md`; DPV 2.3 for `event_state`.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum

CHOICES = ("on", "off", "deferred", "unset")
EVERY_PURPOSE = "*"

CONSENT = "consent"
WITHDRAWAL = "withdrawal of consent"
REFUSAL = "refusal of consent"
NO_CONSENT = "no consent"
OBJECTION = "objection"
STANDING_OBJECTION = "standing objection"
NO_OBJECTION = "no objection"
OPT_IN = "opt-in"
OPT_OUT = "opt-out"
NO_CHOICE = "no choice"


class Basis(StrEnum):
    """What is claimed, as far as it names a choice."""

    CONSENT = "consent"
    LEGITIMATE_INTEREST = "legitimate interest"
    OTHER = "other"


NAMES: Mapping[Basis, Mapping[str, str]] = {
    Basis.CONSENT: {
        "on": CONSENT, "off": WITHDRAWAL, "deferred": NO_CONSENT, "unset": NO_CONSENT,
    },
    Basis.LEGITIMATE_INTEREST: {
        "on": NO_OBJECTION, "off": OBJECTION, "deferred": NO_OBJECTION, "unset": NO_OBJECTION,
    },
    Basis.OTHER: {"on": OPT_IN, "off": OPT_OUT, "deferred": NO_CHOICE, "unset": NO_CHOICE},
}  # fmt: skip

# What it is called -> the state in DPV's words; DPV has none for having said nothing.
STATES: Mapping[str, str | None] = {
    CONSENT: "dpv:ConsentGiven",
    WITHDRAWAL: "dpv:ConsentWithdrawn",
    REFUSAL: "dpv:ConsentRefused",
    NO_CONSENT: "dpv:ConsentUnknown",
    OBJECTION: "dpv:LegitimateInterestObjected",
    STANDING_OBJECTION: "dpv:ObjectingToProcess",
    NO_OBJECTION: "dpv:LegitimateInterestNotObjected",
    OPT_IN: "dpv:OptingInToProcess",
    OPT_OUT: "dpv:OptingOutFromProcess",
    NO_CHOICE: None,
}
# What a member does where consent is claimed; silence is no act.
CONSENT_ACTS = frozenset({CONSENT, WITHDRAWAL, REFUSAL})

# These words and no others: "consent not needed" is no claim of consent.
_CLAIMS: Mapping[str, Basis] = {
    "consent": Basis.CONSENT,
    "explicit consent": Basis.CONSENT,
    "legitimate interest": Basis.LEGITIMATE_INTEREST,
    "legitimate interests": Basis.LEGITIMATE_INTEREST,
}


def basis_of(claims: Collection[str | None]) -> Basis:
    """Return the basis that all rules in force claim alike.

    Args:
        claims: `lawful_basis` of every rule in force; None or empty where one claims none.

    Returns:
        `OTHER` where they differ, where one of them claims none, and where there is no rule.
    """
    words = {" ".join((claim or "").casefold().split()) for claim in claims}
    found = {_CLAIMS.get(one, Basis.OTHER) for one in words}
    return found.pop() if len(found) == 1 else Basis.OTHER


def name_choice(choice: str, purpose: str, basis: Basis, before: str | None = None) -> str:
    """Return what a choice is called.

    Args:
        choice: One of `CHOICES`.
        purpose: What it was said for, or `*`.
        basis: What is claimed for it.
        before: The choice that stood before; None where that was not looked up.
    """
    if choice == "off" and purpose == EVERY_PURPOSE:
        return STANDING_OBJECTION
    name = NAMES[basis][choice]
    if name == WITHDRAWAL and before not in (None, "on"):
        return REFUSAL
    return name


def state_of(name: str, choice: str) -> str | None:
    """Return the state of a choice in DPV's words."""
    if name == NO_CONSENT and choice == "deferred":
        return "dpv:ConsentRequestDeferred"
    return STATES[name]
