"""Spark as an engine: the masks of `sayso.decision.many`, made by the tasks of a cluster.

Promises: holds no policy and no second reading of a column. Tasks read their part of the
content with the SQL of `sayso.decision.content`, classify it and look cells up with
`batch_masks`; Spark hands out the parts and joins records with members and with repeated
ids. Words never go through a join: what is shuffled, and may be spilled to a disk, are ids
and numbers, and the task that decides reads the words again. Does not write snapshots; see
`sayso.snapshot.spark`.

A task reads the content under the path that the driver has, so it must be the same for all.

Example:
    >>> spark = open_session()                          # doctest: +SKIP
    >>> decide_many_in(spark, Path("content.parquet"), states)   # doctest: +SKIP
"""

import re
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sayso.decision.cells import Profile
from sayso.decision.content import CODES, TIMES, content_columns
from sayso.decision.many import BATCH_ROWS, Decisions, Masks, batch_masks
from sayso.decision.repeated import repeated_ids
from sayso.decision.states import MemberStates
from sayso.errors import InputError, IntegrityError, UnavailableError
from sayso.model import Rulebook
from sayso.rulebook.in_force import InForce
from sayso.tables import Table, connect, open_table, reading

# PySpark's own types, which are there only with the extra.
Session: TypeAlias = Any
Frame: TypeAlias = Any

# Records of one part of a Parquet file; a text file has no index and is one part.
PART_ROWS = 1 << 20

# A session on this machine speaks to itself alone, unless Spark's own settings say otherwise.
_ALONE = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# What PySpark runs tasks with where nobody said otherwise.
_ANY_PYTHON = "python3"

_COLUMNS = ("record_id", "member_id", *CODES, *TIMES, "mentions", "licence", "text")

# What stands beside the content in every batch of a task: where the record is, whether its id
# is null or repeated, and what its member's row says (0 and -1 where there is none).
JOINED = pa.schema(
    [
        ("part", pa.int32()),
        ("row", pa.int64()),
        ("repeated", pa.bool_()),
        ("state", pa.int64()),
        ("bucket", pa.int16()),
        ("member", pa.int32()),
    ]
)

Batches: TypeAlias = Iterator[pa.RecordBatch]
# From a batch of content with JOINED and its masks to what a task gives back.
Task: TypeAlias = Callable[[pa.RecordBatch, Masks, MemberStates], pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `first` until `last` of one Parquet file, or a text file without bounds."""

    path: str
    first: int = 0
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """Content as tasks read it: as the driver would.

    Attributes:
        types: Column -> DuckDB type, of all files together.
        integer_ids: Whether member ids are compared as 64-bit integers.
        words: Whether licence and text are read as well.
    """

    types: dict[str, str]
    parts: tuple[Part, ...]
    integer_ids: bool
    words: bool

    def batches(self, number: int) -> Batches:
        """Yield the records of one part, in their order.

        Raises:
            InputError: The file cannot be read.
        """
        part = self.parts[number]
        with connect(threads=1) as con, reading(part.path):
            table = self._table(con, part)
            columns = content_columns(table, integer_ids=self.integer_ids)
            if self.words:
                columns += f", {table.text('licence')} AS licence, {table.text('text')} AS text"
            yield from con.sql(f"SELECT {columns} FROM {table.sql}").to_arrow_reader(BATCH_ROWS)

    def _table(self, con: duckdb.DuckDBPyConnection, part: Part) -> Table:
        one = open_table(con, Path(part.path))
        if part.last is None:
            return one
        # Several files are read as one table: what one of them lacks is null in it, and a
        # column has the type that holds what all of them have.
        named = ", ".join(
            f"{name if name in one.types else 'NULL'}::{kind} AS {name}"
            for name, kind in self.types.items()
        )
        source = one.sql.removesuffix(")") + ", file_row_number = true)"
        bounds = f"file_row_number >= {part.first} AND file_row_number < {part.last}"
        return Table(f"(SELECT {named} FROM {source} WHERE {bounds})", self.types)


def content_of(table: Table, *, integer_ids: bool, words: bool) -> Content:
    """Return a table as tasks read it: whole row groups of Parquet, or text files."""
    parts: list[Part] = []
    for path in table.paths:
        if path.suffix.lower() != ".parquet":
            parts.append(Part(str(path.resolve())))
            continue
        metadata = pq.read_metadata(path)
        first = last = 0
        for group in range(metadata.num_row_groups):
            last += metadata.row_group(group).num_rows
            if last - first >= PART_ROWS or group == metadata.num_row_groups - 1:
                parts.append(Part(str(path.resolve()), first, last))
                first = last
    types = {name: kind for name, kind in table.types.items() if name in _COLUMNS}
    return Content(types, tuple(parts), integer_ids, words)


def open_session() -> Session:
    """Return the session that is there, or one as Spark's own settings say: local by default.

    Raises:
        InputError: PySpark is not installed.
        UnavailableError: Spark does not start.
    """
    try:
        from pyspark import SparkConf, SparkContext  # noqa: PLC0415
        from pyspark.errors import PySparkException  # noqa: PLC0415
        from pyspark.sql import SparkSession  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "the package 'pyspark' is not installed", hint="install sayso[spark]"
        ) from None
    try:
        with _without_pandas():
            with _undisturbed():
                SparkContext._ensure_initialized()  # noqa: SLF001  else conf knows no defaults
            conf = SparkConf()
            is_local = str(conf.get("spark.master", "local")).startswith("local")
            for name, value in (_ALONE if is_local else {}).items():
                conf.setIfMissing(name, value)
            session = SparkSession.builder.config(conf=conf).appName("sayso").getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            if is_local and session.sparkContext.pythonExec == _ANY_PYTHON:
                session.sparkContext.pythonExec = sys.executable  # it has our packages
    except (PySparkException, RuntimeError, OSError) as error:
        raise UnavailableError(
            f"Spark does not start ({type(error).__name__})",
            hint="it needs Java 17 or newer, found through JAVA_HOME or PATH",
        ) from error
    return session


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hear Ctrl-C only afterwards: a Java side that nobody waited for would stay for ever."""
    heard: list[tuple[int, FrameType | None]] = []
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: heard.append((number, frame)))
    except ValueError:  # not the main thread, which alone hears signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard and callable(before):
            before(*heard[0])


@contextmanager
def _without_pandas() -> Iterator[None]:
    """PySpark warns of the version of pandas wherever Arrow is used; nothing here is pandas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
        yield


@contextmanager
def running() -> Iterator[None]:
    """Turn what Spark says of a task that failed into an error of ours.

    Raises:
        InputError: A task could not read the content.
        IntegrityError: A task was given other rows than it reads.
        UnavailableError: Spark itself gave up.
    """
    from pyspark.errors import PySparkException  # noqa: PLC0415

    try:
        with _without_pandas():
            yield
    except PySparkException as error:
        told = re.search(r"sayso\.errors\.(\w+): ([^\n]*)", str(error))
        if told is None:
            raise UnavailableError(
                f"Spark gave up ({type(error).__name__})", hint="see its own messages above"
            ) from error
        family = IntegrityError if told[1] == "IntegrityError" else InputError
        raise family(told[2]) from None


def decided(
    spark: Session, content: Content, states: MemberStates, places: Path, repeated: Path | None,
    task: Task, schema: str,
) -> Frame:  # fmt: skip
    """Return what `task` makes of every batch of content, joined with its members.

    Args:
        spark: Whose tasks.
        content: What they read.
        states: What the states mean; of the members in it nothing is used.
        places: Parquet with member_id, state, bucket and member.
        repeated: Parquet with the record ids that stand more than once; None: no id does.
        task: Runs in the tasks.
        schema: Of what it returns, in Spark's words.
    """
    from pyspark.sql.functions import coalesce, col, lit  # noqa: PLC0415

    meaning, ids = _meaning(states), replace(content, words=False)
    with_ids = repeated is not None
    count = max(1, len(content.parts))

    def read_ids(numbers: Batches) -> Batches:
        for batch in numbers:
            for number in batch["id"].to_pylist():
                yield from _ids_of(ids, number, with_ids=with_ids)

    def decide(rows: Batches) -> Batches:
        return _decide(rows, content, meaning, task)

    member = "bigint" if content.integer_ids else "string"
    record = ", record_id string" if with_ids else ""
    found = spark.range(0, len(content.parts), numPartitions=count).mapInArrow(
        read_ids, f"part int, row bigint, lost boolean, member_id {member}{record}"
    )
    found = found.join(spark.read.parquet(spark_path(places)), "member_id", "left")
    lost = col("lost")
    if repeated is not None:
        again = spark.read.parquet(spark_path(repeated)).withColumn("again", lit(True))
        found = found.join(again, "record_id", "left")
        lost = lost | col("again").isNotNull()
    found = found.select(
        "part",
        "row",
        lost.alias("repeated"),
        coalesce(col("state"), lit(0)).alias("state"),
        coalesce(col("bucket"), lit(-1)).alias("bucket"),
        coalesce(col("member"), lit(-1)).alias("member"),
    )
    ordered = found.repartition(count, "part").sortWithinPartitions("part", "row")
    return ordered.mapInArrow(decide, schema)


def decide_many_in(spark: Session, content: Path, states: MemberStates) -> Decisions:
    """Return the decision of every record of a file or folder, in its order.

    Raises:
        InputError: The content cannot be read, or has no record_id.
    """
    with tempfile.TemporaryDirectory() as name, connect() as con, reading(content):
        folder, table = Path(name), open_table(con, content)
        integer_ids = pa.types.is_integer(states.ids.type)
        content_columns(table, integer_ids=integer_ids)  # says what is missing
        ((rows,),) = con.sql(f"SELECT count(*) FROM {table.sql}").fetchall()
        again = repeated_ids(con, table.sql, table.id("record_id"), int(rows))
        members = pa.table({"member_id": states.ids, "state": states.packed})
        nowhere = np.zeros(len(members), np.int32)
        members = members.append_column("bucket", pa.array(nowhere.astype(np.int16)))
        pq.write_table(members.append_column("member", pa.array(nowhere)), folder / "places")
        with running():
            found = decided(
                spark, content_of(table, integer_ids=integer_ids, words=False), states,
                folder / "places", write_repeated(again, folder / "repeated"),
                _masks, "part int, row bigint, mask bigint",
            ).toArrow()  # fmt: skip
    order = np.lexsort((found["row"].to_numpy(), found["part"].to_numpy()))
    return Decisions(found["mask"].to_numpy()[order].astype(np.uint32))


def spark_path(path: Path) -> str:
    """Return a path as Spark reads it: on the disk that driver and tasks share."""
    return f"file://{path.resolve()}"


def write_repeated(ids: pa.ChunkedArray, path: Path) -> Path | None:
    """Write repeated record ids, as text, for the tasks; None where there are none."""
    if not len(ids):
        return None
    pq.write_table(pa.table({"record_id": ids.cast(pa.string())}), path)
    return path


def _meaning(states: MemberStates) -> MemberStates:
    """Return what the states mean, without the members and without the rulebook."""
    cells, current = states.cells, states.cells.in_force
    bare = replace(
        cells,
        in_force=InForce(Rulebook({}, (), (), {}, {}), current.purpose, current.at),
        profiles=(Profile(None, ()),) * len(cells.profiles),
    )
    nobody = pa.array([], states.ids.type)
    return replace(states, ids=nobody, packed=np.empty(0, np.int64), left=None, cells=bare)


# ---- in the tasks -----------------------------------------------------------------------


def _ids_of(content: Content, number: int, *, with_ids: bool) -> Batches:
    """Yield whose each record of a part is, and whether it has no id."""
    first = 0
    for batch in content.batches(number):
        rows = len(batch)
        columns = {
            "part": pa.array(np.full(rows, number, np.int32)),
            "row": pa.array(np.arange(first, first + rows)),
            "lost": batch["record_id"].is_null(),
            "member_id": batch["member_id"],
        }
        if with_ids:
            columns["record_id"] = batch["record_id"].cast(pa.string())
        yield pa.RecordBatch.from_pydict(columns)
        first += rows


def _decide(rows: Batches, content: Content, states: MemberStates, task: Task) -> Batches:
    """Read the content of each part again, beside what was joined with its rows."""
    number, records = -1, _Records(iter(()))
    for batch in rows:
        if not len(batch):
            continue
        parts = batch["part"].to_numpy()
        starts = np.flatnonzero(np.diff(parts, prepend=-1)).tolist()
        for start, end in zip(starts, [*starts[1:], len(parts)], strict=True):
            if parts[start] != number:
                records.need_none()
                number = int(parts[start])
                records = _Records(content.batches(number))
            joined = batch.slice(start, end - start)
            # INVARIANT: every record is decided once, with the state of its own member.
            wanted = np.arange(records.row, records.row + len(joined))
            if not np.array_equal(joined["row"].to_numpy(), wanted):
                raise IntegrityError("rows of the content are missing or doubled")
            for some in records.take(len(joined)):
                beside, joined = joined.slice(0, len(some)), joined.slice(len(some))
                whole = pa.RecordBatch.from_arrays(
                    [*some.columns, *(beside[one.name].cast(one.type) for one in JOINED)],
                    [*some.schema.names, *JOINED.names],
                )
                yield task(whole, _masks_of(whole, states), states)
    records.need_none()


class _Records:
    """The records of one part, taken in order.

    Attributes:
        row: Of the next one.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None
        self.row = 0

    def take(self, rows: int) -> Batches:
        """Yield the next records, in batches."""
        while rows:
            if not self._rest:
                self._rest = next(self._batches, None)
                if self._rest is None:
                    raise IntegrityError("the content has fewer rows than before")
            some = self._rest.slice(0, rows)
            self._rest = self._rest.slice(len(some))
            self.row += len(some)
            rows -= len(some)
            yield some

    def need_none(self) -> None:
        """Raise unless every record was taken."""
        if self._rest or any(len(batch) for batch in self._batches):
            raise IntegrityError("rows of the content were not decided")


def _masks_of(batch: pa.RecordBatch, states: MemberStates) -> Masks:
    repeated = batch["repeated"].to_numpy(zero_copy_only=False)
    packed = batch["state"].to_numpy()
    return batch_masks(batch, packed, states, repeated if repeated.any() else None)


def _masks(batch: pa.RecordBatch, masks: Masks, _states: MemberStates) -> pa.RecordBatch:
    columns = {"part": batch["part"], "row": batch["row"], "mask": masks.astype(np.int64)}
    return pa.RecordBatch.from_pydict(columns)
