"""Files as people have them: headers, quotes, encodings, and numbers that stand for ids."""

import gzip
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso import tables
from sayso.cli import main
from sayso.errors import InputError, UnavailableError
from sayso.tables import connect, open_table, reading

ROW = "member_id,country\n7,HK\n"


def cells(path: Path, *expressions: str, threads: int = 1) -> list[tuple[object, ...]]:
    """Return what some readings of `member_id` and the like give, row by row."""
    with connect(threads=threads) as con, reading(path):
        table = open_table(con, path)
        names = [getattr(table, kind)(name) for kind, name in (e.split(" ") for e in expressions)]
        return con.sql(f"SELECT {', '.join(names)} FROM {table.sql}").fetchall()


def file_of(tmp_path: Path, name: str, data: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    "data",
    [
        ROW,
        ROW.rstrip("\n"),
        "\ufeff" + ROW,
        ROW.replace("\n", "\r\n"),
        "\ufeff" + ROW.replace("\n", "\r\n"),
        '"member_id","country"\n"7","HK"\n',
        "member_id,country\n\n7,HK\n\n",
        # Other columns may be called as they like, and twice.
        "Country,member_id,country,colour,colour,,\n,7,HK,1,2,3,4\n",
        '"a\nb",member_id,country\n,7,HK\n',
    ],
)
def test_csv_as_people_save_it(tmp_path: Path, data: str) -> None:
    assert cells(file_of(tmp_path, "m.csv", data), "id member_id", "text country") == [("7", "HK")]
    packed = file_of(tmp_path, "m.csv.gz", gzip.compress(data.encode()))
    assert cells(packed, "id member_id", "text country") == [("7", "HK")]


@pytest.mark.parametrize("lines", [1, 3, 40_000])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "csv.gz", "jsonl.gz"])
def test_a_byte_order_mark_changes_nothing(
    tmp_path: Path, kind: str, ending: str, lines: int
) -> None:
    """Whatever the number of threads: DuckDB refuses a mark in JSON Lines with more than one."""
    if kind.startswith("jsonl"):
        rows = [f'{{"member_id": {number}, "country": "HK"}}' for number in range(lines)]
    else:
        comma = "\t" if kind.startswith("tsv") else ","
        rows = [f"member_id{comma}country", *(f"{number}{comma}HK" for number in range(lines))]
    data = ("\ufeff" + ending.join(rows) + ending).encode()
    path = file_of(tmp_path, f"m.{kind}", gzip.compress(data) if kind.endswith("gz") else data)
    for threads in (1, 2, 8):
        found = cells(path, "id member_id", "text country", threads=threads)
        assert sorted(found) == sorted((str(number), "HK") for number in range(lines))


@pytest.mark.parametrize("data", ["\ufeff", "\ufeff\n"])
def test_a_byte_order_mark_alone_is_no_row(tmp_path: Path, data: str) -> None:
    assert cells(file_of(tmp_path, "m.jsonl", data), "id member_id", threads=2) == []


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("m.csv", "", "names no column that is known"),
        # A row is never taken for the header, and never quoted.
        ("m.csv", "m-1234,HK\nm-1234,HK\n", "names no column that is known"),
        ("m.csv", ROW + "m-1234,HK,more\n", "at line 3: a row has more or fewer cells"),
        ("m.csv", ROW + "m-1234\n", "at line 3: a row has more or fewer cells"),
        ("m.csv", ROW + '"m-1234,HK\n', "at line 3: a quote is never closed"),
        ("m.csv", "member_id,country,country\nm-1234,HK,US\n", "'country' more than once"),
        ("m.csv", "member_id;country\nm-1234;HK\n", "names no column that is known"),
        ("m.csv", (ROW + "m-1234,\u00e9\n").encode("latin-1"), "at line 3: it is not UTF-8"),
        ("m.csv", ROW.encode("utf-16"), "names no column that is known"),
        ("m.csv.gz", b"m-1234", "is no CSV"),
        ("m.jsonl", '{"member_id": "m-1234"', "at line 1: a line is no JSON object"),
        ("m.jsonl", '[{"member_id": "m-1234"}]\n', "at line 1: a line is no JSON object"),
        ("m.jsonl", '{"member_id": 7}\n"m-1234"\n', "at line 2: a line is no JSON object"),
        ("m.jsonl", '{"member_id": "m-1234", "member_id": 7}\n', "names a key twice"),
        ("m.jsonl", '\ufeff\ufeff{"member_id": "m-1234"}\n', "a byte order mark stands amid"),
        ("m.jsonl", '{"member_id": 7}\n\ufeff{"member_id": "m-1234"}\n', "stands amid the text"),
        ("m.jsonl", '\ufeff{"member_id": 7}\n{"member_id": "m-1234"', "at line 2"),
        ("m.jsonl", '{"member_id": "m-1234"}\n'.encode("utf-16"), "it is not UTF-8"),
        ("m.jsonl", b'{"member_id": "m-1234\xe9"}\n', "it is not UTF-8"),
        ("m.parquet", "m-1234", "cannot read"),
    ],
)
def test_what_cannot_be_read_is_told_and_not_quoted(
    tmp_path: Path, name: str, data: str | bytes, told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        cells(file_of(tmp_path, name, data), "id member_id", "text country")
    assert "1234" not in str(caught.value)
    assert caught.value.hint


def test_numbers_that_stand_for_ids(tmp_path: Path) -> None:
    nan = float("nan")
    floats = pa.array([7.0, -0.0, 7.5, nan, float("inf"), 2.0**53, None])
    pq.write_table(pa.table({"member_id": floats}), tmp_path / "m.parquet")
    assert [row[0] for row in cells(tmp_path / "m.parquet", "id member_id")] == [
        "7", "0", "7.5", None, None, "9007199254740992.0", None,
    ]  # fmt: skip
    pq.write_table(pa.table({"member_id": [True]}), tmp_path / "m.parquet")
    assert cells(tmp_path / "m.parquet", "id member_id") == [(None,)]
    lines = [
        "7", "7.0", '"7"', "7e0", "7.5", '"007"', '" 7"', '""', "null", "NaN", "true", "[]", "{}",
        "-3", "12345678901234567890123", "9007199254740993.0",
    ]  # fmt: skip
    data = "".join(f'{{"member_id": {line}}}\n' for line in lines)
    assert [row[0] for row in cells(file_of(tmp_path, "m.jsonl", data), "id member_id")] == [
        "7", "7", "7", "7", "7.5", "007", " 7", None, None, None, None, None, None,
        "-3", "12345678901234567890123", "9007199254740992.0",
    ]  # fmt: skip


def test_years_that_came_as_floats(tmp_path: Path) -> None:
    """A column of years with gaps is one of floats in many a table."""
    births = pa.array([1985.0, 1985.5, float("nan"), None, 99.0])
    pq.write_table(pa.table({"birth_date": births}), tmp_path / "m.parquet")
    born = [str(row[0]) for row in cells(tmp_path / "m.parquet", "birth birth_date")]
    assert born == ["1985-12-31", "None", "None", "None", "None"]
    data = "".join(f'{{"birth_date": {one}}}\n' for one in ("1985", "1985.0", '"1985"', '"1985.0"'))
    born = [str(r[0]) for r in cells(file_of(tmp_path, "m.jsonl", data), "birth birth_date")]
    assert born == ["1985-12-31"] * 4


@pytest.mark.parametrize("names", [("choice", "choice"), ("choice", "Choice")])
def test_a_column_of_ours_stands_once_in_parquet(tmp_path: Path, names: tuple[str, str]) -> None:
    """DuckDB would take the first, and call the second by another name."""
    table = pa.Table.from_arrays([pa.array(["on"]), pa.array(["off"])], names=list(names))
    pq.write_table(table, tmp_path / "c.parquet")
    with connect() as con, pytest.raises(InputError, match="'choice' more than once"):
        open_table(con, tmp_path / "c.parquet")


def test_other_columns_may_stand_twice(tmp_path: Path) -> None:
    arrays = [pa.array(["7"]), pa.array([1]), pa.array([2])]
    table = pa.Table.from_arrays(arrays, names=["member_id", "other", "other"])
    pq.write_table(table, tmp_path / "c.parquet")
    with connect() as con:
        assert "member_id" in open_table(con, tmp_path / "c.parquet").types


# ---- memory -----------------------------------------------------------------------------

# More than is given to it, and nothing of it may go to the disk.
MUCH = "CREATE TEMP TABLE much AS SELECT hash(i) AS a, hash(i + 1) AS b FROM range(2000000) r(i)"


def test_without_a_folder_nothing_is_spilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with (
        pytest.raises(UnavailableError, match="too little memory") as caught,
        connect(threads=1, memory_bytes=16 << 20) as con,
        reading("members.csv"),
    ):
        con.execute(MUCH)

    assert "temp_directory" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_with_a_folder_it_is_spilled_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spill = tmp_path / "it's here"
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    with connect(threads=1, memory_bytes=16 << 20, spill=spill) as con:
        con.execute(MUCH)
        spilled = list(spill.iterdir())

    assert spilled
    assert list((tmp_path / "cwd").iterdir()) == []


def test_every_connection_is_made_here() -> None:
    """One that is made elsewhere spills wherever the process was started."""
    source = Path(tables.__file__).parent
    made = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\bduckdb\.connect\(", path.read_text(encoding="utf-8"))
    ]

    assert made == ["tables.py"]


def test_the_command_line_tells_it_as_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise duckdb.OutOfMemoryException("a row of maya's")

    monkeypatch.setattr("sayso.cli.cli.main", fail)

    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(tmp_path), "explain", "maya"])

    assert ended.value.code == 4
    assert "too little memory" in (told := capsys.readouterr().err)
    assert "maya" not in told
