"""A remote provider: what leaves, what comes back, and what is never said."""

import json
import logging
import socket

import pytest

from sayso.errors import InputError, RefusedError, SaysoError, UnavailableError
from sayso.writing import Endpoint, Recipient, Remote, Sampling
from sayso.writing.prompt import post_prompt
from sayso.writing.remote import TRIES, check_url
from tests.unit.writing.endpoint import Answer, said, serving

pytest.importorskip("httpx2", reason="sayso[write] is not installed")

SECRET, KEY = "zq-secret-words", "zq-secret-key"
PROMPT = post_prompt(SECRET)
SAMPLING = Sampling(seed=7, tokens=30)


def remote(url: str, waited: list[float] | None = None, **more: str) -> Remote:
    endpoint = Endpoint(Recipient("LinkedIn", url), "small", key=KEY, **more)
    return Remote(endpoint, (waited if waited is not None else []).append)


def test_a_request_holds_the_prompt_and_nothing_of_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    with serving(said("A", " quiet", "", " week")) as (url, got):
        assert list(remote(url).stream(PROMPT, SAMPLING)) == ["A", " quiet", " week"]

    assert got[0].path == "/v1/chat/completions"
    assert got[0].body == {
        "model": "small", "messages": PROMPT.messages(), "stream": True, "max_tokens": 30,
        "temperature": 0.8, "top_p": 0.95, "seed": 7,
    }  # fmt: skip
    headers = got[0].headers
    assert headers.pop("host").startswith("127.0.0.1:")
    assert headers.pop("content-length").isdigit()
    assert (headers.pop("connection"), headers.pop("accept-encoding")) == ("keep-alive", "identity")
    assert headers == {
        "accept": "text/event-stream", "user-agent": "sayso", "content-type": "application/json",
        "authorization": f"Bearer {KEY}",
    }  # fmt: skip


def test_azures_form_has_its_address_version_and_header() -> None:
    with serving(said("ok")) as (url, got):
        provider = remote(url.removesuffix("/v1"), api_version="2026-02-01")
        assert list(provider.stream(PROMPT, SAMPLING)) == ["ok"]

    wanted = "/openai/deployments/small/chat/completions?api-version=2026-02-01"
    assert got[0].path == wanted
    assert got[0].headers["api-key"] == KEY
    assert "authorization" not in got[0].headers


def test_what_passes_is_tried_again_and_waited_for() -> None:
    waited: list[float] = []
    answers = [Answer(503), Answer(429, headers={"retry-after": "3"}), Answer(500), said("ok")]
    with serving(*answers) as (url, got):
        assert list(remote(url, waited).stream(PROMPT, SAMPLING)) == ["ok"]

    assert waited == [0.5, 3.0, 2.0]
    assert len(got) == 4


def test_a_server_cannot_make_us_wait_for_ever() -> None:
    waited: list[float] = []
    long = {"retry-after": "99999"}
    with (
        serving(*[Answer(429, headers=long)] * TRIES) as (url, _),
        pytest.raises(UnavailableError, match="status 429"),
    ):
        list(remote(url, waited).stream(PROMPT, SAMPLING))
    assert waited == [20.0] * (TRIES - 1)


def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        waited: list[float] = []
        with pytest.raises(UnavailableError, match="'LinkedIn' cannot be reached"):
            list(remote(url, waited).stream(PROMPT, SAMPLING))
    assert waited == [0.5, 1.0, 2.0]


def test_once_text_came_it_is_not_asked_for_again() -> None:
    half = json.dumps({"choices": [{"delta": {"content": "half"}}]})
    fault = json.dumps({"error": f"no: {SECRET}"})
    for answer in (Answer(events=[half], broken=True), Answer(events=[half, fault])):
        with serving(answer) as (url, got):
            pieces = remote(url).stream(PROMPT, SAMPLING)
            assert next(pieces) == "half"
            with pytest.raises(UnavailableError, match="broke off") as told:
                list(pieces)
        assert len(got) == 1
        assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("answer", "family"),
    [
        (Answer(400, body=json.dumps({"error": {"message": SECRET}})), InputError),
        (Answer(401), InputError),
        (Answer(404), InputError),
        (Answer(302, headers={"location": "http://127.0.0.1:9/else"}), RefusedError),
        (Answer(307, headers={"location": "/v1/chat/completions"}), RefusedError),
        (Answer(204), InputError),
    ],
)
def test_what_will_not_pass_is_told_once(answer: Answer, family: type[SaysoError]) -> None:
    with serving(answer) as (url, got), pytest.raises(family) as told:
        list(remote(url).stream(PROMPT, SAMPLING))

    assert len(got) == 1
    assert str(answer.status) in str(told.value) or "another address" in str(told.value)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body="{}"),
        Answer(events=["no json"]),
        Answer(events=['"text"']),
        Answer(events=['{"choices": [7]}']),
        Answer(events=['{"choices": [{"delta": null}]}']),
        Answer(events=['{"error": "' + SECRET + '"}']),
    ],
)
def test_an_answer_that_nobody_can_read_is_unavailable(answer: Answer) -> None:
    with serving(*[answer] * TRIES) as (url, _), pytest.raises(UnavailableError) as told:
        list(remote(url).stream(PROMPT, SAMPLING))
    assert SECRET not in str(told.value)


def test_no_error_and_no_log_repeats_the_prompt_the_answer_or_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(said("zq-answered")) as (url, _):
        provider = remote(url)
        list(provider.stream(PROMPT, SAMPLING))
    with serving(*[Answer(500, body=SECRET)] * TRIES) as (url, _):
        with pytest.raises(UnavailableError) as told:
            list(remote(url).stream(PROMPT, SAMPLING))
        assert told.value.__cause__ is None

    everything = caplog.text + str(told.value) + repr(provider) + repr(PROMPT)
    everything += repr(Endpoint(Recipient("LinkedIn", url), "small", key=KEY))
    for word in (SECRET, "zq-answered", KEY):
        assert word not in everything


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("", "is none"),
        ("host/v1", "is none"),
        ("ftp://host", "is none"),
        ("https://", "is none"),
        ("https://host:x", "is none"),
        ("http://example.org/v1", "in the clear"),
        ("http://10.0.0.1/v1", "in the clear"),
        ("http://localhost.example.org/v1", "in the clear"),
        ("https://user:word@example.org/v1", "more than host and path"),
        ("https://example.org/v1?api-key=x", "more than host and path"),
    ],
)
def test_an_address_that_text_may_not_go_to(url: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as told:
        check_url(url)
    assert "word" not in str(told.value)


def test_an_address_that_it_may() -> None:
    for url in ("https://example.org/v1", "http://localhost:8000", "http://[::1]:8000/v1"):
        assert check_url(url) == url
