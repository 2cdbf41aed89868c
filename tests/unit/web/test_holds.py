from typing import Any

import pytest

from sayso import publishing
from sayso.errors import ConflictError, InputError, RefusedError, SaysoError, UnavailableError
from sayso.model import Position
from sayso.rulebook.schema import read_bound
from sayso.web.access import Role, Scope
from sayso.workspace import Workspace
from tests.unit.web.asking import Headers, Service

PLACED = {"scope": "US", "from": "2026-01-01", "placed_by": "the platform", "source": "a letter"}
LIFT = {"from": "2026-01-16", "source": "their answer", "position": "approved"}


def place(service: Service, **more: str) -> str:
    job = service.token(Scope.HOLDS_WRITE)
    answer = service.ask("POST", "/holds", job, json={**PLACED, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["hold_id"])


def lift(service: Service, name: str, who: Headers, **more: str) -> str:
    asked = service.ask("POST", f"/holds/{name}/lift-requests", who, json={**LIFT, **more})
    assert asked.status_code == 201, asked.text
    return f"/holds/{name}/lift-requests/{asked.json()['number']}/approval"


def test_one_person_places_and_everything_there_stops(either: Service) -> None:
    job = either.token(Scope.DECISIONS_READ)
    before = either.ask("POST", "/decisions", job, json={"member": "maya"}).json()
    officer = either.person(Role.OFFICER)

    name = either.ask("POST", "/holds", officer, json=PLACED).json()["hold_id"]

    after = either.ask("POST", "/decisions", job, json={"member": "maya"}).json()
    assert "ON_HOLD" not in before["reasons"]
    assert "ON_HOLD" in after["reasons"]
    assert name in {one["id"] for one in either.ask("GET", "/holds", officer).json()["holds"]}


def test_two_people_lift(either: Service) -> None:
    name = place(either)
    officer = either.person(Role.OFFICER, subject="mira")
    approval = lift(either, name, officer)
    approver = either.person(Role.APPROVER, subject="tom")

    done = either.ask("POST", approval, approver)

    assert done.status_code == 200
    assert (done.json()["asked_by"], done.json()["approved_by"]) == ("mira", "tom")
    [hold] = [
        one for one in either.ask("GET", "/holds", officer).json()["holds"] if one["id"] == name
    ]
    assert hold["lifted"] == "2026-01-16"
    assert either.ask("POST", approval, approver).status_code == 409


def test_nobody_lifts_alone(service: Service) -> None:
    name = place(service)
    both = service.person(Role.OFFICER, Role.APPROVER, Role.ADMIN, subject="mira")
    approval = lift(service, name, both)
    again = service.person(Role.ADMIN, subject="mira")  # the same person, signed in elsewhere

    assert service.ask("POST", approval, both).status_code == 403
    assert service.ask("POST", approval, again).status_code == 403
    assert (
        service.ask("POST", approval, service.person(Role.OFFICER, subject="tom")).status_code
        == 403
    )
    assert service.ask("GET", "/holds", both).json()["holds"][-1]["lifted"] is None


@pytest.mark.parametrize("scope", list(Scope))
def test_no_client_lifts(service: Service, scope: Scope) -> None:
    name, job = place(service), service.token(scope)

    assert service.ask("POST", f"/holds/{name}/lift-requests", job, json=LIFT).status_code == 403
    assert service.ask("POST", f"/holds/{name}/lift-requests/1/approval", job).status_code == 403


@pytest.mark.parametrize("position", ["none", "asked", "no-objection"])
def test_an_ordered_hold_lifts_only_with_approval(service: Service, position: str) -> None:
    name = place(service, ordered_by="the authority")
    officer = service.person(Role.OFFICER, subject="mira")

    asked = service.ask(
        "POST", f"/holds/{name}/lift-requests", officer, json={**LIFT, "position": position}
    )
    done = service.ask(
        "POST", lift(service, name, officer), service.person(Role.APPROVER, subject="tom")
    )

    assert (asked.status_code, done.status_code) == (403, 200)


def test_a_request_of_another_hold_is_not_found(service: Service) -> None:
    one, other = place(service), place(service, scope="BR")
    approval = lift(service, one, service.person(Role.OFFICER, subject="mira"))

    answer = service.ask(
        "POST", approval.replace(one, other), service.person(Role.APPROVER, subject="tom")
    )

    assert answer.status_code == 404


def test_a_lift_that_failed_can_be_approved_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = place(service)
    approval = lift(service, name, service.person(Role.OFFICER, subject="mira"))
    tom = service.person(Role.APPROVER, subject="tom")

    def fail(*_args: object, **_more: object) -> None:
        raise UnavailableError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "lift_hold", fail)
        assert service.ask("POST", approval, tom).status_code == 503

    assert service.ask("POST", approval, tom).status_code == 200


def request_of(service: Service, name: str) -> tuple[object, object]:
    officer = service.person(Role.OFFICER)
    [one] = service.ask("GET", f"/holds/{name}/lift-requests", officer).json()["requests"]
    return one["approved_by"], one["entry"]


@pytest.mark.parametrize("fault", [OSError("a disk"), UnavailableError("who knows")])
def test_a_lift_that_was_published_stays_approved_whatever_came_then(
    either: Service, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = place(either)
    approval = lift(either, name, either.person(Role.OFFICER, subject="mira"))
    tom, ann = (either.person(Role.APPROVER, subject=who) for who in ("tom", "ann"))

    def fail(*_args: object, **_more: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "write_rulebook", fail)
        assert either.ask("POST", approval, tom).status_code in {500, 503}
    entry = either.desk.workspace.rules().entry
    assert request_of(either, name) == ("tom", None)

    assert either.ask("POST", approval, ann).status_code == 409
    assert either.ask("POST", approval, tom).json()["entry"] == entry
    assert request_of(either, name) == ("tom", entry)
    assert either.desk.workspace.rules().entry == entry
    assert either.ask("POST", approval, tom).status_code == 409


@pytest.mark.parametrize("error", [RefusedError, InputError, ConflictError])
def test_a_lift_that_was_refused_is_free_for_somebody_else(
    either: Service, error: type[SaysoError], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = place(either)
    approval = lift(either, name, either.person(Role.OFFICER, subject="mira"))
    tom, ann = (either.person(Role.APPROVER, subject=who) for who in ("tom", "ann"))

    def refuse(*_args: object, **_more: object) -> None:
        raise error("no")

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "lift_hold", refuse)
        assert 400 <= either.ask("POST", approval, tom).status_code < 500
    assert request_of(either, name) == (None, None)

    assert either.ask("POST", approval, ann).json()["approved_by"] == "ann"


def test_a_repeat_that_loses_takes_nothing_from_the_approval_that_won(
    either: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = place(either)
    approval = lift(either, name, either.person(Role.OFFICER, subject="mira"))
    tom = either.person(Role.APPROVER, subject="tom")
    lift_hold, won = Workspace.lift_hold, []

    def slow(desk: Workspace, *given: Any, **more: Any) -> Any:
        monkeypatch.setattr(Workspace, "lift_hold", lift_hold)
        won.append(either.ask("POST", approval, tom).json())
        return lift_hold(desk, *given, **more)  # too late: it is lifted

    monkeypatch.setattr(Workspace, "lift_hold", slow)
    lost = either.ask("POST", approval, tom)

    assert lost.status_code == 200
    assert lost.json() == won[0]
    assert request_of(either, name) == ("tom", either.desk.workspace.rules().entry)


def test_an_approval_is_not_given_an_entry_that_lifted_for_another(service: Service) -> None:
    name = place(service)
    mira = service.person(Role.OFFICER, subject="mira")
    one, other = lift(service, name, mira), lift(service, name, mira)
    tom, ann = (service.person(Role.APPROVER, subject=who) for who in ("tom", "ann"))

    def fail(*_args: object, **_more: object) -> None:
        raise UnavailableError("not now")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "lift_hold", fail)
        assert service.ask("POST", one, tom).status_code == 503
    assert service.ask("POST", other, ann).status_code == 200

    assert service.ask("POST", one, tom).status_code == 409


def test_an_approval_is_not_given_an_entry_that_lifted_otherwise(service: Service) -> None:
    name = place(service)
    approval = lift(service, name, service.person(Role.OFFICER, subject="mira"))
    tom = service.person(Role.APPROVER, subject="tom")

    def fail(*_args: object, **_more: object) -> None:
        raise UnavailableError("not now")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "lift_hold", fail)
        assert service.ask("POST", approval, tom).status_code == 503
    service.desk.workspace.lift_hold(
        name, lifted=read_bound("2026-01-17"), source=None, position=Position.NONE
    )

    assert service.ask("POST", approval, tom).status_code == 409
    assert request_of(service, name) == ("tom", None)


@pytest.mark.parametrize(
    ("more", "status"),
    [({"scope": "XX"}, 400), ({"from": "soon"}, 422), ({"placed_by": ""}, 422),
     ({"placed_by": " "}, 422), ({"purposes": []}, 422),
     ({"scope": "US\nrules: []"}, 400), ({"source": "a\nb"}, 400)],
)  # fmt: skip
def test_a_hold_that_says_something_else_is_refused(
    service: Service, more: dict[str, object], status: int
) -> None:
    size = service.desk.workspace.ledger.size()

    answer = service.ask(
        "POST", "/holds", service.token(Scope.HOLDS_WRITE), json={**PLACED, **more}
    )

    assert answer.status_code == status
    assert service.desk.workspace.ledger.size() == size


@pytest.mark.parametrize(
    ("scope", "places", "sees"),
    [
        ("HK", {"HK"}, True),
        ("GB", {"HK"}, False),
        ("EEA", {"DE"}, True),
        ("DE", {"EEA"}, True),
        ("NO", {"EU"}, False),  # of the EEA, and not of the EU
        ("GB", {"EU"}, True),  # once
        ("world", {"HK"}, True),
        ("HK", {"DE", "HK"}, True),
    ],
)
def test_a_regulator_sees_the_holds_of_their_jurisdiction(
    service: Service, scope: str, places: set[str], sees: bool
) -> None:
    name = place(service, scope=scope)
    regulator = service.person(Role.REGULATOR, places=places)
    found = service.ask("GET", "/holds", regulator).json()["holds"]
    assert (name in {one["id"] for one in found}) is sees


def test_a_regulator_of_nowhere_sees_no_hold(service: Service) -> None:
    place(service, scope="HK")
    assert service.ask("GET", "/holds", service.person(Role.REGULATOR)).json()["holds"] == []


def test_whoever_is_also_staff_sees_every_hold(service: Service) -> None:
    name = place(service, scope="GB")
    both = service.person(Role.REGULATOR, Role.OFFICER, places={"HK"})
    assert name in {one["id"] for one in service.ask("GET", "/holds", both).json()["holds"]}
