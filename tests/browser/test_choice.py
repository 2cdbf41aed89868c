"""On and off weigh the same, nothing is preselected but what was said, one name everywhere.

Source: EDPB Guidelines 03/2022, version 2.0: obstructing, skipping, stirring, fickle.
"""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewTab
from tests.browser.keys import focused, tab_to
from tests.browser.pages import SECOND, SETTING
from tests.browser.serving import HELD, JONAS, WING, Service
from tests.unit.web.affiliates import AFFILIATES, TITLE

NAME = "Data for Generative AI Improvement"
OTHER = {"on": "off", "off": "on"}
LOOKS = (
    "fontFamily", "fontSize", "fontWeight", "lineHeight", "color", "backgroundColor", "opacity",
    "padding", "margin", "textTransform", "textDecorationLine", "cursor", "display", "visibility",
)  # fmt: skip
LOOK = """([one, names]) => {
    const label = document.querySelector(`label[for=${one}]`), input = document.getElementById(one);
    const told = {};
    for (const part of [null, '::before', '::after']) {
        const style = getComputedStyle(label, part);
        for (const name of names) told[`${part} ${name}`] = style[name];
    }
    const box = input.getBoundingClientRect(), text = label.getBoundingClientRect();
    return {...told, size: [box.width, box.height], height: text.height, left: [box.x, text.x]};
}"""


def look(page: Page, field: str) -> dict[str, Any]:
    """Return everything that makes an answer large, clear or near; its place in the list apart."""
    return dict(page.evaluate(LOOK, [field, list(LOOKS)]))


def clicks(page: Page, choice: str, setting: str = SETTING) -> int:
    """Give an answer with a mouse, from the list of settings to its receipt; return the clicks."""
    page.goto("/settings")
    page.click(f'main a[href="{setting}"]')
    page.click(f"label[for={'choice' if choice == 'on' else 'choice-off'}]")
    page.click("main form button")
    page.wait_for_url("**/receipts/*")
    return 3


def presses(page: Page, choice: str) -> int:
    """Give an answer with keys, from the top of the page to its receipt; return the presses."""
    page.goto(SETTING)
    stored = page.locator("input[name=choice]:checked").count() > 0
    number = 0
    while (found := focused(page)) is None or found.type != "radio":
        page.keyboard.press("Tab")
        number += 1
    if not stored and choice == "on":
        page.keyboard.press("Space")
    else:
        page.keyboard.press("ArrowDown" if choice == "off" else "ArrowUp")
    assert page.locator(f"input[value={choice}]").is_checked()
    number += 1 + tab_to(page, "Save")
    page.keyboard.press("Enter")
    page.wait_for_url("**/receipts/*")
    return number + 1


@pytest.mark.parametrize("steps", [clicks, presses], ids=["clicks", "keys"])
def test_off_takes_no_more_steps_than_on(tab: NewTab, service: Service, steps: Any) -> None:
    silent, other = service.newcomer(), service.newcomer()
    page, page_of_other = tab(silent), tab(other)

    off, on = steps(page, "off"), steps(page_of_other, "on")
    back_to_on, back_to_off = steps(page, "on"), steps(page_of_other, "off")

    assert [str(one.choice) for one in service.said(silent)] == ["off", "on"]
    assert [str(one.choice) for one in service.said(other)] == ["on", "off"]
    assert off <= on
    assert back_to_off <= back_to_on


def test_a_second_setting_takes_the_same_steps(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)

    steps = [clicks(page, choice, SECOND) for choice in ("on", "off", "on")]

    assert steps == [clicks(page, "off")] * 3
    found = [(one.purpose, str(one.choice)) for one in service.said(who)]
    assert found[:3] == [(AFFILIATES, "on"), (AFFILIATES, "off"), (AFFILIATES, "on")]
    page.goto(SECOND)
    assert page.locator("input:checked").get_attribute("value") == "on"
    page.goto(SETTING)
    assert page.locator("input:checked").get_attribute("value") == "off"
    name = page.locator("h1").inner_text()
    page.goto(SECOND)
    assert page.locator("h1").inner_text() == TITLE != name


@pytest.mark.parametrize("path", [SETTING, SECOND])
@pytest.mark.parametrize("scheme", ["light", "dark", "forced"])
def test_on_and_off_look_the_same(tab: NewTab, service: Service, scheme: str, path: str) -> None:
    forced = "active" if scheme == "forced" else "none"
    colours = "light" if scheme == "light" else "dark"
    page = tab(service.newcomer(), forced_colors=forced, color_scheme=colours)
    page.goto(path)
    assert look(page, "choice") == look(page, "choice-off")

    # And alike where they are chosen, or pointed at.
    page.check("#choice")
    on, not_off = look(page, "choice"), look(page, "choice-off")
    page.check("#choice-off")
    assert look(page, "choice-off") == on
    assert look(page, "choice") == not_off


def test_nothing_is_preselected_but_what_was_said(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)
    page.goto(SETTING)
    assert page.locator("input:checked").count() == 0
    for choice in ("off", "on"):
        clicks(page, choice)
        page.goto(SETTING)
        assert page.locator("input:checked").count() == 1
        assert page.locator("input:checked").get_attribute("value") == choice
    for path in (f"{SETTING}/objection", "/console/off"):
        page = tab(who if "settings" in path else "officer")
        page.goto(path)
        assert page.locator("input:checked").count() == 0


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
def test_the_setting_has_one_name_everywhere(tab: NewTab, language: str) -> None:
    page = tab(JONAS, language=language)
    page.goto(SETTING)
    name = page.locator("h1").inner_text()
    assert page.title().startswith(name)
    if language == "en":
        assert name == NAME
    page.goto("/settings")
    assert page.locator("dt").first.inner_text() == name
    assert name in page.locator("dd a").first.inner_text()
    for path in ("records", "objection"):
        page.goto(f"{SETTING}/{path}")
        assert page.locator(f'.govuk-breadcrumbs a[href="{SETTING}"]').inner_text() == name
    page.goto(f"{SETTING}/history")
    page.click(f'main a[href^="{SETTING}/receipts/"]')
    assert page.locator(f'.govuk-breadcrumbs a[href="{SETTING}"]').inner_text() == name


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
def test_an_answer_is_called_what_its_radio_is_called(tab: NewTab, language: str) -> None:
    page = tab(JONAS, language=language)
    page.goto(SETTING)
    off = page.locator("label[for=choice-off]").inner_text()
    assert page.locator(".sayso-answer h2").inner_text().endswith(off)
    page.goto("/settings")
    assert page.locator("dd").first.inner_text() == off
    page.goto(f"{SETTING}/history")
    assert page.locator("tbody td").first.inner_text() == off


def test_a_hold_is_told_before_the_question(tab: NewTab) -> None:
    page = tab(HELD)
    page.goto(SETTING)
    banner = page.get_by_role("region", name="Training is stopped here").first

    assert banner.is_visible()
    assert "A hold protects you now" in banner.inner_text()
    assert page.evaluate(
        "() => !!(document.querySelector('[role=region]')"
        ".compareDocumentPosition(document.querySelector('#choice')) & 4)"
    )
    # Never over anything: it scrolls away with the page.
    assert banner.evaluate("one => getComputedStyle(one).position") == "static"
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    page = tab(WING)
    page.goto(SETTING)
    assert page.get_by_role("region", name="Training is stopped here").count() == 0
