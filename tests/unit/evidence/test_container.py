"""The pack container: one form, bit for bit, that other tools open."""

import io
import json
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.keys import SigningKey
from sayso.attest.statements import pack_statement
from sayso.canonical import canonical_json
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.evidence import container
from sayso.evidence.container import (
    LISTING,
    SIGNED,
    pack_bytes,
    parse_pack,
    read_pack,
    verify_pack,
    write_pack,
)
from sayso.evidence.files import PackFiles

KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(reversed(range(32))))
FILES = {"report.html": b"<p>\xc3\xa9", "leaves/0001.bin": bytes(64), "empty.bin": b""}
QUESTION = {"member": "7", "at": None, "parts": [1, "é"]}
PACK = pack_bytes("member", QUESTION, FILES, KEY, 1_800_000_000_000_000)


def zipped(entries: list[tuple[str, bytes]], **changes: Any) -> bytes:
    """A zip as the standard library writes it, for what a pack must not be."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", changes.pop("compression", zipfile.ZIP_STORED)) as made:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            for key, value in changes.items():
                setattr(info, key, value)
            made.writestr(info, data)
    return out.getvalue()


def entries_of(pack: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(pack)) as opened:
        return {one.filename: opened.read(one) for one in opened.infolist()}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(FILES["report.html"])
    target = tmp_path / "a.pack"

    digest = write_pack(
        target, "member", QUESTION, {**FILES, "report.html": tmp_path / "there"}, KEY,
        1_800_000_000_000_000,
    )  # fmt: skip

    assert target.read_bytes() == PACK
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pack", "there"]
    found = read_pack(target)
    assert (found.kind, found.question, found.files) == ("member", QUESTION, FILES)
    assert found.created_us == 1_800_000_000_000_000
    assert found.digest == digest
    verify_pack(found, [OTHER.public, KEY.public])


def test_a_file_that_changes_while_it_is_read_makes_no_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_bytes(b"one")
    measure = container._measured

    def late(content: bytes | Path) -> Any:
        found = measure(content)
        if isinstance(content, Path):
            content.write_bytes(b"two")
        return found

    monkeypatch.setattr(container, "_measured", late)
    with pytest.raises(IntegrityError, match="'a' changed while it was read"):
        write_pack(tmp_path / "a.pack", "hold", {}, {"a": tmp_path / "there"}, KEY, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_files_are_written_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 40
    (tmp_path / "there").write_bytes(data)
    monkeypatch.setattr(container, "BLOCK_BYTES", 1000)
    write_pack(tmp_path / "a.pack", "hold", {}, {"a": tmp_path / "there"}, KEY, 0)
    found = read_pack(tmp_path / "a.pack")
    assert found.files == {"a": data}
    slices = PackFiles(found.files)
    assert list(slices.blocks("a", 3000)) == [data[at : at + 3000] for at in range(0, 10240, 3000)]
    with pytest.raises(IntegrityError, match="'b' is missing"):
        slices.read("b")


def test_the_same_files_in_another_order_are_the_same_bytes() -> None:
    turned = dict(reversed(FILES.items()))
    assert pack_bytes("member", QUESTION, turned, KEY, 1_800_000_000_000_000) == PACK


def test_other_tools_open_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(PACK)) as opened:
        assert opened.testzip() is None
        listed = opened.infolist()
        assert [one.filename for one in listed] == [LISTING, SIGNED, *sorted(FILES)]
        assert {one.date_time for one in listed} == {(1980, 1, 1, 0, 0, 0)}
        assert {one.external_attr >> 16 for one in listed} == {0o100644}
        assert not any(one.extra or one.comment or one.flag_bits for one in listed)
        assert opened.read("report.html") == FILES["report.html"]
    unzip = shutil.which("unzip")
    if unzip:
        (tmp_path / "a.pack").write_bytes(PACK)
        subprocess.run([unzip, "-tq", str(tmp_path / "a.pack")], check=True)


def test_every_flipped_bit_is_refused() -> None:
    for place in range(len(PACK)):
        for bit in range(8):
            broken = bytearray(PACK)
            broken[place] ^= 1 << bit
            with pytest.raises((InputError, IntegrityError)):
                verify_pack(parse_pack(bytes(broken)), [KEY.public])


def test_every_cut_and_every_rest_is_refused() -> None:
    for end in range(len(PACK)):
        with pytest.raises((InputError, IntegrityError)):
            parse_pack(PACK[:end])
    for rest in (b"\0", b"PK\5\6", PACK):
        with pytest.raises((InputError, IntegrityError)):
            parse_pack(PACK + rest)
        with pytest.raises((InputError, IntegrityError)):
            parse_pack(rest + PACK)


@pytest.mark.parametrize(
    "name",
    [
        "../up", "/abs", "a/../b", "a//b", "a/", ".hidden", "a/.b", "a\\b", "C:x", "é", "a b",
        "a\0b", "", "x" * 201, ".", "..", "a/..",
    ],
)  # fmt: skip
def test_an_odd_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot stand in a pack"):
        pack_bytes("member", {}, {name: b""}, KEY, 0)
    odd = {**entries_of(PACK), name: b""}
    with pytest.raises((InputError, IntegrityError)):
        parse_pack(container._zipped(odd))


def test_names_that_some_systems_take_for_one_are_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        pack_bytes("member", {}, {"a/B": b"", "a/b": b""}, KEY, 0)
    with pytest.raises(InputError, match="twice"):
        pack_bytes("member", {}, {LISTING: b""}, KEY, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"compression": zipfile.ZIP_DEFLATED, "compress_type": zipfile.ZIP_DEFLATED},
        {"date_time": (2026, 1, 1, 0, 0, 0)},
        {"external_attr": 0o120777 << 16},  # a symbolic link
        {"external_attr": 0o100755 << 16},
        {"comment": b"hello"},
        {"extra": struct.pack("<HHL", 0x9999, 4, 7)},
        {"create_system": 0},
    ],
)
def test_another_zip_of_the_same_files_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((InputError, IntegrityError)):
        parse_pack(zipped(list(entries_of(PACK).items()), **changes))


def test_a_zip_bomb_is_not_unpacked() -> None:
    bomb = zipped(
        [(LISTING, b"\0" * 50_000_000)],
        compression=zipfile.ZIP_DEFLATED, compress_type=zipfile.ZIP_DEFLATED,
    )  # fmt: skip
    with pytest.raises((InputError, IntegrityError)):
        parse_pack(bomb)


def test_a_length_beyond_the_file_is_refused() -> None:
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 2**32 - 1, 2**32 - 1, 1, 0)
    with pytest.raises(InputError, match="longer than the file"):
        parse_pack(head + b"a" + bytes(100))


def test_entries_in_another_order_are_refused() -> None:
    entries = entries_of(PACK)
    names = [LISTING, SIGNED, *sorted(FILES, reverse=True)]
    with pytest.raises(IntegrityError, match="not in the form"):
        parse_pack(container._zipped({name: entries[name] for name in names}))
    with pytest.raises(InputError, match="no pack"):
        parse_pack(container._zipped(dict(sorted(entries.items()))))


def test_an_entry_twice_is_refused() -> None:
    raw = b"PK\3\4" + struct.pack("<5H3L2H", 20, 0, 0, 0, 33, zlib.crc32(b""), 0, 0, 1, 0) + b"a"
    with pytest.raises(IntegrityError, match="twice"):
        parse_pack(raw + raw)


@pytest.mark.parametrize("name", [*FILES, SIGNED, LISTING])
def test_a_missing_file_is_refused(name: str) -> None:
    entries = entries_of(PACK)
    del entries[name]
    with pytest.raises((InputError, IntegrityError)):
        parse_pack(container._zipped(entries))


def test_an_unlisted_file_is_refused_by_name() -> None:
    more = {**entries_of(PACK), "zzz.bin": b""}
    with pytest.raises(IntegrityError, match=r"'zzz\.bin' is there and not listed"):
        parse_pack(container._zipped(more))


def test_another_file_in_its_place_is_refused_by_name() -> None:
    entries = {**entries_of(PACK), "report.html": b"other"}
    with pytest.raises(IntegrityError, match=r"'report\.html' is not the one"):
        parse_pack(container._zipped(entries))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"}, {"format": "sayso/pack/v2"}, {"created_us": -1}, {"question": None},
        {"files": []}, {"specifications": {}}, {"extra": 1}, {"files": {"a": "b"}},
    ],
)  # fmt: skip
def test_a_listing_of_another_shape_is_refused(change: dict[str, object]) -> None:
    value = {**json.loads(entries_of(PACK)[LISTING]), **change}
    listing = canonical_json(value)
    with pytest.raises(InputError):
        parse_pack(container._zipped({**entries_of(PACK), LISTING: listing}))


def test_who_signed_and_what(tmp_path: Path) -> None:
    found = parse_pack(PACK)
    with pytest.raises(IntegrityError, match="none of the given keys"):
        verify_pack(found, [OTHER.public])
    entries = entries_of(PACK)

    def signed(statement: bytes, *keys: SigningKey) -> bytes:
        envelope = sign(STATEMENT_TYPE, statement, *keys).to_bytes()
        return container._zipped({**entries, SIGNED: envelope})

    for wrong in (
        pack_statement("00" * 32, "member", found.created_us),
        pack_statement(found.digest, "hold", found.created_us),
        pack_statement(found.digest, "member", 0),
    ):
        with pytest.raises(IntegrityError, match="another pack"):
            verify_pack(parse_pack(signed(wrong, KEY)), [KEY.public])
    right = pack_statement(found.digest, "member", found.created_us)
    verify_pack(parse_pack(signed(right, KEY)), [KEY.public])
    with pytest.raises(IntegrityError, match="more than one"):
        verify_pack(parse_pack(signed(right, KEY, OTHER)), [KEY.public])


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        write_pack(tmp_path / "a", "member", {}, {"a": tmp_path / "none"}, KEY, 0)
    for question in ({"a": 0.5}, {"a": object()}, {"a": "\ud800"}, {"a": 1 << 60}):
        with pytest.raises(InputError):
            pack_bytes("member", question, {}, KEY, 0)
    with pytest.raises(InputError, match="kind"):
        pack_bytes("other", {}, {}, KEY, 0)
    (tmp_path / "a").touch()
    with pytest.raises(ConflictError):
        write_pack(tmp_path / "a", "member", {}, {}, KEY, 0)


def test_what_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no pack"):
        read_pack(tmp_path / "none")
    with pytest.raises(InputError, match="there is no pack"):
        read_pack(tmp_path)
    for raw in (b"", b"PK\3\4", b"PK\5\6" + bytes(18), b"{}"):
        with pytest.raises(InputError):
            parse_pack(raw)


def test_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_FILES", 3)
    with pytest.raises(InputError, match="at most 3"):
        pack_bytes("member", {}, FILES, KEY, 0)
    with pytest.raises(InputError, match="too many"):
        parse_pack(PACK)
    monkeypatch.setattr(container, "MAX_FILES", 9)
    monkeypatch.setattr(container, "MAX_PACK_BYTES", 99)
    with pytest.raises(InputError, match="more than 99 bytes"):
        pack_bytes("member", {}, FILES, KEY, 0)
