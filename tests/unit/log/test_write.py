"""Writing tiles: growth gives the bytes of the definition, damage is seen before signing."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sayso.errors import IntegrityError, UnavailableError
from sayso.log import second, write
from sayso.log.merkle import leaf_hash, root_of
from sayso.log.second import Second, bundled
from sayso.log.tiles import (
    TILE_WIDTH,
    Bundle,
    Tile,
    TileReader,
    bundle_path,
    encode_bundle,
    folder_fetch,
    parse_path,
    tile_path,
)
from sayso.log.write import BATCH_TILES, extend
from tests.unit.log.trees import Defined

MANY = [number.to_bytes(32) for number in range(70_000)]


def grow(folder: Path, old: int, new: int, step: int = 1 << 30) -> None:
    batches = (b"".join(MANY[at : min(at + step, new)]) for at in range(old, new, step))
    extend(folder, old, batches)


def files(folder: Path) -> dict[str, bytes]:
    found = {path for path in folder.rglob("*") if path.is_file()}
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def defined_files(size: int) -> dict[str, bytes]:
    """What tlog-tiles asks for: every tile of every level, by the plain definition."""
    tree = Defined(MANY[:size])
    found: dict[str, bytes] = {}
    level = 0
    while count := size >> (8 * level):
        for first in range(0, count, TILE_WIDTH):
            width = min(TILE_WIDTH, count - first)
            hashes = [tree.node(8 * level, place) for place in range(first, first + width)]
            found[tile_path(Tile(level, first // TILE_WIDTH, width))] = b"".join(hashes)
            if level == 0:
                entries = MANY[first : first + width]
                found[bundle_path(first // TILE_WIDTH, width)] = encode_bundle(entries)
        level += 1
    return found


def needed(folder: Path, size: int) -> dict[str, bytes]:
    """Return those files of a folder that a tree of a size needs."""
    found = {}
    for path, data in files(folder).items():
        named = parse_path(path)
        count = size >> (8 * named.level if isinstance(named, Tile) else 0)
        if named.width == min(TILE_WIDTH, count - named.index * TILE_WIDTH):
            found[path] = data
    return found


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@contextmanager
def damaging(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """Flip a bit of one file as soon as it is written."""
    plain = second.write_file

    def written(path: str, data: bytes) -> None:
        plain(path, data)
        if path.endswith(name):
            damage(Path(path))

    with monkeypatch.context() as patch:
        patch.setattr(second, "write_file", written)
        patch.setattr(write, "write_file", written)
        yield


SIZES = st.one_of(
    st.integers(0, 600),
    st.sampled_from([255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 1279, 1280, 1281]),
)


@given(st.lists(SIZES, min_size=1, max_size=6), st.integers(1, 700))
@example([0, 0, 1, 1], 1)
@example([255, 256, 257], 1)
@example([3, 259, 512, 513, 767, 768], 256)
@settings(max_examples=40, deadline=None)
def test_any_growth_gives_the_bytes_of_the_definition(sizes: list[int], step: int) -> None:
    with TemporaryDirectory() as place:
        folder, old = Path(place), 0
        for size in sorted(sizes):
            grow(folder, old, size, step)
            old = size

            assert needed(folder, size) == defined_files(size)
            assert TileReader(folder_fetch(folder), size).root() == root_of(MANY[:size])


@pytest.mark.parametrize("old", [65_279, 65_280, 65_535, 65_536, 65_537])
@pytest.mark.parametrize("new", [65_536, 65_537, 65_792])
def test_growth_over_the_second_level(tmp_path: Path, old: int, new: int) -> None:
    grow(tmp_path, 0, min(old, new))
    grow(tmp_path, min(old, new), new, 1000)

    assert needed(tmp_path, new) == defined_files(new)


def test_seventy_thousand_lie_as_the_specification_counts(tmp_path: Path) -> None:
    grow(tmp_path, 0, 70_000)
    named = [parse_path(path) for path in files(tmp_path)]
    tiles = [one for one in named if isinstance(one, Tile)]
    widths: dict[int, list[int]] = {}
    for tile in sorted(tiles, key=lambda one: (one.level, one.index)):
        widths.setdefault(tile.level, []).append(tile.width)

    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}
    assert sorted(one.width for one in named if isinstance(one, Bundle)) == [112] + [256] * 273
    assert (tmp_path / "tile/2/000.p/1").is_file()
    assert files(tmp_path) == defined_files(70_000)


def test_many_in_odd_steps_are_the_same_files(tmp_path: Path) -> None:
    grow(tmp_path, 0, 300)
    grow(tmp_path, 300, 20_000, 7000)

    assert needed(tmp_path, 20_000) == defined_files(20_000)


# ---- what was there stays ---------------------------------------------------------------


def test_what_a_checkpoint_needs_is_never_opened_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    plain = second.write_file

    def noted(path: str, data: bytes) -> None:
        written.append(Path(path).relative_to(tmp_path).as_posix())
        plain(path, data)

    monkeypatch.setattr(second, "write_file", noted)
    monkeypatch.setattr(write, "write_file", noted)
    old = 0
    for size in (1, 200, 256, 300, 301, 511, 512, 900, 901, 5000, 5000, 66_000, 66_001):
        written.clear()
        grow(tmp_path, old, size)

        assert not {*written} & {*defined_files(old)}, (old, size)
        assert {*written} == {*defined_files(size)} - {*defined_files(old)}
        old = size


def test_partial_tiles_of_earlier_sizes_stay(tmp_path: Path) -> None:
    for old, new in ((0, 100), (100, 200), (200, 700)):
        grow(tmp_path, old, new)
    found = files(tmp_path)

    for size in (100, 200, 700):
        assert defined_files(size).items() <= found.items()


def test_torn_leftovers_are_written_over(tmp_path: Path) -> None:
    grow(tmp_path, 0, 300)
    crashed = tmp_path.with_name("crashed")
    shutil.copytree(tmp_path, crashed)
    grow(crashed, 300, 1500)
    for path, data in files(crashed).items():
        if path not in files(tmp_path):  # longer, shorter, or empty
            torn = random.Random(path).choice([data + b"more", data[:-1], b""])
            (crashed / path).write_bytes(torn)
    grow(crashed, 300, 1600)

    assert needed(crashed, 1600) == defined_files(1600)
    assert defined_files(300).items() <= files(crashed).items()


# ---- the second pass --------------------------------------------------------------------

NAMES = ["tile/0/001", "tile/entries/001", "tile/0/259.p/136", "tile/entries/259.p/136",
         "tile/1/000", "tile/1/001.p/3", "tile/2/000.p/1"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with damaging(monkeypatch, name), pytest.raises(IntegrityError, match="is not what was hashed"):
        grow(tmp_path, 0, 66_440)


@pytest.mark.parametrize("name", ["tile/0/001", "tile/entries/001"])
def test_what_is_derived_is_what_is_stored(tmp_path: Path, name: str) -> None:
    grow(tmp_path, 0, 1024)
    good = second.derived(tmp_path, 0, 4)
    damage(tmp_path / name)

    assert second.derived(tmp_path, 0, 4) != good
    assert second.derived(tmp_path, 2, 2) != second.derived(tmp_path, 0, 4)


@pytest.mark.parametrize(
    ("name", "length"),
    [("leaf_hashes", BATCH_TILES * 8192), ("tops_of", BATCH_TILES * 32), ("tops_of", 32)],
)
def test_a_wrong_hash_of_the_first_pass_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, length: int
) -> None:
    """As a bit that flipped in memory would give: of a leaf, of a tile, of an upper tile."""
    plain: Any = getattr(write, name)
    calls: list[int] = []

    def flipped(*given: Any) -> bytes:
        found: bytes = plain(*given)
        if len(found) != length or calls:
            return found
        calls.append(length)
        return found[:-1] + bytes([found[-1] ^ 1])

    monkeypatch.setattr(write, name, flipped)
    with pytest.raises(IntegrityError, match="not what was hashed"):
        grow(tmp_path, 0, 65_536)


def test_a_window_in_which_nothing_was_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: many behind a partial tile."""
    old, new = 200, 512 * TILE_WIDTH + 100
    entries = [number.to_bytes(32) for number in range(new)]
    seen: list[int] = []

    class Counted(Second):
        def __call__(self, first: int, entries: bytes, tops: bytes) -> list[str]:
            seen.append(len(tops) // 32)
            return super().__call__(first, entries, tops)

    monkeypatch.setattr(write, "Second", Counted)
    extend(tmp_path, 0, [b"".join(entries[:old])])
    extend(tmp_path, old, [b"".join(entries[old:])])

    assert sum(seen) == 512


def test_a_broken_right_edge_is_not_built_upon(tmp_path: Path) -> None:
    grow(tmp_path, 0, 300)
    damage(tmp_path / "tile/0/001.p/44")

    with pytest.raises(IntegrityError, match="another entry"):
        grow(tmp_path, 300, 400)


# ---- the disk ---------------------------------------------------------------------------


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "tile").write_text("no folder")

    with pytest.raises(UnavailableError, match="cannot be written"):
        grow(tmp_path, 0, 10)


def test_many_files_are_flushed_in_one_go_and_few_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[Path] = []
    single: list[int] = []
    monkeypatch.setattr(write, "sync_disk", whole.append)
    monkeypatch.setattr(os, "fsync", single.append)
    grow(tmp_path, 0, 600)
    few = len(single)
    grow(tmp_path, 600, 20_000)

    assert few == 7 + 4 + 3 + 1  # files, folders, folders of partial tiles, the log's own
    assert (whole, len(single)) == ([tmp_path], few)


def test_bundles_are_those_of_the_definition() -> None:
    assert bundled(b"".join(MANY[:3])) == encode_bundle(MANY[:3])
    assert leaf_hash(MANY[0]) == defined_files(1)["tile/0/000.p/1"]
