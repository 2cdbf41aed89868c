"""Whatever is changed in a ledger, fsck says where; what a crash leaves, it passes over."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sayso.canonical import PUBLIC_KEY, commit, encode
from sayso.erasure import erase
from sayso.errors import IntegrityError
from sayso.ledger import Ledger, ingest_choices, ingest_table, open_ledger, schema
from sayso.ledger import fsck as module
from sayso.ledger.fsck import Report, fsck
from sayso.ledger.sealing import seal
from sayso.ledger.versions import Version, version_at
from sayso.model import Choice
from sayso.opening import FOLDERS
from sayso.rulebook.parse import rulebook_digest
from tests.town import START_US, member_row, town_choices, town_members, write_jsonl
from tests.unit.ledger.builders import entries, say

ENTRY, SEGMENT, KEY = schema.entry, schema.segment, schema.member_key
FILES = {"scopes/XX.yaml": "scope: world\n"}


def fill(ledger: Ledger, folder: Path) -> None:
    """Make a ledger with something of everything, and an erased member.

    0 rulebook; 1-2 choices, sealed; 3 note, amid them; 4-23 bulk; 24 choice, sealed with 1-2;
    25 members; 26 erasure; 27-28 choices.
    """
    files = {"digest": rulebook_digest(FILES), "files": FILES}
    ledger.append_public("rulebook", files, START_US)
    say(ledger, "m0000", Choice.ON)
    say(ledger, "m0001", channel="web")
    ledger.append_public("note", {"é": 1}, START_US)
    ingest_choices(ledger, write_jsonl(folder / "c.jsonl", town_choices(20, 4)), START_US)
    say(ledger, "m0002")
    assert seal(ledger, START_US, threshold_rows=1) == 3
    rows = [*town_members(8), member_row("gone")]
    ingest_table(ledger, "members", write_jsonl(folder / "m.jsonl", rows), START_US)
    erase(ledger, "gone", START_US)
    say(ledger, "m0001")
    say(ledger, "m0003", Choice.DEFERRED)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace folder that was filled once, on SQLite."""
    folder = tmp_path_factory.mktemp("good")
    for name in FOLDERS:
        (folder / name).mkdir()
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", folder)
    fill(ledger, folder)
    ledger.close()
    return folder


@pytest.fixture
def filled(good: Path, folder: Path) -> Iterator[Ledger]:
    """A copy of the good one, to be spoilt."""
    shutil.copytree(good, folder, dirs_exist_ok=True)
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", folder)
    yield ledger
    ledger.close()


def change(ledger: Ledger, statement: sa.Executable) -> None:
    with ledger.writing() as con:
        assert con.execute(statement).rowcount == 1


def stands_at(ledger: Ledger, index: int, words: str) -> IntegrityError:
    with pytest.raises(IntegrityError, match=re.escape(words)) as caught:
        fsck(ledger)
    assert caught.value.data["index"] == index
    return caught.value


def bulk(ledger: Ledger, kind: str = "choices") -> Any:
    with ledger.reading() as con:
        return con.execute(sa.select(SEGMENT).where(SEGMENT.c.kind == kind)).mappings().one()


def rewrite(ledger: Ledger, folder: Path, edit: Callable[[pa.Table], pa.Table]) -> None:
    """Change the bulk segment and its digest in the database."""
    path = folder / "segments" / bulk(ledger)["name"]
    pq.write_table(edit(pq.read_table(path)), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change(ledger, sa.update(SEGMENT).where(SEGMENT.c.kind == "choices").values(sha256=digest))


def recommit(ledger: Ledger, index: int, payload: dict[str, Any]) -> None:
    """Change a public payload and its commitment, as somebody with the database could."""
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    with ledger.reading() as con:
        row = con.execute(sa.select(ENTRY).where(ENTRY.c.index == index)).mappings().one()
    digest = commit(PUBLIC_KEY, encode(f"sayso/{row['kind']}/v1", text, row["recorded_us"]))
    values = {"payload": text, "commitment": digest}
    change(ledger, sa.update(ENTRY).where(ENTRY.c.index == index).values(values))


# ---- a good ledger ----------------------------------------------------------------------


def test_an_empty_ledger_passes(ledger: Ledger) -> None:
    assert fsck(ledger) == Report(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ())


def test_everything_is_counted_on_both_databases(ledger: Ledger, folder: Path) -> None:
    fill(ledger, folder)
    assert fsck(ledger) == Report(
        size=29, head_entries=6, segments=2, segment_entries=23, commitments=29,
        erased_entries=0, tables=1, table_rows=9, roots=1, erased_rows=1, left_rows=0,
        rulebooks=1, member_keys=8, tombstones=1, orphans=(),
    )  # fmt: skip


def test_a_fault_is_found_on_both_databases(ledger: Ledger, folder: Path) -> None:
    fill(ledger, folder)
    change(ledger, sa.update(ENTRY).where(ENTRY.c.index == 27).values(choice="on"))
    stands_at(ledger, 27, "the choice is not what was committed to")
    change(ledger, sa.delete(ENTRY).where(ENTRY.c.index == 3))
    stands_at(ledger, 3, "it is missing")


def test_stages_are_told(filled: Ledger) -> None:
    told: list[tuple[str, int]] = []
    fsck(filled, progress=lambda *stage: told.append(stage))
    assert told == [("keys", 8), ("head", 6), ("tables", 9), ("segments", 3), ("segments", 23)]


def test_nothing_is_written(filled: Ledger, folder: Path) -> None:
    def everything() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.endswith("-shm")
        }

    before = everything()
    fsck(filled)
    assert everything() == before


def test_orphans_are_named_and_no_fault(filled: Ledger, folder: Path) -> None:
    (folder / "segments" / "choices-0123.parquet").write_bytes(b"whatever")
    (folder / "tables" / ".members-1.parquet.0.tmp").write_bytes(b"")
    assert fsck(filled).orphans == (
        "segments/choices-0123.parquet",
        "tables/.members-1.parquet.0.tmp",
    )


def test_little_memory_and_small_subtrees_give_the_same(
    filled: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (1, 3, 4, 5, 9):
        path = write_jsonl(folder / f"m{count}.jsonl", town_members(count))
        ingest_table(filled, "members", path, START_US)
    for leaves in (1, 2, 4):
        monkeypatch.setattr(module, "SUBTREE_LEAVES", leaves)
        assert fsck(filled, memory_bytes=64 << 20).roots == 6


def test_a_folder_with_odd_signs_is_read_as_itself(tmp_path: Path) -> None:
    for name in ("w[s]*?'", "ws"):
        folder = tmp_path / name
        for inner in ("segments", "tables"):
            (folder / inner).mkdir(parents=True)
        ledger = open_ledger(f"sqlite:///{tmp_path / 'l.db'}{len(name)}", folder)
        fill(ledger, folder)
        assert fsck(ledger).commitments == 29
        ledger.close()


def test_others_may_go_on_writing(ledger_url: str, folder: Path) -> None:
    reader, writer = open_ledger(ledger_url, folder), open_ledger(ledger_url, folder)
    rounds = 8

    def write() -> None:
        for number in range(rounds):
            say(writer, f"m{number % 4}")
            path = write_jsonl(folder / "c.jsonl", town_choices(9, 5, seed=number))
            ingest_choices(writer, path, START_US, threads=1)
            say(writer, f"gone-{number}")
            seal(writer, START_US, threshold_rows=3)
            erase(writer, f"gone-{number}", START_US)

    sizes = []
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            sizes.append(fsck(reader).size)
        writing.result()
    report = fsck(reader)
    assert [*sizes, report.size] == sorted([*sizes, rounds * 12])
    assert (report.tombstones, report.erased_entries) == (rounds, rounds)
    reader.close()
    writer.close()


# ---- the head ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"choice": "on"}, {"purpose": "*"}, {"effective_us": START_US + 1}, {"channel": ""},
        {"recorded_us": START_US - 1}, {"country": "US"}, {"setting_version": "x"},
        {"claimed_us": 0}, {"member_id": "m0000"}, {"commitment": bytes(32)},
    ],
)  # fmt: skip
def test_a_changed_choice(filled: Ledger, values: dict[str, Any]) -> None:
    change(filled, sa.update(ENTRY).where(ENTRY.c.index == 27).values(values))
    stands_at(filled, 27, "entry 27: the choice is not what was committed to")


@pytest.mark.parametrize(
    "values",
    [{"payload": '{"é":2}'}, {"payload": '{"é": 1}'}, {"kind": "nota"}, {"recorded_us": 1}],
)
def test_a_changed_public_entry(filled: Ledger, values: dict[str, Any]) -> None:
    change(filled, sa.update(ENTRY).where(ENTRY.c.index == 3).values(values))
    stands_at(filled, 3, "is not what was committed to")


def test_a_public_entry_without_a_payload(filled: Ledger) -> None:
    change(filled, sa.update(ENTRY).where(ENTRY.c.index == 3).values(payload=None))
    stands_at(filled, 3, "the note has no payload")


def test_a_rulebook_that_does_not_have_its_digest(filled: Ledger) -> None:
    recommit(filled, 0, {"digest": rulebook_digest(FILES), "files": {"scopes/XX.yaml": ""}})
    stands_at(filled, 0, "the rulebook's files do not have its digest")


def test_a_missing_entry(filled: Ledger) -> None:
    change(filled, sa.delete(ENTRY).where(ENTRY.c.index == 3))
    stands_at(filled, 3, "entry 3: it is missing")


def test_the_last_entry_is_missing(filled: Ledger) -> None:
    change(filled, sa.delete(ENTRY).where(ENTRY.c.index == 28))
    stands_at(filled, 28, "it is missing")


def test_an_entry_twice(filled: Ledger) -> None:
    change(filled, sa.update(ENTRY).where(ENTRY.c.index == 28).values(index=10))
    stands_at(filled, 10, "it stands twice, and 1 more")


@pytest.mark.parametrize(
    ("size", "index", "words"), [(30, 29, "missing"), (28, 28, "beyond the size of the ledger, 28")]
)
def test_a_wrong_size(filled: Ledger, size: int, index: int, words: str) -> None:
    change(filled, sa.update(schema.head).values(size=size))
    stands_at(filled, index, words)


def test_the_lowest_index_is_named_and_all_are_counted(filled: Ledger) -> None:
    for index in (28, 3, 27):
        change(filled, sa.update(ENTRY).where(ENTRY.c.index == index).values(recorded_us=1))
    assert stands_at(filled, 3, "and 2 more").data["faults"] == 3


# ---- keys and tombstones ----------------------------------------------------------------


def test_another_key(filled: Ledger) -> None:
    change(filled, sa.update(KEY).where(KEY.c.member_id == "m0003").values(key=bytes(32)))
    mine = min(i for i, row in entries(filled).items() if row["member_id"] == "m0003")
    stands_at(filled, mine, "the choice is not what was committed to")


def test_a_key_that_is_missing_without_an_erasure(filled: Ledger) -> None:
    change(filled, sa.delete(KEY).where(KEY.c.member_id == "m0007"))
    stands_at(filled, 25, "the keys of 1 rows")
    change(filled, sa.delete(KEY).where(KEY.c.member_id == "m0001"))
    stands_at(filled, 2, "has no key")


def test_an_erased_member_with_a_key(filled: Ledger) -> None:
    with filled.writing() as con:
        filled.keys.ensure(con, "gone")
    stands_at(filled, 0, "1 erased members have a key again")


def test_a_tombstone_that_is_missing(filled: Ledger) -> None:
    change(filled, sa.delete(schema.erased))
    stands_at(filled, 0, "1 members were erased and have no tombstone")


def test_a_tombstone_without_an_entry(filled: Ledger) -> None:
    change(filled, sa.insert(schema.erased).values(tag=bytes(32), entry=0))
    stands_at(filled, 0, "1 tombstones stand without an entry")


def test_the_secret_of_the_tombstones_is_missing(filled: Ledger, folder: Path) -> None:
    (folder / "keys" / "tombstone.key").unlink()
    with pytest.raises(IntegrityError, match=re.escape("tombstone.key")):
        fsck(filled)
    assert not (folder / "keys" / "tombstone.key").exists()


def test_the_secret_of_the_buckets_is_another(filled: Ledger, folder: Path) -> None:
    (folder / "keys" / "bucket.key").write_bytes(bytes(32))
    stands_at(filled, 0, "are not in the bucket")


def test_a_member_in_another_bucket(filled: Ledger) -> None:
    change(filled, sa.update(KEY).where(KEY.c.member_id == "m0001").values(bucket=2000))
    stands_at(filled, 0, "1 members are not in the bucket")


# ---- segments ---------------------------------------------------------------------------


def test_a_segment_is_missing(filled: Ledger, folder: Path) -> None:
    (folder / "segments" / bulk(filled)["name"]).unlink()
    stands_at(filled, 4, "is missing")


def test_a_flipped_bit_in_a_segment(filled: Ledger, folder: Path) -> None:
    for kind, index in (("choices", 4), ("head", 1)):
        path = folder / "segments" / bulk(filled, kind)["name"]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[len(bad) // 2] ^= 4
        path.write_bytes(bytes(bad))
        stands_at(filled, index, "is not the file that was listed")
        path.write_bytes(good)
    fsck(filled)


@pytest.mark.parametrize("column", ["choice", "member_id", "country", "channel"])
def test_a_changed_row_of_a_segment(filled: Ledger, folder: Path, column: str) -> None:
    def edit(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[7] = "m0000" if values[7] != "m0000" else "m0001"
        place = table.schema.get_field_index(column)
        return table.set_column(place, column, pa.array(values, pa.string()))

    rewrite(filled, folder, edit)
    stands_at(filled, 4 + 7, "the choice is not what was committed to")


def test_a_row_of_somebody_nobody_knows(filled: Ledger, folder: Path) -> None:
    def edit(table: pa.Table) -> pa.Table:
        values = ["m9999" if n == 3 else v for n, v in enumerate(table["member_id"].to_pylist())]
        place = table.schema.get_field_index("member_id")
        return table.set_column(place, "member_id", pa.array(values, pa.string()))

    rewrite(filled, folder, edit)
    stands_at(filled, 7, "has no key")


def test_a_segment_without_a_row(filled: Ledger, folder: Path) -> None:
    rewrite(filled, folder, lambda table: table.filter(pc.not_equal(table["ordinal"], 5)))
    assert stands_at(filled, 4, "does not fill its range").data["faults"] == 2


def test_a_segment_with_a_row_twice(filled: Ledger, folder: Path) -> None:
    rewrite(filled, folder, lambda table: pa.concat_tables([table[:5], table[4:19]]))
    stands_at(filled, 4, "does not fill its range")


def test_a_segment_of_other_columns(filled: Ledger, folder: Path) -> None:
    rewrite(filled, folder, lambda table: table.select(["ordinal", "choice"]))
    stands_at(filled, 4, "cannot be read")


@pytest.mark.parametrize("values", [{"rows": 19}, {"span": 21}, {"span": 19}, {"first": 5}])
def test_a_segment_listed_wrongly(filled: Ledger, values: dict[str, int]) -> None:
    change(filled, sa.update(SEGMENT).where(SEGMENT.c.kind == "choices").values(values))
    with pytest.raises(IntegrityError):
        fsck(filled)


def test_a_segment_that_is_not_listed(filled: Ledger) -> None:
    change(filled, sa.delete(SEGMENT).where(SEGMENT.c.kind == "choices"))
    stands_at(filled, 4, "it is missing")


# ---- tables -----------------------------------------------------------------------------


def members_of(ledger: Ledger) -> Version:
    found = version_at(ledger, "members", ledger.size())
    assert found is not None
    return found


def test_a_table_is_missing(filled: Ledger) -> None:
    members_of(filled).path.unlink()
    stands_at(filled, 25, "is missing")


def test_a_flipped_bit_in_a_table(filled: Ledger) -> None:
    path = members_of(filled).path
    bad = bytearray(path.read_bytes())
    bad[20] ^= 1
    path.write_bytes(bytes(bad))
    stands_at(filled, 25, "is not the file that was listed")


@pytest.mark.parametrize("what", ["order", "country", "rows", "columns"])
def test_a_table_that_was_changed_with_its_digest(folder: Path, what: str) -> None:
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", folder)
    path = write_jsonl(folder / "m.jsonl", town_members(9))
    ingest_table(ledger, "members", path, START_US)
    file = members_of(ledger).path
    table = pq.read_table(file)
    if what == "order":
        table = table.take(list(range(8, -1, -1)))
    elif what == "rows":
        table = table[:8]
    elif what == "columns":
        table = table.drop_columns(["country"])
    else:
        place = table.schema.get_field_index("country")
        table = table.set_column(place, "country", pa.array(["ZZ"] * 9))
    pq.write_table(table, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    change(ledger, sa.update(schema.table).values(sha256=digest))
    words = {"rows": "has 8 rows and not 9", "columns": "cannot be read"}
    stands_at(ledger, 0, words.get(what, "does not have the root committed to"))
    ledger.close()
