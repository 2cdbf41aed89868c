"""The threads of a desk go on whatever happens, and nobody waits for them for ever."""

import logging
import threading
import time
from collections.abc import Callable

import duckdb
import pytest

from sayso.web import desk as module
from tests.unit.web.asking import Service


def wait_for(what: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize("fault", [OSError("a disk"), duckdb.IOException("a file")])
def test_the_log_goes_on_after_any_fault(
    service: Service,
    fault: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[int] = []

    def failing(_ledger: object) -> bool:
        asked.append(1)
        if len(asked) == 1:
            raise fault
        return False

    monkeypatch.setattr(module, "is_behind", failing)
    monkeypatch.setattr(module, "INTEGRATE_SECONDS", 0.01)
    with caplog.at_level(logging.WARNING, "sayso.web"):
        service.desk.start()
        wait_for(lambda: len(asked) > 1)

    assert f"no new checkpoint: {type(fault).__name__}" in caplog.messages
    assert str(fault) not in caplog.text


def test_a_thread_that_hangs_is_not_waited_for_for_ever(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hung, free = threading.Event(), threading.Event()

    def hanging(_ledger: object) -> bool:
        if threading.current_thread() is service.desk._logging:
            hung.set()
            free.wait(30)
        return False

    monkeypatch.setattr(module, "is_behind", hanging)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.2)
    service.desk.start()
    assert hung.wait(10)
    begun = time.monotonic()

    with caplog.at_level(logging.WARNING, "sayso.web"):
        service.desk.close()
    free.set()

    assert time.monotonic() - begun < 5
    assert "'sayso-log' was not waited for any longer" in caplog.messages
