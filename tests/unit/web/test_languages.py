"""Languages: which one a page is in, whole catalogues, and what is never translated."""

import re
from collections.abc import Iterator
from gettext import NullTranslations

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from sayso.errors import InputError
from sayso.model import Dated
from sayso.web.access import Role
from sayso.web.languages import COOKIE, language_of, translations
from sayso.web.pages import setting
from sayso.web.rendering import environment
from tests.town import START
from tests.unit.evidence.packing import make_packed_town
from tests.unit.web.affiliates import (
    AFFILIATES,
    TITLE,
    add_affiliates,
    with_affiliates,
    without_words,
)
from tests.unit.web.catalogue import WEB, collected, held
from tests.unit.web.house import WHO, Browser, House
from tests.unit.web.public_site import PAGES, make_workspace, site, text_of

SETTING = "/settings/ai-training"
OTHER = f"{SETTING}/for/{AFFILIATES}"
CHINESE = "zh-Hant"
TEXTS, HELD = collected(), held()
# Names, which are alike in every language.
SAME = {"Sayso"}


def english(text: str | tuple[str, str]) -> str:
    return text if isinstance(text, str) else text[1]


# ---- the catalogue ----------------------------------------------------------------------


def test_the_catalogue_has_every_text_and_nothing_else() -> None:
    assert [text for text in TEXTS if text not in HELD] == []
    assert [text for text in HELD if text not in TEXTS] == []
    assert len(TEXTS) > 500


@pytest.mark.parametrize("text", [
    "The account is not an active account of a person.", "Accessibility statement", "kept", "none",
    ("%(num)s country", "%(num)s countries"), "Everywhere else", "No", "Profile", "settings",
    "see /settings", "grey",
])  # fmt: skip
def test_what_is_collected(text: str | tuple[str, str]) -> None:
    assert (text in TEXTS) is (text not in {"settings", "see /settings", "grey"})


def test_placeholders_agree() -> None:
    for text, chinese in HELD.items():
        names = re.findall(r"%\((\w+)\)s", english(text))
        assert sorted(re.findall(r"%\((\w+)\)s", chinese)) == sorted(names), text
        # Whatever else a per cent sign begins would fail where the text is shown.
        assert chinese % dict.fromkeys(names, "") is not None
        assert english(text) % dict.fromkeys(names, "") is not None


def test_every_text_is_in_chinese_as_hong_kong_writes_it() -> None:
    for text, chinese in HELD.items():
        assert chinese.strip(), text
        assert (chinese == english(text)) is (text in SAME), text
        # A simplified character has no place in what Hong Kong writes.
        assert chinese.encode("big5hkscs"), text


def test_nothing_but_consent_is_called_consent() -> None:
    for text, chinese in HELD.items():
        if "同意" in chinese:
            assert "consent" in english(text), text
    for silent in ("On by default", "You have not answered.", "no objection", "opt-in"):
        assert "同意" not in HELD[silent]


# ---- pages ------------------------------------------------------------------------------


class Noting(NullTranslations):
    """Notes what was asked for and is in no catalogue."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: list[str] = []

    def gettext(self, message: str) -> str:
        self.missing.append(message)
        return message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        self.missing.append(msgid1)
        return msgid2


@pytest.fixture
def noting() -> Iterator[Noting]:
    """What notes the texts that the Chinese pages lack."""
    translations.cache_clear()
    environment.cache_clear()
    made = Noting()
    translations(CHINESE).add_fallback(made)
    yield made
    translations.cache_clear()
    environment.cache_clear()


def reads_chinese(browser: Browser) -> Browser:
    browser.client.headers["accept-language"] = "zh-HK,zh;q=0.9,en;q=0.5"
    return browser


def member_pages(house: House, who: str) -> Iterator[str]:
    browser = reads_chinese(house.member(who))
    for path in ("/", "/settings", SETTING, f"{SETTING}/history", f"{SETTING}/records",
                 f"{SETTING}/objection", OTHER, f"{OTHER}/records", f"{OTHER}/objection",
                 "/assistant", "/assistant/kept",
                 "/assistant/kept?deleted=2", f"{SETTING}?lang={CHINESE}"):  # fmt: skip
        yield browser.get(path)
    yield browser.get(SETTING, **{"sec-gpc": "1"})
    yield browser.refused(SETTING)
    yield browser.refused(SETTING, choice="on", every="yes")
    yield browser.refused(OTHER, choice="on", every="yes")
    yield browser.refused(f"{SETTING}/objection", reason="a" * 5000)
    yield browser.client.get("/nowhere").text
    yield browser.client.get("/console/off").text


def test_no_page_of_a_member_lacks_a_text(house: House, noting: Noting) -> None:
    workspace = house.workspace
    add_affiliates(workspace)
    pages: list[str] = []
    assert house.desk.content is not None
    workspace.build(house.desk.content, house.desk.content.parent / "first")
    for who in (*WHO, "stranger"):
        pages += member_pages(house, who)
    for who, choice, every in (("wing", "on", ""), ("maya", "off", ""), ("jonas", "off", "yes")):
        browser = reads_chinese(house.member(who))
        pages.append(browser.get(browser.post(SETTING, choice=choice, every=every)))
        pages.append(browser.get(browser.post(f"{SETTING}/objection", reason="for no reason")))
    for channel in ("staff", "gpc", "api", None):
        workspace.choose("maya", "deferred", channel=channel)
        history = house.member("maya").get(f"{SETTING}/history")
        [place, *_] = re.findall(rf'href="({SETTING}/receipts/[^"]+)"', history)
        pages.append(reads_chinese(house.member("maya")).get(place))
    workspace.place_hold("HK", begins=Dated(START), placed_by="the platform", hold_id="h1")
    for who in WHO:
        pages += member_pages(house, who)

    workspace.publish(without_words(workspace.draft_files()))
    maya = reads_chinese(house.member("maya"))
    pages += [maya.get(OTHER), maya.refused(OTHER, choice="off"), maya.get("/")]
    pages.append(reads_chinese(house.member("wing")).get("/transparency/switch-off"))

    officer = reads_chinese(house.staff(Role.OFFICER))
    pages.append(officer.get(officer.post("/console/off", member="maya", every="yes")))
    pages.append(officer.refused("/console/off", member="nobody"))

    assert noting.missing == []
    for page in pages:
        assert '<html lang="zh-Hant"' in page
        # The head of a catalogue is its answer to no text at all.
        assert "Project-Id-Version" not in page


ASKED = ("?country=HK&at=2025-01-15", "?country=DE", "?country=XX&at=never&purpose=none")


def test_no_public_page_lacks_a_text(tmp_path_factory: pytest.TempPathFactory,
                                     noting: Noting) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("town")
    make_packed_town(folder)
    places = (folder / "ws", make_workspace(tmp_path_factory.mktemp("empty"), None))
    for place in places:
        with site(place) as client:
            client.headers["accept-language"] = "zh-TW"
            for path in (*PAGES, *(f"/transparency{query}" for query in ASKED)):
                page = client.get(path).text
                assert '<html lang="zh-Hant"' in page
                assert "Project-Id-Version" not in page

    assert noting.missing == []


def test_a_setting_is_told_in_chinese(house: House) -> None:
    text = text_of(reads_chinese(house.member("wing")).get(SETTING))

    assert "預設開啟" in text
    assert "不是你的回覆。" in text
    assert "適用於香港的規則" in text
    assert "2025年11月3日" in text
    assert "特別行政區" not in text
    assert "同意" not in text


def test_places_have_the_names_that_people_use() -> None:
    named, english_name = (environment(tag).filters["country"] for tag in (CHINESE, "en"))

    assert [named(code) for code in ("HK", "MO", "TW", "IT", None)] == [
        "香港", "澳門", "台灣", "意大利", "國家或地區不詳",
    ]  # fmt: skip
    assert [english_name(code) for code in ("HK", "DE", None)] == [
        "Hong Kong", "Germany", "an unknown country",
    ]  # fmt: skip


# ---- what is none of our texts ----------------------------------------------------------

HOSTILE = "100% of %(all)s <b>models</b> %s"
SHOWN = "100% of %(all)s &lt;b&gt;models&lt;/b&gt; %s"
# What templates translate by name: each of these is a text of ours, never the rulebook's, the
# ledger's or a visitor's. Jinja formats it, and takes it for markup.
NAMES = frozenset({
    "title", "name", "one.title", "called", "meaning", "one.off_means", "text", "row.choice",
    "row.category", "run.became", "became", "category", "one", "kind", "aspect", "sentence",
    "rule.mode", "rule.decided_by", "told.mode", "told.before_mode", "done[told.change.what]",
    "categories[cover.category]", "categories[name]", "visibilities[name]", "modes[row.mode]",
    "states[state][0]", "states[line.then][0]", "words[code]", "positions[hold.position]",
    "relations[row.relation]", "undoes[rule.withdrawal]",
})  # fmt: skip


def test_templates_translate_no_name_but_those_of_our_texts() -> None:
    found = set()
    for path in (WEB / "templates").glob("*.html"):
        found |= set(re.findall(r"(?<!n)(?:gettext|_)\(([a-z][^)\"']*)\)", path.read_text("utf-8")))

    assert found == NAMES


@pytest.mark.parametrize("language", ["en", CHINESE])
def test_what_the_rulebook_says_is_no_format_and_no_markup(house: House, language: str) -> None:
    files = dict(house.workspace.draft_files())
    name = "purposes/content-generation-training.yaml"
    files[name] = re.sub(r"(?m)^title: .*$", f"title: '{HOSTILE}'", files[name])
    files[name] = re.sub(r"(?m)^recipients: .*$", f"recipients: ['{HOSTILE}']", files[name])
    # A note beside an assumption, and who decided, are the rulebook's words as well.
    files[name] = files[name].replace("one setting covers", f"{HOSTILE} covers")
    files = with_affiliates(files)
    other = f"purposes/{AFFILIATES}.yaml"
    files[other] = files[other].replace(TITLE, f"'{HOSTILE}'", 1)
    house.workspace.publish(files)
    browser = house.member("wing")
    browser.client.headers["accept-language"] = language

    receipt = browser.get(browser.post(SETTING, choice="off"))
    second = f"{SETTING}/for/{AFFILIATES}"
    other_receipt = browser.get(browser.post(f"{second}/objection", reason=HOSTILE))
    every = browser.get(browser.post(SETTING, choice="off", every="yes"))
    officer = house.staff(Role.OFFICER)

    for page in (receipt, other_receipt, every, officer.get("/console/off"),
                 officer.get("/console/objections"),
                 *(browser.get(path) for path in (
                     "/settings", SETTING, second, f"{second}/records", f"{second}/objection",
                     f"{SETTING}/records", f"{SETTING}/history", "/transparency/data",
                     "/transparency/changes", "/transparency/switch-off"))):  # fmt: skip
        assert SHOWN in page
        assert "<b>" not in page


@pytest.mark.parametrize(("language", "title"), [
    ("en", "What was asked for is not in order"), (CHINESE, "要求的內容不符合規定"),
])  # fmt: skip
def test_what_an_error_says_is_no_format_and_no_markup(
    house: House, monkeypatch: pytest.MonkeyPatch, language: str, title: str
) -> None:
    def fail(*_: object) -> None:
        raise InputError(f"{HOSTILE!r} is nothing", hint=f"say {HOSTILE}")

    monkeypatch.setattr(setting, "setting_asked", fail)
    browser = house.member("wing")
    browser.client.headers["accept-language"] = language

    answer = browser.client.get(SETTING)

    assert answer.status_code == 400
    assert f'<h1 class="govuk-heading-l">{title}</h1>' in answer.text
    assert answer.text.count(SHOWN) == 2
    assert "<b>" not in answer.text


# ---- which language ---------------------------------------------------------------------


def asking(accepted: str = "", query: str = "", cookie: str = "") -> Request:
    headers = [(b"accept-language", accepted.encode()), (b"cookie", cookie.encode())]
    return Request({"type": "http", "headers": headers, "query_string": query.encode()})


@pytest.mark.parametrize(("accepted", "language"), [
    ("", "en"), ("zh-HK", CHINESE), ("zh-TW", CHINESE), ("zh-MO", CHINESE), ("ZH-hant", CHINESE),
    ("zh-Hant-HK", CHINESE), ("zh-HK,zh;q=0.9,en;q=0.8", CHINESE), ("en-GB,zh-HK;q=0.9", "en"),
    ("zh-Hans", "en"), ("zh-CN,zh-HK;q=0.1", CHINESE), ("zh", "en"), ("zh-Hans-HK", "en"),
    ("en;q=0.5,zh-HK;q=0.7", CHINESE), ("en; q=0.5, zh-HK; q=0.7", CHINESE),
    ("en;q=0.5 , zh-HK ; Q=0.7", CHINESE), ("zh-HK;q=0", "en"), ("zh-HK;q=0.000,fr", "en"),
    ("fr,zh-HK", CHINESE), ("*,zh-HK;q=0.5", "en"), ("zh-HK,*", CHINESE),
    ("zh-HK;q=nan", "en"), ("zh-HK;q=inf", "en"), ("zh-HK;q=-1", "en"), ("zh-HK;q=2,en", "en"),
    ("zh-HK;level=1", "en"), (";;;,,,q=", "en"), ("\x00\xff, zh-HK", CHINESE),
    ("x" * 499 + ",zh-HK", "en"), (",".join(["zh-HK"] * 1000), CHINESE),
])  # fmt: skip
def test_what_a_browser_prefers(accepted: str, language: str) -> None:
    assert language_of(asking(accepted)) == language


@pytest.mark.parametrize(("query", "cookie", "language"), [
    ("lang=zh-Hant", "", CHINESE), ("lang=zh-Hant", f"{COOKIE}=en", CHINESE),
    ("", f"{COOKIE}=zh-Hant", CHINESE), ("lang=en", f"{COOKIE}=zh-Hant", "en"),
    ("lang=xx", f"{COOKIE}=zh-Hant", CHINESE), ("lang=xx", f"{COOKIE}=xx", "en"),
    ("lang=zh_Hant", "", "en"), ("lang=../zh-Hant", "", "en"), ("lang=", f"{COOKIE}=", "en"),
])  # fmt: skip
def test_what_a_reader_asked_for(query: str, cookie: str, language: str) -> None:
    assert language_of(asking("en", query, cookie)) == language


def test_a_language_that_was_asked_for_is_kept(house: House) -> None:
    browser: TestClient = house.visitor()

    for query in ("lang=xx", "lang=zh_Hant", ""):
        answer = browser.get(f"/accessibility?{query}")
        assert COOKIE not in answer.headers.get("set-cookie", "")
        assert answer.headers["content-language"] == "en"
    answer = browser.get(f"/accessibility?lang={CHINESE}")
    assert answer.headers["content-language"] == CHINESE
    for word in (f"{COOKIE}=zh-Hant", "Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert word in answer.headers["set-cookie"]
    assert '<html lang="zh-Hant"' in browser.get("/accessibility").text
