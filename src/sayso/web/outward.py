"""Outward: requests that we send to addresses which others gave us.

Promises: only https, and only to addresses of the public internet, unless an administrator
named the host; every address of a name is looked at, and the connection goes to one that was.
Follows no redirect, takes ten seconds at most from the look for the name to the last byte,
however slowly its answer or the bytes come, and reads little.

Source: OWASP, Server-Side Request Forgery Prevention.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sayso.errors import InputError, RefusedError, UnavailableError

TIMEOUT_SECONDS = 10.0
MOST_BYTES = 64 * 1024
# Addresses inside which an IPv4 one stands: NAT64, 6to4.
_NAT64, _SIX_TO_FOUR = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, 0 for none, and how long to wait if it was said."""

    status: int
    retry_after_seconds: int | None


def check_url(url: str, hosts: frozenset[str]) -> SplitResult:
    """Return an address in its parts.

    Args:
        url: As it was given.
        hosts: Names that need neither encryption nor a public address.

    Raises:
        InputError: It is none that we send anything to.
    """
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:
        raise InputError("the address cannot be read", hint="write https://host/path") from None
    is_plain = all(33 <= ord(sign) < 127 for sign in url) and "\\" not in url
    if not is_plain or not name or port == 0 or parts.fragment or "@" in parts.netloc:
        raise InputError("the address cannot be used", hint="write https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and name in hosts):
        raise InputError("the address is not encrypted", hint="write https://host/path")
    if name not in hosts:
        try:
            given = ipaddress.ip_address(name)
        except ValueError:
            pass
        else:
            _need_public(given)
        if name == "localhost" or name.endswith((".localhost", ".internal", ".local")):
            raise InputError("the address is inside our own network", hint="give a public one")
    return parts


def _need_public(address: IpAddress) -> None:
    if not is_public(address):
        raise InputError("the address is inside our own network", hint="give a public one")


def is_public(address: IpAddress) -> bool:
    """Whether an address is of the public internet, also one that stands inside another."""
    if isinstance(address, ipaddress.IPv6Address):
        inner: ipaddress.IPv4Address | None = address.ipv4_mapped
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and address in _SIX_TO_FOUR:
            inner = address.sixtofour
        if inner is None and address.teredo is not None:
            return False
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def resolve(
    name: str, port: int, hosts: frozenset[str], seconds: float = TIMEOUT_SECONDS
) -> tuple[str, int]:
    """Return the address of a name to connect to.

    Raises:
        UnavailableError: It has none, or none was found in time.
        RefusedError: One of them is inside our own network.
    """
    try:
        found = _addresses(name, port, seconds)
    except (OSError, UnicodeError):
        raise UnavailableError("the name has no address") from None
    places = [str(one[4][0]).partition("%")[0] for one in found]
    if name not in hosts and not all(is_public(ipaddress.ip_address(one)) for one in places):
        raise RefusedError("the name leads inside our own network")
    return places[0], port


def _addresses(name: str, port: int, seconds: float) -> list[Any]:
    """Ask the system for the addresses of a name; it has no limit of time, so a thread asks.

    Raises:
        OSError: There are none, or it took too long; the thread ends when the system gives up.
    """
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    threading.Thread(target=ask, name="name", daemon=True).start()
    return found.result(seconds)


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was looked at, whatever the name says by then.

    It is cut when its time is up: the timeout of a socket is for each of its bytes alone.
    """

    def __init__(self, name: str, place: tuple[str, int], ends: float, *, encrypted: bool) -> None:
        super().__init__(name, place[1])
        self._place, self._ends, self._is_encrypted = place, ends, encrypted
        self._timer: threading.Timer | None = None
        self.is_cut = False

    def connect(self) -> None:
        """Connect."""
        plain = socket.create_connection(self._place, _left(self._ends))
        self.sock = plain
        if self._is_encrypted:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(
                plain, server_hostname=self.host, do_handshake_on_connect=False
            )
        self._timer = threading.Timer(_left(self._ends), self._cut, (self.sock,))
        self._timer.daemon = True
        self._timer.start()
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def _cut(self, sock: socket.socket) -> None:
        self.is_cut = True
        with suppress(OSError):  # closed already
            # Not the method of an SSLSocket, which takes apart what the other thread reads from.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def end(self) -> None:
        """Close it, and have nothing cut any more."""
        if self._timer is not None:
            self._timer.cancel()
        self.close()


def _left(ends: float) -> float:
    """Return the seconds that are left.

    Raises:
        TimeoutError: None are.
    """
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def send(url: str, body: bytes, headers: Mapping[str, str], hosts: frozenset[str]) -> Answer:
    """Post a body; return what came back.

    Raises:
        InputError: The address is none that we send anything to.
        RefusedError: It leads inside our own network.
        UnavailableError: Nobody answered.
    """
    parts = check_url(url, hosts)
    ends = time.monotonic() + TIMEOUT_SECONDS
    is_encrypted = parts.scheme == "https"
    name = parts.hostname or ""
    port = parts.port or (443 if is_encrypted else 80)
    place = resolve(name, port, hosts, TIMEOUT_SECONDS)
    connection = _Pinned(name, place, ends, encrypted=is_encrypted)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, {**headers, "host": parts.netloc})
        answer = connection.getresponse()
        answer.read(MOST_BYTES)
        if connection.is_cut:  # which reads like the end of an answer
            raise TimeoutError
        wait = answer.getheader("retry-after", "")
        return Answer(answer.status, int(wait) if wait.isdecimal() and len(wait) < 8 else None)
    except (OSError, http.client.HTTPException):
        raise UnavailableError("nobody answered") from None
    finally:
        connection.end()
