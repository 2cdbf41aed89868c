"""Paging: long lists in parts, each with the address of the next.

Promises: a cursor is opaque and stays good while the list grows at its new end; what is there
from the first page to the last comes once. Source: RFC 8288 for `Link`.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, TypeVar
from urllib.parse import quote

from fastapi import Query
from starlette.requests import Request

from sayso.errors import InputError

T = TypeVar("T")

MAX_ROWS = 1000
_PREFIX = "v1:"

Cursor = Annotated[
    str | None, Query(max_length=100, description="Where to go on, as the answer before said.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="Rows at most.")]


def page_of(
    request: Request,
    rows: Iterable[T],
    place: Callable[[T], int],
    *,
    cursor: str | None,
    limit: int,
    newest_first: bool = False,
) -> tuple[list[T], Mapping[str, str], str | None]:
    """Return some of the rows, the headers of their answer, and the cursor of the next.

    Args:
        request: Whose answer it is.
        rows: In order of `place`, each at a place of its own.
        place: A number that a row keeps.
        cursor: As an answer gave it; None for the beginning.
        limit: Rows at most.
        newest_first: Whether places fall.

    Raises:
        InputError: The cursor is none that was given here.
    """
    after = place_in(cursor)
    sign = -1 if newest_first else 1
    found: list[T] = []
    for row in rows:
        if after is not None and sign * place(row) <= sign * after:
            continue
        if len(found) == limit:
            made = _PREFIX + str(place(found[-1]))
            following = base64.urlsafe_b64encode(made.encode()).decode().rstrip("=")
            url = request.url.include_query_params(cursor=following, limit=limit)
            target = quote(request.scope["path"], safe="/") + f"?{url.query}"
            return found, {"link": f'<{target}>; rel="next"'}, following
        found.append(row)
    return found, {}, None


def place_in(cursor: str | None) -> int | None:
    """Return the place of the last row before a page; None for the beginning.

    Raises:
        InputError: The cursor is none that was given here.
    """
    return None if cursor is None else _read(cursor)


def _read(cursor: str) -> int:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        if text.startswith(_PREFIX):
            number = int(text.removeprefix(_PREFIX))
            if abs(number) < 1 << 63:
                return number
    except (binascii.Error, ValueError):
        pass
    raise InputError("the cursor is none that was given here", hint="begin without one")
