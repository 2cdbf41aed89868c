"""Receipts from the rulebook: all that is said stands there, and nothing is guessed."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sayso
from sayso.attest.issue import ReceiptFacts, local_times, receipt_of
from sayso.attest.receipts import Receipt
from sayso.errors import InputError
from sayso.model import EVERY_PURPOSE, Choice, Country, Rulebook, Withdrawal
from sayso.rulebook.parse import load_rulebook, parse_rulebook
from tests.unit.rulebook.sample import FILES

BOOK = load_rulebook(Path(sayso.__file__).parent / "templates" / "linkedin-2024")
# Opt-in on the basis of consent, with a withdrawal that forgets, from 2025-11-03.
ASKING = parse_rulebook(FILES)
FACTS = ReceiptFacts(
    receipt_id="5e7c9d1a",
    tag=bytes(range(32)),
    member_id="7",
    country=Country("HK"),
    purpose="content-generation-training",
    choice=Choice.OFF,
    effective_at=datetime(2025, 11, 5, 16, 30, tzinfo=UTC),
    recorded_at=datetime(2025, 11, 5, 16, 30, 1, tzinfo=UTC),
    rulebook_entry=0,
    log_origin="example.org/log",
    index=12,
    commitment=bytes(32),
    setting_version="2024-09",
)
ASKED = replace(FACTS, purpose="training", setting_version="1")


def issued(book: Rulebook = BOOK, **facts: Any) -> Receipt:
    return receipt_of(replace(FACTS, **facts), book)


RECEIPTS = {
    "objection": issued(),
    "no objection": issued(choice=Choice.DEFERRED),
    "standing objection": issued(purpose=EVERY_PURPOSE, before=Choice.ON, channel="settings"),
    "opt-out": issued(country=Country("US"), claimed_at=FACTS.recorded_at),
    "opt-in": issued(country=Country("US"), choice=Choice.ON),
    "no choice": issued(
        country=None, member_id=None, choice=Choice.UNSET, index=None, setting_version=None
    ),
    "consent": receipt_of(replace(ASKED, choice=Choice.ON), ASKING),
    "withdrawal of consent": receipt_of(replace(ASKED, before=Choice.ON), ASKING),
    "refusal of consent": receipt_of(replace(ASKED, before=Choice.UNSET), ASKING),
    "no consent": receipt_of(replace(ASKED, choice=Choice.UNSET), ASKING),
}


@pytest.mark.parametrize("name", RECEIPTS)
def test_each_is_called_what_it_is(name: str) -> None:
    assert RECEIPTS[name].called == name
    act = name in {"consent", "withdrawal of consent", "refusal of consent"}
    assert RECEIPTS[name].value["@type"] == ("ConsentReceipt" if act else "ChoiceReceipt")


def test_what_the_rulebook_says_stands_on_the_receipt() -> None:
    (one,) = RECEIPTS["objection"].value["purposes"]
    purpose = BOOK.purposes[FACTS.purpose]
    assert (one["title"], one["recipients"]) == (purpose.title, list(purpose.recipients))
    assert one["sharing"] is False
    assert one["wording"]["text"] == purpose.wordings[0].text
    assert one["wording"]["from"] == "2024-09-18 (by)"
    assert one["withdrawal_method"] == purpose.how_to_change
    assert (one["retention_period"], one["contact"]) == (None, None)
    assert one["lawful_basis"] == ["legitimate interest"]
    assert one["pii_controllers"] == ["LinkedIn"]
    assert one["pii_information"][0] == {"category": "profile", "visibilities": ["public"]}
    assert len(one["pii_information"]) == 8
    (rule,) = one["rules"]
    held = next(r for r in BOOK.rules if r.scope == "HK" and r.lawful_basis)
    assert (rule["file"], rule["line"]) == (held.place.file, held.place.line)
    assert rule["sources"]["others"]["title"] == "assumption"
    assert rule["sources"]["withdrawal"]["address"].endswith("a6278444")
    assert RECEIPTS["objection"].value["rulebook"] == {"digest": BOOK.digest, "entry": 0}


def test_the_rules_are_those_of_the_day() -> None:
    before = issued(recorded_at=datetime(2025, 11, 2, 15, 59, 59, tzinfo=UTC))
    (one,) = before.value["purposes"]
    assert before.called == "opt-out"  # the rule of 2024 claims no basis
    assert [hold["hold_id"] for hold in one["holds"]] == ["hk-2024-10-11"]
    assert one["holds"][0]["asked_by"] == "PCPD"
    assert one["holds"][0]["ordered_by"] is None
    assert RECEIPTS["objection"].value["purposes"][0]["holds"] == []


def test_where_no_rule_has_begun() -> None:
    early = issued(country=Country("US"), recorded_at=datetime(2024, 1, 1, tzinfo=UTC))
    (one,) = early.value["purposes"]
    assert (one["rules"], one["no_rule_for"], one["withdrawal"]) == ([], ["world"], None)
    assert "No rule" in one["withdrawal_means"]


def test_the_withdrawal_is_the_strictest() -> None:
    assert RECEIPTS["consent"].value["purposes"][0]["withdrawal"] == Withdrawal.FORGET
    assert "forget" in RECEIPTS["consent"].value["purposes"][0]["withdrawal_means"]
    rules = [r for r in BOOK.rules if r.scope == "HK"]
    joined = replace(rules[1], scope="EEA", withdrawal=Withdrawal.FORGET, lawful_basis="consent")
    book = replace(BOOK, rules=(*BOOK.rules, replace(joined, scope="EU")))
    france = issued(book, country=Country("FR"))
    (one,) = france.value["purposes"]
    assert one["withdrawal"] == Withdrawal.FORGET
    assert one["lawful_basis"] == ["consent", "legitimate interest"]
    assert france.called == "opt-out"  # claims that differ name nothing


@pytest.mark.parametrize("version", [None, "", "1999-01"])
def test_a_wording_that_is_not_known_is_not_guessed(version: str | None) -> None:
    receipt = issued(setting_version=version)
    assert receipt.value["purposes"][0]["wording"] is None
    assert receipt.value["event"]["setting_version"] == (version or None)


def test_a_standing_objection_names_every_purpose() -> None:
    other = replace(BOOK.purposes[FACTS.purpose], name="another")
    book = replace(BOOK, purposes={**BOOK.purposes, "another": other})
    receipt = issued(book, purpose=EVERY_PURPOSE)
    assert [one["purpose"] for one in receipt.value["purposes"]] == ["another", FACTS.purpose]
    assert receipt.value["event"]["purpose"] == "*"
    nothing = issued(replace(BOOK, purposes={}), purpose=EVERY_PURPOSE)
    assert nothing.called == "standing objection"
    assert [one["title"] for one in nothing.value["purposes"]] == [None]


def test_a_purpose_that_the_rulebook_lacks() -> None:
    receipt = issued(purpose="else")
    (one,) = receipt.value["purposes"]
    assert (one["title"], one["recipients"], one["sharing"]) == (None, [], None)
    assert receipt.called == "opt-out"


@pytest.mark.parametrize(
    ("country", "instant", "expected"),
    [
        ("HK", "2025-11-02T16:00", [("Asia/Hong_Kong", "2025-11-03T00:00:00+08:00")]),
        ("GB", "2025-07-01T00:00", [("Europe/London", "2025-07-01T01:00:00+01:00")]),
        ("AQ", "2025-07-01T00:00", ["Antarctica/Palmer", "Antarctica/McMurdo"]),
        ("BV", "2025-07-01T00:00", []),
        (None, "2025-07-01T00:00", []),
        ("HK", "9999-12-31T23:59", []),
        ("US", "0001-01-01T00:00", []),
    ],
)
def test_what_clocks_showed(country: Country | None, instant: str, expected: list[Any]) -> None:
    found = local_times(country, datetime.fromisoformat(instant).replace(tzinfo=UTC))
    if expected and isinstance(expected[0], str):
        assert [one["zone"] for one in found] == expected
        assert found[0]["time"] < found[1]["time"]
    else:
        assert [(one["zone"], one["time"]) for one in found] == expected


def test_zones_that_agree_are_named_once() -> None:
    found = local_times(Country("DE"), FACTS.effective_at)  # Berlin and Busingen
    assert len(found) == 1


def test_nothing_said_has_no_entry() -> None:
    assert RECEIPTS["no choice"].value["ledger"] is None
    assert RECEIPTS["no choice"].value["jurisdiction"] == {"country": None, "name": None}


@pytest.mark.parametrize(
    "facts",
    [
        {"receipt_id": ""}, {"receipt_id": "a\nb"}, {"tag": bytes(31)}, {"index": -1},
        {"commitment": b""}, {"purpose": ""}, {"choice": "perhaps"}, {"member_id": "\ud800"},
        {"rulebook_entry": -1}, {"log_origin": ""}, {"channel": 7},
    ],
)  # fmt: skip
def test_what_makes_no_receipt(facts: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        issued(**facts)
