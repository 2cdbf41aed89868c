"""The shape of the project: short files and functions, names that say something, one way in.

A list of exceptions stands here by name and only shrinks: what is no longer an exception must
leave its list.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for room in ("src", "tests", "bench") for path in (ROOT / room).rglob("*.py"))

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
LONG_FILES: set[str] = {"tests/unit/ledger/test_ingest.py"}
LONG_FUNCTIONS: set[str] = {"tests/e2e/test_cli.py:story"}  # one story, told in order

EMPTY_NAMES = {"utils", "common", "helpers", "base", "manager", "service"}
# Folders that stand on one machine; the first part of an absolute path.
MACHINE_PATH = re.compile(
    r"(?<![\w.~$}/:-])/(?:home|root|Users|work|workspace|mnt|media|private|opt|tmp|var)/\w"
)
# What `import sayso` must not load: the extras, and what only trains.
NOT_IN_CORE = ("datasets", "psycopg", "pyspark", "torch")


def told(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and the lines of every function, decorators apart."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def tracked() -> list[Path]:
    """Return the files that git knows; where there is no git, those of the source rooms."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        return [*SOURCES, *ROOT.glob("*.*"), *(ROOT / "docs").rglob("*.md")]
    return [ROOT / name for name in listed if name]


def test_no_file_is_long() -> None:
    long = {
        told(path)
        for path in SOURCES
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_FILE_LINES
    }

    assert long == LONG_FILES


def test_no_function_is_long() -> None:
    long = {
        f"{told(path)}:{name}"
        for path in SOURCES
        for name, lines in functions(path)
        if lines > MAX_FUNCTION_LINES
    }

    assert long == LONG_FUNCTIONS


def test_no_module_has_an_empty_name() -> None:
    found = {
        told(path)
        for path in SOURCES
        if EMPTY_NAMES & {path.stem, *path.relative_to(ROOT).parts[:-1]}
    }

    assert found == set()


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if told(path).startswith(("src/", "bench/"))], ids=told
)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_file_names_a_path_of_one_machine() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # a picture, or deleted and not committed
            continue
        found += [
            f"{told(path)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if MACHINE_PATH.search(line)
        ]

    assert found == []


def test_the_core_loads_no_extra() -> None:
    code = f"import sayso, sys; print([m for m in {NOT_IN_CORE!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
