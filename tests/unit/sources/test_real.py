"""The readers on real dumps and on samples that hide what must never come out.

The data lies beside the project and never in it; texts are compared, never shown.
"""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.sources import KINDS
from tests.unit.sources.builders import Row, run, write_zip

DATA = Path(__file__).parents[3].parent / "shared" / "data"
FORMATS = DATA / "formats"
EXPORT = FORMATS / "linkedin" / "Complete_LinkedInDataExport_01-15-2026"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FORMATS.is_dir(), reason=f"no real input at {DATA}"),
]


def samples() -> list[Path]:
    """Return every folder and file of samples; reading wrong ones must do no harm."""
    if not FORMATS.is_dir():
        return []
    return [FORMATS, *sorted(FORMATS.rglob("*"))]


def imported(kind: str, src: Path, out: Path) -> list[Row]:
    """Import and return all rows, or what a refusal says."""
    try:
        _, members, content = run(kind, src, out)
    except InputError as error:
        return [{"refusal": str(error)}]
    assert "CANARY" not in (out / "report.json").read_text()
    return members + content


@pytest.mark.parametrize("kind", KINDS)
def test_no_canary_comes_out_of_any_sample(kind: str, tmp_path: Path) -> None:
    for place, src in enumerate(samples()):
        rows = imported(kind, src, tmp_path / str(place))
        assert "CANARY" not in json.dumps(rows, default=str)


def test_no_canary_comes_out_of_an_export_whatever_its_files_are_called(tmp_path: Path) -> None:
    """Every private file takes every admitted name in turn, alone in an export."""
    names = ["Profile.csv", "Shares_9.csv", "Comments_9.csv", "Positions.csv", "Skills.csv"]
    names += ["Profile Summary.csv", "Education.csv", "Dateiname.csv", "Articles/x.csv"]
    private = [
        path for path in EXPORT.rglob("*.csv") if "CANARY" in path.read_text(encoding="utf-8")
    ]
    assert len(private) == 8
    for place, path in enumerate(private):
        for number, name in enumerate(names):
            folder = tmp_path / f"in-{place}-{number}"
            (folder / name).parent.mkdir(parents=True)
            shutil.copyfile(path, folder / name)
            rows = imported("linkedin", folder, tmp_path / f"out-{place}-{number}")
            assert "CANARY" not in json.dumps(rows, default=str)


def test_the_sample_export(tmp_path: Path) -> None:
    report, members, content = run("linkedin", EXPORT, tmp_path / "out")
    assert [(row["member_id"], row["country"], row["birth_date"]) for row in members] == [
        ("900000001", None, "1990-03-04")
    ]
    assert Counter(row["category"] for row in content) == {
        "profile": 7,
        "post": 2,
        "comment": 3,
        "recommendation": 1,
        "article": 1,
    }
    assert len({skipped.file for skipped in report.skipped}) > 25
    files = {str(path.relative_to(EXPORT)): path.read_bytes() for path in EXPORT.rglob("*.*")}
    again = run("linkedin", write_zip(tmp_path / "e.zip", files, "inner/"), tmp_path / "zip")
    assert again[2] == content


@pytest.mark.parametrize("name", ["Positions_latin1_excel", "Profile_bom_crlf"])
def test_the_sample_variants(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(FORMATS / "linkedin" / "variants" / f"{name}.csv", tmp_path / "in")
    _, _, content = run("linkedin", tmp_path / "in", tmp_path / "out")
    assert [row["category"] for row in content] == ["profile"]
    assert "\ufffd" not in content[0]["text"]


def test_the_misaligned_shares_are_not_admitted(tmp_path: Path) -> None:
    export = DATA / "linkedin_synth_mit"
    report, _, content = run("linkedin", export / "sample_export.zip", tmp_path / "zip")
    assert not [row for row in content if row["category"] == "post"]
    whys = {skipped.file: skipped.why for skipped in report.skipped}
    assert whys["Shares.csv"] == "its header is not the known one for this file"
    assert whys["messages.csv"] == "private"
    folder = run("linkedin", export / "fixtures", tmp_path / "folder")
    assert folder[2] == content


def test_a_real_dump(tmp_path: Path) -> None:
    _, members, content = run("stackexchange", DATA / "se_history_meta", tmp_path / "out")
    assert len(members) == 3839
    assert [row["member_id"] for row in members if row["status"]] == ["-1"]
    posts = [row for row in content if row["category"] == "post"]
    assert (len(posts), len(content) - len(posts)) == (2245, 5176)
    assert Counter(row["authorship"] for row in posts)["edited"] > 500
    assert sum(row["member_id"] is None for row in content) > 200
    assert len({row["record_id"] for row in content}) == len(content)
    assert all(row["written_at"] and row["licence"] for row in content)


def test_real_consultations(tmp_path: Path) -> None:
    _, members, content = run("polis", DATA / "polis", tmp_path / "out")
    assert Counter(row["visibility"] for row in content) == {
        "public": 1645,
        "private": 996,
        None: 1679,
    }
    assert sum(row["status"] == "organisation" for row in members) == 10
    assert len({row["member_id"] for row in members}) == len(members)
    assert all(row["written_at"] for row in content)
