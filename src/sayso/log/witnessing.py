r"""Witnessing: a log asks a witness to cosign its checkpoint.

Promises: the client of C2SP tlog-witness. One request takes no longer than its timeout in all,
whatever the other side does, follows no redirect and reads a bounded answer. Says apart who must
act: a witness that saw another size is a `ConflictError` with that size, one that saw another
history an `IntegrityError`. Does not decide how many witnesses are enough (`policy`), and uses no
proxy: the environment is read at the edge alone.

Example:
    >>> ask_witness("ftp://example.org", b"", 0, [], timeout_seconds=1)
    Traceback (most recent call last):
    sayso.errors.InputError: the witness is at 'ftp://example.org'; write an http or https URL
"""

import http.client
import threading
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from sayso.errors import ConflictError, InputError, IntegrityError, UnavailableError
from sayso.log.keys import VerifierKey
from sayso.log.lines import parse_decimal, parse_text, quoted
from sayso.log.notes import (
    Note,
    Signature,
    VerifiedSignature,
    parse_note,
    parse_signatures,
    verify_note,
)
from sayso.log.submission import Submission

SIZE_TYPE = "text/x.tlog.size"
MAX_ANSWER_BYTES = 500_000
# A witness that others also ask may move on between its answer and our next request.
ATTEMPTS = 3


def ask_witness(
    url: str, note: bytes, old_size: int, proof: Sequence[bytes], *, timeout_seconds: float
) -> tuple[Signature, ...]:
    """Send a checkpoint once, and return what the witness signed, not yet verified.

    Args:
        url: The witness's submission prefix.
        note: The signed checkpoint.
        old_size: The size that the witness has seen.
        proof: That the checkpoint grew out of it.
        timeout_seconds: For the whole of it.

    Raises:
        ConflictError: The witness has seen another size, which is in `data["size"]`: 0 to the
            checkpoint's size may be sent again, with that proof.
        IntegrityError: The witness has seen another history: it cosigned another root of this
            size, or the proof does not verify.
        InputError: It does not know the log or its key, or does not take the request.
        UnavailableError: It does not answer, or not in its protocol.
    """
    body = Submission(old_size, tuple(proof), parse_note(note)).to_bytes()
    status, content_type, answer = _post(url, body, timeout_seconds)
    shown = f"the witness at {quoted(url)}"
    try:
        text = parse_text(answer, "the answer", MAX_ANSWER_BYTES)
        if status == http.client.OK:
            return parse_signatures(text)
        if status == http.client.CONFLICT and content_type == SIZE_TYPE:
            size = parse_decimal(text.removesuffix("\n"), "the size")
            raise ConflictError(
                f"{shown} has seen a tree of {size}", hint="prove from there", size=size, url=url
            )
    except InputError as error:
        raise UnavailableError(
            f"{shown} answers outside of its protocol: {error.message}", url=url, status=status
        ) from error
    raise _refusal(status, f"{shown} answers {status}: {quoted(text.strip())}", url)


def obtain_cosignatures(
    url: str,
    keys: Iterable[VerifierKey],
    note: bytes,
    prove: Callable[[int], Sequence[bytes]],
    *,
    old_size: int = 0,
    timeout_seconds: float = 10.0,
) -> list[VerifiedSignature]:
    """Return the cosignatures of a witness, verified; asks again from the size that it has seen.

    Args:
        url: The witness's submission prefix.
        keys: The witness's keys.
        note: The signed checkpoint.
        prove: Gives the consistency proof from a size to the checkpoint's.
        old_size: The size that the witness is believed to have seen.
        timeout_seconds: For each request.

    Raises:
        As `ask_witness`; an `IntegrityError` also where no signature is by these keys.
    """
    unverified = parse_note(note)
    size = Submission(0, (), unverified).checkpoint.size
    for attempt in range(ATTEMPTS):
        try:
            signatures = ask_witness(
                url, note, old_size, prove(old_size), timeout_seconds=timeout_seconds
            )
        except ConflictError as error:
            seen = error.data["size"]
            if not isinstance(seen, int) or seen > size or attempt == ATTEMPTS - 1:
                raise
            old_size = seen
        else:
            return verify_note(Note(unverified.text, signatures), keys)
    raise AssertionError


def _refusal(status: int, message: str, url: str) -> Exception:
    if status in {http.client.CONFLICT, http.client.UNPROCESSABLE_ENTITY}:
        return IntegrityError(
            message,
            hint="it has seen another history, or the proof is not one",
            url=url,
            status=status,
        )
    if status in {http.client.BAD_REQUEST, http.client.FORBIDDEN, http.client.NOT_FOUND}:
        return InputError(
            message,
            hint="check its address, and that it knows the log and its key",
            url=url,
            status=status,
        )
    return UnavailableError(message, url=url, status=status)


def _post(url: str, body: bytes, timeout_seconds: float) -> tuple[int, str, bytes]:
    """Return the status, the content type and the body of the answer to one POST.

    In a thread that is left alone when the time is up: a socket's own timeout begins anew with
    every byte, so that a slow witness could hold the log for as long as it likes.
    """
    connection, path = _connection(url, timeout_seconds)
    outcome: SimpleQueue[tuple[int, str, bytes] | Exception] = SimpleQueue()

    def talk() -> None:
        try:
            headers = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER_BYTES + 1)
            outcome.put((answer.status, answer.headers.get_content_type(), data))
        except Exception as error:  # noqa: BLE001  (told to the thread that waits)
            outcome.put(error)
        finally:
            connection.close()

    threading.Thread(target=talk, daemon=True).start()
    try:
        found = outcome.get(timeout=timeout_seconds)
    except Empty:
        found = TimeoutError(f"not within {timeout_seconds} seconds")
    if isinstance(found, Exception):
        raise UnavailableError(
            f"the witness at {quoted(url)} does not answer: {found}", url=url
        ) from found
    return found


def _connection(url: str, timeout_seconds: float) -> tuple[http.client.HTTPConnection, str]:
    wrong = InputError(f"the witness is at {quoted(url)}", hint="write an http or https URL")
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    try:
        parts = urlsplit(url)
        kind, host, port = kinds[parts.scheme], parts.hostname or "", parts.port
    except (KeyError, ValueError):
        raise wrong from None
    if not host or parts.query or parts.fragment or parts.username is not None:
        raise wrong
    return kind(host, port, timeout=timeout_seconds), f"{parts.path.rstrip('/')}/add-checkpoint"
