from collections import Counter
from pathlib import Path

import pytest

from sayso.errors import InputError, IntegrityError, UnavailableError
from sayso.log.merkle import EMPTY_ROOT, leaf_hash, tree_root
from sayso.log.proofs import verify_consistency, verify_inclusion
from sayso.log.tiles import (
    CACHED_TILES,
    Bundle,
    Tile,
    TileReader,
    bundle_path,
    encode_bundle,
    folder_fetch,
    parse_bundle,
    parse_path,
    tile_path,
    tiles_of,
)
from tests.unit.log.trees import Defined, entries, entry, files_of


def test_the_layout_of_70000_leaves() -> None:
    tiles = list(tiles_of(70_000))
    assert Counter((tile.level, tile.width) for tile in tiles) == {
        (0, 256): 273,
        (0, 112): 1,
        (1, 256): 1,
        (1, 17): 1,
        (2, 1): 1,
    }
    assert len(set(map(tile_path, tiles))) == 277
    assert tile_path(tiles[273]) == "tile/0/273.p/112"
    assert tile_path(tiles[-1]) == "tile/2/000.p/1"


def test_the_layout_of_256_leaves() -> None:
    assert list(tiles_of(256)) == [Tile(0, 0, 256), Tile(1, 0, 1)]


def test_no_leaves_have_no_tiles() -> None:
    assert list(tiles_of(0)) == []


@pytest.mark.parametrize("size", [*range(1, 40), 255, 256, 257, 511, 65_535, 65_536, 65_537])
def test_tiles_have_the_width_that_the_specification_gives(size: int) -> None:
    by_level = Counter[int]()
    for tile in tiles_of(size):
        by_level[tile.level] += tile.width
        if tile.width < 256:
            assert tile.width == size // 256**tile.level % 256
    assert by_level == {level: size // 256**level for level in range(3) if size // 256**level}


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("tile/0/x001/x234/067", Tile(0, 1_234_067, 256)),
        ("tile/0/000", Tile(0, 0, 256)),
        ("tile/63/999.p/255", Tile(63, 999, 255)),
        ("tile/1/x001/000.p/1", Tile(1, 1000, 1)),
        ("tile/entries/x012/345.p/7", Bundle(12_345, 7)),
        ("tile/entries/000", Bundle(0, 256)),
    ],
)
def test_a_path_has_one_form(path: str, named: Tile | Bundle) -> None:
    assert parse_path(path) == named
    if isinstance(named, Tile):
        assert tile_path(named) == path
    else:
        assert bundle_path(named.index, named.width) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/8/0/000",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1234",
        "tile/0/x000/001",
        "tile/0/x001/x000",
        "tile/0/001/000",
        "tile/0/X001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/1\n",
        "tile/0/\u0661\u0662\u0663",
        "tile/0/../000",
        "tile/entries",
        "tile/entries/x000/000",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="no tile"):
        parse_path(path)


@pytest.mark.parametrize("tile", [Tile(0, -1, 256), Tile(0, 0, 0), Tile(0, 0, 257), Tile(64, 0, 1)])
def test_no_path_for_no_tile(tile: Tile) -> None:
    with pytest.raises(InputError, match="no tile"):
        tile_path(tile)


@pytest.mark.parametrize(
    "some", [[b""], [b"a", b"", b"bc"], [b"x" * 65_535], [b"%d" % n for n in range(256)]]
)
def test_a_bundle_holds_entries(some: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(some)) == some


def test_the_bytes_of_a_bundle() -> None:
    assert encode_bundle([b"ab", b"", b"c" * 258]) == b"\0\2ab\0\0\1\2" + b"c" * 258


@pytest.mark.parametrize("some", [[], [b"a"] * 257, [b"x" * 65_536]])
def test_no_bundle_of_other_entries(some: list[bytes]) -> None:
    with pytest.raises(InputError):
        encode_bundle(some)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1", b"\0\1ab", b"\0\0" * 257, b"\0\2ab\xff"])
def test_broken_bundles_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_bundle(data)


SIZE = 66_000
DATA = entries(SIZE)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return files_of(DATA)


@pytest.fixture(scope="module")
def root() -> bytes:
    return tree_root([leaf_hash(one) for one in DATA])


def test_a_reader_finds_the_root_and_every_kind_of_proof(
    files: dict[str, bytes], root: bytes
) -> None:
    reader = TileReader(files.get, SIZE)
    assert reader.root() == root
    for index in (0, 1, 255, 256, 65_535, 65_536, 65_792, SIZE - 1):
        proof = reader.inclusion_proof(index)
        verify_inclusion(leaf_hash(entry(index)), index, SIZE, proof, root)
        assert reader.entry(index) == entry(index)
    for old in (0, 1, 2, 255, 256, 257, 65_535, 65_536, 65_537, SIZE - 1, SIZE):
        old_root = tree_root([leaf_hash(one) for one in DATA[:old]]) if old else EMPTY_ROOT
        verify_consistency(old, old_root, SIZE, root, reader.consistency_proof(old))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 300, 511, 512, 513])
def test_nodes_are_the_definition(size: int) -> None:
    tree = Defined(entries(size))
    reader = TileReader(files_of(tree.leaves).get, size)
    for level in range(size.bit_length()):
        for index in range(size >> level):
            assert reader.node(level, index) == tree.node(level, index)
        with pytest.raises(InputError, match="no full subtree"):
            reader.node(level, size >> level)


def test_an_empty_tree_needs_no_tile() -> None:
    reader = TileReader(lambda _: None, 0)
    assert reader.root() == EMPTY_ROOT
    assert list(reader.entries(0, 0)) == []
    assert reader.consistency_proof(0) == []


@pytest.mark.parametrize(
    ("first", "end"),
    [(0, 0), (0, 1), (0, 256), (255, 257), (3, 700), (512, 512), (65_999, SIZE), (256, 512)],
)
def test_entries_of_a_range(files: dict[str, bytes], first: int, end: int) -> None:
    assert list(TileReader(files.get, SIZE).entries(first, end)) == DATA[first:end]


@pytest.mark.parametrize(("first", "end"), [(-1, 2), (3, 2), (0, SIZE + 1)])
def test_no_entries_outside_the_tree(files: dict[str, bytes], first: int, end: int) -> None:
    with pytest.raises(InputError, match="has no entries"):
        list(TileReader(files.get, SIZE).entries(first, end))


def test_a_partial_tile_that_is_gone_is_read_from_the_full_one() -> None:
    grown = files_of(entries(300)) | files_of(entries(600))
    del grown["tile/0/001.p/44"], grown["tile/entries/001.p/44"]
    reader = TileReader(grown.get, 300)
    assert reader.root() == Defined(entries(300)).mth(0, 300)
    assert list(reader.entries(250, 300)) == entries(300)[250:]
    tree = Defined(entries(300))
    verify_inclusion(leaf_hash(entry(299)), 299, 300, reader.inclusion_proof(299), tree.mth(0, 300))


@pytest.mark.parametrize(
    ("size", "path"),
    [(512, "tile/0/001"), (300, "tile/0/001.p/44"), (512, "tile/1/000.p/2")],
)
@pytest.mark.parametrize("change", ["missing", "cut", "long", "empty"])
def test_a_broken_tile_is_named(size: int, path: str, change: str) -> None:
    files = files_of(entries(size))
    data = files.pop(path)
    changed = {"cut": data[:-1], "long": data + bytes(32), "empty": b""}
    if change in changed:
        files[path] = changed[change]
    reader = TileReader(files.get, size)
    every = [(level, index) for level in range(9) for index in range(size >> level)]
    with pytest.raises(IntegrityError, match=path.replace(".", r"\.")) as caught:
        [reader.node(*place) for place in every]
    assert caught.value.data["path"] == path


@pytest.mark.parametrize("change", ["missing", "cut", "fewer", "more", "other", "swapped"])
def test_a_broken_bundle_is_named(change: str) -> None:
    files = files_of(entries(300))
    path = "tile/entries/001.p/44"
    data = files.pop(path)
    some = parse_bundle(data)
    changed = {
        "cut": data[:-1],
        "fewer": encode_bundle(some[:-1]),
        "more": encode_bundle([*some, b"one more"]),
        "other": encode_bundle([*some[:-1], b"another"]),
        "swapped": encode_bundle([some[1], some[0], *some[2:]]),
    }
    if change in changed:
        files[path] = changed[change]
    with pytest.raises(IntegrityError, match=r"entries/001\.p/44"):
        list(TileReader(files.get, 300).entries(0, 300))


def test_a_full_tile_of_another_length_does_not_stand_in() -> None:
    files = files_of(entries(300))
    files["tile/0/001"] = files.pop("tile/0/001.p/44")
    with pytest.raises(IntegrityError, match="tile/0/001 has 1408 bytes, not 8192"):
        TileReader(files.get, 300).root()


def test_a_flipped_bit_in_any_tile_of_a_proof_is_noticed(
    files: dict[str, bytes], root: bytes
) -> None:
    index = 65_000
    for path in (
        "tile/0/253",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/1/001.p/1",
        "tile/0/257.p/208",
    ):
        data = bytearray(files[path])
        # The tile of the leaf and the root of all before it hold the proof's own hashes.
        place = 65_001 % 256 * 32 if path == "tile/0/253" else 0
        data[place] ^= 1
        reader = TileReader((files | {path: bytes(data)}).get, SIZE)
        if path == "tile/2/000.p/1":
            assert reader.root() != root
            continue
        with pytest.raises(IntegrityError):
            verify_inclusion(
                leaf_hash(entry(index)), index, SIZE, reader.inclusion_proof(index), root
            )


def test_a_tile_is_read_once_and_few_are_kept(files: dict[str, bytes]) -> None:
    read = Counter[str]()

    def fetch(path: str) -> bytes | None:
        read[path] += 1
        return files.get(path)

    reader = TileReader(fetch, SIZE)
    for index in range(256):
        reader.inclusion_proof(index)
    assert set(read.values()) == {1}
    for index in range(0, SIZE, 256):
        reader.node(0, index)
    assert len(reader._tiles) == CACHED_TILES
    reader.node(0, 0)
    assert read["tile/0/000"] == 2


def test_a_folder_is_read_by_path(tmp_path: Path) -> None:
    for path, data in files_of(entries(300)).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    fetch = folder_fetch(tmp_path)
    assert TileReader(fetch, 300).root() == Defined(entries(300)).mth(0, 300)
    assert fetch("tile/0/002") is None
    with pytest.raises(UnavailableError, match="tile/0 cannot be read"):
        fetch("tile/0")
