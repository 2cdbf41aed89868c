"""Every route against every role and every scope: exactly those named get past the door."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from sayso.web.access import Role, Scope, access_of
from sayso.web.app import need_access, routes_of
from tests.unit.web.asking import Headers, Service

# Values that fit the templates; what is asked for need not be there.
FILLED = {
    "{member}": "maya", "{hold_id}": "no-hold", "{number}": "1", "{digest}": "0" * 64,
    "{permit_id}": "0" * 32, "{index}": "0", "{webhook_id}": "0" * 16, "{path}": "0/000",
}  # fmt: skip
DOOR = {401, 403}
# Routes that send a browser elsewhere to sign in, and those that end a session.
OWN_WAY = re.compile(r"/(sign-in|signed-in|sign-out)")


def filled(path: str) -> str:
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return re.sub(r"\{[^}]*\}", "x", path)


def callers(service: Service) -> Iterator[tuple[str, frozenset[Role], frozenset[Scope], Headers]]:
    yield "nobody", frozenset(), frozenset(), {}
    for role in Role:
        member = "maya" if role is Role.MEMBER else ""
        yield role, frozenset({role}), frozenset(), service.person(role, member=member)
    for scope in Scope:
        yield scope, frozenset(), frozenset({scope}), service.token(scope)


def test_exactly_those_whom_a_route_names_get_past_the_door(service: Service) -> None:
    app: Any = service.client.app
    wrong: list[str] = []
    everybody = list(callers(service))
    for method, path, endpoint in routes_of(app):
        access = access_of(endpoint)
        if OWN_WAY.match(path):
            continue
        for name, roles, scopes, headers in everybody:
            answer = service.client.request(method, filled(path), headers=headers)
            to_sign_in = answer.headers.get("location", "").startswith("/sign-in")
            is_in = answer.status_code not in DOOR and not to_sign_in
            if is_in != bool(access.anyone or roles & access.roles or scopes & access.scopes):
                wrong.append(f"{name} {method} {path}: {answer.status_code}")

    assert wrong == []


def test_there_are_routes(service: Service) -> None:
    paths = {path for _, path, _ in routes_of(service.client.app)}  # type: ignore[arg-type]

    assert {"/api/v1/holds", "/api/v1/permits", "/metrics", "/settings"} <= paths


@pytest.mark.parametrize("header", ["Bearer x", "Bearer ", "Basic x", "Bearer \xff"])
def test_a_token_that_is_none_gives_nothing(service: Service, header: str) -> None:
    answer = service.client.get(
        "/api/v1/holds",
        headers={"authorization": header.encode("latin-1")},
    )

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_token_is_no_longer_one_after_its_client(service: Service) -> None:
    job = service.token(Scope.HOLDS_READ)
    [client] = service.desk.clients.all()
    service.desk.clients.revoke(client.client_id, service.desk.now_us())

    assert service.ask("GET", "/holds", job).status_code == 401


def test_nothing_of_a_body_is_read_before_its_sender_is_known(service: Service) -> None:
    headers = {"content-type": "application/json"}

    for path in ("/decisions", "/decisions/batch", "/holds", "/permits", "/webhooks"):
        answer = service.client.post(f"/api/v1{path}", content=b"{", headers=headers)
        assert answer.status_code == 401


def test_an_application_with_a_route_for_nobody_does_not_start() -> None:
    """Also where the route stands in a router that was included, as all of ours do."""
    router = APIRouter()
    router.add_api_route("/silent", lambda: None)
    app = FastAPI()
    app.include_router(router)

    with pytest.raises(AssertionError, match="/silent"):
        need_access(app)
