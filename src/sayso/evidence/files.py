"""Where evidence lies: in a folder or in a pack, read alike.

Promises: names are those inside, with '/'; nothing outside is ever read, no link is followed,
and nothing that is not an ordinary file is passed over. Large files are read in blocks. Does
not judge what a name means (`sayso.evidence.layout`).
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from sayso.errors import InputError, IntegrityError, UnavailableError

T = TypeVar("T")

# No file of JSON, proofs or notes is longer.
MAX_READ_BYTES = 256 << 20
BLOCK_BYTES = 1 << 22


class Files(Protocol):
    """Some files by name."""

    names: frozenset[str]

    def read(self, name: str) -> bytes:
        """Return the bytes of a file; as `blocks` raises."""

    def blocks(self, name: str, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the bytes of a file, `size` at a time.

        Raises:
            IntegrityError: There is no such file.
            UnavailableError: It cannot be read.
        """

    def where(self, name: str) -> Path | None:
        """Return where other libraries find the file; None where it lies in no folder."""


def digest_of(files: Files, name: str) -> str:
    """Return the SHA-256 of a file in hex."""
    found = hashlib.sha256()
    for block in files.blocks(name):
        found.update(block)
    return found.hexdigest()


def missing(name: str) -> IntegrityError:
    """Return what to say of a file that is not there."""
    return IntegrityError(f"'{name}' is missing", hint="fetch all of it again", name=name)


class Slices(Mapping[str, bytes]):
    """Files that are parts of one piece of memory; each is copied where it is asked for."""

    def __init__(self, parts: Mapping[str, memoryview]) -> None:
        self._parts = dict(parts)

    def __getitem__(self, name: str) -> bytes:
        return bytes(self._parts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def part(self, name: str) -> memoryview:
        """Return a file without copying it. Raises KeyError as a mapping does."""
        return self._parts[name]


class PackFiles:
    """The files of a pack, in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.names = frozenset(files)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        if name not in self._files:
            raise missing(name)
        return self._files[name]

    def blocks(self, name: str, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the bytes of a file, `size` at a time."""
        if name not in self._files:
            raise missing(name)
        known = self._files
        data = known.part(name) if isinstance(known, Slices) else memoryview(known[name])
        for at in range(0, len(data), size):
            yield bytes(data[at : at + size])

    def where(self, name: str) -> Path | None:  # noqa: ARG002  the protocol's
        """Return None: they lie in no folder."""
        return None


class FolderFiles:
    """The files of a folder and of the folders in it.

    Raises:
        IntegrityError: Something in it is no ordinary file, or has a name that is no text.
        UnavailableError: It cannot be listed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names = frozenset(_told(lambda: list(_listed(os.fspath(folder), "")), folder.name))

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        data = b"".join(self.blocks(name, MAX_READ_BYTES + 1))
        if len(data) > MAX_READ_BYTES:
            raise InputError(f"'{name}' is longer than any such file", hint="fetch it again")
        return data

    def blocks(self, name: str, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the bytes of a file, `size` at a time."""
        if name not in self.names:
            raise missing(name)
        file = _told(lambda: self._opened(name), name)
        with file:
            while block := _told(lambda: file.read(size), name):
                yield block

    def where(self, name: str) -> Path | None:
        """Return where the file lies."""
        return self._folder / name

    def _opened(self, name: str) -> BinaryIO:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self._folder / name, flags), "rb")


def _listed(folder: str, prefix: str) -> Iterator[str]:
    """Yield the name of every file in a folder and below."""
    with os.scandir(folder) as found:
        for one in found:
            name = prefix + one.name
            mode = one.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _listed(one.path, f"{name}/")
            elif stat.S_ISREG(mode) and _is_text(name):
                yield name
            else:
                raise IntegrityError(f"{name!a} is no ordinary file", hint="remove it")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _told(work: Callable[[], T], name: str) -> T:
    """Return what `work` returns; say it in our words where the system refuses."""
    try:
        return work()
    except FileNotFoundError:
        raise missing(name) from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UnavailableError(f"'{name}' cannot be read: {reason}") from None
