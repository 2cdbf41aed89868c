"""`sayso write` from inside: what is refused, what is kept, and what training may take of it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sayso.cli import main
from sayso.errors import InputError
from sayso.settings import RemoteModel, parse_assistant
from sayso.workspace import Workspace
from sayso.writing import LABEL
from tests.unit.writing.conftest import Trained
from tests.unit.writing.endpoint import Answer, said, serving
from tests.unit.writing.lab import make_workspace, write_profiles
from tests.unit.writing.test_serving import BEGUN, lift_all

pytest.importorskip("httpx2", reason="sayso[write] is not installed")

ABOUT = "zq-a-quiet-week"
Told = tuple[int, Any, str]
Write = Callable[..., Told]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("SAYSO_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.delenv("SAYSO_ASSISTANT_KEY", raising=False)
    made = make_workspace(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sayso(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Write:
    """Run a command in this process; return its code, its object and what it said."""

    def run(*arguments: str | Path) -> Told:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, json.loads(out), err

    return run


def post(url: str, *more: str, who: str = "m2") -> tuple[str, ...]:
    where = ("--url", url, "--model", "small", "--recipient", "LinkedIn")
    return ("write", "post", "--member", who, "--about", ABOUT, *where, *more)


@pytest.mark.parametrize(
    ("more", "code", "match"),
    [
        ((), 3, "nobody accepted 'LinkedIn'"),
        (("--recipient", "Somebody", "--yes"), 3, "'Somebody' is no recipient"),
        (("--url", "http://example.org/v1", "--yes"), 2, "in the clear"),
        (("--release", "nowhere"), 2, "give --release or --url"),
        (("--recipient", ""), 2, "--url needs --model and --recipient"),
        (("--url", ""), 2, "nobody is named who would write"),
        (("--member", "nobody", "--yes"), 2, "no such member"),
        (("--key-file", "nowhere", "--yes"), 2, "key file"),
        (("--about", " ", "--yes"), 2, "nothing is said"),
        (("--alternatives", "11", "--yes"), 2, "--alternatives"),
    ],
)
def test_what_is_refused_leaves_nothing(
    sayso: Write, more: tuple[str, ...], code: int, match: str
) -> None:
    with serving() as (url, got):
        ended, told, err = sayso(*post(url, *more))

    assert (ended, got) == (code, [])
    assert match in told["error"]["message"] + err
    assert ABOUT not in json.dumps(told) + err
    assert sayso("write", "kept", "--member", "m2")[1]["kept"] == []


def test_the_recipient_is_named_before_anything_leaves(
    sayso: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYSO_ASSISTANT_KEY", " zq-key\n")
    with serving(said("Calm", "."), said("Quiet.")) as (url, got):
        code, told, err = sayso(*post(url, "--yes", "--alternatives", "2", "--seed", "4"))

    assert code == 0, err
    assert f"what the member says goes to 'LinkedIn' at {url}" in err
    assert told == {
        "kind": "post", "generated": True, "label": LABEL, "texts": ["Calm.", "Quiet."],
        "model": "small", "recipient": {"name": "LinkedIn", "url": url}, "made_from": [],
        "seed": 4, "is_cut": False, "kept": told["kept"],
    }  # fmt: skip
    assert [one.headers["authorization"] for one in got] == ["Bearer zq-key"] * 2
    assert "zq-key" not in err


def test_a_configured_recipient_needs_no_yes(sayso: Write, tmp_path: Path) -> None:
    config, key = tmp_path / "ws" / "sayso.toml", tmp_path / "ws" / "keys" / "model.key"
    key.write_text("zq-key\n")
    content = write_profiles(tmp_path)
    with serving(said("Plans.")) as (url, got):
        own = {
            "url": url, "model": "small", "recipient": "LinkedIn", "key_file": "keys/model.key",
            "api_version": "2026-02-01",
        }  # fmt: skip
        text = config.read_text()
        for name, value in own.items():
            assert f'{name} = ""' in text
            text = text.replace(f'{name} = ""', f"{name} = {json.dumps(value)}", 1)
        config.write_text(text)
        code, told, err = sayso("write", "bio", "--member", "m1", "--content", content)

    assert code == 0, err
    assert f"the member's profile goes to 'LinkedIn' at {url}" in err
    assert told["made_from"] == ["p1"]
    assert got[0].headers["api-key"] == "zq-key"
    assert got[0].path.endswith("api-version=2026-02-01")
    assert got[0].body["messages"][1]["content"] == "Plans long projects in logistics."


def test_a_terminal_is_shown_label_and_text_but_no_signs_that_steer_it(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        serving(said("Calm\x1b[2J", "\n", "."), said("Two.")) as (url, _),
        pytest.raises(SystemExit) as ended,
    ):
        main([*post(url, "--yes", "--alternatives", "2", "--seed", "1")])

    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert out.startswith(f"[{LABEL}, 1 of 2]\n\nCalm\ufffd[2J\n.")
    assert f"[{LABEL}, 2 of 2]\n\nTwo." in out


def test_an_endpoint_that_is_down_ends_with_4_and_keeps_what_was_asked(
    sayso: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sayso.writing.remote.TRIES", 1)
    with serving(Answer(503)) as (url, _):
        code, told, err = sayso(*post(url, "--yes"))

    assert (code, told["error"]["family"]) == (4, "UnavailableError")
    assert ABOUT not in json.dumps(told) + err
    kept = sayso("write", "kept", "--member", "m2")[1]["kept"]
    assert [(one["asked"], one["written"]) for one in kept] == [(ABOUT, [])]


def test_a_member_deletes_what_is_theirs_and_nobody_elses(sayso: Write) -> None:
    with serving(*[said("ok")] * 3) as (url, _):
        ids = [sayso(*post(url, "--yes", who=who))[1]["kept"] for who in ("m1", "m1", "m2")]

    def kept(who: str) -> list[str]:
        return [one["id"] for one in sayso("write", "kept", "--member", who)[1]["kept"]]

    assert (kept("m1"), kept("m2")) == (ids[:2], ids[2:])
    assert sayso("write", "delete", ids[2], "--member", "m1")[0] == 2
    assert sayso("write", "delete", "--member", "m1")[0] == 2
    assert sayso("write", "delete", ids[0], "--all", "--member", "m1")[0] == 2
    assert sayso("write", "delete", ids[0], "--member", "m1")[1] == {"deleted": ids[:1]}
    assert (kept("m1"), kept("m2")) == (ids[1:2], ids[2:])
    assert sayso("write", "delete", "--all", "--member", "m1")[1] == {"deleted": ids[1:2]}
    assert kept("m2") == ids[2:]


def test_what_is_kept_is_content_that_off_refuses(
    sayso: Write, workspace: Workspace, tmp_path: Path
) -> None:
    with serving(*[said("Generated.")] * 2) as (url, _):
        for who in ("m2", "m1"):
            assert sayso(*post(url, "--yes", who=who))[0] == 0
    out = tmp_path / "kept.parquet"
    assert sayso("write", "export", "--out", out)[1]["records"] == 4
    assert sayso("write", "export", "--out", out)[0] == 5
    now = datetime.now(UTC)
    before = workspace.decide_many(out, at=now).to_arrow().to_pylist()
    workspace.choose("m2", "off")
    after = workspace.decide_many(out, at=now).to_arrow().to_pylist()

    rows = pq.read_table(out).to_pylist()
    assert {(row["category"], row["visibility"], row["context"]) for row in rows} == {
        ("prompt", "platform", "assistant")
    }
    of_m2 = [place for place, row in enumerate(rows) if row["member_id"] == "m2"]
    assert [rows[place]["authorship"] for place in of_m2] == ["own", "generated"]
    assert [before[place]["reasons"] for place in of_m2] == [[], ["NOT_OWN_WORDS"]]
    assert [after[place]["reasons"] for place in of_m2] == [
        ["CHOSEN_OFF"], ["CHOSEN_OFF", "NOT_OWN_WORDS"],
    ]  # fmt: skip


def test_a_release_writes_until_a_hold_stands_over_it(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYSO_WORKSPACE", str(trained.workspace.path))
    command = [
        "write", "post", "--member", "m4", "--about", ABOUT, "--tokens", "12", "--seed", "1",
        "--release", str(trained.released.path), "--json",
    ]  # fmt: skip

    def run() -> Told:
        with pytest.raises(SystemExit) as ended:
            main(command)
        out, err = capsys.readouterr()
        return int(str(ended.value.code)), json.loads(out), err

    code, told, err = run()
    assert code == 0, err
    assert told["recipient"] is None
    assert told["model"] == f"release {trained.released.release.digest[:16]}"
    assert told["texts"][0]
    assert "goes to" not in err
    assert run()[1]["texts"] == told["texts"]
    trained.workspace.place_hold("US", begins=BEGUN, placed_by="x", hold_id="held-command")
    try:
        code, told, err = run()
    finally:
        lift_all(trained.workspace)
    assert code == 3
    assert "hold 'held-command' stands over US" in told["error"]["message"]


@pytest.mark.parametrize(
    "section",
    [7, {"uri": ""}, {"url": 3}, {"url": "https://example.org"}, {"key_file": "k"}],
)
def test_a_section_that_is_not_whole_is_refused(section: object) -> None:
    with pytest.raises(InputError, match="assistant"):
        parse_assistant(section)


def test_an_empty_section_names_nobody() -> None:
    assert parse_assistant({}) is None
    assert parse_assistant({"url": "", "model": ""}) is None
    whole = {"url": "https://example.org/v1", "model": "m", "recipient": "LinkedIn"}
    assert parse_assistant(whole) == RemoteModel("https://example.org/v1", "m", "LinkedIn")
