"""Limits: what evidence of this kind cannot show, in words for whoever reads a report.

Promises: every report ends with them; none of them is softened by what was found. Says
"admitted under a rule" and never lawful, approved or consented.
"""

from sayso.log import Policy
from sayso.log.policy import NO_QUORUM, shown

ADMITTED = (
    "“Admitted under a rule” means that a published rule of the platform admits the record, and "
    "that neither its member nor an authority stood against it. It is not a finding that the use "
    "is lawful. Silence is nobody's agreement."
)
SUBMITTED = (
    "A log shows what was submitted to it. It cannot show what never was: a choice that nobody "
    "recorded, or training that went around Sayso."
)
TIMES = (
    "Times of recording are those of the platform's own clock. The order of the entries is "
    "proved; the hour is not."
)
FACTS = (
    "Where members live, how old they are and when they were notified is what the platform "
    "holds. The evidence shows what was held and counted, not that it is true."
)
RECORDS = "Counts are of records and not of people: one member may have written many."
FEW = (
    "Counts from 1 to 9 are written “fewer than 10”. Where such a count could be found by "
    "subtracting, another one is “not shown”."
)
MODELS = (
    "Nothing is said about models. A model that learned from a snapshot keeps what it learned "
    "until it is trained again without it."
)
COPIES = "Copies that others hold, and bases that a model was made from, are out of reach."
ERASED = (
    "What an erased member said and wrote is gone, and their leaves in the trees stay without "
    "meaning. Models that had learned from it before are not changed by that."
)


def of_witnesses(policy: Policy) -> str:
    """Return what the log's policy leaves open about one history for everybody."""
    if policy.quorum == NO_QUORUM:
        return (
            "The policy of this log asks for no independent witness. Whoever signs it could show "
            "another history to another reader; compare the checkpoint with one that somebody "
            "else has."
        )
    return (
        f"A checkpoint of this log counts once its quorum “{shown(policy.quorum)}” of witnesses "
        "has seen it. Whether they are independent of the platform is for the reader to judge."
    )
