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
from sayso.ledger.reads import Read, add_reads
from sayso.snapshot.manifest import iso
from sayso.web.request import caller_of, desk_of
from sayso.web.telemetry import route_of

LOG = logging.getLogger("sayso.web.reads")
CLIENT = "client"


def note_read(request: Request, *member_ids: str | None, rows: int = 1) -> None:
    """Note that a request is told something of a member, or of several.

    Args:
        request: Whose answer it is.
        member_ids: Of whom; None for many who are not named.
        rows: How many records it is about.

    Raises:
        UnavailableError: It could not be noted, and so nothing may be told.
    """
    desk, caller = desk_of(request), caller_of(request)
    who, role = caller.subject, CLIENT if caller.is_client else " ".join(sorted(caller.roles))
    if who == caller.member_id:  # where both are one name, an erasure could not reach it here
        who = desk.workspace.ledger.keys.keyed("sayso/web/reader/v1", who).hex()
    reads = [
        Read(
            at_us=desk.now_us(), subject=who, role=role,
            route=f"{request.method} {route_of(request.scope)}", member_id=one, rows=rows,
            request_id=request.state.request_id,
        )
        for one in member_ids
        if caller.is_client or not caller.member_id or one != caller.member_id
    ]  # fmt: skip
    for read, tag in zip(reads, add_reads(desk.workspace.ledger, reads), strict=True):
        told = {
            "at": iso(instant_of(read.at_us)), "by": read.subject, "role": read.role,
            "route": read.route, "member": None if tag is None else tag.hex(), "rows": read.rows,
            "request": read.request_id,
        }  # fmt: skip
        LOG.info("%s", json.dumps(told))
