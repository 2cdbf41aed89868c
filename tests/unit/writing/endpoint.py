"""An endpoint in a thread that answers as it is told, and remembers what it got."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Headers = dict[str, str]


@dataclass(frozen=True)
class Answer:
    """One answer; events are sent one by one, `broken` ends them in the middle."""

    status: int = 200
    events: Sequence[str] = ()
    headers: Headers = field(default_factory=dict)
    body: str = ""
    broken: bool = False


@dataclass
class Got:
    """One request."""

    path: str
    headers: Headers
    body: Any


def said(*texts: str) -> Answer:
    """Return an answer that says texts and ends as it should."""
    events = [json.dumps({"choices": [{"delta": {"content": text}}]}) for text in texts]
    return Answer(events=[json.dumps({"choices": []}), *events, "[DONE]"])


class _Server(ThreadingHTTPServer):
    answers: list[Answer]
    got: list[Got]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append(Got(self.path, headers, json.loads(raw)))
        answer = self.server.answers.pop(0)
        events = "".join(f"data: {event}\n\n" for event in answer.events)
        sent = (events or answer.body).encode()
        self.send_response(answer.status)
        kind = "text/event-stream" if answer.events else "application/json"
        for name, value in {"content-type": kind, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(sent) + (10 if answer.broken else 0)))
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(*answers: Answer) -> Iterator[tuple[str, list[Got]]]:
    """Yield the address of an endpoint, and the list of what it gets."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.answers, server.got = list(answers), []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", server.got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
