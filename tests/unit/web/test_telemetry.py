import logging
import re
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sayso.web.access import Role, Scope
from sayso.web.telemetry import Watch, make_tracer
from tests.unit.web.asking import Service

MEMBER, WORDS = "member-zq-4711", "zq-words"


def busy(service: Service) -> list[str]:
    """Ask several things about a member; return what must be told nowhere."""
    job = service.token(Scope.CHOICES_WRITE, Scope.CHOICES_READ, Scope.DECISIONS_READ)
    person = service.person(Role.MEMBER, member=MEMBER)
    place = f"/members/{MEMBER}/choices"
    service.ask("POST", place, job, json={"choice": "off", "channel": WORDS})
    service.ask("GET", place + f"?cursor={WORDS}", job)
    service.ask("POST", place, person, json={"choice": WORDS})
    service.ask("POST", "/decisions", job, json={"member": MEMBER, "record": {"context": WORDS}})
    service.ask("POST", "/decisions", job, json={"member": MEMBER, "record": {"text": WORDS}})
    service.client.get(f"/nothing/{MEMBER}?q={WORDS}", headers=job)
    secrets = [job["authorization"].removeprefix("Bearer "), person["x-csrf-token"]]
    return [MEMBER, WORDS, *secrets, person["cookie"].partition("=")[2]]


def test_no_log_holds_an_id_a_token_or_a_word(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "sayso")

    hidden = busy(service)

    text = "\n".join(record.getMessage() for record in caplog.records if record.name[:5] == "sayso")
    assert "POST /api/v1/members/{member}/choices 201" in text
    assert [one for one in hidden if one in text] == []


def test_a_line_names_the_request_that_the_answer_names(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sayso.web.access")

    answer = service.client.get("/livez")

    line = caplog.records[-1].getMessage()
    assert re.fullmatch(rf"GET /livez 200 [\d.]+ ms {answer.headers['x-request-id']}", line)


def test_a_fault_is_told_without_a_word_of_it(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise ValueError(WORDS)

    monkeypatch.setattr(service.desk.__class__, "choose", fail)
    job = service.token(Scope.CHOICES_WRITE)

    answer = service.ask("POST", f"/members/{MEMBER}/choices", job, json={"choice": "off"})

    assert answer.status_code == 500
    assert answer.json()["type"].endswith("/fault")
    told = "\n".join(one.getMessage() for one in caplog.records if one.name == "sayso.web")
    assert "ValueError at POST /api/v1/members/{member}/choices" in told
    assert WORDS not in answer.text + told


def test_what_is_measured_has_templates_for_labels(service: Service) -> None:
    hidden = busy(service)

    text = service.client.get("/metrics", headers=service.token(Scope.METRICS_READ)).text

    assert re.search(
        r'sayso_requests_total\{method="POST",route="/api/v1/members/\{member\}/choices",'
        r'status="201"\}', text,
    )  # fmt: skip
    assert 'route="no route"' in text
    assert f"sayso_ledger_entries {service.desk.workspace.ledger.size()}.0" in text
    assert [one for one in hidden if one in text] == []


def test_a_span_has_a_template_and_no_id(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    stack: Any = service.client.app.middleware_stack  # type: ignore[attr-defined]
    while not isinstance(stack, Watch):
        stack = stack.app
    monkeypatch.setattr(stack, "_tracer", provider.get_tracer("test"))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    hidden = busy(service)
    service.client.get("/livez", headers={"traceparent": parent})

    spans = kept.get_finished_spans()
    text = "\n".join(one.to_json() for one in spans)

    assert "POST /api/v1/members/{member}/choices" in {one.name for one in spans}
    assert [one for one in hidden if one in text] == []
    assert spans[-1].context is not None
    assert spans[-1].context.trace_id == int(parent.split("-")[1], 16)


def test_nothing_is_traced_unless_somebody_said_where_to() -> None:
    assert make_tracer({}) is None
    assert make_tracer({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) is None
