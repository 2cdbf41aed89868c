import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from sayso.rulebook.schema import read_bound
from sayso.snapshot.request import Built
from sayso.web.access import Role, Scope
from sayso.web.api.permits import LAPSE_US
from tests.town import record_row, write_content
from tests.unit.web.asking import Headers, Service

HOLD = {"scope": "US", "from": "2026-01-01", "placed_by": "the platform"}


def built(service: Service, *rows: tuple[str, str]) -> Built:
    folder = service.desk.workspace.path.parent
    given = rows or (("r1", "maya"), ("r2", "maya"), ("r3", "wing"))
    content = write_content(folder / "content.parquet", [record_row(*one) for one in given])
    return service.desk.workspace.build(content, folder / "first")


def asked(service: Service, job: Headers, digest: str) -> str:
    answer = service.ask("POST", "/permits", job, json={"snapshot": digest})
    assert answer.status_code == 201, answer.text
    return f"/permits/{answer.json()['permit_id']}"


def test_a_permit_is_renewed_until_a_hold(either: Service) -> None:
    digest = built(either).manifest.digest
    job = either.token(Scope.PERMITS_WRITE, Scope.HOLDS_WRITE)
    path = asked(either, job, digest)

    for step in (1, 2):
        assert either.ask("POST", f"{path}/renewal", job, json={"step": step}).status_code == 200
    elsewhere = either.ask("POST", "/holds", job, json={**HOLD, "scope": "BR"})
    assert elsewhere.status_code == 201
    assert either.ask("POST", f"{path}/renewal", job, json={"step": 3}).status_code == 200
    name = either.ask("POST", "/holds", job, json=HOLD).json()["hold_id"]
    ended = either.ask("POST", f"{path}/renewal", job, json={"step": 4})
    again = either.ask("POST", f"{path}/renewal", job, json={"step": 4})
    anew = either.ask("POST", "/permits", job, json={"snapshot": digest})

    for answer in (ended, again):
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("/permit-ended")
        assert answer.json()["holds"] == [name]
    assert (anew.status_code, anew.json()["holds"]) == (403, [name])


def test_leave_is_never_replayed(either: Service) -> None:
    """A job that starts anew under its old key gets what stands now, not what stood."""
    digest = built(either).manifest.digest
    job = either.token(Scope.PERMITS_WRITE)
    key = {"idempotency-key": "the-key-of-one-job-for-ever"}
    first = either.ask("POST", "/permits", job, json={"snapshot": digest}, more=key)
    either.desk.workspace.choose("maya", "off")

    again = either.ask("POST", "/permits", job, json={"snapshot": digest}, more=key)
    either.desk.workspace.place_hold("US", begins=read_bound("2026-01-01"), placed_by="x")
    held = either.ask("POST", "/permits", job, json={"snapshot": digest}, more=key)

    assert (first.status_code, again.status_code, held.status_code) == (201, 201, 403)
    assert "idempotency-replayed" not in again.headers
    assert again.json()["permit_id"] != first.json()["permit_id"]
    assert first.json()["left_out"] == []
    assert len(again.json()["left_out"]) == 2


def test_a_hold_of_the_command_line_ends_it_too(service: Service) -> None:
    job = service.token(Scope.PERMITS_WRITE)
    path = asked(service, job, built(service).manifest.digest)
    service.desk.workspace.place_hold("US", begins=read_bound("2026-01-01"), placed_by="x")

    assert service.ask("POST", f"{path}/renewal", job, json={"step": 1}).status_code == 403


def test_a_hold_that_begins_by_itself_ends_it(service: Service) -> None:
    job = service.token(Scope.PERMITS_WRITE, Scope.HOLDS_WRITE)
    soon = {**HOLD, "from": "2026-01-15T12:05:00Z"}
    service.ask("POST", "/holds", job, json=soon)
    path = asked(service, job, built(service).manifest.digest)
    assert service.ask("POST", f"{path}/renewal", job, json={"step": 1}).status_code == 200

    service.clock.move(minutes=6)

    assert service.ask("POST", f"{path}/renewal", job, json={"step": 2}).status_code == 403


def test_a_permit_is_its_holders_own(service: Service) -> None:
    job, other = service.token(Scope.PERMITS_WRITE), service.token(Scope.PERMITS_WRITE)
    path = asked(service, job, built(service).manifest.digest)

    assert service.ask("POST", f"{path}/renewal", other, json={"step": 1}).status_code == 404
    assert service.ask("DELETE", path, other).status_code == 404
    assert service.ask("DELETE", path, job).status_code == 204
    assert service.ask("POST", f"{path}/renewal", job, json={"step": 1}).status_code == 403


def test_a_permit_that_nobody_looked_after_lapses(service: Service) -> None:
    engineer = service.person(Role.ENGINEER)
    path = asked(service, engineer, built(service).manifest.digest)
    service.clock.move(microseconds=LAPSE_US + 1)
    engineer = service.person(Role.ENGINEER)

    answer = service.ask("POST", f"{path}/renewal", engineer, json={"step": 1})

    assert answer.json()["type"].endswith("/permit-ended")


def test_a_ledger_that_does_not_answer_is_a_no(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = service.token(Scope.PERMITS_WRITE)
    path = asked(service, job, built(service).manifest.digest)

    def silent(*_args: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("gone"))

    monkeypatch.setattr(sa.Engine, "connect", silent)
    answer = service.ask("POST", f"{path}/renewal", job, json={"step": 1})
    ready = service.client.get("/readyz")

    assert (answer.status_code, ready.status_code) == (503, 503)
    assert answer.headers["retry-after"]


def test_a_snapshot_that_is_not_ours_gives_no_permit(service: Service) -> None:
    job = service.token(Scope.PERMITS_WRITE)

    assert service.ask("POST", "/permits", job, json={"snapshot": "0" * 64}).status_code == 404


# ---- snapshots --------------------------------------------------------------------------


def test_a_snapshot_is_told_with_its_counts_and_evidence(service: Service) -> None:
    made = built(service)
    job = service.token(Scope.SNAPSHOTS_READ, Scope.EVIDENCE_READ)
    path = f"/snapshots/{made.manifest.digest}"

    [listed] = service.ask("GET", "/snapshots", job).json()["entries"]
    shown = service.ask("GET", path, job).json()

    assert listed["payload"]["manifest"] == made.manifest.digest
    assert shown["counts"]["records_in"] == 3
    assert shown["counts"]["admitted"] == made.manifest.counts.admitted == 2
    assert shown["by_country"]["HK"]["admitted"] == 0
    assert service.ask("GET", f"{path}/manifest", job).content == made.manifest.to_bytes()
    assert service.ask("GET", f"{path}/statement", job).json()["payload"]
    assert service.ask("GET", f"/snapshots/{'0' * 64}", job).status_code == 404
    pack = service.ask("GET", f"{path}/pack", job)
    assert pack.status_code == 200
    assert pack.content[:2] == b"PK"


def test_a_snapshot_that_is_gone_is_told_as_far_as_the_ledger_does(service: Service) -> None:
    made = built(service)
    job = service.token(Scope.SNAPSHOTS_READ)
    made.path.rename(made.path.with_name("elsewhere"))

    shown = service.ask("GET", f"/snapshots/{made.manifest.digest}", job).json()

    assert (shown["at_hand"], shown["counts"]) == (False, None)
    assert service.ask("GET", f"/snapshots/{made.manifest.digest}/manifest", job).status_code == 404


def test_runs_and_releases_are_told(service: Service) -> None:
    job, ledger = service.token(Scope.SNAPSHOTS_READ), service.desk.workspace.ledger
    digest = "a" * 64
    payload = {"release": digest, "run": "b" * 64, "purpose": "x", "statement": "", "adapters": {}}
    ledger.append_public("release", payload, 1)
    became = {"run": "b" * 64, "release": digest, "disposition": "sealed", "shards": [], "why": [],
              "by": "a hold"}  # fmt: skip
    ledger.append_public("disposition", became, 2)

    [listed] = service.ask("GET", "/releases", job).json()["entries"]
    shown = service.ask("GET", f"/releases/{digest}", job).json()

    assert listed["payload"]["release"] == digest
    assert [one["payload"]["disposition"] for one in shown["dispositions"]] == ["sealed"]
    assert service.ask("GET", "/training-runs", job).json()["entries"] == []


# ---- the log ----------------------------------------------------------------------------


def test_the_log_is_told_to_anybody_and_nothing_of_members(service: Service) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    said = service.ask("POST", "/members/maya/choices", job, json={"choice": "off"}).json()
    service.desk.workspace.integrate()

    note = service.ask("GET", "/log/checkpoint")
    rulebook = service.ask("GET", "/log/entries/0").json()
    choice = service.ask("GET", f"/log/entries/{said['index']}").json()
    proof = service.ask("GET", f"/log/entries/{said['index']}/proof")

    assert note.text.startswith(service.desk.workspace.trust.log.name)
    assert service.client.get("/log/checkpoint").content == note.content
    assert (rulebook["kind"], "files" in rulebook["payload"]) == ("rulebook", True)
    assert choice == {"index": said["index"], "commitment": said["commitment"], "kind": None,
                      "recorded_at": None, "payload": None}  # fmt: skip
    assert proof.text.startswith("c2sp.org/tlog-proof@v1")
    assert service.ask("GET", "/log/entries/99").status_code == 404
    assert service.ask("GET", "/log/entries/99/proof").status_code == 404


@pytest.mark.parametrize(
    "path", ["..%2fcheckpoint", "0/../../../keys/bucket.key", "0/001", "x", ""]
)
def test_a_tile_is_a_tile_and_no_other_file(service: Service, path: str) -> None:
    service.desk.workspace.integrate()
    size = service.desk.workspace.ledger.size()

    assert service.client.get(f"/log/tile/{path}").status_code == 404
    for kind, bytes_each in (("0", 32), ("entries", 34)):
        found = service.client.get(f"/log/tile/{kind}/000.p/{size}")
        assert len(found.content) == bytes_each * size


# ---- tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["members", "notices"])
def test_a_table_is_taken_whole_and_once(either: Service, kind: str) -> None:
    job = either.token(Scope.MEMBERS_WRITE, Scope.NOTICES_WRITE)
    head = b"member_id,country\n" if kind == "members" else b"member_id,purpose,served_at\n"
    row = b"maya,US\n" if kind == "members" else b"maya,content-generation-training,2025-10-01\n"
    more = {"content-type": "text/csv"}

    first = either.ask("PUT", f"/{kind}", job, content=head + row, more=more).json()
    again = either.ask("PUT", f"/{kind}", job, content=head + row, more=more).json()
    bad = either.ask("PUT", f"/{kind}", job, content=b"x\n1\n", more=more)

    assert (first["rows"], first["unchanged"], again["unchanged"]) == (1, False, True)
    assert bad.status_code == 400
    assert not list(Path(either.desk.workspace.path / "tables").glob(".*tmp"))
