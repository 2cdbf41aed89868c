"""Decisions over HTTP: one by one against a route that reads one row, and in Arrow batches.

Needs a PostgreSQL that answers, as `bench.serving` does. The service is a process of its own
with one worker; the route that it is measured against stands in the same application, behind
the same check of the same token.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow as pa
import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bench.measure import Report, ratio
from bench.serving import BATCH_RECORDS, database, fill
from sayso.decision.states import microseconds
from sayso.ledger import schema
from sayso.model import DEFAULT_PURPOSE
from sayso.opening import init_workspace
from sayso.present import Present
from sayso.web.access import Scope, allow
from sayso.web.clients import Clients
from sayso.web.request import desk_of
from sayso.web.sealed import make_tables
from sayso.web.serving import PatientProtocol, worker_app

ASKS, CONNECTIONS = 2_000, 4
ARROW = "application/vnd.apache.arrow.stream"
READY_SECONDS = 60

router = APIRouter()


@router.get("/bench/{member}")
@allow(scopes={Scope.DECISIONS_READ})
def by_key(request: Request, member: str) -> Response:
    """Read one row by its key."""
    query = schema.member_key.select().where(schema.member_key.c.member_id == member)
    with desk_of(request).workspace.ledger.engine.connect() as con:
        row = con.execute(query).one()
    return JSONResponse({"bucket": row.bucket})


def bench_app() -> FastAPI:
    """Return the service with the route that it is measured against."""
    app = worker_app()
    app.include_router(router)
    return app


def http(report: Report, folder: Path, members: int, runs: int) -> None:
    """Measure decisions over HTTP."""
    place = folder / "http"
    shutil.rmtree(place, ignore_errors=True)
    with database() as url:
        workspace = init_workspace(
            place, lambda: datetime.now(UTC), template="linkedin-2024", url=url
        )
        fill(workspace, folder, members)
        make_tables(workspace.ledger)
        clients, now_us = Clients(workspace.ledger), microseconds(datetime.now(UTC))
        who, secret = clients.add("bench", frozenset({Scope.DECISIONS_READ}), now_us)
        with _serving(place) as port:
            token, _ = clients.give_token(who, secret, None, microseconds(datetime.now(UTC)))
            head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            _single(report, port, head, members, runs)
            asked = Present(workspace)
            _batch(report, port, head, asked, members, runs)
            asked.close()
        workspace.close()
    shutil.rmtree(place)


@contextmanager
def _serving(place: Path) -> Iterator[int]:
    """Run the service until the block ends; give its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    given = {"SAYSO_WEB_WORKSPACE": str(place), "SAYSO_WEB_DEMONSTRATION": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.asking", str(port)],
        env={**os.environ, **given},
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the service ended"
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def _single(report: Report, port: int, head: str, members: int, runs: int) -> None:
    record = {
        "record_id": "r1", "category": "post", "visibility": "public", "authorship": "own",
        "context": "feed", "mentions": [], "written_at": "2025-06-01T00:00:00Z",
    }  # fmt: skip
    places = np.random.default_rng(3).integers(0, members, ASKS)

    def question(place: int) -> bytes:
        body = json.dumps({"member": f"m{place}", "record": record})
        return (
            f"POST /api/v1/decisions HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    questions = [question(int(place)) for place in places]
    reads = [f"GET /bench/m{place} HTTP/1.1\r\n{head}\r\n".encode() for place in places]
    _ask(port, questions[:200])
    _ask(port, reads[:200])
    value, ours, floor = ratio(lambda: _ask(port, reads), lambda: _ask(port, questions), runs)
    report.add(
        "decisions over HTTP over a route with one SELECT by key", value, "x", at_least=0.7,
        detail=f"{ASKS / floor:,.0f} /s / {ASKS / ours:,.0f} /s",
    )  # fmt: skip


def _ask(port: int, requests: list[bytes]) -> None:
    """Send requests over some connections at once; each must be answered 200."""
    wrong: list[bytes] = []

    def send(mine: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for one in mine:
                connection.sendall(one)
                answer = _answer(connection)
                if not answer.startswith(b"HTTP/1.1 200 "):
                    wrong.append(answer)
                    return

    threads = [
        Thread(target=send, args=(requests[number::CONNECTIONS],)) for number in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0][:500]


def _answer(connection: socket.socket) -> bytes:
    """Read one answer, whose length stands in its head."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        assert more, "hung up"
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    parts, got = [body], len(body)
    while got < length:
        more = connection.recv(1 << 20)
        parts.append(more)
        got += len(more)
    return head + b"\r\n\r\n" + b"".join(parts)


def _batch(report: Report, port: int, head: str, asked: Present, members: int, runs: int) -> None:
    places = np.random.default_rng(4).integers(0, members, BATCH_RECORDS)
    content = pa.table(
        {
            "record_id": pa.array([f"r{number}" for number in range(BATCH_RECORDS)]),
            "member_id": pa.array([f"m{place}" for place in places]),
            "category": pa.array(["post"] * BATCH_RECORDS),
            "visibility": pa.array(["public"] * BATCH_RECORDS),
            "authorship": pa.array(["own"] * BATCH_RECORDS),
            "mentions": pa.array([[]] * BATCH_RECORDS, pa.list_(pa.string())),
            "written_at": pa.array([datetime(2024, 1, 1)] * BATCH_RECORDS, pa.timestamp("us")),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, content.schema) as writer:
        writer.write_table(content)
    body = bytes(sink.getvalue())
    request = (
        f"POST /api/v1/decisions/batch?purpose={DEFAULT_PURPOSE} HTTP/1.1\r\n{head}"
        f"Content-Type: {ARROW}\r\nAccept: {ARROW}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body

    def over_http() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
            answer = _answer(connection)
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:500]
        table = pa.ipc.open_stream(answer.partition(b"\r\n\r\n")[2]).read_all()
        assert table.num_rows == BATCH_RECORDS

    over_http()
    asked.decide_many(content)
    value, inside, outside = ratio(lambda: asked.decide_many(content), over_http, runs)
    report.add(
        f"{BATCH_RECORDS:,} decisions in one Arrow request, over decide_many in process", value,
        "x", at_least=0.5, detail=f"{outside * 1e3:.0f} ms / {inside * 1e3:.0f} ms",
    )  # fmt: skip


if __name__ == "__main__":
    uvicorn.run(
        bench_app, factory=True, host="127.0.0.1", port=int(sys.argv[1]), http=PatientProtocol,
        access_log=False, log_level="warning", server_header=False,
    )  # fmt: skip
