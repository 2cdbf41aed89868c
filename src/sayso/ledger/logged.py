"""The log as others get it: proofs of entries, a folder to serve, and a check of all of it.

Promises: `export_log` gives a folder that any web server can serve as a C2SP tlog-tiles log,
with what the public entries say beside it; `check_log` derives everything again from the
ledger's entries and names the first difference. Publishes no entry that is about a member: a
choice is its commitment and nothing else.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from sayso.canonical import PUBLIC_KEY, commit, encode
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.ledger import schema
from sayso.ledger.commitments import COMMITMENT_BYTES, commitments
from sayso.ledger.integrate import (
    CHECKPOINT_NAME,
    Signed,
    last_signed,
    published,
    verify_begins,
)
from sayso.ledger.store import Ledger, temporary_name
from sayso.log import (
    Policy,
    Proof,
    TileReader,
    folder_fetch,
    leaf_hash,
    node_hash,
    parse_checkpoint_text,
    parse_note,
    verify_inclusion,
    verify_note,
)
from sayso.log.tiles import TILE_HEIGHT, TILE_WIDTH, Bundle, Tile, bundle_path, tile_path, tiles_of
from sayso.log.write import sync_disk
from sayso.tables import flush

Progress = Callable[[str, int], None]

PUBLIC_NAME = "public.jsonl"
# 32 MiB; compared entry by entry, so that a larger window saves nothing.
WINDOW_ENTRIES = 1 << 20


# ---- proofs -----------------------------------------------------------------------------


def reader_of(ledger: Ledger) -> tuple[TileReader, bytes]:
    """Return the published tree, and its checkpoint.

    Raises:
        InputError: Nothing was published yet.
        IntegrityError: What is published is damaged.
    """
    found = published(ledger)
    if found is None:
        raise InputError("the log has no checkpoint yet", hint="run 'sayso log integrate'")
    head, note = found
    return TileReader(folder_fetch(ledger.folder / "log"), head.size), note


def prove_entry(ledger: Ledger, index: int) -> Proof:
    """Return the proof that an entry is in the log, once it was verified.

    Raises:
        InputError: The published checkpoint does not cover it.
        IntegrityError: The tiles do not lead from the entry to the published root.
    """
    reader, note = reader_of(ledger)
    if not 0 <= index < reader.size:
        raise InputError(
            f"entry {index} is not in the published log of {reader.size}",
            hint="run 'sayso log integrate' first",
        )
    root = parse_checkpoint_text(parse_note(note).text).root
    hashes = reader.inclusion_proof(index)
    verify_inclusion(leaf_hash(reader.entry(index)), index, reader.size, hashes, root)
    return Proof(index, tuple(hashes), note)


# ---- export -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the size of the tree, files of hashes, and public entries."""

    size: int
    tiles: int
    bundles: int
    public_entries: int


def export_log(ledger: Ledger, policy: bytes, out: Path) -> Exported:
    """Write a folder that any web server can serve.

    Args:
        ledger: Whose log.
        policy: What `policy` will say.
        out: A folder that does not exist, or is empty.

    Raises:
        ConflictError: There is something in `out`.
        InputError: Nothing was published yet.
        IntegrityError: A tile is missing, or leads to another root.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConflictError(f"'{out}' exists", hint="choose another folder")
    reader, note = reader_of(ledger)
    head = parse_checkpoint_text(parse_note(note).text)
    if reader.root() != head.root:
        raise IntegrityError(
            "the tiles do not lead to the published root", hint="run 'sayso log fsck'"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    made = out.with_name(temporary_name(out.name))
    made.mkdir()
    try:
        tiles = list(tiles_of(reader.size))
        bundles = [Bundle(one.index, one.width) for one in tiles if one.level == 0]
        for path in (*map(tile_path, tiles), *(bundle_path(b.index, b.width) for b in bundles)):
            _copy(ledger.folder / "log", made, path)
        public = _write_public(ledger, reader.size, made / PUBLIC_NAME)
        (made / "policy").write_bytes(policy)
        (made / CHECKPOINT_NAME).write_bytes(note)
        if (ledger.folder / "log" / "handovers").is_dir():
            shutil.copytree(ledger.folder / "log" / "handovers", made / "handovers")
        sync_disk(made)
        if out.is_dir():
            out.rmdir()
        made.rename(out)
        flush(out.parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return Exported(reader.size, len(tiles), len(bundles), public)


def _copy(source: Path, target: Path, path: str) -> None:
    place = target / path
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source / path, place)
    except FileNotFoundError:
        full, dot, width = path.rpartition(".p/")  # the full tile replaced the partial one
        if not dot or not (source / full).is_file():
            raise IntegrityError(f"'{path}' is missing from the log", hint="run log fsck") from None
        raw, cut = (source / full).read_bytes(), int(width)
        entry = COMMITMENT_BYTES + (2 if path.startswith("tile/entries/") else 0)
        place.write_bytes(raw[: cut * entry])


def _write_public(ledger: Ledger, size: int, path: Path) -> int:
    """Write what the public entries say, a line each; return how many."""
    column = schema.entry.c
    query = (
        sa.select(column.index, column.kind, column.recorded_us, column.payload)
        .where(column.kind != "choice", column.index < size)
        .order_by(column.index)
    )
    with ledger.reading() as con:
        rows = con.execute(query).all()
    lines = [public_line(int(index), kind, int(us), text) for index, kind, us, text in rows]
    path.write_bytes(b"".join(lines))
    return len(lines)


def public_line(index: int, kind: str, recorded_us: int, payload: str) -> bytes:
    """Return a public entry as a line; the payload is text, as it was committed to."""
    told = {"index": index, "kind": kind, "recorded_us": recorded_us, "payload": payload}
    return json.dumps(told, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def public_commitment(kind: str, recorded_us: int, payload: str) -> bytes:
    """Return what a public entry commits to."""
    return commit(PUBLIC_KEY, encode(f"sayso/{kind}/v1", payload, recorded_us))


# ---- check ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was derived again.

    Attributes:
        signed: Entries under the last signed checkpoint.
        published: Entries under the published one, 0 where there is none.
        waiting: Entries of the ledger that are not in the log yet.
        tiles: Tiles read.
    """

    signed: int
    published: int
    waiting: int
    tiles: int


def check_log(ledger: Ledger, policy: Policy, progress: Progress | None = None) -> LogReport:
    """Derive the log again from the ledger's entries.

    Raises:
        IntegrityError: Something differs; the message names the first difference.
    """
    tell = progress or (lambda _stage, _rows: None)
    signed, public = last_signed(ledger), published(ledger)
    size = ledger.size()
    if signed is None:
        if public is not None:
            raise IntegrityError("a checkpoint is published and the database signed none")
        return LogReport(0, 0, size, 0)
    if signed.size > size:
        raise IntegrityError(f"the log has {signed.size} entries and the ledger {size}")
    verify_note(parse_note(signed.note), [party.key for party in policy.logs])
    reader = TileReader(folder_fetch(ledger.folder / "log"), signed.size)
    first = 0
    for window in commitments(ledger, 0, signed.size, window=WINDOW_ENTRIES):
        end = first + len(window) // COMMITMENT_BYTES
        tell("log", end)
        _compare(window, reader, first, end)
        first = end
    tiles: list[Tile] = list(tiles_of(signed.size))
    _check_upper(reader, tiles)
    if reader.root() != signed.root:
        raise IntegrityError(f"the tiles do not lead to the root signed at {signed.size} entries")
    if public is not None:
        _check_published(ledger.folder / "log", signed, public[1], policy)
    return LogReport(signed.size, public[0].size if public else 0, size - signed.size, len(tiles))


def _check_published(folder: Path, signed: Signed, note: bytes, policy: Policy) -> None:
    """Check that what is published is a beginning of what is signed, and can be read."""
    head = policy.check(note).checkpoint
    verify_begins(folder, head, signed)
    reader = TileReader(folder_fetch(folder), head.size)  # with partial tiles of its own
    for _ in reader.entries(head.size - head.size % TILE_WIDTH, head.size):
        pass
    if reader.root() != head.root:
        raise IntegrityError(f"the tiles do not lead to the root published at {head.size} entries")


def _compare(expected: bytes, reader: TileReader, first: int, end: int) -> None:
    """Compare stored entries, each of which its tile has hashed, with the ledger's."""
    for index, entry in enumerate(reader.entries(first, end), first):
        at = (index - first) * COMMITMENT_BYTES
        if entry != expected[at : at + COMMITMENT_BYTES]:
            raise IntegrityError(
                f"entry {index} of the log is not what the ledger commits to",
                hint="restore log/ from an export",
            )


def _check_upper(reader: TileReader, tiles: list[Tile]) -> None:
    """Derive every hash above the leaves again from the tile below it."""
    for tile in tiles:
        for place in range(tile.width if tile.level else 0):
            index = tile.index * TILE_WIDTH + place
            level = TILE_HEIGHT * tile.level
            below = [reader.node(level - 1, 2 * index + side) for side in (0, 1)]
            if reader.node(level, index) != node_hash(*below):
                raise IntegrityError(f"'{tile_path(tile)}' does not follow from the tiles below")
