"""Tells what became of every process that was killed, at the end of the run."""

import pytest

from tests.e2e.kills import Toll

TOLLS: pytest.StashKey[list[Toll]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TOLLS] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    tolls = config.stash[TOLLS]
    if tolls:
        terminalreporter.section("kills")
        for toll in tolls:
            terminalreporter.line(str(toll))
        killed = sum(toll.killed for toll in tolls)
        terminalreporter.line(f"{killed} killed in all, nothing acknowledged was lost")
