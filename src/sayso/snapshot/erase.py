"""Erasure in snapshots: an erased member's records go, tags and digests stay.

Promises: the manifest and every proof from its root are what they were; a file that shares
its bytes with another snapshot is replaced, never written into; what was erased is never
read again, also where an erasure was killed half-way. Rows are found by the keyed hash of
their member's id, so that nobody needs the id.

Life of an erasure in one snapshot: its folder is held alone; for each erasure, oldest
first, the files that hold rows of its member are written anew beside the notes; the note is
written; the files take their places.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.attest.keys import SigningKey
from sayso.attest.trust import load_attest_key
from sayso.errors import InputError, IntegrityError
from sayso.ledger.store import Ledger
from sayso.snapshot.folder import clear
from sayso.snapshot.known import Known, forget
from sayso.snapshot.manifest import Bucket, load_manifest
from sayso.snapshot.notes import (
    EXPIRED_NAME,
    FOLDER,
    bring_handovers,
    read_notes,
    standing_digests,
    visiting,
    write_note,
)
from sayso.snapshot.seal import BUCKET_SCHEMA, write_bucket
from sayso.tables import connect, flush, quoted, sha256_of

# What an erased record keeps.
KEPT = ("tag", "digest")
# A build that has its entry is waited for so long, and asked so often.
NAMING_SECONDS = 10.0
PAUSE_SECONDS = 0.02


class Reached(StrEnum):
    """What became of a folder."""

    CLEAN = "clean"  # nothing of the erased was there
    ERASED = "erased"
    CLEARED = "cleared"  # a killed build's leftovers, deleted
    BUSY = "busy"  # a build is running and looks for the erased itself at its end
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit to one folder.

    Attributes:
        files: Files written anew, as the manifest names them.
        rows: Records erased.
        why: Why it could not be reached.
    """

    path: Path
    reached: Reached
    files: tuple[str, ...] = ()
    rows: int = 0
    why: str = ""


# ---- one snapshot -----------------------------------------------------------------------


def erase_in(
    ledger: Ledger, snapshot: Path, buckets: Collection[int] | None
) -> tuple[tuple[str, ...], int]:
    """Erase in one snapshot every member who has a tombstone.

    Args:
        ledger: Whose tombstones count.
        snapshot: Held by the caller, so that nobody reads or replaces files.
        buckets: Where to look; None: everywhere.

    Returns:
        Files written anew, and records erased.

    Raises:
        InputError: There is no finished snapshot.
        IntegrityError: A file is not one that the manifest or a note lists.
    """
    manifest = load_manifest(snapshot)
    chosen = [
        bucket
        for number, bucket in manifest.buckets.items()
        if buckets is None or int(number) in buckets
    ]
    if (snapshot / EXPIRED_NAME).is_file():  # retention was killed, or deleted them all
        chosen = [bucket for bucket in chosen if (snapshot / bucket.file).is_file()]
    if not chosen:
        return (), 0
    for bucket in chosen:
        if not (snapshot / bucket.file).is_file():
            raise IntegrityError(f"'{bucket.file}' is missing", hint="restore it from backup")
    with connect() as duck, ledger.reading() as con:
        paths = ", ".join(quoted(str(snapshot / bucket.file)) for bucket in chosen)
        ids = f"(SELECT DISTINCT member_id FROM read_parquet([{paths}]))"
        found = ledger.keys.erasures_among(con, duck, [ids])
        if found is None or not found.num_rows:
            return (), 0
        duck.register("found", found)
        homes = _homes(duck, snapshot, chosen)
    names: dict[str, None] = {}
    rows = 0
    key = load_attest_key(ledger.folder)
    bring_handovers(ledger.folder, snapshot)
    for entry in sorted(set(found["entry"].to_pylist())):
        own = found.filter(pc.equal(found["entry"], entry))["member_id"]
        mine = [bucket for bucket in chosen if (entry, bucket.file) in homes]
        rows += _erase_one(snapshot, int(entry), own.combine_chunks(), mine, key)
        names |= dict.fromkeys(bucket.file for bucket in mine)
    return tuple(sorted(names)), rows


def _homes(
    duck: duckdb.DuckDBPyConnection, snapshot: Path, chosen: Collection[Bucket]
) -> set[tuple[int, str]]:
    """Return in which files the members of `found` have rows, as (entry, file)."""
    homes: set[tuple[int, str]] = set()
    for bucket in chosen:
        rows = duck.sql(
            "SELECT DISTINCT entry FROM found JOIN "
            f"read_parquet({quoted(str(snapshot / bucket.file))}) USING (member_id)"
        ).fetchall()
        homes |= {(int(entry), bucket.file) for (entry,) in rows}
    return homes


def _erase_one(
    snapshot: Path, entry: int, ids: pa.Array, chosen: Collection[Bucket], key: SigningKey
) -> int:
    """Erase the members of one erasure from the files that hold them; return the rows."""
    notes = snapshot / FOLDER
    if not notes.is_dir():
        notes.mkdir(parents=True)
        flush(notes.parent)
    steps = read_notes(snapshot)
    written, rows = {}, 0
    try:
        for bucket in chosen:
            path = snapshot / bucket.file
            digest = sha256_of((path,))
            ends, before = standing_digests(bucket.file, bucket.sha256, steps)
            if digest not in ends | before:
                raise IntegrityError(f"'{bucket.file}' is not the file that the manifest lists")
            made = notes / f".{path.name}.tmp"
            table = pq.read_table(path)
            mask = pc.is_in(table["member_id"], value_set=ids)
            write_bucket(_blanked(table, mask), made)
            flush(made)
            written[bucket.file] = (digest, sha256_of((made,)))
            rows += int(pc.sum(mask).as_py() or 0)
        write_note(snapshot, entry, written, key)
        for name in written:
            path = snapshot / name
            (notes / f".{path.name}.tmp").replace(path)
        flush(snapshot / "records")
    finally:
        for left in notes.glob(".*.tmp"):
            left.unlink(missing_ok=True)
    return rows


def _blanked(table: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    arrays = [
        table[field.name]
        if field.name in KEPT
        else pc.if_else(mask, pa.scalar(None, field.type), table[field.name])
        for field in BUCKET_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=BUCKET_SCHEMA)


# ---- every snapshot ---------------------------------------------------------------------


def visit(ledger: Ledger, known: Known, buckets: Collection[int] | None) -> Visit:
    """Erase in a folder that was noted, and delete what a killed build left beside it."""
    try:
        cleared = _clear_leftovers(known)
        if cleared is Reached.BUSY:
            return Visit(known.path, Reached.BUSY)
        if known.manifest is None:  # it was never finished, and nobody is at it
            forget(ledger, known)
            return Visit(known.path, cleared)
        if not known.path.is_dir():
            return Visit(known.path, Reached.MISSED, why="it was moved or deleted")
        with visiting(known.path, alone=True):
            if load_manifest(known.path).digest != known.manifest:
                return Visit(known.path, Reached.MISSED, why="another snapshot stands there")
            chosen = None if known.is_behind else buckets
            files, rows = erase_in(ledger, known.path, chosen)
    except InputError:
        return Visit(known.path, Reached.MISSED, why="no finished snapshot stands there")
    except IntegrityError as error:
        return Visit(known.path, Reached.MISSED, why=error.message)
    except (duckdb.Error, pa.ArrowException):
        return Visit(known.path, Reached.MISSED, why="its files cannot be read")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return Visit(known.path, Reached.MISSED, why=f"the system refused: {reason}")
    return Visit(known.path, Reached.ERASED if files else cleared, files, rows)


def _clear_leftovers(known: Known) -> Reached:
    """Delete what a killed build left; a build that has its entry is waited for."""
    folder = known.path.with_name(known.path.name + ".partial")
    # A build that has its entry has only the folder's name left to give.
    wait_seconds = 0 if known.manifest is None else NAMING_SECONDS
    with _held(folder, wait_seconds=wait_seconds) as is_held:
        if is_held is None:
            return Reached.CLEAN
        if not is_held:
            return Reached.BUSY
        if folder.is_dir():  # else it got its name while we waited
            clear(folder)
            shutil.rmtree(folder)
            return Reached.CLEARED
    return Reached.CLEAN


@contextmanager
def _held(folder: Path, *, wait_seconds: float) -> Iterator[bool | None]:
    """Hold a folder as a build does; yield whether it is held, None where there is none."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    until = time.monotonic() + wait_seconds
    try:
        while not (held := _try_lock(descriptor)) and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)
        yield held
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_being_made(known: Known) -> bool:
    """Whether a build is at work for a folder that was noted."""
    with _held(known.path.with_name(known.path.name + ".partial"), wait_seconds=0) as is_held:
        return is_held is False
