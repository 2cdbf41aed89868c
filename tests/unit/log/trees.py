"""Trees for tests: the definition of RFC 6962, slow and plain, and tiles in a dictionary."""

import functools
import hashlib
from collections.abc import Callable, Sequence

from sayso.log.merkle import leaf_hash, tree_root
from sayso.log.proofs import Node
from sayso.log.tiles import TILE_WIDTH, bundle_path, encode_bundle, tile_path, tiles_of


def entry(number: int) -> bytes:
    return b"entry %d" % number


def entries(size: int) -> list[bytes]:
    return [entry(number) for number in range(size)]


class Defined:
    """MTH, PATH and PROOF as RFC 6962 s2.1 writes them, each range hashed once."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.mth = functools.cache(self._mth)

    def _mth(self, first: int, end: int) -> bytes:
        if end == first:
            return hashlib.sha256(b"").digest()
        if end - first == 1:
            return hashlib.sha256(b"\x00" + self.leaves[first]).digest()
        split = first + below(end - first)
        return hashlib.sha256(b"\x01" + self.mth(first, split) + self.mth(split, end)).digest()

    def path(self, index: int, first: int, end: int) -> list[bytes]:
        """PATH(index - first, D[first:end])."""
        if end - first == 1:
            return []
        split = first + below(end - first)
        if index < split:
            return [*self.path(index, first, split), self.mth(split, end)]
        return [*self.path(index, split, end), self.mth(first, split)]

    def proof(self, old: int, new: int) -> list[bytes]:
        """PROOF(old, D[0:new])."""
        return self._subproof(old, 0, new, whole=True)

    def _subproof(self, old: int, first: int, end: int, *, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [self.mth(first, end)]
        split = first + below(end - first)
        if old <= split:
            return [*self._subproof(old, first, split, whole=whole), self.mth(split, end)]
        return [*self._subproof(old, split, end, whole=False), self.mth(first, split)]

    def node(self, level: int, index: int) -> bytes:
        assert (index + 1) << level <= len(self.leaves)
        return self.mth(index << level, (index + 1) << level)


def below(size: int) -> int:
    """The largest power of two below a size."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def patterned(leaf: Callable[[int], bytes]) -> Node:
    """The nodes of a tree whose leaves repeat every 16, so that any size is cheap."""

    @functools.cache
    def node(level: int, index: int) -> bytes:
        if level <= 4:
            first = (index << level) % 16
            return tree_root([leaf_hash(leaf(first + place)) for place in range(1 << level)])
        below = node(level - 1, 0)
        return hashlib.sha256(b"\x01" + below + below).digest()

    return node


def files_of(data: Sequence[bytes]) -> dict[str, bytes]:
    """Every tile and bundle of a tree, by path, from the definition."""
    hashes = [[leaf_hash(one) for one in data]]
    while len(hashes[-1]) >= TILE_WIDTH:
        below = hashes[-1]
        full = range(0, len(below) // TILE_WIDTH * TILE_WIDTH, TILE_WIDTH)
        hashes.append([tree_root(below[at : at + TILE_WIDTH]) for at in full])
    files = {}
    for tile in tiles_of(len(data)):
        at = tile.index * TILE_WIDTH
        files[tile_path(tile)] = b"".join(hashes[tile.level][at : at + tile.width])
        if not tile.level:
            bundle = encode_bundle(data[at : at + tile.width])
            files[bundle_path(tile.index, tile.width)] = bundle
    return files
