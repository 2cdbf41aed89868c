"""Going through a page by its keys, and looking at what has the focus."""

from dataclasses import dataclass

from playwright.sync_api import Page

MOST_KEYS = 80
_FOCUSED = """() => {
    const one = document.activeElement;
    if (!one || one === document.body || one === document.documentElement) return null;
    // The provider's field has none, and whether it has the focus before the first key is a race.
    const label = one.labels?.[0];
    // Radios and checkboxes are drawn by their label; what scrolls and what is fixed may hide one.
    const shown = label && one.matches('[type=radio], [type=checkbox]') ? label : one;
    const area = one.getBoundingClientRect();
    const at = [area.x + area.width / 2, area.y + area.height / 2];
    const top = document.elementFromPoint(...at);
    const styles = [getComputedStyle(one), getComputedStyle(shown, '::before')];
    const line = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const ring = style => line(style) && !/^rgba.*, 0\\)$/.test(style.outlineColor);
    const forced = matchMedia('(forced-colors: active)').matches;
    const all = [...document.querySelectorAll('*')];
    return {
        what: (one.innerText || label?.innerText || one.value
            || one.getAttribute('aria-label') || '').trim(),
        tag: one.tagName.toLowerCase(), type: one.type || '', id: one.id, place: all.indexOf(one),
        is_on_top: top !== null && (one.contains(top) || top.contains(one) || shown.contains(top)),
        is_on_screen: area.bottom > 0 && area.top < innerHeight && area.right > 0
            && area.left < innerWidth && area.width > 0 && area.height > 0,
        // Where colours are forced, shadows are not drawn and a transparent outline is.
        is_marked: styles.some(style => forced ? line(style) : ring(style)
            || style.boxShadow !== 'none'),
    };
}"""


@dataclass(frozen=True)
class Focused:
    """What has the focus.

    Attributes:
        what: Its text or label.
        tag: Of the element.
        type: Of a field.
        id: Of the element.
        place: In the order of the document.
        is_on_top: Whether nothing lies over it.
        is_on_screen: Whether any of it is.
        is_marked: Whether one sees that it has the focus.
    """

    what: str
    tag: str
    type: str
    id: str
    place: int
    is_on_top: bool
    is_on_screen: bool
    is_marked: bool


def focused(page: Page) -> Focused | None:
    """Return what has the focus; None for nothing."""
    found = page.evaluate(_FOCUSED)
    return None if found is None else Focused(**found)


def tab_to(page: Page, what: str) -> int:
    """Press Tab until something has the focus whose text begins so; return how often."""
    for number in range(1, MOST_KEYS):
        page.keyboard.press("Tab")
        found = focused(page)
        if found is not None and found.what.startswith(what):
            return number
    raise AssertionError(f"no key leads to {what!r}")
