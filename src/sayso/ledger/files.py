"""Files of the ledger: those being made, those written anew, and those that nobody lists.

Promises: a file that is listed never changes; what replaces it has another name. A working
file is swept away only where nobody works. Does not know what is listed: callers say so.
"""

import fcntl
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sayso.tables import flush, sha256_of

Places = npt.NDArray[np.int64]


# ---- making and sweeping ----------------------------------------------------------------


@contextmanager
def working(folder: Path) -> Iterator[None]:
    """Hold a folder while working files stand in it, so that nobody sweeps them away."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_worked_in(folder: Path) -> bool:
    """Whether somebody makes a file in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@dataclass(frozen=True, slots=True)
class Swept:
    """What was swept away.

    Attributes:
        names: Files that were deleted, as `folder/name`.
        is_complete: Whether nobody worked there, so that nothing was left.
    """

    names: tuple[str, ...]
    is_complete: bool


def sweep(folder: Path, listed: Collection[str]) -> Swept:
    """Delete the files of a folder that nobody lists; only inside `Ledger.writing`.

    Files get their name inside `Ledger.writing` too, so that one with a name and no listing
    was left by a crash. Working files (`.*.tmp`) may be somebody's.
    """
    if not folder.is_dir():
        return Swept((), is_complete=True)
    left = sorted(path for path in folder.iterdir() if path.name not in listed)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        is_complete = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_complete = False
            left = [path for path in left if not path.name.startswith(".")]
        for path in left:
            path.unlink(missing_ok=True)
        if left:
            flush(folder)
    finally:
        os.close(descriptor)
    return Swept(tuple(f"{folder.name}/{path.name}" for path in left), is_complete)


def remove(paths: Collection[Path]) -> None:
    """Delete files, where they still are, and have the disk hold that."""
    for path in paths:
        with suppress(FileNotFoundError):
            path.unlink()
    for folder in {path.parent for path in paths}:
        flush(folder)


# ---- writing anew -----------------------------------------------------------------------


def next_name(path: Path) -> str:
    """Return the name of what replaces a file: `name.e1.parquet`, then `name.e2.parquet`."""
    bare, number = path.stem, 0
    if told := re.fullmatch(r"(.+)\.e(\d+)", path.stem):
        bare, number = told[1], int(told[2])
    while True:
        number += 1
        name = f"{bare}.e{number}{path.suffix}"
        if not path.with_name(name).exists():
            return name


def blank_rows(
    source: Path,
    target: Path,
    places: Places,
    kept: Collection[str],
    commitments: Sequence[bytes] | None = None,
) -> str:
    """Write a Parquet file anew with some of its rows null; return its SHA-256 in hex.

    Args:
        source: The file; row groups are read one at a time.
        target: Where to; flushed when this returns.
        places: Numbers of the rows, in order, from 0.
        kept: Columns that keep their values in these rows too.
        commitments: For the column `commitment`, one for each place; None leaves it as
            `kept` says.
    """
    with pq.ParquetFile(source) as file:
        # A column that was never null becomes one that may be.
        shape = pa.schema([one.with_nullable(True) for one in file.schema_arrow])
        with pq.ParquetWriter(target, shape, compression="snappy", store_schema=False) as out:
            begin = 0
            for number in range(file.num_row_groups):
                group = file.read_row_group(number).cast(shape)
                low, high = np.searchsorted(places, [begin, begin + group.num_rows])
                own = None if commitments is None else commitments[low:high]
                out.write_table(_blanked(group, places[low:high] - begin, kept, own))
                begin += group.num_rows
    flush(target)
    return sha256_of((target,))


def _blanked(
    group: pa.Table, places: Places, kept: Collection[str], commitments: Sequence[bytes] | None
) -> pa.Table:
    if not len(places):
        return group
    flags = np.zeros(group.num_rows, np.bool_)
    flags[places] = True
    mask = pa.array(flags)
    for number, column in enumerate(group.schema):
        values = group.column(number).combine_chunks()
        if column.name == "commitment" and commitments is not None:
            made = pc.replace_with_mask(values, mask, pa.array(commitments, column.type))
        elif column.name in kept:
            continue
        else:
            made = pc.if_else(mask, pa.scalar(None, column.type), values)
        group = group.set_column(number, column, made)
    return group
