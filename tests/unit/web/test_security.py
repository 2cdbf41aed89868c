"""What must not be possible: a test each."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sayso.errors import InputError
from sayso.receipting import choices_of
from sayso.settings import parse_web
from sayso.web.access import Access, Caller, Role, allow, allow_anyone, read_roles, says_who
from sayso.web.app import make_app, routes_of
from sayso.web.guards import PAGE_BYTES
from sayso.web.local import local_path, sign_in_path
from sayso.web.sessions import COOKIE, LASTS_SECONDS
from tests.unit.web.house import ADDRESS, House, made_house

SETTING = "/settings/ai-training"


def said(house: House, who: str) -> int:
    """Return how often a member said something."""
    ledger = house.workspace.ledger
    return len(choices_of(ledger, who, ledger.size()))


# ---- forms of others --------------------------------------------------------------------

FORMS: tuple[tuple[str, dict[str, str]], ...] = (
    (SETTING, {"choice": "off"}),
    (f"{SETTING}/objection", {"reason": ""}),
    ("/assistant", {"about": "a week"}),
    ("/assistant/kept", {}),
    ("/sign-out", {}),
)


@pytest.mark.parametrize(("path", "form"), FORMS)
def test_a_form_without_the_sessions_token_changes_nothing(
    house: House, path: str, form: dict[str, str]
) -> None:
    browser = house.member("maya")
    other = house.member("jonas")

    for token in ("", "0" * 64, other.session.csrf):
        answer = browser.client.post(path, data={"csrf_token": token, **form})
        assert answer.status_code == 403, path
        assert "Nothing was changed." in answer.text
    assert browser.client.post(path, data=form).status_code == 403
    assert browser.client.post(path, json=form).status_code == 403

    assert said(house, "maya") == 0
    assert house.desk.sessions.kept.get(browser.session.secret, house.desk.now_us()) is not None


def test_a_token_in_the_address_is_none(house: House) -> None:
    browser = house.member("maya")

    answer = browser.client.post(
        f"{SETTING}?csrf_token={browser.session.csrf}", data={"choice": "off"}
    )

    assert answer.status_code == 403


# ---- sessions ---------------------------------------------------------------------------


def test_a_session_that_somebody_planted_is_nobodys(house: House) -> None:
    browser = house.visitor()
    browser.cookies.set(COOKIE, "planted-by-somebody")

    assert browser.get(SETTING).status_code == 303
    assert browser.get(SETTING).headers["location"].startswith("/sign-in")


def test_a_session_ends_for_every_copy_of_its_cookie(house: House) -> None:
    browser = house.member("maya")
    copy = house.visitor()
    copy.cookies.set(COOKIE, browser.session.secret)
    assert copy.get(SETTING).status_code == 200

    browser.post("/sign-out")

    assert copy.get(SETTING).status_code == 303


def test_a_session_ends_by_itself(house: House) -> None:
    browser = house.member("maya")
    house.clock.now = house.clock.now.replace(year=house.clock.now.year + 1)

    assert LASTS_SECONDS == 12 * 3600
    assert browser.client.get(SETTING).status_code == 303


def test_the_cookie_is_for_this_host_encrypted_and_no_script(house: House) -> None:
    from starlette.responses import Response

    from sayso.web.sessions import set_cookie

    answer = Response()
    set_cookie(answer, house.member("maya").session)
    told = answer.headers["set-cookie"]

    assert told.startswith("__Host-sayso=")
    for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in told
    assert "Domain" not in told


def test_no_file_of_the_workspace_names_whose_session_it_is(house: House) -> None:
    house.signed_in(Caller(subject="subject-zq7", member_id="member-zq7"))
    with house.workspace.ledger.engine.connect() as con:
        con.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    for path in house.workspace.path.rglob("*"):
        if path.is_file():
            assert b"zq7" not in path.read_bytes(), path


# ---- going elsewhere --------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "",
        "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "evil.example", None,
        "/ok\\..//evil", "http:/evil.example", "/\x00/evil",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(target: str | None) -> None:
    assert local_path(target) == "/"


@pytest.mark.parametrize("target", ["/settings", "/settings/ai-training?saved=1", "/a/b#c"])
def test_pages_of_ours_are_gone_back_to(target: str) -> None:
    assert local_path(target) == target


@pytest.mark.parametrize("host", ["evil.example", "privacy.example.evil.example", "127.0.0.1"])
def test_another_host_is_refused(house: House, host: str) -> None:
    answer = house.visitor().get("/", headers={"host": host})

    assert answer.status_code == 400
    assert host not in answer.text


@pytest.mark.parametrize("host", ["", "::1", "privacy.example:x", "a@privacy.example", "[::1"])
def test_what_is_no_host_is_refused(house: House, host: str) -> None:
    assert house.visitor().get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("path", ["/api/v1/purposes", "/livez", "/oauth2/token"])
def test_a_job_that_asks_under_another_name_is_told_what_to_do(house: House, path: str) -> None:
    answer = house.visitor().get(path, headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "web.address" in answer.json()["detail"]


def test_a_person_who_asks_under_another_name_is_told_what_to_do(house: House) -> None:
    answer = house.visitor().get("/", headers={"host": "evil.example"})

    assert answer.text.startswith("This service does not answer under this name")
    assert "web.address in sayso.toml" in answer.text
    assert "default-src" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_has_several_names(tmp_path: Path, name: str) -> None:
    address = "http://127.0.0.1:8000"
    with made_house(tmp_path, address=address, issuer="http://127.0.0.1:1") as house:
        browser = house.visitor()
        host = {"host": f"{name}:8000"}
        assert browser.get("/", headers=host).status_code == 200
        assert browser.get("/", headers={"host": "privacy.example"}).status_code == 400
        begun = browser.get("/sign-in?to=/settings", headers=host)

    if name == "127.0.0.1":  # where the provider leads back to
        assert begun.status_code == 503
    else:
        assert begun.headers["location"] == f"{address}/sign-in?to=/settings"


def test_a_forwarded_host_is_not_believed(house: House) -> None:
    answer = house.visitor().get("/", headers={"x-forwarded-host": "evil.example"})

    assert answer.status_code == 200
    assert "evil" not in answer.text


# ---- what is sent -----------------------------------------------------------------------

HOSTILE = "{{7*7}}{% raw %}<script>alert(1)</script>\"'><img src=x onerror=y>"


def test_what_members_write_is_text_and_nothing_else(house: House) -> None:
    browser = house.member("maya")

    shown = browser.refused(f"{SETTING}/objection", reason=HOSTILE + "a" * 4000)
    officer = house.staff(Role.OFFICER).refused("/console/off", member=HOSTILE)

    for page in (shown, officer):
        assert "{{7*7}}" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "49{%" not in page


@pytest.mark.parametrize("path", [f"/{HOSTILE}", f"/settings?lang={HOSTILE}", "/settings?x=%00"])
def test_addresses_are_text_and_nothing_else(house: House, path: str) -> None:
    answer = house.member("maya").client.get(path)

    assert answer.status_code in {200, 404}
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text


def test_no_page_leads_to_another_site_by_its_own_path(house: House) -> None:
    answer = house.member("maya").client.get(f"{ADDRESS}//evil.example/x")

    assert answer.status_code == 404
    assert "lang=" in answer.text
    assert "evil.example" not in answer.text


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/settings", "/sign-in?to=/settings"),
        ("/settings/a&as_=b", "/sign-in?to=/settings/a%26as_%3Db"),
        ("/settings/a%23#b", "/sign-in?to=/settings/a%2523%23b"),
    ],
)
def test_whoever_signs_in_comes_back_to_the_very_path(path: str, there: str) -> None:
    assert sign_in_path(path) == there


def test_a_body_that_is_too_large_is_refused_unread(house: House) -> None:
    browser = house.member("maya")
    form = {"csrf_token": browser.session.csrf, "choice": "off", "more": "a" * PAGE_BYTES}

    answer = browser.client.post(SETTING, data=form)

    assert answer.status_code == 413
    assert said(house, "maya") == 0

    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            yield b"a" * 10_000

    lied = browser.client.post(
        SETTING, content=pieces(), headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert lied.status_code == 413


def test_nothing_but_our_own_is_run_or_loaded(house: House) -> None:
    for path in ("/", "/nowhere", "/static/sayso.css", "/livez"):
        headers = house.visitor().get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"] == "max-age=31536000"
    page = house.member("maya").get(SETTING)
    assert not re.search(r"<script|style=|\son[a-z]+=", page)


# ---- what is another's ------------------------------------------------------------------


def test_another_members_receipt_is_not_found_however_it_is_guessed(house: House) -> None:
    wing, maya = house.member("wing"), house.member("maya")
    place = wing.post(SETTING, choice="off").partition("?")[0]
    name = place.rpartition("/")[2]
    assert re.fullmatch("[0-9a-f]{32}", name)
    own = maya.post(SETTING, choice="off").partition("?")[0]

    for path in (
        place, f"{place}.json", f"{SETTING}/receipts/{'0' * 32}", f"{SETTING}/receipts/0",
        f"{SETTING}/receipts/1.json", f"{SETTING}/receipts/..%2f{name}", f"{own}/../{name}x",
    ):  # fmt: skip
        answer = maya.client.get(path)
        assert answer.status_code == 404, path
        assert "wing" not in answer.text.lower()
    assert maya.client.get(own).status_code == 200


def test_the_records_of_others_are_nowhere(house: House) -> None:
    page = house.member("maya").get(f"{SETTING}/records?page=1")

    assert "maya-1" in page
    for other in ("wing", "jonas"):
        assert other not in page
    for odd in ("0", "-1", "99999999999999999999", "a", "1' OR 1=1 --"):
        house.member("maya").get(f"{SETTING}/records?page={odd}")


# ---- who may what -----------------------------------------------------------------------


def test_a_route_that_names_nobody_keeps_the_service_from_starting(house: House) -> None:
    from fastapi import APIRouter

    from sayso.web import pages

    router = APIRouter()

    @router.get("/silent")
    def silent() -> str:
        return "for whom?"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sayso.web.app.page_routers", (*pages.routers, router))
        with pytest.raises(AssertionError, match="/silent"):
            make_app(lambda: house.desk, hosts=("privacy.example",), is_encrypted=True)


CALLERS = {
    "nobody": None,
    "member": Caller("x", "maya", frozenset({Role.MEMBER})),
    **{
        str(role): Caller("x", "", frozenset({role}), jurisdictions=frozenset({"HK"}))
        for role in Role
        if role is not Role.MEMBER
    },
}


def pages_of(house: House) -> list[tuple[str, str, Access]]:
    """Return method, path and access of every page, from the route table."""
    from sayso.web.access import access_of

    found = []
    for method, path, endpoint in routes_of(house.app):
        if not path.startswith("/api/"):
            assert says_who(endpoint)
            found.append((method, re.sub(r"{[^}]*}", "x", path), access_of(endpoint)))
    return found


@pytest.mark.parametrize("name", CALLERS)
def test_every_route_takes_exactly_whom_it_names(house: House, name: str) -> None:
    caller = CALLERS[name]
    pages = pages_of(house)
    assert len(pages) > 15

    for method, path, access in pages:
        # Each time a session of its own: one of the routes ends it.
        browser = house.visitor() if caller is None else house.person(caller).client
        answer = browser.request(method, path)
        is_let_in = (caller or Caller()).may(access)
        if is_let_in and method == "GET":
            # This one refuses whoever did not begin there.
            assert path == "/signed-in" or answer.status_code not in {401, 403}, path
        elif not is_let_in:
            expected = {303, 401} if caller is None else {403}
            assert answer.status_code in expected, (method, path, answer.status_code)
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/sign-in?to=/")


@pytest.mark.parametrize(
    ("claim", "roles", "places"),
    [
        (["officer", "approver"], {Role.OFFICER, Role.APPROVER}, set()),
        ("auditor admin", {Role.AUDITOR, Role.ADMIN}, set()),
        (["regulator:HK", "regulator:EEA"], {Role.REGULATOR}, {"HK", "EEA"}),
        (["regulator", "regulator:", "regulator:ZZ", "regulator:hk"], set(), set()),
        (["member", "root", "Officer", "officer:HK", "", 7, None], set(), set()),
        (None, set(), set()),
        ({"officer": True}, set(), set()),
    ],
)
def test_a_claim_gives_what_it_names_and_no_more(
    claim: object, roles: set[Role], places: set[str]
) -> None:
    found, where = read_roles(claim)
    assert (set(found), set(where)) == (roles, places)


def test_marks_say_who() -> None:
    @allow(Role.AUDITOR)
    def some() -> None: ...

    @allow_anyone
    def any_() -> None: ...

    def none() -> None: ...

    assert says_who(some)
    assert says_who(any_)
    assert not says_who(none)


# ---- settings and logs ------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["http://privacy.example", "https://", "ftp://privacy.example", "https://a/b", "privacy", ""],
)
def test_members_never_sign_in_without_encryption(address: str) -> None:
    with pytest.raises(InputError):
        parse_web({"address": address})


@pytest.mark.parametrize(
    "told",
    [
        *({"issuer": issuer} for issuer in (
            "login.example", "ftp://login.example", "https://", "https://login.example?x=y",
            "https://[login", "https://login.example:none", "not an address",
        )),
        *({name: ""} for name in ("client_id", "member_claim", "roles_claim")),
        {"member_claim": " "},
    ],
)  # fmt: skip
def test_a_provider_that_nobody_can_sign_in_at_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(InputError) as refused:
        parse_web(told)

    assert refused.value.hint
    for issuer in ("", "https://login.example/realms/one", "http://127.0.0.1:9400"):
        assert parse_web({"issuer": issuer}).issuer == issuer


def test_no_secret_and_no_words_of_members_are_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = house.member("maya")
    words = "zq-secret-words"
    browser.post(f"{SETTING}/objection", reason=words)
    browser.get(f"{SETTING}/records?page={words}")
    browser.client.get(f"/{words}")
    browser.refused(SETTING, choice=words)

    def fail(*_: object, **__: object) -> None:
        raise ValueError(words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(house.desk), "explain", fail)
        broken = TestClient(house.app, base_url="https://privacy.example")
        broken.cookies.set(COOKIE, browser.session.secret)
        answer = broken.get(SETTING)
        assert answer.status_code == 500
        assert words not in answer.text

    ours = [
        one for one in caplog.records if not one.name.startswith(("httpx", "httpcore", "asyncio"))
    ]
    told = "\n".join(f"{one.getMessage()} {one.exc_text or ''} {one.exc_info}" for one in ours)
    assert "ValueError at GET" in told
    for secret in (words, browser.session.secret, browser.session.csrf, "maya"):
        assert secret not in told
