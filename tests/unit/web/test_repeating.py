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
from sayso.web.turns import Turns
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


def test_a_request_that_outlives_the_stop_of_its_worker_is_not_begun_by_another(
    either: Service,
) -> None:
    job = either.token(Scope.HOLDS_WRITE)
    desk, asked = either.desk, []
    stood = len(desk.workspace.rules().book.holds)
    mine, others, place = desk.turns, Turns(desk.workspace.ledger), Workspace.place_hold

    def meanwhile(workspace: Workspace, *given: Any, **more: Any) -> Any:
        mine.close()  # the server waits no longer, and closes what the worker has in hand
        desk.turns = others
        asked.append(post(either, "/holds", job, HOLD))
        return place(workspace, *given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "place_hold", meanwhile)
        first = post(either, "/holds", job, HOLD)
    again = post(either, "/holds", job, HOLD)

    assert [one.status_code for one in (first, *asked, again)] == [201, 409, 201]
    assert again.json() == first.json()
    assert len(desk.workspace.rules().book.holds) == stood + 1


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


@pytest.mark.parametrize(
    "more",
    [{"placed_by": " the platform\n"}, {"condition": "until they answer\u3000"},
     {"asked_by": " an office "}, {"ordered_by": "a court\t"}, {"source": " a letter "}],
)  # fmt: skip
def test_spaces_at_the_ends_of_a_text_do_not_place_a_hold_twice(
    service: Service, more: dict[str, str]
) -> None:
    job = service.token(Scope.HOLDS_WRITE)
    stood = len(service.desk.workspace.rules().book.holds)
    with dying():
        first = post(service, "/holds", job, {**HOLD, **more})

    again = post(service, "/holds", job, {**HOLD, **more})

    assert again.status_code == 201, again.text
    assert again.json() == first.json()
    assert len(service.desk.workspace.rules().book.holds) == stood + 1


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


def test_an_equal_webhook_of_another_request_stays(either: Service) -> None:
    job = either.token(Scope.WEBHOOKS_WRITE)
    given = {"url": "https://receiver.example/hook", "events": ["hold.placed"]}
    with dying():
        first = post(either, "/webhooks", job, given).json()
    other = either.ask("POST", "/webhooks", job, json=given).json()

    again = post(either, "/webhooks", job, given).json()

    ids = {one.webhook_id for one in Hooks(either.desk.workspace.ledger, frozenset()).all()}
    assert ids == {other["webhook_id"], again["webhook_id"]}
    assert first["webhook_id"] not in ids


def test_a_request_that_made_nothing_takes_nothing_away(service: Service) -> None:
    job = service.token(Scope.WEBHOOKS_WRITE)
    given = {"url": "https://receiver.example/hook", "events": ["hold.placed"]}

    def gone(*_given: Any, **_more: Any) -> Any:
        raise UnavailableError("the ledger's database did not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hooks, "add", gone)
        assert post(service, "/webhooks", job, given).status_code == 503
    other = service.ask("POST", "/webhooks", job, json=given).json()

    again = post(service, "/webhooks", job, given).json()

    ids = {one.webhook_id for one in Hooks(service.desk.workspace.ledger, frozenset()).all()}
    assert ids == {other["webhook_id"], again["webhook_id"]}


def test_an_equal_request_to_lift_of_another_key_stays(either: Service) -> None:
    asks = either.person(Role.OFFICER, subject="asks")
    name = either.ask("POST", "/holds", asks, json=HOLD).json()["hold_id"]
    path = f"/holds/{name}/lift-requests"
    with dying():
        first = post(either, path, asks, LIFT)
    other = either.ask("POST", path, asks, json=LIFT)

    again = post(either, path, asks, LIFT)

    listed = either.ask("GET", path, asks).json()["requests"]
    assert again.status_code == 201
    assert again.json() == first.json()
    assert [one["number"] for one in listed] == [
        first.json()["number"], other.json()["number"],
    ]  # fmt: skip


def test_a_request_to_lift_is_told_again_though_it_was_approved_meanwhile(
    service: Service,
) -> None:
    asks = service.person(Role.OFFICER, subject="asks")
    name = service.ask("POST", "/holds", asks, json=HOLD).json()["hold_id"]
    path = f"/holds/{name}/lift-requests"
    with dying():
        number = post(service, path, asks, LIFT).json()["number"]
    tom = service.person(Role.APPROVER, subject="tom")
    assert service.ask("POST", f"{path}/{number}/approval", tom).status_code == 200

    again = post(service, path, asks, LIFT)

    assert again.status_code == 201
    assert (again.json()["number"], again.json()["approved_by"]) == (number, "tom")


def test_an_approval_whose_worker_died_after_the_lift_is_filled_in(either: Service) -> None:
    asks = either.person(Role.OFFICER, subject="asks")
    approves = either.person(Role.APPROVER, subject="approves")
    name = either.ask("POST", "/holds", asks, json=HOLD).json()["hold_id"]
    path = f"/holds/{name}/lift-requests"
    number = either.ask("POST", path, asks, json=LIFT).json()["number"]
    lift = Workspace.lift_hold

    def lifted_and_gone(*given: Any, **more: Any) -> Any:
        lift(*given, **more)
        raise UnavailableError("the ledger's database did not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "lift_hold", lifted_and_gone)
        assert post(either, f"{path}/{number}/approval", approves).status_code == 503

    again = post(either, f"{path}/{number}/approval", approves)

    entry = either.desk.workspace.rules().entry
    [listed] = either.ask("GET", path, asks).json()["requests"]
    assert again.status_code == 200
    assert (listed["approved_by"], listed["entry"]) == ("approves", entry)
    assert again.json() == listed
