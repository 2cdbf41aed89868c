"""Packs of a hold and of a period, and what somebody else would change in a pack."""

import json
from datetime import date
from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.evidence.case import Given
from sayso.evidence.container import pack_bytes, read_pack
from sayso.evidence.pack_hold import pack_hold
from sayso.evidence.pack_period import pack_period
from sayso.evidence.period import parse_period
from sayso.evidence.verify import verify_pack_bytes, verify_path
from sayso.model import Dated
from tests.town import AT, START, member_row, write_jsonl
from tests.unit.evidence.packing import (
    CREATED_US,
    make,
    source_of,
)
from tests.unit.snapshot.builders import Town, make_town

# ---- a hold and a period ----------------------------------------------------------------


def test_a_holds_trace_stands_in_its_pack(town: Town, tmp_path: Path) -> None:
    make("hold", town, tmp_path / "a.zip")
    files = dict(read_pack(tmp_path / "a.zip").files)
    told = json.loads(files["report.json"])

    assert told["windows"][0]["builds"] == [told["builds"][0]["entry"]]
    assert [list(one["relations"]) for one in told["builds"]] == [["before"], ["after"]]
    for one in told["builds"]:
        assert f"entries/{one['entry']}.json" in files
        assert f"snapshots/{one['entry']}/manifest.json" in files
    html = files["report.html"].decode()
    assert "no hold for 23 days" in html
    assert "models that learned then stay as they are" in html


def test_what_learned_before_a_hold_stands_in_its_pack(town: Town, tmp_path: Path) -> None:
    ledger = town.workspace.ledger
    window = next(ledger.public("snapshot", ledger.size()))
    shards = {"HK-0": "a" * 64, "US-0": "b" * 64}
    run = ledger.append_public(
        "training-run",
        {"run": "r1", "before": "", "snapshot": window.payload["manifest"], "shards": shards},
        CREATED_US,
    )
    out = ledger.append_public("release", {"release": "x1", "adapters": shards}, CREATED_US)
    gone = ledger.append_public(
        "disposition",
        {"run": "r1", "release": "x1", "shards": [], "disposition": "sealed", "why": ["hold"]},
        CREATED_US,
    )
    town.workspace.integrate()

    make("hold", town, tmp_path / "a.zip")

    files = dict(read_pack(tmp_path / "a.zip").files)
    assert {f"entries/{one.index}.json" for one in (run, out, gone)} <= files.keys()
    (told,) = json.loads(files["report.json"])["builds"][0]["runs"]
    assert told["adapters"] == {"HK-0": "a" * 64}
    assert told["releases"][0]["disposition"] == "sealed"
    assert verify_path(tmp_path / "a.zip", Given()).is_sound


def test_a_hold_whose_snapshots_are_gone_says_unknown(town: Town, tmp_path: Path) -> None:
    for name in ("base", "window"):
        (town.folder / name / "manifest.json").unlink()

    make("hold", town, tmp_path / "a.zip")

    files = dict(read_pack(tmp_path / "a.zip").files)
    told = json.loads(files["report.json"])
    assert {one["admitted"] for one in told["builds"]} == {"not at hand"}
    assert verify_path(tmp_path / "a.zip", Given()).is_sound


def test_a_hold_that_stops_later_builds(town: Town, tmp_path: Path) -> None:
    name, _ = town.workspace.place_hold("US", begins=Dated(START.date()), placed_by="us")
    town.workspace.build(town.content, town.folder / "stopped", at=AT)
    town.workspace.integrate()

    pack_hold(source_of(town), name, tmp_path / "a.zip")

    told = json.loads(read_pack(tmp_path / "a.zip").files["report.json"])
    assert [(one["knew"], one["stopped"]) for one in told["builds"]] == [
        (False, False), (False, False), (True, True),
    ]  # fmt: skip
    assert told["builds"][-1]["admitted"] == "0"
    html = read_pack(tmp_path / "a.zip").files["report.html"].decode()
    assert "1 build as of an instant under the hold was not stopped by it" in html


def test_a_hold_in_a_country_of_few_hides_how_few(tmp_path: Path) -> None:
    town = make_town(tmp_path)
    rows = [member_row("x1", "IS"), member_row("x2", "IS"), member_row("x3", "GB")]
    town.workspace.ingest("members", write_jsonl(tmp_path / "few.jsonl", rows))
    name, _ = town.workspace.place_hold("IS", begins=Dated(START.date()), placed_by="us")
    town.workspace.integrate()

    pack_hold(source_of(town), name, tmp_path / "a.zip")
    town.close()

    files = dict(read_pack(tmp_path / "a.zip").files)
    assert json.loads(files["report.json"])["members"]["total"] == "fewer than 10"
    assert "fewer than 10" in files["report.html"].decode()


def test_a_period_tells_one_countrys_numbers(town: Town, tmp_path: Path) -> None:
    make("period", town, tmp_path / "a.zip")
    files = dict(read_pack(tmp_path / "a.zip").files)
    told = json.loads(files["report.json"])

    assert [one["permits"] for one in told["stretches"]] == [False, True, False, True]
    assert len(told["builds"]) == 2
    html = files["report.html"].decode()
    assert "Hong Kong" in html
    for other in ("Brazil", "India", "United States"):
        assert other not in html


def test_a_purpose_that_nobody_has(town: Town, tmp_path: Path) -> None:
    period = parse_period("HK", date(2025, 1, 1), date(2025, 1, 2))

    with pytest.raises(InputError, match="unknown purpose"):
        pack_period(source_of(town), period, "nothing", tmp_path / "a.zip")


# ---- what somebody else would change ----------------------------------------------------


def change(files: dict[str, bytes], name: str, old: bytes, new: bytes) -> dict[str, bytes]:
    assert old in files[name], name
    return files | {name: files[name].replace(old, new, 1)}


def swap_hex(data: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Return a digest that stands after a key, and the same with another first digit."""
    at = data.index(key) + len(key)
    start = data.index(b'"', at) + 1
    found = data[start : start + 64]
    return found, (b"0" if found[:1] != b"0" else b"1") + found[1:]


def refused(town: Town, kind: str, files: dict[str, bytes]) -> str:
    """Return the check that fails of a pack that the platform itself signed so."""
    raw = pack_bytes(kind, {}, files, town.workspace.trust.key, CREATED_US)
    report = verify_pack_bytes(raw, Given())
    assert not report.is_sound, report.lines()
    return report.checks[-1].name


def test_what_is_shown_of_a_snapshot_is_held_to_its_entry(town: Town, tmp_path: Path) -> None:
    make("member", town, tmp_path / "a.zip")
    files = dict(read_pack(tmp_path / "a.zip").files)
    inside = next(name for name in files if name.endswith("/buckets.json")).rpartition("/")[0]
    other = next(
        name for name in files if name.endswith("/buckets.json") and not name.startswith(inside)
    )

    for name in (f"{inside}/buckets.json", f"{inside}/standing.json"):
        old, new = swap_hex(files[name], b'"root":' if "buckets" in name else b'"digest":')
        assert refused(town, "member", change(files, name, old, new)) == "snapshots"
    taken = files | {f"{inside}/buckets.json": files[other]}
    assert refused(town, "member", taken) == "snapshots"
    statement = files | {
        f"{inside}/statement.json": files[other.replace("buckets.json", "statement.json")]
    }
    assert refused(town, "member", statement) == "snapshots"
    lost = {name: data for name, data in files.items() if name != f"{inside}/buckets.json"}
    assert refused(town, "member", lost) == "snapshots"
    bare = {name: data for name, data in files.items() if name != f"{inside}/statement.json"}
    assert refused(town, "member", bare) == "snapshots"


def test_a_manifest_is_held_to_its_entry(town: Town, tmp_path: Path) -> None:
    make("hold", town, tmp_path / "a.zip")
    files = dict(read_pack(tmp_path / "a.zip").files)
    first, second = sorted(name for name in files if name.endswith("/manifest.json"))

    assert refused(town, "hold", files | {first: files[second]}) == "snapshots"
