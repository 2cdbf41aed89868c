"""The pack of a member: theirs, proved, and nobody else's."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sayso.canonical import canonical_json
from sayso.errors import InputError
from sayso.evidence.case import Given
from sayso.evidence.container import read_pack
from sayso.evidence.pack_member import pack_member
from sayso.evidence.verify import verify_path
from sayso.ledger.kept import EXCHANGE, REASON, delete_kept, keep
from tests.town import AT, choice_row, member_row, record_row, write_jsonl
from tests.unit.evidence.packing import (
    OTHER,
    WHO,
    make,
    source_of,
)
from tests.unit.snapshot.builders import Town, make_town

# ---- a member ---------------------------------------------------------------------------


def test_a_members_records_are_theirs_with_proofs(town: Town, tmp_path: Path) -> None:
    make("member", town, tmp_path / "a.zip")
    files = dict(read_pack(tmp_path / "a.zip").files)
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

    files = dict(read_pack(tmp_path / "a.zip").files)
    assert "all of it stands in the record" in files["report.html"].decode()
    (record,) = (json.loads(data) for name, data in files.items() if "/records/" in name)
    assert record["record"]["columns"]["text"] == long
    refused_ = json.loads(files["report.json"])["snapshots"][-1]["records"]
    assert [one["proved"] for one in refused_ if not one["admitted"]] == [False]


# ---- what is kept for them --------------------------------------------------------------


def test_a_pack_holds_what_is_kept_for_the_member_and_for_nobody_else(
    town: Town, tmp_path: Path
) -> None:
    make("member", town, tmp_path / "a.zip")

    files = dict(read_pack(tmp_path / "a.zip").files)
    kept = [json.loads(files[f"member/kept/{number}.json"]) for number in (1, 2)]
    assert [one["kind"] for one in kept] == ["exchange", "reason"]
    assert kept[0]["value"]["asked"] == f"what {WHO} asked"
    assert kept[1]["value"]["reason"] == f"the reason of {WHO}"
    assert f"member/choices/{kept[1]['value']['entry']}.json" in files
    page = files["report.html"].decode()
    for words in (f"the reason of {WHO}", f"what {WHO} asked", f"written for {WHO}"):
        assert words in page
    assert not any(OTHER.encode() in data for data in files.values())
    told = json.loads(files["report.json"])
    assert [one["kind"] for one in told["kept"]] == ["exchange", "reason"]


def test_what_is_kept_is_verified_and_said_to_be_the_platforms_word(
    town: Town, tmp_path: Path
) -> None:
    make("member", town, tmp_path / "a.zip")

    report = verify_path(tmp_path / "a.zip", Given())

    assert report.is_sound
    (words,) = [one.words for one in report.checks if one.name == "kept"]
    assert "1 reason for objecting and 1 use of the assistant" in words
    assert "is the word of whoever signed the pack" in words


def test_what_was_deleted_is_in_no_pack(town: Town, tmp_path: Path) -> None:
    for kind in (REASON, EXCHANGE):
        delete_kept(town.workspace.ledger, WHO, None, 9, kind)

    make("member", town, tmp_path / "a.zip")

    files = dict(read_pack(tmp_path / "a.zip").files)
    assert not [name for name in files if name.startswith("member/kept/")]
    assert "Reasons that you gave" not in files["report.html"].decode()
    assert verify_path(tmp_path / "a.zip", Given()).is_sound


def test_a_long_reason_is_whole_in_its_file(town: Town, tmp_path: Path) -> None:
    words = "because " * 300
    raw = canonical_json({"entry": 10**6, "purpose": "*", "reason": words})
    keep(town.workspace.ledger, WHO, "long", raw, 8, REASON)

    make("member", town, tmp_path / "a.zip")

    files = dict(read_pack(tmp_path / "a.zip").files)
    assert json.loads(files["member/kept/3.json"])["value"]["reason"] == words
    assert "all of it stands in member/kept/" in files["report.html"].decode()
    assert verify_path(tmp_path / "a.zip", Given()).is_sound, "its objection is not in the log yet"
