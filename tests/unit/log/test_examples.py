"""The examples in the modules' docstrings say what happens."""

import doctest
import importlib

import pytest

MODULES = [
    *("checkpoint", "keys", "lines", "merkle", "notes", "policy", "proof_file", "proofs"),
    *("submission", "tiles", "witness", "witnessing"),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name: str) -> None:
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    result = doctest.testmod(importlib.import_module(f"sayso.log.{name}"), optionflags=options)
    assert result.attempted
    assert not result.failed
