"""Reading a finished snapshot: as a dataset to train on, or as tables to compare.

Promises: what is read is what the manifest lists, less what was erased since; a file that
differs stops the reading.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.errors import IntegrityError, UnavailableError
from sayso.snapshot.manifest import Bucket, load_manifest
from sayso.snapshot.notes import (
    Steps,
    need_records,
    read_notes,
    standing_digests,
    unfinished,
    visiting,
)
from sayso.snapshot.seal import BUCKET_SCHEMA
from sayso.tables import sha256_of

if TYPE_CHECKING:
    import datasets


def verified_buckets(snapshot: Path) -> Iterator[tuple[int, Path, Bucket]]:
    """Yield every bucket file of a snapshot after comparing its digest.

    Raises:
        InputError: There is no finished snapshot, or retention deleted its records.
        IntegrityError: A file is missing, unlisted or differs.
    """
    manifest = load_manifest(snapshot)
    need_records(snapshot, manifest)
    listed = {bucket.file for bucket in manifest.buckets.values()}
    present = {path.relative_to(snapshot).as_posix() for path in (snapshot / "records").glob("*")}
    if odd := sorted(listed ^ present):
        raise IntegrityError(f"'{odd[0]}' and the manifest disagree on which files there are")
    with visiting(snapshot, alone=False):
        steps = read_notes(snapshot)
        for number, bucket in manifest.buckets.items():
            yield int(number), verified_file(snapshot, bucket, steps), bucket


def verified_file(snapshot: Path, bucket: Bucket, steps: Steps) -> Path:
    """Return the file of a bucket after comparing its digest.

    Args:
        snapshot: The folder.
        bucket: As the manifest lists it.
        steps: What erasures replaced, of `read_notes`.

    Raises:
        IntegrityError: It is missing or differs.
    """
    path = snapshot / bucket.file
    digest = sha256_of((path,)) if path.is_file() else ""
    ends, before = standing_digests(bucket.file, bucket.sha256, steps)
    if digest in before:
        raise unfinished(bucket.file)
    if digest not in ends:
        raise IntegrityError(f"'{bucket.file}' is not the file that the manifest lists")
    return path


def load_records(snapshot: Path) -> pa.Table:
    """Return all records of a snapshot as one table, in the order of buckets and tags.

    What was erased is not among them: of it the files hold tag and digest alone.
    """
    tables = [pq.read_table(path) for _, path, _ in verified_buckets(snapshot)]
    table = pa.concat_tables(tables) if tables else BUCKET_SCHEMA.empty_table()
    gone = table["member_id"].null_count
    return table.filter(pc.is_valid(table["member_id"])) if gone else table


def load_dataset(snapshot: Path | str) -> "datasets.Dataset":
    """Return a snapshot as a `datasets.Dataset`, after checking its files.

    Raises:
        InputError: There is no finished snapshot.
        IntegrityError: A file differs from the manifest.
        UnavailableError: The extra `train` is not installed.
    """
    try:
        import datasets  # noqa: PLC0415
    except ImportError:
        raise UnavailableError(
            "the package 'datasets' is not installed", hint="install sayso[train]"
        ) from None
    return datasets.Dataset(load_records(Path(snapshot)))


def circumstances(snapshot: Path, name: str) -> Path | None:
    """Return the path of an input that `evidence/build.json` remembers."""
    try:
        value = json.loads((snapshot / "evidence" / "build.json").read_bytes()).get(name)
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return Path(value) if isinstance(value, str) else None
