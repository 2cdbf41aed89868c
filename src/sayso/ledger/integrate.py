"""From the ledger to its log: tiles, a signed checkpoint, cosignatures.

Promises: one integrator at a time, wherever it runs; the checkpoint in the database is
replaced only by one that begins with it; what is signed has been hashed twice and leads from
the last signed root; a checkpoint is published once its policy's quorum has cosigned it. A
crash at any point leaves the last published checkpoint true, and the next run goes on.

Life of an integration: take the lock; derive the last signed root from the tiles again; write
the new entries' tiles and have the disk hold them; derive the new root from what is stored and
its consistency with the old one; sign; compare and swap in the database; ask the witnesses;
publish `log/checkpoint`. Never signs two roots of one size: what was signed first is what the
database holds, and a size that it holds is not signed again.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sayso.errors import ConflictError, IntegrityError, SaysoError, UnavailableError
from sayso.ledger import schema
from sayso.ledger.commitments import commitments
from sayso.ledger.store import Ledger, temporary_name
from sayso.log import (
    Checkpoint,
    Note,
    Policy,
    Signature,
    SignerKey,
    TileReader,
    folder_fetch,
    parse_checkpoint_text,
    parse_note,
    sign,
    verify_consistency,
)
from sayso.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, bundle_path, tile_path
from sayso.log.witnessing import obtain_cosignatures
from sayso.log.write import extend
from sayso.tables import flush

Progress = Callable[[str, int], None]

CHECKPOINT_NAME = "checkpoint"
WITNESS_SECONDS = 5.0
# Fewer are in the log before anybody could read that they are coming.
TOLD_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Integrated:
    """The log after an integration.

    Attributes:
        size: Entries in the signed tree.
        root: Its root.
        note: The signed checkpoint, with the cosignatures that came.
        appended: Entries that this run brought in.
        witnesses: Who cosigned, when in Unix seconds.
    """

    size: int
    root: bytes
    note: bytes
    appended: int
    witnesses: dict[str, int]


@dataclass(frozen=True, slots=True)
class Signed:
    """The checkpoint that the database holds."""

    size: int
    root: bytes
    note: bytes


def integrate(
    ledger: Ledger, signer: SignerKey, policy: Policy, *, progress: Progress | None = None
) -> Integrated:
    """Bring every entry of the ledger into its log, and publish a checkpoint.

    Args:
        ledger: Whose entries; the log stands in its folder `log/`.
        signer: The log's key; its name is the log's origin.
        policy: Which quorum a checkpoint needs before it is published.
        progress: Told of the stages.

    Raises:
        IntegrityError: The tiles, the database or a witness hold another history. Nothing new
            is signed, or nothing new published.
        UnavailableError: Too few witnesses answered; the checkpoint waits, signed.
        ConflictError: Another integrator was faster.
    """
    tell = progress or (lambda _stage, _rows: None)
    folder = ledger.folder / "log"
    with _alone(ledger):
        old = last_signed(ledger)
        _need_no_other(folder, old)
        size = ledger.size()
        if old is not None and size < old.size:
            raise IntegrityError(
                f"the log has {old.size} entries and the ledger {size}",
                hint="was the ledger restored from a backup? a log never goes back",
            )
        now = old
        if old is None or size > old.size:
            if size - (old.size if old else 0) >= TOLD_ENTRIES:
                tell("integrating", size - (old.size if old else 0))
            now = _extended(ledger, folder, old, size, signer)
        assert now is not None  # noqa: S101  either branch gave one
        if any(party.url for party in policy.witnesses.values()):
            tell("asking the witnesses", 0)
        note, witnesses = _publish(ledger, folder, now, policy)
        _sweep(folder, old.size if old else 0, size)
        return Integrated(now.size, now.root, note, size - (old.size if old else 0), witnesses)


def last_signed(ledger: Ledger) -> Signed | None:
    """Return the last checkpoint that was signed, published or not."""
    with ledger.reading() as con:
        row = con.execute(sa.select(schema.checkpoint)).mappings().first()
    return Signed(int(row["size"]), bytes(row["root"]), bytes(row["note"])) if row else None


def is_behind(ledger: Ledger) -> bool:
    """Whether an integration would bring something in, or publish something."""
    signed, note = last_signed(ledger), published_note(ledger)
    if signed is None or note is None or signed.size < ledger.size():
        return True
    return parse_checkpoint_text(parse_note(note).text).size < signed.size


def published_note(ledger: Ledger) -> bytes | None:
    """Return the published checkpoint, None before the first."""
    return folder_fetch(ledger.folder / "log")(CHECKPOINT_NAME)


# ---- one at a time ----------------------------------------------------------------------


@contextmanager
def _alone(ledger: Ledger) -> Iterator[None]:
    """Hold the integrators' lock; the kernel, or PostgreSQL, releases it for the dead."""
    descriptor = os.open(ledger.folder / "log" / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if ledger.engine.dialect.name != "postgresql":
            yield
            return
        # Another machine may share the database and not the folder's lock.
        with ledger.engine.connect() as plain:
            con = plain.execution_options(isolation_level="AUTOCOMMIT")
            con.execute(sa.select(sa.func.pg_advisory_lock(schema.INTEGRATE_LOCK)))
            try:
                yield
            finally:
                con.execute(sa.select(sa.func.pg_advisory_unlock(schema.INTEGRATE_LOCK)))
    finally:
        os.close(descriptor)


def _need_no_other(folder: Path, old: Signed | None) -> None:
    """Compare what is published with what the database signed."""
    published = folder_fetch(folder)(CHECKPOINT_NAME)
    if published is None:
        return
    head = parse_checkpoint_text(parse_note(published).text)
    if old is None or head.size > old.size or (head.size == old.size and head.root != old.root):
        raise IntegrityError(
            f"the published checkpoint has {head.size} entries and the database signed "
            f"{old.size if old else 0}",
            hint="was the database restored from a backup? a log never goes back",
        )


# ---- growing ----------------------------------------------------------------------------


def _extended(
    ledger: Ledger, folder: Path, old: Signed | None, size: int, signer: SignerKey
) -> Signed:
    before = TileReader(folder_fetch(folder), old.size if old else 0)
    if old is not None and before.root() != old.root:
        raise IntegrityError(
            f"the tiles do not lead to the root that was signed at {old.size} entries",
            hint="restore log/ from an export, or run sayso log fsck",
        )
    old_root = before.root()
    extend(folder, before.size, commitments(ledger, before.size, size), expected=size - before.size)
    after = TileReader(folder_fetch(folder), size)
    root = after.root()
    verify_consistency(before.size, old_root, size, root, after.consistency_proof(before.size))
    text = Checkpoint(signer.name, size, root).to_text()
    note = Note(text, (sign(text, signer),)).to_bytes()
    _swap(ledger, old, Signed(size, root, note))
    return Signed(size, root, note)


def _swap(ledger: Ledger, old: Signed | None, new: Signed) -> None:
    table = schema.checkpoint
    values = {"size": new.size, "root": new.root, "note": new.note}
    with ledger.writing() as con:
        if old is None:
            if con.execute(sa.select(table.c.size)).first() is not None:
                raise ConflictError("another integrator signed first", hint="try again")
            con.execute(sa.insert(table).values(one=1, **values))
            return
        changed = con.execute(
            sa.update(table)
            .where(table.c.size == old.size, table.c.root == old.root)
            .values(values)
        )
        if changed.rowcount != 1:
            raise ConflictError("another integrator signed first", hint="try again")


# ---- publishing -------------------------------------------------------------------------


def _publish(
    ledger: Ledger, folder: Path, now: Signed, policy: Policy
) -> tuple[bytes, dict[str, int]]:
    """Gather cosignatures until the policy is satisfied, and publish."""
    note, refusals = _cosigned(folder, now, policy)
    if note != now.note:
        _swap(ledger, now, Signed(now.size, now.root, note))
    try:
        verified = policy.check(note)
    except IntegrityError as error:
        if not refusals:
            raise
        kind = next((type(one) for one in refusals if isinstance(one, IntegrityError)), None)
        raise (kind or UnavailableError)(
            f"{error.message}: {refusals[0].message}",
            hint="the last published checkpoint stands; integrate again once they answer",
        ) from error
    if folder_fetch(folder)(CHECKPOINT_NAME) != note:
        made = folder / temporary_name(CHECKPOINT_NAME)
        made.write_bytes(note)
        flush(made)
        made.replace(folder / CHECKPOINT_NAME)
        flush(folder)
    return note, verified.witnesses


def _cosigned(folder: Path, now: Signed, policy: Policy) -> tuple[bytes, list[SaysoError]]:
    """Return the note with the cosignatures that could be had, and why others could not."""
    reader = TileReader(folder_fetch(folder), now.size)
    note = parse_note(now.note)
    has = {(one.name, one.key_id) for one in note.signatures}
    signatures: list[Signature] = list(note.signatures)
    refusals: list[SaysoError] = []
    for party in policy.witnesses.values():
        if party.url is None or (party.key.name, party.key.key_id) in has:
            continue
        try:
            found = obtain_cosignatures(
                party.url, [party.key], now.note, reader.consistency_proof,
                old_size=_published_size(folder), timeout_seconds=WITNESS_SECONDS,
            )  # fmt: skip
        except SaysoError as error:
            refusals.append(error)
            continue
        signatures += [one.signature for one in found]
    return Note(note.text, tuple(signatures)).to_bytes(), refusals


def _published_size(folder: Path) -> int:
    published = folder_fetch(folder)(CHECKPOINT_NAME)
    return parse_checkpoint_text(parse_note(published).text).size if published else 0


def _sweep(folder: Path, old_size: int, size: int) -> None:
    """Delete the partial tiles that a full one replaced. Source: tlog-tiles, "Partial Tiles"."""
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        index = (old_size >> (TILE_HEIGHT * level)) // TILE_WIDTH  # was partial, if any was
        if index < count // TILE_WIDTH:
            paths = [tile_path(Tile(level, index, TILE_WIDTH))]
            paths += [bundle_path(index, TILE_WIDTH)] if level == 0 else []
            for path in paths:
                shutil.rmtree(folder / f"{path}.p", ignore_errors=True)
        level += 1
