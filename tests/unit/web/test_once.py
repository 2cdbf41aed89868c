"""A form that is sent twice counts once; one that comes too late is not lost."""

from contextlib import nullcontext

import pytest

from sayso.receipting import choices_of
from sayso.web.sealed import Sealed
from sayso.web.turns import Turns
from tests.unit.web.house import House

SETTING = "/settings/ai-training"
OBJECTION = f"{SETTING}/objection"


def said(house: House, who: str) -> list[str]:
    ledger = house.workspace.ledger
    return [str(one.choice) for one in choices_of(ledger, who, ledger.size())]


def test_the_same_form_leads_to_the_same_receipt(house: House) -> None:
    browser = house.member("maya")

    places = {browser.post(SETTING, choice="off", form_id="f1") for _ in range(3)}

    assert len(places) == 1
    assert said(house, "maya") == ["off"]


def test_another_answer_or_another_form_is_another_answer(house: House) -> None:
    browser = house.member("maya")

    browser.post(SETTING, choice="off", form_id="f1")
    browser.post(SETTING, choice="on", form_id="f1")  # another answer on the same page
    browser.post(SETTING, choice="off", form_id="f1")  # said again, after something else
    browser.post(SETTING, choice="off", form_id="f2")
    browser.post(SETTING, choice="off")

    assert said(house, "maya") == ["off", "on", "off", "off", "off"]


def test_an_on_that_comes_late_is_shown_and_not_recorded(house: House) -> None:
    browser = house.member("maya")
    browser.post(SETTING, choice="on", form_id="f1")
    browser.post(SETTING, choice="off", form_id="f2")

    late = browser.refused(SETTING, choice="on", form_id="f1")

    assert "This form was sent before." in late
    assert 'value="off" checked' in " ".join(late.split())
    assert said(house, "maya") == ["on", "off"]


def test_an_on_of_a_worker_that_is_gone_does_not_stand_above_an_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = house.member("maya")
    with monkeypatch.context() as patch:
        patch.setattr(Sealed, "replace", lambda *_, **__: None)
        browser.post(SETTING, choice="on", form_id="f1")
    browser.post(SETTING, choice="off", form_id="f2")

    browser.refused(SETTING, choice="on", form_id="f1")
    assert said(house, "maya") == ["on", "off"]


def test_a_form_of_another_session_is_another_form(house: House) -> None:
    house.member("maya").post(SETTING, choice="off", form_id="f1")
    house.member("maya").post(SETTING, choice="off", form_id="f1")

    assert said(house, "maya") == ["off", "off"]


def test_an_answer_that_nobody_knows_to_be_recorded_is_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker ended between the entry of a form and the note of it."""
    browser = house.member("maya")
    with monkeypatch.context() as patch:
        patch.setattr(Sealed, "replace", lambda *_, **__: None)
        browser.post(SETTING, choice="off", form_id="f1")

    browser.post(SETTING, choice="off", form_id="f1")

    assert said(house, "maya") == ["off", "off"]


def test_a_form_that_nobody_finishes_does_not_hold_up_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sayso.web.once.PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(Turns, "take", lambda *_: nullcontext(False))

    house.member("maya").post(SETTING, choice="off", form_id="f1")

    assert said(house, "maya") == ["off"]


def test_an_objection_counts_once_with_its_reason(house: House) -> None:
    browser = house.member("maya")

    places = {browser.post(OBJECTION, reason="because", form_id="f1") for _ in range(2)}
    browser.post(OBJECTION, reason="another reason", form_id="f1")

    assert len(places) == 1
    assert said(house, "maya") == ["off", "off"]


def test_a_form_without_a_session_is_answered_on_this_site_with_its_words(house: House) -> None:
    answer = house.visitor().post(OBJECTION, data={"reason": "<b>my</b> words", "csrf_token": "x"})

    assert answer.status_code == 401
    assert "Nothing was changed." in answer.text
    assert "&lt;b&gt;my&lt;/b&gt; words" in answer.text
    assert f"/sign-in?to={OBJECTION}" in answer.text


def test_a_form_of_an_older_session_keeps_its_words(house: House) -> None:
    browser = house.member("maya")

    answer = browser.client.post(OBJECTION, data={"reason": "my words", "csrf_token": "stale"})

    assert answer.status_code == 403
    assert "my words" in answer.text
    assert said(house, "maya") == []
