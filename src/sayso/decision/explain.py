"""A decision in words that a member would understand, with the rules that gave it.

Promises: a sentence for every reason; names the file, line and source of each rule and hold,
or says that it is an assumption. Never says lawful, approved or consented.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sayso.model import (
    Choice,
    Decision,
    Hold,
    Jurisdiction,
    Mode,
    Reason,
    Rule,
    Source,
    Withdrawal,
)

SENTENCES: Mapping[Reason, str] = {
    Reason.RECORD_UNKNOWN: "The record has no id of its own, so it cannot be told apart.",
    Reason.MEMBER_UNKNOWN: "We hold no row for this member, so nothing of theirs may be used.",
    Reason.MEMBER_ERASED: "This member was erased, so nothing of theirs may ever be used.",
    Reason.STATUS_EXCLUDED: "The account is not an active account of a person.",
    Reason.JURISDICTION_UNKNOWN: "We do not know which country's rules protect this member.",
    Reason.NO_RULE: "No rule of the platform was in force here at that time.",
    Reason.NOT_ENABLED: "The platform has not enabled this use here.",
    Reason.ON_HOLD: "A hold stops this use here.",
    Reason.NOT_NOTIFIED: "No notice that counts has reached this member.",
    Reason.NOTICE_PERIOD: "The notice reached this member too short a time before.",
    Reason.AGE_UNKNOWN: "We do not know this member's age.",
    Reason.UNDER_AGE: "This member is under the minimum age.",
    Reason.CHOSEN_OFF: "The member chose off.",
    Reason.NOT_CHOSEN: "The rule asks for an on, and the member has not chosen on here.",
    Reason.CATEGORY_EXCLUDED: "No rule admits this category of content.",
    Reason.NOT_VISIBLE_ENOUGH: "The record was not shown widely enough for the rule.",
    Reason.NOT_OWN_WORDS: "The words are not, or not only, the member's own.",
    Reason.CONTEXT_EXCLUDED: "The record was written in a context that the rule leaves out.",
    Reason.OTHERS_PRESENT: "Other people are named in the record, or may be.",
    Reason.RECORD_DELETED: "The record was deleted.",
    Reason.WRITTEN_UNKNOWN: "We do not know when the record was written.",
    Reason.WRITTEN_TOO_EARLY: "The record is older than the rule reaches back.",
    Reason.WRITTEN_AS_MINOR: "The member was under the minimum age when they wrote the record.",
}

_CHOICES: Mapping[Choice, str] = {
    Choice.UNSET: "has said nothing",
    Choice.DEFERRED: "closed the question without answering",
    Choice.ON: "chose on",
    Choice.OFF: "chose off",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, what it was about, and what was in force.

    Attributes:
        member: The member's id, as asked.
        record: The record's id; None for the member's part.
    """

    decision: Decision
    member: str
    record: str | None
    purpose: str
    jurisdiction: Jurisdiction | None
    choice: Choice
    at: datetime
    known: int

    def to_json(self) -> dict[str, object]:
        """Return the object that `explain --json` prints."""
        law = self.jurisdiction
        return {
            "allow": self.decision.allow,
            "reasons": [str(reason) for reason in self.decision.reasons],
            "country": law.country if law else None,
            "rules": [rule_json(held.rule) for held in law.rules] if law else [],
            "holds": [_hold_json(hold) for hold in law.holds] if law else [],
            "at": self.at.isoformat().replace("+00:00", "Z"),
            "known": self.known,
            "purpose": self.purpose,
            "choice": str(self.choice),
            "because": [
                {
                    "reason": str(reason),
                    "sentence": SENTENCES[reason],
                    "given_by": [str(place) for place in places],
                }
                for reason, places in self.decision.causes.items()
            ],
        }

    def to_text(self) -> str:
        """Return the explanation as a page of text."""
        what = (
            f"record {self.record} of member {self.member}"
            if self.record
            else f"member {self.member}"
        )
        verdict = "admitted" if self.decision.allow else "not admitted"
        if self.record is None and self.decision.allow:
            verdict = (
                "nothing about the member stands against it; each record is looked at by itself"
            )
        when = self.at.isoformat().replace("+00:00", "Z")
        lines = [f"{what}, {self.purpose}, as of {when}: {verdict}", ""]
        for reason in self.decision.reasons:
            given = ", ".join(str(place) for place in self.decision.causes[reason])
            lines.append(f"  {reason}: {SENTENCES[reason]}" + (f" [{given}]" if given else ""))
        if self.decision.reasons:
            lines.append("")
        law = self.jurisdiction
        where = law.country if law else "unknown"
        lines.append(f"  country: {where}; the member {_CHOICES[self.choice]}")
        for held in law.rules if law else ():
            lines += _rule_lines(held.rule)
        for hold in law.holds if law else ():
            lines += _hold_lines(hold)
        for scope in law.unruled if law else ():
            lines.append(f"  no rule has begun for {scope}")
        if self.decision.allow and self.record is not None:
            lines += ["", "Admitted under these rules; that is not a finding that it is lawful."]
        return "\n".join(lines)


def cite(source: Source | None) -> str:
    """Return where a fact comes from, or that it is an assumption."""
    if source is None or source.is_assumption:
        return "an assumption" + (f" ({source.note})" if source and source.note else "")
    seen = f", seen {source.seen}" if source.seen else ""
    address = f", {source.address}" if source.address else ""
    return f"{source.title}{address}{seen}"


def _source_json(source: Source) -> dict[str, str | None]:
    return {
        "title": source.title,
        "address": source.address or None,
        "seen": source.seen.isoformat() if source.seen else None,
        "note": source.note or None,
    }


def rule_json(rule: Rule) -> dict[str, object]:
    """Return a rule as `explain --json` prints it."""
    main = rule.sources.get("mode") or rule.sources.get("from")
    return {
        "file": rule.place.file,
        "line": rule.place.line,
        "source": cite(main),
        "scope": rule.scope,
        "mode": str(rule.mode),
        "from": str(rule.begins) if rule.begins else "always",
        "decided_by": rule.decided_by,
        "minimum_age": rule.minimum_age,
        "notice_days": rule.notice.days if rule.notice else None,
        "withdrawal": str(rule.withdrawal),
        "sources": {fact: _source_json(source) for fact, source in rule.sources.items()},
    }


def _hold_json(hold: Hold) -> dict[str, object]:
    return {
        "id": hold.hold_id,
        "scope": hold.scope,
        "from": str(hold.begins) if hold.begins else None,
        "lifted": str(hold.lifted) if hold.lifted else None,
        "placed_by": hold.placed_by,
        "asked_by": hold.asked_by or None,
        "ordered_by": hold.ordered_by or None,
        "condition": hold.condition or None,
        "file": hold.place.file,
        "line": hold.place.line,
        "source": cite(hold.sources.get("from") or hold.sources.get("placed_by")),
    }


_MODES: Mapping[Mode, str] = {
    Mode.NOT_ENABLED: "not enabled",
    Mode.OPT_OUT: "on unless the member chooses off (opt-out)",
    Mode.OPT_IN: "only where the member chooses on (opt-in)",
}


_WITHDRAWALS: Mapping[Withdrawal, str] = {
    Withdrawal.FUTURE_RUNS: "an off ends later training and leaves trained models as they are",
    Withdrawal.FORGET: "an off ends later training, and trained models must forget",
}


def _terms(rule: Rule) -> list[str]:
    """Return what a rule that permits asks for, and what an off does under it."""
    if rule.mode is Mode.NOT_ENABLED:
        return []
    terms = [f"members of {rule.minimum_age} and over"] if rule.minimum_age else []
    if rule.notice:
        since = f" (a notice counts since {rule.notice.since})" if rule.notice.since else ""
        terms.append(f"they are told {rule.notice.days} days before{since}")
    if rule.earliest_written:
        terms.append(f"nothing written before {rule.earliest_written}")
    return [*terms, _WITHDRAWALS[rule.withdrawal]]


def _rule_lines(rule: Rule) -> list[str]:
    since = f"from {rule.begins}" if rule.begins else "always"
    lines = [
        (
            f"  rule {rule.place}: {rule.scope}, {since}, {_MODES[rule.mode]}, decided by "
            f"{rule.decided_by}"
        )
    ]
    if terms := _terms(rule):
        lines.append(f"    {'; '.join(terms)}")
    facts: dict[str, list[str]] = {}
    for fact, source in rule.sources.items():
        facts.setdefault(cite(source), []).append(fact)
    lines += [f"    {', '.join(names)}: {cited}" for cited, names in facts.items()]
    return lines


def _hold_lines(hold: Hold) -> list[str]:
    asked = f", asked by {hold.asked_by}" if hold.asked_by else ""
    ordered = f", ordered by {hold.ordered_by}" if hold.ordered_by else ""
    since = f"from {hold.begins}" if hold.begins else "since an unknown day"
    until = f", lifted {hold.lifted}" if hold.lifted else ""
    condition = f": {hold.condition}" if hold.condition else ""
    return [
        (
            f"  hold {hold.hold_id} ({hold.place}): {hold.scope}, {since}{until}, placed by "
            f"{hold.placed_by}{asked}{ordered}{condition}"
        ),
        f"    {cite(hold.sources.get('from'))}",
    ]
