"""The difference of two snapshots: what entered, what left, what changed, and why."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.errors import InputError, IntegrityError
from sayso.model import Dated
from sayso.snapshot import compare
from sayso.whatif import why_moved
from tests.town import AT, member_row, record_row, town_members, write_content
from tests.unit.snapshot.builders import MEMBERS, Town, ingest_members, record_ids


def ids(table: pa.Table) -> list[str]:
    return sorted(table["record_id"].to_pylist())


def test_equal_snapshots_do_not_differ(town: Town) -> None:
    base = town.folder / "base"
    found = compare(base, base)
    assert found.buckets_compared == 0
    assert found.entered.num_rows == found.left.num_rows == found.changed.num_rows == 0


def test_an_off_leaves_with_its_reason(town: Town) -> None:
    base = town.folder / "base"
    table = pq.read_table(min((base / "records").iterdir()))
    who = table["member_id"][0].as_py()
    mine = sorted(table.filter(pa.compute.equal(table["member_id"], who))["record_id"].to_pylist())
    town.workspace.choose(who, "off")
    again = town.workspace.rebuild(base, town.folder / "again", at=AT)
    found = compare(base, again.path)
    assert (ids(found.left), found.entered.num_rows, found.changed.num_rows) == (mine, 0, 0)
    assert found.buckets_compared == 1
    told = why_moved(town.workspace, again.path, found.left)
    assert told["reasons"].to_pylist() == [["CHOSEN_OFF"]] * len(mine)
    # Back again: what left has entered.
    back = compare(again.path, base)
    assert ids(back.entered) == mine
    assert why_moved(town.workspace, again.path, back.entered).equals(told)


def test_a_hold_empties_a_country(town: Town) -> None:
    base = town.folder / "base"
    town.workspace.place_hold("BR", begins=Dated(AT.date()), placed_by="us")
    again = town.workspace.rebuild(base, town.folder / "again", at=AT)
    found = compare(base, again.path)
    assert set(found.left["country"].to_pylist()) == {"BR"}
    assert found.left.num_rows == found.before.by_country["BR"].admitted
    assert found.after.by_country["BR"].admitted == 0
    reasons = why_moved(town.workspace, again.path, found.left)["reasons"].to_pylist()
    assert reasons == [["ON_HOLD"]] * found.left.num_rows


CHANGED: dict[str, tuple[str, object]] = {
    "other words": ("text", "other words"), "no words": ("text", None),
    "category": ("category", "article"), "context": ("context", "elsewhere"),
    "no context": ("context", None), "licence": ("licence", "CC-BY"),
    "time": ("written_at", AT.replace(year=2025)),
}  # fmt: skip


def test_a_record_that_changed_is_said_to_have_changed(town: Town) -> None:
    ingest_members(town, [*town_members(MEMBERS), member_row("new")])
    before = [record_row(name, "new") for name in ("the same", *CHANGED)]
    after = [record_row("the same", "new")]
    after += [record_row(name, "new", **{column: to}) for name, (column, to) in CHANGED.items()]
    made = [
        town.workspace.build(
            write_content(town.folder / f"{name}.parquet", rows), town.folder / name, at=AT
        ).path
        for name, rows in (("before", before), ("after", after))
    ]
    found = compare(*made)
    assert found.entered.num_rows == found.left.num_rows == 0
    assert ids(found.changed) == sorted(CHANGED)


def test_a_record_that_is_not_there_has_no_reason(town: Town) -> None:
    base = town.folder / "base"
    content = write_content(town.folder / "fresh.parquet", [record_row("fresh", "m0000")])
    built = town.workspace.build(content, town.folder / "other", at=AT)
    found = compare(base, built.path)
    assert ids(found.left) == record_ids(base)
    told = why_moved(town.workspace, built.path, found.left)
    assert told["reasons"].to_pylist() == [[]] * found.left.num_rows


def test_inputs_that_are_gone_leave_the_reason_open(town: Town) -> None:
    base = town.folder / "base"
    content = write_content(town.folder / "fresh.parquet", [record_row("fresh", "m0000")])
    built = town.workspace.build(content, town.folder / "other", at=AT)
    content.unlink()
    found = compare(base, built.path)
    told = why_moved(town.workspace, built.path, found.left)
    assert told["reasons"].null_count == found.left.num_rows


def test_what_cannot_be_compared(town: Town, tmp_path: Path) -> None:
    base = town.folder / "base"
    town.workspace.place_hold("BR", begins=Dated(AT.date()), placed_by="us")
    other = town.workspace.rebuild(base, tmp_path / "other", at=AT).path
    with pytest.raises(InputError):
        compare(base, tmp_path)
    text = (other / "manifest.json").read_text()
    (other / "manifest.json").write_text(text.replace('"admitted": 0', '"admitted": 1', 1))
    with pytest.raises(IntegrityError):
        compare(base, other)
    (other / "manifest.json").write_text(text)
    for path in (base / "records").iterdir():
        raw = bytearray(path.read_bytes())
        raw[40] ^= 255
        path.unlink()  # a rebuild shares its files
        path.write_bytes(bytes(raw))
    with pytest.raises(IntegrityError, match="not the file"):
        compare(base, other)
    shutil.rmtree(base / "records")
    with pytest.raises(IntegrityError, match="not the file"):
        compare(base, other)
