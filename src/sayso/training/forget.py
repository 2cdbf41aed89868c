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

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sayso.errors import InputError
from sayso.rulebook.in_force import in_force
from sayso.training.dispositions import Disposition, delete_all, dispose, keep
from sayso.training.follow import country_of
from sayso.training.proof import Proof
from sayso.training.proof import prove as prove_
from sayso.training.run import Order, Told, Trained, train
from sayso.training.runs import ADAPTERS, DROPPED, Run, load_origin, write_whole
from sayso.training.sealing import need_unsealed
from sayso.training.servable import (
    ERASED,
    Dropped,
    Standing,
    learned_tags,
    load_dropped,
    standing_of,
)
from sayso.training.shards import bucket_tables, shard_name
from sayso.workspace import Workspace

OFFICER = "officer"


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


@dataclass(frozen=True)
class Forgotten:
    """What a forgetting did.

    Attributes:
        shards: Dropped now.
        records: How many records are not learned from any more.
        deleted: Path -> SHA-256 of every file that was deleted.
        trained: The run that takes the place; None where it was not asked for.
        proof: What making the run that never had them showed; None where not asked for.
    """

    shards: tuple[str, ...]
    records: int
    deleted: Mapping[str, str]
    dispositions: tuple[Disposition, ...]
    trained: Trained | None = None
    proof: Proof | None = None


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
    if everything != before:
        # First of all: from here on no release takes these adapters.
        write_whole(run_folder / DROPPED, everything.to_bytes())
    if fresh:
        dispositions += dispose(workspace, standing, fresh, why, request.by)
        going = Dropped(frozenset(fresh), everything.left_out, everything.without)
        deleted = delete_all(workspace, standing, run_folder, going)
    if request.pending:
        dispositions += keep(workspace, standing, everything.shards, request.by)
    found = Forgotten(fresh, len(dropped.left_out), deleted, tuple(dispositions))
    if out is None or not everything.shards:
        return found
    order = _order(run_folder, standing, everything, out, base)
    trained = train(workspace, order, tell)
    shown = prove_(workspace, order, trained, standing.countries, tell) if prove else None
    return replace(found, trained=trained, proof=shown)


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
    asked = _tags_of(folder, run, request.members) if request.members else {}
    tags: dict[bytes, tuple[str, ...]] = dict.fromkeys(asked, (OFFICER,))
    # Of who was erased the snapshot holds nothing to learn from again, whatever is asked for.
    tags |= {
        tag: why
        for found in standing.pending.values()
        for tag, why in found.items()
        if request.pending or why == (ERASED,)
    }
    why: dict[str, tuple[str, ...]] = {}
    # Of a shard that was dropped before, and waits to be learned again, they are left out too.
    taken = {
        tag
        for tag, name in asked.items()
        if name in standing.dropped or country_of(name) in countries
    }
    for name, one in run.shards.items():
        if one.country in countries:
            why[name] = (f"hold {request.hold}",) if request.hold else (OFFICER,)
            continue
        mine = set(learned_tags(folder, run, name)) & tags.keys()
        if mine:
            why[name] = tuple(sorted({reason for tag in mine for reason in tags[tag]}))
            taken |= mine
    if request.members and not taken & asked.keys():
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


def _tags_of(folder: Path, run: Run, members: Collection[str]) -> dict[bytes, str]:
    """Return the tag and the shard of every record of some members in the snapshot of a run."""
    snapshot, wanted = Path(load_origin(folder).snapshot), set(members)
    found: dict[bytes, str] = {}
    for bucket, table in bucket_tables(snapshot):
        for row in table.select(["tag", "member_id", "country"]).to_pylist():
            if row["member_id"] in wanted:
                name = shard_name(row["country"], bucket, run.recipe.shards)
                found[bytes(row["tag"])] = name
    return found


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
        pin=run.base,
        left_out=frozenset(left_out),
        without=frozenset(origin.without) | dropped.without,
        taken_from=folder,
        again=frozenset(run.shards[name].country for name in again),
        before=run.digest,
    )
