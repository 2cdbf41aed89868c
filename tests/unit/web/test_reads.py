"""Who reads what of a member is noted, and of whom nobody can tell once they were erased."""

import json
import logging
from typing import Any

import pytest

from sayso.errors import UnavailableError
from sayso.ledger.reads import noted_reads, receipt_tag
from sayso.ledger.store import Ledger
from sayso.receipting import key_of
from sayso.web import reads as reads_module
from sayso.web.access import Role, Scope
from tests.unit.web.asking import Headers, Service
from tests.unit.web.house import House

RECORD = {"record_id": "r1", "member_id": "maya"}


def tag(service: Service, who: str) -> str:
    key = key_of(service.desk.workspace.ledger, who)
    assert key is not None
    return receipt_tag(key).hex()


def listed(service: Service, auditor: Headers, **query: Any) -> list[dict[str, Any]]:
    answer = service.ask("GET", "/reads", auditor, params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["reads"]
    return found


def test_what_staff_and_jobs_read_is_noted(either: Service) -> None:
    officer = either.person(Role.OFFICER, subject="an-officer")
    engineer = either.person(Role.ENGINEER, subject="an-engineer")
    job = either.token(Scope.DECISIONS_READ, Scope.CHOICES_READ)
    auditor = either.person(Role.AUDITOR, subject="an-auditor")

    told = either.ask("GET", "/members/maya/choices", officer)
    either.ask("GET", "/members/wing/choices", job)
    either.ask("POST", "/explanations", officer, json={"member": "wing"})
    either.ask("POST", "/decisions", engineer, json={"member": "nobody-known"})
    either.ask("POST", "/decisions/batch", job, json=[RECORD, RECORD, RECORD])
    found = listed(either, auditor)

    [client] = [one.client_id for one in either.desk.clients.all()]
    by_number = sorted(found, key=lambda one: one["number"])
    assert found == by_number[::-1]
    assert {
        (one["by"], one["role"], one["route"], one["member"], one["rows"]) for one in found
    } == {
        ("an-officer", "officer", "GET /api/v1/members/{member}/choices", tag(either, "maya"), 1),
        ("an-officer", "officer", "POST /api/v1/explanations", tag(either, "wing"), 1),
        (client, "client", "GET /api/v1/members/{member}/choices", tag(either, "wing"), 1),
        ("an-engineer", "engineer", "POST /api/v1/decisions", None, 1),
        (client, "client", "POST /api/v1/decisions/batch", None, 3),
    }
    assert told.headers["x-request-id"] in {one["request_id"] for one in found}


def test_what_members_read_of_their_own_is_not_noted(service: Service) -> None:
    maya = service.person(Role.MEMBER, member="maya", subject="maya")
    both = service.person(Role.MEMBER, Role.OFFICER, member="maya", subject="maya")

    for who in (maya, both):
        assert service.ask("GET", "/members/maya/choices", who).status_code == 200
        assert service.ask("POST", "/explanations", who, json={"member": "maya"}).status_code == 200

    assert list(noted_reads(service.desk.workspace.ledger)) == []


def test_one_decision_for_a_job_is_not_noted(service: Service) -> None:
    job = service.token(Scope.DECISIONS_READ)
    assert service.ask("POST", "/decisions", job, json={"member": "maya"}).status_code == 200
    assert list(noted_reads(service.desk.workspace.ledger)) == []


def test_an_auditor_asks_about_one_member_and_is_noted_too(service: Service) -> None:
    officer = service.person(Role.OFFICER, subject="an-officer")
    auditor = service.token(Scope.READS_READ)
    for who in ("maya", "wing", "maya"):
        service.ask("GET", f"/members/{who}/choices", officer)

    of_maya = listed(service, auditor, member="maya")
    of_nobody = listed(service, auditor, member="nobody-known")
    everything = listed(service, auditor)

    assert [one["member"] for one in of_maya] == [tag(service, "maya")] * 2
    assert of_nobody == []
    assert [one["route"] for one in everything[:2]] == ["GET /api/v1/reads"] * 2
    assert everything[1]["member"] == tag(service, "maya")


def test_pages_of_reads_give_each_once(service: Service) -> None:
    officer, auditor = service.person(Role.OFFICER), service.person(Role.AUDITOR)
    for _ in range(7):
        service.ask("GET", "/members/maya/choices", officer)
    seen: list[int] = []
    cursor = None
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        answer = service.ask("GET", "/reads", auditor, params=query).json()
        seen += [one["number"] for one in answer["reads"]]
        cursor = answer["next"]
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("role", [Role.OFFICER, Role.ADMIN, Role.MEMBER, Role.ENGINEER])
def test_nobody_else_reads_who_read(service: Service, role: Role) -> None:
    assert service.ask("GET", "/reads", service.person(role, member="maya")).status_code == 403


def test_once_erased_nobody_can_tell_whose_it_was(either: Service) -> None:
    officer = either.person(Role.OFFICER)
    auditor = either.person(Role.AUDITOR)
    either.ask("GET", "/members/maya/choices", officer)
    before = tag(either, "maya")

    either.desk.workspace.erase("maya")
    either.ask("GET", "/members/maya/choices", officer)

    assert listed(either, auditor, member="maya") == []
    assert {one["member"] for one in listed(either, auditor)} == {before, None}
    assert key_of(either.desk.workspace.ledger, "maya") is None


@pytest.mark.parametrize("is_client", [False, True])
def test_what_cannot_be_noted_is_not_told(
    service: Service, monkeypatch: pytest.MonkeyPatch, is_client: bool
) -> None:
    who = service.token(Scope.CHOICES_READ) if is_client else service.person(Role.OFFICER)

    def gone(_ledger: Ledger, _reads: Any) -> Any:
        raise UnavailableError("the ledger's database did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(reads_module, "add_reads", gone)
        assert service.ask("GET", "/members/maya/choices", who).status_code == 503
    assert list(noted_reads(service.desk.workspace.ledger)) == []


def test_each_is_a_line_of_json_without_an_id(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    officer = service.person(Role.OFFICER, subject="an-officer")
    with caplog.at_level(logging.INFO, logger="sayso.web.reads"):
        service.ask("GET", "/members/maya/choices", officer)

    [line] = [one.message for one in caplog.records if one.name == "sayso.web.reads"]
    told = json.loads(line)
    assert told["member"] == tag(service, "maya")
    assert (told["by"], told["role"]) == ("an-officer", "officer")
    assert set(told) == {"at", "by", "role", "route", "member", "rows", "request"}
    assert "maya" not in line


def test_officers_who_read_reasons_are_noted(house: House) -> None:
    maya = house.member("maya")
    maya.post("/settings/ai-training/objection", reason="because", form_id="f1")
    officer = house.staff(Role.OFFICER)

    assert "because" in officer.get("/console/objections")

    key = key_of(house.workspace.ledger, "maya")
    assert key is not None
    [read] = noted_reads(house.workspace.ledger)
    assert (read.route, read.tag) == ("GET /console/objections", receipt_tag(key))


def test_a_reader_whose_name_is_their_member_id_is_named_by_a_keyed_digest(
    service: Service,
) -> None:
    """An erasure deletes what is theirs and does not visit these notes."""
    both = service.person(Role.MEMBER, Role.OFFICER, member="maya", subject="maya")
    service.ask("GET", "/members/wing/choices", both)
    [read] = noted_reads(service.desk.workspace.ledger)
    assert len(bytes.fromhex(read.subject)) == 32


def test_retention_deletes_them_after_their_time(service: Service) -> None:
    officer, workspace = service.person(Role.OFFICER), service.desk.workspace
    service.ask("GET", "/members/maya/choices", officer)
    assert workspace.apply_retention().due.reads == 0
    service.clock.move(days=365)
    service.ask("GET", "/members/maya/choices", service.person(Role.OFFICER))
    service.clock.move(days=366)

    assert workspace.due().reads == 1
    assert workspace.apply_retention().due.reads == 1
    assert len(list(noted_reads(workspace.ledger))) == 1
