"""Law 12: any bytes into any parser give a value or an `InputError` (room `sources`).

Samples are invented, then broken: cut, flipped, spliced, or replaced altogether.
"""

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sayso.errors import InputError
from sayso.sources import CONTENT_SCHEMA, MEMBERS_SCHEMA, import_source
from sayso.sources.columns import Converter
from sayso.sources.dialects import parse_instant, unwrap_breaks
from sayso.sources.markup import to_text
from tests.unit.sources.builders import LINKEDIN, POLIS, STACKEXCHANGE, write_folder, write_zip

QUICK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def table_bytes() -> bytes:
    """Return a small Parquet file."""
    buffer = io.BytesIO()
    rows = {
        "record_id": [1, 2],
        "member_id": ["a", None],
        "text": ["some text", "more"],
        "mentions": [["x"], []],
    }
    pq.write_table(pa.table(rows), buffer)
    return buffer.getvalue()


def zip_bytes() -> bytes:
    """Return a small export as a zip."""
    with tempfile.TemporaryDirectory() as folder:
        return write_zip(Path(folder) / "e.zip", LINKEDIN).read_bytes()


CONTENT_CSV = b'record_id,member_id,written_at,deleted_at,mentions,text\n1,2,2025-01-01,x,a;b,"t"\n'
CONTENT_JSONL = b'{"record_id": 1, "mentions": ["a"], "deleted_at": 5}\n{"record_id": "2"}\n'

# Which reader reads it, where it goes, and what it looks like unbroken.
SAMPLES: dict[str, list[tuple[str, str, bytes]]] = {
    "csv": [("table", "content.csv", CONTENT_CSV)],
    "members": [("table", "members.csv", b"member_id,birth_date,since\n1,1990,2024-01-01\n")],
    "jsonl": [("table", "content.jsonl", CONTENT_JSONL)],
    "parquet": [("table", "content.parquet", table_bytes())],
    "polis": [("polis", "comments.csv", POLIS.encode())],
    "zip": [("linkedin", "export.zip", zip_bytes())],
    "dump": [("stackexchange", name, data) for name, data in STACKEXCHANGE.items()],
    "export": [("linkedin", name, text.encode()) for name, text in LINKEDIN.items()],
}


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """A sample with some bytes cut, flipped or put in, or other bytes altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        piece = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"\\", b"\0", b"\n", b",", b"<"])
        )
        kind = draw(st.sampled_from(["cut", "flip", "put", "drop", "repeat"]))
        if kind == "cut":
            del found[at:]
        elif kind == "flip" and found:
            found[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "put":
            found[at:at] = piece
        elif kind == "drop":
            del found[at : at + len(piece)]
        else:
            found[at:at] = found[max(0, at - 40) : at]
    return bytes(found)


def read_anything(kind: str, name: str, data: bytes, mapping: dict[str, str] | None = None) -> None:
    """Import a folder of one file (or a zip): tables come out, or nothing at all."""
    with tempfile.TemporaryDirectory() as folder:
        src = write_folder(Path(folder) / "in", {name: data})
        if name.endswith(".zip"):
            src /= name
        out = Path(folder) / "out"
        try:
            report = import_source(kind, src, out, mapping=mapping)
        except InputError:
            assert not out.exists()
            return
        members = pq.read_table(out / "members.parquet", schema=MEMBERS_SCHEMA)
        content = pq.read_table(out / "content.parquet", schema=CONTENT_SCHEMA)
        assert (members.num_rows, content.num_rows) == (report.members_rows, report.content_rows)
        told = (out / "report.json").read_text()
        json.loads(told)
        assert "SECRET" not in told
        # A broken page may lose the marks of its quotation; a table stays what it is.
        if name.endswith(".csv"):
            assert "SECRET" not in json.dumps(content.to_pylist(), default=str)


@pytest.mark.parametrize("sample", sorted(SAMPLES))
@given(source=st.data())
@QUICK
def test_law_12_broken_samples(sample: str, source: st.DataObject) -> None:
    kind, name, data = source.draw(st.sampled_from(SAMPLES[sample]))
    read_anything(kind, name, source.draw(broken(data)))


@given(
    kind=st.sampled_from(["table", "stackexchange", "linkedin", "polis"]),
    name=st.sampled_from(
        [
            *("content.csv", "content.jsonl", "content.parquet", "Posts.xml", "Comments.xml"),
            *("comments.csv", "Shares_1.csv", "Articles/x.html", "export.zip", "messages.csv"),
        ]
    ),
    data=st.binary(max_size=300),
)
@QUICK
def test_law_12_any_bytes_into_any_reader(kind: str, name: str, data: bytes) -> None:
    read_anything(kind, name, data)


@given(data=st.binary(max_size=300), head=st.sampled_from(sorted(LINKEDIN)))
@QUICK
def test_law_12_any_bytes_behind_a_known_header(data: bytes, head: str) -> None:
    read_anything("linkedin", head, LINKEDIN[head].split("\n", 1)[0].encode() + b"\n" + data)


@given(st.text(alphabet="<>/!-&;#\"'= abqBLOCKUTEscript\n", max_size=60) | st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_law_12_any_markup_is_some_text(source: str) -> None:
    assert isinstance(to_text(source), str)
    assert to_text(f"<blockquote>{source}") == "" or "</" in source


@given(st.text(max_size=40) | st.from_regex(r"[0-9/: -]{4,25}(AM|PM|UTC|Z)?", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_law_12_any_text_is_a_date_or_none(text: str) -> None:
    instant = parse_instant(text)
    assert instant is None or instant.tzinfo is not None
    unwrap_breaks(text)


CONVERTER = Converter()  # one for all, as it takes longer to open than to use


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    with CONVERTER:
        yield


COLUMN: dict[str, Callable[[], st.SearchStrategy[list[object]]]] = {
    "int": lambda: st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2),
    "float": lambda: st.lists(st.none() | st.floats(), min_size=2, max_size=2),
    "text": lambda: st.lists(
        st.none()
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
        | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}Z?", fullmatch=True)
        | st.from_regex(r"\[[\"a,;\\\]]{0,8}", fullmatch=True),
        min_size=2,
        max_size=2,
    ),
    "names": lambda: st.lists(
        st.none() | st.lists(st.none() | st.just("a"), max_size=2), min_size=2, max_size=2
    ),
}
TYPES = {
    "int": [pa.int64(), pa.timestamp("s"), pa.timestamp("ns", "UTC"), pa.date64()],
    "float": [pa.float64()],
    "text": [pa.string(), pa.large_string(), pa.string_view()],
    "names": [pa.list_(pa.string()), pa.large_list(pa.string())],
}


@given(
    source=st.data(), name=st.sampled_from(sorted({*CONTENT_SCHEMA.names, *MEMBERS_SCHEMA.names}))
)
@settings(max_examples=100, deadline=None)
def test_law_12_any_column_becomes_ours_and_never_less_deleted(
    source: st.DataObject, name: str
) -> None:
    family = source.draw(st.sampled_from(sorted(COLUMN)))
    kind = source.draw(st.sampled_from(TYPES[family]))
    values = source.draw(COLUMN[family]())
    schema = CONTENT_SCHEMA if name in CONTENT_SCHEMA.names else MEMBERS_SCHEMA
    array = pa.array(values, pa.int64()).cast(kind) if family == "int" else pa.array(values, kind)
    table = pa.table({schema.names[0]: pa.array(["1", "2"])})
    table = (
        pa.table({name: array}) if name in table.column_names else table.append_column(name, array)
    )
    if family != "text" and (family == "names") != (name == "mentions"):
        with pytest.raises(InputError, match="cannot be of type"):
            CONVERTER.convert(table, schema)
        return
    rows, _ = CONVERTER.convert(table, schema)
    assert rows.schema.equals(schema)
    assert rows.num_rows == 2
    for said, found in zip(values, rows[name].to_pylist(), strict=True):
        if name in {"deleted_at", "status"} and said not in {None, ""} and said == said:  # noqa: PLR0124
            assert found is not None
        if said is None:
            assert found is None
