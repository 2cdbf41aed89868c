import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.errors import InputError
from sayso.model import REASONS, RecordFacts
from sayso.web.access import Role, Scope
from sayso.web.api.bodies import ARROW, read_arrow
from sayso.web.api.decisions import RecordGiven
from tests.town import (
    AT,
    member_row,
    record_row,
    town_content,
    town_members,
    write_content,
    write_jsonl,
)
from tests.unit.web.asking import Service

ADMITTED = {
    "record_id": "r1", "category": "post", "visibility": "public", "authorship": "own",
    "context": "feed", "mentions": [], "written_at": "2025-06-01T00:00:00Z",
}  # fmt: skip


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def test_one_decision_says_what_the_command_says(service: Service) -> None:
    job = service.token(Scope.DECISIONS_READ)
    asked = {"member": "maya", "record": ADMITTED, "at": "2026-01-15T12:00:00Z"}

    found = service.ask("POST", "/decisions", job, json=asked).json()

    expected = service.desk.workspace.decide("maya", _facts(), at=AT).to_json()
    assert found == json.loads(json.dumps(expected))
    assert found["allow"] is True


def _facts() -> RecordFacts:
    return RecordGiven.model_validate(ADMITTED).facts()


@pytest.mark.parametrize("left_out", sorted(set(ADMITTED) - {"context", "mentions"}))
def test_what_is_left_out_is_unknown_and_refused(service: Service, left_out: str) -> None:
    job = service.token(Scope.DECISIONS_READ)
    record = {name: value for name, value in ADMITTED.items() if name != left_out}

    found = service.ask("POST", "/decisions", job, json={"member": "maya", "record": record}).json()

    assert found["allow"] is False


@pytest.mark.parametrize(
    "record",
    [{"written_at": "soon"}, {"written_at": 7}, {"mentions": "x"}, {"colour": "red"}, []],
)
def test_what_cannot_be_read_is_no_question(service: Service, record: Any) -> None:
    job = service.token(Scope.DECISIONS_READ)

    answer = service.ask("POST", "/decisions", job, json={"member": "maya", "record": record})

    assert answer.status_code == 422
    assert answer.json()["faults"]


def test_a_fault_quotes_nothing_that_was_sent(service: Service) -> None:
    job = service.token(Scope.DECISIONS_READ)
    asked = {"member": "maya", "record": {"written_at": "zq-secret-words"}}

    assert "zq-secret-words" not in service.ask("POST", "/decisions", job, json=asked).text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b"1" * 5000, b"[" * 5000])
def test_a_body_that_is_no_json_is_no_question(service: Service, body: bytes) -> None:
    job = service.token(Scope.DECISIONS_READ)

    answer = service.ask(
        "POST", "/decisions", job, content=body, more={"content-type": "application/json"}
    )

    assert answer.status_code == 422


def test_known_beyond_the_ledger_is_no_question(service: Service) -> None:
    job = service.token(Scope.DECISIONS_READ)

    assert (
        service.ask("POST", "/decisions", job, json={"member": "maya", "known": 99}).status_code
        == 400
    )


# ---- many -------------------------------------------------------------------------------


def town(service: Service) -> pa.Table:
    path = service.desk.workspace.path.parent
    members = [*town_members(40), member_row("maya")]
    service.desk.workspace.ingest("members", write_jsonl(path / "town.jsonl", members))
    return pq.read_table(write_content(path / "town.parquet", town_content(400, 40)))


def test_a_batch_of_arrow_is_decide_many(either: Service) -> None:
    job, table = either.token(Scope.DECISIONS_READ), town(either)

    answer = either.ask(
        "POST", "/decisions/batch", job, content=stream(table.drop_columns(["text"])),
        more={"content-type": ARROW}, params={"at": "2026-01-15T12:00:00Z"},
    )  # fmt: skip

    assert answer.headers["content-type"] == ARROW
    found = pa.ipc.open_stream(answer.content).read_all()
    expected = either.desk.workspace.decide_many(table, at=AT)
    assert found["mask"].to_numpy().tolist() == expected.masks.tolist()
    assert 0 < np.count_nonzero(expected.masks) < len(expected)
    assert json.loads(found.schema.metadata[b"reasons"]) == [str(one) for one in REASONS]


def test_a_batch_of_json_says_the_same(service: Service) -> None:
    job, table = service.token(Scope.DECISIONS_READ), town(service)
    names = {"record_id", "member_id", "category", "visibility", "authorship", "context",
             "written_at", "first_seen_at", "deleted_at", "mentions"}  # fmt: skip
    rows = [
        {name: value for name, value in row.items() if name in names} for row in table.to_pylist()
    ]
    body = json.dumps(rows, default=lambda moment: moment.isoformat())

    found = service.ask(
        "POST", "/decisions/batch?at=2026-01-15T12:00:00Z", job, content=body,
        more={"content-type": "application/json"},
    ).json()  # fmt: skip

    expected = service.desk.workspace.decide_many(table, at=AT)
    assert [one["allow"] for one in found["decisions"]] == expected.allow.tolist()
    assert found["admitted"] + sum(found["refused"].values()) == found["records"] == 400


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"member_id": ["maya"]}),
        pa.table({"record_id": [["r"]], "member_id": [{"a": 1}]}),
        pa.table({"record_id": [b"\xff"], "member_id": ["maya"]}),
        pa.table({"record_id": pa.nulls(1), "member_id": pa.nulls(1)}),
        pa.table(
            {"record_id": ["r"], "member_id": ["maya"], "written_at": ["x"], "mentions": [1.5]}
        ),
        pa.table({"record_id": pa.array(["r"]).dictionary_encode(), "member_id": [1.5]}),
        pa.table({"record_id": ["r"], "member_id": pa.array(["maya"], pa.large_string())}),
        pa.table({"record_id": [], "member_id": []}),
        pa.table({}),
    ],
)
def test_a_table_of_another_shape_is_refused_or_admits_nothing(
    service: Service, table: pa.Table
) -> None:
    job = service.token(Scope.DECISIONS_READ)

    answer = service.ask(
        "POST", "/decisions/batch", job, content=stream(table), more={"content-type": ARROW}
    )

    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert 0 not in pa.ipc.open_stream(answer.content).read_all()["mask"].to_pylist()


@pytest.mark.parametrize("place", range(8, 400, 37))
def test_a_damaged_stream_is_refused_or_answered(service: Service, place: int) -> None:
    job = service.token(Scope.DECISIONS_READ)
    body = bytearray(stream(pa.table({"record_id": ["r1", "r2"], "member_id": ["maya", "x"]})))
    body[place % len(body)] ^= 0xFF

    answer = service.ask(
        "POST", "/decisions/batch", job, content=bytes(body), more={"content-type": ARROW}
    )

    assert answer.status_code in {200, 400}


@pytest.mark.parametrize("how", ["zstd", "lz4"])
@pytest.mark.parametrize("column", ["plain", "of a dictionary"])
def test_a_compressed_stream_is_refused_before_it_is_decoded(how: str, column: str) -> None:
    """A few thousand bytes of it may become any number in memory."""
    ids = pa.array(["m" * 1000] * 10_000)
    table = pa.table({"record_id": ids if column == "plain" else ids.dictionary_encode()})
    if column != "plain":  # the batch itself is too small to be worth it
        table = table.slice(0, 1)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=how)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    body = bytes(sink.getvalue())
    before = pa.total_allocated_bytes()

    with pytest.raises(InputError, match="compressed"):
        read_arrow(body, 20_000)

    assert pa.total_allocated_bytes() - before < 1 << 20
    assert len(read_arrow(stream(table), 20_000)) == len(table)


def test_a_compressed_stream_is_no_body(service: Service) -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({"record_id": ["r"] * 9, "member_id": ["maya"] * 9})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    job = service.token(Scope.DECISIONS_READ, Scope.CHOICES_WRITE)

    for path in ("/decisions/batch", "/choices"):
        answer = service.ask(
            "POST", path, job, content=bytes(sink.getvalue()), more={"content-type": ARROW}
        )
        assert answer.status_code == 400
        assert "compressed" in answer.json()["title"]


def test_a_body_beyond_the_bound_is_refused_however_it_comes(service: Service) -> None:
    job = service.token(Scope.DECISIONS_READ)
    headers = {**job, "content-type": "application/json"}

    told = service.client.post("/api/v1/decisions", content=b" " * 300_000, headers=headers)
    untold = service.client.post(
        "/api/v1/decisions", content=(b" " * 100_000 for _ in range(3)), headers=headers
    )

    assert (told.status_code, untold.status_code) == (413, 413)
    for one in (told, untold):
        assert one.json()["title"] == "the body is larger than 262144 bytes"
        assert one.json()["detail"] == "send less, or in parts"


def test_known_beyond_the_ledger_is_told_without_a_word_of_the_command_line(
    service: Service,
) -> None:
    job = service.token(Scope.DECISIONS_READ)
    asked = {"member": "maya", "known": 1_000_000}

    answer = service.client.post("/api/v1/decisions", json=asked, headers=job)

    assert answer.status_code == 400
    assert answer.json()["title"] == "known 1000000 is outside the ledger"
    assert answer.json()["detail"].startswith("give 0 to ")


# ---- explanations -----------------------------------------------------------------------


def test_a_record_in_the_content_is_explained(service: Service) -> None:
    path = service.desk.workspace.path / "content.parquet"
    write_content(path, [record_row("r1", "maya"), record_row("r2", "wing")])
    service.desk.settings = replace(service.desk.settings, content="content.parquet")
    job, maya = service.token(Scope.DECISIONS_READ), service.person(Role.MEMBER, member="maya")

    found = service.ask("POST", "/explanations", maya, json={"member": "maya", "record_id": "r1"})
    other = service.ask("POST", "/explanations", maya, json={"member": "wing", "record_id": "r2"})
    none = service.ask("POST", "/explanations", job, json={"member": "maya", "record_id": "r2"})

    assert found.json()["allow"] is True
    assert "record r1 of member maya" in found.json()["text"]
    assert (other.status_code, none.status_code) == (404, 400)


@pytest.mark.parametrize("twice", ["member_id", "category", "deleted_at"])
@pytest.mark.parametrize("query", ["", "?at=2026-01-15T12:00:00Z"])
def test_a_column_that_stands_twice_is_no_content(service: Service, twice: str, query: str) -> None:
    job = service.token(Scope.DECISIONS_READ)
    names = ["record_id", "member_id", "category", "deleted_at", twice]
    body = stream(pa.Table.from_arrays([pa.array(["maya"])] * len(names), names=names))

    answer = service.ask(
        "POST", f"/decisions/batch{query}", job, content=body, more={"content-type": ARROW}
    )

    assert answer.status_code == 400
    assert f"'{twice}' more than once" in answer.text
