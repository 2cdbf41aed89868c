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
    desk = desk_of(request)
    told = json.dumps([request.url.path, form_id, *answer]).encode()
    name = derived(session.secret, f"form/{hashlib.sha256(told).hexdigest()}").hex()
    lasts_us = LASTS_SECONDS * 1_000_000
    if not desk.answers.put(name, {"entry": None}, now_us=desk.now_us(), lasts_us=lasts_us):
        before = _entry_of(request, name)
        if before is not None and before == _last_of(request):
            return before
    try:
        entry = record()
    except BaseException:
        desk.answers.drop(name)  # whoever sends it again need not wait for this one
        raise
    desk.answers.replace(name, {"entry": entry})
    return entry


def _entry_of(request: Request, name: str) -> int | None:
    """Return the entry that was made under a name; None where none is after some patience."""
    desk = desk_of(request)
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        kept = desk.answers.get(name, desk.now_us())
        if kept is None or kept["entry"] is not None:
            return None if kept is None else int(kept["entry"])
        time.sleep(PAUSE_SECONDS)
    return None


def _last_of(request: Request) -> int | None:
    ledger = desk_of(request).workspace.ledger
    said = choices_of(ledger, caller_of(request).member_id, ledger.size())
    return said[-1].index if said else None
