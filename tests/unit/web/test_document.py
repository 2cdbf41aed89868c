"""The API's document, and whether the API keeps to it."""

import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from sayso.web.access import Role, Scope
from sayso.web.api.document import document_of
from sayso.web.app import routes_of
from sayso.web.problems import names
from tests.unit.web.asking import Headers, Service

API_PAGE = Path(__file__).parents[3] / "docs" / "api.md"

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import requests
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.control import SkipTest
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )
    from schemathesis.transport.requests import REQUESTS_TRANSPORT

# A case costs some hundredths of a second; more of them, once in a while: SAYSO_TEST_EXAMPLES.
EXAMPLES = int(os.environ.get("SAYSO_TEST_EXAMPLES", "8"))
CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
)  # fmt: skip


def test_every_type_of_problem_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", API_PAGE.read_text("utf-8"), re.MULTILINE))

    assert documented == names()


def test_every_route_is_documented(service: Service) -> None:
    text = API_PAGE.read_text("utf-8")
    missing = [
        f"{method} {path}"
        for method, found, _ in routes_of(service.client.app)  # type: ignore[arg-type]
        if (path := found).startswith(
            ("/api/v1/", "/oauth2/", "/metrics", "/livez", "/readyz", "/log/")
        )
        and f"`{method} {path.removeprefix('/api/v1')}`" not in text
    ]

    assert missing == []


def test_every_scope_is_documented() -> None:
    text = API_PAGE.read_text("utf-8")

    assert [scope for scope in Scope if f"`{scope}`" not in text] == []


def test_the_document_is_given_to_anybody(service: Service) -> None:
    found = service.ask("GET", "/openapi.json").json()

    assert found["openapi"].startswith("3.1")
    assert {"client", "session"} <= set(found["components"]["securitySchemes"])
    for path in found["paths"].values():
        for operation in path.values():
            assert {"400", "401", "403", "422", "503"} <= set(operation["responses"])
    place = found["paths"]["/api/v1/holds"]["post"]
    assert {"client": ["holds:write"]} in place["security"]
    assert any(one["name"] == "Idempotency-Key" for one in place["parameters"])


def asked(service: Service, case: Any, headers: Headers) -> Any:
    """Ask what a case asks, in process."""
    told = REQUESTS_TRANSPORT.serialize_case(
        case, base_url=service.desk.settings.address, headers=headers
    )
    names = ("method", "url", "params", "headers", "cookies", "data", "json", "files")
    made = requests.Request(**{name: told[name] for name in names if name in told}).prepare()
    return service.client.request(
        str(made.method), str(made.url), headers=dict(made.headers), content=made.body or b""
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_api_answers_what_its_document_says(service: Service, mode: Any) -> None:
    document = document_of(service.client.app)  # type: ignore[arg-type]
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.update(modes=[mode])
    everything = service.token(*Scope)
    somebody = service.person(*(set(Role) - {Role.MEMBER}))
    seen: set[int] = set()

    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        strategy = operation.as_strategy(generation_mode=mode)
        by_person = "lift-requests" in operation.path

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES == 8,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=strategy)
        def ask(case: Any) -> None:
            answer = asked(service, case, somebody if by_person else everything)  # noqa: B023
            seen.add(answer.status_code)
            case.validate_response(answer, checks=list(CHECKS))

        with suppress(SkipTest):  # nothing about a file or a route without parameters can be wrong
            ask()

    assert seen
