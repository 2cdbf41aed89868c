"""The examples in the modules' docstrings say what happens."""

import doctest
import importlib

import pytest

MODULES = [f"sayso.attest.{name}" for name in ("shape", "keys", "dsse", "predicates", "naming")]


@pytest.mark.parametrize("name", [*MODULES, "sayso.canonical"])
def test_the_examples_of(name: str) -> None:
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    result = doctest.testmod(importlib.import_module(name), optionflags=options)
    assert result.attempted
    assert not result.failed
