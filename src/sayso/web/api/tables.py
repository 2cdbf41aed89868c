"""Members and notices in bulk: a file in the body, whole or not at all.

Promises: the file takes the place of the last version; the same file twice changes nothing,
and so an upload that broke off is sent again. A notice alone is not taken: a version is the
whole table, and a table made of one row would say that nobody else was told.
"""

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from sayso.errors import InputError
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, told
from sayso.web.api.bodies import file_of, takes_file
from sayso.web.limits import Work, dear
from sayso.web.request import desk_of

router = APIRouter(prefix="/api/v1", tags=["tables"])


class Taken(Shape):
    """What became of a file.

    Attributes:
        first: Index of its first entry.
        size: Of the ledger then.
        backdated_on: Rows that claim an `on` before its recording; they are flagged.
        ahead_on: Rows that claim an `on` after it, above an `off` said until then; flagged.
        ignored: Rows without a member id.
        unknown_purposes: Rows by each purpose that no rulebook declares.
    """

    kind: str
    rows: int
    unchanged: bool
    first: int | None
    size: int
    backdated_on: int
    ahead_on: int
    ignored: int
    unknown_purposes: dict[str, int]
    sha256: str


@router.put(
    "/members", response_model=Taken, responses=answers(409, 415), openapi_extra=takes_file()
)
@allow(Role.ADMIN, scopes={Scope.MEMBERS_WRITE})
@dear(Work.FILE)
def take_members(request: Request, file: Annotated[FilePath, Depends(file_of)]) -> Response:
    """Put a file in the place of the members table."""
    return taken_of(request, "members", file)


@router.put(
    "/notices", response_model=Taken, responses=answers(409, 415), openapi_extra=takes_file()
)
@allow(Role.ADMIN, scopes={Scope.NOTICES_WRITE})
@dear(Work.FILE)
def take_notices(request: Request, file: Annotated[FilePath, Depends(file_of)]) -> Response:
    """Put a file in the place of the notices table."""
    return taken_of(request, "notices", file)


def taken_of(request: Request, kind: str, path: FilePath) -> Response:
    """Take a file, and say what became of it."""
    try:
        taken, unknown = desk_of(request).ingest(kind, path)
    except InputError as error:  # where it stands meanwhile is nobody's business
        what = error.message.replace(f"'{path}'", "the file").replace(f"'{path.name}'", "the file")
        raise InputError(what, hint=error.hint, **error.data) from None
    return told(
        Taken(
            kind=kind, rows=taken.rows, unchanged=taken.unchanged, first=taken.first,
            size=taken.size, backdated_on=taken.backdated_on, ahead_on=taken.ahead_on,
            ignored=taken.ignored, unknown_purposes=unknown, sha256=taken.sha256,
        )
    )  # fmt: skip
