"""Once: a form that is sent twice, by a double click or a browser that repeats, counts once.

Promises: the same form with the same answer leads to the entry that it made before, as long
as that entry is the last thing that the member said. An answer is never lost for it: where
somebody said something else in between, or nobody can tell whether the first one was
recorded, it is recorded again, which changes nothing for a decision (law 6).
"""

import hashlib
import json
import time
from collections.abc import Callable

from starlette.requests import Request

from sayso.receipting import choices_of
from sayso.web.request import caller_of, desk_of, session_of
from sayso.web.sealed import derived

LASTS_SECONDS = 60 * 60
# For the first of two requests that came together to be recorded.
PATIENCE_SECONDS, PAUSE_SECONDS = 5.0, 0.02


def once(request: Request, form_id: str, answer: tuple[str, ...], record: Callable[[], int]) -> int:
    """Return the entry of what a form says; record it unless this form did already.

    Args:
        request: Of the form.
        form_id: What its page called it; empty where it came from elsewhere.
        answer: Everything that it says.
        record: Records the answer and returns the index of its entry.
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
                return _recorded(request, name, record)
        time.sleep(PAUSE_SECONDS)
    return _recorded(request, name, record)


def _recorded(request: Request, name: str, record: Callable[[], int]) -> int:
    """Return the entry of a form: the one that it made before, or a new one."""
    desk = desk_of(request)
    before = desk.answers.get(name, desk.now_us())
    if before is not None and before["entry"] == _last_of(request):
        return int(before["entry"])
    entry = record()
    lasts_us = LASTS_SECONDS * 1_000_000
    if not desk.answers.put(name, {"entry": entry}, now_us=desk.now_us(), lasts_us=lasts_us):
        desk.answers.replace(name, {"entry": entry})
    return entry


def _last_of(request: Request) -> int | None:
    ledger = desk_of(request).workspace.ledger
    said = choices_of(ledger, caller_of(request).member_id, ledger.size())
    return said[-1].index if said else None
