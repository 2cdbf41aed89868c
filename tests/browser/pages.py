"""Every page, as data: a page more is a line more."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from sayso.web.app import make_app, routes_of
from sayso.web.desk import Desk
from tests.browser.serving import HELD, JONAS, MAYA, WING
from tests.unit.web.affiliates import AFFILIATES

SETTING = "/settings/ai-training"
# Of a second purpose, whose pages are the same.
SECOND = f"{SETTING}/for/{AFFILIATES}"
NOBODY, OFFICER = "", "officer"
# For a model to be loaded, on a machine that does other things as well.
MODEL_MS = 120_000
# Text of a button or link in any language is looked for by where it leads.
SAVE = f'form[action="{SETTING}"] button'


@dataclass(frozen=True)
class Place:
    """A page in one of its states.

    Attributes:
        name: Of the state.
        path: Where it begins.
        who: Who looks.
        act: What they do there first.
        status: That the page answers with, before anything is done.
    """

    name: str
    path: str
    who: str = NOBODY
    act: Callable[[Page], None] = lambda page: None
    status: int = 200


def go(page: Page, place: Place) -> Page:
    """Go to a place, and do there what is done first."""
    answer = page.goto(place.path)
    assert answer is not None
    assert answer.status == place.status, place
    place.act(page)
    page.wait_for_load_state()  # what was sought may be there before the styles are
    return page


def _save(page: Page) -> None:
    page.click(SAVE)
    page.wait_for_selector(".govuk-error-summary")


def _save_second(page: Page) -> None:
    page.click(f'form[action="{SECOND}"] button')
    page.wait_for_selector(".govuk-error-summary")


def _save_on_and_every(page: Page) -> None:
    page.check("#choice")
    page.check("#every")
    _save(page)


def _open_receipt(page: Page) -> None:
    page.click(f'main a[href^="{SETTING}/receipts/"]')
    page.wait_for_url("**/receipts/*")


def _object_at_length(page: Page) -> None:
    page.fill("#reason", "a reason " * 500)
    page.click("main form button")
    page.wait_for_selector(".govuk-error-summary")


def _ask_for_nothing(page: Page) -> None:
    if page.query_selector("#about"):
        page.click("main form button")
        page.wait_for_selector(".govuk-error-summary")


def _ask(page: Page) -> None:
    if page.query_selector("#about"):
        page.fill("#about", "A quiet week")
        # The first text of a worker waits for the model to be loaded.
        page.click("main form button", timeout=MODEL_MS)
        page.wait_for_selector('main a[href="/assistant"]', timeout=MODEL_MS)


def _record_for_nobody(page: Page) -> None:
    page.fill("#member", "somebody unknown")
    page.click("main form button")
    page.wait_for_selector(".govuk-error-summary")


PLACES = (
    Place("timeline of no purpose", "/transparency/timeline?purpose=nope", status=422),
    Place("start", "/"),
    Place("start, signed in", "/", WING),
    Place("settings", "/settings", WING),
    Place("setting by default", SETTING, WING),
    Place("setting answered", SETTING, JONAS),
    Place("setting held", SETTING, HELD),
    Place("setting without an answer", SETTING, WING, _save),
    Place("setting with two answers", SETTING, WING, _save_on_and_every),
    Place("second setting", SECOND, WING),
    Place("second setting without an answer", SECOND, WING, _save_second),
    Place("second setting's records", f"{SECOND}/records", WING),
    Place("second setting's objection", f"{SECOND}/objection", WING),
    Place("no such setting", f"{SETTING}/for/nothing", WING, status=404),
    Place("receipt", f"{SETTING}/history", JONAS, _open_receipt),
    Place("history", f"{SETTING}/history", JONAS),
    Place("history of nothing", f"{SETTING}/history", WING),
    Place("records", f"{SETTING}/records", WING),
    Place("records after an off", f"{SETTING}/records", JONAS),
    Place("objection", f"{SETTING}/objection", WING),
    Place("objection too long", f"{SETTING}/objection", WING, _object_at_length),
    Place("assistant", "/assistant", MAYA),
    Place("assistant asked for nothing", "/assistant", MAYA, _ask_for_nothing),
    Place("assistant's text", "/assistant", MAYA, _ask),
    Place("kept", "/assistant/kept", MAYA),
    Place("kept, nothing", "/assistant/kept", WING),
    Place("record an off", "/console/off", OFFICER),
    Place("record an off for nobody", "/console/off", OFFICER, _record_for_nobody),
    Place("why members object", "/console/objections", OFFICER),
    Place("no such page", "/nowhere", status=404),
    Place("not for you", "/console/off", WING, status=403),
)
PUBLIC = tuple(
    Place(path, path)
    for path in (
        "/transparency",
        "/transparency/timeline",
        "/transparency/data",
        "/transparency/switch-off",
        "/transparency/changes",
        "/transparency/holds",
        "/transparency/training-content",
        "/methodology",
        "/accessibility",
    )
)
# What a browser is sent through, or takes away, and no page.
NO_PAGES = ("/sign-in", "/signed-in", "/log/", "/transparency/keys/", "/transparency/checkpoint")


def routed() -> frozenset[str]:
    """Return every path that a browser can ask for."""
    app = make_app(_no_desk, hosts=("privacy.example",), is_encrypted=True)
    return frozenset(path for method, path, _ in routes_of(app) if method == "GET")


def _no_desk() -> Desk:
    raise AssertionError("nothing is asked of this application but its routes")


ROUTES = routed()
# Pages of a part that is not there are no pages.
ALL = (*PLACES, *(place for place in PUBLIC if place.path in ROUTES))
