"""The setting: what is shown, what is recorded, and what nothing records."""

import re
from pathlib import Path

import pytest

from sayso.attest.receipts import verify_receipt
from sayso.evidence.verify import load_given, verify_path
from sayso.model import Choice, Dated, Position
from sayso.receipting import choices_of
from sayso.web.access import Role
from tests.town import START
from tests.unit.web.house import WHO, House, made_house

SETTING = "/settings/ai-training"
QUESTION = "Use my data for training content creation AI models"


def said(house: House, who: str) -> list[tuple[str, str, str | None, str | None]]:
    """Return what stands in the ledger of a member."""
    ledger = house.workspace.ledger
    return [
        (one.purpose, str(one.choice), one.channel, one.setting_version)
        for one in choices_of(ledger, who, ledger.size())
    ]


def checked(page: str) -> list[str]:
    """Return the values of what is preselected."""
    found = re.findall(r"<input[^>]*>", page)
    return [re.search('value="([^"]*)"', one)[1] for one in found if " checked" in one]  # type: ignore[index]


def test_a_default_is_shown_as_a_default_and_never_as_an_answer(house: House) -> None:
    page = house.member("maya").get(SETTING)

    assert "Your setting now: On by default" in page
    assert "This is the platform&#39;s default and not an answer of yours." in page
    assert QUESTION in page
    assert checked(page) == []
    assert "consent" not in page.lower()


@pytest.mark.parametrize("who", WHO)
def test_a_choice_is_kept_shown_and_receipted(house: House, who: str, tmp_path: Path) -> None:
    browser = house.member(who)
    house.workspace.integrate()

    place = browser.post(SETTING, choice="off", version="2024-09")

    assert said(house, who) == [("content-generation-training", "off", "settings", "2024-09")]
    receipt = browser.get(place)
    assert "You chose off." in receipt
    assert "Receipt: objection" in receipt or "Receipt: opt-out" in receipt
    page = browser.get(SETTING)
    assert "Your setting now: Off" in page
    assert checked(page) == ["off"]
    # And what the member takes home is verified by somebody who has the platform's key alone.
    house.workspace.integrate()
    name = place.partition("?")[0]
    saved = {}
    for path in (f"{name}.json", "/transparency/keys/attest.pem", "/transparency/keys/policy"):
        raw = browser.client.get(path)
        how, _, named = raw.headers["content-disposition"].partition("; filename=")
        assert how == "attachment"
        saved[named.strip('"')] = raw.content
        (tmp_path / named.strip('"')).write_bytes(raw.content)
    # The command as the page prints it names the files as a browser saves them.
    told = re.search("sayso verify (\\S+) --key (\\S+) --policy ([^\\s<]+)", receipt)
    assert told is not None
    assert sorted(told.groups()) == sorted(saved)
    file, key, policy = (tmp_path / one for one in told.groups())
    assert verify_path(file, load_given((key,), policy)).is_sound


def test_on_and_off_are_one_step_each_and_equal(house: House) -> None:
    browser = house.member("maya")
    browser.post(SETTING, choice="off")
    browser.post(SETTING, choice="on")

    assert [choice for _, choice, _, _ in said(house, "maya")] == ["off", "on"]
    page = browser.get(SETTING)
    on, off = re.findall(r'<div class="govuk-radios__item">.*?</div>', page, re.DOTALL)
    same = [re.sub(r'(value|id|for)="[^"]*"| checked|On|Off', "", one) for one in (on, off)]
    assert same[0] == same[1]


def test_nothing_is_recorded_without_an_answer(house: House) -> None:
    browser = house.member("maya")

    page = browser.refused(SETTING, every="yes")

    assert "Choose on or off" in page
    assert "yes" in checked(page), "what was ticked stays ticked"
    assert said(house, "maya") == []
    for path in (SETTING, "/settings", f"{SETTING}/history", f"{SETTING}/objection"):
        browser.get(path)
    assert said(house, "maya") == [], "looking and closing change nothing"


def test_on_and_an_objection_to_everything_do_not_go_together(house: House) -> None:
    browser = house.member("maya")

    page = browser.refused(SETTING, choice="on", every="yes")

    assert "do not object to every use" in page
    assert sorted(checked(page)) == ["on", "yes"]
    assert said(house, "maya") == []


def test_a_standing_objection_is_one_tick_and_stands_against_new_settings(house: House) -> None:
    browser = house.member("maya")
    browser.post(SETTING, choice="off", every="yes")
    assert said(house, "maya")[0][:2] == ("*", "off")

    files = house.workspace.draft_files()
    purpose = "purposes/content-generation-training.yaml"
    files["purposes/later.yaml"] = files[purpose]
    for name, text in list(files.items()):
        if name.startswith("scopes/world"):
            files[name] = text
    house.workspace.publish(files)

    assert house.workspace.decide("maya", purpose="later").choice is Choice.OFF
    page = browser.get(SETTING)
    assert "You object to every use of your data for training, present and future." in page
    assert 'name="every"' not in page
    browser.post(SETTING, choice="on")
    assert house.workspace.decide("maya").choice is Choice.ON
    assert house.workspace.decide("maya", purpose="later").choice is Choice.OFF


def test_the_law_of_this_member_stands_there_with_its_source(house: House) -> None:
    hong_kong, states = house.member("wing").get(SETTING), house.member("maya").get(SETTING)

    assert "Rule for Hong Kong" in hong_kong
    assert "3 November 2025" in hong_kong
    assert "Rule for the world" in states
    assert "18 September 2024" in states
    assert hong_kong.count("Source:") >= 1


def test_a_hold_is_told_and_changes_no_choice(house: House) -> None:
    browser = house.member("wing")
    browser.post(SETTING, choice="on")
    house.workspace.place_hold(
        "HK", begins=Dated(START), placed_by="the platform", asked_by="the authority", hold_id="h1"
    )

    page = browser.get(SETTING)

    assert "A hold protects you now, whatever you choose below." in page
    assert "It was asked for by the authority." in page
    assert checked(page) == ["on"]
    assert "A hold protects you now" not in house.member("maya").get(SETTING)
    house.workspace.lift_hold(
        "h1", lifted=Dated(house.clock.now), source=None, position=Position.NONE
    )
    assert "A hold protects you now" not in browser.get(SETTING)


SHARING = """title: Sharing with others
recipients: [Others]
sharing: true
source: {recipients: assumption, sharing: assumption}
"""


def test_global_privacy_control_says_off_once_for_what_is_shared_and_on_for_nothing(
    house: House,
) -> None:
    house.workspace.publish({**house.workspace.draft_files(), "purposes/sharing.yaml": SHARING})
    browser = house.member("maya")

    for path in ("/transparency", SETTING):  # heard wherever the member goes
        page = browser.get(path, **{"sec-gpc": "1"})

    assert "Your browser sends Global Privacy Control" in page
    assert said(house, "maya") == [("sharing", "off", "gpc", None)]
    # What the member says after it is theirs to say.
    house.workspace.choose("maya", "on", purpose="sharing")
    browser.get(SETTING, **{"sec-gpc": "1"})
    assert house.workspace.decide("maya", purpose="sharing").choice is Choice.ON
    assert "Your setting now: On by default" in page
    for value in ("0", "true", ""):
        house.member("jonas").get(SETTING, **{"sec-gpc": value})
    assert said(house, "jonas") == []


def test_an_objection_needs_no_reason_and_keeps_one_from_models(house: House) -> None:
    browser = house.member("jonas")
    browser.post(f"{SETTING}/objection")
    browser.post(f"{SETTING}/objection", reason="I write for people.", every="yes")

    assert said(house, "jonas") == [
        ("content-generation-training", "off", "objection-form", None),
        ("*", "off", "objection-form", None),
    ]
    assert "I write for people" not in browser.get("/assistant/kept")
    assert "I write for people." in browser.get(f"{SETTING}/objection")
    officer = house.staff(Role.OFFICER)
    assert "I write for people." in officer.get("/console/objections")
    assert house.staff(Role.ADMIN).client.get("/console/objections").status_code == 403
    kept_id = re.search('name="kept_id" value="([^"]+)"', browser.get(f"{SETTING}/objection"))
    assert kept_id
    house.member("maya").post(f"{SETTING}/objection/reasons", kept_id=kept_id[1])
    assert "I write for people." in officer.get("/console/objections"), "somebody else's"
    browser.post(f"{SETTING}/objection/reasons", kept_id=kept_id[1])
    assert "I write for people." not in officer.get("/console/objections")
    assert "Write a shorter reason" in browser.refused(f"{SETTING}/objection", reason="a" * 4001)
    assert len(said(house, "jonas")) == 2


def test_staff_record_an_off_and_never_an_on(house: House) -> None:
    officer = house.staff(Role.OFFICER)

    place = officer.post("/console/off", member="maya", choice="on")

    assert said(house, "maya") == [("content-generation-training", "off", "staff", None)]
    assert "The off is recorded as entry" in officer.get(place)
    assert "Nobody with this id is a member" in officer.refused("/console/off", member="nobody")
    assert "Through" in house.member("maya").get(f"{SETTING}/history")


def test_records_say_what_is_used_and_why_not(house: House) -> None:
    browser = house.member("wing")

    page = browser.get(f"{SETTING}/records")

    assert page.count("May be used") == 2
    assert page.count("Not used") == 1
    assert "No rule admits this category of content." in page
    assert "maya" not in page
    assert "wing wrote line 1" in page
    browser.post(SETTING, choice="off")
    assert browser.get(f"{SETTING}/records").count("Not used") == 3


def test_records_say_which_training_sets_held_them(house: House, tmp_path: Path) -> None:
    house.workspace.build(tmp_path / "content.parquet", tmp_path / "first")

    page = house.member("wing").get(f"{SETTING}/records")

    assert "Your records in it" in page
    assert "No run learned from it." in page
    assert "there is nothing to forget" in page


def test_what_the_assistant_keeps_is_shown_and_deleted(house: House) -> None:
    from sayso.ledger.kept import keep, kept_of
    from sayso.writing import Exchange

    ledger = house.workspace.ledger
    for who in ("maya", "jonas"):
        told = Exchange("post", f"what {who} asked", (), ("Calm.",), "release 1a2b", "")
        keep(ledger, who, f"kept-{who}", told.to_bytes(), house.desk.now_us())
    browser = house.member("maya")
    page = browser.get("/assistant/kept")
    assert "what maya asked" in page
    assert "jonas" not in page

    assert browser.post("/assistant/kept", kept_id="kept-jonas").endswith("deleted=0")
    assert len(kept_of(ledger, "jonas")) == 1
    assert browser.post("/assistant/kept", kept_id="kept-maya").endswith("deleted=1")
    assert "Nothing is kept." in browser.get("/assistant/kept")


def test_without_anybody_who_writes_the_assistant_says_so(house: House) -> None:
    assert "Nobody writes here yet" in house.member("maya").get("/assistant")


def test_in_chinese_the_wording_is_the_rulebooks_own(house: House) -> None:
    browser = house.member("wing")

    page = browser.get(f"{SETTING}?lang=zh-Hant")

    assert 'lang="zh-Hant"' in page
    assert "使用我的資料訓練內容創作人工智能模型" in page
    assert browser.client.cookies["sayso-language"] == "zh-Hant"
    browser.post(SETTING, choice="off", version="2024-09-zh-Hant")
    assert said(house, "wing")[0][3] == "2024-09-zh-Hant"


def test_a_member_of_whom_nothing_is_known_is_told_so(tmp_path: Path) -> None:
    with made_house(tmp_path) as house:
        page = house.member("stranger").get(SETTING)

    assert "an unknown country" in page
    assert "Not in use" in page


def test_a_receipt_says_what_its_signed_file_says(house: House) -> None:
    browser = house.member("wing")
    place = browser.post(SETTING, choice="on")
    trust = house.workspace.trust

    raw = browser.client.get(f"{place.partition('?')[0]}.json").content
    receipt = verify_receipt(raw, trust.keys)

    assert receipt.called == "no objection"
    assert "Receipt: no objection" in browser.get(place)
    assert "That is not a consent." in browser.get(place) or "not a consent" in browser.get(place)


def test_words_that_were_changed_meanwhile_are_read_before_they_count(house: House) -> None:
    browser = house.member("maya")

    page = browser.refused(SETTING, choice="off", version="2023-01")

    assert "The words beside the setting have changed" in page
    assert checked(page) == ["off"]
    assert said(house, "maya") == []


def test_who_is_erased_amid_a_request_is_told_that_nobody_can_tell(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the door already; whoever comes to it afterwards is nobody."""
    house.workspace.build(tmp_path / "content.parquet", tmp_path / "first")
    browser = house.member("maya")
    house.workspace.erase("maya")
    monkeypatch.setattr(type(house.desk), "is_erased", lambda *_: False)

    page = browser.get(f"{SETTING}/records")

    assert "Nobody can tell any more which training sets held something of yours." in page
    assert "there is nothing to forget" not in page


def test_a_form_that_failed_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = house.member("maya")
    form = re.search('name="form_id" value="([^"]+)"', browser.get(SETTING))
    assert form
    with monkeypatch.context() as patch:
        patch.setattr(type(house.desk), "choose", lambda *_, **__: 1 / 0)
        data = {"csrf_token": browser.session.csrf, "choice": "off", "form_id": form[1]}
        assert browser.client.post(SETTING, data=data).status_code == 500

    browser.post(SETTING, choice="off", form_id=form[1])

    assert len(said(house, "maya")) == 1
