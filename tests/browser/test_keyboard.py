"""With keys alone: every page's order and focus, and the whole way."""

import pytest

from tests.browser.conftest import NewTab
from tests.browser.keys import MOST_KEYS, focused, tab_to
from tests.browser.pages import ALL, SETTING, Place, go
from tests.browser.serving import HELD, Service

# Every field, button and link of a page, as a browser counts them: a group of radios is one stop.
STOPS = """() => {
    const found = [...document.querySelectorAll(
        'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]'
    )].filter(one => one.checkVisibility());
    const names = new Set(found.filter(one => one.type === 'radio').map(one => one.name));
    return found.filter(one => one.type !== 'radio').length + names.size;
}"""


# Every kind of thing that takes the focus stands on one of these.
KINDS = {"start", "setting answered", "records", "objection too long", "assistant", "/transparency"}
WALKS = [(place, "none") for place in ALL]
WALKS += [(place, "active") for place in ALL if place.name in KINDS]


@pytest.mark.parametrize(
    ("place", "colours"), WALKS, ids=[f"{place.name}-{colours}" for place, colours in WALKS]
)
def test_focus_is_seen_and_goes_as_the_page_reads(tab: NewTab, place: Place, colours: str) -> None:
    page = go(tab(place.who, forced_colors=colours), place)
    # A page that another one came before has no focus to show; what was done first left it
    # somewhere: begin at the top.
    page.bring_to_front()
    page.evaluate("() => { document.activeElement.blur(); getSelection().collapse(document.body) }")

    passed = []
    for _ in range(MOST_KEYS):
        page.keyboard.press("Tab")
        found = focused(page)
        if found is None:
            break
        assert found.is_on_screen, found
        assert found.is_on_top, found
        assert found.is_marked, found
        passed.append(found.place)

    assert passed == sorted(passed), "the focus goes as the page reads"
    assert len(passed) == page.evaluate(STOPS), "every stop is reached, and none twice"


def test_the_first_key_leads_past_the_header(tab: NewTab) -> None:
    page = tab(HELD)
    page.goto(SETTING)
    page.keyboard.press("Tab")
    found = focused(page)
    assert found is not None
    assert found.what == "Skip to main content"

    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize(("choice", "key"), [("off", "ArrowDown"), ("on", "Space")])
def test_from_the_first_page_to_a_receipt(
    tab: NewTab, service: Service, choice: str, key: str
) -> None:
    page = tab()
    page.goto("/")
    tab_to(page, "Sign in as Maya")
    page.keyboard.press("Enter")
    page.wait_for_url("**/oauth2/authorize?*")
    tab_to(page, "Maya")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{SETTING}")
    before = service.said("maya")

    stored = page.locator("input[name=choice]:checked").count() > 0
    tab_to(page, "On" if not stored or page.is_checked("#choice") else "Off")
    if not stored or not page.is_checked(f"input[value={choice}]"):
        page.keyboard.press(key if not stored else "ArrowUp" if choice == "on" else "ArrowDown")
    tab_to(page, "Save")
    page.keyboard.press("Enter")

    page.wait_for_url("**/receipts/*")
    assert [str(one.choice) for one in service.said("maya")[len(before) :]] == [choice]
    assert tab_to(page, "Signed receipt (JSON)") > 0
