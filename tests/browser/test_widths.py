"""Wide and narrow: a desktop shows every column, and a long word of the rulebook fits a phone."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewTab
from tests.browser.fits import NARROW, WIDE, need_fit
from tests.browser.pages import ALL, Place, go

CUT_TABLES = """() => [...document.querySelectorAll('.sayso-wide')]
    .filter(one => one.scrollWidth > one.clientWidth)
    .map(one => [one.getAttribute('aria-label'), one.scrollWidth, one.clientWidth])"""
# Words of ours on buttons and in lists of countries have no such length.
LENGTHEN = """word => {
    const walker = document.createTreeWalker(
        document.querySelector('.govuk-width-container:has(main)'), NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const node = walker.currentNode;
        if (node.data.trim() && !node.parentElement.closest('button, option, .govuk-button')) {
            found.push(node);
        }
    }
    found.forEach(node => { node.data += ' ' + word; });
    return found.length;
}"""
WORD = "Einwilligungserklärungsformularverarbeitung"
PUBLIC = [place for place in ALL if place.path.startswith("/transparency")]
OF_RULEBOOK = [place for place in ALL if place.path.startswith(("/transparency", "/settings"))]


def lengthen(page: Page) -> int:
    return int(page.evaluate(LENGTHEN, WORD))


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
@pytest.mark.parametrize("place", PUBLIC, ids=lambda place: place.name)
def test_a_desktop_shows_every_column(tab: NewTab, place: Place, language: str) -> None:
    page = tab(place.who, language=language)
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    assert go(page, place).evaluate(CUT_TABLES) == []


@pytest.mark.parametrize("place", OF_RULEBOOK, ids=lambda place: place.name)
def test_a_long_word_fits_a_narrow_screen(tab: NewTab, place: Place) -> None:
    page = tab(place.who)
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    go(page, place)

    assert lengthen(page) > 5
    need_fit(page)
