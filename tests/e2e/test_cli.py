"""The commands as processes: what they print, how they end, what they leave."""

import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.cli import main
from sayso.model import DEFAULT_PURPOSE, REASONS
from tests.e2e.cli import Done, Story, sayso, start, strike
from tests.town import (
    MEMBER_COLUMNS,
    choice_row,
    member_row,
    record_row,
    town_choices,
    town_content,
    town_members,
    town_notices,
    write_content,
    write_csv,
    write_jsonl,
)

AT = "2026-01-15T12:00:00Z"
HEX = re.compile("[0-9a-f]{64}")
NAMES = {str(reason) for reason in REASONS}
POLIS = "timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body\n"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Run the commands in the order in which a platform would."""
    folder = tmp_path_factory.mktemp("story")
    ws = folder / "ws"
    write_csv(folder / "members.csv", [*town_members(40), member_row(7)], MEMBER_COLUMNS)
    write_jsonl(folder / "choices.jsonl", town_choices(20, 40))
    write_jsonl(folder / "notices.jsonl", town_notices(40))
    rows = [*town_content(200, 40), record_row("mine", "7"), record_row("mine too", "7")]
    write_content(folder / "content.parquet", rows)
    (folder / "export").mkdir()
    (folder / "export" / "comments.csv").write_text(
        POLIS + '1651071094556,x,11,3,9,2,1,"A thought"\n', encoding="utf-8"
    )
    steps: dict[str, Done] = {}

    def run(number: int, step: str, *arguments: str | Path) -> None:
        # Every way to name the workspace and to ask for JSON is used by some step.
        if step == "init":
            done = sayso("--json", *arguments, cwd=folder)
        elif number % 3 == 0:
            done = sayso("--workspace", ws, "--json", *arguments, cwd=folder)
        elif number % 3 == 1:
            done = sayso(*arguments, "--workspace", "ws", "--json", cwd=folder)
        else:
            done = sayso(*arguments, "--json", cwd=folder, SAYSO_WORKSPACE=str(ws))
        assert done.code == 0, f"{step}: {done.err}"
        steps[step] = done

    def together(*commands: tuple[str | Path, ...]) -> None:
        """Run what does not depend on each other at the same time."""
        with ThreadPoolExecutor(2) as pool:
            begun = [
                pool.submit(run, len(steps) + place, *command)  # type: ignore[arg-type]
                for place, command in enumerate(commands)
            ]
            for one in begun:
                one.result()

    together(("init", "init", ws, "--template", "linkedin-2024"))
    together(
        ("check", "rulebook", "check"),
        ("ingest members", "ingest", "members", "members.csv"),
        ("import", "import", "polis", "export", "--out", "imported"),
    )
    together(("ingest choices", "ingest", "choices", "choices.jsonl"))
    together(
        ("ingest notices", "ingest", "notices", "notices.jsonl"),
        ("again", "ingest", "choices", "choices.jsonl"),
    )
    together(("build", "build", "--content", "content.parquet", "--at", AT, "--out", "one"))
    together(("choose", "choose", "7", "off", "--channel", "web", "--setting-version", "2024-09"))
    together(
        ("explain", "explain", "7", "--at", "2027-01-01"),
        ("explain record", "explain", "7", "mine", "--content", "content.parquet", "--at", AT),
    )
    together(
        ("place", "hold", "place", "BR", "--placed-by", "us", "--asked-by", "ANPD", "--from",
         "2026-01-01", "--source", "https://example.org/letter"),
    )  # fmt: skip
    together(
        ("list", "hold", "list"),
        ("rebuild", "rebuild", "one", "--at", "2027-01-01", "--out", "two"),
    )
    together(
        ("diff", "diff", "one", "two"),
        ("lift", "hold", "lift", steps["place"].value["hold_id"], "--from", "2026-06-01",
         "--source", "assumption", "--position", "no-objection"),
    )  # fmt: skip
    together(
        ("show", "rulebook", "show", "--at", AT),
        ("timeline", "rulebook", "timeline", "--out", "t.svg"),
        ("table", "rulebook", "table", "--at", AT),
        ("rulebook diff", "rulebook", "diff", "0", "published", "--at", AT),
        ("fsck", "log", "fsck"),
    )
    return Story(folder, steps)


# ---- what they print --------------------------------------------------------------------


def counts_hold(value: dict[str, object]) -> None:
    """Assert the shape of counts as DESIGN section 6 has it."""
    refused, reasons = value["refused"], value["reasons"]
    assert isinstance(refused, dict)
    assert isinstance(reasons, dict)
    assert isinstance(value["records_in"], int)
    assert isinstance(value["admitted"], int)
    assert sum(refused.values()) == value["records_in"] - value["admitted"]
    assert set(refused) | set(reasons) <= NAMES
    order = [str(reason) for reason in REASONS]
    assert list(refused) == sorted(refused, key=order.index)
    assert all(reasons[reason] >= rows > 0 for reason, rows in refused.items())


def test_every_step_prints_one_object_and_nothing_else(story: Story) -> None:
    for step, done in story.steps.items():
        assert isinstance(done.value, dict), step
        assert done.out.endswith("}\n"), step
        assert "Traceback" not in done.err, step


def test_init(story: Story) -> None:
    value = story["init"].value
    assert HEX.fullmatch(value["rulebook_digest"])
    assert value["entry"] == 0
    found = {path.name for path in (story.folder / "ws").iterdir()}
    assert {"sayso.toml", "rulebook", "ledger.db", "segments", "tables", "log", "keys"} <= found
    assert (story.folder / "ws" / "keys").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("kind", "rows"), [("members", 41), ("choices", 20)])
def test_ingest(story: Story, kind: str, rows: int) -> None:
    value = story[f"ingest {kind}"].value
    assert value["kind"] == kind
    assert (value["rows"], value["unchanged"], value["ignored"]) == (rows, False, 0)
    assert value["first"] + (rows if kind == "choices" else 1) == value["size"]
    assert HEX.fullmatch(value["sha256"])
    assert "..." in story[f"ingest {kind}"].err  # progress goes to stderr


def test_the_same_file_again(story: Story) -> None:
    value = story["again"].value
    assert (value["rows"], value["unchanged"]) == (0, True)
    assert value["first"] == story["ingest choices"].value["first"]


def test_choose(story: Story) -> None:
    value = story["choose"].value
    assert HEX.fullmatch(value["commitment"])
    assert value["index"] == story["build"].value["entry"] + 1
    assert (value["choice"], value["purpose"]) == ("off", DEFAULT_PURPOSE)


@pytest.mark.parametrize("step", ["build", "rebuild"])
def test_build(story: Story, step: str) -> None:
    value = story[step].value
    counts_hold(value)
    for part in value["by_country"].values():
        counts_hold(part)
    assert sum(part["records_in"] for part in value["by_country"].values()) == 202
    assert HEX.fullmatch(value["manifest_digest"])
    assert HEX.fullmatch(value["rulebook_digest"])
    assert value["at"] == (AT if step == "build" else "2027-01-01T00:00:00Z")
    assert value["known"] == value["entry"]
    assert isinstance(value["known"], int)
    assert value["admitted"] > 0


def test_explain_a_member(story: Story) -> None:
    value = story["explain"].value
    assert (value["allow"], value["reasons"], value["country"]) == (False, ["CHOSEN_OFF"], "US")
    (rule,) = value["rules"]
    assert rule["file"] == "scopes/world.yaml"
    assert isinstance(rule["line"], int)
    assert isinstance(rule["source"], str)
    assert value["holds"] == []
    assert value["at"] == "2027-01-01T00:00:00Z"
    assert isinstance(value["known"], int)


def test_explain_a_record(story: Story) -> None:
    value = story["explain record"].value
    assert (value["allow"], value["reasons"]) == (True, [])  # the `off` came after that instant
    assert value["at"] == AT


def test_holds(story: Story) -> None:
    placed, listed = story["place"].value, story["list"].value["holds"]
    mine = next(hold for hold in listed if hold["id"] == placed["hold_id"])
    assert (mine["scope"], mine["placed_by"], mine["asked_by"]) == ("BR", "us", "ANPD")
    assert (mine["from"], mine["lifted"], mine["ordered_by"]) == ("2026-01-01", None, None)
    lifted = story["lift"].value
    assert lifted["hold_id"] == placed["hold_id"]
    assert lifted["entry"] > placed["entry"]


def test_diff(story: Story) -> None:
    value = story["diff"].value
    assert value["before"] == story["build"].value["manifest_digest"]
    assert value["after"] == story["rebuild"].value["manifest_digest"]
    left = {row["record_id"]: row for row in value["left"]}
    assert left["mine"]["reasons"] == ["CHOSEN_OFF"]
    for row in value["entered"] + value["left"]:
        assert {"record_id", "member_id", "country", "reasons"} <= set(row)
        assert row["reasons"]
        assert set(row["reasons"]) <= NAMES
    before, after = story["build"].value["admitted"], story["rebuild"].value["admitted"]
    assert after - before == len(value["entered"]) - len(value["left"])


def test_the_rulebook(story: Story) -> None:
    assert story["check"].value["faults"] == []
    show = story["show"].value
    assert show["at"] == AT
    assert HEX.fullmatch(show["rulebook_digest"])
    assert {"countries", "rules", "holds"} <= set(show["in_force"][0])
    assert story["table"].value["cells"] > 0
    assert (story.folder / "t.svg").read_text(encoding="utf-8").startswith("<svg")
    assert story["timeline"].value["rows"]
    gained = story["rulebook diff"].value["cells"]
    assert any(
        "BR" in change["countries"] and "ON_HOLD" in change["gained"] for change in gained
    ) or (
        gained == []  # lifted by the newest book before the instant asked about
    )


def test_import(story: Story) -> None:
    value = story["import"].value
    assert (value["kind"], value["members"], value["content"]) == ("polis", 1, 1)
    assert pq.read_table(story.folder / "imported" / "content.parquet").num_rows == 1


def test_fsck(story: Story) -> None:
    value = story["fsck"].value
    assert value["size"] == value["commitments"] + value["erased_entries"]
    assert value["size"] == story["lift"].value["entry"] + 1
    assert (value["tables"], value["roots"], value["segment_entries"]) == (2, 2, 20)
    assert value["orphans"] == []


# ---- how they end -----------------------------------------------------------------------


def failed(done: Done, code: int, family: str) -> str:
    """Assert how a command failed; return its message."""
    assert done.code == code, done.err
    error = done.value["error"]
    assert error["family"] == family
    assert done.err.strip().splitlines()[-1].startswith(("error: ", "Error: ", "  "))
    assert "Traceback" not in done.err
    assert error["message"][0].islower() or error["message"][0] in "'-"
    assert not error["message"].endswith(".")
    return str(error["message"])


def test_exit_1_when_bytes_disagree(story: Story, tmp_path: Path) -> None:
    shutil.copytree(story.folder / "one", tmp_path / "one")
    path = tmp_path / "one" / "manifest.json"
    path.write_bytes(path.read_bytes() + b"\n")
    ws = story.folder / "ws"
    done = sayso("--workspace", ws, "--json", "diff", tmp_path / "one", story.folder / "two")
    assert "canonical" in failed(done, 1, "IntegrityError")


def test_exit_1_when_the_ledger_was_changed(
    story: Story, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(story.folder / "ws", tmp_path / "ws")
    (segment,) = (tmp_path / "ws" / "segments").iterdir()
    segment.write_bytes(segment.read_bytes()[:-1] + b"2")
    done = in_process(capsys, "--workspace", str(tmp_path / "ws"), "--json", "log", "fsck")
    assert "is not the file that was listed" in failed(done, 1, "IntegrityError")


def test_exit_2_for_a_bad_file(story: Story, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", [choice_row("secret-1"), choice_row("secret-2", "no")])
    ws = story.folder / "ws"
    done = sayso("--workspace", ws, "--json", "ingest", "choices", path)
    assert "row 2" in failed(done, 2, "InputError")
    assert "secret" not in done.out + done.err


def test_exit_3_when_the_rules_forbid_it(story: Story, tmp_path: Path) -> None:
    shutil.copytree(story.folder / "ws", tmp_path / "ws")
    placed = sayso(
        "--workspace", tmp_path / "ws", "--json", "hold", "place", "US", "--placed-by", "us",
        "--ordered-by", "A court", "--from", "2026-01-01",
    )  # fmt: skip
    done = sayso(
        "--workspace", tmp_path / "ws", "--json", "hold", "lift", placed.value["hold_id"],
        "--from", "2026-02-01", "--source", "assumption", "--position", "asked",
    )  # fmt: skip
    failed(done, 3, "RefusedError")


def test_exit_4_when_the_database_does_not_answer(story: Story, tmp_path: Path) -> None:
    config = (story.folder / "ws" / "sayso.toml").read_text()
    (tmp_path / "sayso.toml").write_text(
        config.replace("sqlite:///ledger.db", "postgresql://postgres@127.0.0.1:1/none")
    )
    done = sayso("--json", "choose", "7", "off", cwd=tmp_path)
    assert "did not answer" in failed(done, 4, "UnavailableError")


def test_exit_5_when_somebody_was_first(story: Story) -> None:
    before = {p: p.read_bytes() for p in (story.folder / "one").rglob("*") if p.is_file()}
    done = sayso(
        "--workspace", story.folder / "ws", "--json", "build", "--out", story.folder / "one",
        "--content", story.folder / "content.parquet",
    )  # fmt: skip
    assert "exists" in failed(done, 5, "ConflictError")
    assert {p: p.read_bytes() for p in (story.folder / "one").rglob("*") if p.is_file()} == before


def in_process(capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
    """Run a command in this process; for what a process of its own would tell no better."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return Done(caught.value.code, out, err)


BAD = {
    "an unknown command": ["praise"],
    "an unknown option": ["hold", "list", "--loudly"],
    "a missing argument": ["choose", "7"],
    "no command": [],
    "no command of a group": ["rulebook"],
    "an unknown choice": ["choose", "7", "maybe"],
    "an empty id": ["choose", "", "off"],
    "an unknown purpose": ["choose", "7", "off", "--purpose", "elsewhere"],
    **{
        f"an unknown purpose of {line}": [*line.split(), "--purpose", "elsewhere"]
        for line in (
            "explain 7", "rulebook show", "rulebook table", "rulebook timeline --out x",
            "rulebook diff published draft", "trace rule HK", "build --content c --out x",
            "hold place US --placed-by us --from 2026-01-01",
            "pack period HK --from 2024-09-01 --until 2026-01-31 --out x",
        )
    },
    "every purpose, on": ["choose", "7", "on", "--purpose", "*"],
    "an unknown country": ["choose", "7", "on", "--country", "UK"],
    "no instant": ["explain", "7", "--at", "soon"],
    "an instant out of range": ["explain", "7", "--at", "0001-01-01T00:00:00+14:00"],
    "known beyond the ledger": ["explain", "7", "--known", "1000000"],
    "known below it": ["explain", "7", "--known", "-1"],
    "a record without content": ["explain", "7", "mine"],
    "no such file": ["ingest", "members", "not.csv"],
    "no such kind": ["ingest", "everything", "not.csv"],
    "no such snapshot": ["diff", "not", "neither"],
    "no such base": ["rebuild", "not", "--out", "x"],
    "no such hold": ["hold", "lift", "not", "--from", "2026-01-01", "--source", "assumption",
                     "--position", "none"],
    "no such scope": ["hold", "place", "XX", "--placed-by", "us", "--from", "2026-01-01"],
    "no date": ["hold", "place", "US", "--placed-by", "us", "--from", "soon"],
    "no such rulebook": ["rulebook", "diff", "draft", "elsewhere"],
    "no such entry": ["rulebook", "diff", "3", "published"],
    "no such import": ["import", "polis", "not", "--out", "x"],
    "no mapping": ["import", "table", "x", "--out", "y", "--map", "words"],
    "no such template": ["init", "new", "--template", "elsewhere"],
    "bytes that are no text": ["choose", "\udcff", "off"],
    "bytes that are no path": ["ingest", "members", "\udcff.csv"],
    "no such engine": ["build", "--content", "x", "--out", "y", "--engine", "abacus"],
}  # fmt: skip


@pytest.mark.parametrize("why", BAD)
def test_bad_input_ends_with_2_and_one_object(
    story: Story, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.chdir(story.folder)
    monkeypatch.setenv("SAYSO_WORKSPACE", str(story.folder / "ws"))
    before = sorted(path.name for path in story.folder.iterdir())
    done = in_process(capsys, *BAD[why], "--json")
    assert done.code == 2
    assert done.value["error"]["family"] == "InputError"
    assert done.value["error"]["message"]
    assert done.err
    assert sorted(path.name for path in story.folder.iterdir()) == before


def test_without_json_stdout_stays_empty_on_errors(
    story: Story, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(story.folder)
    done = in_process(capsys, "explain", "7", "--at", "soon")
    assert (done.code, done.out) == (2, "")
    done = in_process(capsys, "hold", "list", "--workspace", "nowhere")
    assert (done.code, done.out) == (2, "")
    assert "no workspace" in done.err
    assert "sayso init" in done.err


def test_the_option_beats_the_environment(
    story: Story, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYSO_WORKSPACE", "/nowhere/at/all")
    ws = str(story.folder / "ws")
    for arguments in (["--workspace", ws, "hold", "list"], ["hold", "list", "--workspace", ws]):
        main_code = in_process(capsys, *arguments, "--json")
        assert main_code.code == 0
        assert main_code.value["holds"]
    # Given twice, the one beside the command counts.
    done = in_process(capsys, "--workspace", "elsewhere", "hold", "list", "--workspace", ws)
    assert done.code == 0


def test_init_and_publish_twice(
    story: Story, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ws = str(tmp_path / "ws")
    assert in_process(capsys, "init", ws, "--json").code == 0
    done = in_process(capsys, "init", ws, "--json")
    assert (done.code, done.value["error"]["family"]) == (5, "ConflictError")
    done = in_process(capsys, "rulebook", "publish", "--workspace", ws, "--json")
    assert (done.code, done.value["error"]["family"]) == (5, "ConflictError")
    (tmp_path / "ws" / "rulebook" / "scopes").mkdir(exist_ok=True)
    draft = tmp_path / "ws" / "rulebook" / "scopes" / "XX.yaml"
    draft.write_text("scope: XX\nrules: soon\n")
    done = in_process(capsys, "rulebook", "check", "--workspace", ws, "--json")
    assert done.code == 2
    faults = done.value["error"]["faults"]
    assert {"file", "line"} <= set(faults[0])
    assert "scopes/XX.yaml" in done.err


# ---- Ctrl-C -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(story: Story) -> Path:
    """Choices and content that take a second or two."""
    folder = story.folder
    rows = 220_000
    ids = [f"m{number % 20_000}" for number in range(rows)]
    choices = {
        "member_id": ids, "purpose": [DEFAULT_PURPOSE] * rows, "choice": ["off"] * rows,
        "effective_at": ["2025-01-01T00:00:00Z"] * rows,
    }  # fmt: skip
    pq.write_table(pa.table(choices), folder / "slow-choices.parquet")
    content = {
        "record_id": list(range(rows)), "member_id": ["7"] * rows, "category": ["post"] * rows,
        "visibility": ["public"] * rows, "authorship": ["own"] * rows,
        "text": ["words " * 9] * rows,
        "written_at": ["2025-06-01T00:00:00Z"] * rows,
    }  # fmt: skip
    pq.write_table(pa.table(content), folder / "slow-content.parquet")
    return folder


@pytest.mark.parametrize("json_too", [True, False])
def test_an_interrupted_ingest_takes_nothing(slow: Path, tmp_path: Path, json_too: bool) -> None:
    ws = tmp_path / "ws"
    shutil.copytree(slow / "ws", ws)
    before = sorted(path.name for path in (ws / "segments").iterdir())
    command = ("--workspace", ws, "ingest", "choices", slow / "slow-choices.parquet")
    process = start(*(("--json",) if json_too else ()), *command)
    done = strike(process, signal.SIGINT, lambda: any((ws / "segments").glob(".choices-*.tmp")))
    assert done.code == 130
    assert "interrupted" in done.err
    assert "Traceback" not in done.err
    assert (done.value["error"]["family"] == "Interrupted") if json_too else done.out == ""
    assert sorted(path.name for path in (ws / "segments").iterdir()) == before
    if json_too:
        again = sayso("--json", *command)
        assert (again.code, again.value["rows"], again.value["unchanged"]) == (0, 220_000, False)


@pytest.mark.parametrize("moment", ["records", "work"])
def test_an_interrupted_build_leaves_nothing(slow: Path, tmp_path: Path, moment: str) -> None:
    ws, out = tmp_path / "ws", tmp_path / "out"
    shutil.copytree(slow / "ws", ws)
    content = ("--content", slow / "slow-content.parquet", "--at", AT)
    process = start("--workspace", ws, "--json", "build", *content, "--out", out)
    done = strike(
        process, signal.SIGINT, lambda: any((tmp_path / "out.partial" / moment).glob("*"))
    )
    assert done.code == 130
    assert done.value["error"]["family"] == "Interrupted"
    assert "Traceback" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ws"]
