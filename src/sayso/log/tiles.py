r"""Tiles: a tree as plain files, 256 hashes each, and its entries beside them.

Promises: the paths and bytes of C2SP tlog-tiles; a reader that finds any hash, proof or entry of
a tree of known size through whatever fetches a path. A path has one form. Does not verify: what
a reader gives stands only once it leads to the root of a signed checkpoint (`proofs`, `policy`).

Example:
    >>> tile_path(Tile(level=0, index=1234067, width=256)), bundle_path(273, 112)
    ('tile/0/x001/x234/067', 'tile/entries/273.p/112')
"""

import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sayso.errors import InputError, IntegrityError, UnavailableError
from sayso.log.lines import MAX_INTEGER, quoted
from sayso.log.merkle import HASH_BYTES, leaf_hash, node_hash
from sayso.log.proofs import consistency_proof, inclusion_proof, root_at

# Source: tlog-tiles. A tile spans 8 levels of the tree.
TILE_HEIGHT = 8
TILE_WIDTH = 256
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 65_535
# About 35 kB each, with the hashes inside: the tiles of some thirty proofs that share none.
CACHED_TILES = 128

_PATH = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[0-9]{1,3}))?"
)

Fetch = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Tile:
    """Some hashes of one level: of full tiles of the level below, or of leaves at level 0."""

    level: int
    index: int
    width: int


@dataclass(frozen=True)
class Bundle:
    """The entries under one tile of level 0."""

    index: int
    width: int


def tile_path(tile: Tile) -> str:
    """Return where a tile lies."""
    if not 0 <= tile.level <= MAX_LEVEL:
        raise InputError(f"there is no tile level {tile.level}")
    return f"tile/{tile.level}/{_place(tile.index, tile.width)}"


def bundle_path(index: int, width: int) -> str:
    """Return where the entries of a tile of level 0 lie."""
    return f"tile/entries/{_place(index, width)}"


def parse_path(unverified: str) -> Tile | Bundle:
    """Return the tile or bundle that a path names.

    Raises:
        InputError: It names none, or not in the one form.
    """
    if found := _PATH.fullmatch(unverified):
        index = int(re.sub("[x/]", "", found["index"]))
        width = int(found["width"] or TILE_WIDTH)
        if 1 <= width <= TILE_WIDTH and index <= MAX_INTEGER:
            named: Tile | Bundle
            if found["level"] == "entries":
                named, path = Bundle(index, width), bundle_path(index, width)
            else:
                named = Tile(int(found["level"]), index, width)
                path = tile_path(named)
            if path == unverified:
                return named
    raise InputError(
        f"there is no tile at {quoted(unverified)}",
        hint="write tile/<level or entries>/<index>[.p/<width>], index 1234 as x001/234",
    )


def _place(index: int, width: int) -> str:
    """Return an index in groups of three digits, and the width where the tile is partial."""
    if index < 0 or not 1 <= width <= TILE_WIDTH:
        raise InputError(f"there is no tile {index} of width {width}")
    *groups, last = f"{index:,}".split(",")
    place = "".join(f"x{group:0>3}/" for group in groups) + f"{last:0>3}"
    return place if width == TILE_WIDTH else f"{place}.p/{width}"


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield the tiles of a tree, level by level from the leaves."""
    level, hashes = 0, size
    while hashes:
        full, partial = divmod(hashes, TILE_WIDTH)
        for index in range(full):
            yield Tile(level, index, TILE_WIDTH)
        if partial:
            yield Tile(level, full, partial)
        level, hashes = level + 1, full


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bytes of a bundle: each entry behind its length in two bytes.

    Raises:
        InputError: There are no entries, more than 256, or one is longer than 65,535 bytes.
    """
    _check_width(len(entries))
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise InputError(
                f"an entry has {len(entry)} bytes", hint=f"at most {MAX_ENTRY_BYTES} go"
            )
        parts += struct.pack(">H", len(entry)), entry
    return b"".join(parts)


def parse_bundle(unverified: bytes) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        InputError: It ends within an entry, or holds none or more than 256.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(unverified):
        start = at + 2
        end = start + int.from_bytes(unverified[at:start])
        if start > len(unverified) or end > len(unverified):
            raise InputError(f"the bundle ends within entry {len(entries)}")
        entries.append(unverified[start:end])
        at = end
    _check_width(len(entries))
    return entries


def _check_width(entries: int) -> None:
    if not 1 <= entries <= TILE_WIDTH:
        raise InputError(f"a bundle holds 1 to {TILE_WIDTH} entries, not {entries}")


class TileReader:
    """A tree of `size` leaves, read through its tiles.

    A partial tile may be gone once the full one is there (tlog-tiles, "Partial Tiles"): then the
    full one is read. Some tiles are kept, so that neighbouring proofs read each once. For one
    thread at a time.

    Args:
        fetch: Gives the bytes at a path, or None where there are none.
        size: Leaves in the tree, from a checkpoint.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.size = size
        self._fetch = fetch
        self._tiles: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a perfect subtree; a `proofs.Node`.

        Raises:
            InputError: The tree has no such subtree.
            IntegrityError: Its tile is missing or has another length.
        """
        if level < 0 or index < 0 or (index + 1) << level > self.size:
            raise InputError(f"a tree of {self.size} has no full subtree ({level}, {index})")
        tile_level, inside = divmod(level, TILE_HEIGHT)
        first = index << inside  # of its hashes at the tile's own level
        return self._tile(tile_level, first // TILE_WIDTH)[inside][first % TILE_WIDTH >> inside]

    def root(self) -> bytes:
        """Return the root. Raises as `node`."""
        return root_at(self.size, self.node)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Return the audit path of a leaf. Raises as `node`."""
        return inclusion_proof(index, self.size, self.node)

    def consistency_proof(self, old: int) -> list[bytes]:
        """Return the proof that this tree grew out of one of `old` leaves. Raises as `node`."""
        return consistency_proof(old, self.size, self.node)

    def entry(self, index: int) -> bytes:
        """Return an entry. Raises as `entries`."""
        return next(self.entries(index, index + 1))

    def entries(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the entries from `first` until `end`, each as its tile has hashed it.

        Raises:
            InputError: The tree has not so many.
            IntegrityError: A bundle is missing, broken, or not what its tile has hashed.
        """
        if not 0 <= first <= end <= self.size:
            raise InputError(f"a tree of {self.size} has no entries {first} to {end}")
        for index in range(first // TILE_WIDTH, -(-end // TILE_WIDTH)):
            start = index * TILE_WIDTH
            bundle = self._bundle(index)
            yield from bundle[max(first - start, 0) : end - start]

    def _bundle(self, index: int) -> list[bytes]:
        width = self._width(0, index)
        path, whole, data = self._read(
            bundle_path(index, width), bundle_path(index, TILE_WIDTH), width
        )
        try:
            entries = parse_bundle(data)
        except InputError as error:
            raise IntegrityError(f"{path} is broken: {error.message}", path=path) from error
        if len(entries) != whole:
            raise IntegrityError(f"{path} holds {len(entries)} entries, not {whole}", path=path)
        del entries[width:]
        leaves = self._tile(0, index)[0]
        for number, (entry, leaf) in enumerate(zip(entries, leaves, strict=True)):
            if leaf_hash(entry) != leaf:
                at = index * TILE_WIDTH + number
                raise IntegrityError(f"{path} holds another entry {at} than its tile", path=path)
        return entries

    def _tile(self, level: int, index: int) -> list[list[bytes]]:
        """Return the hashes of a tile, then those of pairs of them, and so on up."""
        if kept := self._tiles.get((level, index)):
            self._tiles.move_to_end((level, index))
            return kept
        width = self._width(level, index)
        path, whole, data = self._read(
            tile_path(Tile(level, index, width)), tile_path(Tile(level, index, TILE_WIDTH)), width
        )
        if len(data) != whole * HASH_BYTES:
            raise IntegrityError(
                f"{path} has {len(data)} bytes, not {whole * HASH_BYTES}", path=path
            )
        hashes = [data[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]
        levels = [hashes]
        while len(hashes) > 1:
            pairs = iter(hashes)
            hashes = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=False)]
            levels.append(hashes)
        self._tiles[level, index] = levels
        if len(self._tiles) > CACHED_TILES:
            self._tiles.popitem(last=False)
        return levels

    def _width(self, level: int, index: int) -> int:
        hashes = self.size >> (TILE_HEIGHT * level)
        return min(TILE_WIDTH, hashes - index * TILE_WIDTH)

    def _read(self, path: str, full_path: str, width: int) -> tuple[str, int, bytes]:
        """Return what lies at a path, or at that of the full tile: where, how wide, the bytes."""
        data = self._fetch(path)
        if data is not None:
            return path, width, data
        if path != full_path:
            data = self._fetch(full_path)
        if data is None:
            raise IntegrityError(f"{path} is missing", path=path)
        return full_path, TILE_WIDTH, data


def folder_fetch(folder: Path) -> Fetch:
    """Return what fetches from a folder.

    Raises, when it fetches:
        UnavailableError: The file is there and cannot be read.
    """

    def fetch(path: str) -> bytes | None:
        try:
            return (folder / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(f"{path} cannot be read: {error.strerror}") from error

    return fetch
