import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.errors import InputError
from sayso.sources import CONTENT_SCHEMA, MEMBERS_SCHEMA, tables
from sayso.sources.columns import Converter
from tests.unit.sources.builders import Row, reasons, run, utc, write_folder

CONVERTER = Converter()  # one for all, as it takes longer to open than to use


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    with CONVERTER:
        yield


EPOCH = utc("1970-01-01T00:00:00Z")


def csv(tmp_path: Path, text: str | bytes, mapping: dict[str, str] | None = None) -> list[Row]:
    write_folder(tmp_path, {"c.csv": text})
    return run("table", tmp_path / "c.csv", tmp_path / "out", mapping)[2]


def jsonl(tmp_path: Path, *records: object) -> list[Row]:
    text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records)
    write_folder(tmp_path, {"c.jsonl": text})
    return run("table", tmp_path / "c.jsonl", tmp_path / "out")[2]


def parquet(tmp_path: Path, **columns: Any) -> list[Row]:
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    return run("table", tmp_path / "c.parquet", tmp_path / "out")[2]


def column(name: str, values: pa.Array, schema: pa.Schema = CONTENT_SCHEMA) -> list[Any]:
    key = schema.names[0]
    table = pa.table({key: pa.array([str(place) for place in range(len(values))])})
    table = pa.table({name: values}) if name == key else table.append_column(name, values)
    found: list[Any] = CONVERTER.convert(table, schema)[0][name].to_pylist()
    return found


# ---- files ------------------------------------------------------------------------------


def test_csv_is_text_throughout(tmp_path: Path) -> None:
    rows = csv(
        tmp_path,
        '\ufeffrecord_id,member_id,text,visibility,ip\r\n007,7.0,"a ""b""\r\nc",public,1.2.3.4\r\n'
        '8,,"",,\r\n',
    )
    assert [row["record_id"] for row in rows] == ["007", "8"]
    assert [row["member_id"] for row in rows] == ["7.0", None]
    assert rows[0]["text"] == 'a "b"\r\nc'
    assert rows[0]["visibility"] == "public"
    assert rows[1]["text"] is None


def test_a_mapping_renames_and_the_rest_is_dropped_and_reported(tmp_path: Path) -> None:
    write_folder(tmp_path, {"c.csv": 'id,body,text,ip,"a strange; name"\n1,mine,not,9,9\n'})
    mapping = {"record_id": "id", "text": "body"}
    report, _, rows = run("table", tmp_path / "c.csv", tmp_path / "out", mapping)
    assert (rows[0]["record_id"], rows[0]["text"]) == ("1", "mine")
    assert reasons(report)["c.csv"] == ["columns not on the allow-list: ip, text, and 1 more"]


def test_a_folder_of_members_and_content(tmp_path: Path) -> None:
    src = write_folder(
        tmp_path / "in",
        {
            "members.csv": "user,country,birth_date,status,since\n7,DE,1990,,2024-01-01\n",
            "content.jsonl": '{"record_id": 1, "user": 7}\n',
            "messages.csv": "record_id\nSECRET\n",
        },
    )
    report, members, rows = run("table", src, tmp_path / "out", {"member_id": "user"})
    assert members == [
        {
            "member_id": "7",
            "country": "DE",
            "birth_date": "1990",
            "status": None,
            "since": utc("2024-01-01T00:00:00Z"),
        }
    ]
    assert rows[0]["member_id"] == "7"
    assert reasons(report)["messages.csv"] == ["not on the allow-list"]


def test_content_rows_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    write_folder(tmp_path, {"c.csv": "record_id,text\n1,a\n2\n3,b,c\n4,d\n"})
    report, _, rows = run("table", tmp_path / "c.csv", tmp_path / "out")
    assert [row["record_id"] for row in rows] == ["1", "4"]
    assert [(s.rows, s.why) for s in report.skipped] == [
        (2, "rows with another number of cells than the header")
    ]


def test_members_rows_that_do_not_fit_stop_the_import(tmp_path: Path) -> None:
    src = write_folder(tmp_path / "in", {"members.csv": "member_id,status\n1,SECRET,x\n"})
    with pytest.raises(InputError, match="row 2 has another number of cells") as caught:
        run("table", src, tmp_path / "out")
    assert "SECRET" not in str(caught.value)


def test_jsonl_values(tmp_path: Path) -> None:
    rows = jsonl(
        tmp_path,
        {"record_id": 7, "member_id": 7.0, "text": "a", "mentions": ["x", None, 3]},
        {"record_id": "007", "member_id": True, "text": ["a"], "mentions": "x; y", "other": 1},
        "",
        {"record_id": 7.5, "visibility": False, "mentions": {"a": 1}, "deleted_at": False},
        {"record_id": {"a": 1}, "mentions": [], "deleted_at": "", "text": "\ud83d\ude00"},
    )
    assert [row["record_id"] for row in rows] == ["7", "007", None, None]
    assert [row["member_id"] for row in rows] == ["7", None, None, None]
    assert [row["mentions"] for row in rows] == [["x", None, "3"], ["x", "y"], None, []]
    assert [row["text"] for row in rows] == ["a", None, None, "\U0001f600"]
    assert rows[2]["visibility"] == tables.UNREADABLE
    assert [row["deleted_at"] for row in rows] == [None, None, EPOCH, None]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        "1",
        '{"record_id": 1, "record_id": 2}',
        '{"record_id": NaN}',
        '{"record_id": "\\ud800"}',
        "[" * 100_000,
        '{"record_id": 1' + "0" * 5000 + "}",
        '{"record_id": "SECRET}',
    ],
)
def test_broken_lines_are_refused_with_their_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError) as caught:
        jsonl(tmp_path, {"record_id": 1}, line)
    assert "'c.jsonl' line 2 is not" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_lines_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROW_BYTES", 30)
    with pytest.raises(InputError, match="line 1 is longer than 30 bytes"):
        jsonl(tmp_path, {"record_id": "1" * 40})


def test_many_keys_do_not_hide_the_needed_one(tmp_path: Path) -> None:
    crowd = {f"k{place}": 1 for place in range(200)}
    assert jsonl(tmp_path, crowd, {"record_id": 1})[1]["record_id"] == "1"


def test_parquet(tmp_path: Path) -> None:
    rows = parquet(
        tmp_path,
        record_id=pa.array([7.0, None]),
        member_id=pa.array(["a", "b"]).dictionary_encode(),
        written_at=pa.array([datetime(2025, 1, 1, tzinfo=UTC), None]),
        mentions=pa.array([["x"], []], pa.large_list(pa.large_string())),
        text=pa.array(["a", "b"], pa.large_string()),
        secret=pa.array([{"a": 1}, None]),
    )
    assert [row["record_id"] for row in rows] == ["7", None]
    assert [row["member_id"] for row in rows] == ["a", "b"]
    assert rows[0]["written_at"] == utc("2025-01-01T00:00:00Z")
    assert [row["mentions"] for row in rows] == [["x"], []]


def test_the_same_rows_come_out_of_every_format(tmp_path: Path) -> None:
    record = {"record_id": "1", "member_id": "2", "written_at": "2025-01-01", "text": "t"}
    line = ",".join(record) + "\n" + ",".join(record.values()) + "\n"
    assert (
        csv(tmp_path, line)
        == jsonl(tmp_path, record)
        == parquet(tmp_path, **{name: [value] for name, value in record.items()})
    )


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("c.csv", b"", "is not a CSV file in UTF-8"),
        ("c.csv", b"record_id,text\n1,\xff\n", "is not a CSV file in UTF-8"),
        ("c.csv", b"id,SECRET\n1,2\n", "has no column 'record_id' to read as 'record_id'"),
        ("c.csv", b"record_id,text,text\n1,2,3\n", "has the column 'text' more than once"),
        ("c.parquet", b"PAR1 nothing PAR1", "is not a Parquet file that can be read"),
        ("c.jsonl", b'{"id": 1}\n', "has no column 'record_id'"),
        ("c.jsonl", b"", "has no column 'record_id'"),
        ("c.txt", b"", "is not a table"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    write_folder(tmp_path, {name: data})
    with pytest.raises(InputError) as caught:
        run("table", tmp_path / name, tmp_path / "out")
    assert message in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_columns_inside_others_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"record_id": [1], "a": [{"b": "x"}]}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match=r"no column 'a\.b'"):
        run("table", tmp_path / "c.parquet", tmp_path / "out", {"text": "a.b"})


@pytest.mark.parametrize(
    ("files", "mapping", "message"),
    [
        ({"content.csv": "record_id\n1\n"}, {"body": "text"}, "'body' is no column of content"),
        ({"content.csv": "record_id\n1\n"}, {"country": "x"}, "'country' is no column of content"),
        ({"content.csv": "record_id\n1\n"}, {"text": "body"}, "no column 'body'"),
        ({"content.csv": "a", "content.jsonl": "{}"}, {}, "holds both"),
        ({"x.csv": "a"}, {}, "holds neither a members nor a content table"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    tmp_path: Path, files: dict[str, str], mapping: dict[str, str], message: str
) -> None:
    src = write_folder(tmp_path / "in", files)
    with pytest.raises(InputError, match=message):
        run("table", src, tmp_path / "out", mapping)


def test_large_files_stream_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 10)
    monkeypatch.setattr(tables, "MAX_ROW_BYTES", 1000)
    text = "record_id,text\n" + "".join(f"{place},{'x' * 50}\n" for place in range(100))
    assert len(csv(tmp_path, text)) == 100
    assert len(jsonl(tmp_path, *({"record_id": place} for place in range(100)))) == 100
    assert len(parquet(tmp_path, record_id=list(range(100)))) == 100


# ---- columns ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        (pa.array([7, None]), ["7", None]),
        (pa.array([2**63], pa.uint64()), [str(2**63)]),
        (pa.array([7.0, float("nan"), float("inf"), 7.5, 2.0**60]), ["7"] + [None] * 4),
        (pa.array([-0.0], pa.float32()), ["0"]),
        (pa.array([Decimal("7.00"), Decimal("7.50")]), ["7", None]),
        (pa.array(["007", "", "7.0"]), ["007", None, "7.0"]),
        (pa.array([None, None]), [None, None]),
    ],
)
def test_ids(values: pa.Array, ids: list[str | None]) -> None:
    assert column("record_id", values) == ids
    assert column("member_id", values) == ids


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-11-02T23:59:59Z", "2025-11-02T23:59:59+00:00"),
        ("2025-11-02 23:59:59", "2025-11-02T23:59:59+00:00"),
        ("2025-11-02t23:59:59.123456789z", "2025-11-02T23:59:59.123456+00:00"),
        ("2025-11-02T23:59:59,5+02:00", "2025-11-02T21:59:59.500000+00:00"),
        ("2025-11-02T23:59+0530", "2025-11-02T18:29:00+00:00"),
        ("2025-11-02T23:59:59-08", "2025-11-03T07:59:59+00:00"),
        ("2025-11-02 23:59:59 UTC", "2025-11-02T23:59:59+00:00"),
        ("20251102T235959Z", "2025-11-02T23:59:59+00:00"),
        ("20251102T235959+0100", "2025-11-02T22:59:59+00:00"),
        (" 2025-11-02 ", "2025-11-02T00:00:00+00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_times(text: str, instant: str) -> None:
    assert column("written_at", pa.array([text])) == [utc(instant)]


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "yesterday",
        "epoch",
        "infinity",
        "2025-13-01",
        "2025-02-30T00:00:00Z",
        "0000-01-01",
        "0001-01-01T00:00:00+05:00",
        "2025-01-01T00:00:00 Europe/Berlin",
        "1762127999",
        "11/02/2025",
        "2025-11-02T25:00:00",
        "2025",
    ],
)
def test_what_is_no_time_is_unknown_or_deleted(text: str) -> None:
    assert column("written_at", pa.array([text])) == [None]
    assert column("deleted_at", pa.array([text])) == [EPOCH]


@pytest.mark.parametrize(
    ("values", "instants"),
    [
        (pa.array([0, 2**60, None], pa.timestamp("s")), [EPOCH, None, None]),
        (
            pa.array([1999], pa.timestamp("ns", "Europe/Berlin")),
            [utc("1970-01-01T00:00:00.000001Z")],
        ),
        (pa.array([1], pa.timestamp("ms")), [utc("1970-01-01T00:00:00.001Z")]),
        (pa.array([date(2025, 1, 2)]), [utc("2025-01-02T00:00:00Z")]),
        (pa.array([2**31 - 1], pa.date32()), [None]),
        (pa.array([0], pa.date64()), [EPOCH]),
        (pa.array([1_700_000_000]), [None]),
        (pa.array([None]), [None]),
    ],
)
def test_typed_times(values: pa.Array, instants: list[datetime | None]) -> None:
    assert column("written_at", values) == instants
    lost = [
        EPOCH if instant is None and value.is_valid else instant
        for instant, value in zip(instants, values, strict=True)
    ]
    assert column("deleted_at", values) == lost


def test_a_lost_time_of_writing_takes_the_other_with_it() -> None:
    table = pa.table(
        {
            "record_id": ["1", "2", "3"],
            "written_at": ["garbage", None, "2025-01-01"],
            "first_seen_at": ["2025-01-01", "2025-01-01", "garbage"],
        }
    )
    rows, notes = CONVERTER.convert(table, CONTENT_SCHEMA)
    assert rows["written_at"].to_pylist() == [None, None, None]
    assert rows["first_seen_at"].to_pylist() == [None, utc("2025-01-01T00:00:00Z"), None]
    assert sorted(notes.values()) == [1, 1]


def test_facts_since_nobody_knows_when_are_unknown() -> None:
    table = pa.table(
        {
            "member_id": ["1", "2"],
            "country": ["DE", "DE"],
            "birth_date": ["1990", "1990"],
            "status": ["closed", "closed"],
            "since": ["garbage", None],
        }
    )
    rows, notes = CONVERTER.convert(table, MEMBERS_SCHEMA)
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        ("1", None, None, "closed", None),
        ("2", "DE", "1990", "closed", None),
    ]
    assert sum(notes.values()) == 1


@pytest.mark.parametrize(
    ("values", "dates"),
    [
        (pa.array(["1990", "1990-02-03", "1990-02-30", "03.02.1990", ""]), ["1990", "1990-02-03"]),
        (pa.array(["1990-02-03T00:00:00Z", "1990-02-03 11:00"]), ["1990-02-03"]),
        (pa.array([1990, 90, None]), ["1990"]),
        (pa.array([1990.0, 1990.5, float("nan")]), ["1990"]),
        (pa.array([date(1990, 2, 3)]), ["1990-02-03"]),
        (pa.array([datetime(1990, 2, 3), datetime(1990, 2, 3, 11)]), ["1990-02-03"]),  # noqa: DTZ001
        (pa.array([datetime(1990, 2, 3, tzinfo=UTC)]), ["1990-02-03"]),
    ],
)
def test_birth_dates(values: pa.Array, dates: list[str]) -> None:
    found = column("birth_date", values, MEMBERS_SCHEMA)
    assert found == dates + [None] * (len(values) - len(dates))


def test_a_status_never_turns_into_none() -> None:
    values = pa.array(["", " ", "banned", None])
    assert column("status", values, MEMBERS_SCHEMA) == ["", " ", "banned", None]
    assert column("status", pa.array([True, False]), MEMBERS_SCHEMA) == ["true", "false"]
    assert column("status", pa.array([1.5]), MEMBERS_SCHEMA) == ["1.5"]


@pytest.mark.parametrize(
    ("values", "mentions"),
    [
        (pa.array(["a; b;", ";", "[]", '["a", null]', '["a"', "{}", "", None]),
         [["a", "b"], None, [], ["a", None], ['["a"'], ["{}"], None, None]),
        (pa.array([[1, None], [], None]), [["1", None], [], None]),
        (pa.array([["a"]], pa.list_(pa.string(), 1)), [["a"]]),
    ],
)  # fmt: skip
def test_mentions(values: pa.Array, mentions: list[list[str | None] | None]) -> None:
    assert column("mentions", values) == mentions


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("record_id", pa.array([b"x"])),
        ("text", pa.array([{"a": 1}])),
        ("written_at", pa.array([b"x"])),
        ("mentions", pa.array([{"a": 1}])),
        ("mentions", pa.array([1])),
    ],
)
def test_types_that_cannot_be_are_refused(name: str, values: pa.Array) -> None:
    with pytest.raises(InputError, match=f"column '{name}' of 'table' cannot be of type"):
        column(name, values)


def test_extension_types_are_read_by_what_they_hold() -> None:
    values = pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(['["a"]']))
    assert column("mentions", values) == [["a"]]
