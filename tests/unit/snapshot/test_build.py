"""A snapshot holds what is admitted, all of it, and the same bytes every time."""

import fcntl
import os
import random
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sayso import digests
from sayso.errors import ConflictError, InputError
from sayso.ledger import schema
from sayso.snapshot import load_manifest
from sayso.snapshot.seal import bucket_root, record_digest, record_tag
from sayso.snapshot.stream import partitions_for
from sayso.workspace import Workspace
from tests.town import (
    ADMITTED_MARK,
    AT,
    REFUSED_MARK,
    member_row,
    record_row,
    town_content,
    write_content,
    write_csv,
    write_jsonl,
)
from tests.unit.snapshot.builders import (
    MEMBERS,
    RECORDS,
    Town,
    record_ids,
    records,
    same_but_inputs,
    same_bytes,
)

Row = dict[str, Any]

# The package's own name `build` is the function.
MODULE = import_module("sayso.snapshot.build")


EVIDENCE = (
    "attest.pem", "consistency.json", "entry.json", "policy", "provenance.json",
    "snapshot.tlog-proof", "standing.bin", "statement.json",
)  # fmt: skip


def keys_of(town: Town) -> dict[str, bytes]:
    with town.workspace.ledger.reading() as con:
        rows = con.execute(sa.select(schema.member_key.c.member_id, schema.member_key.c.key)).all()
    return {member: bytes(key) for member, key in rows}


# ---- what it holds ----------------------------------------------------------------------


def test_it_holds_what_decide_admits(town: Town, tmp_path: Path) -> None:
    built = town.workspace.build(town.content, tmp_path / "s", at=AT)
    decided = town.workspace.decide_many(town.content, at=AT)
    content = pq.read_table(town.content)
    admitted = content.filter(pa.array(decided.allow))
    assert 20 < admitted.num_rows < RECORDS
    assert record_ids(built.path) == sorted(admitted["record_id"].to_pylist())
    whole = pa.concat_tables([pq.read_table(path) for path in (built.path / "records").iterdir()])
    texts = dict(zip(whole["record_id"].to_pylist(), whole["text"].to_pylist(), strict=True))
    expected = dict(
        zip(admitted["record_id"].to_pylist(), admitted["text"].to_pylist(), strict=True)
    )
    assert texts == expected


def test_one_record_at_a_time_says_the_same(town: Town, tmp_path: Path) -> None:
    built = town.workspace.build(town.content, tmp_path / "s", at=AT)
    inside = set(record_ids(built.path))
    for row in pq.read_table(town.content).to_pylist()[::24]:
        who, record = row["member_id"], row["record_id"]
        if who is None:
            assert record not in inside
            continue
        found = town.workspace.explain(
            who, record, content=town.content, at=AT, known=built.manifest.known
        )
        assert found.decision.allow == (record in inside)


def test_the_counts_reconcile(town: Town, tmp_path: Path) -> None:
    manifest = town.workspace.build(town.content, tmp_path / "s", at=AT).manifest
    for part in (manifest.counts, *manifest.by_country.values()):
        assert part.records_in == part.admitted + sum(part.refused.values())
        assert all(part.reasons[reason] >= rows for reason, rows in part.refused.items())
    assert manifest.counts.records_in == RECORDS
    assert manifest.counts.admitted == sum(one.rows for one in manifest.buckets.values())
    assert {"US", "GB", "unknown"} <= set(manifest.by_country)


def test_known_is_the_size_before_its_own_entry(town: Town, tmp_path: Path) -> None:
    size = town.workspace.ledger.size()
    built = town.workspace.build(town.content, tmp_path / "s", at=AT)
    assert (built.manifest.known, built.entry) == (size, size)
    assert town.workspace.ledger.size() == size + 1
    entry = town.workspace.ledger.latest("snapshot", size + 1)
    assert entry is not None
    assert entry.payload["manifest"] == built.manifest.digest
    assert entry.payload["root"] == built.manifest.root


def test_the_files_are_those_that_the_design_names(town: Town, tmp_path: Path) -> None:
    built = town.workspace.build(town.content, tmp_path / "s", at=AT)
    found = {str(path.relative_to(built.path)) for path in built.path.rglob("*") if path.is_file()}
    assert found == {
        "manifest.json", "README.md", "croissant.json", "refusals.svg",
        "evidence/build.json", "counts.parquet",
        *(f"evidence/{name}" for name in EVIDENCE),
        *(bucket.file for bucket in built.manifest.buckets.values()),
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("s")] == ["s"]


# ---- roots ------------------------------------------------------------------------------


def test_roots_are_those_of_the_definition(town: Town, tmp_path: Path) -> None:
    built = town.workspace.build(town.content, tmp_path / "s", at=AT)
    keys = keys_of(town)
    for name, bucket in built.manifest.buckets.items():
        path = built.path / bucket.file
        assert bucket_root(path, keys) == bucket.root
        rows = pq.read_table(path)
        tags = rows["tag"].to_pylist()
        assert tags == sorted(tags)
        for tag, member, record in zip(
            tags, rows["member_id"].to_pylist(), rows["record_id"].to_pylist(), strict=True
        ):
            assert tag == record_tag(keys[member], record)
            assert town.workspace.ledger.keys.bucket_of(member) == int(name)


def test_a_digest_covers_every_column() -> None:
    key = bytes(range(32))
    row: dict[str, str | int | None] = {
        "record_id": "r", "member_id": "m", "country": "US", "category": "post",
        "visibility": "public", "authorship": "own", "context": None, "written_at": 5,
        "licence": None, "text": "x",
    }  # fmt: skip
    digests = {record_digest(key, row)}
    for name, value in row.items():
        changed = 6 if name == "written_at" else f"{value or ''}~"
        digests.add(record_digest(key, row | {name: changed}))
    digests.add(record_digest(bytes(32), row))
    assert len(digests) == len(row) + 2


# ---- determinism ------------------------------------------------------------------------


def test_twice_gives_the_same_bytes(town: Town, tmp_path: Path) -> None:
    base = town.folder / "base"
    known = load_manifest(base).known
    same_bytes(town.workspace.build(town.content, tmp_path / "a", at=AT, known=known).path, base)


@pytest.mark.parametrize("kind", ["shuffled", "csv", "jsonl", "folder", "other columns", "grouped"])
def test_the_order_and_format_of_content_do_not_matter(
    town: Town, tmp_path: Path, kind: str
) -> None:
    base = town.folder / "base"
    first = load_manifest(base)
    rows = town_content(RECORDS, MEMBERS)
    other = tmp_path / "other"
    if kind == "csv":
        text = [
            row | {"mentions": "[]", "written_at": str(row["written_at"]),
                   "deleted_at": row["deleted_at"] and str(row["deleted_at"])}
            for row in rows
        ]  # fmt: skip
        path = write_csv(tmp_path / "c.csv", text, list(rows[0]))
    elif kind == "jsonl":
        text = [
            row | {"written_at": row["written_at"].isoformat(),
                   "deleted_at": row["deleted_at"] and row["deleted_at"].isoformat()}
            for row in rows
        ]  # fmt: skip
        path = write_jsonl(tmp_path / "c.jsonl", text)
    elif kind == "folder":
        other.mkdir()
        for number in range(3):
            write_content(other / f"part-{number}.parquet", rows[number::3])
        path = other
    elif kind == "other columns":
        table = pq.read_table(town.content)
        table = table.append_column("likes", pa.array(range(RECORDS)))
        table = table.append_column("nested", pa.array([{"a": [n]} for n in range(RECORDS)]))
        path = tmp_path / "c.parquet"
        pq.write_table(table.select(table.column_names[::-1]), path)
    else:
        path = tmp_path / "c.parquet"
        random.Random(7).shuffle(rows)
        write_content(path, rows)
        if kind == "grouped":
            pq.write_table(pq.read_table(path), path, row_group_size=7, use_dictionary=True)
    second = town.workspace.build(path, tmp_path / "b", at=AT, known=first.known)
    assert records(base) == records(second.path)
    same_but_inputs(first, second.manifest)


def test_threads_and_partitions_do_not_matter(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = town.folder / "base"
    known = load_manifest(base).known
    monkeypatch.setattr(MODULE, "partitions_for", lambda _rows: 8)
    monkeypatch.setattr(digests, "FEW_ROWS", 0)  # every digest by a query
    built = town.workspace.build(town.content, tmp_path / "a", at=AT, known=known)
    same_bytes(built.path, base)


def test_partitions_are_whole_buckets() -> None:
    counts = [partitions_for(rows) for rows in (0, 1, 10**5, 10**5 + 1, 10**6, 10**9, 10**12)]
    assert counts == sorted(counts)
    assert all(1024 % count == 0 for count in counts)
    assert (counts[0], counts[-1]) == (1, 1024)


def test_integers_and_text_are_one_id(workspace: Workspace, tmp_path: Path) -> None:
    workspace.ingest("members", write_jsonl(tmp_path / "m.jsonl", [member_row(7), member_row(8)]))
    workspace.choose(8, "off")
    known = workspace.ledger.size()
    rows = [record_row("1", "7"), record_row("2", "8"), record_row("3", "7")]
    text = write_content(tmp_path / "text.parquet", rows)
    table = pq.read_table(text)
    for name in ("record_id", "member_id"):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.int64()))
    numbers = tmp_path / "numbers.parquet"
    pq.write_table(table, numbers)
    one = workspace.build(text, tmp_path / "a", at=AT, known=known)
    other = workspace.build(numbers, tmp_path / "b", at=AT, known=known)
    assert records(one.path) == records(other.path)
    assert record_ids(one.path) == ["1", "3"]
    same_but_inputs(one.manifest, other.manifest)


# ---- refused text -----------------------------------------------------------------------


def test_refused_text_stands_nowhere(workspace: Workspace, tmp_path: Path) -> None:
    members = [member_row(f"m{n}") for n in range(8)] + [member_row("young", birth_date="2010")]
    workspace.ingest("members", write_jsonl(tmp_path / "m.jsonl", members))
    workspace.choose("m1", "off")

    def refused(name: str, who: str | None = "m0", **more: Any) -> Row:
        words = f"{REFUSED_MARK} {name}"
        return record_row(name, who, text=words, licence=f"{REFUSED_MARK}-licence") | more

    rows = [
        *(record_row(f"in-{n}", f"m{n % 8 if n % 8 != 1 else 0}") for n in range(40)),
        refused("off", "m1"), refused("nobody", "stranger"), refused("null", None),
        refused("young", "young"), refused("private", visibility="private"),
        refused("message", category="message"), refused("generated", authorship="generated"),
        refused("twice"), refused("twice", "m2"), refused("deleted", deleted_at=AT),
        refused("future", written_at=datetime(2030, 1, 1, tzinfo=UTC)),
        refused("undated", written_at=None),
    ]  # fmt: skip
    content = write_content(tmp_path / "c.parquet", rows)
    assert REFUSED_MARK.encode() in content.read_bytes()
    built = workspace.build(content, tmp_path / "s", at=AT)
    assert built.manifest.counts.admitted == 40
    found: list[str] = []
    for path in built.path.rglob("*"):
        if path.is_dir():
            continue
        raw = path.read_bytes()
        found += [path.name] if REFUSED_MARK.encode() in raw else []
        if path.suffix == ".parquet":
            # Compressed pages hide words from a search; columns and statistics do not.
            table = pq.read_table(path)
            assert REFUSED_MARK not in str(table.to_pydict())
            file = pq.ParquetFile(path)
            for group in range(file.metadata.num_row_groups):
                for column in range(file.metadata.num_columns):
                    told = str(file.metadata.row_group(group).column(column).statistics)
                    assert REFUSED_MARK not in told
            plain = tmp_path / "plain.parquet"
            pq.write_table(table, plain, compression="none", use_dictionary=False)
            text = plain.read_bytes()
            assert REFUSED_MARK.encode() not in text
            assert ADMITTED_MARK.encode() in text or "records" not in str(path)
    assert found == []
    ids = {"off", "nobody", "null", "young", "twice", "deleted", "future", "stranger"}
    assert not ids & set(record_ids(built.path))


# ---- edges ------------------------------------------------------------------------------


def test_no_content_gives_an_empty_snapshot(workspace: Workspace, tmp_path: Path) -> None:
    built = workspace.build(write_content(tmp_path / "c.parquet", []), tmp_path / "s", at=AT)
    counts = built.manifest.counts
    assert (counts.records_in, counts.admitted, counts.refused) == (0, 0, {})
    assert (built.manifest.buckets, built.manifest.by_country) == ({}, {})
    assert list((built.path / "records").iterdir()) == []
    assert load_manifest(built.path) == built.manifest


def test_nobody_known_refuses_everything(workspace: Workspace, tmp_path: Path) -> None:
    content = write_content(tmp_path / "c.parquet", town_content(30, 9))
    counts = workspace.build(content, tmp_path / "s", at=AT).manifest.counts
    assert (counts.records_in, counts.admitted) == (30, 0)
    assert sum(counts.refused.values()) == 30
    assert set(counts.refused) == {"MEMBER_UNKNOWN"}


def test_everything_may_be_admitted(workspace: Workspace, tmp_path: Path) -> None:
    workspace.ingest("members", write_jsonl(tmp_path / "m.jsonl", [member_row("7")]))
    content = write_content(tmp_path / "c.parquet", [record_row(f"r{n}", "7") for n in range(50)])
    manifest = workspace.build(content, tmp_path / "s", at=AT).manifest
    assert manifest.counts.refused == {}
    assert (manifest.counts.admitted, len(manifest.buckets)) == (50, 1)


def test_nasty_text_comes_out_as_it_went_in(workspace: Workspace, tmp_path: Path) -> None:
    texts = [
        "", " ", "\x00", "a\x00b", "'", '"', "\n\r\t", "é", "e\u0301", "\U0010ffff", "\u202e",
        "😀" * 5000, "x" * 200_000, "-,", "\ufeff", "\\u0000", None,
    ]  # fmt: skip
    workspace.ingest("members", write_jsonl(tmp_path / "m.jsonl", [member_row("7")]))
    rows = [record_row(f"r{n:02d}", "7", text=text) for n, text in enumerate(texts)]
    rows += [record_row("é'\"\n😀", "7", text="odd id")]
    built = workspace.build(write_content(tmp_path / "c.parquet", rows), tmp_path / "s", at=AT)
    ((bucket),) = built.manifest.buckets.values()
    found = pq.read_table(built.path / bucket.file)
    texts_found = dict(zip(found["record_id"].to_pylist(), found["text"].to_pylist(), strict=True))
    assert texts_found == {row["record_id"]: row["text"] for row in rows}
    key = keys_of(Town(tmp_path, workspace))
    assert bucket_root(built.path / bucket.file, key) == bucket.root


def test_writing_times_keep_their_microseconds(workspace: Workspace, tmp_path: Path) -> None:
    workspace.ingest("members", write_jsonl(tmp_path / "m.jsonl", [member_row("7")]))
    early = datetime(2025, 6, 1, 1, 2, 3, 456789, tzinfo=UTC)
    rows = [
        record_row("a", "7", written_at=early, first_seen_at=datetime(2025, 7, 1, tzinfo=UTC)),
        record_row("b", "7", written_at=datetime(2025, 7, 1, tzinfo=UTC), first_seen_at=early),
        record_row("c", "7", written_at=None, first_seen_at=early),
    ]
    built = workspace.build(write_content(tmp_path / "c.parquet", rows), tmp_path / "s", at=AT)
    ((bucket),) = built.manifest.buckets.values()
    assert pq.read_table(built.path / bucket.file)["written_at"].to_pylist() == [early] * 3


@pytest.mark.parametrize("there", ["file", "folder", "snapshot"])
def test_a_target_that_exists_is_a_conflict(town: Town, tmp_path: Path, there: str) -> None:
    out = tmp_path / "s"
    if there == "file":
        out.write_text("mine")
    elif there == "folder":
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    else:
        town.workspace.build(town.content, out, at=AT)
    size = town.workspace.ledger.size()
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("s/**/*")}
    with pytest.raises(ConflictError, match="exists"):
        town.workspace.build(town.content, out, at=AT)
    assert town.workspace.ledger.size() == size
    after = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("s/**/*")}
    assert after == before
    assert not (tmp_path / "s.partial").exists()


def test_another_process_at_the_same_target_is_a_conflict(town: Town, tmp_path: Path) -> None:
    folder = tmp_path / "s.partial"
    folder.mkdir()
    (folder / "theirs").write_text("amid their work")
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(ConflictError, match="another process"):
        town.workspace.build(town.content, tmp_path / "s", at=AT)
    assert (folder / "theirs").read_text() == "amid their work"
    os.close(lock)
    town.workspace.build(town.content, tmp_path / "s", at=AT)


def test_an_empty_folder_may_be_the_target(town: Town, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    town.workspace.build(town.content, tmp_path / "s", at=AT)
    load_manifest(tmp_path / "s")


def test_what_a_killed_build_left_is_no_obstacle(town: Town, tmp_path: Path) -> None:
    base = town.folder / "base"
    left = tmp_path / "s.partial"
    for name in ("work", "records", "evidence"):
        (left / name).mkdir(parents=True)
    (left / "records" / "bucket-0001.parquet").write_bytes(b"half")
    (left / "manifest.json").write_bytes(b"{}")
    known = load_manifest(base).known
    same_bytes(town.workspace.build(town.content, tmp_path / "s", at=AT, known=known).path, base)
    assert not left.exists()


@pytest.mark.parametrize("name", ["c.parquet", "c.csv", "c.jsonl", "c.odd", "c"])
def test_content_that_cannot_be_read(town: Town, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe nothing \x00 that is a table")
    size = town.workspace.ledger.size()
    with pytest.raises(InputError):
        town.workspace.build(path, tmp_path / "s", at=AT)
    assert town.workspace.ledger.size() == size
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "s.partial").exists()


def test_content_without_record_ids_is_bad_input(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("member_id,text\n7,x\n")
    with pytest.raises(InputError, match="record_id"):
        town.workspace.build(path, tmp_path / "s", at=AT)


def test_no_content_at_all(town: Town, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        town.workspace.build(tmp_path / "not.parquet", tmp_path / "s", at=AT)


def test_known_bounds_and_unknown_purposes(town: Town, tmp_path: Path) -> None:
    size = town.workspace.ledger.size()
    for known in (-1, size + 1):
        with pytest.raises(InputError, match="outside the ledger"):
            town.workspace.build(town.content, tmp_path / "s", at=AT, known=known)
    with pytest.raises(InputError, match="no rulebook was published"):
        town.workspace.build(town.content, tmp_path / "s", at=AT, known=0)
    with pytest.raises(InputError, match="unknown purpose"):
        town.workspace.build(town.content, tmp_path / "s", at=AT, purpose="another")
    assert town.workspace.ledger.size() == size


def test_a_build_that_breaks_leaves_nothing(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = town.workspace.ledger.size()

    def broken(*_: object) -> None:
        raise duckdb.OutOfMemoryException("no room")

    monkeypatch.setattr(MODULE, "tabulate", broken)
    with pytest.raises(duckdb.OutOfMemoryException):
        town.workspace.build(town.content, tmp_path / "s", at=AT)
    assert not list(tmp_path.glob("s*"))
    assert town.workspace.ledger.size() == size


def test_members_of_the_call_replace_the_table(town: Town, tmp_path: Path) -> None:
    known = town.workspace.ledger.size()
    members = write_jsonl(tmp_path / "m.jsonl", [member_row("m0002"), member_row("new")])
    rows = [record_row("1", "m0001"), record_row("2", "m0002"), record_row("3", "new")]
    content = write_content(tmp_path / "c.parquet", rows)
    built = town.workspace.build(content, tmp_path / "s", at=AT, known=known, members=members)
    assert set(record_ids(built.path)) <= {"2", "3"}
    assert "3" in record_ids(built.path)
    assert built.manifest.inputs["members"].name == "m.jsonl"


def test_an_erasure_amid_a_build_gives_nobody_a_key_again(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = pq.read_table(min((town.folder / "base" / "records").iterdir()))["member_id"][0].as_py()
    fold = MODULE.fold_states

    def fold_then_erase(*arguments: Any, **named: Any) -> Any:
        states = fold(*arguments, **named)
        town.workspace.erase(who)
        return states

    monkeypatch.setattr(MODULE, "fold_states", fold_then_erase)
    with pytest.raises(ConflictError, match="erased while"):
        town.workspace.build(town.content, tmp_path / "s", at=AT)
    assert who not in keys_of(town)
    assert not list(tmp_path.glob("s*"))
