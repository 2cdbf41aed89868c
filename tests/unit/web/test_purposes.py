"""Several purposes of training: a page for each, all alike, and each choice where it belongs."""

import re
from pathlib import Path

import pytest

from sayso.errors import UnavailableError
from sayso.model import DEFAULT_PURPOSE, EVERY_PURPOSE, Choice
from sayso.receipting import choices_of, receipt_id
from sayso.settings import WebSettings
from sayso.web.access import Role
from sayso.web.limits import Limits
from sayso.web.pages.purposes import NAME, PATH, path_of
from tests.town import record_row, write_content
from tests.unit.web.affiliates import (
    AFFILIATES,
    LABEL,
    TITLE,
    add_affiliates,
    without_affiliates,
    without_words,
)
from tests.unit.web.house import Browser, House
from tests.unit.web.public_site import tags_of, text_of
from tests.unit.web.test_links import crawl

OTHER = f"{PATH}/for/{AFFILIATES}"
KINDS = ("", "/records", "/objection")


@pytest.fixture
def two(house: House) -> House:
    """The platform, with two settings."""
    add_affiliates(house.workspace)
    return house


def said(house: House, who: str) -> list[tuple[str, str, str | None]]:
    ledger = house.workspace.ledger
    return [
        (one.purpose, str(one.choice), one.channel)
        for one in choices_of(ledger, who, ledger.size())
    ]


def skeleton(html: str) -> list[tuple[str, str]]:
    """Return the tags of a page's form and what they are, without names of the purpose."""
    form = html[html.index("<h1") : html.index("</form>", html.index("<h1"))]
    return [
        (tag, " ".join(f"{name}={attrs[name]}" for name in ("id", "class", "type", "name", "for")
                       if name in attrs))
        for tag, attrs in tags_of(form)
    ]  # fmt: skip


def crumbs(html: str) -> list[str]:
    nav = html[html.index('<ol class="govuk-breadcrumbs__list">') :].partition("</ol>")[0]
    return [" ".join(one.split()) for one in re.findall(r">([^<]+)</a>", nav)]


def test_every_setting_is_listed_with_its_answer(two: House) -> None:
    browser = two.member("maya")
    browser.post(OTHER, choice="on", version="2025-12")

    text = text_of(browser.get("/settings"))

    assert f"{NAME} On by default Change {NAME} {TITLE} On Change {TITLE}" in text
    assert "Writing for a member" not in text, "who asks for a text is not asked about training"


def test_every_setting_has_the_same_page(two: House) -> None:
    browser = two.member("maya")
    first, second = browser.get(PATH), browser.get(OTHER)

    assert skeleton(first) == skeleton(second)
    assert LABEL in second
    assert LABEL not in first
    assert "Your setting now: Off by default" in second
    assert "Contoso" in second
    assert "Others outside: yes." in text_of(second)
    assert " checked" not in second
    assert f"<title>{TITLE} " in second
    on, off = re.findall(r'<div class="govuk-radios__item">.*?</div>', second, re.DOTALL)
    same = [re.sub(r'(value|id|for)="[^"]*"|On|Off', "", one) for one in (on, off)]
    assert same[0] == same[1]


def test_a_setting_is_called_alike_everywhere(two: House) -> None:
    browser = two.member("maya")
    place = browser.post(OTHER, choice="on")

    for path in (f"{OTHER}/records", f"{OTHER}/objection", place):
        page = browser.get(path)
        assert crumbs(page) == ["Settings", TITLE]
        assert f'href="{OTHER}"' in page
    assert f">{TITLE}</h1>" in browser.get(OTHER)
    for path in ("/records", "/objection"):
        assert f'href="{OTHER}{path}">{TITLE}</a>' in browser.get(PATH + path)
        assert f'href="{PATH}{path}">{NAME}</a>' in browser.get(OTHER + path)


def test_an_answer_is_of_one_purpose(two: House) -> None:
    browser = two.member("maya")
    place = browser.post(OTHER, choice="on", version="2025-12")
    browser.post(PATH, choice="off")

    assert said(two, "maya") == [
        (AFFILIATES, "on", "settings"), (DEFAULT_PURPOSE, "off", "settings"),
    ]  # fmt: skip
    assert "Your setting now: On" in browser.get(OTHER)
    assert "Your setting now: Off" in browser.get(PATH)
    receipt = text_of(browser.get(place))
    assert f"Setting {TITLE}" in receipt
    assert "Goes to Contoso" in receipt
    assert f"Shown to you {LABEL} (2025-12)" in receipt
    history = text_of(browser.get(f"{PATH}/history"))
    assert re.search(rf"Off {NAME} the setting .* On {TITLE} the setting", history)


@pytest.mark.parametrize("name", ["nobody-declared-it", "assistance", "history", "*", "a b", "%2F"])
def test_what_nobody_declared_has_no_page_and_is_not_recorded(two: House, name: str) -> None:
    browser = two.member("maya")

    for kind in KINDS:
        path = f"{PATH}/for/{name}{kind}"
        assert browser.client.get(path).status_code == 404
        data = {"csrf_token": browser.session.csrf, "choice": "off", "reason": "none"}
        if kind != "/records":
            assert browser.client.post(path, data=data).status_code == 404

    assert said(two, "maya") == []


def test_a_purpose_that_is_withdrawn_has_no_page_and_keeps_its_history(two: House) -> None:
    browser = two.member("maya")
    place = browser.post(OTHER, choice="off")
    two.workspace.publish(without_affiliates(two.workspace.draft_files()))

    assert browser.client.get(OTHER).status_code == 404
    assert f"Off {AFFILIATES} the setting" in text_of(browser.get(f"{PATH}/history"))
    assert crumbs(browser.get(place)) == ["Settings"]


def test_a_setting_without_words_says_so_and_leads_to_the_objection(house: House) -> None:
    house.workspace.publish(without_words(house.workspace.draft_files()))
    browser = house.member("maya")

    page = browser.get(OTHER)

    assert "has published no words for this setting yet" in text_of(page)
    assert 'type="radio"' not in page
    assert f'href="{OTHER}/objection"' in page
    for choice in ("on", "off"):
        assert "This setting has no words yet" in browser.refused(OTHER, choice=choice)
    assert said(house, "maya") == []
    browser.post(f"{OTHER}/objection")
    assert said(house, "maya") == [(AFFILIATES, "off", "objection-form")]
    assert "Your setting now: Off" in browser.get(OTHER)
    assert "no words for this setting yet" in house.visitor().get("/transparency/switch-off").text


def test_words_that_a_language_lacks_are_the_english_ones(two: House) -> None:
    page = two.member("wing").get(f"{OTHER}?lang=zh-Hant")

    assert f'lang="en">{LABEL}</h2>' in page


def test_records_are_told_for_a_purpose(two: House, tmp_path: Path) -> None:
    content = tmp_path / "content.parquet"
    two.workspace.build(content, tmp_path / "first")
    browser = two.member("maya")

    assert browser.get(f"{PATH}/records").count("May be used") == 2
    other = browser.get(f"{OTHER}/records")
    assert "May be used" not in other
    assert "No training set holds anything of yours." in other
    write_content(content, [record_row("a1", "maya", category="article"), record_row("p1", "maya")])
    browser.post(OTHER, choice="on")
    assert browser.get(f"{OTHER}/records").count("May be used") == 1
    two.workspace.build(content, tmp_path / "second", purpose=AFFILIATES)
    assert browser.get(f"{OTHER}/records").count("Your records in it") == 1
    assert browser.get(f"{PATH}/records").count("Your records in it") == 1


def test_pages_of_records_stay_with_their_purpose(two: House, tmp_path: Path) -> None:
    rows = [record_row(f"r{n}", "maya") for n in range(30)]
    write_content(tmp_path / "content.parquet", rows)

    page = two.member("maya").get(f"{OTHER}/records")

    assert 'href="?page=2"' in page


def test_an_objection_is_to_this_purpose_or_to_all(two: House) -> None:
    browser = two.member("jonas")
    form = text_of(browser.get(f"{OTHER}/objection"))
    assert f"{TITLE} Object to training" in form
    one = browser.post(f"{OTHER}/objection", reason="not by affiliates")
    every = browser.post(f"{OTHER}/objection", every="yes", reason="by nobody")

    assert said(two, "jonas") == [
        (AFFILIATES, "off", "objection-form"), (EVERY_PURPOSE, "off", "objection-form"),
    ]  # fmt: skip
    assert f"Setting {TITLE}" in text_of(browser.get(one))
    told = text_of(browser.get(every))
    assert "Setting Every training, present and future" in told
    assert "Goes to Contoso" in told
    assert "Goes to LinkedIn" in told
    page = browser.get(f"{OTHER}/objection")
    for text in (page, two.staff(Role.OFFICER).get("/console/objections")):
        assert f"Against: {TITLE} not by affiliates" in text_of(text)
        assert "Against: Every training, present and future by nobody" in text_of(text)
    kept_id = re.search('name="kept_id" value="([^"]+)"', page)
    assert kept_id
    assert browser.post(f"{OTHER}/objection/reasons", kept_id=kept_id[1]) == f"{OTHER}/objection"


def test_staff_say_to_which_setting_an_off_was_said(two: House) -> None:
    officer = two.staff(Role.OFFICER)
    assert " checked" not in officer.get("/console/off")

    page = officer.refused("/console/off", member="maya")
    assert "Choose a purpose from the list" in page
    assert 'value="maya"' in page
    assert "Choose a purpose" in officer.refused(
        "/console/off", member="maya", purpose="assistance"
    )
    kept = officer.refused("/console/off", member="nobody", purpose=AFFILIATES)
    assert re.search(rf'value="{AFFILIATES}" checked', kept)
    assert said(two, "maya") == []
    officer.post("/console/off", member="maya", purpose=AFFILIATES)
    officer.post("/console/off", member="maya", every="yes")

    assert said(two, "maya") == [(AFFILIATES, "off", "staff"), (EVERY_PURPOSE, "off", "staff")]


def test_global_privacy_control_says_off_once_for_each_purpose_that_is_shared(two: House) -> None:
    files = two.workspace.draft_files()
    more = files[f"purposes/{AFFILIATES}.yaml"].replace(TITLE, "Sold to others")
    two.workspace.publish({**files, "purposes/sold.yaml": more})
    browser = two.member("maya")

    for _ in range(2):
        page = browser.get(OTHER, **{"sec-gpc": "1"})

    assert said(two, "maya") == [(AFFILIATES, "off", "gpc"), ("sold", "off", "gpc")]
    assert "Your setting now: Off" in page
    # What was said after it stands, for this purpose alone.
    browser.post(OTHER, choice="on")
    browser.get(OTHER, **{"sec-gpc": "1"})
    assert two.workspace.decide("maya", purpose=AFFILIATES).choice is Choice.ON
    assert two.workspace.decide("maya", purpose="sold").choice is Choice.OFF
    assert two.workspace.decide("maya").choice is Choice.UNSET


@pytest.mark.parametrize(("language", "all_but", "nothing"), [
    ("en", "apart from what your browser", "Nothing was changed."),
    ("zh-HK", "除了你的瀏覽器訊號", "沒有作出任何更改。"),
])  # fmt: skip
def test_a_refusal_says_that_a_signal_was_obeyed(
    two: House, monkeypatch: pytest.MonkeyPatch, language: str, all_but: str, nothing: str
) -> None:
    browser = two.member("maya")
    two.desk.limits = Limits(two.workspace.ledger, WebSettings(scans_per_minute=1))
    browser.get(f"{PATH}/records")

    def refused() -> str:
        headers = {"sec-gpc": "1", "accept-language": language}
        answer = browser.client.get(f"{PATH}/records", headers=headers)
        assert answer.status_code == 429
        return str(answer.text)

    first, second = refused(), refused()

    assert said(two, "maya") == [(AFFILIATES, "off", "gpc")]
    assert all_but in first
    assert nothing in second
    assert all_but not in second

    def fail(*_args: object) -> bool:  # perhaps after the first of several
        raise UnavailableError("the database does not answer")

    monkeypatch.setattr("sayso.web.request.obey", fail)
    answer = browser.client.get(PATH, headers={"sec-gpc": "1", "accept-language": language})
    assert answer.status_code == 503
    assert all_but in answer.text


@pytest.mark.parametrize(("channel", "english", "chinese"), [
    ("settings", "You chose off.", "你選擇了關閉。"),
    ("web", "You chose off.", "你選擇了關閉。"),
    ("staff", "The answer is off. Staff recorded it for you.", "由職員代你記錄。"),
    ("gpc", "The answer is off. Your browser's signal said it", "由你的瀏覽器訊號表示"),
    ("api", "The answer is off. An application of the platform recorded it.",
     "由平台的應用程式記錄。"),
    ("the app", "The answer is off. An application of the platform recorded it.",
     "由平台的應用程式記錄。"),
    (None, "The answer is off. The platform recorded it", "由平台記錄"),
])  # fmt: skip
def test_a_receipt_says_who_said_it(
    two: House, channel: str | None, english: str, chinese: str
) -> None:
    made = two.workspace.choose("maya", "off", purpose=AFFILIATES, channel=channel)
    browser = two.member("maya")
    place = f"{PATH}/receipts/{receipt_id(two.workspace.ledger, 'maya', made.index)}?saved=1"

    page = text_of(browser.get(place))

    assert page.count(english) == 2
    assert ("You chose" in page) is english.startswith("You chose")
    assert chinese in text_of(browser.get(f"{place}&lang=zh-Hant"))
    assert "You chose" not in browser.get(OTHER)


def test_anybody_is_led_to_each_setting(two: House) -> None:
    page = two.visitor().get("/transparency/switch-off").text

    hrefs = {attrs.get("href") for tag, attrs in tags_of(page) if tag == "a"}
    assert {PATH, OTHER, "/settings", f"{PATH}/objection"} <= hrefs
    assert LABEL in page
    assert "no switch of its own" not in page
    assert 'href="/settings" role="button"' in two.visitor().get("/").text
    asked = two.visitor().get(f"/transparency?purpose={AFFILIATES}").text
    assert f'href="/transparency/timeline?purpose={AFFILIATES}"' in asked
    to_sign_in = two.visitor().get(OTHER).headers["location"]
    assert to_sign_in == f"/sign-in?to={OTHER}", "and comes back to this one"


def test_every_link_of_two_settings_leads_somewhere(two: House) -> None:
    two.workspace.integrate()
    browser = two.member("maya")
    place = browser.post(f"{OTHER}/objection", every="yes")

    found = crawl(browser.client, "/", place)

    assert {path: status for path, status in found.items() if status != 200} == {}
    assert {f"{OTHER}{kind}" for kind in KINDS} <= found.keys()


def test_the_same_form_of_another_setting_is_another_answer(two: House) -> None:
    browser = two.member("maya")

    for path in (PATH, OTHER, OTHER):
        browser.post(path, choice="off", form_id="f1")

    assert [one[0] for one in said(two, "maya")] == [DEFAULT_PURPOSE, AFFILIATES]


def test_without_a_setting_the_list_says_so(house: House) -> None:
    files = house.workspace.draft_files()
    bare = {name: text for name, text in files.items() if name.startswith("groups/")}
    house.workspace.publish({**bare, "purposes/assistance.yaml": files["purposes/assistance.yaml"]})
    browser: Browser = house.member("maya")

    assert "has published no setting yet" in browser.get("/settings")
    assert browser.client.get(PATH).status_code == 404
    assert "Your settings" in house.visitor().get("/").text
    assert house.visitor().get("/transparency/switch-off").status_code == 200
    with pytest.raises(Exception, match="unknown purpose"):
        house.workspace.choose("maya", "off")
    officer = house.staff(Role.OFFICER)
    assert "Choose a purpose" in officer.refused("/console/off", member="maya")
    officer.post("/console/off", member="maya", every="yes")
    assert said(house, "maya") == [(EVERY_PURPOSE, "off", "staff")]


def test_a_path_names_a_purpose_and_nothing_else() -> None:
    assert path_of(DEFAULT_PURPOSE) == PATH
    assert path_of("history") == f"{PATH}/for/history"
