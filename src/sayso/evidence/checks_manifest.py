"""Checks of a snapshot's manifest and of the files that it lists.

Promises: what `sayso.snapshot.manifest` refuses is refused here, without the libraries that it
needs; a file has the digest that the manifest lists, or the one that a signed erasure put in
its place; leaves lead to roots and roots to the root. Reads Parquet only where a reader is
installed, and says so where none is.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sayso.attest.shape import fields, instant, map_of, number, refuse, sha256, word
from sayso.canonical import encode, parse_canonical
from sayso.errors import IntegrityError
from sayso.evidence.case import Case
from sayso.evidence.checks import NotMadeError, count, short
from sayso.evidence.files import digest_of
from sayso.evidence.layout import LEAVES, MANIFEST, RETENTION, STANDING, matching
from sayso.evidence.merkle_proofs import BLOCK_BYTES, LEAF_BYTES, root_of_leaves
from sayso.log.merkle import root_of

FORMAT = "sayso/snapshot/v1"
BUCKETS = 1024
_BUCKET = re.compile("[0-9]{4}", re.ASCII)


def check_manifest(case: Case) -> str:
    """Check that the manifest has its form and agrees with itself."""
    raw = case.files.read(MANIFEST)
    value = parse_manifest(raw)
    case.manifest, case.manifest_digest = value, hashlib.sha256(raw).hexdigest()
    counts = value["counts"]
    return (
        f"The manifest {short(case.manifest_digest)} is in its one form and agrees with itself. "
        f"The question was '{value['purpose']}' at {value['at']}, knowing the first "
        f"{count(value['known'], 'entry', 'entries')} of the ledger. Of "
        f"{count(counts['records_in'], 'record')}, {counts['admitted']:,} were admitted under "
        f"rulebook {short(value['rulebook']['digest'])} and {sum(counts['refused'].values()):,} "
        "refused, each counted once by its first reason; this adds up in total and "
        f"for {count(len(value['by_country']), 'country', 'countries')}."
    )


def parse_manifest(unverified: bytes) -> dict[str, Any]:
    """Return the manifest whose canonical bytes are exactly `unverified`.

    Raises:
        InputError: It is no manifest.
        IntegrityError: It is not in canonical form, or disagrees with itself.
    """
    parsed: Any = parse_canonical(unverified)
    _MANIFEST(parsed, "manifest")
    value: dict[str, Any] = parsed
    parts = value["by_country"].values()
    for where, one in (("", value["counts"]), *value["by_country"].items()):
        if one["records_in"] != one["admitted"] + sum(one["refused"].values()):
            told = f" of '{where}'" if where else ""
            raise _disagrees(f"the records{told} are not those admitted and those refused")
    if value["counts"]["records_in"] != sum(one["records_in"] for one in parts):
        raise _disagrees("the countries do not add up to the total")
    if value["counts"]["admitted"] != sum(one["rows"] for one in value["buckets"].values()):
        raise _disagrees("the buckets do not add up to what was admitted")
    if value["log"]["size"] != value["known"]:
        raise _disagrees("the log is pinned at another size than known")
    for name, one in value["buckets"].items():
        if not _BUCKET.fullmatch(name):
            refuse("manifest.buckets", "names of four digits")
        if int(name) >= BUCKETS or one["file"] != f"records/bucket-{name}.parquet":
            raise _disagrees(f"the file of bucket {name} is another's")
    leaves = [
        encode("sayso/bucket/v1", name, one["rows"], one["root"])
        for name, one in value["buckets"].items()
    ]
    if root_of(leaves).hex() != value["root"]:
        raise _disagrees("the roots of the buckets do not lead to the root")
    return value


def _disagrees(why: str) -> IntegrityError:
    return IntegrityError(f"the manifest disagrees with itself: {why}")


def check_digests(case: Case) -> str:
    """Check that every listed file is the one that was listed."""
    manifest, names = case.need_manifest, case.files.names
    listed = dict(manifest["files"])
    expired = RETENTION in names
    if not expired:
        listed |= {one["file"]: one["sha256"] for one in manifest["buckets"].values()}
    checked = [name for name in sorted(listed) if name in names]
    for name in checked:
        expected = case.replaced.get(name, frozenset({listed[name]}))
        if digest_of(case.files, name) not in expected:
            told = "that the last erasure left" if name in case.replaced else "the manifest lists"
            raise IntegrityError(f"'{name}' is not the file that {told}", name=name)
    if expired:
        raise NotMadeError(
            f"the {count(len(manifest['buckets']), 'file')} of records were deleted, as the signed "
            "note says. The other "
            f"{count(len(checked), 'file')} are those that the manifest lists."
        )
    if not checked:
        raise NotMadeError("none of the files that the manifest lists is in this pack.")
    replaced = sum(name in case.replaced for name in checked)
    told = f", or what an erasure left in its place ({replaced:,})" if replaced else ""
    return (
        f"{count(len(checked), 'file')} here of the {len(listed):,} that the manifest lists: each "
        f"is the listed one, to the last bit{told}."
    )


def check_leaves(case: Case) -> str:
    """Check that the records lead to the roots in the manifest."""
    manifest = case.need_manifest
    inside = {match["bucket"]: match[0] for match in matching(case.files.names, LEAVES)}
    rows = 0
    if inside:
        for bucket, name in inside.items():
            blocks = case.files.blocks(name, BLOCK_BYTES)
            rows += _check_bucket(manifest, bucket, blocks)
        how = "as plain bytes"
        buckets = inside.keys()
    else:
        buckets = manifest["buckets"].keys()
        for bucket in buckets:
            name = manifest["buckets"][bucket]["file"]
            rows += _check_bucket(manifest, bucket, _columns(case, name))
        how = "read from the records' files"
    return (
        f"The leaves of {count(rows, 'record')} in {len(buckets):,} of the "
        f"{count(len(manifest['buckets']), 'bucket')}, {how}, are in order, none stands twice, "
        "and they lead to the roots in the manifest: no record was added, taken away or moved."
    )


def _check_bucket(manifest: Mapping[str, Any], bucket: str, blocks: Iterator[bytes]) -> int:
    listed = manifest["buckets"].get(bucket)
    if listed is None:
        raise IntegrityError(f"the manifest lists no bucket {bucket}")
    rows, root = _rooted(blocks, f"bucket {bucket}")
    if rows != listed["rows"]:
        raise IntegrityError(f"bucket {bucket} has {rows} leaves and the manifest {listed['rows']}")
    if root.hex() != listed["root"]:
        raise IntegrityError(f"the leaves of bucket {bucket} do not lead to its root")
    return rows


def _rooted(blocks: Iterator[bytes], where: str) -> tuple[int, bytes]:
    try:
        return root_of_leaves(blocks)
    except IntegrityError as error:
        raise IntegrityError(f"{where}: {error.message}") from error


def _columns(case: Case, name: str) -> Iterator[bytes]:
    """Yield the leaves in a Parquet file, in blocks.

    Raises:
        NotMadeError: No reader is installed.
    """
    path = case.files.where(name)
    if name not in case.files.names or path is None:
        raise NotMadeError("the records are not here, so that their leaves cannot be read.")
    try:
        import pyarrow as pa  # noqa: PLC0415  only where there is one
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise NotMadeError(
            "no reader of Parquet is installed here (pyarrow), so that only the digests of the "
            "records' files were checked and not the leaves inside."
        ) from None
    try:
        table = pq.read_table(path, columns=["tag", "digest"])
        tags, digests = (table[column].to_pylist() for column in ("tag", "digest"))
        joined = b"".join(tag + digest for tag, digest in zip(tags, digests, strict=True))
    except (pa.ArrowException, OSError, KeyError, TypeError):
        raise IntegrityError(f"'{name}' holds no tags and digests", name=name) from None
    for at in range(0, len(joined), BLOCK_BYTES):
        yield joined[at : at + BLOCK_BYTES]


def check_standing(case: Case) -> str:
    """Check that the members' standings lead to the root in the manifest."""
    pinned = case.need_manifest["standing"]
    rows, root = _rooted(case.files.blocks(STANDING, BLOCK_BYTES), "the standings")
    if rows != pinned["rows"] or root.hex() != pinned["root"]:
        raise IntegrityError("the members' standings are not those that the manifest pins")
    return (
        f"The standings of {count(rows, 'member')}, {LEAF_BYTES} bytes each, are in order, none "
        f"stands twice, and they lead to the root {short(pinned['root'])} in the manifest: so it "
        "can be shown of any member what was held about them, or that nothing was."
    )


def _text(value: object, where: str) -> None:
    if not isinstance(value, str):
        refuse(where, "text")


def _whole(value: object, where: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(where, "a whole number")


_COUNTS = fields(
    {
        "records_in": number,
        "admitted": number,
        "refused": map_of(number),
        "reasons": map_of(number),
    }
)
_MANIFEST = fields(
    {
        "format": word(FORMAT),
        "purpose": _text,
        "at": instant,
        "known": number,
        "log": fields({"origin": _text, "size": number, "root": sha256}),
        "rulebook": fields({"digest": sha256, "entry": number}),
        "versions": fields({"semantics": _whole, "tzdata": _text}),
        "inputs": map_of(fields({"name": _text, "sha256": sha256, "rows": number})),
        "counts": _COUNTS,
        "by_country": map_of(_COUNTS),
        "standing": fields({"rows": number, "root": sha256}),
        "buckets": map_of(
            fields({"file": _text, "rows": number, "root": sha256, "sha256": sha256})
        ),
        "files": map_of(sha256),
        "root": sha256,
    }
)
