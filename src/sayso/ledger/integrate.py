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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sayso.errors import (
    ConflictError,
    InputError,
    IntegrityError,
    SaysoError,
    UnavailableError,
)
from sayso.ledger import schema
from sayso.ledger.commitments import commitments
from sayso.ledger.store import Ledger
from sayso.log import (
    Checkpoint,
    Note,
    Policy,
    Signature,
    SignerKey,
    TileReader,
    VerifierKey,
    folder_fetch,
    parse_checkpoint_text,
    parse_note,
    sign,
    verify_consistency,
    verify_note,
)
from sayso.log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, bundle_path, tile_path
from sayso.log.witnessing import obtain_cosignatures
from sayso.log.write import extend, storage
from sayso.tables import flush

Progress = Callable[[str, int], None]

CHECKPOINT_NAME = "checkpoint"
WITNESS_SECONDS = 5.0
RESTORE = "restore it from backup, never from an older one"
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
    ledger: Ledger,
    signer: SignerKey,
    policy: Policy,
    *,
    retiring: SignerKey | None = None,
    progress: Progress | None = None,
) -> Integrated:
    """Bring every entry of the ledger into its log, and publish a checkpoint.

    Args:
        ledger: Whose entries; the log stands in its folder `log/`.
        signer: The log's key; its name is the log's origin.
        policy: Which quorum a checkpoint needs before it is published.
        retiring: The log's key before, which signs as well while it is handed over.
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
        signers = (signer, retiring) if retiring is not None else (signer,)
        first = last = _need_no_other(ledger, old, [one.verifier() for one in signers], policy)
        size = ledger.size()
        ledger.flush()  # what was seen may not be on disk yet, and is signed for good
        if old is not None and size < old.size:
            raise IntegrityError(
                f"the log has {old.size} entries and the ledger {size}",
                hint="was the ledger restored from a backup? a log never goes back",
            )
        now = old
        if old is None or size > old.size:
            if size - (old.size if old else 0) >= TOLD_ENTRIES:
                tell("integrating", size - (old.size if old else 0))
            now = _extended(ledger, folder, old, size, signers)
        assert now is not None  # noqa: S101  either branch gave one
        if any(party.url for party in policy.witnesses.values()):
            tell("asking the witnesses", 0)
        try:
            note, witnesses = _publish(ledger, folder, now, policy, first)
            last = now.size
        finally:
            _sweep(folder, {first, old.size if old else 0}, last, size)
        return Integrated(now.size, now.root, note, size - (old.size if old else 0), witnesses)


def last_signed(ledger: Ledger) -> Signed | None:
    """Return the last checkpoint that was signed, published or not.

    Raises:
        IntegrityError: The row in the database is damaged.
    """
    with ledger.reading() as con:
        row = con.execute(sa.select(schema.checkpoint)).mappings().first()
    if row is None:
        return None
    found = Signed(int(row["size"]), bytes(row["root"]), bytes(row["note"]))
    head = _head_of(found.note, "the checkpoint in the database")
    if (head.size, head.root) != (found.size, found.root):
        raise IntegrityError("the checkpoint in the database is damaged", hint=RESTORE)
    return found


def published(ledger: Ledger) -> tuple[Checkpoint, bytes] | None:
    """Return the published checkpoint and its note, None before the first.

    Raises:
        IntegrityError: The file is damaged.
    """
    note = folder_fetch(ledger.folder / "log")(CHECKPOINT_NAME)
    return None if note is None else (_head_of(note, "the published checkpoint"), note)


def published_note(ledger: Ledger) -> bytes | None:
    """Return the published checkpoint's note, None before the first. Raises as `published`."""
    found = published(ledger)
    return None if found is None else found[1]


def is_behind(ledger: Ledger) -> bool:
    """Whether an integration would bring something in, or publish something."""
    signed, public = last_signed(ledger), published(ledger)
    if signed is None or public is None or signed.size < ledger.size():
        return True
    return public[0].size < signed.size


def _head_of(note: bytes, what: str) -> Checkpoint:
    try:
        return parse_checkpoint_text(parse_note(note).text)
    except InputError as error:
        raise IntegrityError(f"{what} is damaged: {error.message}", hint=RESTORE) from error


# ---- one at a time ----------------------------------------------------------------------


@contextmanager
def _alone(ledger: Ledger) -> Iterator[None]:
    """Hold the integrators' lock; the kernel, or PostgreSQL, releases it for the dead."""
    with storage():
        descriptor = os.open(ledger.folder / "log" / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Another machine may share the database and not the folder's lock.
        with ledger.alone(schema.INTEGRATE_LOCK):
            yield
    finally:
        os.close(descriptor)


def _need_no_other(
    ledger: Ledger, old: Signed | None, keys: Sequence[VerifierKey], policy: Policy
) -> int:
    """Hold what is published against what the database signed; return its size, 0 for none.

    It is signed by one of the log's keys: those that sign now, or one before that is still in
    the policy.
    """
    public = published(ledger)
    if public is None:
        return 0
    head, note = public
    before = {party.key for party in policy.logs if party.key.name == keys[0].name}
    verify_note(parse_note(note), {*keys, *before})
    verify_begins(ledger.folder / "log", head, old)
    return head.size


def verify_begins(folder: Path, head: Checkpoint, old: Signed | None) -> None:
    """Verify that what is published is a beginning of what the database signed.

    Raises:
        IntegrityError: It is not.
    """
    if old is None or head.size > old.size:
        raise IntegrityError(
            f"the published checkpoint has {head.size} entries and the database signed "
            f"{old.size if old else 0}",
            hint="was the database restored from a backup? a log never goes back",
        )
    proof = TileReader(folder_fetch(folder), old.size).consistency_proof(head.size)
    verify_consistency(head.size, head.root, old.size, old.root, proof)


# ---- growing ----------------------------------------------------------------------------


def _extended(
    ledger: Ledger, folder: Path, old: Signed | None, size: int, signers: Sequence[SignerKey]
) -> Signed:
    before = TileReader(folder_fetch(folder), old.size if old else 0)
    if old is not None and before.root() != old.root:
        raise IntegrityError(
            f"the tiles do not lead to the root that was signed at {old.size} entries",
            hint="restore log/ from an export, or run 'sayso log fsck'",
        )
    old_root = before.root()
    entries = commitments(ledger, before.size, size)
    extend(folder, before.size, entries)
    after = TileReader(folder_fetch(folder), size)
    root = after.root()
    if TileReader(folder_fetch(folder), size).root() != root:  # read and hashed once more
        raise IntegrityError("the root is another at the second look", hint="check the memory")
    verify_consistency(before.size, old_root, size, root, after.consistency_proof(before.size))
    text = Checkpoint(signers[0].name, size, root).to_text()
    new = Signed(size, root, Note(text, tuple(sign(text, one) for one in signers)).to_bytes())
    _swap(ledger, old, new)
    return new


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
    ledger: Ledger, folder: Path, now: Signed, policy: Policy, before: int
) -> tuple[bytes, dict[str, int]]:
    """Gather cosignatures until the policy is satisfied, and publish."""
    note, refusals = _cosigned(folder, now, policy, before)
    if note != now.note:
        _swap(ledger, now, Signed(now.size, now.root, note))
    try:
        verified = policy.check(note)
    except IntegrityError as error:
        if not refusals:
            raise
        raise UnavailableError(
            f"{error.message}: {refusals[0].message}",
            hint="the last published checkpoint stands; integrate again once they answer",
        ) from error
    with storage():
        if folder_fetch(folder)(CHECKPOINT_NAME) != note:
            made = folder / f".{CHECKPOINT_NAME}.tmp"  # nobody else writes it: see `_alone`
            made.write_bytes(note)
            flush(made)
            made.replace(folder / CHECKPOINT_NAME)
            flush(folder)
    return note, verified.witnesses


def _cosigned(
    folder: Path, now: Signed, policy: Policy, before: int
) -> tuple[bytes, list[SaysoError]]:
    """Return the note with the cosignatures that could be had, and why others could not.

    Raises:
        IntegrityError: A witness has seen another history, whatever the others say.
    """
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
                old_size=before, timeout_seconds=WITNESS_SECONDS,
            )  # fmt: skip
        except SaysoError as error:
            _alarm(error, now.size)
            refusals.append(error)
            continue
        signatures += [one.signature for one in found]
    return Note(note.text, tuple(signatures)).to_bytes(), refusals


def _alarm(error: SaysoError, size: int) -> None:
    """Raise where a witness has seen another history; a witness that is broken is none."""
    if isinstance(error, IntegrityError) and "status" in error.data:
        raise error
    seen = error.data.get("size") if isinstance(error, ConflictError) else None
    if isinstance(seen, int) and seen > size:
        raise IntegrityError(
            f"{error.message}, and {size} were ever signed here",
            hint="was the database restored from a backup? a log never goes back",
        ) from error


def _sweep(folder: Path, olds: set[int], last: int, size: int) -> None:
    """Delete the partial tiles that full ones replaced. Source: tlog-tiles, "Partial Tiles".

    Args:
        folder: The log's.
        olds: Sizes that were signed or published before.
        last: The size that is published: its partial tiles stay, as its readers ask for them.
        size: The size of the tree.
    """
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        kept = (last >> (TILE_HEIGHT * level)) // TILE_WIDTH
        for index in {(old >> (TILE_HEIGHT * level)) // TILE_WIDTH for old in olds}:
            if index >= count // TILE_WIDTH or (index == kept and last < size):
                continue
            paths = [tile_path(Tile(level, index, TILE_WIDTH))]
            paths += [bundle_path(index, TILE_WIDTH)] if level == 0 else []
            for path in paths:
                shutil.rmtree(folder / f"{path}.p", ignore_errors=True)
        level += 1
