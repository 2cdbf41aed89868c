"""Reading a finished snapshot: as a dataset to train on, or as tables to compare.

Promises: what is read is what the manifest lists; a file that differs stops the reading.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sayso.errors import IntegrityError, UnavailableError
from sayso.snapshot.manifest import Bucket, load_manifest
from sayso.snapshot.seal import BUCKET_SCHEMA
from sayso.tables import sha256_of

if TYPE_CHECKING:
    import datasets


def verified_buckets(snapshot: Path) -> Iterator[tuple[int, Path, Bucket]]:
    """Yield every bucket file of a snapshot after comparing its digest.

    Raises:
        InputError: There is no finished snapshot.
        IntegrityError: A file is missing, unlisted or differs.
    """
    manifest = load_manifest(snapshot)
    listed = {bucket.file for bucket in manifest.buckets.values()}
    present = {path.relative_to(snapshot).as_posix() for path in (snapshot / "records").glob("*")}
    if odd := sorted(listed ^ present):
        raise IntegrityError(f"'{odd[0]}' and the manifest disagree on which files there are")
    for number, bucket in manifest.buckets.items():
        yield int(number), verified_file(snapshot, bucket), bucket


def verified_file(snapshot: Path, bucket: Bucket) -> Path:
    """Return the file of a bucket after comparing its digest.

    Raises:
        IntegrityError: It is missing or differs.
    """
    path = snapshot / bucket.file
    if not path.is_file() or sha256_of((path,)) != bucket.sha256:
        raise IntegrityError(f"'{bucket.file}' is not the file that the manifest lists")
    return path


def load_records(snapshot: Path) -> pa.Table:
    """Return all records of a snapshot as one table, in the order of buckets and tags."""
    tables = [pq.read_table(path) for _, path, _ in verified_buckets(snapshot)]
    return pa.concat_tables(tables) if tables else BUCKET_SCHEMA.empty_table()


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
    except (OSError, ValueError):
        return None
    return Path(value) if isinstance(value, str) else None
