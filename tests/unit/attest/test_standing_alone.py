"""What a stranger verifies with needs the standard library and `cryptography`, nothing else."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sayso

SOURCE = Path(sayso.__file__).parent
# What `verify_statement` and `verify_receipt` need; what makes receipts needs the rulebook.
ALONE = (
    "shape",
    "keys",
    "dsse",
    "predicates",
    "statements",
    "handover",
    "naming",
    "receipts",
    "page",
)
NEEDS_THE_RULEBOOK = ("issue",)
NEEDS_A_WORKSPACE = ("trust",)


def imported(path: Path) -> Iterator[str]:
    """Yield the name of every module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def reached(modules: set[str]) -> set[str]:
    """Return all modules of ours that some modules need, with themselves."""
    found: set[str] = set()
    left = set(modules)
    while left:
        module = left.pop()
        found.add(module)
        path = SOURCE.joinpath(*module.split(".")[1:]).with_suffix(".py")
        left |= {name for name in imported(path) if name.startswith("sayso.")} - found
    return found


def test_every_module_of_the_room_is_here() -> None:
    stems = {path.stem for path in (SOURCE / "attest").glob("*.py")} - {"__init__"}
    assert stems == {*ALONE, *NEEDS_THE_RULEBOOK, *NEEDS_A_WORKSPACE}


def test_the_parts_that_verify_reach_only_each_other_and_the_log() -> None:
    needed = reached({f"sayso.attest.{name}" for name in ALONE})
    allowed = {f"sayso.attest.{name}" for name in ALONE} | {"sayso.errors", "sayso.canonical"}
    assert {name for name in needed - allowed if not name.startswith("sayso.log.")} == set()


@pytest.mark.parametrize("name", sorted(reached({f"sayso.attest.{name}" for name in ALONE})))
def test_they_need_no_other_library(name: str) -> None:
    path = SOURCE.joinpath(*name.split(".")[1:]).with_suffix(".py")
    others = {module.split(".")[0] for module in imported(path)} - {"sayso", "cryptography"}
    assert others <= set(sys.stdlib_module_names)
