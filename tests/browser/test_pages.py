"""axe finds nothing on any page, in any colours and language; every page fits a narrow screen."""

import pytest

from tests.browser.axe import violations
from tests.browser.conftest import NewTab
from tests.browser.fits import need_fit
from tests.browser.pages import ALL, NO_PAGES, ROUTES, Place, go
from tests.unit.web.affiliates import AFFILIATES

COLOURS: dict[str, dict[str, str]] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "dark", "forced_colors": "active"},
}
# Colours change with the next frame, and what is computed before is of neither.
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
BUTTONS = """<!doctype html><html lang="en"><title>Two</title><body><main><h1>Two</h1>
<style>button { width: 12px; height: 12px; padding: 0; font-size: 8px; display: block }</style>
<button>1</button><button>2</button></main></body></html>"""


def test_axe_looks_at_the_size_of_targets(tab: NewTab) -> None:
    page = tab()
    page.set_content(BUTTONS)

    found = violations(page)

    assert list(found) == ["target-size"]
    assert len(found["target-size"]) == 2


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
@pytest.mark.parametrize("place", ALL, ids=lambda place: place.name)
def test_axe_finds_nothing_and_the_page_fits(tab: NewTab, place: Place, language: str) -> None:
    page = go(tab(place.who, language=language), place)

    assert page.locator("html").get_attribute("lang") == language
    for name, colours in COLOURS.items():
        page.emulate_media(**colours)  # type: ignore[arg-type]
        page.evaluate(PAINTED)
        assert violations(page) == {}, name
    page.emulate_media(color_scheme="light", forced_colors="none")
    need_fit(page)


def test_every_page_is_looked_at() -> None:
    pages = {
        path
        for path in ROUTES
        if not path.startswith(("/api/", "/oauth2/", *NO_PAGES))
        and "." not in path
        and path not in {"/metrics", "/livez", "/readyz"}
    }

    looked_at = {place.path.replace(AFFILIATES, "{purpose}") for place in ALL}
    assert pages <= looked_at | {"/settings/ai-training/receipts/{name}"}
