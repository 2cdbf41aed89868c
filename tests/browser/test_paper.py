"""What a page is on paper."""

from tests.browser.conftest import NewTab
from tests.browser.pages import SETTING
from tests.browser.serving import JONAS


def test_a_receipt_is_printed_without_its_surroundings(tab: NewTab) -> None:
    page = tab(JONAS)
    page.goto(f"{SETTING}/history")
    page.click(f'main a[href^="{SETTING}/receipts/"]')
    page.wait_for_url("**/receipts/*")
    page.emulate_media(media="print")

    for gone in ("header", "footer", ".govuk-breadcrumbs", ".govuk-skip-link"):
        assert not page.locator(gone).first.is_visible(), gone
    assert page.get_by_text("To keep it on paper").is_hidden()
    shown = page.inner_text("main")
    for told in ("Receipt: ", "Counts from", "UTC", "Goes to", "What off does", "Ledger"):
        assert told in shown
    assert page.pdf(format="A4").startswith(b"%PDF-")
