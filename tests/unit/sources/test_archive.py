import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.sources import archive
from sayso.sources.archive import label_of, open_archive
from tests.unit.sources.builders import write_folder, write_zip


def names(src: Path) -> list[str]:
    with open_archive(src) as opened:
        return [str(entry.path) for entry in opened.entries]


def read_all(src: Path) -> None:
    with open_archive(src) as opened:
        for entry in opened.entries:
            with archive.reading(entry.label), entry.open() as file:
                file.read()


def refusal(src: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_all(src)
    return str(caught.value)


def test_a_zip_and_a_folder_read_alike(tmp_path: Path) -> None:
    files = {"b/x.csv": "1", "a.csv": "2", "über.html": "3"}
    folder = write_folder(tmp_path / "f", files)
    bundle = write_zip(tmp_path / "z.zip", files)
    assert names(folder) == names(bundle) == ["a.csv", "b/x.csv", "über.html"]
    with open_archive(bundle) as opened, opened.entries[0].open() as file:
        assert file.read() == b"2"


def test_names_are_nfc_and_folders_have_slashes(tmp_path: Path) -> None:
    assert names(write_zip(tmp_path / "z.zip", {"a\\u\u0308.csv": "1"})) == ["a/ü.csv"]


def test_what_systems_add_and_paths_that_lead_out_are_passed_over(tmp_path: Path) -> None:
    files = {
        "__MACOSX/._a.csv": "x",
        ".DS_Store": "x",
        "../up.csv": "x",
        "/root.csv": "x",
        "C:/drive.csv": "x",
        "a/../../up2.csv": "x",
        "ok.csv": "1",
    }
    with open_archive(write_zip(tmp_path / "z.zip", files)) as opened:
        assert [str(entry.path) for entry in opened.entries] == ["ok.csv"]
        whys = [why for _, why in opened.passed_over]
    assert sorted(whys) == [archive.OUTSIDE] * 4 + [archive.MADE_BY_SYSTEM] * 2


def test_an_entry_without_a_name_is_passed_over(tmp_path: Path) -> None:
    with open_archive(write_zip(tmp_path / "z.zip", {".": "1", "b.csv": "2"})) as opened:
        assert [str(entry.path) for entry in opened.entries] == ["b.csv"]
        assert [why for _, why in opened.passed_over] == ["without a name"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("x")
    folder = write_folder(tmp_path / "f", {"a.csv": "1"})
    (folder / "link.csv").symlink_to(secret)
    (folder / "inner").symlink_to(tmp_path)
    with open_archive(folder) as opened:
        assert [str(entry.path) for entry in opened.entries] == ["a.csv"]
        assert {why for _, why in opened.passed_over} == {archive.LINK}
    info = zipfile.ZipInfo("link.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as bundle:
        bundle.writestr(info, "/etc/passwd")
    with open_archive(tmp_path / "z.zip") as opened:
        assert not opened.entries
        assert opened.passed_over == (("link.csv", archive.LINK),)


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "f", {"a.csv": "1"})
    os.mkfifo(folder / "pipe.csv")
    assert names(folder) == ["a.csv"]


def test_a_zip_within_is_a_file_like_others(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "i.zip", {"a.csv": "1"}).read_bytes()
    assert names(write_zip(tmp_path / "z.zip", {"i.zip": inner})) == ["i.zip"]


def test_a_dense_entry_is_refused(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "z.zip", {"a.csv": b"0" * (2 << 20)})
    assert "too dense (the limit is 200 to one)" in refusal(src)


def test_a_small_dense_entry_is_fine(tmp_path: Path) -> None:
    assert names(write_zip(tmp_path / "z.zip", {"a.csv": b"0" * (1 << 20)})) == ["a.csv"]


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a.csv": "1" * 60, "b.csv": "2" * 60}
    folder, bundle = write_folder(tmp_path / "f", files), write_zip(tmp_path / "z.zip", files)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 100)
    assert "too large" in refusal(folder)
    assert "unpack to too much" in refusal(bundle)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 1)
    assert "too many files" in refusal(folder)
    assert "too many entries" in refusal(bundle)
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 10)
    assert "directory is too long" in refusal(bundle)


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "z.zip", {"a.csv": "1" * 50, "b.csv": "2" * 50})
    data = bytearray(src.read_bytes())
    second = data.rfind(b"PK\1\2")
    data[second + 42 : second + 46] = struct.pack("<L", 0)  # b's bytes are said to be a's
    src.write_bytes(data)
    assert "entries that overlap" in refusal(src)


def test_an_entry_that_reaches_into_the_directory_is_refused(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "z.zip", {"a.csv": "1"})
    data = bytearray(src.read_bytes())
    at = data.rfind(b"PK\1\2")
    data[at + 20 : at + 24] = struct.pack("<L", 5000)
    src.write_bytes(data)
    assert "entries that overlap" in refusal(src)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as bundle:
        bundle.writestr("a.csv", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            bundle.writestr("a.csv", "2")
    assert "two entries of the name 'a.csv'" in refusal(tmp_path / "z.zip")


def test_encrypted_entries_and_other_methods_are_refused(tmp_path: Path) -> None:
    src = write_zip(tmp_path / "z.zip", {"a.csv": "1"})
    data = bytearray(src.read_bytes())
    at = data.rfind(b"PK\1\2")
    data[at + 8] |= 1
    data[6] |= 1
    src.write_bytes(data)
    assert refusal(src).startswith("'a.csv' is encrypted; unpack the archive with its password")
    with zipfile.ZipFile(src, "w", zipfile.ZIP_LZMA) as bundle:
        bundle.writestr("a.csv", "1")
    assert refusal(src).startswith("'a.csv' cannot be read")


def test_a_damaged_entry_is_refused(tmp_path: Path) -> None:
    src = tmp_path / "z.zip"
    with zipfile.ZipFile(src, "w") as bundle:
        bundle.writestr("a.csv", "12345")
    src.write_bytes(src.read_bytes().replace(b"12345", b"12346"))
    assert refusal(src) == (
        "'a.csv' cannot be read (BadZipFile); ask for the export again, or leave the file out"
    )


def test_zip64_directories_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)  # makes it write zip64 records
    src = write_zip(tmp_path / "z.zip", {"a.csv": "1"})
    assert b"PK\6\7" in src.read_bytes()
    assert names(src) == ["a.csv"]
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 10)
    assert "directory is too long" in refusal(src)


def test_a_comment_behind_the_directory_is_fine(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as bundle:
        bundle.writestr("a.csv", "1")
        bundle.comment = b"hello"
    assert names(tmp_path / "z.zip") == ["a.csv"]


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip at all, but long enough to look"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    assert refusal(tmp_path / "x") == "'x' is not a zip archive; give a zip or a folder"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Shares_900.csv", "Shares_*.csv"),
        ("Receipts_v2.csv", "Receipts_v2.csv"),
        ("on-lists-by-mina-muster.html", "*.html"),
        ("Mina Muster.PDF", "*.pdf"),
        ("mina.muster-and-others", "other files"),
        ("Mina Muster", "other files"),
        ("\udcff.csv", "?.csv"),
    ],
)
def test_labels_tell_neither_ids_nor_names(name: str, label: str) -> None:
    assert label_of(name) == label
