"""Once: a form that is sent twice, by a double click or a browser that repeats, counts once.

Promises: the same form with the same answer leads to the entry that it made before, as long
as that entry is the last thing that the member said. An off is never lost for it: where
somebody said something else in between, or nobody can tell whether the first one was
recorded, it is recorded again. An on is not: a form that comes late would stand above an off
of the time between, and so it is shown again.
"""

import hashlib
import json
import time
from collections.abc import Callable

from starlette.requests import Request

from sayso.errors import ConflictError
from sayso.receipting import choices_of
from sayso.web.request import caller_of, desk_of, session_of
from sayso.web.sealed import derived

LASTS_SECONDS = 60 * 60
# For the first of two requests that came together to be recorded.
PATIENCE_SECONDS, PAUSE_SECONDS = 5.0, 0.02


class SaidSinceError(ConflictError):
    """Something was said since this form was first sent, and its answer would stand above it."""


def once(
    request: Request,
    form_id: str,
    answer: tuple[str, ...],
    record: Callable[[], int],
    *,
    widens: bool = False,
) -> int:
    """Return the entry of what a form says; record it unless this form did already.

    Args:
        request: Of the form.
        form_id: What its page called it; empty where it came from elsewhere.
        answer: Everything that it says.
        record: Records the answer and returns the index of its entry.
        widens: Whether the answer lets more be used than one said meanwhile.

    Raises:
        SaidSinceError: It widens, was sent before, and something was said since.
    """
    session = session_of(request)
    if not form_id or not session.secret:
        return record()
    told = json.dumps([request.url.path, form_id, *answer]).encode()
    name = derived(session.secret, f"form/{hashlib.sha256(told).hexdigest()}").hex()
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with desk_of(request).turns.take(name) as is_mine:
            if is_mine:
                return _recorded(request, name, record, widens=widens)
        time.sleep(PAUSE_SECONDS)
    return _recorded(request, name, record, widens=widens)


def _recorded(request: Request, name: str, record: Callable[[], int], *, widens: bool) -> int:
    """Return the entry of a form: the one that it made before, or a new one."""
    desk = desk_of(request)
    note, last = desk.answers.get(name, desk.now_us()), _last_of(request)
    if note is None:
        note = {"entry": None, "size": desk.workspace.ledger.size()}
        desk.answers.put(name, note, now_us=desk.now_us(), lasts_us=LASTS_SECONDS * 1_000_000)
    elif last is not None and last == note["entry"]:
        return last
    elif widens and last is not None and last >= note["size"]:
        raise SaidSinceError("something was said since", hint="look at the setting, and save again")
    entry = record()
    desk.answers.replace(name, {**note, "entry": entry})
    return entry


def _last_of(request: Request) -> int | None:
    ledger = desk_of(request).workspace.ledger
    said = choices_of(ledger, caller_of(request).member_id, ledger.size())
    return said[-1].index if said else None
