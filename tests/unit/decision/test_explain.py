"""What a member reads of a decision."""

from datetime import UTC, date, datetime

from sayso.decision.explain import Explanation
from sayso.decision.one import decide
from sayso.model import Choice, Decision, Facts, MemberFacts, Presence, Status
from sayso.publishing import template_files
from sayso.rulebook.in_force import in_force
from sayso.rulebook.parse import parse_rulebook

BOOK = parse_rulebook(template_files("linkedin-2024"))


def explained(at: datetime, *served: datetime) -> tuple[Decision, str]:
    law = in_force(BOOK, "content-generation-training", at).jurisdiction("HK")
    born = date(1990, 5, 1)
    facts = MemberFacts(Presence.KNOWN, law, Status.ACTIVE, born, Choice.UNSET, served)
    decision = decide(Facts(at, facts, None))
    told = Explanation(
        decision, "m1", None, "content-generation-training", law, Choice.UNSET, at, 7
    )
    return decision, told.to_text()


def test_a_hold_says_who_when_and_until_what() -> None:
    decision, text = explained(datetime(2024, 10, 20, tzinfo=UTC))
    assert not decision.allow
    assert "ON_HOLD: A hold stops this use here. [scopes/HK.yaml:" in text
    assert (
        "HK, from 2024-10-11, lifted 2025-11-03, placed by LinkedIn, asked by PCPD: "
        "until the concerns of the PCPD have been addressed"
    ) in text
    assert "PCPD, media statement of 2024-10-15, https://" in text


def test_a_rule_says_what_it_asks_for_and_what_an_off_does() -> None:
    at = datetime(2025, 11, 10, tzinfo=UTC)
    decision, text = explained(at, datetime(2025, 10, 20, tzinfo=UTC))
    assert [str(reason) for reason in decision.reasons] == ["NOTICE_PERIOD"]
    assert "members of 18 and over; they are told 30 days before (a notice counts since" in text
    assert "an off ends later training and leaves trained models as they are" in text
    assert "an assumption (the reports speak of what members wrote)" in text


def test_a_rule_that_permits_nothing_asks_for_nothing() -> None:
    law = in_force(BOOK, "content-generation-training", datetime(2024, 1, 1, tzinfo=UTC))
    facts = MemberFacts(Presence.KNOWN, law.jurisdiction("DE"), Status.ACTIVE, None, Choice.OFF, ())
    decision = decide(Facts(law.at, facts, None))
    text = Explanation(
        decision, "m1", None, law.purpose, facts.jurisdiction, Choice.OFF, law.at, 7
    ).to_text()
    assert "EEA, always, not enabled" in text
    assert "members of" not in text
    assert "the member chose off" in text
