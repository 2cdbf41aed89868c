"""The whole way without scripts: a page has none, and a browser may run none."""

import json
from pathlib import Path

from tests.browser.conftest import NewTab
from tests.browser.pages import SETTING
from tests.browser.serving import MAYA, Service


def test_from_the_first_page_to_a_receipt_and_out(tab: NewTab, service: Service) -> None:
    page = tab(java_script_enabled=False)
    before = len(service.said(MAYA))

    page.goto("/")
    page.get_by_role("button", name="Sign in as Maya").click()
    page.get_by_role("button", name="Maya", exact=True).click()
    page.wait_for_url(f"**{SETTING}")
    page.get_by_label("Off", exact=True).check()
    page.get_by_role("button", name="Save").click()

    page.wait_for_url("**/receipts/*")
    assert page.get_by_role("alert").inner_text().startswith("Saved")
    assert page.locator("h1").inner_text().startswith("Receipt: ")
    assert [str(one.choice) for one in service.said(MAYA)[before:]] == ["off"]
    with page.expect_download() as taken:
        page.get_by_role("link", name="Signed receipt (JSON)").click()
    file = Path(taken.value.path())
    assert "payload" in json.loads(file.read_bytes())
    page.get_by_role("link", name="Back to the setting").click()
    page.get_by_role("link", name="What you have said so far").click()
    assert page.locator("tbody tr").count() == before + 1

    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in", exact=True).wait_for()
    page.goto(SETTING)
    assert "/oauth2/authorize" in page.url


def test_no_page_has_a_script(tab: NewTab) -> None:
    page = tab(MAYA)
    for path in ("/", "/settings", SETTING, f"{SETTING}/records", "/assistant"):
        page.goto(path)
        assert page.locator("script, [onclick], [onsubmit], [style]").count() == 0
