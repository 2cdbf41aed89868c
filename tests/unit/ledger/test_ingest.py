"""A file is taken whole or not at all, and once."""

import gzip
import re
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sayso import digests
from sayso.canonical import commit
from sayso.erasure import erase
from sayso.errors import InputError
from sayso.ledger import Ingested, Ledger, ingest_choices, ingest_table, open_ledger
from sayso.ledger.entries import canonical_choice
from sayso.ledger.fsck import fsck
from sayso.ledger.ingest import FAULTS_SHOWN
from sayso.ledger.rows import member_row_commitment
from sayso.ledger.sealing import seal
from sayso.ledger.versions import Version, version_at
from sayso.log import EMPTY_ROOT, root_of
from sayso.model import DEFAULT_PURPOSE, Choice
from tests.town import (
    CHOICE_COLUMNS,
    MEMBER_COLUMNS,
    NOTICE_COLUMNS,
    START_US,
    choice_row,
    member_row,
    town_choices,
    town_members,
    town_notices,
    write_csv,
    write_jsonl,
    write_parquet,
)
from tests.unit.ledger.builders import entries, ingest_file, key_of, say, standings, together

Row = dict[str, Any]

GOOD = [choice_row(f"good-{n}") for n in range(4)]
DAY_US = 86_400_000_000


def facts(ledger: Ledger) -> list[Row]:
    """Choices without what differs from ledger to ledger, in no order."""
    kept = ("member_id", *CHOICE_COLUMNS[1:3], "effective_us", *CHOICE_COLUMNS[4:])
    rows = [{name: row[name] for name in kept} for row in entries(ledger).values()]
    return sorted(rows, key=repr)


def take(ledger: Ledger, kind: str, path: Path) -> Ingested:
    if kind == "choices":
        return ingest_choices(ledger, path, START_US, threads=1)
    return ingest_table(ledger, kind, path, START_US)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet*"))


def version_of(ledger: Ledger, kind: str = "members") -> Version:
    found = version_at(ledger, kind, ledger.size())
    assert found is not None
    return found


# ---- choices: whole or not at all -------------------------------------------------------

BAD_ROWS: dict[str, Row] = {
    "no member": choice_row(None),
    "empty member": choice_row(""),
    "no purpose": choice_row("secret-7", purpose=None),
    "empty purpose": choice_row("secret-7", purpose=""),
    "no choice": choice_row("secret-7", None),
    "unset": choice_row("secret-7", "unset"),
    "capitals": choice_row("secret-7", "OFF"),
    "a space": choice_row("secret-7", "off "),
    "another word": choice_row("secret-7", "maybe"),
    "on for every purpose": choice_row("secret-7", "on", purpose="*"),
    "deferred for every purpose": choice_row("secret-7", "deferred", purpose="*"),
    "no instant": choice_row("secret-7", effective_at=None),
    "a word for an instant": choice_row("secret-7", effective_at="yesterday"),
    "a day that is none": choice_row("secret-7", effective_at="2026-02-30"),
    "an hour that is none": choice_row("secret-7", effective_at="2026-02-03T25:00:00Z"),
    "a number for an instant": choice_row("secret-7", effective_at="1767225600"),
    "infinity": choice_row("secret-7", effective_at="infinity"),
    "a German date": choice_row("secret-7", effective_at="03.02.2026"),
    "a country that is none": choice_row("secret-7", country="UK"),
    "a small country": choice_row("secret-7", country="de"),
    "a group for a country": choice_row("secret-7", country="EEA"),
}


@pytest.mark.parametrize(
    ("why", "suffix"), list(zip(BAD_ROWS, cycle(("csv", "jsonl", "parquet")), strict=False))
)
def test_one_bad_row_and_nothing_is_taken(folder: Path, why: str, suffix: str) -> None:
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", folder)
    rows = [*GOOD, BAD_ROWS[why], choice_row("good-9")]
    write: Any = {"csv": write_csv, "parquet": write_parquet}.get(suffix)
    path = folder.parent / f"bad.{suffix}"
    if write is None:
        write_jsonl(path, rows)
    else:
        write(path, rows, CHOICE_COLUMNS)
    with pytest.raises(InputError, match="nothing was taken") as caught:
        ingest_choices(ledger, path, START_US, threads=1)
    assert caught.value.data["rows"] == [5]
    assert "row 5" in str(caught.value)
    assert "secret-7" not in str(caught.value)
    assert ledger.size() == 0
    assert files_in(folder) == []
    assert key_of(ledger, "good-0") is None
    ledger.close()


def test_the_message_names_the_first_rows_and_counts_all(ledger: Ledger, tmp_path: Path) -> None:
    rows = [choice_row("secret-7", "maybe" if number % 2 else "off") for number in range(40)]
    with pytest.raises(InputError, match="20 bad rows") as caught:
        ingest_choices(ledger, write_jsonl(tmp_path / "c.jsonl", rows), START_US)
    assert caught.value.data["rows"] == [2, 4, 6, 8, 10][:FAULTS_SHOWN]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("column", ["member_id", "purpose", "choice", "effective_at"])
def test_a_missing_column_is_named(ledger: Ledger, tmp_path: Path, column: str) -> None:
    columns = [name for name in CHOICE_COLUMNS if name != column]
    path = write_csv(tmp_path / "c.csv", GOOD, columns)
    with pytest.raises(InputError, match=f"no column '{column}'"):
        ingest_choices(ledger, path, START_US)
    assert ledger.size() == 0


ODD_FILES = {
    "empty.csv": b"",
    "empty.parquet": b"",
    "short.parquet": b"PAR1PAR1",
    "words.parquet": b"these are words and no table",
    "open-quote.csv": b'member_id,purpose,choice,effective_at\n"7,p,off,2026-01-01\n',
    "ragged.csv": b"member_id,purpose,choice,effective_at\n7,p,off,2026-01-01,9,9\n8,p\n",
    "latin.csv": b"member_id,purpose,choice,effective_at\nJos\xe9,p,off,2026-01-01\n",
    "latin.jsonl": b'{"member_id":"Jos\xe9","purpose":"p","choice":"off"}\n',
    "broken.jsonl": b'{"member_id":"7","purpose":"p"\n',
    "lone-surrogate.jsonl": b'{"member_id":"\\ud800","purpose":"p","choice":"off",'
    b'"effective_at":"2026-01-01"}\n',
    "list.jsonl": b"[1,2,3]\n",
    "zeros.csv": bytes(300),
    "zeros.parquet": bytes(300),
    "unknown.xlsx": b"PK",
}


@pytest.mark.parametrize(
    ("name", "kind"), list(zip(ODD_FILES, cycle(("choices", "members", "notices")), strict=False))
)
def test_bytes_that_are_no_table_are_bad_input(folder: Path, name: str, kind: str) -> None:
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", folder)
    path = folder.parent / name
    path.write_bytes(ODD_FILES[name])
    with pytest.raises(InputError):
        take(ledger, kind, path)
    assert ledger.size() == 0
    assert files_in(folder) == []
    ledger.close()


def test_invalid_utf8_in_parquet_is_bad_input(ledger: Ledger, tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.binary(), 1, pa.array([b"Jos\xe9"]).buffers())
    for column in ("member_id", "channel"):
        table = pa.table({name: ["x"] for name in CHOICE_COLUMNS})
        path = tmp_path / f"{column}.parquet"
        good = pa.Table.from_pylist([choice_row("7")], schema=table.schema)
        place = good.schema.get_field_index(column)
        lying = pa.Array.from_buffers(pa.string(), 1, bad.buffers())
        pq.write_table(good.set_column(place, column, lying), path, write_statistics=False)
        with pytest.raises(InputError):
            ingest_choices(ledger, path, START_US)
    assert ledger.size() == 0


def test_no_such_file(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        ingest_choices(ledger, tmp_path / "not.csv", START_US)
    with pytest.raises(InputError, match="no Parquet file"):
        ingest_table(ledger, "members", tmp_path, START_US)


# ---- choices: taken ---------------------------------------------------------------------


def test_a_files_rows_are_entries_from_the_end_on(ledger: Ledger, tmp_path: Path) -> None:
    say(ledger, "first")
    path = write_jsonl(tmp_path / "c.jsonl", town_choices(50, 9))
    taken = ingest_choices(ledger, path, START_US)
    assert (taken.first, taken.rows, taken.size, taken.unchanged) == (1, 50, 51, False)
    assert list(entries(ledger)) == list(range(51))
    assert say(ledger, "last").index == 51
    assert fsck(ledger).commitments == 52


def test_the_same_file_twice_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", GOOD)
    first = ingest_choices(ledger, path, START_US)
    say(ledger, "7")
    before = entries(ledger)
    copy = tmp_path / "under another name.jsonl"
    copy.write_bytes(path.read_bytes())
    for again in (path, copy):
        taken = ingest_choices(ledger, again, START_US + 99)
        assert (taken.rows, taken.first, taken.size) == (0, first.first, 5)
        assert taken.unchanged
    assert entries(ledger) == before
    assert fsck(ledger).segments == 1


def test_ons_of_another_time_are_counted(ledger: Ledger, tmp_path: Path) -> None:
    rows = [
        choice_row("7", "on", "2020-01-01"), choice_row("7", "off", "2020-01-01"),
        choice_row("8", "on", "2030-01-01"), choice_row("9", "on", "2026-01-10T08:59:59Z"),
    ]  # fmt: skip
    taken = ingest_choices(ledger, write_jsonl(tmp_path / "c.jsonl", rows), START_US)
    assert (taken.backdated_on, taken.ahead_on) == (2, 1)


def test_csv_jsonl_and_parquet_say_the_same(folder: Path) -> None:
    rows = [
        *town_choices(60, 7),
        choice_row('quo"te', "off", "2026-01-01T00:00:00.123456+05:30", channel="a,b\nc"),
        choice_row("é", "off", "2026-01-01 00:00", purpose="*", country="HK"),
        choice_row("0007", "deferred", "2026-01-01"),
    ]
    found = []
    for name, write in (("csv", write_csv), ("jsonl", write_jsonl), ("parquet", write_parquet)):
        ledger = open_ledger(f"sqlite:///{folder / name}.db", folder)
        path = folder.parent / f"c.{name}"
        arguments = (path, rows) if write is write_jsonl else (path, rows, CHOICE_COLUMNS)
        write(*arguments)
        ingest_choices(ledger, path, START_US, threads=1)
        found.append(facts(ledger))
        ledger.close()
    assert found[0] == found[1] == found[2]
    for kind in ("csv", "jsonl"):  # as Windows saves it
        marked = folder.parent / f"marked.{kind}"
        marked.write_bytes(b"\xef\xbb\xbf" + (folder.parent / f"c.{kind}").read_bytes())
        ledger = open_ledger(f"sqlite:///{folder / 'marked'}-{kind}.db", folder)
        ingest_choices(ledger, marked, START_US, threads=2)
        assert facts(ledger) == found[0]
        ledger.close()
    zipped = folder.parent / "z.csv.gz"
    zipped.write_bytes(gzip.compress((folder.parent / "c.csv").read_bytes()))
    ledger = open_ledger(f"sqlite:///{folder / 'zipped'}.db", folder)
    ingest_choices(ledger, zipped, START_US, threads=1)
    assert facts(ledger) == found[0]
    ledger.close()


def test_integers_and_text_are_one_id(ledger: Ledger, tmp_path: Path) -> None:
    numbers = [choice_row(n, "off") for n in (7, -3, 0, (1 << 63) - 1, -(1 << 63))]
    texts = [row | {"member_id": str(row["member_id"])} for row in numbers]
    ingest_choices(ledger, write_parquet(tmp_path / "n.parquet", numbers, CHOICE_COLUMNS), 5)
    ingest_choices(ledger, write_parquet(tmp_path / "t.parquet", texts, CHOICE_COLUMNS), 6)
    ingest_choices(ledger, write_jsonl(tmp_path / "n.jsonl", numbers), 7)
    ids = sorted(row["member_id"] for row in entries(ledger).values())
    assert ids == sorted([str(row["member_id"]) for row in numbers] * 3)
    assert fsck(ledger).member_keys == 5


def test_floats_that_are_whole_and_huge_numbers(ledger: Ledger, tmp_path: Path) -> None:
    table = pa.Table.from_pylist([choice_row("x") for _ in range(3)])
    floats = table.set_column(0, "member_id", pa.array([7.0, -0.0, 2.0**60]))
    huge = table.set_column(0, "member_id", pa.array([2**64 - 1, 2**63, 7], pa.uint64()))
    for name, one in (("floats", floats), ("huge", huge)):
        pq.write_table(one.drop_columns(["country", "channel", "setting_version"]), tmp_path / name)
        (tmp_path / name).rename(tmp_path / f"{name}.parquet")
        ingest_choices(ledger, tmp_path / f"{name}.parquet", START_US)
    ids = [row["member_id"] for row in entries(ledger).values()]
    assert {"7", "0", "18446744073709551615", "9223372036854775808"} <= set(ids)


@pytest.mark.parametrize(
    "text", ["member_id,purpose,choice,effective_at\n", "member_id,purpose,choice,effective_at"]
)
def test_a_header_alone_is_no_entry(ledger: Ledger, tmp_path: Path, text: str) -> None:
    for name in ("a.csv", "b.csv", "a.csv"):
        path = tmp_path / name
        path.write_text(text + ("\n" if name == "b.csv" else ""), encoding="utf-8")
        taken = ingest_choices(ledger, path, START_US)
        assert (taken.rows, taken.first, taken.size) == (0, None, 0)
    assert ledger.size() == 0
    assert say(ledger, "7").index == 0
    fsck(ledger)


def test_files_of_erased_members_alone_leave_the_ledger_usable(
    ledger: Ledger, tmp_path: Path
) -> None:
    erase(ledger, "7", START_US)
    for number in range(3):
        rows = [choice_row("7", "off", f"2026-01-0{number + 1}")]
        path = write_jsonl(tmp_path / f"{number}.jsonl", rows)
        assert ingest_choices(ledger, path, START_US).rows == 0
        assert ingest_choices(ledger, path, START_US).rows == 0
    assert ledger.size() == 1
    # What used to stand in the way: an empty segment took the index of the next entry.
    assert ingest_choices(ledger, write_jsonl(tmp_path / "g.jsonl", GOOD), START_US).first == 1
    assert say(ledger, "8").index == 5
    assert seal(ledger, START_US, threshold_rows=1) == 1
    report = fsck(ledger)
    assert (report.size, report.orphans) == (6, ())


def test_two_processes_take_one_file_once(ledger_url: str, folder: Path) -> None:
    choices = write_jsonl(folder / "choices-1.jsonl", town_choices(400, 30))
    members = write_jsonl(folder / "members-1.jsonl", town_members(30))
    for path, kept in ((choices, 400), (members, 30)):
        together(ingest_file, [(ledger_url, folder, number, path) for number in range(4)])
        told = sorted((folder / f"taken-{number}").read_text() for number in range(4))
        assert told == ["0 True"] * 3 + [f"{kept} False"]
    ledger = open_ledger(ledger_url, folder)
    report = fsck(ledger)
    assert (report.size, report.segments, report.tables) == (401, 1, 1)
    assert report.orphans == ()
    ledger.close()


# ---- commitments ------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NASTY = st.sampled_from(
    ["'", "''", '"', "\n", "\r\n", "é", "e\u0301", "\ufb01", "\U0010ffff", "😀", "-,", "7:", "i7,",
     "x" * 20_000, "\u2028", "\ufeff", "\\", "NULL", "$1", "\x00", "a\x00b"]
)  # fmt: skip
WORDS = st.none() | TEXT | NASTY
INSTANTS = st.integers(-(10**15), 4 * 10**15)


@pytest.mark.parametrize("few", [0, digests.FEW_ROWS])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            (TEXT | NASTY).filter(bool), (TEXT | NASTY).filter(lambda s: s not in {"", "*"}),
            st.sampled_from(["on", "off", "deferred"]), INSTANTS,
            st.sampled_from([None, "HK", "GB"]), WORDS, WORDS,
        ),
        min_size=1,
        max_size=20,
    )
)  # fmt: skip
def test_sql_commits_to_what_python_commits_to(
    tmp_path_factory: pytest.TempPathFactory, few: int, rows: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("ws")
    (folder / "segments").mkdir()
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)]
    columns[3] = pa.array(columns[3], pa.timestamp("us", tz="UTC"))
    for place in (0, 1, 2, 4, 5, 6):
        columns[place] = pa.array(columns[place], pa.string())
    pq.write_table(pa.table(columns, names=list(CHOICE_COLUMNS)), folder / "c.parquet")
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", folder)
    try:
        with patch.object(digests, "FEW_ROWS", few):  # by a query, or row by row
            ingest_choices(ledger, folder / "c.parquet", START_US, threads=1)
        found = list(entries(ledger).values())
        assert len(found) == len(rows)
        for row in found:
            key = key_of(ledger, row["member_id"])
            assert key is not None
            canonical = canonical_choice(
                row["purpose"], row["choice"], row["effective_us"], START_US, row["country"],
                row["channel"], row["setting_version"], None,
            )  # fmt: skip
            assert bytes(row["commitment"]) == commit(key, canonical)
        assert sorted((r["member_id"], r["effective_us"]) for r in found) == sorted(
            (who, us) for who, _, _, us, *_ in rows
        )
        fsck(ledger)
    finally:
        ledger.close()


def expected_root(ledger: Ledger, rows: list[Row]) -> bytes:
    """The root over the rows of a members file, in Python alone."""
    leaves = []
    for row in rows:
        key = key_of(ledger, row["member_id"])
        assert key is not None
        born = None if row["born"] is None else row["born"].toordinal() - 719_163
        day = None if row["since_day"] is None else row["since_day"].toordinal() - 719_163
        leaves.append(
            member_row_commitment(
                key, row["country"], born, row["status"], row["since_us"], day, row["since_odd"]
            )
        )
    return root_of(leaves)


def test_a_members_root_is_that_of_its_rows(ledger: Ledger, folder: Path) -> None:
    rows = [
        *town_members(40),
        member_row("m0001", "GB", since="2025-01-01"),
        member_row("m0001", "DE", since="2025-06-01T00:00:00Z"),
        member_row("m0002", None, since="soon", status="odd", birth_date="nonsense"),
        member_row(None, "DE"),
    ]
    taken = ingest_table(ledger, "members", write_jsonl(folder / "m.jsonl", rows), START_US)
    assert (taken.rows, taken.ignored) == (43, 1)
    version = version_of(ledger)
    kept = pq.read_table(version.path).to_pylist()
    assert len(kept) == version.rows == 43
    assert expected_root(ledger, kept).hex() == version.root
    entry = ledger.latest("table", ledger.size())
    assert entry is not None
    assert entry.payload == {"table": "members", "root": version.root}


def test_the_root_does_not_depend_on_the_order_of_rows(ledger: Ledger, folder: Path) -> None:
    rows = town_members(30)
    first = write_jsonl(folder / "a.jsonl", rows)
    second = write_jsonl(folder / "b.jsonl", rows[::-1])
    roots = []
    for path in (first, second):
        assert not ingest_table(ledger, "members", path, START_US).unchanged
        roots.append(version_of(ledger).root)
    assert roots[0] == roots[1]


# ---- tables -----------------------------------------------------------------------------


def test_the_last_version_counts_and_a_b_a_is_three(ledger: Ledger, folder: Path) -> None:
    one = write_jsonl(folder / "a.jsonl", [member_row("7", "US")])
    two = write_jsonl(folder / "b.jsonl", [member_row("7", "GB"), member_row("8", "GB")])
    firsts = []
    for number, path in enumerate((one, one, two, two, one)):
        taken = ingest_table(ledger, "members", path, START_US + number)
        firsts.append((taken.first, taken.rows, taken.unchanged))
    assert firsts == [(0, 1, False), (0, 0, True), (1, 2, False), (1, 0, True), (2, 1, False)]
    countries = [
        {row["member_id"]: row["country"] for row in standings(ledger, known)} for known in range(4)
    ]
    assert countries == [{}, {"7": "US"}, {"7": "GB", "8": "GB"}, {"7": "US"}]
    assert (fsck(ledger).tables, fsck(ledger).roots) == (3, 3)


def test_members_and_notices_are_two_tables(ledger: Ledger, folder: Path) -> None:
    members = write_jsonl(folder / "m.jsonl", town_members(20))
    notices = write_jsonl(folder / "n.jsonl", town_notices(20))
    ingest_table(ledger, "members", members, START_US)
    ingest_table(ledger, "notices", notices, START_US)
    assert ingest_table(ledger, "members", members, START_US).unchanged
    assert ingest_table(ledger, "notices", notices, START_US).unchanged
    assert fsck(ledger).roots == 2


def test_csv_jsonl_and_parquet_members_have_one_root(ledger: Ledger, folder: Path) -> None:
    rows = [*town_members(25), member_row("é", "HK", since="2025-01-01", birth_date="1971")]
    roots = []
    for path in (
        write_csv(folder / "m.csv", rows, MEMBER_COLUMNS),
        write_jsonl(folder / "m.jsonl", rows),
        write_parquet(folder / "m.parquet", rows, MEMBER_COLUMNS),
    ):
        ingest_table(ledger, "members", path, START_US)
        roots.append(version_of(ledger).root)
    assert len(set(roots)) == 1


ODD_MEMBERS = [
    member_row("a", "UK"), member_row("b", "??"), member_row("c", birth_date="1990-13-45"),
    member_row("d", birth_date="31.12.1999"), member_row("e", status="who knows"),
    member_row("f", since="then"), member_row(None), member_row("g", country=None),
    member_row("g", birth_date=None), {"member_id": "h"},
]  # fmt: skip


def test_odd_facts_never_refuse_a_members_file(ledger: Ledger, folder: Path) -> None:
    taken = ingest_table(ledger, "members", write_jsonl(folder / "m.jsonl", ODD_MEMBERS), START_US)
    assert (taken.rows, taken.ignored) == (9, 1)
    assert fsck(ledger).roots == 1


NOTICE = {"member_id": "7", "purpose": DEFAULT_PURPOSE, "served_at": "2025-09-20"}


@pytest.mark.parametrize(
    "bad",
    [
        NOTICE | {"member_id": None}, NOTICE | {"purpose": None}, NOTICE | {"served_at": None},
        NOTICE | {"served_at": "soon"}, NOTICE | {"outcome": "read"}, NOTICE | {"purpose": ""},
    ],
)  # fmt: skip
def test_one_bad_notice_and_nothing_is_taken(ledger: Ledger, folder: Path, bad: Row) -> None:
    path = write_jsonl(folder / "n.jsonl", [NOTICE, NOTICE | {"outcome": "bounced"}, bad])
    with pytest.raises(InputError, match=re.escape("nothing was taken (row 3")):
        ingest_table(ledger, "notices", path, START_US)
    assert ledger.size() == 0
    assert files_in(folder) == []


@pytest.mark.parametrize(
    ("kind", "columns"), [("members", MEMBER_COLUMNS), ("notices", NOTICE_COLUMNS)]
)
def test_a_table_may_be_empty(
    ledger: Ledger, folder: Path, kind: str, columns: tuple[str, ...]
) -> None:
    path = write_csv(folder / "t.csv", [], columns)
    taken = ingest_table(ledger, kind, path, START_US)
    assert (taken.rows, taken.first) == (0, 0)
    assert version_of(ledger, kind).root == EMPTY_ROOT.hex()
    assert ingest_table(ledger, kind, path, START_US).unchanged
    assert standings(ledger, 1) == []
    assert fsck(ledger).roots == 1


def test_a_folder_of_parquet_is_one_table(ledger: Ledger, folder: Path) -> None:
    (folder / "parts").mkdir()
    rows = town_members(10)
    write_parquet(folder / "parts" / "1.parquet", rows[:5], MEMBER_COLUMNS)
    write_parquet(folder / "parts" / "2.parquet", rows[5:], MEMBER_COLUMNS)
    assert ingest_table(ledger, "members", folder / "parts", START_US).rows == 10
    assert ingest_table(ledger, "members", folder / "parts", START_US).unchanged


def test_a_choice_and_a_file_make_one_key(ledger: Ledger, folder: Path) -> None:
    say(ledger, "m0001", Choice.ON)
    key = key_of(ledger, "m0001")
    ingest_table(ledger, "members", write_jsonl(folder / "m.jsonl", town_members(3)), START_US)
    ingest_choices(ledger, write_jsonl(folder / "c.jsonl", town_choices(20, 3)), START_US)
    assert key_of(ledger, "m0001") == key
    assert fsck(ledger).member_keys == 3
