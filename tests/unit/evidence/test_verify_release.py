"""A pack of a release, made by hand: what a platform that cheats would have to change."""

from typing import Any

import pytest

from sayso.attest.dsse import STATEMENT_TYPE, parse_envelope, sign
from sayso.canonical import canonical_json, parse_canonical
from sayso.evidence.checks import Report
from sayso.evidence.verify import verify_pack_bytes
from tests.unit.evidence.builders import GIVEN, ONE, OTHER, TWO, Town, failed, packed
from tests.unit.evidence.releases import release_pack

TOWN = Town()
FILES = release_pack(TOWN)


def verified(files: dict[str, bytes], kind: str = "release") -> Report:
    return verify_pack_bytes(packed(files, kind), GIVEN)


def without(*prefixes: str) -> dict[str, bytes]:
    return {name: data for name, data in FILES.items() if not name.startswith(prefixes)}


def test_it_is_followed_down_to_the_snapshot() -> None:
    report = verified(FILES)
    assert report.is_sound, report.lines()
    (found,) = [one for one in report.checks if one.name == "releases"]
    assert "a base and the mean of 1 adapter" in found.words
    assert "the bill of materials follows" in found.words


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"release": {"adapters": {"DE-0000-of-0001": TWO}}}, "an adapter of 'DE-0000-of-0001'"),
        ({"release": {"run": ONE}}, "the run of release entry 6 is not here"),
        ({"release": {"purpose": "another"}}, "says another 'purpose'"),
        ({"release": {"base": {"name": "other", "sha256": ONE, "exposure": "none"}}},
         "says another 'base'"),
        ({"release": {"files": {}}, "release_entry": {"run": ONE}}, "speaks of another release"),
        ({"release_entry": {"adapters": {}}}, "speaks of another release"),
        ({"release_entry": {"statement": ONE}}, "is not the one that its entry names"),
        ({"release_entry": {"release": ONE}}, "is not the one that its entry names"),
        ({"run_entry": {"run": ONE}}, "is not the one that its entry names"),
        ({"run_entry": {"shards": {}}}, "speaks of other adapters than its file"),
        ({"run_entry": {"snapshot": ONE}}, "says another 'snapshot'"),
        ({"run": {"purpose": "another"}}, "says another 'purpose'"),
        ({"run": {"base": {"name": "small", "sha256": TWO, "exposure": "none"}}},
         "says another 'base'"),
        ({"order": ("release", "training-run")}, "entry 5 is back-dated: it stands before entry 6"),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused(changed: dict[str, Any], words: str) -> None:
    name, said = failed(verified(release_pack(TOWN, **changed)))
    assert name == "releases"
    assert words in said


@pytest.mark.parametrize(
    ("gone", "check", "words"),
    [
        ("releases/", "contents", "'bom.cdx.json' is there without a release"),
        ("releases/6/statement", "releases", "'releases/6/statement.json' is missing"),
        ("runs/", "releases", "the run of release entry 6 is not here"),
        ("runs/5/run.json", "releases", "'runs/5/run.json' is missing"),
        ("bom", "releases", "'bom.cdx.json' is missing"),
        ("snapshots/", "releases", "'snapshots/4/statement.json' is missing"),
        ("entries/4", "proofs", "'proofs/4.tlog-proof' is the proof of nothing"),
        ("entries/0", "proofs", "'proofs/0.tlog-proof' is the proof of nothing"),
        ("proofs/6", "proofs", "no proof that entry 6 is in the log"),
    ],
)
def test_what_is_missing_is_missed(gone: str, check: str, words: str) -> None:
    found = failed(verified(without(gone)))
    assert found[0] == check
    assert words in found[1]


def test_a_release_whose_rulebook_is_not_shown() -> None:
    assert (
        "the rulebook of entry 0 is not here"
        in failed(verified(without("entries/0", "proofs/0")))[1]
    )


def test_a_pack_of_a_release_holds_one() -> None:
    bare = without("releases/", "runs/", "bom")
    assert "a pack of a release holds 0" in failed(verified(bare))[1]
    run = without("releases/", "bom")
    assert "belongs to no release" in failed(verified(run, "hold"))[1]


def test_another_bill_of_materials_is_refused() -> None:
    bom: Any = parse_canonical(FILES["bom.cdx.json"])
    bom["components"][0]["name"] = "another base"
    files = {**FILES, "bom.cdx.json": canonical_json(bom)}
    assert "the bill of materials is that of another release" in failed(verified(files))[1]


@pytest.mark.parametrize("name", ["runs/5/statement.json", "releases/6/statement.json"])
def test_a_statement_that_another_signed_is_refused(name: str) -> None:
    said = parse_envelope(FILES[name]).payload
    files = {**FILES, name: sign(STATEMENT_TYPE, said, OTHER).to_bytes()}
    assert "none of the given keys signed it" in failed(verified(files))[1]


@pytest.mark.parametrize("name", ["runs/5/run.json", "releases/6/release.json"])
def test_another_shape_is_refused(name: str) -> None:
    value: Any = parse_canonical(FILES[name])
    files = {**FILES, name: canonical_json({**value, "more": 1})}
    assert "no such key" in failed(verified(files))[1]


def test_what_became_of_it_is_told() -> None:
    report = verified(release_pack(TOWN, became="sealed"))
    assert report.is_sound, report.lines()
    (told,) = [one for one in report.checks if one.name == "releases"]
    assert "The last that the ledger says of it here: 'sealed'." in told.words
