"""No page loses an answer, and none records one that was not given."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewTab
from tests.browser.pages import SAVE, SETTING
from tests.browser.serving import Service

OBJECTION = f"{SETTING}/objection"


def save(page: Page, choice: str) -> str:
    """Save an answer; return the address of its receipt."""
    page.goto(SETTING)
    page.check(f"input[value={choice}]")
    page.click(SAVE)
    page.wait_for_url("**/receipts/*")
    return page.url


def said(service: Service, who: str) -> list[str]:
    return [str(one.choice) for one in service.said(who)]


# ---- what is wrong is told, linked, and what was given stays -----------------------------


def need_fault(page: Page, field: str) -> None:
    """Check that a page tells what is wrong, and leads to the field."""
    page.wait_for_load_state()
    assert page.title().startswith("Error: ")
    summary = page.locator(".govuk-error-summary")
    assert summary.get_by_role("alert").is_visible()
    text = summary.locator("a").inner_text()
    summary.locator("a").click()
    assert page.evaluate("document.activeElement.id") == field
    message = page.locator(f"#{field}-error")
    assert text in message.inner_text()
    described = page.locator(f"#{field}").evaluate(
        "one => (one.closest('fieldset') || one).getAttribute('aria-describedby')"
        " || one.getAttribute('aria-describedby')"
    )
    assert f"{field}-error" in described.split()


def test_no_answer_keeps_the_tick(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)
    page.goto(SETTING)
    page.check("#every")
    page.click(SAVE)

    need_fault(page, "choice")
    assert page.is_checked("#every")
    assert said(service, who) == []


def test_two_answers_keep_both(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)
    page.goto(SETTING)
    page.check("#choice")
    page.check("#every")
    page.click(SAVE)

    need_fault(page, "choice")
    assert page.is_checked("#choice")
    assert page.is_checked("#every")
    assert said(service, who) == []


def test_a_reason_that_is_too_long_is_kept_to_the_last_letter(
    tab: NewTab, service: Service
) -> None:
    who, reason = service.newcomer(), "a reason, and another; " * 200 + "the end"
    page = tab(who)
    page.goto(OBJECTION)
    page.fill("#reason", reason)
    page.check("#every")
    page.click("main form button")

    need_fault(page, "reason")
    assert page.input_value("#reason") == reason
    assert page.is_checked("#every")
    assert said(service, who) == []


def test_what_was_asked_of_the_assistant_stays(tab: NewTab, service: Service) -> None:
    if not service.writes:
        pytest.skip("without PyTorch nobody writes")
    page = tab(service.newcomer())
    page.goto("/assistant")
    page.select_option("#texts", "3")
    page.fill("#about", "word " * 500)
    page.click("main form button")

    need_fault(page, "about")
    assert page.input_value("#about").strip() == ("word " * 500).strip()
    assert page.input_value("#texts") == "3"


def test_the_id_of_nobody_stays(tab: NewTab) -> None:
    page = tab("officer")
    page.goto("/console/off")
    page.fill("#member", "nobody of ours")
    page.check("#every")
    page.click("main form button")

    need_fault(page, "member")
    assert page.input_value("#member") == "nobody of ours"
    assert page.is_checked("#every")


# ---- what is recorded, and how often ------------------------------------------------------


def test_looking_ticking_and_leaving_records_nothing(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)
    page.goto(SETTING)
    page.check("#choice-off")
    page.check("#every")
    page.goto("/settings")
    page.go_back()
    assert page.locator("input:checked").count() == 0, "a tick that was not saved is no answer"
    page.check("#choice-off")
    page.close()

    assert said(service, who) == []


def test_a_receipt_that_is_loaded_again_records_nothing(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)
    place = save(page, "off")
    page.reload()
    page.reload()

    assert page.url == place
    assert said(service, who) == ["off"]


def test_back_after_a_save_shows_what_was_saved(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)
    save(page, "on")
    save(page, "off")
    page.go_back()

    assert page.url.endswith(SETTING)
    assert page.locator(".sayso-answer h2").inner_text() == "Your setting now: Off"
    assert page.locator("input:checked").get_attribute("value") == "off"
    page.go_forward()
    assert said(service, who) == ["on", "off"]


def test_a_double_click_is_one_answer(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)
    page.goto(SETTING)
    page.check("#choice-off")
    page.dblclick(SAVE)
    page.wait_for_url("**/receipts/*")

    assert said(service, who) == ["off"]
    assert page.locator("h1").inner_text().startswith("Receipt: ")
    # Who says it again on purpose, on the page as it is then, is heard again.
    save(page, "off")
    assert said(service, who) == ["off", "off"]


def test_a_double_click_is_one_objection(tab: NewTab, service: Service) -> None:
    who = service.newcomer()
    page = tab(who)
    page.goto(OBJECTION)
    page.fill("#reason", "because")
    page.dblclick("main form button")
    page.wait_for_url("**/receipts/*")

    assert said(service, who) == ["off"]


def test_an_off_is_never_taken_for_a_repetition(tab: NewTab, service: Service) -> None:
    """The same form, sent again: once at once, and once after another answer was given."""
    who = service.newcomer()
    first, second = tab(who), tab(who)
    first.goto(SETTING)
    fields: dict[str, str | float | bool] = {"choice": "off"}
    for one in first.locator(f'form[action="{SETTING}"] input[type=hidden]').all():
        fields[str(one.get_attribute("name"))] = str(one.get_attribute("value"))
    again = [first.request.post(SETTING, form=fields, max_redirects=0) for _ in range(2)]
    assert said(service, who) == ["off"]
    assert len({one.headers["location"] for one in again}) == 1

    save(second, "on")
    first.request.post(SETTING, form=fields, max_redirects=0)

    assert said(service, who) == ["off", "on", "off"]


def test_who_was_signed_out_loses_no_words(tab: NewTab, service: Service) -> None:
    """A session that ended meanwhile: told that nothing was recorded, with the words at hand."""
    who = service.newcomer()
    page = tab(who)
    page.goto(OBJECTION)
    page.fill("#reason", "written for half an hour")
    page.context.clear_cookies()
    page.click("main form button")
    page.wait_for_load_state()

    assert "Nothing was changed" in page.inner_text("main")
    assert "written for half an hour" in page.inner_text("main")
    assert said(service, who) == []
