"""What ships in the verifier's one file imports nothing of ours but itself and the errors."""

import ast
from pathlib import Path

import pytest

import sayso.log

ROOM = Path(sayso.log.__file__).parent
PURE = ["merkle", "lines", "proofs", "tiles", "checkpoint", "keys", "notes", "policy", "proof_file"]
IMPURE = {"os", "time", "datetime", "random", "secrets", "socket", "threading", "http", "urllib"}


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_imports_only_pure_ones(name: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse((ROOM / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    ours = {module for module in imported if module.split(".")[0] == "sayso"}
    assert ours <= {"sayso.errors", *(f"sayso.log.{module}" for module in PURE)}
    assert not {module.split(".")[0] for module in imported} & IMPURE


def test_names_of_pure_modules_do_not_meet() -> None:
    """In one file they would."""
    owner: dict[str, str] = {}
    for name in PURE:
        for node in ast.parse((ROOM / f"{name}.py").read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined = [node.name]
            elif isinstance(node, ast.Assign):
                defined = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                defined = [node.target.id]
            else:
                defined = []
            for one in defined:
                assert owner.setdefault(one, name) == name, f"{one}: {owner[one]} and {name}"
