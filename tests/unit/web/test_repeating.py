"""A request under way has its turn; one whose worker is gone is taken up where it was left."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from sayso.errors import UnavailableError
from sayso.model import DEFAULT_PURPOSE
from sayso.receipting import choices_of
from sayso.web.access import Role, Scope
from sayso.web.api.holds import lift_request
from sayso.web.desk import Desk
from sayso.web.sealed import Sealed
from sayso.web.webhooks import Hooks
from sayso.workspace import Workspace
from tests.unit.web.asking import Headers, Service

KEY = {"idempotency-key": "a-key-that-nobody-guesses"}
MAYA = "/members/maya/choices"
HOLD = {"scope": "US", "from": "2026-01-01", "placed_by": "the platform"}
LIFT = {"from": "2026-02-01", "source": "assumption", "position": "approved"}


@contextmanager
def dying() -> Iterator[None]:
    """Requests do what they do, and their workers are gone before they keep the answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sealed, "replace", lambda *_a, **_k: None)
        yield


def said(service: Service, who: str = "maya") -> list[str]:
    ledger = service.desk.workspace.ledger
    return [str(one.choice) for one in choices_of(ledger, who, ledger.size())]


def post(service: Service, path: str, who: Headers, body: object = None) -> Any:
    return service.ask("POST", path, who, json=body, more=KEY)


def test_a_request_under_way_is_a_conflict_that_says_when_to_come_again(either: Service) -> None:
    job = either.token(Scope.CHOICES_WRITE)
    asked = []
    choose = Desk.choose

    def meanwhile(desk: Desk, *given: Any, **more: Any) -> Any:
        asked.append(post(either, MAYA, job, {"choice": "off"}))
        asked.append(post(either, MAYA, job, {"choice": "on"}))
        return choose(desk, *given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Desk, "choose", meanwhile)
        first = post(either, MAYA, job, {"choice": "off"})

    assert first.status_code == 201
    assert [one.status_code for one in asked] == [409, 422]
    assert asked[0].json()["type"].endswith("/in-flight")
    assert int(asked[0].headers["retry-after"]) > 0
    assert said(either) == ["off"]


def test_an_off_is_said_again_after_its_worker_died(either: Service) -> None:
    job = either.token(Scope.CHOICES_WRITE)
    with dying():
        post(either, MAYA, job, {"choice": "off"})
    either.ask("POST", MAYA, job, json={"choice": "on"})

    again = post(either, MAYA, job, {"choice": "off"})
    replayed = post(either, MAYA, job, {"choice": "off"})

    assert again.status_code == 201
    assert said(either) == ["off", "on", "off"]
    assert replayed.headers["idempotency-replayed"] == "true"
    assert replayed.content == again.content


@pytest.mark.parametrize("choice", ["on", "deferred"])
def test_nothing_but_an_off_is_said_twice_where_its_worker_died(
    either: Service, choice: str
) -> None:
    """An on that is recorded again would stand above an off of the time between."""
    job = either.token(Scope.CHOICES_WRITE)
    given = {"choice": choice, "channel": "app", "effective_at": "2026-01-01T00:00:00Z"}
    either.ask("POST", MAYA, job, json=given)
    with dying():
        first = post(either, MAYA, job, given)
    either.ask("POST", MAYA, job, json={"choice": "off"})

    again = post(either, MAYA, job, given)

    assert again.status_code == 201
    assert again.json() == first.json()
    assert said(either) == [choice, choice, "off"]


def test_an_on_that_was_never_recorded_is_recorded(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)

    def gone(*_given: Any, **_more: Any) -> Any:
        raise UnavailableError("the ledger's database did not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Desk, "choose", gone)
        assert post(service, MAYA, job, {"choice": "on"}).status_code == 503
    other = post(service, MAYA, job, {"choice": "off"})
    again = post(service, MAYA, job, {"choice": "on"})

    assert other.status_code == 422, "the key belongs to the request that may have been done"
    assert again.status_code == 201
    assert said(service) == ["on"]


@pytest.mark.parametrize("purpose", [DEFAULT_PURPOSE, "*"])
def test_an_on_that_was_never_recorded_gives_way_to_an_off_since(
    either: Service, purpose: str
) -> None:
    job = either.token(Scope.CHOICES_WRITE)

    def gone(*_given: Any, **_more: Any) -> Any:
        raise UnavailableError("the ledger's database did not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Desk, "choose", gone)
        assert post(either, MAYA, job, {"choice": "on"}).status_code == 503
    either.ask("POST", MAYA, job, json={"choice": "off", "purpose": purpose})

    again = post(either, MAYA, job, {"choice": "on"})

    assert again.status_code == 409
    assert "said since" in again.text
    assert said(either) == ["off"]


def test_a_hold_is_placed_once_though_its_worker_died(either: Service) -> None:
    job = either.token(Scope.HOLDS_WRITE)
    stood = len(either.desk.workspace.rules().book.holds)
    either.ask("POST", "/holds", job, json=HOLD)
    with dying():
        first = post(either, "/holds", job, HOLD)
    either.ask("POST", "/holds", job, json={**HOLD, "scope": "HK"})

    again = post(either, "/holds", job, HOLD)

    assert again.status_code == 201, again.text
    assert again.json() == first.json()
    assert len(either.desk.workspace.rules().book.holds) == stood + 3


def test_a_lift_is_asked_for_once_and_approved_to_its_end(either: Service) -> None:
    asks = either.person(Role.OFFICER, subject="asks")
    approves = either.person(Role.APPROVER, subject="approves")
    name = either.ask("POST", "/holds", asks, json=HOLD).json()["hold_id"]
    path = f"/holds/{name}/lift-requests"
    with dying():
        post(either, path, asks, LIFT)
    number = post(either, path, asks, LIFT).json()["number"]
    approval = f"{path}/{number}/approval"
    _die_amid_approval(either, approval, approves)

    done = post(either, approval, approves)

    with either.desk.workspace.ledger.reading() as con:
        rows = con.execute(sa.select(lift_request.c.number, lift_request.c.entry)).all()
    assert done.status_code == 200
    assert rows == [(number, done.json()["entry"])]
    [hold] = [one for one in either.desk.workspace.rules().book.holds if one.hold_id == name]
    assert hold.lifted is not None


def _die_amid_approval(service: Service, approval: str, who: Headers) -> None:
    """Leave what a worker leaves that noted who approves, and was gone before the lift."""

    def gone(*_given: Any, **_more: Any) -> Any:
        raise UnavailableError("the ledger's database did not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "lift_hold", gone)
        assert post(service, approval, who).status_code == 503
    claim = {"approved_by": "approves", "approved_us": service.desk.now_us()}
    with service.desk.workspace.ledger.writing() as con:
        con.execute(sa.update(lift_request).values(claim))


def test_a_webhook_is_registered_once_though_its_worker_died(either: Service) -> None:
    job = either.token(Scope.WEBHOOKS_WRITE)
    given = {"url": "https://receiver.example/hook", "events": ["hold.placed"]}
    either.ask("POST", "/webhooks", job, json=given)
    with dying():
        first = post(either, "/webhooks", job, given).json()

    again = post(either, "/webhooks", job, given).json()

    ids = [one.webhook_id for one in Hooks(either.desk.workspace.ledger, frozenset()).all()]
    assert first["webhook_id"] not in ids
    assert again["webhook_id"] in ids
    assert len(ids) == 2
