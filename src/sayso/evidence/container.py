"""The pack container: the evidence for one question, as one zip file in one form.

Promises: the same question, files, key and time give the same bytes, and a pack that is read
is the one that would be written from what was read, so that a bit that flips anywhere is
noticed. Entries are stored as they are, in the order of their names after the two that speak
of the pack itself; other tools open it. Written from files block by block; read into memory
once, so that what was checked is what is shown. Does not say whether what the files claim is true:
`sayso.evidence.verify` does.

    pack.json        what the pack is, its question, and the digest of every other file
    pack.dsse.json   who signed pack.json

Example:
    >>> key = SigningKey(bytes(32))
    >>> digest = write_pack(Path("a.pack"), "hold", {}, {"report.html": b"..."}, key, 0)
    ...                                                         # doctest: +SKIP
    >>> verify_pack(read_pack(Path("a.pack")), [key.public])    # doctest: +SKIP

Source: PKWARE APPNOTE 6.3.10, s4.3.7, s4.3.12 and s4.3.16.
"""

import hashlib
import os
import re
import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sayso.attest.dsse import STATEMENT_TYPE, parse_envelope, sign
from sayso.attest.keys import PublicKey, SigningKey
from sayso.attest.predicates import PACK, PACK_KINDS, anything
from sayso.attest.shape import fields, map_of, number, sha256, word
from sayso.attest.statements import pack_statement, verify_statement
from sayso.canonical import canonical_json, parse_canonical
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.evidence.files import BLOCK_BYTES, Slices

FORMAT = "sayso/pack/v1"
LISTING = "pack.json"
SIGNED = "pack.dsse.json"
# By what a stranger reads the files, in the versions that this one writes.
SPECIFICATIONS: Mapping[str, str] = {
    "checkpoints": "c2sp.org/tlog-checkpoint@v1",
    "cosignatures": "c2sp.org/tlog-cosignature@v1",
    "envelopes": "DSSE v1.0.0",
    "notes": "c2sp.org/signed-note@v1",
    "policies": "c2sp.org/tlog-policy",
    "proofs": "c2sp.org/tlog-proof@v1",
    "statements": "in-toto Statement v1",
    "tiles": "c2sp.org/tlog-tiles@v1",
    "trees": "RFC 6962",
}

# A zip without its 64-bit extension holds no more.
MAX_FILES = 65_000
MAX_PACK_BYTES = (1 << 32) - (1 << 26)
MAX_NAME_BYTES = 200

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*", re.ASCII)
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
# What every entry says: zip 2.0, stored, 1980-01-01 00:00, an ordinary file that all may read.
_VERSION, _DATE, _MODE = 20, 0x21, 0o100644 << 16
_UNIX = 3 << 8


@dataclass(frozen=True)
class Pack:
    """A pack whose bytes are in their one form; who signed it is not known yet.

    Attributes:
        kind: One of `sayso.attest.predicates.PACK_KINDS`.
        question: What was asked, as its kind writes it.
        created_us: When it was made, as its maker says; microseconds since 1970.
        files: Path -> bytes, without the two that speak of the pack itself.
        listing: The bytes of `pack.json`.
        signed: The bytes of `pack.dsse.json`.
    """

    kind: str
    question: Mapping[str, Any]
    created_us: int
    files: Mapping[str, bytes]
    listing: bytes
    signed: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of `pack.json`, in hex: it stands for the whole pack."""
        return hashlib.sha256(self.listing).hexdigest()


# ---- writing ----------------------------------------------------------------------------


def write_pack(
    path: Path,
    kind: str,
    question: Mapping[str, object],
    files: Mapping[str, bytes | Path],
    key: SigningKey,
    created_us: int,
) -> str:
    """Write a pack, durably, and return its digest.

    Args:
        path: Where; nothing stands there yet.
        kind: One of `PACK_KINDS`.
        question: What was asked; plain JSON without fractions.
        files: Path in the pack -> its bytes, or where they are.
        key: Who signs.
        created_us: When, in microseconds since 1970.

    Raises:
        InputError: A name, the kind or the question cannot stand in a pack, a file is
            missing, or they are too many or too large.
        ConflictError: Something stands at `path`.
    """
    entries = _with_listing(kind, question, files, key, created_us)
    if path.exists():
        raise ConflictError(f"'{path}' exists", hint="choose another name")
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as file:
            file.writelines(_parts(entries))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    listing = entries[LISTING].content
    assert isinstance(listing, bytes)  # noqa: S101  it was made here
    return hashlib.sha256(listing).hexdigest()


def pack_bytes(
    kind: str,
    question: Mapping[str, object],
    files: Mapping[str, bytes],
    key: SigningKey,
    created_us: int,
) -> bytes:
    """Return the bytes of a pack. As `write_pack`.

    Raises:
        InputError: As `write_pack`.
    """
    return b"".join(_parts(_with_listing(kind, question, files, key, created_us)))


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of a pack, with what its headers and the listing say of it."""

    content: bytes | memoryview | Path
    size_bytes: int
    crc32: int
    sha256: str


def _with_listing(
    kind: str,
    question: Mapping[str, object],
    files: Mapping[str, bytes | Path],
    key: SigningKey,
    created_us: int,
) -> dict[str, _Entry]:
    """Return the entries of a pack in their order, the two that speak of it first.

    Raises:
        InputError: As `write_pack`.
    """
    _check_names([LISTING, SIGNED, *files])
    measured = {name: _measured(files[name]) for name in sorted(files)}
    value = {
        "format": FORMAT,
        "kind": kind,
        "question": dict(question),
        "created_us": created_us,
        "specifications": dict(SPECIFICATIONS),
        "files": {name: one.sha256 for name, one in measured.items()},
    }
    try:
        listing = canonical_json(value)
    except (TypeError, ValueError):
        raise InputError("the question holds what JSON cannot", hint="give plain values") from None
    _parse_listing(listing)
    statement = pack_statement(hashlib.sha256(listing).hexdigest(), kind, created_us)
    signed = sign(STATEMENT_TYPE, statement, key).to_bytes()
    return {LISTING: _measured(listing), SIGNED: _measured(signed), **measured}


def _measured(content: bytes | memoryview | Path) -> _Entry:
    """Return a file with its size and digests; read block by block.

    Raises:
        InputError: It is missing.
    """
    size, crc, digest = 0, 0, hashlib.sha256()
    for block in _blocks(content):
        size += len(block)
        crc = zlib.crc32(block, crc)
        digest.update(block)
    return _Entry(content, size, crc, digest.hexdigest())


def _blocks(content: bytes | memoryview | Path) -> Iterator[bytes | memoryview]:
    if not isinstance(content, Path):
        yield content
        return
    try:
        with content.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except FileNotFoundError:
        raise InputError(f"'{content}' is missing", hint="name files that are there") from None


def _parts(entries: Mapping[str, _Entry]) -> Iterator[bytes | memoryview]:
    """Yield the one zip file with these entries in this order, piece by piece.

    Raises:
        InputError: They are too large for a pack.
        IntegrityError: A file changed while it was read.
    """
    central: list[bytes] = []
    at = 0
    for name, one in entries.items():
        raw, crc = name.encode(), 0
        shared = (0, 0, 0, _DATE, one.crc32, one.size_bytes, one.size_bytes, len(raw), 0)
        head = _LOCAL.pack(b"PK\3\4", _VERSION, *shared) + raw
        central.append(
            _CENTRAL.pack(b"PK\1\2", _UNIX | _VERSION, _VERSION, *shared, 0, 0, 0, _MODE, at) + raw
        )
        at += len(head) + one.size_bytes
        if at > MAX_PACK_BYTES:
            raise InputError(f"more than {MAX_PACK_BYTES} bytes", hint="ask a smaller question")
        yield head
        for block in _blocks(one.content):
            crc = zlib.crc32(block, crc)
            yield block
        if crc != one.crc32:
            raise IntegrityError(f"'{name}' changed while it was read", hint="make the pack again")
    index = b"".join(central)
    yield index
    yield _END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), len(index), at, 0)


def _zipped(entries: Mapping[str, bytes | memoryview]) -> bytes:
    """Return the one zip file with these entries in this order."""
    return b"".join(_parts({name: _measured(data) for name, data in entries.items()}))


def _is_zip_of(entries: Mapping[str, memoryview], unverified: memoryview) -> bool:
    """Whether bytes are the one zip file with these entries in this order."""
    at = 0
    for part in _parts({name: _measured(data) for name, data in entries.items()}):
        if unverified[at : at + len(part)] != part:
            return False
        at += len(part)
    return at == len(unverified)


# ---- reading ----------------------------------------------------------------------------


def read_pack(path: Path) -> Pack:
    """Return the pack in a file.

    Raises:
        InputError: It is missing, or no pack.
        IntegrityError: As `parse_pack`.
    """
    try:
        if path.stat().st_size > MAX_PACK_BYTES:
            raise InputError(f"'{path}' is too large for a pack", hint="is it another file?")
        return parse_pack(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"there is no pack at '{path}'", hint="name the file") from None


def parse_pack(unverified: bytes) -> Pack:
    """Return the pack whose bytes are exactly `unverified`.

    Raises:
        InputError: It is no pack, or holds what a pack cannot.
        IntegrityError: It is not in its one form, a file is missing, unlisted or has another
            digest than `pack.json` says.
    """
    view = memoryview(unverified)
    entries = _entries(view)
    if list(entries)[:2] != [LISTING, SIGNED]:
        raise InputError("it is no pack", hint=f"its first entries are not {LISTING} and {SIGNED}")
    if not _is_zip_of(dict(sorted(entries.items(), key=_place)), view):
        raise IntegrityError(
            "the zip file is not in the form of a pack", hint="fetch it again, as it was published"
        )
    listing, signed = bytes(entries.pop(LISTING)), bytes(entries.pop(SIGNED))
    value = _parse_listing(listing)
    listed: Mapping[str, str] = value["files"]
    for name in sorted(listed.keys() ^ entries.keys()):
        where = "listed and missing" if name in listed else "there and not listed"
        raise IntegrityError(
            f"the file '{name}' is {where}", hint="fetch the pack again", name=name
        )
    for name, data in entries.items():
        if hashlib.sha256(data).hexdigest() != listed[name]:
            raise IntegrityError(f"the file '{name}' is not the one that was listed", name=name)
    files = Slices(entries)
    return Pack(value["kind"], value["question"], value["created_us"], files, listing, signed)


def verify_pack(unverified: Pack, public_keys: Iterable[PublicKey]) -> None:
    """Return where one of `public_keys` alone signed the pack.

    Raises:
        InputError: It holds another statement.
        IntegrityError: None of them did, another signed too, or what was signed is of
            another pack.
    """
    keys = list(public_keys)
    found = verify_statement(unverified.signed, keys)
    if len(parse_envelope(unverified.signed).signatures) != 1:
        # A second signature that nobody can check could change unseen.
        raise IntegrityError("the pack has more than one signature")
    said = {"kind": unverified.kind, "created_us": unverified.created_us}
    if (found.predicate_type, found.subjects, found.predicate) != (
        PACK, {LISTING: unverified.digest}, said,
    ):  # fmt: skip
        raise IntegrityError("the signed statement is that of another pack")


def _place(entry: tuple[str, memoryview]) -> tuple[int, str]:
    """Sort the two that speak of the pack before all others."""
    order = {LISTING: 0, SIGNED: 1}
    return order.get(entry[0], 2), entry[0]


def _entries(unverified: memoryview) -> dict[str, memoryview]:
    """Return the entries as their headers tell, from the first byte on.

    What the headers say beyond name and length is not read: it is written anew and compared.
    """
    entries: dict[str, memoryview] = {}
    at = 0
    while bytes(unverified[at : at + 4]) == b"PK\3\4":
        if len(entries) == MAX_FILES or len(unverified) < at + _LOCAL.size:
            raise InputError("it is no pack", hint="it has too many entries, or is cut off")
        *_, size, name_bytes, _extra = _LOCAL.unpack_from(unverified, at)
        start = at + _LOCAL.size + name_bytes
        if name_bytes > MAX_NAME_BYTES or start + size > len(unverified):
            raise InputError("it is no pack", hint="an entry is longer than the file")
        name = bytes(unverified[at + _LOCAL.size : start]).decode("ascii", "replace")
        if name in entries:
            raise IntegrityError(f"{name[:60]!r} stands twice in the pack")
        entries[name] = unverified[start : start + size]
        at = start + size
    if not entries:
        raise InputError("it is no pack", hint="give the zip file that 'sayso pack' wrote")
    _check_names(entries)
    return entries


def _check_names(names: Iterable[str]) -> None:
    """Check that every system can unpack these names, and none outside the folder.

    Raises:
        InputError: One cannot stand in a pack.
    """
    folded: set[str] = set()
    count = 0
    for name in names:
        count += 1
        if len(name) > MAX_NAME_BYTES or not _NAME.fullmatch(name):
            raise InputError(
                f"{name[:60]!r} cannot stand in a pack",
                hint="write letters, digits, '-', '_', '.' and '/', no part beginning with '.'",
            )
        if name.lower() in folded:
            raise InputError(f"{name!r} stands twice in the pack", hint="name each file once")
        folded.add(name.lower())
    if count > MAX_FILES:
        raise InputError(f"a pack of {count} files", hint=f"at most {MAX_FILES} go")


def _parse_listing(unverified: bytes) -> dict[str, Any]:
    value: Any = parse_canonical(unverified)
    _LISTING(value, LISTING)
    if value["specifications"] != SPECIFICATIONS:
        raise InputError(
            "the pack was written to other specifications", hint="use the verifier of its version"
        )
    return dict(value)


_LISTING = fields(
    {
        "format": word(FORMAT),
        "kind": word(*PACK_KINDS),
        "question": anything,
        "created_us": number,
        "specifications": anything,
        "files": map_of(sha256),
    }
)
