"""Pages on narrow screens, in large letters and on paper."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewTab
from tests.browser.pages import ALL, SETTING, Place, go
from tests.browser.running import JONAS

NARROW = {"width": 320, "height": 640}
# Letters twice as large in a window of 1280 pixels. Source: WCAG 2.2, 1.4.4 and 1.4.10.
WIDE = {"width": 1280, "height": 900}
TWICE = "document.documentElement.style.fontSize = '200%'"
TOO_WIDE = """() => {
    const wide = document.scrollingElement.clientWidth;
    const scrolls = one => one.closest('.sayso-wide') !== null;
    return [...document.querySelectorAll('body *')]
        .filter(one => one.getBoundingClientRect().right > wide + 1 && !scrolls(one))
        .map(one => one.outerHTML.slice(0, 120));
}"""
# Text that stands outside of what shows it. What is for screen readers alone is meant to be small.
CUT = """() => [...document.querySelectorAll('body *')].filter(one => {
    const style = getComputedStyle(one);
    const hides = ['hidden', 'clip'].includes(style.overflowX + '')
        || ['hidden', 'clip'].includes(style.overflowY + '');
    return hides && !one.className.includes('hidden') && !one.className.includes('skip-link')
        && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1);
}).map(one => one.outerHTML.slice(0, 120))"""


def width(page: Page) -> int:
    return int(page.evaluate("document.scrollingElement.scrollWidth"))


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
@pytest.mark.parametrize("place", ALL, ids=lambda place: place.name)
def test_pages_fit(tab: NewTab, place: Place, language: str) -> None:
    page = go(tab(place.who, language=language, viewport=NARROW), place)

    assert width(page) <= NARROW["width"], page.evaluate(TOO_WIDE)
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.evaluate(TWICE)
    assert width(page) <= WIDE["width"], page.evaluate(TOO_WIDE)
    assert page.evaluate(CUT) == []


def test_a_receipt_is_printed_without_its_surroundings(tab: NewTab) -> None:
    page = tab(JONAS)
    page.goto(f"{SETTING}/history")
    page.click(f'main a[href^="{SETTING}/receipts/"]')
    page.emulate_media(media="print")

    for gone in ("header", "footer", ".govuk-breadcrumbs", ".govuk-skip-link"):
        assert not page.locator(gone).first.is_visible(), gone
    assert page.get_by_text("To keep it on paper").is_hidden()
    shown = page.inner_text("main")
    for told in ("Receipt: ", "Counts from", "UTC", "Goes to", "What off does", "Ledger"):
        assert told in shown
    assert page.pdf(format="A4").startswith(b"%PDF-")
