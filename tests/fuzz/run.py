"""Fuzz one target under atheris: `python -m tests.fuzz.run TARGET [libFuzzer options] [FOLDER...]`.

New inputs go to the first folder; `tests/fuzz/corpus/TARGET` is a good second one.
"""

import sys

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["sayso"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
