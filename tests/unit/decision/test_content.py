import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest

from sayso.decision.content import as_content
from sayso.errors import InputError

NOBODY, SOMEBODY, UNKNOWN = 0, 1, 2


def rows(content: Any, *, integer_ids: bool = False) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = as_content(content, integer_ids=integer_ids).to_pylist()
    return found


def table(**columns: Any) -> pa.Table:
    lengths = {len(column) for column in columns.values()}
    (length,) = lengths
    ids = pa.array([str(place) for place in range(length)])
    return pa.table({"record_id": ids, "member_id": ids, **columns})


def column(name: str, values: Any) -> list[Any]:
    """Return a column of content by Arrow, having checked that Parquet gives the same."""
    return [row[name] for row in rows(table(**{name: values}))]


def by_parquet(tmp_path: Path, content: pa.Table, **how: bool) -> list[dict[str, Any]]:
    pq.write_table(content, tmp_path / "content.parquet")
    return rows(tmp_path / "content.parquet", **how)


def jsonl(tmp_path: Path, *records: object) -> Path:
    path = tmp_path / "content.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


# ---- what is there ----------------------------------------------------------------------


def test_columns_that_are_missing_are_unknown() -> None:
    (row,) = rows(pa.table({"record_id": ["1"], "extra": [object.__name__]}))
    assert row == {
        "record_id": "1", "member_id": None, "category": None, "visibility": None,
        "authorship": None, "context": None, "mentions": UNKNOWN, "written_at": None,
        "first_seen_at": None, "deleted_at": None,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["arrow", "parquet", "csv", "jsonl"])
def test_there_must_be_record_ids(form: str, tmp_path: Path) -> None:
    content = pa.table({"id": ["1"], "member_id": ["1"]})
    given: Any = content
    if form == "parquet":
        given = tmp_path / "content.parquet"
        pq.write_table(content, given)
    elif form == "csv":
        given = tmp_path / "content.csv"
        pc_csv.write_csv(content, given)
    elif form == "jsonl":
        # Every column is there in JSON Lines; that it is null throughout shows in the answers.
        assert rows(jsonl(tmp_path, {"id": "1"}))[0]["record_id"] is None
        return
    with pytest.raises(InputError, match="no column 'record_id'"):
        rows(given)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for name in ("content.parquet", "content.jsonl"):
        path = tmp_path / name
        path.write_bytes(b"\x00\x01 not at all \xff")
        with pytest.raises(InputError, match="cannot read"):
            rows(path)
    with pytest.raises(InputError, match="no such file"):
        rows(tmp_path / "nothing.parquet")


def test_every_form_means_the_same(tmp_path: Path) -> None:
    given: dict[str, list[str | None]] = {
        "record_id": ["1", "2"],
        "member_id": ["7", None],
        "category": ["post", None],
        "visibility": ["public", "Public"],
        "authorship": ["own", "generated"],
        "context": ["clinic", None],
        "written_at": ["2024-01-01T00:00:00Z", None],
        "first_seen_at": ["2024-01-01T08:00:00.000001+08:00", "soon"],
        "deleted_at": [None, "soon"],
    }
    content = pa.table({name: pa.array(values, pa.string()) for name, values in given.items()})
    expected = rows(content)
    assert by_parquet(tmp_path, content) == expected
    pc_csv.write_csv(content, tmp_path / "content.csv")
    assert rows(tmp_path / "content.csv") == expected
    records = [{name: values[place] for name, values in given.items()} for place in range(2)]
    assert rows(jsonl(tmp_path, *records)) == expected
    assert expected[0]["first_seen_at"] == datetime(2024, 1, 1, 0, 0, 0, 1)  # noqa: DTZ001
    assert expected[1]["first_seen_at"] is None, "it cannot be read"


def test_dictionaries_and_chunks(tmp_path: Path) -> None:
    one = pa.array(["post", None, "zzz"]).dictionary_encode()
    other = pa.array(["article", "post"]).dictionary_encode()
    found = column("category", pa.chunked_array([one, other.cast(one.type)]))
    assert found == ["post", None, "zzz", "article", "post"]


# ---- ids --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([7, None, -3], pa.int64()), ["7", None, "-3"]),
        (pa.array([7, 255], pa.uint8()), ["7", "255"]),
        (pa.array([(1 << 64) - 1], pa.uint64()), [str((1 << 64) - 1)]),
        (pa.array(["7", "", None, "007", " 7", "7.0"]), ["7", None, None, "007", " 7", "7.0"]),
        (pa.array([7.0, -0.0, 7.5, None, 1e15]), ["7", "0", "7.5", None, str(10**15)]),
        (pa.array([Decimal("7.00"), Decimal("7.50")]), ["7", "7.50"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array([b"7"], pa.binary()), [None]),
        (pa.array([[7]], pa.list_(pa.int64())), [None]),
    ],
)
@pytest.mark.parametrize("name", ["member_id", "record_id"])
def test_seven_equals_seven(name: str, values: pa.Array, texts: list[str], tmp_path: Path) -> None:
    content = pa.table({"record_id": values, "member_id": values})
    if name == "record_id" and pa.types.is_integer(values.type) and values.type != pa.uint64():
        texts = values.to_pylist()  # integers stay: nothing else stands in the column
    assert [row[name] for row in rows(content)] == texts
    assert [row[name] for row in by_parquet(tmp_path, content)] == texts


def test_a_float_that_is_no_number_is_no_id() -> None:
    """NaN stands for null where a column of floats has gaps."""
    ids = pa.array([float("nan"), float("inf"), 1e300])
    found = [row["member_id"] for row in rows(pa.table({"record_id": ids, "member_id": ids}))]
    assert found == [None, None, "1e+300"]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("7", "7"), ('"7"', "7"), ("7.0", "7"), ("7.5", "7.5"), ('"7.0"', "7.0"), ("null", None),
        ('""', None), ("-3", "-3"), ("true", None), (str(2**63), str(2**63)),
    ],
)  # fmt: skip
def test_ids_in_json(written: str, text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "content.jsonl"
    path.write_text(f'{{"record_id": "1", "member_id": {written}}}\n')
    assert [row["member_id"] for row in rows(path)] == [text]


def test_where_members_are_integers_only_their_texts_equal_them() -> None:
    texts = ["7", "007", "7.0", "+7", " 7", "", None, "x", "-7", str(1 << 63), "-0", "0"]
    ids = pa.array(texts, pa.string())
    content = pa.table({"record_id": ids, "member_id": ids})
    found = [row["member_id"] for row in rows(content, integer_ids=True)]
    assert found == [7, None, None, None, None, None, None, None, -7, None, None, 0]
    small = pa.table({"record_id": ids[:2], "member_id": pa.array([7, None], pa.int8())})
    assert [row["member_id"] for row in rows(small, integer_ids=True)] == [7, None]


def test_members_are_integers_and_the_others_texts() -> None:
    content = pa.table({"record_id": ["1"], "member_id": pa.array([7], pa.int64())})
    assert rows(content, integer_ids=False)[0]["member_id"] == "7"


# ---- times ------------------------------------------------------------------------------

MOMENT = datetime(2025, 11, 2, 16, 0, 0, tzinfo=UTC)
NAIVE = MOMENT.replace(tzinfo=None)


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-02T16:00:00Z", "2025-11-02 16:00:00", "2025-11-03T00:00:00+08:00",
        "2025-11-03T00:00+08", "2025-11-03 00:00:00.000000+0800", " 2025-11-02T16:00 ",
        "2025-11-02T16:00:00.000Z", "2025-11-02T16:00:00 UTC",
    ],
)  # fmt: skip
def test_instants_as_text(text: str) -> None:
    assert column("written_at", pa.array([text])) == [NAIVE]


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "2025-11", "2025-13-01", "2025-02-30", "2025-11-02T25:00:00Z", "now", "today",
        "infinity", "epoch", "02.11.2025", "11/02/2025", "1762099200", "2025-11-02T16:00:00 HKT",
        "-2025-11-02", "12025-11-02",
    ],
)  # fmt: skip
def test_what_is_no_instant(text: str) -> None:
    assert column("written_at", pa.array([text])) == [None]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([MOMENT], pa.timestamp("us", tz="UTC")),
        pa.array(
            [MOMENT.astimezone(timezone(timedelta(hours=8)))], pa.timestamp("us", tz="+08:00")
        ),
        pa.array([MOMENT], pa.timestamp("ms", tz="Asia/Hong_Kong")),
        pytest.param(pa.array([MOMENT], pa.timestamp("ns", tz="UTC"))),
        pa.array([NAIVE], pa.timestamp("us")),
        pa.array([NAIVE], pa.timestamp("s")),
        pa.array([NAIVE], pa.timestamp("ms")),
        pa.array([NAIVE], pa.timestamp("ns")),
    ],
)
def test_instants_as_timestamps(values: pa.Array, tmp_path: Path) -> None:
    content = table(written_at=values, deleted_at=values)
    for found in (rows(content), by_parquet(tmp_path, content)):
        for name in ("written_at", "deleted_at"):
            moment = found[0][name]
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            assert aware == MOMENT


def test_a_date_is_its_midnight_in_utc() -> None:
    assert column("written_at", pa.array([date(2025, 11, 2)])) == [datetime(2025, 11, 2)]  # noqa: DTZ001


def test_an_unreadable_time_makes_the_other_unknown() -> None:
    """Null is absent; what stands there unreadable might have been the earlier of the two."""
    texts = pa.array(["2025-11-02T16:00:00Z"] * 3)
    odd = pa.array(["soon", None, ""])
    for one, other in (("written_at", "first_seen_at"), ("first_seen_at", "written_at")):
        found = rows(table(**{one: odd, other: texts}))
        assert [row[other] for row in found] == [None, NAIVE, None]
        assert [row[one] for row in found] == [None] * 3


def test_what_is_no_column_of_times() -> None:
    assert column("written_at", pa.array([1762099200])) == [None]
    assert column("written_at", pa.array([["2025-11-02"]])) == [None]


def test_a_deletion_that_cannot_be_read_is_one() -> None:
    odd = [None, "soon", "2025-11-02T16:00:00Z", ""]
    found = column("deleted_at", pa.array(odd))
    assert found[0] is None
    assert found[1] == found[3] == datetime(1, 1, 1)  # noqa: DTZ001
    assert found[2] == NAIVE
    assert column("deleted_at", pa.array([1762099200])) == [datetime(1, 1, 1)]  # noqa: DTZ001


# ---- mentions ---------------------------------------------------------------------------


def test_mentions_as_lists() -> None:
    given = pa.array([[], ["Invented Person"], None, [None]], pa.list_(pa.string()))
    assert column("mentions", given) == [NOBODY, SOMEBODY, UNKNOWN, SOMEBODY]
    assert column("mentions", pa.nulls(2, pa.list_(pa.string()))) == [UNKNOWN] * 2


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("[]", NOBODY), ('["Invented Person"]', SOMEBODY), ("null", UNKNOWN), ('""', SOMEBODY),
        ("{}", SOMEBODY), ("0", SOMEBODY), ("[null]", SOMEBODY),
    ],
)  # fmt: skip
def test_mentions_in_json(written: str, code: int, tmp_path: Path) -> None:
    path = tmp_path / "content.jsonl"
    path.write_text(f'{{"record_id": "1", "mentions": {written}}}\n')
    assert [row["mentions"] for row in rows(path)] == [code]


def test_mentions_as_text(tmp_path: Path) -> None:
    texts = ["", " [] ", "[]", "Invented Person", '["Invented Person"]', None, "null"]
    path = tmp_path / "content.parquet"
    pq.write_table(table(mentions=pa.array(texts)), path)
    expected = [NOBODY, NOBODY, NOBODY, SOMEBODY, SOMEBODY, UNKNOWN, SOMEBODY]
    assert [row["mentions"] for row in rows(path)] == expected


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["[]", "Invented Person"]),
        pa.array([[], ["Invented Person"]], pa.large_list(pa.large_string())),
        pa.array([0, 1], pa.int8()),
    ],
)
def test_mentions_mean_the_same_in_a_table_and_in_a_file(values: pa.Array, tmp_path: Path) -> None:
    content = table(mentions=values)
    assert rows(content) == by_parquet(tmp_path, content)
