"""Tiles in packs, for logs of more than one tile: all of them, some, and others."""

import hashlib

import pytest

from sayso.evidence.case import Given
from sayso.evidence.checks import Report
from sayso.evidence.verify import verify_pack_bytes
from sayso.log.checkpoint import Checkpoint
from sayso.log.merkle import root_of
from sayso.log.notes import Note, cosign, sign
from tests.unit.evidence.builders import GIVEN, KEY, POLICY, SEEN, failed, packed
from tests.unit.log.signers import LOG, ORIGIN, W1
from tests.unit.log.trees import files_of


def entries(size: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(size)]


def note(log: list[bytes]) -> bytes:
    text = Checkpoint(ORIGIN, len(log), root_of(log)).to_text()
    return Note(text, (sign(text, LOG), cosign(text, W1, SEEN))).to_bytes()


def pack(size: int) -> dict[str, bytes]:
    log = entries(size)
    tiles = {f"log/{name}": data for name, data in files_of(log).items()}
    return {**tiles, "log/checkpoint": note(log)}


def verified(files: dict[str, bytes], given: Given = GIVEN) -> Report:
    return verify_pack_bytes(packed(files, "period"), given)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 700])
def test_all_tiles(size: int) -> None:
    report = verified(pack(size))
    assert report.is_sound, report.lines()
    (words,) = [one.words for one in report.checks if one.name == "tiles"]
    assert f"{size:,} entr" in words


def test_some_tiles() -> None:
    files = pack(700)
    for name in ("log/tile/0/000", "log/tile/entries/000", "log/tile/entries/001"):
        del files[name]
    assert verified(files).is_sound
    del files["log/tile/1/000.p/2"]
    assert "tile/1/000.p/2 is missing" in failed(verified(files))[1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("log/tile/0/000", "is not the log's"),
        ("log/tile/0/002.p/188", "do not lead to the root"),
        ("log/tile/1/000.p/2", "do not lead to the root"),
        ("log/tile/entries/001", "another entry"),
    ],
)
def test_a_tile_with_another_hash_is_refused(name: str, says: str) -> None:
    files = pack(700)
    broken = bytearray(files[name])
    broken[-1] ^= 1
    check, words = failed(verified({**files, name: bytes(broken)}))
    assert (check, says in words) == ("tiles", True), words
    assert failed(verified({**files, name: files[name] + bytes(32)}))[0] == "tiles"
    assert failed(verified({**files, name: b""}))[0] == "tiles"


@pytest.mark.parametrize(
    "name",
    [
        "log/tile/0/003", "log/tile/0/000.p/7", "log/tile/0/002.p/187", "log/tile/entries/002.p/9",
        "log/tile/2/000", "log/tile/9/000.p/1", "log/tile/0/x001/000",
    ],
)  # fmt: skip
def test_a_tile_of_another_tree_is_refused(name: str) -> None:
    check, words = failed(verified({**pack(700), name: bytes(32)}))
    assert (check, "is no tile of this tree" in words) == ("tiles", True)


def test_a_name_of_no_tile_is_refused() -> None:
    check, words = failed(verified({**pack(3), "log/tile/0/0": b""}))
    assert (check, "there is no tile at" in words) == ("tiles", True)


def test_tiles_show_growth_from_what_you_know() -> None:
    for size in (1, 256, 300, 512, 699, 700):
        given = Given((KEY.public,), POLICY, note(entries(size)))
        assert verified(pack(700), given).checks[-1].name == "known-checkpoint"
        assert verified(pack(700), given).is_sound
        other = [*entries(size - 1), bytes(32)]
        given = Given((KEY.public,), POLICY, note(other))
        assert "second history" in failed(verified(pack(700), given))[1]
