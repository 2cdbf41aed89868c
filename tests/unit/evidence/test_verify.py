"""The verifier against a platform that cheats, and against anybody who changes a file.

Each attack is refused by the check that is named for what it touches.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sayso.attest.dsse import STATEMENT_TYPE, sign
from sayso.attest.statements import Rewritten
from sayso.canonical import canonical_json
from sayso.errors import InputError, UnavailableError
from sayso.evidence import limits
from sayso.evidence.case import Given
from sayso.evidence.checks import FailedError, NotMadeError, Outcome, Report, instant_of
from sayso.evidence.files import FolderFiles
from sayso.evidence.verify import load_given, told, verify_folder, verify_pack_bytes, verify_path
from tests.unit.evidence.builders import (
    AT_US,
    GIVEN,
    KEY,
    ONE,
    OTHER,
    POLICY,
    TWO,
    Town,
    checked,
    failed,
    packed,
    sha,
)

TOWN = Town()
ALONE = Given()
DAY_US = 86_400_000_000


def names(report: Report) -> list[str]:
    return [one.name for one in report.checks]


def json_of(data: bytes) -> Any:
    return json.loads(data)


# ---- what holds -------------------------------------------------------------------------


def test_a_folder_that_holds() -> None:
    report = checked(TOWN.folder)
    assert report.verdict == "sound"
    assert names(report) == [
        "folder", "trust", "manifest", "statement", "provenance", "files", "digests", "leaves",
        "standing", "entry", "inclusion", "consistency", "one-history", "dates",
    ]  # fmt: skip
    assert [one.number for one in report.checks] == list(range(1, 15))
    assert [one.name for one in report.checks if one.outcome is Outcome.NOT_MADE] == ["leaves"]
    assert "given by you" in report.checks[3].words
    text = told(report)
    assert "SOUND: every check that was made held; 1 could not be made." in text
    assert limits.ADMITTED in text
    assert limits.SUBMITTED in text


def test_whose_keys_is_said() -> None:
    report = checked(TOWN.folder, ALONE)
    assert report.is_sound
    assert "came with the files, as the platform states it" in report.checks[1].words
    assert "as the platform states it" in report.checks[3].words
    assert any("could have made the keys as well" in one for one in report.limits)
    mixed = checked(TOWN.folder, Given((OTHER.public, KEY.public)))
    assert mixed.is_sound
    assert any("could have made the keys as well" in one for one in mixed.limits)
    assert not any("could have made the keys" in one for one in checked(TOWN.folder).limits)


def test_no_word_says_that_it_is_lawful() -> None:
    for report in (checked(TOWN.folder), verify_pack_bytes(packed(TOWN.member_pack()), GIVEN)):
        lines = " ".join(report.lines()).lower()
        for word in ("lawful", "legal", "consent", "approved", "compliant"):
            assert word not in lines


def test_packs_that_hold() -> None:
    snapshot = verify_pack_bytes(packed(TOWN.snapshot_pack(), "snapshot"), GIVEN)
    assert snapshot.is_sound
    assert "leaves" in names(snapshot)
    member = verify_pack_bytes(packed(TOWN.member_pack()), ALONE)
    assert member.is_sound
    assert names(member) == [
        "container", "trust", "signature", "manifest", "statement", "provenance", "contents",
        "digests", "entry", "inclusion", "consistency", "checkpoint", "tiles", "entries",
        "choices", "receipts", "proofs", "member-standing", "records", "one-history", "dates",
    ]  # fmt: skip
    assert "1 proved to be in the training set, 1 proved not" in member.checks[18].words


def test_a_pack_of_words_alone() -> None:
    report = verify_pack_bytes(packed({"report.html": b"<p>"}, "period"), Given((KEY.public,)))
    assert report.is_sound
    assert names(report) == ["container", "trust", "signature", "contents"]


def test_the_report_as_json() -> None:
    value = checked(TOWN.folder).to_json()
    assert json.loads(json.dumps(value)) == value
    assert value["verdict"] == "sound"


# ---- whoever changes a file -------------------------------------------------------------


@pytest.mark.parametrize("name", TOWN.folder)
def test_a_file_taken_out_of_a_folder_is_missed(name: str) -> None:
    files = {**TOWN.folder}
    del files[name]
    if name == "evidence/attest.pem":
        assert "'evidence/attest.pem' is missing" in failed(checked(files))[1]
        assert failed(checked(files, ALONE))[0] == "trust"
    else:
        assert f"'{name}' is missing" in failed(checked(files))[1]


@pytest.mark.parametrize(
    "name",
    ["more.txt", "evidence/more.json", "records/bucket-0002.parquet", "leaves/0001.bin",
     "evidence/erasures/x.json", "report.html", ".hidden", "evidence/erasures/01.json"],
)  # fmt: skip
def test_a_file_put_into_a_folder_is_found(name: str) -> None:
    check, words = failed(checked({**TOWN.folder, name: b"{}\n"}))
    assert check == "files"
    assert f"'{name}' is not listed anywhere" in words


@pytest.mark.parametrize("name", ["evidence/more.json", "rulebook.yaml", "log/tile", "member/x"])
def test_a_file_of_no_known_kind_is_refused_in_a_pack(name: str) -> None:
    check, words = failed(
        verify_pack_bytes(packed({**TOWN.snapshot_pack(), name: b""}, "snapshot"), GIVEN)
    )
    assert check == "contents"
    assert f"'{name}' is not listed anywhere" in words


def test_the_parts_of_a_pack_stay_together() -> None:
    for name in ("statement.json", "provenance.json", "entry.json", "snapshot.tlog-proof"):
        files = TOWN.member_pack()
        del files[f"evidence/{name}"]
        assert f"'evidence/{name}' is missing" in failed(
            verify_pack_bytes(packed(files), GIVEN)
        )[1]  # fmt: skip
    files = TOWN.member_pack()
    del files["manifest.json"]
    assert failed(verify_pack_bytes(packed(files), GIVEN))[0] == "contents"
    files = TOWN.member_pack()
    del files["log/checkpoint"]
    assert "without a checkpoint" in failed(verify_pack_bytes(packed(files), GIVEN))[1]
    files = TOWN.snapshot_pack()
    del files["leaves/0700.bin"]
    assert failed(verify_pack_bytes(packed(files, "snapshot"), GIVEN)) == (
        "leaves", "leaves: 'leaves/0700.bin' is missing.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("manifest.json", "manifest"), ("evidence/statement.json", "statement"),
        ("evidence/provenance.json", "statement"), ("evidence/entry.json", "entry"),
        ("evidence/consistency.json", "consistency"), ("evidence/build.json", "statement"),
    ],
)  # fmt: skip
def test_json_in_another_form_is_refused(name: str, check: str) -> None:
    other = json.dumps(json_of(TOWN.folder[name])).encode()
    assert failed(checked({**TOWN.folder, name: other}))[0] == check


# ---- the platform that cheats -----------------------------------------------------------


@pytest.mark.parametrize(
    ("town", "check", "says"),
    [
        # Records out of order could hide one from a proof of absence.
        (Town(order=lambda leaves: sorted(leaves, reverse=True)), "standing", "out of order"),
        (Town(entry={"index": 2}), "entry", "back-dated"),
        (Town(entry={"kind": "release"}), "entry", "another snapshot"),
        (Town(entry={"payload": {"manifest": ONE}}), "entry", "another snapshot"),
        (Town(recorded_us=AT_US + 3 * DAY_US), "dates", "was witnessed at"),
        (Town(signers=()), "inclusion", "lacks its quorum"),
        (Town(key=OTHER), "statement", "none of the given keys signed it"),
    ],
)
def test_a_cheating_platform_is_refused_by_name(town: Town, check: str, says: str) -> None:
    found, words = failed(checked(town.folder))
    assert found == check
    assert says in words


def test_reordered_leaves_are_refused_in_packs() -> None:
    town = Town(order=lambda leaves: sorted(leaves, reverse=True))
    files = town.snapshot_pack()
    del files["evidence/standing.bin"]
    check, words = failed(verify_pack_bytes(packed(files, "snapshot"), GIVEN))
    assert check == "leaves"
    assert "out of order" in words


def test_another_order_of_the_same_entries_is_refused() -> None:
    town = Town()
    town.log[1], town.log[2] = town.log[2], town.log[1]
    check, words = failed(checked(town.folder))
    assert (check, "does not lead" in words) == ("consistency", True)


def test_a_deleted_entry_is_refused() -> None:
    town = Town()
    del town.log[2]
    town.snapshot_entry["index"] -= 1
    assert failed(checked(town.folder))[0] == "entry"
    town = Town()
    del town.log[town.known]
    town.snapshot_entry["index"] = town.known
    check, words = failed(checked(town.folder))
    assert (check, "does not lead" in words) == ("inclusion", True)


def test_a_dated_otherwise_entry_is_refused() -> None:
    value = {**TOWN.snapshot_entry, "recorded_us": AT_US - DAY_US}
    check, words = failed(checked({**TOWN.folder, "evidence/entry.json": canonical_json(value)}))
    assert (check, "does not lead" in words) == ("inclusion", True)


def test_a_statement_about_another_manifest_is_refused() -> None:
    other = Town(records=2)
    for name in ("statement", "provenance"):
        files = {**TOWN.folder, f"evidence/{name}.json": other.folder[f"evidence/{name}.json"]}
        assert failed(checked(files))[0] == "statement"
    lone = Town(siblings=())
    bare = {name: data for name, data in lone.folder.items() if name != "evidence/build.json"}
    assert checked(bare).is_sound
    files = {**lone.folder, "evidence/attest.pem": OTHER.public.to_pem()}
    assert "another, " in checked(files).checks[1].words


def test_a_provenance_about_something_else_is_refused() -> None:
    stated, _ = TOWN.statements
    files = {
        **TOWN.folder, "evidence/provenance.json": sign(STATEMENT_TYPE, stated, KEY).to_bytes(),
    }  # fmt: skip
    assert failed(checked(files)) == (
        "statement",
        "statement: 'evidence/provenance.json' is not the sibling that the statement names.",
    )


def test_a_second_signature_is_told_of() -> None:
    stated, _ = TOWN.statements
    both = sign(STATEMENT_TYPE, stated, KEY, OTHER).to_bytes()
    report = checked({**TOWN.folder, "evidence/statement.json": both})
    assert "and by 1 key that nobody vouches for" in report.checks[3].words


# ---- erasure and retention --------------------------------------------------------------

BUCKET = "records/bucket-0001.parquet"


def erased() -> dict[str, bytes]:
    """The folder after an erasure rewrote one file, twice."""
    before, after = sha(TOWN.folder[BUCKET]), b"PAR1 less"
    return {
        **TOWN.folder,
        BUCKET: after,
        "evidence/erasures/5.json": TOWN.erasure(Rewritten(BUCKET, before, ONE)),
        "evidence/erasures/10.json": TOWN.erasure(Rewritten(BUCKET, ONE, sha(after)), entry=10),
    }


def test_files_that_an_erasure_replaced() -> None:
    report = checked(erased())
    assert report.is_sound
    assert limits.ERASED in report.limits
    assert "2 erasures" in report.checks[names(report).index("erasures")].words
    assert (
        "what an erasure left in its place (1)"
        in report.checks[names(report).index("digests")].words
    )


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        (lambda files: files.pop("evidence/erasures/5.json"), "erasures", "never was"),
        (lambda files: files.pop("evidence/erasures/10.json"), "digests", "last erasure left"),
        (lambda files: files.update({BUCKET: TOWN.folder[BUCKET]}), "digests", "last erasure"),
        (
            lambda files: files.update({"evidence/erasures/6.json": TOWN.erasure(
                Rewritten(BUCKET, ONE, TWO), entry=5)}),
            "erasures", "another entry",
        ),
        (
            lambda files: files.update({"evidence/erasures/6.json": canonical_json(
                {"entry": 6, "files": {BUCKET: {"from": ONE, "to": TWO}},
                 "format": "sayso/erasure-note/v1"})}),
            "erasures", "malformed",
        ),
        (
            lambda files: files.update(
                {"evidence/erasures/6.json": TOWN.folder["evidence/statement.json"]}),
            "erasures", "no erasure in this snapshot",
        ),
    ],
)  # fmt: skip
def test_an_erasure_that_nobody_signed_for_is_refused(
    change: Callable[[dict[str, bytes]], object], check: str, says: str
) -> None:
    files = erased()
    change(files)
    found, words = failed(checked(files))
    assert (found, says in words) == (check, True), words


def test_a_file_that_an_erasure_took_away() -> None:
    files = {
        **TOWN.folder,
        "evidence/erasures/5.json": TOWN.erasure(Rewritten(BUCKET, sha(TOWN.folder[BUCKET]), None)),
    }
    assert failed(checked(files))[0] == "digests"
    del files[BUCKET]
    assert checked(files).is_sound


def test_erasures_may_be_done_in_any_order() -> None:
    before, after = sha(TOWN.folder[BUCKET]), b"PAR1 less"
    files = {
        **TOWN.folder,
        BUCKET: after,
        "evidence/erasures/5.json": TOWN.erasure(Rewritten(BUCKET, ONE, sha(after))),
        "evidence/erasures/10.json": TOWN.erasure(Rewritten(BUCKET, before, ONE), entry=10),
    }
    assert checked(files).is_sound


def test_records_that_retention_deleted() -> None:
    files = {**TOWN.folder, "evidence/retention.json": TOWN.expiry()}
    assert "retention says that it was deleted" in failed(checked(files))[1]
    files = {name: data for name, data in files.items() if not name.startswith("records/")}
    report = checked(files)
    assert report.is_sound
    gone = report.checks[names(report).index("digests")]
    assert gone.outcome is Outcome.NOT_MADE
    assert "as the signed note says" in gone.words
    said = report.checks[names(report).index("retention")]
    assert "kept for 1095 days: signed by key" in said.words


def test_a_note_of_retention_that_nobody_trusted_signed() -> None:
    kept = {name: data for name, data in TOWN.folder.items() if not name.startswith("records/")}
    note = "evidence/retention.json"
    bare = canonical_json({"deleted_us": AT_US, "keep": "1095 days", "reason": "audits"})
    assert failed(checked({**kept, note: bare}))[0] == "retention"
    assert failed(checked({**kept, note: TOWN.expiry(OTHER)}))[0] == "retention"
    foreign = Town(records=2).expiry()
    assert "no note about this snapshot" in failed(checked({**kept, note: foreign}))[1]
    other = TOWN.erasure(Rewritten(BUCKET, ONE, None))
    assert "no note about this snapshot" in failed(checked({**kept, note: other}))[1]


def test_circumstances_that_the_statement_does_not_name() -> None:
    files = Town(siblings=("policy", "attest.pem")).folder
    assert "the statement does not name it" in failed(checked(files))[1]


# ---- where things lie -------------------------------------------------------------------


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_a_folder_on_disk(tmp_path: Path) -> None:
    folder = written(tmp_path / "snapshot", TOWN.folder)
    report = verify_path(folder, GIVEN)
    # Stand-ins for Parquet have no leaves inside.
    assert failed(report)[0] == "leaves"
    assert "holds no tags and digests" in report.checks[-1].words
    (folder / "evidence" / "odd").symlink_to(tmp_path)
    assert "'evidence/odd' is no ordinary file" in failed(verify_path(folder, GIVEN))[1]


def test_a_pack_on_disk(tmp_path: Path) -> None:
    written(tmp_path, {"a.pack": packed(TOWN.member_pack())})
    assert verify_path(tmp_path / "a.pack", GIVEN).is_sound


def test_what_cannot_be_verified(tmp_path: Path) -> None:
    written(tmp_path, {"empty": b"", "text": b"hello", "none/x": b""})
    for name in ("missing", "empty", "text", "none"):
        with pytest.raises(InputError):
            verify_path(tmp_path / name, GIVEN)
    with pytest.raises(InputError, match="no key"):
        verify_pack_bytes(packed({"report.html": b""}), ALONE)
    with pytest.raises(InputError):
        load_given([tmp_path / "text"])
    with pytest.raises(InputError, match="no file"):
        load_given(policy=tmp_path / "missing")


def test_what_is_given_is_read(tmp_path: Path) -> None:
    written(tmp_path, {"key": KEY.public.to_pem(), "policy": POLICY, "known": b"k", "c": b"c"})
    found = load_given([tmp_path / "key"], *(tmp_path / one for one in ("policy", "known", "c")))
    assert found == Given((KEY.public,), POLICY, b"k", b"c")


def test_a_file_that_cannot_be_read_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "snapshot", TOWN.folder)

    def refuse(_self: FolderFiles, _name: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FolderFiles, "_opened", refuse)
    with pytest.raises(UnavailableError, match="permission denied"):
        verify_path(folder, GIVEN)


def test_a_file_that_goes_while_it_is_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "snapshot", TOWN.folder)
    files = FolderFiles(folder)
    (folder / "manifest.json").unlink()
    assert "'manifest.json' is missing" in failed(verify_folder(lambda: files, GIVEN))[1]


# ---- the report -------------------------------------------------------------------------


def test_a_report_ends_at_the_first_failure() -> None:
    report = Report()

    def unmade() -> str:
        raise NotMadeError("no reader.")

    def wrong() -> str:
        raise InputError("it is wrong", hint="do better")

    report.make("first", lambda: "Well.")
    report.make("second", unmade)
    with pytest.raises(FailedError):
        report.make("third", wrong)
    assert report.lines() == [
        "1. Well.", "2. Not checked: no reader.", "3. FAILED: third: it is wrong; do better.",
    ]  # fmt: skip
    assert report.verdict == "not sound"
    assert "NOT SOUND: check 3, 'third', failed" in told(report)


def test_a_report_of_nothing_is_not_sound() -> None:
    assert not Report().is_sound


def test_instants_for_people() -> None:
    assert instant_of(AT_US) == "2025-11-10 00:00:00 UTC"
    assert instant_of(10**30) == f"{10**30} microseconds after 1970"
