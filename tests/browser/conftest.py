"""One service and one browser for all tests here; a tab of its own for each.

Where no Chromium is there, these tests are skipped and the end of the run says so.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.browser.serving import CHROMIUM, Service, open_browser, running
from tests.conftest import NO_CHROMIUM

LANGUAGES = {"en": "en-GB", "zh-Hant": "zh-HK"}
NewTab = Callable[..., Page]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, which answers until the run ends."""
    need_chromium()
    with running(tmp_path_factory.mktemp("browser")) as made:
        yield made


# Not of the session: Playwright leaves a loop running, which other tests start for themselves.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The one browser."""
    need_chromium()
    with sync_playwright() as playwright:
        opened = open_browser(playwright)
        yield opened
        opened.close()


def need_chromium() -> None:
    """Skip, where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"{NO_CHROMIUM} at {CHROMIUM}")


@pytest.fixture
def tab(browser: Browser, service: Service) -> Iterator[NewTab]:
    """Opens tabs: `tab(who, language="en", **options of a context)`.

    What the browser complains of, such as something that the page's policy forbids, fails the
    test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # A browser calls an answer that says 4xx an error of the page's; here it is one on purpose.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def new(who: str = "", *, language: str = "en", **options: Any) -> Page:
        context = browser.new_context(
            base_url=service.address, locale=LANGUAGES[language], **options
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        context.on("console", note)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        if who:
            service.sign_in(context, who)
        return context.new_page()

    yield new
    for context in contexts:
        context.close()
    assert complaints == []
