"""A remote provider: any endpoint that speaks OpenAI's chat completions, Azure's too.

Promises: the request holds the messages, the sampling and the key, and nothing else: no
header names the program, the machine or the caller, nothing comes from the environment, and
no redirect is followed, since another address would be another recipient. Text goes over
TLS, or stays on this machine. A request is tried again only before the first piece came.
No error, and no log line of ours, repeats the prompt, the answer or the key.

Example:
    >>> endpoint = Endpoint(Recipient("LinkedIn", "http://127.0.0.1:8000/v1"), "small")
    >>> list(Remote(endpoint).stream(prompt, Sampling(seed=1)))    # doctest: +SKIP
    ['Today', ' in', ...]

Source: OpenAI API reference, Create chat completion (streaming); Azure OpenAI REST API
reference, Chat completions, for the address, `api-version` and the header `api-key`.
"""

import ipaddress
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from sayso.errors import InputError, RefusedError, UnavailableError
from sayso.writing.prompt import Prompt
from sayso.writing.provider import Recipient, Sampling

CONNECT_SECONDS = 10.0
# Between two pieces; a large model may think for long before its first.
READ_SECONDS = 120.0
TRIES = 4
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 20.0
# Source: RFC 9110 s15.5.9, RFC 6585 s4, RFC 9110 s15.6: these pass.
PASSING = frozenset({408, 429, 500, 502, 503, 504})
DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a remote model answers.

    Attributes:
        recipient: Who answers, and the address that `chat/completions` is added to.
        model: Its name there; with Azure the name of the deployment.
        api_version: Azure's version of the interface; empty where it is not Azure's form.
        key: Empty where none is asked for.
    """

    recipient: Recipient
    model: str
    api_version: str = ""
    key: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The address of the request."""
        root = self.recipient.url.rstrip("/")
        if not self.api_version:
            return f"{root}/chat/completions"
        deployment, version = quote(self.model, safe=""), quote(self.api_version, safe="")
        return f"{root}/openai/deployments/{deployment}/chat/completions?api-version={version}"

    @property
    def headers(self) -> dict[str, str]:
        """All headers of a request beside those that HTTP itself needs."""
        plain = {
            "accept": "text/event-stream", "accept-encoding": "identity", "user-agent": "sayso",
        }  # fmt: skip
        if not self.key:
            return plain
        if self.api_version:
            return plain | {"api-key": self.key}
        return plain | {"authorization": f"Bearer {self.key}"}


def check_url(url: str) -> str:
    """Return an address that text may be sent to.

    Raises:
        InputError: It is none, or text would go over the network in the clear.
    """
    try:
        told = urlsplit(url)
        host, port = told.hostname or "", told.port
    except ValueError:
        host, port = "", None
    if not host or told.scheme not in {"http", "https"} or port == 0:
        raise InputError(
            "the address of the endpoint is none", hint="give one like https://host/v1"
        )
    if told.username or told.password or told.query or told.fragment:
        raise InputError(
            "the address of the endpoint holds more than host and path",
            hint="give the key with --key-file or SAYSO_ASSISTANT_KEY, and --api-version apart",
        )
    if told.scheme == "http" and not _is_here(host):
        raise InputError("text would go to the endpoint in the clear", hint="give an https address")
    return url


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Remote:
    """A provider behind an endpoint.

    Args:
        endpoint: Where.
        wait: Waits so many seconds; tests put another in its place.
    """

    def __init__(self, endpoint: Endpoint, wait: Callable[[float], None] = time.sleep) -> None:
        check_url(endpoint.recipient.url)
        self._endpoint = endpoint
        self._wait = wait

    @property
    def name(self) -> str:
        """The model, as it is called there."""
        return self._endpoint.model

    @property
    def recipient(self) -> Recipient:
        """Who gets the prompt."""
        return self._endpoint.recipient

    def cuts(self, prompt: Prompt, sampling: Sampling) -> bool:
        """Whether less than the prompt is read: what an endpoint cannot read, it refuses."""
        del prompt, sampling
        return False

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """Yield the pieces of one text. Raises as `Provider.stream`."""
        body = {
            "model": self._endpoint.model,
            "messages": prompt.messages(),
            "stream": True,
            "max_tokens": sampling.tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        http = _need_http()
        timeout = http.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        with http.Client(trust_env=False, follow_redirects=False, timeout=timeout) as client:
            client.headers = self._endpoint.headers
            yield from self._tried(client, body)

    def _tried(self, client: Any, body: dict[str, object]) -> Iterator[str]:
        """Yield the pieces, trying again until the first one came."""
        for number in range(1, TRIES + 1):
            came = False
            try:
                for piece in self._once(client, body):
                    came = True
                    yield piece
            except _PassingError as passing:
                if came or number == TRIES:
                    raise UnavailableError(
                        f"the endpoint of '{self.recipient.name}' {passing.what}",
                        hint="try again later",
                    ) from None
                self._wait(passing.after_seconds or _back_off(number))
            else:
                return

    def _once(self, client: Any, body: dict[str, object]) -> Iterator[str]:
        http = _need_http()
        try:
            with client.stream("POST", self._endpoint.url, json=body) as response:
                if response.status_code != 200:
                    raise self._refusal(response.status_code, response.headers)
                yield from _pieces(http.EventSource(response))
        except http.TimeoutException:
            raise _PassingError("did not answer in time") from None
        except http.TransportError:
            raise _PassingError("cannot be reached, or broke off") from None
        except (http.HTTPError, http.InvalidURL, http.StreamError):
            raise _PassingError("answered what nobody can read") from None

    def _refusal(self, status: int, headers: Any) -> Exception:
        who = f"the endpoint of '{self.recipient.name}'"
        if status in PASSING:
            return _PassingError(f"answered with status {status}", _retry_after(headers))
        if 300 <= status < 400:
            return RefusedError(
                f"{who} leads to another address, which would be another recipient",
                hint="give that address, if it is the recipient's",
            )
        hints = {401: "check the key", 403: "check the key", 404: "check address and model"}
        return InputError(
            f"{who} refuses the request with status {status}",
            hint=hints.get(status, "check model and --tokens"),
        )


class _PassingError(Exception):
    """What may be otherwise in a moment; never leaves this module."""

    def __init__(self, what: str, after_seconds: float = 0.0) -> None:
        super().__init__(what)
        self.what = what
        self.after_seconds = after_seconds


def _pieces(events: Any) -> Iterator[str]:
    """Yield the text in server-sent events.

    An event that holds an error, or nothing that can be read, ends the stream: what it says
    may repeat the prompt, and is passed on to nobody.
    """
    for event in events:
        if event.data.strip() == DONE:
            return
        try:
            value = json.loads(event.data)
            choices = value["choices"]
            text = choices[0]["delta"].get("content") if choices else None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise _PassingError("broke off with an error") from None
        if isinstance(text, str) and text:
            yield text


def _retry_after(headers: Any) -> float:
    """Return how long a server asks to wait, in seconds, bounded. Source: RFC 9110 s10.2.3."""
    told = str(headers.get("retry-after", ""))
    return min(float(told), LONGEST_WAIT_SECONDS) if told.isascii() and told.isdigit() else 0.0


def _back_off(number: int) -> float:
    """Return how long to wait after so many tries, in seconds."""
    return float(min(FIRST_WAIT_SECONDS * 2 ** (number - 1), LONGEST_WAIT_SECONDS))


def _need_http() -> Any:
    try:
        import httpx2  # noqa: PLC0415
    except ImportError:
        raise UnavailableError(
            "the package 'httpx2' is not installed", hint="install sayso[write]"
        ) from None
    return httpx2
