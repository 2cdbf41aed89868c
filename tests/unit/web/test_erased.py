"""Whoever was erased is nobody here from then on: in every worker, and at the next sign-in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from sayso.opening import open_workspace
from sayso.receipting import choices_of
from sayso.web import signing_in
from sayso.web.access import Caller, Role
from sayso.web.app import app_for
from sayso.web.desk import open_desk
from sayso.web.sessions import COOKIE
from tests.unit.web.house import ADDRESS, House
from tests.unit.web.public_site import text_of

SETTING = "/settings/ai-training"
SECRET = "a sign-in under way"


@contextmanager
def another_worker(house: House) -> Iterator[TestClient]:
    """Answer for the same workspace with another desk."""
    app = app_for(open_desk(house.workspace.path, house.clock))
    with TestClient(app, base_url=ADDRESS, follow_redirects=False) as client:
        yield client


def erase(house: House, who: str) -> None:
    """Erase a member as another process does."""
    workspace = open_workspace(house.workspace.path, house.clock)
    workspace.erase(who)
    workspace.close()


def come_back(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    language: str = "en",
    before: str = "",
    **claims: Any,
) -> Any:
    """Come back from the provider, which says these things of somebody."""

    class Provider:
        async def authorize_access_token(self, _request: object) -> dict[str, Any]:
            return {"userinfo": claims}

        async def load_server_metadata(self) -> dict[str, Any]:
            return dict.fromkeys(signing_in._NEEDED, "https://provider.example")

    monkeypatch.setattr(signing_in, "_provider", lambda _request: Provider())
    value = {"session": {}, "to": SETTING}
    now_us = house.desk.now_us()
    house.desk.sign_ins.put(SECRET, value, now_us=now_us, lasts_us=60_000_000)
    browser = house.visitor(language=language)
    browser.cookies.set(signing_in.COOKIE, SECRET)
    browser.cookies.set(COOKIE, before)
    return browser.get(signing_in.CALLBACK)


def test_a_session_ends_with_an_erasure_in_every_worker(house: House) -> None:
    browsers = [house.member("maya") for _ in range(2)]
    other = house.member("jonas")
    with another_worker(house) as worker:
        worker.cookies.set(COOKIE, browsers[1].session.secret)
        assert worker.get(SETTING).status_code == 200
        browsers[0].post(SETTING, choice="on")

        erase(house, "maya")

        for client in (browsers[0].client, worker):
            for path in ("/settings", SETTING, f"{SETTING}/records", f"{SETTING}/history"):
                answer = client.get(path)
                assert answer.status_code == 303
                assert answer.headers["location"] == f"/sign-in?to={path}"
            assert "Sign in" in client.get("/").text
            assert "Sign out" not in client.get("/").text
    other.get(SETTING)


def test_a_session_of_the_erased_is_dropped_and_not_only_hidden(house: House) -> None:
    browser = house.member("maya")
    erase(house, "maya")

    browser.client.get("/transparency")

    assert house.desk.sessions.kept.get(browser.session.secret, house.desk.now_us()) is None


@pytest.mark.parametrize(("path", "form"), [
    (SETTING, {"choice": "on"}), (f"{SETTING}/objection", {"reason": "because"}),
    ("/assistant/kept", {}),
])  # fmt: skip
def test_a_form_of_the_erased_records_nothing(
    house: House, path: str, form: dict[str, str]
) -> None:
    browser = house.member("maya")
    erase(house, "maya")

    answer = browser.client.post(path, data={"csrf_token": browser.session.csrf, **form})

    assert answer.status_code == 401
    assert "Nothing was changed." in answer.text
    assert choices_of(house.workspace.ledger, "maya", house.workspace.ledger.size()) == []


def test_the_api_knows_the_session_of_the_erased_no_more(house: House) -> None:
    browser = house.member("maya")
    path = "/api/v1/members/maya/choices"
    assert browser.client.get(path).status_code == 200
    erase(house, "maya")

    assert browser.client.get(path).status_code == 401


def test_a_signal_of_the_erased_is_not_recorded(house: House) -> None:
    browser = house.member("maya")
    erase(house, "maya")

    assert browser.client.get("/", headers={"sec-gpc": "1"}).status_code == 200


@pytest.mark.parametrize(("language", "told"), [
    ("en", "Nothing of yours may be used for training any more"),
    ("zh-Hant", "你的任何內容都不得再用於訓練"),
])  # fmt: skip
def test_the_erased_are_told_so_and_not_signed_in(
    house: House, monkeypatch: pytest.MonkeyPatch, language: str, told: str
) -> None:
    assert come_back(house, monkeypatch, sub="Maya", member_id="maya").status_code == 303
    erase(house, "maya")

    before = house.member("jonas").session.secret
    answer = come_back(house, monkeypatch, language, before, sub="Maya", member_id="maya")

    assert answer.status_code == 403
    assert told in text_of(answer.text)
    assert 'action="/sign-out"' not in answer.text
    given = answer.headers.get_list("set-cookie")
    assert len(given) == 2
    assert all("Max-Age=0" in one for one in given), "both cookies are taken away"


def test_who_was_erased_and_works_here_signs_in_as_staff_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(house, "maya")

    answer = come_back(house, monkeypatch, sub="Maya", member_id="maya", roles=["officer"])

    assert answer.status_code == 303
    browser = house.visitor()
    browser.cookies.set(COOKIE, answer.cookies[COOKIE])
    assert browser.get("/console/off").status_code == 200
    assert browser.get(SETTING).status_code == 403


def test_staff_who_are_erased_as_members_sign_in_anew(house: House) -> None:
    roles = frozenset({Role.MEMBER, Role.OFFICER})
    browser = house.person(Caller(subject="maya", member_id="maya", roles=roles))
    browser.get("/console/off")
    erase(house, "maya")

    assert browser.client.get("/console/off").headers["location"].startswith("/sign-in")
