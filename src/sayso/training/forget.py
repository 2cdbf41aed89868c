"""Forget: taking members, countries or a hold's scope out of a run, for good.

Promises: what must go is dropped at once: marked, its adapters, leftovers and the releases
that held them deleted and listed, before anything is learned again; each shard is then
learned anew without them, in a run of its own, and has the bytes of a run that never had
them (law 10); the other shards are the same files. Who chose off since is left out of a shard
that is learned again, whatever the rule's withdrawal: that is a later run. Reaches neither
the base nor copies that others hold.

Life of a forgetting: see what stands against the run; note in it what is dropped; append a
disposition for the run and for every release that it touches; delete; learn again, taking
over every shard that is the same; where asked, prove it by making the run that never had them.
"""

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sayso.decision.states import microseconds
from sayso.errors import InputError, IntegrityError
from sayso.rulebook.in_force import in_force
from sayso.tables import sha256_of
from sayso.training.foundation import digests_of
from sayso.training.places import RELEASES, places
from sayso.training.release import DISPOSITION, MODEL
from sayso.training.run import Order, Told, Trained, train
from sayso.training.runs import ADAPTERS, DROPPED, NAME, load_origin, write_whole
from sayso.training.sealing import need_unsealed
from sayso.training.servable import Dropped, Standing, learned_tags, load_dropped, standing_of
from sayso.training.shards import bucket_tables
from sayso.workspace import Workspace

OFFICER = "officer"
# Why a shard goes that a forgetting marked before it was killed.
UNFINISHED = "begun before"


@dataclass(frozen=True)
class Request:
    """What is to be forgotten; all of it together, in one batch.

    Attributes:
        members: Ids.
        countries: Dropped whole, and not learned again.
        hold: Id of a hold in force; the countries under it are dropped whole.
        pending: Whatever the ledger and the rules demand by now.
        by: Who decided, as it will be published; no member's name.
    """

    members: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    hold: str = ""
    pending: bool = False
    by: str = "the platform"
    content: Path | None = None


@dataclass(frozen=True, slots=True)
class Disposition:
    """What became of a run or a release; `what` is `kept`, `sealed` or `forgotten`."""

    entry: int
    release: str
    what: str
    why: tuple[str, ...]


@dataclass(frozen=True)
class Forgotten:
    """What a forgetting did.

    Attributes:
        shards: Dropped now.
        records: How many records are not learned from any more.
        deleted: Path -> SHA-256 of every file that was deleted.
        trained: The run that takes the place; None where it was not asked for.
        proved: Files that equal those of a run that never had them; None: not asked for.
    """

    shards: tuple[str, ...]
    records: int
    deleted: Mapping[str, str]
    dispositions: tuple[Disposition, ...]
    trained: Trained | None = None
    proved: int | None = None


def forget(
    workspace: Workspace,
    run_folder: Path,
    request: Request,
    *,
    out: Path | None = None,
    base: Path | None = None,
    prove: bool = False,
    tell: Callable[[Told], None] = lambda _told: None,
) -> Forgotten:
    """Drop what must go from a run, and learn its shards again.

    Args:
        workspace: Whose.
        run_folder: A finished run.
        request: What is to be forgotten.
        out: Folder of the run that takes its place; None: drop now, learn again later.
        base: Where the base stands; None where it is the project's own.
        prove: Make the run that never had them, and compare every file.
        tell: Told how far the learning is.

    Raises:
        InputError: There is no such run, member, country or hold in it.
        IntegrityError: Files differ from what was signed, or the proof failed.
        RefusedError: A hold keeps a shard from being learned again; it stays dropped.
        UnavailableError: The ledger did not answer, or the extra `train` is not installed.
    """
    need_unsealed(run_folder)
    standing = standing_of(workspace, run_folder, request.content)
    dropped, why = _demanded(workspace, run_folder, request, standing)
    before = load_dropped(run_folder)
    everything = before.and_also(dropped)
    # Also what a forgetting that was killed had marked, and not deleted.
    there = {name for name in everything.shards if (run_folder / ADAPTERS / name).exists()}
    fresh = tuple(sorted(there))
    dispositions: list[Disposition] = []
    deleted: dict[str, str] = {}
    if fresh:
        # First of all: from here on no release takes these adapters.
        write_whole(run_folder / DROPPED, everything.to_bytes())
        dispositions += _dispose(workspace, standing, fresh, why, request.by)
        deleted = _delete(workspace, run_folder, fresh)
    if request.pending:
        dispositions += _keep(workspace, standing, everything.shards, request.by)
    found = Forgotten(fresh, len(dropped.left_out), deleted, tuple(dispositions))
    if out is None or not everything.shards:
        return found
    order = _order(run_folder, standing, everything, out, base)
    trained = train(workspace, order, tell)
    proved = _prove(workspace, order, trained, tell) if prove else None
    return Forgotten(
        found.shards, found.records, found.deleted, found.dispositions, trained, proved
    )


# ---- what is demanded -------------------------------------------------------------------


def _demanded(
    workspace: Workspace, folder: Path, request: Request, standing: Standing
) -> tuple[Dropped, Mapping[str, tuple[str, ...]]]:
    """Return what must go, and for every shard why."""
    run = standing.run
    countries = set(request.countries)
    here = {one.country for one in run.shards.values()}
    if odd := sorted(countries - here):
        raise InputError(f"the run has no shard of '{odd[0]}'", hint=f"it has {sorted(here)}")
    if request.hold:
        countries |= _under(workspace, request.hold, standing, here)
    tags: dict[bytes, tuple[str, ...]] = {}
    if request.members:
        tags |= dict.fromkeys(_tags_of(folder, request.members), (OFFICER,))
    if request.pending:
        tags |= {tag: why for found in standing.pending.values() for tag, why in found.items()}
    why: dict[str, tuple[str, ...]] = {}
    taken: set[bytes] = set()
    for name, one in run.shards.items():
        if one.country in countries:
            why[name] = (f"hold {request.hold}",) if request.hold else (OFFICER,)
            continue
        mine = set(learned_tags(folder, run, name)) & tags.keys()
        if mine:
            why[name] = tuple(sorted({reason for tag in mine for reason in tags[tag]}))
            taken |= mine
    if request.members and not taken:
        raise InputError(
            "the run learned from no record of this member",
            hint="of an erased member, use --pending",
        )
    return Dropped(frozenset(why), frozenset(taken), frozenset(countries)), why


def _under(
    workspace: Workspace, hold: str, standing: Standing, countries: Collection[str]
) -> set[str]:
    book = workspace.rules(standing.known).book
    now = in_force(book, standing.run.purpose, standing.at)
    found = {
        country
        for country in countries
        if (law := now.jurisdiction(country)) and hold in {one.hold_id for one in law.holds}
    }
    if not found:
        raise InputError(
            f"hold '{hold}' stands over no country of the run", hint="see 'sayso hold list'"
        )
    return found


def _tags_of(folder: Path, members: Collection[str]) -> set[bytes]:
    """Return the tags of every record of some members in the snapshot of a run."""
    snapshot, wanted = Path(load_origin(folder).snapshot), set(members)
    found: set[bytes] = set()
    for _, table in bucket_tables(snapshot):
        rows = table.select(["tag", "member_id"]).to_pylist()
        found |= {bytes(row["tag"]) for row in rows if row["member_id"] in wanted}
    return found


# ---- dropping ---------------------------------------------------------------------------


def _dispose(
    workspace: Workspace,
    standing: Standing,
    shards: Collection[str],
    why: Mapping[str, tuple[str, ...]],
    by: str,
) -> Iterable[Disposition]:
    """Append what becomes of the run's shards and of every release that holds them."""
    run = standing.run
    found = {reason for name in shards for reason in why.get(name, (UNFINISHED,))}
    reasons = tuple(sorted(found))
    yield _append(workspace, run.digest, "", "forgotten", sorted(shards), reasons, by)
    weights = {run.shards[name].adapter for name in shards}
    noted = places(workspace.path, RELEASES)
    gone = {digest for digest, what in _disposed(workspace).items() if what == "forgotten"}
    for digest, adapters in _releases(workspace).items():
        hit = sorted(name for name, one in adapters.items() if one in weights)
        if hit and digest not in gone:
            # What we cannot reach, we can only seal.
            reached = digest in noted and noted[digest].is_dir()
            what = "forgotten" if reached else "sealed"
            yield _append(workspace, run.digest, digest, what, hit, reasons, by)


def _keep(
    workspace: Workspace, standing: Standing, dropped: Collection[str], by: str
) -> Iterable[Disposition]:
    """Append once, for every release with members who chose off since, that it is kept."""
    run = standing.run
    spared = {
        run.shards[name].adapter: name
        for name, tags in standing.spared.items()
        if tags and name not in dropped
    }
    disposed = _disposed(workspace)
    for digest, adapters in _releases(workspace).items():
        hit = sorted(name for name, one in adapters.items() if one in spared)
        if hit and digest not in disposed:
            yield _append(workspace, run.digest, digest, "kept", hit, ("future-runs",), by)


def _releases(workspace: Workspace) -> dict[str, Mapping[str, str]]:
    """Return the adapters of every release in the ledger."""
    entries = workspace.ledger.public("release", workspace.ledger.size())
    return {entry.payload["release"]: entry.payload["adapters"] for entry in entries}


def _disposed(workspace: Workspace) -> dict[str, str]:
    """Return the last disposition of every release that has one."""
    entries = workspace.ledger.public(DISPOSITION, workspace.ledger.size())
    return {entry.payload["release"]: entry.payload["disposition"] for entry in entries}


def _append(
    workspace: Workspace, run: str, release: str, what: str, shards: list[str],
    why: tuple[str, ...], by: str,
) -> Disposition:  # fmt: skip
    payload = {
        "run": run, "release": release, "disposition": what, "shards": shards,
        "why": list(why), "by": by,
    }  # fmt: skip
    at_us = microseconds(workspace.clock())
    entry = workspace.ledger.append_public(DISPOSITION, payload, at_us).index
    return Disposition(entry, release, what, why)


def _delete(workspace: Workspace, folder: Path, shards: Collection[str]) -> dict[str, str]:
    """Delete adapters, what unfinished runs left beside them, and releases; list every file."""
    gone = {digest for digest, what in _disposed(workspace).items() if what == "forgotten"}
    noted = places(workspace.path, RELEASES)
    doomed = [noted[digest] / MODEL for digest in sorted(gone & noted.keys())]
    doomed += [folder.with_name(f"{folder.name}.partial")]
    # Last: as long as they stand, the next forgetting knows that this one was not finished.
    doomed += [folder / ADAPTERS / name for name in shards]
    deleted: dict[str, str] = {}
    for place in doomed:
        if place.is_dir():
            files = [path for path in sorted(place.rglob("*")) if path.is_file()]
            deleted |= {str(path): sha256_of((path,)) for path in files}
            shutil.rmtree(place)
    return deleted


# ---- learning again ---------------------------------------------------------------------


def _order(
    folder: Path, standing: Standing, dropped: Dropped, out: Path, base: Path | None
) -> Order:
    run, origin = standing.run, load_origin(folder)
    again = dropped.shards - {n for n, s in run.shards.items() if s.country in dropped.without}
    # Who chose off since is spared where nothing is learned again, and only there.
    off = {tag for name in again for tag in standing.refused_tags(name)}
    left_out = {bytes.fromhex(tag) for tag in origin.left_out} | dropped.left_out | off
    return Order(
        snapshot=Path(origin.snapshot),
        out=out,
        recipe=run.recipe,
        base=base,
        left_out=frozenset(left_out),
        without=dropped.without,
        taken_from=folder,
        again=frozenset(run.shards[name].country for name in again),
        before=run.digest,
    )


def _prove(
    workspace: Workspace, order: Order, trained: Trained, tell: Callable[[Told], None]
) -> int:
    """Make the run that never had them; return how many files are the same.

    Raises:
        IntegrityError: One differs.
    """
    countries = frozenset(one.country for one in trained.run.shards.values())
    proof = order.out.with_name(f"{order.out.name}.proof")
    if proof.exists():
        shutil.rmtree(proof)
    never = Order(
        snapshot=order.snapshot, out=proof, recipe=order.recipe, base=order.base,
        left_out=order.left_out, without=order.without, again=countries, device=order.device,
    )  # fmt: skip
    train(workspace, never, tell)
    try:
        ours, theirs = _learned_files(order.out), _learned_files(proof)
    finally:
        shutil.rmtree(proof)
    if odd := sorted(name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name)):
        raise IntegrityError(
            f"'{odd[0]}' differs from that of a run that never had them",
            hint="was it trained on another machine? compare the environments in run.json",
        )
    return len(ours)


def _learned_files(folder: Path) -> dict[str, str]:
    """Return the digests of all files that learning made."""
    adapters = {f"{ADAPTERS}/{name}": one for name, one in digests_of(folder / ADAPTERS).items()}
    return {NAME: sha256_of((folder / NAME,)), **adapters}
