"""The verifier as one file, `sayso-verify.pyz`: needs Python and `cryptography` alone.

Promises: the same sources give the same bytes, whatever the machine and the time; what goes in
is what `sayso.evidence.verify` reaches by its imports, and the build fails where that is more
than the pure rooms. `python sayso-verify.pyz PATH` does what `sayso verify PATH` does.

Example:
    >>> build_verifier(Path("sayso-verify.pyz"))                # doctest: +SKIP
    '5f3c...'

Source: PEP 441; Python's `zipapp`, whose files carry the time of day.
"""

import ast
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sayso.errors import IntegrityError

SOURCE = Path(__file__).parent.parent
START = "sayso.evidence.command"
# Rooms that a stranger may be asked to run.
ROOMS = ("attest", "evidence", "log")
ALONE = frozenset({"sayso.canonical", "sayso.errors"})
SHEBANG = b"#!/usr/bin/env python3\n"
_ROOT = '"""Sayso: only what verifies."""\n'
_MAIN = "import sys\n\nfrom sayso.evidence.command import main\n\nsys.exit(main(sys.argv[1:]))\n"


def build_verifier(out: Path) -> str:
    """Write the verifier and return the SHA-256 of its bytes, in hex.

    Raises:
        IntegrityError: The verifier has come to need more than it may.
    """
    made = verifier_bytes()
    out.write_bytes(made)
    out.chmod(0o755)
    return hashlib.sha256(made).hexdigest()


def verifier_bytes() -> bytes:
    """Return the verifier as one file.

    Raises:
        IntegrityError: It has come to need more than it may.
    """
    texts = {"__main__.py": _MAIN, "sayso/__init__.py": _ROOT}
    for module in modules():
        path = _path(module)
        texts[path.relative_to(SOURCE.parent).as_posix()] = path.read_text(encoding="utf-8")
    out = io.BytesIO()
    out.write(SHEBANG)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        for name, text in sorted(texts.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            made.writestr(info, text.encode())
    return out.getvalue()


def modules() -> list[str]:
    """Return the modules that the verifier needs, by name.

    Raises:
        IntegrityError: One of them may not be asked of a stranger.
    """
    found: set[str] = set()
    left = {START}
    while left:
        module = left.pop()
        found.add(module)
        room = module.split(".")[1]
        if module not in ALONE and room not in ROOMS:
            raise IntegrityError(f"the verifier has come to import '{module}'")
        left |= (_imported(module) | {f"sayso.{room}"} if room in ROOMS else set()) - found
    return sorted(found)


def _path(module: str) -> Path:
    path = SOURCE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported(module: str) -> set[str]:
    """Return the modules of ours that a module imports."""
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    return {name for node in ast.walk(tree) for name in _named(node)}


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names if one.name.startswith("sayso."))
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sayso"):
        module = str(node.module)
        for one in node.names:
            inner = f"{module}.{one.name}"
            yield inner if _path(inner).is_file() else module
