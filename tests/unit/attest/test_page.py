"""The page: what the member reads is what the receipt holds."""

import json
import re

import pytest

from sayso.attest.page import MISSING, WIDTH, render_text, said_of
from sayso.attest.receipts import parse_receipt
from sayso.canonical import canonical_json
from tests.unit.attest.test_issue import RECEIPTS, issued


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", RECEIPTS)
def test_a_page_for_each(name: str) -> None:
    page = render_text(RECEIPTS[name])
    assert page.endswith("\n")
    long = [row for row in page.splitlines() if len(row) > WIDTH]
    assert all("://" in row or re.search(r"[0-9a-f]{64}", row) for row in long)
    assert "None" not in page
    value = RECEIPTS[name].value
    assert value["receipt_id"] in page
    assert value["rulebook"]["digest"] in page
    assert value["event"]["effective_at"] in page
    for purpose in value["purposes"]:
        assert flat(purpose["withdrawal_means"]) in flat(page)


def test_what_is_said_of_an_objection() -> None:
    page = flat(render_text(RECEIPTS["objection"]))
    assert page.startswith("Receipt: objection ")
    assert (
        "The answer is off. The platform recorded it; through what, it did not say. The platform "
        "claims a legitimate interest, and you object"
    ) in page
    assert "counts from 2025-11-05T16:30:00Z (2025-11-06 00:30:00+08:00 in Asia/Hong_Kong)" in page
    assert "Use my data for training content creation AI models" in page
    assert f"kept {MISSING}" in page
    assert "scopes/HK.yaml:" in page
    assert "knows 13 entries of the ledger or more" in page
    assert "proof not yet with this receipt" in page
    assert "It does not say that a use is lawful" in page


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("settings", "You chose off."),
        ("objection-form", "You chose off."),
        ("web", "You chose off."),
        ("staff", "The answer is off. Staff recorded it for you."),
        ("gpc", "The answer is off. Your browser's signal said it: Global Privacy Control."),
        ("api", "The answer is off. An application of the platform recorded it."),
        ("a telephone", "The answer is off. An application of the platform recorded it."),
        (None, "The answer is off. The platform recorded it; through what, it did not say."),
    ],
)
def test_who_said_it_is_told(channel: str | None, said: str) -> None:
    page = flat(render_text(issued(channel=channel)))

    assert said in page
    assert ("You chose" in page) is said.startswith("You chose")


@pytest.mark.parametrize("choice", ["on", "off", "deferred", "unset"])
@pytest.mark.parametrize("channel", ["settings", "staff", "gpc", "api", "", None])
def test_every_choice_is_told_through_every_channel(choice: str, channel: str | None) -> None:
    said = said_of(choice, channel)

    assert all(said)
    assert len(said) == (1 if choice == "unset" or channel == "settings" else 2)


@pytest.mark.parametrize("name", sorted({*RECEIPTS} - {"consent", "withdrawal of consent"}))
def test_no_page_speaks_of_a_consent_given_where_there_is_none(name: str) -> None:
    page = flat(render_text(RECEIPTS[name]))
    assert "a consent" not in page.replace("that is not a consent", "").replace(
        "That is not a consent", ""
    )
    assert "you gave it" not in page


def test_holds_are_shown_as_what_protects() -> None:
    from datetime import UTC, datetime

    page = flat(render_text(issued(recorded_at=datetime(2025, 1, 1, tzinfo=UTC))))
    assert "hold hk-2024-10-11 protects you now: scopes/HK.yaml:" in page
    assert "placed by LinkedIn, asked by PCPD" in page


def test_nothing_moves_the_cursor() -> None:
    value = json.loads(RECEIPTS["objection"].to_bytes())
    value["member_id"] = "7\x1b[2J\r\n\u202eevil"
    value["event"]["channel"] = "a\x00b\u2028c"
    page = render_text(parse_receipt(canonical_json(value)))
    assert all(row.isprintable() for row in page.split("\n"))
    assert "7 [2J evil" in flat(page)
