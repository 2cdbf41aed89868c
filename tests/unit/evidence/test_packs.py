"""Packs of a small town: verified offline, holding what they should and nothing else."""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sayso.decision.states import microseconds
from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.evidence.article53 import Provider
from sayso.evidence.case import Given
from sayso.evidence.container import pack_bytes, read_pack
from sayso.evidence.pack_hold import pack_hold
from sayso.evidence.pack_member import pack_member
from sayso.evidence.pack_period import pack_period
from sayso.evidence.packs import Packed, Source, pack_snapshot
from sayso.evidence.period import parse_period
from sayso.evidence.verify import verify_pack_bytes, verify_path
from sayso.model import DEFAULT_PURPOSE, Dated
from sayso.workspace import Workspace
from tests.town import AT, START, choice_row, member_row, record_row, write_jsonl
from tests.unit.snapshot.builders import MEMBERS, Town, copy_town, make_town

CREATED_US = microseconds(AT)
HK = "hk-2024-10-11"
# A member who chose, whose records were admitted in one snapshot and refused in another.
WHO = "m0001"
WINDOW = datetime.fromisoformat("2024-10-01T00:00:00+00:00")

Make = Callable[[Source, Workspace, Path, Path], Packed]


def of_snapshot(source: Source, _: Workspace, town: Path, out: Path) -> Packed:
    return pack_snapshot(source, town / "base", out)


def of_member(source: Source, workspace: Workspace, _: Path, out: Path) -> Packed:
    return pack_member(source, workspace, WHO, out)


def of_hold(source: Source, _: Workspace, _town: Path, out: Path) -> Packed:
    return pack_hold(source, HK, out)


def of_period(source: Source, _: Workspace, _town: Path, out: Path) -> Packed:
    period = parse_period("HK", date(2024, 9, 1), date(2026, 1, 31))
    return pack_period(source, period, DEFAULT_PURPOSE, out)


KINDS: dict[str, Make] = {
    "snapshot": of_snapshot, "member": of_member, "hold": of_hold, "period": of_period,
}  # fmt: skip


@pytest.fixture(scope="module")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town with two snapshots and some choices; copied, never changed."""
    folder = tmp_path_factory.mktemp("packs")
    town = make_town(folder)
    town.workspace.choose(WHO, "off", effective_at=WINDOW, channel="settings")
    town.workspace.build(town.content, folder / "window", at=WINDOW)
    town.workspace.choose(WHO, "on")
    town.workspace.build(town.content, folder / "base", at=AT)
    town.workspace.integrate()
    town.close()
    return folder


@pytest.fixture
def town(town_folder: Path, tmp_path: Path) -> Iterator[Town]:
    mine = copy_town(town_folder, tmp_path / "town")
    yield mine
    mine.close()


def source_of(town: Town) -> Source:
    return Source(town.workspace.ledger, town.workspace.trust, CREATED_US)


def make(kind: str, town: Town, out: Path) -> Packed:
    return KINDS[kind](source_of(town), town.workspace, town.folder, out)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ---- all of them ------------------------------------------------------------------------


def test_a_stranger_finds_it_sound(kind: str, town: Town, tmp_path: Path) -> None:
    out = tmp_path / "a.zip"

    packed = make(kind, town, out)

    report = verify_path(out, Given(keys=(town.workspace.trust.key.public,)))
    assert report.is_sound, report.lines()
    assert packed.kind == kind
    assert read_pack(out).digest == packed.digest
    assert packed.files == len(read_pack(out).files)


def test_the_same_question_gives_the_same_bytes(kind: str, town: Town, tmp_path: Path) -> None:
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"

    make(kind, town, first)
    make(kind, town, second)

    assert first.read_bytes() == second.read_bytes()


def test_it_says_what_it_cannot_show(kind: str, town: Town, tmp_path: Path) -> None:
    make(kind, town, tmp_path / "a.zip")
    html = read_pack(tmp_path / "a.zip").files["report.html"].decode()

    assert "not a finding that the use is lawful" in html
    assert "What this cannot show" in html
    assert "asks for no independent witness" in html
    said = html.replace("that the use is lawful.", "").replace("not approved by anyone", "")
    for word in ("approved by", "consented", "lawful"):
        assert word not in said


def test_nothing_is_written_over(kind: str, town: Town, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"mine")

    with pytest.raises(ConflictError, match="exists"):
        make(kind, town, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == b"mine"


def test_paths_of_the_machine_stay_at_home(kind: str, town: Town, tmp_path: Path) -> None:
    make(kind, town, tmp_path / "a.zip")
    raw = (tmp_path / "a.zip").read_bytes()

    assert str(town.folder).encode() not in raw
    assert b"evidence/build.json" not in [
        name.encode() for name in read_pack(tmp_path / "a.zip").files
    ]


# ---- nobody else's data -----------------------------------------------------------------


def telltales(town: Town, *, but: str | None = None) -> Iterator[bytes]:
    """Yield whatever would tell of a member: ids, words, and their bare digests."""
    rows: list[dict[str, Any]] = pq.read_table(town.content).to_pylist()
    everybody = {f"m{number:04d}" for number in range(MEMBERS + 1)}
    words = {one for one in everybody if one != but}
    for row in rows:
        if row["member_id"] != but or but is None:
            words |= {row["record_id"], row["text"].split("\n")[0]}
            yield hashlib.sha256(row["text"].encode()).hexdigest().encode()
    for word in sorted(words):
        raw = word.encode()
        yield raw
        yield hashlib.sha256(raw).digest()
        yield hashlib.sha256(raw).hexdigest().encode()


@pytest.mark.parametrize("kind", ["snapshot", "hold", "period"])
def test_no_member_stands_in_it(kind: str, town: Town, tmp_path: Path) -> None:
    make(kind, town, tmp_path / "a.zip")
    raw = (tmp_path / "a.zip").read_bytes()

    assert [one for one in telltales(town) if one in raw] == []


def test_no_other_member_stands_in_a_members_pack(town: Town, tmp_path: Path) -> None:
    make("member", town, tmp_path / "a.zip")
    pack = read_pack(tmp_path / "a.zip")
    raw = b"".join([*pack.files.values(), pack.listing, *(name.encode() for name in pack.files)])

    assert [one for one in telltales(town, but=WHO) if one in raw] == []
    assert WHO.encode() in raw


def test_a_members_pack_has_no_counts_of_others(town: Town, tmp_path: Path) -> None:
    make("member", town, tmp_path / "a.zip")

    files = read_pack(tmp_path / "a.zip").files

    assert not any(name.endswith("manifest.json") for name in files)
    assert b"by_country" not in b"".join(files.values())


# ---- a snapshot -------------------------------------------------------------------------


def test_a_snapshots_manifest_is_the_same_to_the_last_byte(town: Town, tmp_path: Path) -> None:
    make("snapshot", town, tmp_path / "a.zip")
    files = read_pack(tmp_path / "a.zip").files

    assert files["manifest.json"] == (town.folder / "base" / "manifest.json").read_bytes()
    manifest = json.loads(files["manifest.json"])
    leaves = {name for name in files if name.startswith("leaves/")}
    assert leaves == {f"leaves/{bucket}.bin" for bucket in manifest["buckets"]}
    assert sum(len(files[name]) for name in leaves) == 64 * manifest["counts"]["admitted"]


def test_a_snapshots_report_hides_what_its_manifest_holds(town: Town, tmp_path: Path) -> None:
    make("snapshot", town, tmp_path / "a.zip")
    files = read_pack(tmp_path / "a.zip").files
    html = files["report.html"].decode()

    assert "fewer than 10" in html
    assert "For an authority." in html
    assert json.loads(files["article-53.json"])["sections"][0]["number"] == "1.1"


def test_the_summary_says_what_the_provider_says(town: Town, tmp_path: Path) -> None:
    told = Provider(name="Example Ltd", models="writer 1")
    pack_snapshot(source_of(town), town.folder / "base", tmp_path / "a.zip", provider=told)

    assert b"Example Ltd" in read_pack(tmp_path / "a.zip").files["article-53.html"]


@pytest.mark.parametrize("name", ["evidence/statement.json", "evidence/standing.bin"])
def test_a_snapshot_that_lacks_evidence_is_not_packed(
    name: str, town: Town, tmp_path: Path
) -> None:
    (town.folder / "base" / name).unlink()

    with pytest.raises(IntegrityError, match="is missing"):
        make("snapshot", town, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_snapshot_that_was_changed_is_not_packed(town: Town, tmp_path: Path) -> None:
    path = town.folder / "base" / "evidence" / "standing.bin"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)

    with pytest.raises(IntegrityError, match="standings do not lead"):
        make("snapshot", town, tmp_path / "a.zip")


def test_a_folder_that_is_no_snapshot(town: Town, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished snapshot"):
        pack_snapshot(source_of(town), tmp_path, tmp_path / "a.zip")


# ---- a member ---------------------------------------------------------------------------


def test_a_members_records_are_theirs_with_proofs(town: Town, tmp_path: Path) -> None:
    make("member", town, tmp_path / "a.zip")
    files = read_pack(tmp_path / "a.zip").files
    told = json.loads(files["report.json"])

    rows = [row for row in pq.read_table(town.content).to_pylist() if row["member_id"] == WHO]
    assert len(told["snapshots"]) == 2
    for snapshot in told["snapshots"]:
        assert {one["record_id"] for one in snapshot["records"]} == {r["record_id"] for r in rows}
        assert snapshot["is_complete"]
        for one in snapshot["records"]:
            assert one["admitted"] is (one["reasons"] == [])
    window, base = told["snapshots"]
    assert window["reasons"] == ["CHOSEN_OFF"]
    assert any(one["admitted"] for one in base["records"])
    assert not any(one["admitted"] for one in window["records"])
    records = [json.loads(data) for name, data in files.items() if "/records/" in name]
    texts = {row["text"] for row in rows}
    opened = [one["record"]["columns"] for one in records if one["record"]["columns"]]
    assert opened
    assert all(one["text"] in texts and one["member_id"] == WHO for one in opened)
    assert [one["choice"] for one in told["choices"]][-2:] == ["off", "on"]


def test_a_members_pack_of_one_snapshot(town: Town, tmp_path: Path) -> None:
    packed = pack_member(
        source_of(town), town.workspace, WHO, tmp_path / "a.zip", folders=[town.folder / "base"]
    )

    told = json.loads(read_pack(tmp_path / "a.zip").files["report.json"])
    assert [one["at"] for one in told["snapshots"]] == ["2026-01-15 12:00:00 UTC"]
    assert verify_path(tmp_path / "a.zip", Given()).is_sound
    assert packed.kind == "member"


def test_content_that_changed_is_not_told_as_what_was_refused(town: Town, tmp_path: Path) -> None:
    for name in ("base", "window"):
        told = town.folder / name / "evidence" / "build.json"
        path = json.dumps(str(town.folder / "members.csv"))
        told.write_text(f'{{"content": {path}, "members": null}}')

    make("member", town, tmp_path / "a.zip")

    told = json.loads(read_pack(tmp_path / "a.zip").files["report.json"])
    assert [one["is_complete"] for one in told["snapshots"]] == [False, False]
    assert verify_path(tmp_path / "a.zip", Given()).is_sound


@pytest.mark.parametrize("who", ["nobody", "m0002"])
def test_a_member_of_whom_nothing_stands_here(who: str, town: Town, tmp_path: Path) -> None:
    if who != "nobody":
        town.workspace.erase(who)
        town.workspace.integrate()

    with pytest.raises(InputError, match="nothing of this member"):
        pack_member(source_of(town), town.workspace, who, tmp_path / "a.zip")


def test_a_choice_that_is_not_in_the_log_yet_is_left_for_later(town: Town, tmp_path: Path) -> None:
    town.workspace.choose(WHO, "off")

    make("member", town, tmp_path / "a.zip")

    told = json.loads(read_pack(tmp_path / "a.zip").files["report.json"])
    assert told["choices"][-1]["choice"] == "on"


# ---- a hold and a period ----------------------------------------------------------------


def test_a_holds_trace_stands_in_its_pack(town: Town, tmp_path: Path) -> None:
    make("hold", town, tmp_path / "a.zip")
    files = read_pack(tmp_path / "a.zip").files
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

    files = read_pack(tmp_path / "a.zip").files
    assert {f"entries/{one.index}.json" for one in (run, out, gone)} <= files.keys()
    (told,) = json.loads(files["report.json"])["builds"][0]["runs"]
    assert told["adapters"] == {"HK-0": "a" * 64}
    assert told["releases"][0]["disposition"] == "sealed"
    assert verify_path(tmp_path / "a.zip", Given()).is_sound


def test_a_hold_whose_snapshots_are_gone_says_unknown(town: Town, tmp_path: Path) -> None:
    for name in ("base", "window"):
        (town.folder / name / "manifest.json").unlink()

    make("hold", town, tmp_path / "a.zip")

    files = read_pack(tmp_path / "a.zip").files
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

    files = read_pack(tmp_path / "a.zip").files
    assert json.loads(files["report.json"])["members"]["total"] == "fewer than 10"
    assert "fewer than 10" in files["report.html"].decode()


def test_a_period_tells_one_countrys_numbers(town: Town, tmp_path: Path) -> None:
    make("period", town, tmp_path / "a.zip")
    files = read_pack(tmp_path / "a.zip").files
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
    files = read_pack(tmp_path / "a.zip").files
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
    files = read_pack(tmp_path / "a.zip").files
    first, second = sorted(name for name in files if name.endswith("/manifest.json"))

    assert refused(town, "hold", files | {first: files[second]}) == "snapshots"


def test_choices_of_a_file_are_packed_too(tmp_path: Path) -> None:
    """Choices that were sealed into a segment have receipts and proofs like any other."""
    town = make_town(tmp_path)
    rows = [choice_row(WHO, "off", "2025-11-20T00:00:00Z"), choice_row("m0009", "off")]
    town.workspace.ingest("choices", write_jsonl(tmp_path / "more.jsonl", rows))
    town.workspace.integrate()

    make("member", town, tmp_path / "a.zip")
    town.close()

    told = json.loads(read_pack(tmp_path / "a.zip").files["report.json"])
    assert "off" in [one["choice"] for one in told["choices"]]
    assert verify_path(tmp_path / "a.zip", Given()).is_sound


def test_words_are_shortened_on_the_page_and_whole_in_the_file(tmp_path: Path) -> None:
    from tests.town import write_content

    town = make_town(tmp_path)
    town.workspace.ingest("members", write_jsonl(tmp_path / "m.jsonl", [member_row(WHO, "US")]))
    long = "a long text " * 80
    write_content(town.content, [record_row("r1", WHO, text=long), record_row(None, WHO)])
    town.workspace.build(town.content, tmp_path / "long", at=AT)
    town.workspace.integrate()

    make("member", town, tmp_path / "a.zip")
    town.close()

    files = read_pack(tmp_path / "a.zip").files
    assert "all of it stands in the record" in files["report.html"].decode()
    (record,) = (json.loads(data) for name, data in files.items() if "/records/" in name)
    assert record["record"]["columns"]["text"] == long
    refused_ = json.loads(files["report.json"])["snapshots"][-1]["records"]
    assert [one["proved"] for one in refused_ if not one["admitted"]] == [False]
