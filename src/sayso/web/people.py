"""The invented people of a demonstration, whom anybody may sign in as."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented.

    Attributes:
        subject: Their name at the provider of identities.
        title: Who they are, in English.
        note: What there is to see.
        claims: What the provider says of them.
        to: Where they begin.
    """

    subject: str
    title: str
    note: str
    claims: Mapping[str, object] = field(default_factory=dict)
    to: str = "/settings/ai-training"


PEOPLE = (
    Person("Wing", "A member in Hong Kong", "", {"member_id": "wing"}),
    Person("Jonas", "A member in Germany", "", {"member_id": "jonas"}),
    Person("Maya", "A member in the United States", "", {"member_id": "maya"}),
    Person(
        "Clara", "A privacy officer", "", {"roles": ["officer"]}, to="/console/off",
    ),
    # Holds are lifted through the API, where one person asks and another approves.
    Person(
        "Dana", "Who approves that a hold is lifted", "", {"roles": ["approver"]},
        to="/transparency/holds",
    ),
)  # fmt: skip
