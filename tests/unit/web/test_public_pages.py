"""Public pages: cases of the story, every rulebook, hostile text, nobody signed in."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sayso.evidence.suppress import FEW
from sayso.evidence.trace import Relation
from sayso.model import DEFAULT_PURPOSE, Dated, Position, Source, Withdrawal
from sayso.publishing import lifting, placing, template_files
from sayso.transparency import State
from sayso.web.pages import public_terms, public_words
from tests.unit.evidence.packing import make_packed_town
from tests.unit.web.public_site import LANGUAGES, PAGES, make_workspace, site, tags_of, text_of

FILES = template_files("linkedin-2024")
PURPOSE, HK = "purposes/content-generation-training.yaml", "scopes/HK.yaml"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two training sets, one of them from before a hold."""
    folder = tmp_path_factory.mktemp("public")
    make_packed_town(folder)
    return folder / "ws"


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[TestClient]:
    with site(place) as found:
        yield found


# ---- what is so -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "at", "told"),
    [
        ("HK", "2024-10-10", "On unless switched off since 18 September 2024"),
        ("HK", "2024-10-11", "Held since 11 October 2024"),
        ("HK", "2025-11-02", "Held since 11 October 2024"),
        ("HK", "2025-11-03", "On unless switched off since 3 November 2025"),
        ("GB", "2024-09-17", "Off always"),
        ("GB", "2024-09-18", "Held by 18 September 2024, perhaps earlier"),
        ("DE", "2025-01-15", "Off always"),
        ("DE", "", "On unless switched off since 3 November 2025"),
    ],
)
def test_one_country(client: TestClient, country: str, at: str, told: str) -> None:
    text = text_of(client.get("/transparency", params={"country": country, "at": at}).text)

    assert told in text


def test_who_said_so_and_what_comes_next(client: TestClient) -> None:
    text = text_of(client.get("/transparency?country=HK&at=2025-01-15").text)

    assert "A hold, placed by LinkedIn. It was asked for by PCPD." in text
    assert "Source: PCPD, media statement of 2024-10-15" in text
    assert "What comes next: On unless switched off from 3 November 2025" in text


def test_everywhere_on_a_past_day(client: TestClient) -> None:
    text = text_of(client.get("/transparency?at=2025-01-15").text)

    assert "Everywhere, on 15 January 2025" in text
    assert re.search(r"European Economic Area \d+ countries [^:.]*Sweden[^:.]* Off always", text)
    assert re.search(r"Everywhere else \d+ countries [^:]*Zimbabwe[^:.]* On unless", text)


@pytest.mark.parametrize(
    ("query", "link"),
    [
        ("country=XX", "#country"), ("at=yesterday", "#at"), ("at=2025-02-30", "#at"),
        ("purpose=nothing", "#purpose"), ("at=%00", "#at"), ("country=%3Cscript%3E", "#country"),
        ("at=" + "9" * 3000, "#at"),
    ],
)  # fmt: skip
def test_an_unknown_question_is_told_what_is_wrong(
    client: TestClient, query: str, link: str
) -> None:
    answer = client.get(f"/transparency?{query}")

    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    ids = {attrs.get("id") for _, attrs in tags_of(answer.text)}
    assert ("a", {"href": link}) in tags_of(answer.text)
    assert link[1:] in ids
    assert "<script>" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_a_purpose_that_is_unknown_has_no_timeline(client: TestClient) -> None:
    told = client.get("/transparency/timeline?purpose=nope")
    drawn = client.get("/transparency/timeline.svg?purpose=nope")

    assert (told.status_code, drawn.status_code) == (422, 404)
    assert "There is a problem The rulebook knows no such purpose" in text_of(told.text)
    tags = tags_of(told.text)
    assert not [one for one in tags if one[0] in {"table", "img"}]
    place = f"/transparency/timeline?purpose={DEFAULT_PURPOSE}"
    assert ("a", {"href": place}) in tags
    assert client.get(place).status_code == 200
    assert "<svg" not in drawn.text
    assert all(one.headers["cache-control"] == "no-store" for one in (told, drawn))


def test_the_window_before_the_hold(client: TestClient) -> None:
    text = text_of(client.get("/transparency/holds").text)

    assert "From 17 September 2024, 16:00:00 UTC until 10 October 2024, 16:00:00 UTC." in text
    assert "Models that were trained before stay as they are." in text
    assert "built before the hold" in text
    assert "These days are not known exactly" in text  # Canada


def test_no_page_shows_a_small_count(client: TestClient) -> None:
    for path in ("/transparency/holds", "/transparency/training-content"):
        html = client.get(path).text
        cells = re.findall(r'cell--numeric">([^<]*)<', html)
        assert cells
        for cell in cells:
            number = cell.replace(",", "").strip()
            assert not number.isdigit() or int(number) == 0 or int(number) >= FEW


def test_the_switch_in_the_language_of_the_page(client: TestClient) -> None:
    english = client.get("/transparency/switch-off").text
    chinese = client.get("/transparency/switch-off?lang=zh-Hant").text

    assert "Use my data for training content creation AI models" in english
    assert '<strong lang="zh-Hant">使用我的資料訓練內容創作人工智能模型</strong>' in chinese
    for html in (english, chinese):
        assert ("a", "/settings/ai-training") in {
            (tag, attrs.get("href")) for tag, attrs in tags_of(html)
        }


def test_what_is_never_used(client: TestClient) -> None:
    text = text_of(client.get("/transparency/data").text)
    never = text[text.index("What is never used") : text.index("Who receives it")]

    assert "Private messages" in never
    assert "Salaries" in never
    assert "Posts" not in never


def test_every_training_set_and_its_summary(client: TestClient) -> None:
    text = text_of(client.get("/transparency/training-content").text)

    assert "No release exists yet" in text
    assert "1.1 Provider identification" in text
    assert "For the provider to fill in" in text


# ---- every rulebook, both languages -----------------------------------------------------


def hostile() -> dict[str, str]:
    """Return a rulebook whose every own word wants to be something else."""
    nasty = '<script>alert(1)</script> %(who)s %s {{ 7*7 }} " onload=x'
    quoted = "'" + nasty.replace("'", "''") + "'"
    files = dict(FILES)
    files[PURPOSE] = re.sub(r"(?m)^title: .*$", f"title: {quoted}", files[PURPOSE])
    files[PURPOSE] = files[PURPOSE].replace(
        "recipients: [LinkedIn,", f"recipients: [{quoted}, LinkedIn,"
    )
    files[HK] = files[HK].replace("placed_by: LinkedIn", f"placed_by: {quoted}", 1)
    files[HK] = files[HK].replace("asked_by: PCPD", f"asked_by: {quoted}", 1)
    files[HK] = files[HK].replace(
        "condition: until the concerns of the PCPD have been addressed", f"condition: {quoted}"
    )
    files[HK] = files[HK].replace("title: PCPD, media statement of 2024-10-15", f"title: {quoted}")
    return files


RULEBOOKS = {
    "story": None,
    "empty": template_files("empty"),
    "hostile": hostile(),
    "opt-in": {
        **FILES, HK: FILES[HK].replace("mode: opt-out", "mode: opt-in").replace(
            "withdrawal: future-runs", "withdrawal: forget"),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RULEBOOKS)
def test_every_page_renders(tmp_path: Path, name: str) -> None:
    with site(make_workspace(tmp_path, RULEBOOKS[name])) as found:
        for language in LANGUAGES:
            for path in (*PAGES, "/transparency?country=HK&at=2025-01-15"):
                answer = found.get(path, headers={"accept-language": language})
                assert answer.status_code == 200, path
                assert f'<html lang="{language}"' in answer.text
                assert "<script" not in answer.text
                assert " style=" not in answer.text
                assert "alert(1)" not in answer.text or "&lt;script&gt;" in answer.text
                ids = [attrs["id"] for _, attrs in tags_of(answer.text) if "id" in attrs]
                assert len(ids) == len(set(ids)), path
        assert found.get("/transparency/timeline.svg").status_code == 200


def test_hostile_words_are_shown_as_words(tmp_path: Path) -> None:
    with site(make_workspace(tmp_path, hostile())) as found:
        text = text_of(found.get("/transparency/holds").text)
        assert "<script>alert(1)</script> %(who)s %s {{ 7*7 }}" in text
        text = text_of(found.get("/transparency?country=HK&at=2025-01-15").text)
        assert "A hold, placed by <script>alert(1)</script> %(who)s %s" in text


def test_an_address_that_is_no_web_page_is_no_link(tmp_path: Path) -> None:
    address = "https://pcpd.org.hk/english/news_events/media_statements/press_20241015.html"
    files = {**FILES, HK: FILES[HK].replace(address, "'javascript:alert(1)'")}
    try:
        place = make_workspace(tmp_path, files)
    except Exception as error:  # noqa: BLE001  then no such address is ever published
        assert "address" in str(error)  # noqa: PT017
        return
    with site(place) as found:
        for path in ("/transparency?at=2025-01-15", "/transparency/holds"):
            hrefs = [attrs.get("href") or "" for _, attrs in tags_of(found.get(path).text)]
            assert not [one for one in hrefs if one.startswith("javascript")]


def test_before_any_rulebook_nothing_may_be_used(place: Path, tmp_path: Path) -> None:
    with site(without_rulebook(tmp_path)) as found:
        for path in PAGES:
            answer = found.get(path)
            assert answer.status_code == 200, path
        text = text_of(found.get("/transparency").text)
        assert "No rulebook has been published yet." in text
        assert found.get("/transparency/timeline.svg").status_code == 200
        assert found.get("/transparency/jurisdictions.csv").text.count("\n") == 1


def without_rulebook(folder: Path) -> Path:
    """Return a workspace whose rulebook was never published."""
    place = make_workspace(folder, None)
    from sayso.ledger import open_ledger, schema

    ledger = open_ledger(f"sqlite:///{place / 'ledger.db'}", place)
    with ledger.writing() as con:
        con.execute(schema.entry.delete().where(schema.entry.c.kind == "rulebook"))
    ledger.close()
    return place


# ---- what changed -----------------------------------------------------------------------


def test_a_change_is_shown_word_by_word_at_once(tmp_path: Path) -> None:
    place = make_workspace(tmp_path, None)
    with site(place) as found:
        assert "<ins>Off</ins>" not in found.get("/transparency/changes").text
        later = {**FILES, PURPOSE: FILES[PURPOSE].replace("On unless you", "Off unless you")}
        found.app.state.desk.workspace.publish(later)  # type: ignore[attr-defined]
        html = found.get("/transparency/changes").text

    assert "<del>On</del> <ins>Off</ins> unless you switch it off" in html
    assert "Changed" in text_of(html)


def test_what_silence_means_is_told_for_whom(client: TestClient) -> None:
    text = text_of(client.get("/transparency/changes").text)

    assert (
        "For members in European Economic Area, since 3 November 2025: On unless the member "
        "chooses off. Before: The platform has not enabled this use."
    ) in text


def test_a_lift_is_told_as_a_lift_with_its_own_source(tmp_path: Path) -> None:
    place, day = make_workspace(tmp_path, None), Dated(date(2026, 11, 20))
    lifted = Dated(date(2026, 12, 24))
    with site(place) as found:
        workspace = found.app.state.desk.workspace  # type: ignore[attr-defined]
        edit, names = placing(
            None, "FR", purposes=(DEFAULT_PURPOSE,), begins=day, placed_by="LinkedIn",
            asked_by="CNIL", ordered_by="", condition="", source=None,
        )  # fmt: skip
        held = edit(FILES)
        workspace.publish(held)
        placed = text_of(found.get("/transparency/changes").text)
        source = Source("Letter of CNIL")
        lift = lifting(names[-1], lifted=lifted, source=source, position=Position.NO_OBJECTION)
        workspace.publish(lift(held))
        text = text_of(found.get("/transparency/changes").text)
        chinese = text_of(found.get("/transparency/changes?lang=zh-Hant").text)

    says = "A hold stops training on what members in France wrote, since 20 November 2026."
    assert f"New {names[-1]} {says}" in placed
    assert (
        f"Lifted {names[-1]} The hold is lifted from 24 December 2026 on. "
        "The authority did not object to lifting it. Source of the lift: Letter of CNIL. "
        "Before, it stopped training on what members in France wrote, since 20 November 2026. "
        "It was asked for by CNIL."
    ) in text
    assert text.count(says) == 1, "where it was placed, and not where it was lifted"
    assert "自2026年12月24日起解除" in chinese


def test_the_world_is_named_as_english_does(tmp_path: Path) -> None:
    place = make_workspace(tmp_path, None)
    with site(place) as found:
        edit, _ = placing(
            None, "world", purposes=(DEFAULT_PURPOSE,), begins=Dated(date(2026, 11, 20)),
            placed_by="LinkedIn", asked_by="", ordered_by="", condition="", source=None,
        )  # fmt: skip
        found.app.state.desk.workspace.publish(edit(FILES))  # type: ignore[attr-defined]
        text = text_of(found.get("/transparency/changes").text)
        holds = text_of(found.get("/transparency/holds").text)

    assert "For members everywhere else, since 18 September 2024: On unless" in text
    assert "A hold stops training on what members everywhere wrote, since 20 Nov" in text
    assert "members in Everywhere" not in text
    assert "Everywhere, since 20 November 2026" in holds, "a hold on the world stops all of it"


# ---- words ------------------------------------------------------------------------------


def test_every_code_has_its_words() -> None:
    assert set(public_words.STATES) == set(State)
    assert set(public_words.RELATIONS) == set(Relation)
    assert set(public_words.POSITIONS) == set(Position)
    assert set(public_words.UNDOES) == set(Withdrawal)
    terms = public_terms.Terms("en")
    assert terms.tell("begins", "2024-09-18 (by)") == "by 18 September 2024, perhaps earlier"
    assert terms.tell("lifted", "2025-11-03T00:00:00Z") == "3 November 2025, 00:00:00 UTC"
    assert terms.tell("notice", "30, 2025-09-01") == (
        "30 days before; notices count since 1 September 2025"
    )


def test_pages_link_to_pages_that_are_there(client: TestClient) -> None:
    built_here = ("/transparency", "/methodology", "/accessibility", "/.well-known", "/static")
    for path in PAGES:
        for tag, attrs in tags_of(client.get(path).text):
            target = attrs.get("href") or attrs.get("src") or ""
            if tag in {"a", "img", "link"} and target.startswith(built_here):
                assert client.get(target).status_code == 200, target
