"""What is in force for one member, as their pages tell it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sayso.attest.naming import basis_of
from sayso.decision.explain import SENTENCES, Explanation
from sayso.model import (
    Category,
    Choice,
    Dated,
    Hold,
    Jurisdiction,
    Mode,
    Purpose,
    Reason,
    Rule,
    Source,
    Visibility,
    Withdrawal,
    Wording,
)
from sayso.web.pages.public_words import DECIDED

MODES: Mapping[Mode, str] = {
    Mode.NOT_ENABLED: "The platform has not enabled this use",
    Mode.OPT_OUT: "On unless the member chooses off",
    Mode.OPT_IN: "Only where the member chooses on",
}
OFF_DOES: Mapping[Withdrawal | None, str] = {
    Withdrawal.FUTURE_RUNS: (
        "From then on nothing of yours goes into a training set for this use, whenever you wrote "
        "it. Models that were trained before stay as they are."
    ),
    Withdrawal.FORGET: (
        "From then on nothing of yours goes into a training set for this use, whenever you wrote "
        "it. Models that learned from you before must forget it: the part that held it is dropped "
        "at once and trained again without you."
    ),
    None: (
        "From then on nothing of yours goes into a training set for this use. No rule of the "
        "platform is in force for you today, so nothing of yours may be used anyway."
    ),
}
CATEGORIES: Mapping[Category, str] = {
    Category.PROFILE: "Profile",
    Category.POST: "Posts",
    Category.ARTICLE: "Articles",
    Category.COMMENT: "Comments",
    Category.RESUME: "Resumes",
    Category.ACTIVITY: "Activity",
    Category.FEEDBACK: "Feedback",
    Category.PROMPT: "What you ask the assistant",
    Category.GROUP_MESSAGE: "Messages in groups",
    Category.RECOMMENDATION: "Recommendations",
    Category.MESSAGE: "Private messages",
    Category.CREDENTIAL: "Passwords and keys",
    Category.PAYMENT: "Payments",
    Category.SALARY: "Salaries",
    Category.APPLICATION: "Job applications",
}
VISIBILITIES: Mapping[Visibility, str] = {
    Visibility.PUBLIC: "what everybody sees",
    Visibility.MEMBERS: "what members see",
    Visibility.CONNECTIONS: "what your connections see",
    Visibility.GROUP: "what a group sees",
    Visibility.PLATFORM: "what was given to the platform",
    Visibility.PRIVATE: "what is private",
}

# What stands where nobody said anything, and what that means.
DEFAULTS: Mapping[Mode, tuple[str, str]] = {
    Mode.NOT_ENABLED: ("Not in use", "The platform has not enabled this use where you live."),
    Mode.OPT_IN: ("Off by default", "Without an on, nothing of yours is used."),
    Mode.OPT_OUT: (
        "On by default",
        (
            "The platform's rule uses what you wrote unless you choose off. This is the platform's "
            "default and not an answer of yours."
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class RuleTold:
    """One rule, as far as a member needs it; `mode` and `decided_by` are English words."""

    scope: str
    mode: str
    begins: Dated | None
    decided_by: str
    lawful_basis: str
    source: Source | None


@dataclass(frozen=True, slots=True)
class Law:
    """What is in force for one member, and what follows for them today.

    Attributes:
        country: ISO code; None where the platform knows none.
        reasons: English sentences; none where nothing about the member stands against it.
    """

    country: str | None
    rules: tuple[RuleTold, ...]
    unruled: tuple[str, ...]
    holds: tuple[Hold, ...]
    reasons: tuple[str, ...]


def law_of(found: Explanation) -> Law:
    """Return what is in force, from the explanation of a member's part."""
    law = found.jurisdiction
    # What they chose themselves is told beside it, and is no part of the law.
    own = {Reason.CHOSEN_OFF, Reason.NOT_CHOSEN}
    return Law(
        country=law.country if law else None,
        rules=tuple(_rule(held.rule) for held in law.rules) if law else (),
        unruled=law.unruled if law else (),
        holds=law.holds if law else (),
        reasons=tuple(SENTENCES[one] for one in found.decision.reasons if one not in own),
    )


def _rule(rule: Rule) -> RuleTold:
    return RuleTold(
        rule.scope, MODES[rule.mode], rule.begins, DECIDED[rule.decided_by], rule.lawful_basis,
        rule.sources.get("mode") or rule.sources.get("from"),
    )  # fmt: skip


def rules_of(law: Jurisdiction | None) -> list[Rule]:
    """Return the rules of a jurisdiction; none for an unknown country."""
    return [held.rule for held in law.rules] if law else []


def mode_of(law: Jurisdiction | None) -> Mode:
    """Return what silence means here: the strictest mode of what applies."""
    if law is None or law.unruled or not law.rules:
        return Mode.NOT_ENABLED
    modes = {held.rule.mode for held in law.rules}
    for mode in (Mode.NOT_ENABLED, Mode.OPT_IN):
        if mode in modes:
            return mode
    return Mode.OPT_OUT


def answer_of(choice: Choice, law: Jurisdiction | None) -> tuple[str, tuple[str, ...]]:
    """Return a setting as it stands, and what that means, as English sentences.

    A default is called a default; nothing that nobody said is called an answer.
    """
    mode = mode_of(law)
    if choice is Choice.OFF:
        return "Off", ("Nothing of yours may be used for this, whatever the rule.",)
    if choice is Choice.ON:
        if mode is Mode.NOT_ENABLED:
            meaning = (
                "The platform has not enabled this use where you live, so nothing of yours is used."
            )
            return "On, and not in use", (meaning,)
        return "On", ("What the rules below admit may be used.",)
    answer, meaning = DEFAULTS[mode]
    silent = (
        "You closed the question without answering. That counts as no answer."
        if choice is Choice.DEFERRED
        else "You have not answered."
    )
    return answer, (silent, meaning)


def withdrawal_of(law: Jurisdiction | None) -> Withdrawal | None:
    """Return the strictest withdrawal of the rules in force; None where there are none."""
    asked = {rule.withdrawal for rule in rules_of(law)}
    if Withdrawal.FORGET in asked:
        return Withdrawal.FORGET
    return Withdrawal.FUTURE_RUNS if asked else None


def covers_of(law: Jurisdiction | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what all rules admit alike: category and visibilities, as English words."""
    rules = rules_of(law)
    found = []
    for category in Category:
        named = [rule.categories.get(category, frozenset()) for rule in rules]
        seen = frozenset.intersection(*named) if named else frozenset()
        if seen:
            words = tuple(VISIBILITIES[one] for one in Visibility if one in seen)
            found.append((CATEGORIES[category], words))
    return tuple(found)


def wording_of(purpose: Purpose, language: str, today: Dated) -> Wording | None:
    """Return the latest wording that has begun, in a language or else in English.

    Args:
        purpose: Whose setting.
        language: Tag of BCP 47.
        today: A civil date.
    """
    begun = [one for one in purpose.wordings if str(one.begins.value) <= str(today.value)]
    for tag in (language, "en"):
        found = [one for one in begun if one.language == tag]
        if found:
            return max(found, key=lambda one: str(one.begins.value))
    return begun[-1] if begun else None


def claims_legitimate_interest(law: Jurisdiction | None) -> bool:
    """Whether every rule in force claims a legitimate interest, to which one objects."""
    return str(basis_of([rule.lawful_basis for rule in rules_of(law)])) == "legitimate interest"
