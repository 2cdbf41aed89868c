"""Reads: each answer about a member to somebody else is noted, in the database and the log.

Promises: what is read is noted before it is told, and not told where it cannot be noted. What
a member reads of their own is nobody's business and is noted nowhere; neither is the single
decision that a job asks for, thousands of times a second, which tells that job no more than
whether it may use a record.

One line of JSON for each goes to the logger `sayso.web.reads`, with the member's tag and not
their id.
"""

import json
import logging

from starlette.requests import Request

from sayso.facts import instant_of
from sayso.ledger.reads import Read, add_read
from sayso.snapshot.manifest import iso
from sayso.web.request import caller_of, desk_of
from sayso.web.telemetry import route_of

LOG = logging.getLogger("sayso.web.reads")
CLIENT = "client"


def note_read(request: Request, member_id: str | None, rows: int = 1) -> None:
    """Note that a request is told something of a member, or of many where none is named.

    Raises:
        UnavailableError: It could not be noted, and so nothing may be told.
    """
    desk, caller = desk_of(request), caller_of(request)
    if not caller.is_client and caller.member_id and caller.member_id == member_id:
        return
    read = Read(
        at_us=desk.now_us(), subject=caller.subject,
        role=CLIENT if caller.is_client else " ".join(sorted(caller.roles)),
        route=f"{request.method} {route_of(request.scope)}", member_id=member_id, rows=rows,
        request_id=request.state.request_id,
    )  # fmt: skip
    tag = add_read(desk.workspace.ledger, read)
    told = {
        "at": iso(instant_of(read.at_us)), "by": read.subject, "role": read.role,
        "route": read.route, "member": None if tag is None else tag.hex(), "rows": read.rows,
        "request": read.request_id,
    }  # fmt: skip
    LOG.info("%s", json.dumps(told))
