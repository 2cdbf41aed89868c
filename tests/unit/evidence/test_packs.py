"""Packs of a small town: verified offline, holding what they should and nothing else."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sayso.errors import ConflictError, InputError, IntegrityError
from sayso.evidence.article53 import Provider
from sayso.evidence.case import Given
from sayso.evidence.container import read_pack
from sayso.evidence.packs import pack_snapshot
from sayso.evidence.verify import verify_path
from tests.unit.evidence.packing import (
    KINDS,
    WHO,
    make,
    source_of,
)
from tests.unit.snapshot.builders import MEMBERS, Town


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

    files = dict(read_pack(tmp_path / "a.zip").files)

    assert not any(name.endswith("manifest.json") for name in files)
    assert b"by_country" not in b"".join(files.values())


# ---- a snapshot -------------------------------------------------------------------------


def test_a_snapshots_manifest_is_the_same_to_the_last_byte(town: Town, tmp_path: Path) -> None:
    make("snapshot", town, tmp_path / "a.zip")
    files = dict(read_pack(tmp_path / "a.zip").files)

    assert files["manifest.json"] == (town.folder / "base" / "manifest.json").read_bytes()
    manifest = json.loads(files["manifest.json"])
    leaves = {name for name in files if name.startswith("leaves/")}
    assert leaves == {f"leaves/{bucket}.bin" for bucket in manifest["buckets"]}
    assert sum(len(files[name]) for name in leaves) == 64 * manifest["counts"]["admitted"]


def test_a_snapshots_report_hides_what_its_manifest_holds(town: Town, tmp_path: Path) -> None:
    make("snapshot", town, tmp_path / "a.zip")
    files = dict(read_pack(tmp_path / "a.zip").files)
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
