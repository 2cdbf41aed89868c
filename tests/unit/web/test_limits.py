"""What is dear has a number a minute for each caller; what says off has none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sayso.errors import InputError
from sayso.evidence.entries import Folders
from sayso.settings import WebSettings, parse_web
from sayso.web import signing_in
from sayso.web.access import Caller, Role, Scope
from sayso.web.api import choices
from sayso.web.app import routes_of
from sayso.web.limits import Limits, Work, work_of
from sayso.web.pages import console, objection, setting
from sayso.web.problems import TooManyError
from tests.unit.web.asking import Service
from tests.unit.web.house import House, made_house

MAYA = Caller(subject="maya", member_id="maya", roles=frozenset({Role.MEMBER}))
WING = Caller(subject="wing", member_id="wing", roles=frozenset({Role.MEMBER}))
RECORDS = "/settings/ai-training/records"
MINUTE_US = 60_000_000


def taken(limits: Limits, caller: Caller, now_us: int, work: Work = Work.SCAN) -> int:
    """Return how many seconds a caller is told to wait; 0 where they need not."""
    try:
        limits.take(caller, work, now_us)
    except TooManyError as error:
        return error.seconds
    return 0


def test_a_number_may_be_used_at_once_and_comes_back_at_an_even_pace(either: Service) -> None:
    ledger = either.desk.workspace.ledger
    limits = Limits(ledger, replace(WebSettings(), scans_per_minute=3))
    # Another worker's; they count together.
    other = Limits(ledger, limits.settings)

    at_once = [taken(one, MAYA, 1_000) for one in (limits, other, limits, other, limits)]
    later = [taken(limits, MAYA, 1_000 + seconds * 1_000_000) for seconds in (19, 20, 20, 39, 40)]
    much_later = [taken(limits, MAYA, 100 * MINUTE_US) for _ in range(4)]

    assert at_once == [0, 0, 0, 20, 20]
    assert later == [1, 0, 20, 1, 0]
    assert much_later == [0, 0, 0, 20]


def test_callers_and_kinds_of_work_are_counted_apart(either: Service) -> None:
    limits = Limits(either.desk.workspace.ledger, replace(WebSettings(), scans_per_minute=1))
    job = Caller(subject="maya", scopes=frozenset(Scope), is_client=True)

    assert [taken(limits, one, 5) for one in (MAYA, WING, job)] == [0, 0, 0]
    assert [taken(limits, one, 6) for one in (MAYA, WING, job)] == [60, 60, 60]
    assert taken(limits, MAYA, 7, Work.TEXT) == 0


def test_a_count_names_nobody_and_goes_with_the_next_after_its_time(service: Service) -> None:
    limits, path = service.desk.limits, service.desk.workspace.path
    limits.take(Caller(subject="zq-subject"), Work.SCAN, 5)

    with service.desk.workspace.ledger.reading() as con:
        [(name, _)] = con.exec_driver_sql("SELECT name, until_us FROM web_count").all()
    limits.take(WING, Work.SCAN, 3 * MINUTE_US)
    with service.desk.workspace.ledger.reading() as con:
        rows = con.exec_driver_sql("SELECT name FROM web_count").all()

    assert len(rows) == 1
    assert rows[0][0] != name
    for file in path.glob("ledger.db*"):
        assert b"zq-subject" not in file.read_bytes()


def test_an_api_answers_429_and_when_to_come_again(service: Service) -> None:
    service.desk.limits = Limits(
        service.desk.workspace.ledger, replace(WebSettings(), batches_per_minute=2)
    )
    job = service.token(Scope.DECISIONS_READ)

    got = [service.ask("POST", "/decisions/batch", job, json=[]) for _ in range(3)]
    service.clock.move(seconds=31)
    then = service.ask("POST", "/decisions/batch", job, json=[])

    assert [one.status_code for one in got] == [200, 200, 429]
    assert got[2].json()["type"].endswith("/too-many")
    assert 0 < int(got[2].headers["retry-after"]) <= 30
    assert then.status_code == 200


def test_every_dear_route_of_the_api_says_so_in_the_document(service: Service) -> None:
    document = service.ask("GET", "/openapi.json").json()
    app: Any = service.client.app

    for method, path, endpoint in routes_of(app):
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is not None:
            assert ("429" in operation["responses"]) == (work_of(endpoint) is not None), path


@pytest.mark.parametrize(
    ("language", "words"), [("en", "you asked for it very often"), ("zh-HK", "次數過於頻密")]
)
def test_a_page_says_so_in_the_language_of_its_reader(
    tmp_path: Path, language: str, words: str
) -> None:
    with made_house(tmp_path) as house:
        browser = house.member("maya")
        house.desk.limits = Limits(house.workspace.ledger, WebSettings(scans_per_minute=1))
        browser.get(RECORDS)

        answer = browser.client.get(RECORDS, headers={"accept-language": language})

        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert words in answer.text
        assert "/settings/ai-training" in answer.text


def test_words_of_a_form_that_is_refused_come_back(house: House) -> None:
    browser = house.member("maya")
    house.desk.limits = Limits(house.workspace.ledger, WebSettings(texts_per_minute=1))
    house.desk.limits.take(browser.session.caller, Work.TEXT, house.desk.now_us())

    form = {"about": "my own words", "csrf_token": browser.session.csrf}
    answer = browser.client.post("/assistant", data=form)

    assert answer.status_code == 429
    assert "my own words" in answer.text


def test_nothing_that_says_off_is_limited(house: House) -> None:
    """No route of the rooms in which off is said, nor the ways into them."""
    rooms = (setting, objection, console, choices, signing_in)
    looked = [
        (path, work_of(endpoint))
        for _, path, endpoint in routes_of(house.app)
        if endpoint.__module__ in {one.__name__ for one in rooms}
    ]

    assert len(looked) > len(rooms)
    assert [path for path, work in looked if work is not None] == []


def test_a_signal_is_obeyed_on_a_page_that_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    obeyed: list[str] = []
    monkeypatch.setattr("sayso.web.request.obey", lambda _desk, who: obeyed.append(who))
    browser = house.member("maya")
    house.desk.limits = Limits(house.workspace.ledger, WebSettings(scans_per_minute=1))
    house.desk.limits.take(browser.session.caller, Work.SCAN, house.desk.now_us())

    answer = browser.client.get(RECORDS, headers={"sec-gpc": "1"})

    assert answer.status_code == 429
    assert obeyed == ["maya"]


@pytest.mark.parametrize("given", [0, -1, "10", 1.5, True, 60_001])
def test_a_number_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="scans_per_minute"):
        parse_web({"scans_per_minute": given})


def test_training_sets_are_read_once_for_many_looks(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their manifests and signatures are the dear part of the page of records."""
    browser, made = house.member("maya"), []

    def counted(*given: Any) -> Folders:
        made.append(given)
        return Folders(*given)

    monkeypatch.setattr("sayso.web.pages.public_reading.Folders", counted)
    for _ in range(3):
        browser.get(RECORDS)

    assert len(made) == 1
