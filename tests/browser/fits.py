"""Whether a page fits: on narrow screens, and in large letters."""

from playwright.sync_api import Page

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


def _width(page: Page) -> int:
    return int(page.evaluate("document.scrollingElement.scrollWidth"))


def need_fit(page: Page) -> None:
    """Check that a page needs no scrolling to the side, and that nothing of it is cut off."""
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert _width(page) <= NARROW["width"], page.evaluate(TOO_WIDE)
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.evaluate(TWICE)
    assert _width(page) <= WIDE["width"], page.evaluate(TOO_WIDE)
    assert page.evaluate(CUT) == []
