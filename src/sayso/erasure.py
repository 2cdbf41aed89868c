"""Erasure: a member's key, payloads and rows gone from everything that a workspace reaches.

Promises: when `erase` returns, no file of the workspace or of a snapshot that it reached
holds the member's key, id or words; they are refused at every (at, known); every root and
every other proof is what it was; what was not reached is named. Killed at any moment, it is
finished by the next opening of the workspace. Ties `sayso.ledger.erase` and
`sayso.snapshot.erase` together and holds no policy.

Example:
    >>> erase(ledger, "7", recorded_us).snapshots          # doctest: +SKIP
    (Visit(path=PosixPath('first'), reached=<Reached.ERASED: 'erased'>, ...),)
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sayso.errors import UnavailableError
from sayso.ledger.erase import (
    Blanked,
    Work,
    adopt_tags,
    blank,
    entomb,
    erasing,
    is_due,
    scrub,
    settle,
    sweep_files,
    work_left,
)
from sayso.ledger.files import is_worked_in
from sayso.ledger.spool import is_spooling
from sayso.ledger.store import Ledger
from sayso.snapshot.erase import Reached, Visit, is_being_made, visit
from sayso.snapshot.known import adopt, known_snapshots, note_behind
from sayso.snapshot.load import circumstances

Progress = Callable[[str, int], None]

# Said wherever somebody is erased.
TOMBSTONE = (
    "a keyed tombstone stays: a hash of the id under the workspace's own secret. Its purpose is "
    "to refuse the member at every instant, also when a file or a backup brings them back. It "
    "is kept for ever, and for nothing else"
)
OUT_OF_REACH = (
    "copies that others hold: snapshots, records or receipts that were given away",
    "models that learned already, and the bases they were made from",
    "backups; after restoring one, run 'sayso erase --reapply'",
    "freed blocks of the disk, until they are used again; encrypt the disk",
)


@dataclass(frozen=True)
class Erasure:
    """What an erasure did.

    Attributes:
        entry: The index of the member's erasure entry; None where all were looked at again.
        is_new: Whether the tombstone was placed now.
        returned: Tombstones that only `keys/erased.tags` held: they came back erased.
        ledger: What was done in the ledger.
        swept: Files that nobody listed, deleted.
        snapshots: What became of every folder that was noted.
        waiting: Who works at this moment; each looks for the erased itself at its end.
        inputs: Files of the platform's own that snapshots were made from; never touched.
    """

    entry: int | None
    is_new: bool
    returned: int
    ledger: Blanked
    swept: tuple[str, ...]
    snapshots: tuple[Visit, ...]
    waiting: tuple[str, ...]
    inputs: tuple[str, ...]

    @property
    def missed(self) -> tuple[Visit, ...]:
        """Folders that were not reached."""
        return tuple(one for one in self.snapshots if one.reached is Reached.MISSED)


def erase(
    ledger: Ledger,
    member_id: str,
    recorded_us: int,
    *,
    copies: Sequence[Path] = (),
    progress: Progress = lambda _stage, _rows: None,
) -> Erasure:
    """Erase a member; a second time, look everywhere again.

    Args:
        ledger: Whose.
        member_id: Canonical text.
        recorded_us: The time of recording.
        copies: Folders that hold copies of snapshots of this workspace; noted for good.
        progress: Told the name of each stage.

    Raises:
        InputError: A copy is no snapshot of this workspace; nothing was erased.
        UnavailableError: A reader holds the database's write-ahead log; all else is done.
    """
    with erasing(ledger):
        for copy in copies:
            adopt(ledger, copy)
        placed = entomb(ledger, member_id, recorded_us)
        done = _finish(ledger, work_left(ledger), {member_id}, progress)
    ledger_part = replace(
        done.ledger,
        head_rows=done.ledger.head_rows + placed.head_rows,
        kept_rows=done.ledger.kept_rows + placed.kept_rows,
    )
    return replace(done, entry=placed.entry, is_new=placed.is_new, ledger=ledger_part)


def reapply(
    ledger: Ledger,
    recorded_us: int,
    *,
    copies: Sequence[Path] = (),
    progress: Progress = lambda _stage, _rows: None,
) -> Erasure:
    """Look everywhere for everybody who was ever erased: after a restore from a backup.

    Raises:
        InputError: A copy is no snapshot of this workspace.
        UnavailableError: A reader holds the database's write-ahead log; all else is done.
    """
    with erasing(ledger):
        for copy in copies:
            adopt(ledger, copy)
        returned = adopt_tags(ledger, recorded_us)
        work = replace(work_left(ledger), buckets=None)
        return replace(_finish(ledger, work, (), progress), returned=returned)


def resume(
    ledger: Ledger, recorded_us: int, progress: Progress = lambda _stage, _rows: None
) -> Erasure | None:
    """Finish what is left of erasures; None where nothing is, or others are at it.

    Cheap where there is nothing to do: two counts.
    """
    if not is_due(ledger):
        return None
    with erasing(ledger, patient=False) as is_held:
        if not is_held:
            return None
        adopt_tags(ledger, recorded_us)
        work = work_left(ledger)
        if not work.tags or (work.is_waiting and _others_work(ledger)):
            return None
        return _finish(ledger, work, (), progress, patient=False)


def _others_work(ledger: Ledger) -> bool:
    return (
        any(is_worked_in(ledger.folder / name) for name in ("segments", "tables"))
        or is_spooling(ledger.folder)
        or any(is_being_made(known) for known in known_snapshots(ledger))
    )


def _finish(
    ledger: Ledger,
    work: Work,
    ids: Collection[str],
    progress: Progress,
    *,
    patient: bool = True,
) -> Erasure:
    """Do everything that is left, in an order in which it can be done again."""
    progress("erasing in the ledger", 0)
    blanked = blank(ledger, work.buckets)
    swept, busy = sweep_files(ledger)
    visits: list[Visit] = []
    for known in known_snapshots(ledger):
        progress("erasing in snapshots", len(visits))
        visits.append(visit(ledger, known, work.buckets))
        if known.manifest is not None and visits[-1].reached is not Reached.BUSY:
            note_behind(ledger, known, behind=visits[-1].reached is Reached.MISSED)
    waiting = (*busy, *(str(one.path) for one in visits if one.reached is Reached.BUSY))
    progress("scrubbing the database", 0)
    done = True
    words = {*ids, *blanked.ids}
    try:
        # Of some, nothing but a tombstone may be left, and so nobody knows their ids.
        scrub(ledger, words if len(words) >= len(work.tags) else (), patient=patient)
    except UnavailableError:
        if patient:
            raise
        done = False
    if done:
        settle(ledger, work.tags, waiting=bool(waiting))
    return Erasure(None, False, 0, blanked, swept, tuple(visits), waiting, _inputs(visits))


def _inputs(visits: Sequence[Visit]) -> tuple[str, ...]:
    """Return the platform's own files that snapshots say they were made from."""
    found = set()
    for one in visits:
        with suppress(OSError):
            for name in ("content", "members"):
                if (path := circumstances(one.path, name)) is not None:
                    found.add(str(path))
    return tuple(sorted(found))
