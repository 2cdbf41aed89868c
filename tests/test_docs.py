"""The documents keep up with the program, and what they show runs.

Fails when a command, option, argument, error family, exit code, reason, setting, variable,
format or Makefile target is undocumented, or documented and not there; when an example does
not do what its page says; when a relative link leads nowhere.
"""

import dataclasses
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

import sayso
from sayso.cli import EXIT_CODES, INTERRUPTED, cli, main
from sayso.decision.explain import SENTENCES
from sayso.errors import SaysoError
from sayso.model import REASONS, Authorship, Category, Choice, Outcome, Status, Visibility
from sayso.publishing import TEMPLATES
from sayso.rulebook.schema import Document
from sayso.settings import settings_text
from sayso.snapshot.manifest import (
    Bucket,
    Counts,
    Input,
    LogPin,
    Manifest,
    RulebookPin,
    StandingPin,
    Versions,
)
from sayso.snapshot.seal import BUCKET_SCHEMA
from sayso.sources import CONTENT_SCHEMA, KINDS, MEMBERS_SCHEMA
from sayso.tables import _COLUMNS
from sayso.workspace import Workspace

ROOT = Path(__file__).parent.parent
ADR = sorted((ROOT / "docs" / "adr").glob("*.md"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# Every command has them; the page says so once.
SHARED_OPTIONS = {"--workspace", "--json"}
EXAMPLE = re.compile(
    r"(?:File `(?P<file>[^`]+)`[^\n]*:\n\n)?```(?P<kind>\w*)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def sections(text: str, level: int) -> dict[str, str]:
    """Return what stands under each heading of a level, up to the next of it or a higher one."""
    found: dict[str, str] = {}
    marks = list(re.finditer(r"^(#{1,6}) (.+)$", FENCED.sub(_blanked, text), re.MULTILINE))
    for place, mark in enumerate(marks):
        if len(mark[1]) == level:
            end = next((m.start() for m in marks[place + 1 :] if len(m[1]) <= level), len(text))
            found[mark[2]] = text[mark.end() : end]
    return found


def _blanked(block: re.Match[str]) -> str:
    """Return as many characters without a heading among them."""
    return re.sub(r"[^\n]", " ", block[0])


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row, without heads and rules."""
    found: list[list[str]] = []
    for body in re.findall(r"^\|[-:| ]+\|\n((?:\|.*\|\n?)+)", text, re.MULTILINE):
        found += [[cell.strip() for cell in row[1:-1].split("|")] for row in body.splitlines()]
    return found


def coded(text: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`\n]+)`", text)


# ---- commands ---------------------------------------------------------------------------


def leaves(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


COMMANDS = dict(leaves(cli, "sayso"))
COMMAND_PAGE = {
    heading.strip("`"): text for heading, text in sections(read("docs/commands.md"), 3).items()
}


def options_of(command: click.Command) -> set[str]:
    return {
        word
        for option in command.params
        if isinstance(option, click.Option)
        for word in (*option.opts, *option.secondary_opts)
    }


def test_every_command_is_documented_and_no_other() -> None:
    documented = {heading for heading in COMMAND_PAGE if heading.startswith("sayso")}

    assert documented == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_is_documented(name: str) -> None:
    command, page = COMMANDS[name], COMMAND_PAGE[name]
    documented = set(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE))
    arguments = {
        one.human_readable_name.upper() for one in command.params if isinstance(one, click.Argument)
    }

    assert documented == options_of(command) - SHARED_OPTIONS
    assert {one for one in arguments if not re.search(rf"\b{one}\b", page)} == set()
    assert f"\n{name} " in page or f"\n{name}\n" in page, "no example"


def test_shared_options_are_documented() -> None:
    shared = sections(read("docs/commands.md"), 2)["What all commands share"]

    assert options_of(cli) | SHARED_OPTIONS <= set(coded(shared)) | {"--workspace"}
    for command in COMMANDS.values():
        assert options_of(command) >= SHARED_OPTIONS


def test_every_kind_and_template_is_documented() -> None:
    page = coded(read("docs/commands.md"))

    assert {*KINDS, *TEMPLATES} <= set(page)


def test_documents_name_no_command_that_is_not_there() -> None:
    words = {name.split()[1] for name in COMMANDS}
    for page in PAGES:
        for text in coded(FENCED.sub("", page.read_text(encoding="utf-8"))):
            if named := re.match(r"sayso ([a-z]+)", text):
                assert named[1] in words, f"{page.name}: {text}"


def documented_keys(page: str) -> set[str]:
    told = re.search(r"^With `--json`:(.+?)\.(?:\s|$)", page, re.DOTALL | re.MULTILINE)
    assert told, "the page does not say what --json prints"
    return set(coded(told[1])) - {"build"}


def test_the_examples_run_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in EXAMPLE.finditer(read("docs/commands.md")):
        if block["file"]:
            path = tmp_path / block["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["body"], encoding="utf-8")
            continue
        for line in block["body"].splitlines():
            words = shlex.split(line, comments=True)
            if words[0] == "export":
                monkeypatch.setenv(*words[1].split("=", 1))
            else:
                _run_example(line, words, capsys)


def _run_example(line: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    name = " ".join(words[:3]) if " ".join(words[:3]) in COMMANDS else " ".join(words[:2])
    if name in {"sayso demo", "sayso serve"}:  # one takes its time, the other does not end
        _parse(words)
        return
    wanted = int(told[1]) if (told := re.search(r"# exits with (\d+)", line)) else 0
    with pytest.raises(SystemExit) as ended:
        main(["--json", *words[1:]])
    out, err = capsys.readouterr()

    assert ended.value.code == wanted, f"{line}\n{err}"
    keys = {"error"} if wanted else documented_keys(COMMAND_PAGE[name])
    assert set(json.loads(out)) == keys, line


def _parse(words: list[str]) -> None:
    """Read a command line as click does, without running it."""
    name = " ".join(words[:3]) if " ".join(words[:3]) in COMMANDS else " ".join(words[:2])
    rest = words[len(name.split()) :]
    COMMANDS[name].make_context(name, rest)


def test_every_command_line_in_the_documents_can_be_read() -> None:
    for page in PAGES:
        for line in re.findall(
            r"^(?: {4})?(sayso .+)$", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            words = shlex.split(line.split(";")[0], comments=True)
            if "# exits with 2" not in line and " ".join(words[:2]) != "sayso is":
                _parse(words)


# ---- errors and exit codes --------------------------------------------------------------


def families(kind: type[SaysoError] = SaysoError) -> set[type[SaysoError]]:
    direct = set(kind.__subclasses__())
    return direct.union(*(families(one) for one in direct))


def test_every_exit_code_and_family_is_documented() -> None:
    table = rows(sections(read("docs/commands.md"), 2)["Exit codes"])
    documented = {int(code): family.strip("`") for code, family, *_ in table}
    program = {code: family.__name__ for family, code in EXIT_CODES.items()}

    assert documented == {0: "", INTERRUPTED: "", **program}


def test_every_error_class_is_documented() -> None:
    page = coded(read("docs/commands.md"))

    assert {one.__name__ for one in families()} <= set(page)
    assert set(SaysoError.__subclasses__()) == set(EXIT_CODES)


def test_the_record_of_error_families_is_the_same() -> None:
    table = rows(read("docs/adr/0007-error-families.md"))

    assert {family.strip("`"): int(code) for family, code, _ in table} == {
        family.__name__: code for family, code in EXIT_CODES.items()
    }


# ---- reasons ----------------------------------------------------------------------------


def test_every_reason_is_documented_in_order_with_its_sentence() -> None:
    documented = [
        (int(number), reason.strip("`"), sentence, bool(fact))
        for number, reason, sentence, fact in rows(read("docs/reasons.md"))
    ]

    assert documented == [
        (place, str(reason), SENTENCES[reason], True) for place, reason in enumerate(REASONS, 1)
    ]


# ---- settings and targets ---------------------------------------------------------------


def flat(settings: Mapping[str, object], before: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in settings.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key}
    return found


def test_every_setting_is_documented() -> None:
    workspace = sections(read("docs/formats.md"), 2)["Workspace"]
    documented = {row[0].strip("`") for row in rows(workspace)}

    assert documented == flat(tomllib.loads(settings_text('"url"', '"origin"')))


def test_every_variable_is_documented() -> None:
    source = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py"))
    shared = sections(read("docs/commands.md"), 2)["What all commands share"]

    assert set(re.findall(r"\bSAYSO_[A-Z_]+\b", source)) == {
        word for word in coded(shared) if word.startswith("SAYSO_")
    }


def test_every_target_is_documented() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", read("Makefile"), re.MULTILINE))
    table = sections(read("CONTRIBUTING.md"), 2)["Targets"]

    assert {coded(row[0])[0].removeprefix("make ") for row in rows(table)} == targets
    for page in PAGES:
        for target in re.findall(
            r"(?:`|^ {4})make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE
        ):
            assert target in targets, f"{page.name}: make {target}"


# ---- formats ----------------------------------------------------------------------------

FORMATS = sections(read("docs/formats.md"), 2)


def columns(heading: str) -> list[str]:
    return [coded(row[0])[0] for row in rows(sections(read("docs/formats.md"), 3)[heading])]


def test_every_column_is_documented() -> None:
    assert columns("Members") == MEMBERS_SCHEMA.names
    assert columns("Content") == CONTENT_SCHEMA.names
    tables = ("Members", "Content", "Choices", "Notices")
    assert {name for table in tables for name in columns(table)} == set(_COLUMNS)


def test_every_code_is_documented() -> None:
    words = {*Category, *Visibility, *Authorship, *Status, *Outcome, *Choice} - {Choice.UNSET}

    assert words <= set(coded(FORMATS["Tables"]))


def test_every_key_of_a_rulebook_is_documented() -> None:
    page = set(coded(FORMATS["Rulebook"]))
    for document in Document.__subclasses__():
        keys = {field.alias or name for name, field in document.model_fields.items()}
        assert keys <= page, document.__name__


def test_every_field_of_a_manifest_is_documented() -> None:
    page = set(coded(FORMATS["Snapshot"]))
    parts: tuple[type[BaseModel], ...] = (
        Manifest, Counts, Input, Bucket, LogPin, RulebookPin, StandingPin, Versions,
    )  # fmt: skip
    for part in parts:
        assert set(part.model_fields) <= page, part.__name__
    assert set(BUCKET_SCHEMA.names) <= page


# ---- the README -------------------------------------------------------------------------


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 150
    assert len(read("CONTRIBUTING.md").splitlines()) <= 120


def test_the_code_of_the_readme_runs(tmp_path: Path) -> None:
    blocks = {block["kind"]: block["body"] for block in EXAMPLE.finditer(read("README.md"))}
    code = blocks["python"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert len([line for line in code.splitlines() if line]) <= 20
    assert done.returncode == 0, done.stderr
    assert done.stdout == blocks["text"]


# ---- Python -----------------------------------------------------------------------------


def test_the_code_of_the_python_page_runs(tmp_path: Path) -> None:
    blocks = {block["kind"]: block["body"] for block in EXAMPLE.finditer(read("docs/python.md"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocks["python"]],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout == blocks["text"]


def test_every_name_and_method_of_python_is_documented() -> None:
    words = [row[0] for row in rows(read("docs/python.md"))]
    named = {re.match(r"[\w.]+", word) for cell in words for word in coded(cell)}
    documented = {found[0] for found in named if found}
    public = {name for name in vars(sayso.Workspace) | vars(Workspace) if not name.startswith("_")}
    fields = {field.name for field in dataclasses.fields(Workspace)}

    assert {one for one in documented if "." not in one} == public - fields
    assert {f"sayso.{name}" for name in sayso.__all__} <= documented


# ---- laws and tree ----------------------------------------------------------------------


def test_the_laws_of_the_readme_have_tests() -> None:
    laws = rows(sections(read("README.md"), 2)["The laws"])
    listed = {test.strip("`") for _, _, test in laws}
    there = {
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/property/test_law_*.py")
    }

    numbers = [int(number) for number, _, _ in laws]
    assert numbers == sorted(set(numbers))
    assert listed == there


def test_the_tree_of_the_readme_is_the_tree() -> None:
    tree = sections(read("README.md"), 2)["The tree"]
    listed = set(re.findall(r"^ {6}([\w.]+)/? ", tree, re.MULTILINE))
    there = {
        path.name
        for path in (ROOT / "src" / "sayso").iterdir()
        if not path.name.startswith(("_", ".")) and path.name != "py.typed"
    }

    assert listed == there


def test_the_rooms_of_the_overview_are_the_rooms() -> None:
    rooms = rows(sections(read("docs/design/overview.md"), 2)["The rooms"])
    tree = sections(read("README.md"), 2)["The tree"]
    listed = set(re.findall(r"^ {6}([\w./]+) ", tree, re.MULTILINE)) - {"templates/"}

    assert {room.strip("`") for room, *_ in rooms} == listed


# ---- links, records, changelog ----------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the forges make them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_records_have_no_holes() -> None:
    assert [int(path.name[:4]) for path in ADR] == list(range(1, len(ADR) + 1))


@pytest.mark.parametrize("path", ADR, ids=lambda path: path.stem)
def test_records_have_their_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert re.search(
        r"^- Status: (proposed|accepted|rejected|superseded by \d+)$", text, re.MULTILINE
    )
    assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert {"Context", "Considered options", "Decision", "Consequences"} == set(sections(text, 2))
    assert "\n- " in sections(text, 3)["Negative consequences"]


def test_records_that_the_source_names_are_there() -> None:
    numbers = {path.name[:4] for path in ADR}
    for path in (ROOT / "pyproject.toml", *(ROOT / "src").rglob("*.py")):
        named = set(re.findall(r"docs/adr/(\d{4})", path.read_text(encoding="utf-8")))
        assert named <= numbers, path.name


def test_the_changelog_speaks_of_this_version() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    listed = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)

    assert next(one for one in listed if one != "Unreleased") == version
    assert sayso.__version__ == version
