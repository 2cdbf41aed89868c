"""Snapshots, training runs and releases: what was built, and the evidence of it.

Promises: what the ledger's public entries say, and the files of a snapshot whose folder is at
hand, by the digest of its manifest alone: no path comes in and none goes out. A pack is made
when it is asked for, and verifies everything that goes into it.
"""

from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from sayso.errors import UnavailableError
from sayso.evidence.layout import STATEMENT
from sayso.evidence.packs import Source, pack_snapshot
from sayso.facts import instant_of
from sayso.ledger.store import PublicEntry
from sayso.snapshot.known import known_snapshots
from sayso.snapshot.manifest import NAME, Manifest, iso, load_manifest
from sayso.training.follow import DISPOSITION, RELEASE, RUN
from sayso.web.access import Role, Scope, allow
from sayso.web.api.answers import Shape, answers, gives, told
from sayso.web.api.paging import Cursor, Limit, page_of
from sayso.web.desk import Desk
from sayso.web.limits import Work, dear
from sayso.web.problems import NotFoundError
from sayso.web.request import desk_of, spool_of

router = APIRouter(prefix="/api/v1", tags=["snapshots"])

STAFF = (Role.OFFICER, Role.APPROVER, Role.ENGINEER, Role.AUDITOR, Role.ADMIN)
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256, in hex.")]


class EntryTold(Shape):
    """A public entry of the ledger."""

    index: int
    recorded_at: str
    payload: dict[str, Any]


class Entries(Shape):
    """Public entries of one kind, the newest first."""

    entries: list[EntryTold]
    next: str | None


class SnapshotTold(Shape):
    """A snapshot. What its manifest says is null where its folder is not at hand."""

    index: int
    recorded_at: str
    payload: dict[str, Any]
    at_hand: bool
    counts: dict[str, Any] | None
    by_country: dict[str, dict[str, Any]] | None


class ReleaseTold(Shape):
    """A release and what became of it."""

    index: int
    recorded_at: str
    payload: dict[str, Any]
    dispositions: list[EntryTold]


@router.get("/snapshots", response_model=Entries, responses=answers())
@allow(*STAFF, scopes={Scope.SNAPSHOTS_READ})
def list_snapshots(request: Request, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the snapshots that were built."""
    return _listed(request, "snapshot", cursor, limit)


@router.get("/training-runs", response_model=Entries, responses=answers())
@allow(*STAFF, scopes={Scope.SNAPSHOTS_READ})
def list_runs(request: Request, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the finished training runs."""
    return _listed(request, RUN, cursor, limit)


@router.get("/releases", response_model=Entries, responses=answers())
@allow(*STAFF, scopes={Scope.SNAPSHOTS_READ})
def list_releases(request: Request, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the releases that were made."""
    return _listed(request, RELEASE, cursor, limit)


@router.get("/releases/{digest}", response_model=ReleaseTold, responses=answers(404))
@allow(*STAFF, scopes={Scope.SNAPSHOTS_READ})
def show_release(request: Request, digest: Digest) -> Response:
    """Show one release, and what became of it."""
    desk = desk_of(request)
    entry = _entry(desk, RELEASE, release=digest)
    ledger = desk.workspace.ledger
    became = [
        _told(one).model_dump()
        for one in ledger.public(DISPOSITION, ledger.size())
        if one.payload.get("release") == digest
    ]
    return told({**_told(entry).model_dump(), "dispositions": became})


@router.get("/snapshots/{digest}", response_model=SnapshotTold, responses=answers(404))
@allow(*STAFF, scopes={Scope.SNAPSHOTS_READ})
def show_snapshot(request: Request, digest: Digest) -> Response:
    """Show one snapshot: what was counted, by reason and country."""
    desk = desk_of(request)
    entry = _entry(desk, "snapshot", manifest=digest)
    folder = folder_of(desk, digest)
    manifest: Manifest | None = None if folder is None else load_manifest(folder)
    found = {
        **_told(entry).model_dump(),
        "at_hand": manifest is not None,
        "counts": None if manifest is None else manifest.counts.model_dump(),
        "by_country": None
        if manifest is None
        else {name: one.model_dump() for name, one in manifest.by_country.items()},
    }
    return told(found)


@router.get(
    "/snapshots/{digest}/manifest", response_model=dict[str, object], responses=answers(404)
)
@allow(*STAFF, scopes={Scope.SNAPSHOTS_READ})
def manifest(request: Request, digest: Digest) -> Response:
    """Give the manifest, byte for byte."""
    return _file(request, digest, NAME)


@router.get(
    "/snapshots/{digest}/statement", response_model=dict[str, object], responses=answers(404)
)
@allow(*STAFF, scopes={Scope.SNAPSHOTS_READ, Scope.EVIDENCE_READ})
def statement(request: Request, digest: Digest) -> Response:
    """Give the signed statement about a snapshot, byte for byte."""
    return _file(request, digest, STATEMENT)


@router.get(
    "/snapshots/{digest}/pack",
    response_class=FileResponse,
    responses={200: gives("application/zip", "The pack"), **answers(404, 409)},
)
@allow(*STAFF, scopes={Scope.EVIDENCE_READ})
@dear(Work.PACK)
def pack(
    request: Request, digest: Digest, place: Annotated[FilePath, Depends(spool_of)]
) -> Response:
    """Make the pack of a snapshot, to be verified offline with `sayso verify`."""
    desk = desk_of(request)
    _entry(desk, "snapshot", manifest=digest)
    folder = _need_folder(desk, digest)
    workspace = desk.workspace
    out = place / f"snapshot-{digest[:16]}.zip"
    source = Source(workspace.ledger, workspace.trust, desk.now_us())
    pack_snapshot(source, folder, out)
    return FileResponse(out, media_type="application/zip", filename=out.name)


def _listed(request: Request, kind: str, cursor: str | None, limit: int) -> Response:
    ledger = desk_of(request).workspace.ledger
    rows, headers, following = page_of(
        request, ledger.public(kind, ledger.size(), newest_first=True), lambda one: one.index,
        cursor=cursor, limit=limit, newest_first=True,
    )  # fmt: skip
    found = Entries(entries=[_told(one) for one in rows], next=following)
    return told(found, headers=headers)


def _told(entry: PublicEntry) -> EntryTold:
    recorded_at = iso(instant_of(entry.recorded_us))
    return EntryTold(index=entry.index, recorded_at=recorded_at, payload=dict(entry.payload))


def _entry(desk: Desk, kind: str, **match: str) -> PublicEntry:
    ledger = desk.workspace.ledger
    found = ledger.latest(kind, ledger.size(), **match)
    if found is None:
        raise NotFoundError(f"there is no such {kind}", hint="list them")
    return found


def folder_of(desk: Desk, digest: str) -> FilePath | None:
    """Return a folder in which a snapshot stands, by its manifest's digest; None for nowhere."""
    for known in known_snapshots(desk.workspace.ledger):
        if known.manifest == digest and (known.path / NAME).is_file():
            return known.path
    return None


def _need_folder(desk: Desk, digest: str) -> FilePath:
    folder = folder_of(desk, digest)
    if folder is None:
        raise NotFoundError("the snapshot is not at hand here", hint="ask where it was built")
    return folder


def _file(request: Request, digest: str, name: str) -> Response:
    desk = desk_of(request)
    _entry(desk, "snapshot", manifest=digest)
    try:
        data = (_need_folder(desk, digest) / name).read_bytes()
    except OSError:
        raise UnavailableError("a file of the snapshot cannot be read") from None
    return Response(data, media_type="application/json")
