"""Bodies that few bytes fill and that would unfold to any number: refused, and never unfolded."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.errors import InputError
from sayso.web.access import Scope
from sayso.web.api import parquet
from sayso.web.api.bodies import ARROW, read_arrow
from sayso.web.api.parquet import need_bounded
from tests.town import MEMBER_COLUMNS, member_row
from tests.unit.web.asking import Service

MIB = 1 << 20
PARQUET = "application/vnd.apache.parquet"
ROWS = 1000


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def folded(rows: int, value_bytes: int) -> pa.DictionaryArray:
    """Return one long value that stands in every row."""
    indices = pa.array([0] * rows, pa.int8())
    return pa.DictionaryArray.from_arrays(indices, pa.array(["x" * value_bytes]))


def nulls_within(rows: int) -> pa.ListArray:
    """Return one list of so many nulls, which take no room."""
    return pa.ListArray.from_arrays(pa.array([0, rows], pa.int32()), pa.nulls(rows))


def deep(levels: int) -> pa.DataType:
    kind: pa.DataType = pa.string()
    for _ in range(levels):
        kind = pa.list_(kind)
    return kind


STREAMS: dict[str, Callable[[], pa.Table]] = {
    "rows of nothing": lambda: pa.table({"text": pa.nulls(1 << 24)}),
    "runs": lambda: pa.table(
        {"text": pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int64()), pa.array(["x"]))}
    ),
    "views": lambda: pa.table({"text": pa.array(["x" * 100], pa.string_view())}),
    "nulls in a list": lambda: pa.table({"mentions": nulls_within(1 << 24)}),
    "wide values of nothing": lambda: pa.table({"text": pa.array([b""] * 9, pa.binary(0))}),
    "lists of fixed size": lambda: pa.table({"a": pa.array([[1, 2]], pa.list_(pa.int8(), 2))}),
    "many columns": lambda: pa.table({f"c{n}": pa.array([1]) for n in range(2000)}),
    "lists of lists of lists": lambda: pa.table({"a": pa.array([None], deep(9))}),
    "a dictionary in a list": lambda: pa.table(
        {"mentions": pa.ListArray.from_arrays(pa.array([0, 9], pa.int32()), folded(9, 9))}
    ),
    "a dictionary of long values": lambda: pa.table({"text": folded(100_000, MIB)}),
}


@pytest.mark.parametrize("what", STREAMS)
def test_a_stream_that_would_unfold_is_refused_with_little_memory(what: str) -> None:
    body = stream(STREAMS[what]())
    before = pa.default_memory_pool().bytes_allocated()

    with pytest.raises(InputError):
        read_arrow(body, 1_000_000)

    assert len(body) < 3 * MIB
    assert pa.default_memory_pool().bytes_allocated() - before < 8 * MIB


def test_what_common_writers_write_is_read() -> None:
    table = pa.table(
        {
            "record_id": pa.array(range(ROWS)),
            "category": pa.array(["post"] * ROWS).dictionary_encode(),
            "written_at": pa.array([0] * ROWS, pa.timestamp("us", "UTC")),
            "mentions": pa.array([["a"], []] * (ROWS // 2), pa.list_(pa.string())),
            "text": pa.array(["x"] * ROWS, pa.large_string()),
            "more": pa.array([{"a": 1, "b": [{"c": "x"}]}] * ROWS),
            "nothing": pa.nulls(ROWS),
            "empty": [[]] * ROWS,
            "amount": pa.array([None] * ROWS, pa.decimal128(9, 2)),
            "part": pa.array([b"0123456789abcdef"] * ROWS, pa.binary(16)),
        }
    )

    assert read_arrow(stream(table), ROWS).equals(table)
    with pytest.raises(InputError, match="999"):
        read_arrow(stream(table), ROWS - 1)


def test_a_dictionary_is_counted_as_what_it_unfolds_to() -> None:
    column = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None, 1], pa.int32()), pa.array(["abc", "de"])
    )

    assert parquet.unfolded_bytes(column) == 7
    assert parquet.unfolded_bytes(pa.ListArray.from_arrays([0, 4], column)) == 7
    assert parquet.unfolded_bytes(pa.array(["abc"])) == 0


# ---- Parquet ----------------------------------------------------------------------------


def members(path: Path, **how: Any) -> Path:
    rows = [member_row(f"m{n}") for n in range(ROWS)]
    table = pa.Table.from_pylist(rows).append_column("tags", pa.array([["a", "b"], []] * 500))
    pq.write_table(table, path, **how)
    return path


@pytest.mark.parametrize(
    "how",
    [
        {}, {"compression": "zstd"}, {"compression": "none"}, {"data_page_version": "2.0"},
        {"use_dictionary": False}, {"row_group_size": 10}, {"data_page_size": 64},
        {"write_statistics": False}, {"use_byte_stream_split": False, "version": "1.0"},
    ],
)  # fmt: skip
def test_what_pyarrow_writes_is_taken(tmp_path: Path, how: dict[str, Any]) -> None:
    need_bounded(members(tmp_path / "a.parquet", **how))


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_what_duckdb_writes_is_taken(tmp_path: Path, version: str) -> None:
    made = members(tmp_path / "a.parquet")
    out = tmp_path / "b.parquet"
    with duckdb.connect() as con:
        con.execute(
            f"COPY (FROM read_parquet('{made}')) TO '{out}' (PARQUET_VERSION {version}, "
            "COMPRESSION zstd)"
        )

    need_bounded(out)


def test_an_empty_table_is_taken(tmp_path: Path) -> None:
    pq.write_table(pa.table({"member_id": pa.array([], pa.string())}), tmp_path / "a.parquet")

    need_bounded(tmp_path / "a.parquet")


def written(table: pa.Table, path: Path, **how: Any) -> Path:
    pq.write_table(table, path, **how)
    return path


def fixed(rows: int, width: int) -> pa.Array:
    return pa.array([b"x" * width] * rows, pa.binary(width))


FILES: dict[str, Callable[[Path], Path]] = {
    # 100,000 rows of a MiB each in some MiB.
    "a dictionary of long values": lambda path: written(
        pa.table({"member_id": folded(100_000, MIB)}), path, row_group_size=100_000
    ),
    "a list of a dictionary of long values": lambda path: written(
        pa.table({"tags": pa.ListArray.from_arrays([0, 100_000], folded(100_000, MIB))}), path
    ),
    "prefixes": lambda path: written(
        pa.table({"member_id": ["x" * 100] * 9}), path, use_dictionary=False,
        column_encoding={"member_id": "DELTA_BYTE_ARRAY"},
    ),
    "wide values of fixed width": lambda path: written(pa.table({"a": fixed(9, 9999)}), path),
    "many columns": lambda path: written(
        pa.table({f"c{n}": pa.array([1]) for n in range(1001)}), path
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_would_unfold_is_refused_with_little_memory(what: str, tmp_path: Path) -> None:
    path = FILES[what](tmp_path / "a.parquet")
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()

    with pytest.raises(InputError):
        need_bounded(path)

    assert path.stat().st_size < 8 * MIB
    assert pool.bytes_allocated() - before < 8 * MIB


@pytest.mark.parametrize(
    ("name", "most"), [("MAX_ROWS", ROWS - 1), ("MAX_BYTES", 10_000), ("MAX_COLUMNS", 2)]
)
def test_bounds_hold_to_the_row_and_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    path = members(tmp_path / "a.parquet")
    monkeypatch.setattr(parquet, name, most)

    with pytest.raises(InputError, match=str(most)):
        need_bounded(path)


def test_pages_are_believed_and_not_the_footer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What compresses to nothing counts as what it becomes."""
    table = pa.table({"member_id": [f"{n:06d}" + "x" * 1000 for n in range(ROWS)]})
    path = written(table, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    monkeypatch.setattr(parquet, "MAX_BYTES", 500_000)

    assert path.stat().st_size < 50_000
    with pytest.raises(InputError, match="500000 bytes"):
        need_bounded(path)


def test_any_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    whole = members(tmp_path / "a.parquet", compression="none").read_bytes()
    path = tmp_path / "b.parquet"
    refused = 0
    for place in range(0, len(whole), 97):
        for sign in (0x00, 0x7F, 0xFF):
            path.write_bytes(whole[:place] + bytes([sign]) + whole[place + 1 :])
            try:
                need_bounded(path)
            except InputError:
                refused += 1
    for size in (0, 4, 12, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            need_bounded(path)

    assert refused > 0


# ---- heads of pages, written by hand ----------------------------------------------------

# A field of the compact protocol: its number, its kind and its bytes.
Field = tuple[int, int, bytes]
PLAIN, DELTA_BYTE_ARRAY, RLE, RLE_DICTIONARY = 0, 7, 3, 8
I32, I64, TEXT, LIST, STRUCT = 5, 6, 8, 9, 12
VALUES = 3


def varint(number: int) -> bytes:
    more = number >> 7
    return bytes([number & 127 | 128]) + varint(more) if more else bytes([number & 127])


def whole(at: int, number: int, kind: int = I32) -> Field:
    return at, kind, varint((number << 1) ^ (number >> 63))


def struct(*fields: Field) -> bytes:
    return b"".join(bytes([kind]) + varint(at << 1) + told for at, kind, told in fields) + b"\0"


def head(at: int, *fields: Field) -> Field:
    return at, STRUCT, struct(*fields)


def data_head(values: int = VALUES, encoding: int = PLAIN) -> Field:
    return head(5, whole(1, values), whole(2, encoding), whole(3, RLE), whole(4, RLE))


def data_head_2(values: int = VALUES, encoding: int = PLAIN, *more: Field) -> Field:
    return head(
        8, whole(1, values), whole(2, 0), whole(3, values), whole(4, encoding), whole(5, 0),
        whole(6, 0), *more,
    )  # fmt: skip


def texts(at: int, kind: int, *items: bytes) -> Field:
    return at, LIST, bytes([len(items) << 4 | kind]) + b"".join(items)


def by_hand(path: Path, page_type: Field, *heads: Field) -> Path:
    """Write a file of one column and one page, whose head is these fields."""
    body = (b"\x01\0\0\0x") * VALUES
    page = struct(page_type, whole(2, len(body)), whole(3, len(body)), *heads) + body
    named = (4, TEXT, varint(9) + b"member_id")
    chunk = struct(
        whole(1, 6), texts(2, I32, varint(0)), texts(3, TEXT, varint(9) + b"member_id"),
        whole(4, 0), whole(5, VALUES, I64), whole(6, len(page), I64), whole(7, len(page), I64),
        whole(9, 4, I64),
    )  # fmt: skip
    column = struct(whole(2, 4, I64), (3, STRUCT, chunk))
    group = struct(texts(1, STRUCT, column), whole(2, len(page), I64), whole(3, VALUES, I64))
    root = struct((4, TEXT, varint(1) + b"r"), whole(5, 1))
    leaf = struct(whole(1, 6), whole(3, 0), named)
    footer = struct(
        whole(1, 2), texts(2, STRUCT, root, leaf), whole(3, VALUES, I64), texts(4, STRUCT, group)
    )
    size = len(footer).to_bytes(4, "little")
    path.write_bytes(b"PAR1" + page + footer + size + b"PAR1")
    return path


@pytest.mark.parametrize("number", [0, 3])
def test_a_head_by_hand_is_what_readers_read(tmp_path: Path, number: int) -> None:
    honest = data_head() if number == 0 else data_head_2()
    path = by_hand(tmp_path / "a.parquet", whole(1, number), honest)

    need_bounded(path)

    assert pq.read_table(path).to_pydict() == {"member_id": [b"x"] * VALUES}


PAGE, PAGE_2 = whole(1, 0), whole(1, 3)
HEADS: dict[str, tuple[Field, ...]] = {
    "prefixes behind a decoy": (PAGE_2, data_head(), data_head_2(VALUES, DELTA_BYTE_ARRAY)),
    "a dictionary behind a decoy": (PAGE_2, data_head(), data_head_2(VALUES, RLE_DICTIONARY)),
    "a count behind a decoy": (PAGE_2, data_head(), data_head_2(parquet.MAX_ROWS + 1)),
    "a decoy behind the head": (PAGE, data_head(), data_head_2()),
    "another head than the type says": (PAGE_2, data_head()),
    "an index with a head": (whole(1, 1), data_head()),
    "an index": (whole(1, 1), head(6)),
    "a type that nobody knows": (whole(1, 9), data_head()),
    "a type past its width": (whole(1, 1 << 32), data_head_2(VALUES, DELTA_BYTE_ARRAY)),
    "fewer values than none": (PAGE, data_head(-1)),
    "no count": (PAGE, head(5, whole(2, PLAIN), whole(3, RLE), whole(4, RLE))),
    "an encoding past its width": (PAGE, data_head(VALUES, (1 << 32) + DELTA_BYTE_ARRAY)),
    "an encoding told twice": (PAGE_2, data_head_2(VALUES, DELTA_BYTE_ARRAY, whole(4, PLAIN))),
    "an encoding told again in another kind": (
        PAGE_2, data_head_2(VALUES, DELTA_BYTE_ARRAY, whole(4, PLAIN, I64))
    ),
    "a field past its width": (
        PAGE_2, data_head_2(VALUES, PLAIN, whole((1 << 16) + 4, DELTA_BYTE_ARRAY))
    ),
    "a head told twice": (PAGE_2, data_head_2(VALUES, DELTA_BYTE_ARRAY), data_head_2()),
}  # fmt: skip


@pytest.mark.parametrize("what", HEADS)
def test_a_head_that_readers_take_otherwise_is_refused(what: str, tmp_path: Path) -> None:
    path = by_hand(tmp_path / "a.parquet", *HEADS[what])

    with pytest.raises(InputError):
        need_bounded(path)


def test_such_a_file_is_no_body(service: Service, tmp_path: Path) -> None:
    job = service.token(Scope.MEMBERS_WRITE, Scope.CHOICES_WRITE)
    bomb = FILES["a dictionary of long values"](tmp_path / "a.parquet").read_bytes()
    size = service.desk.workspace.ledger.size()

    for method, path in (("PUT", "/members"), ("POST", "/choices")):
        told = service.ask(method, path, job, content=bomb, more={"content-type": PARQUET})
        streamed = service.ask(
            method,
            path,
            job,
            content=stream(STREAMS["a dictionary of long values"]()),
            more={"content-type": ARROW},
        )
        assert (told.status_code, streamed.status_code) == (400, 400)
    assert service.desk.workspace.ledger.size() == size


def test_a_plain_file_is_taken(service: Service, tmp_path: Path) -> None:
    job = service.token(Scope.MEMBERS_WRITE)
    sink = io.BytesIO()
    rows = [member_row("maya"), member_row("wing", "HK")]
    pq.write_table(pa.Table.from_pylist(rows), sink)

    told = service.ask(
        "PUT", "/members", job, content=sink.getvalue(), more={"content-type": PARQUET}
    )

    assert told.status_code == 200
    assert told.json()["rows"] == len(rows)
    assert set(rows[0]) == set(MEMBER_COLUMNS)


def test_too_little_memory_is_told_as_ours(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise duckdb.OutOfMemoryException("a row of maya's")

    for name in ("ingest", "decide_many"):
        monkeypatch.setattr(f"sayso.web.desk.Desk.{name}", fail)
    job = service.token(Scope.MEMBERS_WRITE, Scope.DECISIONS_READ)

    taken = service.ask(
        "PUT", "/members", job, content=b"member_id\nmaya\n", more={"content-type": "text/csv"}
    )
    decided = service.ask("POST", "/decisions/batch", job, json=[{"record_id": "r1"}])

    for told in (taken, decided):
        assert told.status_code == 503
        assert told.json()["type"].endswith("unavailable")
        assert "maya" not in told.text
