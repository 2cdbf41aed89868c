"""The rulebook: what is published, what would change, and publishing another.

Promises: the ETag is the rulebook's digest, and nothing is published over a version that the
caller has not seen; faults come all at once, by file and line. No hold ends here: lifting one
takes two people, see `holds`.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from sayso.decision.explain import rule_json
from sayso.errors import ConflictError, InputError
from sayso.model import DEFAULT_PURPOSE, Rulebook
from sayso.publishing import publish, write_rulebook
from sayso.rulebook.parse import load_files, parse_rulebook
from sayso.snapshot.manifest import iso
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, told
from sayso.web.api.bodies import Given, Instant, PurposeName, json_of, takes
from sayso.web.api.holds import HoldTold, hold_told
from sayso.web.desk import Desk
from sayso.web.limits import Work, dear
from sayso.web.problems import ChangedError, NeedsMatchError
from sayso.web.request import desk_of
from sayso.whatif import compare_rulebooks, named_rulebook

router = APIRouter(prefix="/api/v1", tags=["rulebook"])

STAFF = frozenset(Role) - {Role.MEMBER}


class RulebookTold(Shape):
    """A published rulebook: its files, and what they say."""

    digest: str
    entry: int
    files: dict[str, str]
    purposes: dict[str, str]
    rules: list[dict[str, Any]]
    holds: list[HoldTold]


class RulebookGiven(Given):
    """A whole rulebook: path inside it -> text."""

    files: Annotated[dict[str, str], Field(max_length=1000)]


class Published(Shape):
    """A rulebook that counts from now on; `unchanged` where it did before."""

    digest: str
    entry: int
    unchanged: bool


class Differs(Shape):
    """What two rulebooks decide differently."""

    purpose: str
    at: str
    first: str
    second: str
    cells: list[dict[str, Any]]


@router.get(
    "/rulebook",
    response_model=RulebookTold,
    responses={304: {"description": "It is the version that was named"}, **answers()},
)
@allow(*STAFF, scopes={Scope.RULEBOOK_READ})
def show(request: Request, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """Show the published rulebook; its ETag is its digest."""
    rules = desk_of(request).workspace.rules()
    book = rules.book
    headers = {"etag": _tag(book)}
    if if_none_match is not None and _tag(book) in _tags(if_none_match):
        return Response(status_code=304, headers=headers)
    found = RulebookTold(
        digest=book.digest,
        entry=rules.entry,
        files=dict(book.files),
        purposes={name: one.title for name, one in book.purposes.items()},
        rules=[{"purpose": one.purpose, **rule_json(one)} for one in book.rules],
        holds=[hold_told(one) for one in book.holds],
    )
    return told(found, headers=headers)


@router.put(
    "/rulebook",
    response_model=Published,
    responses=answers(409, 412, 415, 428),
    openapi_extra=takes(RulebookGiven),
)
@allow(Role.OFFICER, Role.ADMIN, scopes={Scope.RULEBOOK_WRITE})
def put(
    request: Request,
    given: Annotated[RulebookGiven, Depends(json_of(RulebookGiven))],
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Publish a rulebook in the place of the one that `If-Match` names."""
    desk = desk_of(request)
    before = desk.workspace.rules()
    if if_match is None:
        raise NeedsMatchError(
            "say which rulebook this one replaces", hint="send its ETag as If-Match"
        )
    if _tag(before.book) not in _tags(if_match):
        raise ChangedError("another rulebook is published by now", hint="read it, then try again")
    after = parse_rulebook(given.files)
    if after.digest == before.book.digest:
        made = Published(digest=after.digest, entry=before.entry, unchanged=True)
        return told(made, headers={"etag": _tag(after)})
    try:
        receipt, book = publish(
            desk.workspace.ledger,
            given.files,
            desk.now_us(),
            based_on=before.entry,
            lifts_apart=True,
        )
    except ConflictError:
        raise ChangedError(
            "another rulebook was published meanwhile", hint="read it, then try again"
        ) from None
    _bring_drafts(desk, before.book, given.files)
    desk.stir()
    made = Published(digest=book.digest, entry=receipt.index, unchanged=False)
    return told(made, headers={"etag": _tag(book)})


@router.get("/rulebook/diff", response_model=Differs, responses=answers())
@allow(*STAFF, scopes={Scope.RULEBOOK_READ})
@dear(Work.PACK)
def diff(
    request: Request,
    first: Annotated[str, Query(pattern="^(published|[0-9]{1,15})$")],
    second: Annotated[str, Query(pattern="^(published|[0-9]{1,15})$")] = "published",
    purpose: Annotated[PurposeName, Query()] = DEFAULT_PURPOSE,
    at: Annotated[Instant | None, Query()] = None,
) -> Response:
    """Say what two published rulebooks decide differently; each by the entry that published it."""
    workspace = desk_of(request).workspace
    when: datetime = at or workspace.clock()
    one, other = named_rulebook(workspace, first), named_rulebook(workspace, second)
    changes = compare_rulebooks(one, other, purpose, when.astimezone(UTC))
    found = Differs(
        purpose=purpose, at=iso(when), first=one.digest, second=other.digest,
        cells=[asdict(change) for change in changes],
    )  # fmt: skip
    return told(found)


def _tag(book: Rulebook) -> str:
    return f'"{book.digest}"'


def _tags(header: str) -> set[str]:
    return {part.strip().removeprefix("W/") for part in header.split(",")}


def _bring_drafts(desk: Desk, before: Rulebook, files: dict[str, str]) -> None:
    """Have the drafts follow, unless somebody is amid an edit of them."""
    folder = desk.workspace.path / "rulebook"
    try:
        if load_files(folder) != before.files:
            return
    except InputError:
        return
    write_rulebook(folder, files)
    for name in set(before.files) - set(files):
        (folder / name).unlink(missing_ok=True)
