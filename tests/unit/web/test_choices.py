import json
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from sayso.model import Choice
from sayso.web.access import Role, Scope
from tests.town import choice_row
from tests.unit.web.asking import Service

KEY = {"idempotency-key": "a-key-that-nobody-guesses"}


def test_a_client_says_what_a_member_did_and_reads_it_back(either: Service) -> None:
    job = either.token(Scope.CHOICES_WRITE, Scope.CHOICES_READ)
    said = {"choice": "off", "channel": "app", "setting_version": "v2", "country": "HK"}

    made = either.ask("POST", "/members/wing/choices", job, json=said)
    listed = either.ask("GET", "/members/wing/choices", job).json()

    assert made.status_code == 201
    [row] = listed["choices"]
    assert (row["choice"], row["channel"], row["country"]) == ("off", "app", "HK")
    assert row["receipt_id"] == made.json()["receipt_id"]
    either.desk.workspace.integrate()  # a receipt is another one once the log covers it
    receipt = either.ask("GET", f"/members/wing/receipts/{row['receipt_id']}", job)
    assert receipt.status_code == 200
    assert "payload" in receipt.json()
    assert made.headers["location"] == made.json()["receipt"]
    assert either.client.get(made.headers["location"], headers=job).content == receipt.content


def test_the_next_decision_sees_it(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE, Scope.DECISIONS_READ)
    service.ask("POST", "/members/maya/choices", job, json={"choice": "off"})

    found = service.ask("POST", "/decisions", job, json={"member": "maya"}).json()

    assert found["choice"] == "off"
    assert "CHOSEN_OFF" in found["reasons"]


def test_a_member_speaks_for_nobody_else(service: Service) -> None:
    maya = service.person(Role.MEMBER, member="maya")

    assert (
        service.ask("POST", "/members/maya/choices", maya, json={"choice": "on"}).status_code == 201
    )
    assert (
        service.ask("POST", "/members/wing/choices", maya, json={"choice": "off"}).status_code
        == 404
    )
    assert service.ask("GET", "/members/wing/choices", maya).status_code == 404


@pytest.mark.parametrize("channel", ["settings", "objection-form", "web", "staff", "gpc"])
def test_a_client_does_not_say_that_a_page_of_the_service_took_the_answer(
    service: Service, channel: str
) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    said = {"choice": "off", "channel": channel}
    answer = service.ask("POST", "/members/maya/choices", job, json=said)
    assert answer.status_code == 400
    assert "'app'" in answer.text


def test_a_member_does_not_say_on_for_another_day(service: Service) -> None:
    maya = service.person(Role.MEMBER, member="maya")
    said = {"choice": "on", "effective_at": "2030-01-01"}
    answer = service.ask("POST", "/members/maya/choices", maya, json=said)
    assert answer.status_code == 400
    assert service.ask("GET", "/members/maya/choices", maya).json()["choices"] == []


def test_a_body_that_says_two_things_says_nothing(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    answer = service.ask(
        "POST", "/members/maya/choices", job, content=b'{"choice": "off", "choice": "on"}',
        more={"content-type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert "names a key twice" in answer.text


def test_what_a_person_claims_of_time_and_channel_counts_for_nothing(service: Service) -> None:
    maya = service.person(Role.MEMBER, member="maya")
    said = {"choice": "off", "effective_at": "2020-01-01", "country": "DE", "channel": "app"}
    service.ask("POST", "/members/maya/choices", maya, json=said)

    [row] = service.ask("GET", "/members/maya/choices", maya).json()["choices"]

    assert (row["channel"], row["country"]) == ("web", None)
    assert row["effective_at"] == row["recorded_at"]


@pytest.mark.parametrize("role", [Role.OFFICER, Role.ADMIN])
def test_staff_say_off_and_never_on(service: Service, role: Role) -> None:
    staff = service.person(role)

    for said, status in ((Choice.ON, 403), (Choice.DEFERRED, 403), (Choice.OFF, 201)):
        answer = service.ask("POST", "/members/maya/choices", staff, json={"choice": said})
        assert answer.status_code == status
    [row] = service.ask("GET", "/members/maya/choices", staff).json()["choices"]
    assert (row["choice"], row["channel"]) == ("off", "staff")


def test_a_browser_needs_the_token_of_its_session(service: Service) -> None:
    maya = service.person(Role.MEMBER, member="maya")
    del maya["x-csrf-token"]

    answer = service.ask("POST", "/members/maya/choices", maya, json={"choice": "off"})

    assert answer.status_code == 403
    assert service.desk.workspace.ledger.size() == 2


def test_another_members_receipt_is_not_found(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    made = service.ask("POST", "/members/wing/choices", job, json={"choice": "off"}).json()
    maya = service.person(Role.MEMBER, member="maya")
    service.ask("POST", "/members/maya/choices", maya, json={"choice": "off"})

    assert service.client.get(made["receipt"], headers=maya).status_code == 404
    guessed = service.ask("GET", f"/members/maya/receipts/{made['receipt_id']}", maya)
    assert guessed.status_code == 404


@pytest.mark.parametrize("member", ["günther", "維", "a b", "100%", "a/b", "?x#y"])
def test_an_id_of_any_letters_has_addresses(service: Service, member: str) -> None:
    job = service.token(Scope.CHOICES_WRITE, Scope.CHOICES_READ)
    place = f"/members/{quote(member, safe='')}"

    made = service.ask("POST", f"{place}/choices", job, json={"choice": "off"})
    service.ask("POST", f"{place}/choices", job, json={"choice": "off"})
    listed = service.ask("GET", f"{place}/choices?limit=1", job)

    assert made.status_code == 201
    assert service.client.get(made.headers["location"], headers=job).status_code == 200
    following = service.client.get(listed.links["next"]["url"], headers=job)
    assert following.json()["choices"][0]["index"] == made.json()["index"] + 1


def test_an_erased_member_is_refused(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE, Scope.CHOICES_READ)
    made = service.ask("POST", "/members/wing/choices", job, json={"choice": "off"}).json()
    service.desk.workspace.erase("wing")

    assert (
        service.ask("POST", "/members/wing/choices", job, json={"choice": "off"}).status_code == 403
    )
    assert service.client.get(made["receipt"], headers=job).status_code == 404
    assert service.ask("GET", "/members/wing/choices", job).json()["choices"] == []


def test_pages_hold_each_choice_once(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE, Scope.CHOICES_READ)
    for _ in range(5):
        service.ask("POST", "/members/maya/choices", job, json={"choice": "off"})

    seen, path = [], "/api/v1/members/maya/choices?limit=2"
    while path:
        answer = service.client.get(path, headers=job)
        seen += [row["index"] for row in answer.json()["choices"]]
        path = answer.links["next"]["url"] if "link" in answer.headers else ""

    assert seen == sorted(set(seen))
    assert len(seen) == 5
    assert service.ask("GET", "/members/maya/choices?cursor=xx", job).status_code == 400


def test_an_on_is_not_dated_ahead(either: Service) -> None:
    """It would stand above an `off` that the member says before then."""
    job, size = either.token(Scope.CHOICES_WRITE), either.desk.workspace.ledger.size()
    path, ahead = "/members/maya/choices", {"effective_at": "2099-01-01T00:00:00Z"}

    on = either.ask("POST", path, job, json={"choice": "on", **ahead})

    assert on.status_code == 400
    assert either.desk.workspace.ledger.size() == size
    assert either.ask("POST", path, job, json={"choice": "off", **ahead}).status_code == 201


# ---- repeating --------------------------------------------------------------------------


def test_a_key_makes_a_choice_once(either: Service) -> None:
    job = either.token(Scope.CHOICES_WRITE)
    asked: dict[str, Any] = {"json": {"choice": "off"}, "more": KEY}

    first = either.ask("POST", "/members/maya/choices", job, **asked)
    size = either.desk.workspace.ledger.size()
    again = either.ask("POST", "/members/maya/choices", job, **asked)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert either.desk.workspace.ledger.size() == size


def test_a_key_with_another_request_is_refused(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    service.ask("POST", "/members/maya/choices", job, json={"choice": "off"}, more=KEY)

    other = service.ask("POST", "/members/maya/choices", job, json={"choice": "on"}, more=KEY)

    assert other.status_code == 422
    assert other.json()["type"].endswith("/idempotency-key-reused")


def test_a_key_is_its_callers_own(service: Service) -> None:
    asked: dict[str, Any] = {"json": {"choice": "off"}, "more": KEY}
    service.ask("POST", "/members/maya/choices", service.token(Scope.CHOICES_WRITE), **asked)

    other = service.ask(
        "POST", "/members/maya/choices", service.token(Scope.CHOICES_WRITE), **asked
    )

    assert other.status_code == 201
    assert "idempotency-replayed" not in other.headers


def test_a_refusal_is_not_kept(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    asked: dict[str, Any] = {"json": {"choice": "on", "purpose": "*"}, "more": KEY}

    assert service.ask("POST", "/members/maya/choices", job, **asked).status_code == 400
    again = service.ask("POST", "/members/maya/choices", job, **asked)

    assert again.status_code == 400
    assert "idempotency-replayed" not in again.headers


def test_a_short_key_is_refused(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    more = {"idempotency-key": "short"}

    answer = service.ask("POST", "/members/maya/choices", job, json={"choice": "off"}, more=more)

    assert answer.status_code == 400


# ---- bulk -------------------------------------------------------------------------------


def lines(*rows: dict[str, object]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_a_file_of_choices_is_taken_once(either: Service) -> None:
    job = either.token(Scope.CHOICES_WRITE)
    body = lines(choice_row("maya"), choice_row("wing", "on"))
    more = {"content-type": "application/x-ndjson"}

    first = either.ask("POST", "/choices", job, content=body, more=more).json()
    again = either.ask("POST", "/choices", job, content=body, more=more).json()

    assert (first["rows"], first["unchanged"], first["backdated_on"]) == (2, False, 1)
    assert (again["rows"], again["unchanged"], again["sha256"]) == (0, True, first["sha256"])


def test_a_file_may_be_an_arrow_stream(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist([choice_row("maya"), choice_row("wing")])
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)

    more = {"content-type": "application/vnd.apache.arrow.stream"}
    body = bytes(sink.getvalue())
    first = service.ask("POST", "/choices", job, content=body, more=more).json()
    again = service.ask("POST", "/choices", job, content=body, more=more).json()
    broken = service.ask("POST", "/choices", job, content=body[:90], more=more)

    assert (first["rows"], again["unchanged"]) == (2, True)
    assert broken.status_code == 400


def test_one_bad_row_takes_nothing_and_is_named_by_its_number(service: Service) -> None:
    job, size = service.token(Scope.CHOICES_WRITE), service.desk.workspace.ledger.size()
    body = lines(choice_row("maya"), choice_row("wing", "perhaps"))

    answer = service.ask(
        "POST", "/choices", job, content=body, more={"content-type": "application/x-ndjson"}
    )

    assert answer.status_code == 400
    assert answer.json()["rows"] == [2]
    assert "wing" not in answer.text
    assert service.desk.workspace.ledger.size() == size


def test_a_body_of_another_form_is_refused(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)

    wrong = service.ask("POST", "/choices", job, content=b"x", more={"content-type": "text/html"})
    broken = service.ask(
        "POST",
        "/choices",
        job,
        content=b"x",
        more={"content-type": "application/vnd.apache.parquet"},
    )

    assert (wrong.status_code, broken.status_code) == (415, 400)
