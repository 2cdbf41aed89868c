"""The verifier on what is about one member: choices, receipts, standing and records."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sayso.canonical import canonical_json, encode
from sayso.errors import InputError
from sayso.evidence import checks_member
from sayso.evidence.case import Given
from sayso.evidence.checks import Outcome, Report
from sayso.evidence.merkle_proofs import SortedTree
from sayso.evidence.verify import verify_pack_bytes, verify_path, verify_receipt_bytes
from sayso.ledger.entries import CHOICE_LABEL, canonical_choice
from sayso.model import Choice
from sayso.snapshot import seal, standing
from tests.unit.evidence.builders import (
    GIVEN,
    KEY,
    OTHER,
    POLICY,
    TWO,
    Town,
    choice_of,
    failed,
    key_of,
    packed,
    record_of,
    tag_of,
)

TOWN = Town()
RECORD = f"member/records/{tag_of('ann', 'ann-0').hex()}.json"
ABSENT = f"member/records/{tag_of('ann', 'ann-none').hex()}.json"
CHOICE, RECEIPT, STANDING = "member/choices/1.json", "receipts/1.json", "member/standing.json"


def verified(files: dict[str, bytes]) -> Report:
    return verify_pack_bytes(packed(files), GIVEN)


def words(report: Report, name: str) -> str:
    (found,) = [one.words for one in report.checks if one.name == name]
    return found


def changed(name: str, change: Callable[[Any], object], town: Town = TOWN) -> dict[str, bytes]:
    """A member's pack that the platform made so, with one file changed."""
    files = town.member_pack()
    value = json.loads(files[name])
    change(value)
    return {**files, name: canonical_json(value)}


def test_the_labels_and_columns_are_those_that_are_written() -> None:
    assert checks_member.CHOICE_LABEL == CHOICE_LABEL
    assert checks_member.TAG_LABEL == seal.TAG_LABEL
    assert checks_member.RECORD_LABEL == seal.RECORD_LABEL
    assert list(checks_member.RECORD_FIELDS) == seal.RECORD_COLUMNS.names
    assert checks_member.STANDING_TAG_LABEL == standing.TAG_LABEL
    assert checks_member.STANDING_LABEL == standing.STANDING_LABEL
    said = choice_of("ann", "on", 7)
    assert list(checks_member.CHOICE_FIELDS) == list(said)
    assert canonical_choice(**said) == encode(CHOICE_LABEL, *said.values())
    assert seal.record_tag(key_of("ann"), "ann-0").hex() == Path(RECORD).stem


def test_a_member_s_pack_that_holds() -> None:
    report = verified(TOWN.member_pack())
    assert report.is_sound
    assert "nothing stood against the member" in words(report, "member-standing")
    assert "1 proved to be in the training set, 1 proved not to be in it" in words(
        report, "records"
    )
    assert "entry 1: no objection" in words(report, "receipts")


def test_what_stood_against_a_member() -> None:
    files = {**TOWN.member_pack(), STANDING: TOWN.member_standing("cy", ["CHOSEN_OFF"])}
    assert "stood CHOSEN_OFF" in words(verified(files), "member-standing")


def test_a_member_of_whom_nothing_was_held() -> None:
    files = {**TOWN.member_pack(), STANDING: TOWN.member_standing("nobody", [], None)}
    assert "held no standing of the member" in words(verified(files), "member-standing")


def test_a_standing_that_is_not_opened() -> None:
    files = changed(STANDING, lambda value: value.update(standing=None))
    assert "held a standing of the member with tag" in words(verified(files), "member-standing")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: TOWN.member_standing("cy", []), "not the one that the snapshot committed"),
        (lambda: TOWN.member_standing("cy", ["UNDER_AGE"]), "not the one"),
        (lambda: TOWN.member_standing("ann", [], "FR"), "not the one"),
        (lambda: TOWN.member_standing("ann", [], None), "without a country"),
        (lambda: TOWN.member_standing("nobody", []), "says that there is none"),
        (lambda: Town(known=5).member_standing("ann", []), "root"),
    ],
)
def test_another_standing_is_refused(made: Callable[[], bytes], says: str) -> None:
    check, found = failed(verified({**TOWN.member_pack(), STANDING: made()}))
    assert (check, says in found) == ("member-standing", True), found


def test_the_standing_of_another_member_is_refused() -> None:
    def turn(value: Any) -> None:
        value["standing"]["key"] = key_of("bo").hex()

    check, found = failed(verified(changed(STANDING, turn)))
    assert (check, "another member or snapshot" in found) == ("member-standing", True)


def test_a_record_of_a_member_who_was_barred_is_refused() -> None:
    town = Town(standings={"ann": ["CHOSEN_OFF"], "bo": []})
    files = town.member_pack()
    files[STANDING] = town.member_standing("ann", ["CHOSEN_OFF"])
    check, found = failed(verified(files))
    assert (check, "standing bars it" in found) == ("records", True)


def test_an_objection_that_did_not_count_is_refused() -> None:
    town = Town()

    def said_off(number: int) -> tuple[str, dict[str, Any]]:
        who, said = Town.choice(number)
        return who, {**said, "choice": "off"}

    town.choice = said_off  # type: ignore[method-assign]
    files = town.member_pack()
    check, found = failed(verified(files))
    assert check == "member-standing"
    assert "entry 1 says off, the snapshot knew it, and nothing stood against" in found


@pytest.mark.parametrize(
    ("name", "change", "check", "says"),
    [
        (CHOICE, lambda v: v.update(index=2), "choices", "another entry"),
        (CHOICE, lambda v: v["choice"].update(choice="off"), "receipts", "disagree on entry 1"),
        (CHOICE, lambda v: v.update(key=TWO), "receipts", "disagree on entry 1"),
        (CHOICE, lambda v: v["choice"].update(effective_us=1), "receipts", "disagree on entry 1"),
        (CHOICE, lambda v: v["choice"].update(extra=1), "choices", "malformed"),
        (CHOICE, lambda v: v["choice"].update(choice="unset"), "choices", "malformed"),
        (CHOICE, lambda v: v["choice"].update(recorded_us=True), "choices", "malformed"),
        (CHOICE, lambda v: v["choice"].update(channel=7), "choices", "malformed"),
        (RECORD, lambda v: v.update(tag=TWO), "records", "another record"),
        (RECORD, lambda v: v["proofs"].clear(), "records", "malformed"),
        (RECORD, lambda v: v["proofs"].append(v["proofs"][0]), "records", "one thing twice"),
        (RECORD, lambda v: v["record"].update(record_id="x"), "records", "than its tag"),
        (RECORD, lambda v: v["record"].update(key=TWO), "records", "than its tag"),
        (RECORD, lambda v: v["record"]["columns"].update(record_id="x"), "records", "two records"),
        (RECORD, lambda v: v["record"]["columns"].update(text="x"), "records", "was admitted"),
        (RECORD, lambda v: v["proofs"][0].update(tree="bucket/0700"), "records", "root"),
        (RECORD, lambda v: v["proofs"][0].update(tree="bucket/0002"), "records", "no bucket"),
        (RECORD, lambda v: v["proofs"][0].update(tree="standing"), "records", "is of the tree"),
        (STANDING, lambda v: v["proof"].update(tree="bucket/0001"), "member-standing", "tree"),
        ("entries/0.json", lambda v: v.update(index=1), "entries", "another entry"),
        ("entries/0.json", lambda v: v["payload"].update(title="e"), "proofs", "does not lead"),
    ],
)  # fmt: skip
def test_what_the_platform_changed_is_refused(
    name: str, change: Callable[[Any], object], check: str, says: str
) -> None:
    found, told = failed(verified(changed(name, change)))
    assert (found, says in told) == (check, True), told


def test_a_record_that_is_not_opened() -> None:
    for change in (
        lambda value: value.update(record=None),
        lambda value: value["record"].update(columns=None),
    ):
        assert verified(changed(RECORD, change)).is_sound


def test_absence_in_one_bucket_says_no_more() -> None:
    files = changed(ABSENT, lambda value: value["proofs"].pop())
    assert "1 proved not to be in the bucket that the platform names" in words(
        verified(files), "records"
    )


def test_a_choice_that_nothing_proves_is_refused() -> None:
    files = TOWN.member_pack()
    for name in [one for one in files if "tile/" in one]:
        del files[name]
    assert verified(files).is_sound
    del files["proofs/1.tlog-proof"]
    check, found = failed(verified(files))
    assert (check, "no proof that entry 1 is in the log" in found) == ("proofs", True)
    files["proofs/1.tlog-proof"] = TOWN.proof(2)
    assert "is the proof of entry 2" in failed(verified(files))[1]
    files["proofs/1.tlog-proof"] = TOWN.proof(1)
    files["proofs/6.tlog-proof"] = TOWN.proof(6)
    assert "the proof of nothing that is here" in failed(verified(files))[1]


def test_an_entry_that_the_tiles_hold_otherwise_is_refused() -> None:
    files = changed("entries/0.json", lambda value: value["payload"].update(title="e"))
    del files["proofs/0.tlog-proof"]
    check, found = failed(verified(files))
    assert (check, "entry 0 of the log is another than is shown" in found) == ("proofs", True)


def test_an_entry_that_was_deleted_from_the_log_is_refused() -> None:
    town = Town()
    files = town.member_pack()
    del town.log[1]
    del town.__dict__["tree"]
    files["proofs/1.tlog-proof"] = town.proof(1, 5)
    for name in [one for one in files if "log/" in one]:
        del files[name]
    check, found = failed(verified(files))
    assert (check, "does not lead" in found) == ("proofs", True)


# ---- receipts ---------------------------------------------------------------------------

LATER = datetime(2025, 11, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"choice": Choice.OFF}, "another choice than the entry"),
        ({"channel": "app"}, "another channel"),
        ({"setting_version": "2024-09"}, "another setting_version"),
        ({"effective_at": LATER}, "dated otherwise"),
        ({"recorded_at": LATER}, "dated otherwise"),
        ({"index": 2}, "disagree on entry 2|another entry"),
        ({"commitment": bytes(32)}, "disagree on entry 1"),
    ],
)
def test_a_receipt_that_says_otherwise_is_refused(facts: dict[str, Any], says: str) -> None:
    files = {**TOWN.member_pack(), RECEIPT: TOWN.receipt(**facts)}
    check, found = failed(verified(files))
    assert check == "receipts"
    assert any(one in found for one in says.split("|")), found


def test_a_receipt_alone(tmp_path: Path) -> None:
    receipt = TOWN.receipt(TOWN.proof(1))
    (tmp_path / "receipt.json").write_bytes(receipt)
    report = verify_path(tmp_path / "receipt.json", GIVEN)
    assert report.is_sound
    assert [one.name for one in report.checks] == ["trust", "receipt", "inclusion"]
    assert "'no objection'" in report.checks[1].words
    known = Given((KEY.public,), POLICY, TOWN.note(4), TOWN.consistency(4, 7))
    assert verify_receipt_bytes(receipt, known).checks[-1].name == "known-checkpoint"
    assert failed(verify_receipt_bytes(receipt, Given((OTHER.public,), POLICY)))[0] == "receipt"
    assert "there is no policy" in failed(verify_receipt_bytes(receipt, Given((KEY.public,))))[1]
    with pytest.raises(InputError, match="brings no key"):
        verify_receipt_bytes(receipt, Given())


def test_a_receipt_without_a_proof_and_one_of_nothing_said() -> None:
    for receipt in (TOWN.receipt(), TOWN.receipt(index=None, choice=Choice.UNSET)):
        report = verify_receipt_bytes(receipt, GIVEN)
        assert report.is_sound
        assert report.checks[-1].outcome is Outcome.NOT_MADE


def test_a_receipt_with_the_proof_of_another_entry_is_refused() -> None:
    town = Town()
    receipt = town.receipt(town.proof(1))
    value = json.loads(receipt)
    assert value["payloadType"]
    town.log[1] = bytes(32)
    del town.__dict__["tree"]
    check, found = failed(verify_receipt_bytes(town.receipt(town.proof(1)), GIVEN))
    assert (check, "does not lead" in found) == ("receipt", True)


def test_a_pack_with_absence_shown_by_no_tree_of_ours() -> None:
    tree = SortedTree(b"")
    tag = tag_of("ann", "ann-none")
    proofs = [tree.prove(f"bucket/{bucket}", tag).to_json() for bucket in ("0001", "0700")]
    files = changed(ABSENT, lambda value: value.update(proofs=proofs))
    assert "no neighbour" in failed(verified(files))[1]
    assert record_of("ann", 0)["record_id"] == "ann-0"


# ---- what is kept for the member --------------------------------------------------------

FIRST, SECOND = "member/kept/1.json", "member/kept/2.json"
REASON = {"entry": 1, "purpose": "content-generation-training", "reason": "because"}
EXCHANGE = {
    "format": "sayso/exchange/v1", "kind": "post", "asked": "a week", "made_from": [],
    "written": ["Calm."], "model": "release 1a2b", "recipient": "",
}  # fmt: skip


def kept(kind: str, value: object, **more: object) -> bytes:
    return canonical_json({"kind": kind, "kept_id": "c0ffee", "kept_us": 7, "value": value} | more)


def test_what_is_kept_is_told() -> None:
    said = {**REASON, "entry": 2}  # of an objection that is not shown
    files = {**TOWN.member_pack(), FIRST: kept("reason", said), SECOND: kept("exchange", EXCHANGE)}

    report = verified(files)

    assert report.is_sound
    assert "1 reason for objecting and 1 use of the assistant" in words(report, "kept")


@pytest.mark.parametrize(("name", "data", "says"), [
    (FIRST, kept("reason", REASON), "no such objection"),  # entry 1 says on
    (SECOND, kept("exchange", EXCHANGE), "one before it is not"),
    (FIRST, kept("diary", REASON), "malformed"),
    (FIRST, kept("reason", EXCHANGE), "member/kept/1.json.value"),
    (FIRST, kept("exchange", REASON), "member/kept/1.json.value"),
    (FIRST, kept("reason", {**REASON, "more": 1}), "more"),
    (FIRST, kept("reason", None), "member/kept/1.json.value"),
    (FIRST, kept("exchange", {**EXCHANGE, "written": "Calm."}), "written"),
    (FIRST, kept("reason", REASON) + b"\n", "canonical"),
])  # fmt: skip
def test_what_is_kept_otherwise_is_refused(name: str, data: bytes, says: str) -> None:
    check, found = failed(verified({**TOWN.member_pack(), name: data}))

    assert (check, says in found) == ("kept", True), found


def test_what_is_kept_for_a_member_is_in_no_other_pack() -> None:
    files = {**TOWN.snapshot_pack(), FIRST: kept("exchange", EXCHANGE)}

    check, found = failed(verify_pack_bytes(packed(files, "snapshot"), GIVEN))

    assert (check, "a pack of another kind" in found) == ("kept", True), found
