"""An export as a list of files, whether it comes as a zip or as a folder.

Promises: nothing is unpacked to disk, links are not followed, and an archive that is
larger, denser or more entangled than any real export is refused before a byte of it is
inflated. Does not know what the files mean.

Example:
    with open_archive(Path("export.zip")) as archive:
        names = [entry.path.name for entry in archive.entries]
"""

import contextlib
import csv
import io
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from sayso.errors import InputError

# A full export has some fifty files and a page for every article.
MAX_ENTRIES = 10_000
# Ten thousand entries with names of 300 bytes fit twice.
MAX_DIRECTORY_BYTES = 8 << 20
# The largest exports are some hundred megabytes of messages; an archive carries no media.
MAX_TOTAL_BYTES = 4 << 30
# Text deflates five- to twentyfold and repetitive logs fiftyfold; deflate ends at 1,032.
MAX_RATIO = 200
# Below this an entry may be as dense as it likes.
RATIO_FLOOR_BYTES = 1 << 20
# A local header without name and extra field. Source: APPNOTE 6.3.10, 4.3.7.
LOCAL_HEADER_BYTES = 30
# Deflate and stored are what exports use. The others need memory that the sender chooses.
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

_ENCRYPTED = 1  # APPNOTE 4.4.4, bit 0 of the general purpose flag
_END_BYTES = 22  # APPNOTE 4.3.16
_END64_BYTES = 56  # APPNOTE 4.3.14
_LOCATOR_BYTES = 20  # APPNOTE 4.3.15
_COMMENT_BYTES = (1 << 16) - 1

MADE_BY_SYSTEM = "made by an operating system"
OUTSIDE = "its path leads out of the archive"
LINK = "a link, not followed"

_MEMBER_SUFFIX = re.compile(r"_\d+(?=\.[^.]*$)")
_PLAIN_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an export.

    Attributes:
        path: Within the export, `/` between folders, NFC.
        size_bytes: As declared; reading stops there.
        open: Gives its bytes.
    """

    path: PurePosixPath
    size_bytes: int
    open: Callable[[], BinaryIO]

    @property
    def label(self) -> str:
        """How a report may call it: no member id, and no name that a person gave."""
        return label_of(self.path.name)


@dataclass(frozen=True, slots=True)
class Archive:
    """What an export holds.

    Attributes:
        entries: Files, sorted by path.
        passed_over: (label, why) of what is not a file of the export.
    """

    entries: tuple[Entry, ...]
    passed_over: tuple[tuple[str, str], ...]


def entry_of(place: Path) -> Entry:
    """Return a file on disk as an entry.

    Raises:
        InputError: It is not a file that can be read.
    """
    with reading(place.name):
        size = place.stat().st_size
    return Entry(PurePosixPath(clean(place.name)), size, _file_opener(place))


def label_of(name: str) -> str:
    """Return how a report may call a file.

    A table keeps its name without a member's id; anything else (pages named for their
    authors, attachments named by people) is called by its kind alone.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in {".csv", ".xml", ".parquet", ".jsonl", ".ndjson"}:
        return _MEMBER_SUFFIX.sub("_*", clean(name))
    return f"*{suffix}" if _PLAIN_SUFFIX.fullmatch(suffix) else "other files"


def clean(name: str) -> str:
    """Return a name as NFC text that can be written: undecodable bytes become `?`."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever a foreign reader raises for bad bytes into an `InputError`.

    Args:
        what: The file, as a report may call it.

    Raises:
        InputError: Anything that zipfile, zlib, csv, a codec or the disk objected to.
    """
    try:
        yield
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        struct.error,
        csv.Error,
        EOFError,
        NotImplementedError,  # a compression that zipfile does not know
        RuntimeError,  # what zipfile makes of flags that it does not know
        OSError,
        ValueError,
        LookupError,
        OverflowError,
    ) as error:
        raise InputError(
            f"'{what}' cannot be read ({type(error).__name__})",
            hint="ask for the export again, or leave the file out",
            file=what,
        ) from error


@contextlib.contextmanager
def open_archive(src: Path) -> Iterator[Archive]:
    """Open a zip or a folder.

    Raises:
        InputError: Neither of them, damaged, encrypted, too large or too dense, with
            overlapping entries, or with two entries of one name.
    """
    if src.is_dir():
        yield _folder(src)
        return
    with contextlib.ExitStack() as stack:
        with reading(src.name):
            file = stack.enter_context(src.open("rb"))
            directory_bytes = _directory_bytes(file)
        if directory_bytes is None:
            raise InputError(f"'{src.name}' is not a zip archive", hint="give a zip or a folder")
        if directory_bytes > MAX_DIRECTORY_BYTES:
            raise _refused(src, "its directory is too long", MAX_DIRECTORY_BYTES, "bytes")
        with reading(src.name):
            bundle = stack.enter_context(zipfile.ZipFile(file))
        yield _zip(src, bundle)


def _directory_bytes(file: BinaryIO) -> int | None:
    """Return the length of the central directory, found as `zipfile` finds it.

    `zipfile` loads it whole when it opens, so its length is looked at before.
    """
    size = file.seek(0, os.SEEK_END)
    if size < _END_BYTES:
        return None
    start = max(0, size - _END_BYTES - _COMMENT_BYTES)
    file.seek(start)
    tail = file.read()
    at = len(tail) - _END_BYTES
    if not (tail.startswith(b"PK\5\6", at) and tail.endswith(b"\0\0")):
        at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END_BYTES > len(tail):
        return None
    length: int = struct.unpack_from("<L", tail, at + 12)[0]
    locator = start + at - _LOCATOR_BYTES
    if locator >= _END64_BYTES:
        file.seek(locator - _END64_BYTES)
        both = file.read(_END64_BYTES + _LOCATOR_BYTES)
        if both[_END64_BYTES:].startswith(b"PK\6\7"):
            length = max(length, struct.unpack_from("<Q", both, 40)[0])
    return length


def _zip(src: Path, bundle: zipfile.ZipFile) -> Archive:
    infos = [info for info in bundle.infolist() if not info.filename.endswith("/")]
    _check_size(src, infos)
    _check_overlap(src, bundle)
    entries: dict[PurePosixPath, Entry] = {}
    passed: list[tuple[str, str]] = []
    for info in infos:
        path = PurePosixPath(clean(info.filename.replace("\\", "/")))
        why = _not_a_file(path, info.external_attr >> 16)
        if why:
            passed.append((label_of(path.name), why))
            continue
        if path in entries:
            raise InputError(
                f"'{src.name}' has two entries of the name '{label_of(path.name)}'",
                hint="ask for the export again",
            )
        entries[path] = Entry(path, info.file_size, _opener(bundle, info))
    return Archive(tuple(entries[path] for path in sorted(entries)), tuple(passed))


def _opener(bundle: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        if info.flag_bits & _ENCRYPTED:
            raise InputError(
                f"'{label_of(PurePosixPath(info.filename).name)}' is encrypted",
                hint="unpack the archive with its password and give the folder",
            )
        if info.compress_type not in METHODS:
            raise NotImplementedError
        return cast("BinaryIO", bundle.open(info))

    return opened


def _check_size(src: Path, infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MAX_ENTRIES:
        raise _refused(src, "it has too many entries", MAX_ENTRIES, "entries")
    total = 0
    for info in infos:
        total += info.file_size
        dense = info.file_size > MAX_RATIO * max(1, info.compress_size)
        if dense and info.file_size > RATIO_FLOOR_BYTES:
            raise _refused(src, "an entry is too dense", MAX_RATIO, "to one")
    if total > MAX_TOTAL_BYTES:
        raise _refused(src, "it would unpack to too much", MAX_TOTAL_BYTES, "bytes")


def _check_overlap(src: Path, bundle: zipfile.ZipFile) -> None:
    """Refuse entries that share bytes: that is how small archives unpack to petabytes.

    Source: D. Fifield, "A better zip bomb", WOOT 2019.
    """
    spans = sorted(
        (info.header_offset, info.header_offset + LOCAL_HEADER_BYTES + info.compress_size)
        for info in bundle.infolist()
    )
    ends_at = 0
    for start, end in [*spans, (bundle.start_dir, bundle.start_dir)]:
        if start < ends_at:
            raise InputError(
                f"'{src.name}' has entries that overlap", hint="ask for the export again"
            )
        ends_at = end


def _folder(src: Path) -> Archive:
    entries: list[Entry] = []
    passed: list[tuple[str, str]] = []
    total = 0
    with reading(src.name):
        for folder, folders, names in os.walk(src, onerror=_raise):
            folders.sort()
            for name in sorted(names + [inner for inner in folders if _is_link(folder, inner)]):
                place = Path(folder) / name
                path = PurePosixPath(clean(place.relative_to(src).as_posix()))
                state = place.lstat()
                why = _not_a_file(path, state.st_mode)
                if why:
                    passed.append((label_of(path.name), why))
                    continue
                total += state.st_size
                entries.append(Entry(path, state.st_size, _file_opener(place)))
                if len(entries) > MAX_ENTRIES:
                    raise _refused(src, "it has too many files", MAX_ENTRIES, "files")
    if total > MAX_TOTAL_BYTES:
        raise _refused(src, "it is too large", MAX_TOTAL_BYTES, "bytes")
    return Archive(tuple(sorted(entries, key=lambda entry: entry.path)), tuple(passed))


def _file_opener(place: Path) -> Callable[[], BinaryIO]:
    return lambda: cast("BinaryIO", io.BufferedReader(io.FileIO(place)))


def _is_link(folder: str, name: str) -> bool:
    return (Path(folder) / name).is_symlink()


def _raise(error: OSError) -> None:
    raise error


def _not_a_file(path: PurePosixPath, mode: int) -> str:
    """Return why a path is passed over, or nothing."""
    if not path.name:
        return "without a name"
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", str(path)):
        return OUTSIDE
    if stat.S_IFMT(mode) and not stat.S_ISREG(mode):
        return LINK if stat.S_ISLNK(mode) else "not a file"
    if (
        "__MACOSX" in path.parts
        or path.name.startswith("._")
        or path.name in {".DS_Store", "Thumbs.db", "desktop.ini"}
    ):
        return MADE_BY_SYSTEM
    return ""


def _refused(src: Path, why: str, limit: int, unit: str) -> InputError:
    return InputError(
        f"'{src.name}' is refused: {why} (the limit is {limit:,} {unit})",
        hint="unpack it yourself and give the folder, if you trust it",
        limit=limit,
    )
