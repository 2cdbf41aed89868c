"""English words of the public pages for what the rulebook and the ledger name by a code.

Promises: every code has its words; templates translate them where they are shown.
"""

from collections.abc import Mapping

from sayso.evidence.trace import Relation
from sayso.model import Position, Withdrawal
from sayso.transparency import State

# How a state is called, and the modifier of its tag.
STATES: Mapping[State, tuple[str, str]] = {
    State.HELD: ("Held", "yellow"),
    State.ON: ("On unless switched off", "teal"),
    State.ASKED: ("On only where chosen", "purple"),
    State.OFF: ("Off", "grey"),
}
DECIDED: Mapping[str, str] = {
    "law": "the law",
    "authority": "an authority",
    "platform": "the platform",
}
RELATIONS: Mapping[Relation, str] = {
    Relation.BEFORE: "built before the hold",
    Relation.UNKNOWN: "built when the hold may have stood: its day is not known",
    Relation.UNDER: "built under the hold",
    Relation.AFTER: "built after the hold was lifted",
}
DISPOSITIONS: Mapping[str, str] = {
    "served": "may be served",
    "kept": "kept",
    "sealed": "sealed: it may not be served",
    "forgotten": "forgotten: the part that held it was dropped",
}
POSITIONS: Mapping[Position, str] = {
    Position.NONE: "The authority said nothing of lifting it.",
    Position.ASKED: "The authority was asked about lifting it.",
    Position.NO_OBJECTION: "The authority did not object to lifting it.",
    Position.APPROVED: "The authority approved of lifting it.",
}
# What an off does to models that were trained before.
UNDOES: Mapping[Withdrawal, str] = {
    Withdrawal.FUTURE_RUNS: "Models that were trained before stay as they are.",
    Withdrawal.FORGET: (
        "Models that learned from the member must forget it: the part that held it is dropped at "
        "once and trained again without the member."
    ),
}
DONE: Mapping[str, str] = {"added": "New", "changed": "Changed", "removed": "Taken out"}
KINDS: Mapping[str, str] = {
    "wording": "Wording of the setting",
    "rule": "Rule and notice",
    "hold": "Hold",
    "purpose": "Purpose",
    "group": "Group of countries",
}
ASPECTS: Mapping[str, str] = {
    "mode": "What silence means",
    "begins": "From",
    "until": "Until",
    "notice": "Notice: days before, and since when one counts",
    "minimum_age": "Minimum age",
    "categories": "What is used, and who could see it",
    "authorship": "Whose words",
    "others": "Records that mention others",
    "excluded_contexts": "Left out",
    "earliest_written": "Written not before",
    "withdrawal": "What off does to models already trained",
    "decided_by": "Decided by",
    "controller": "Controller",
    "lawful_basis": "Basis that the platform claims",
    "assessments": "Assessments",
    "lifted": "Lifted",
    "placed_by": "Placed by",
    "asked_by": "Asked for by",
    "ordered_by": "Ordered by",
    "condition": "Until when, in words",
    "position": "What the authority said of lifting it",
    "title": "Title",
    "recipients": "Who receives it",
    "sharing": "Shared with others outside",
    "how_to_change": "How to change it",
    "retention": "How long it is kept",
    "contact": "Whom to ask",
    "members": "Countries",
    "label": "Label of the switch",
    "text": "Text beside it",
}
