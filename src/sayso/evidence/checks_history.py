"""Checks that there is one history: tiles, growth, dates, and what the verifier knew before.

Promises: of several checkpoints no two of one size differ; where tiles or a proof show it,
each begins the next, and what is not shown is said. Takes no clock: dates are compared with
what witnesses stated.
"""

from sayso.errors import IntegrityError
from sayso.evidence.case import Case
from sayso.evidence.checks import NotMadeError, count, instant_of
from sayso.evidence.checks_log import read_consistency, seen_by
from sayso.evidence.layout import CHECKPOINT, CONSISTENCY, PROOF, TILES, matching
from sayso.log.checkpoint import Checkpoint
from sayso.log.merkle import HASH_BYTES, tree_root
from sayso.log.policy import VerifiedCheckpoint
from sayso.log.proofs import root_at, verify_consistency
from sayso.log.tiles import TILE_HEIGHT, TILE_WIDTH, Bundle, Tile, TileReader, parse_path

# Clocks differ, and a build states when it began; a day covers both.
SLACK_US = 86_400_000_000


def _reader(case: Case) -> TileReader:
    files, head = case.files, case.heads[CHECKPOINT].checkpoint

    def fetch(path: str) -> bytes | None:
        name = f"log/{path}"
        return files.read(name) if name in files.names else None

    return TileReader(fetch, head.size)


# ---- tiles ------------------------------------------------------------------------------


def check_tiles(case: Case) -> str:
    """Check that every tile of a pack leads to the published checkpoint."""
    head = case.heads[CHECKPOINT].checkpoint
    reader = _reader(case)
    if reader.root() != head.root:
        raise IntegrityError("the tiles do not lead to the root of the published checkpoint")
    found = matching(case.files.names, TILES)
    for one in found:
        named = parse_path(one["path"])
        level = named.level if isinstance(named, Tile) else 0
        width = min(TILE_WIDTH, (head.size >> (TILE_HEIGHT * level)) - named.index * TILE_WIDTH)
        if named.width != width:
            raise IntegrityError(f"'{one[0]}' is no tile of this tree", name=one[0])
        if isinstance(named, Bundle):
            first = named.index * TILE_WIDTH
            entries = reader.entries(first, first + width)
            case.logged |= dict(enumerate(entries, first))
        elif width == TILE_WIDTH:
            _check_full(reader, named, case.files.read(one[0]))
    return (
        f"{count(len(found), 'tile')} of the log: each leads to the root of the published "
        f"checkpoint. {count(len(case.logged), 'entry', 'entries')} of the log can be read here."
    )


def _check_full(reader: TileReader, tile: Tile, data: bytes) -> None:
    """Check a full tile against the one above it; all others lie on the way to the root."""
    hashes = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
    above = reader.node(TILE_HEIGHT * (tile.level + 1), tile.index)
    if len(data) != TILE_WIDTH * HASH_BYTES or tree_root(hashes) != above:
        raise IntegrityError(f"tile {tile.index} of level {tile.level} is not the log's")


# ---- one history ------------------------------------------------------------------------


def check_history(case: Case) -> str:
    """Check that no two checkpoints tell of different histories."""
    heads = [one.checkpoint for one in case.heads.values()]
    origins = sorted({one.origin for one in heads})
    if len(origins) > 1:
        raise IntegrityError(f"there are entries of two logs, '{origins[0]}' and '{origins[1]}'")
    roots: dict[int, bytes] = {}
    if case.manifest is not None:
        pinned = case.manifest["log"]
        roots[pinned["size"]] = bytes.fromhex(pinned["root"])
    for one in heads:
        if roots.setdefault(one.size, one.root) != one.root:
            raise IntegrityError(
                f"there are two histories of the log: two roots of {one.size} entries are signed",
                size=one.size,
            )
    unshown = len(roots) - len(_shown(case, roots))
    told = "each is the beginning of the next."
    if unshown:
        told = (
            f"for {unshown:,} of them nothing here shows that one grew out of the other. Whoever "
            "witnessed them has checked that."
        )
    return f"Of {count(len(roots), 'state')} of the log, no two of one size differ; {told}"


def _shown(case: Case, roots: dict[int, bytes]) -> set[int]:
    """Return the sizes that are shown to begin the largest one."""
    shown = {max(roots)}
    if PROOF in case.heads and case.heads[PROOF].checkpoint.size in shown and case.manifest:
        shown.add(case.manifest["log"]["size"])  # `check_consistency` did
    if CHECKPOINT not in case.heads or not matching(case.files.names, TILES):
        return shown
    reader = _reader(case)
    for size, root in roots.items():
        found = _root(reader, size)
        if found is not None and found != root:
            raise IntegrityError(f"the log of {size} entries is another than its tiles hold")
        if found is not None:
            shown.add(size)
    return shown


def _root(reader: TileReader, size: int) -> bytes | None:
    """Return the root of the first entries; None where a tile of them is not here."""
    if size > reader.size:
        return None
    try:
        return root_at(size, reader.node)
    except IntegrityError:  # missing: those that are here were checked
        return None


# ---- dates ------------------------------------------------------------------------------


def check_dates(case: Case) -> str:
    """Check what entries say of their time against what witnesses say of theirs."""
    times = [
        (head.checkpoint.size, seconds * 1_000_000)
        for head in case.heads.values()
        for seconds in head.witnesses.values()
    ]
    if not times:
        raise NotMadeError(
            "when entries were recorded is the platform's word: no witness states a time."
        )
    for index, recorded_us in sorted(case.recorded.items()):
        seen = [us for size, us in times if index < size]
        if seen and recorded_us > min(seen) + SLACK_US:
            raise IntegrityError(
                f"entry {index} says that it was recorded at {instant_of(recorded_us)}, and was "
                f"witnessed at {instant_of(min(seen))} already",
                index=index,
            )
    return (
        f"{count(len(case.recorded), 'entry', 'entries')} with a time: none claims a later one "
        "than that at which witnesses saw it."
    )


# ---- what the verifier knew -------------------------------------------------------------


def check_known(case: Case) -> str:
    """Check that the log is the one whose checkpoint the verifier has seen before, or grew."""
    assert case.given.known_checkpoint is not None  # noqa: S101  else this is not asked
    known = case.need_policy.check(case.given.known_checkpoint)
    if not case.heads:
        raise IntegrityError("there is no checkpoint to compare with the one that you know")
    newest = max((one.checkpoint for one in case.heads.values()), key=lambda head: head.size)
    old = known.checkpoint
    if old.origin != newest.origin:
        raise IntegrityError(f"you know the log '{old.origin}', and this is '{newest.origin}'")
    if newest.size < old.size:
        raise IntegrityError(
            f"the checkpoint of {newest.size} entries is older than the one that you know, of "
            f"{old.size}",
            hint="ask for evidence as of today",
        )
    _verify_growth(case, old, newest)
    _check_not_back_dated(case, known)
    return (
        f"The checkpoint that you know, {count(old.size, 'entry', 'entries')}, {seen_by(known)}, "
        f"is the beginning of the newest one here, of {newest.size:,}: it is one history."
    )


def _verify_growth(case: Case, old: Checkpoint, new: Checkpoint) -> None:
    """Verify that one checkpoint grew out of another, by whatever shows it.

    Raises:
        IntegrityError: It did not, or nothing shows it.
    """
    try:
        if old.size in {0, new.size}:
            verify_consistency(old.size, old.root, new.size, new.root, [])
            return
        for raw, name in _proofs(case):
            value = read_consistency(raw, name)
            if (value["old_size"], value["new_size"]) == (old.size, new.size):
                hashes = [bytes.fromhex(one) for one in value["hashes"]]
                verify_consistency(old.size, old.root, new.size, new.root, hashes)
                return
    except IntegrityError as error:
        raise IntegrityError(
            f"this is a second history of the log: {error.message}",
            hint="keep both checkpoints; together they are the proof",
        ) from error
    if CHECKPOINT in case.heads and matching(case.files.names, TILES):
        found = _root(_reader(case), old.size)
        if found is not None and found != old.root:
            raise IntegrityError(
                f"this is a second history of the log: its first {old.size} entries are others "
                "than you know",
                hint="keep both checkpoints; together they are the proof",
            )
        if found is not None and case.heads[CHECKPOINT].checkpoint == new:
            return
    raise IntegrityError(
        f"nothing here shows that the log of {new.size} entries grew out of the {old.size} that "
        "you know",
        hint="ask for the proof and give it with --consistency",
    )


def _proofs(case: Case) -> list[tuple[bytes, str]]:
    found = []
    if case.given.consistency is not None:
        found.append((case.given.consistency, "the given proof"))
    if CONSISTENCY in case.files.names:
        found.append((case.files.read(CONSISTENCY), CONSISTENCY))
    return found


def _check_not_back_dated(case: Case, known: VerifiedCheckpoint) -> None:
    """Check that no entry claims to be much older than a log that it was not in."""
    if not known.witnesses:
        return
    seen_us = max(known.witnesses.values()) * 1_000_000
    for index, recorded_us in sorted(case.recorded.items()):
        if index >= known.checkpoint.size and recorded_us + SLACK_US < seen_us:
            raise IntegrityError(
                f"entry {index} is back-dated: it says {instant_of(recorded_us)}, and at "
                f"{instant_of(seen_us)} the log that you know did not have it",
                index=index,
            )
