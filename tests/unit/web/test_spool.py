"""The folder of a request: made and deleted beside the loop, and gone whoever gave up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from starlette.requests import Request

from sayso.ledger.spool import FOLDER, spooling
from sayso.web import request as carried
from sayso.web.access import Scope
from tests.town import choice_row, write_jsonl
from tests.unit.web.asking import Service

LONG = 30.0


class Watched:
    """Says in which threads folders are entered and left, and holds them up if asked to."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.entered, self.may_enter = threading.Event(), threading.Event()
        self.left = threading.Event()
        self.may_enter.set()

    @contextmanager
    def __call__(self, workspace: Path) -> Iterator[Path]:
        self.threads.append(threading.get_ident())
        self.entered.set()
        self.may_enter.wait(LONG)
        try:
            with spooling(workspace) as place:
                yield place
        finally:
            self.threads.append(threading.get_ident())
            self.left.set()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    made = Watched()
    monkeypatch.setattr(carried, "spooling", cast("Callable[..., Any]", made))
    return made


def asked_of(workspace: Path) -> Request:
    desk = SimpleNamespace(workspace=SimpleNamespace(path=workspace))
    app = SimpleNamespace(state=SimpleNamespace(desk=desk))
    return Request({"type": "http", "app": app})


@asynccontextmanager
async def folder_of(workspace: Path) -> AsyncIterator[Path]:
    async with asynccontextmanager(carried.spool_of)(asked_of(workspace)) as place:
        yield place


async def stay(workspace: Path, there: asyncio.Event) -> None:
    async with folder_of(workspace) as place:
        (place / "body").write_text("somebody's")
        there.set()
        await asyncio.sleep(LONG)


def left_in(workspace: Path) -> list[Path]:
    return list((workspace / FOLDER).iterdir())


def test_the_loop_neither_waits_for_a_lock_nor_deletes(tmp_path: Path, watched: Watched) -> None:
    async def ask() -> int:
        async with folder_of(tmp_path) as place:
            assert place.is_dir()
        return threading.get_ident()

    loop = asyncio.run(ask())

    assert len(watched.threads) == 2
    assert loop not in watched.threads
    assert left_in(tmp_path) == []


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _timed_out(workspace: Path) -> None:
    with anyio.CancelScope() as scope:
        async with folder_of(workspace):
            scope.cancel()
            await asyncio.sleep(LONG)


def test_who_is_cancelled_leaves_nothing(tmp_path: Path, watched: Watched) -> None:
    async def ask() -> int:
        there = asyncio.Event()
        task = asyncio.ensure_future(stay(tmp_path, there))
        await there.wait()
        await _cancelled(task)
        assert await asyncio.to_thread(watched.left.wait, LONG)
        assert left_in(tmp_path) == []
        await _timed_out(tmp_path)
        assert left_in(tmp_path) == []
        return threading.get_ident()

    loop = asyncio.run(ask())

    assert len(watched.threads) == 4
    assert loop not in watched.threads


def test_who_is_cancelled_while_the_lock_is_waited_for_leaves_nothing(
    tmp_path: Path, watched: Watched
) -> None:
    watched.may_enter.clear()

    async def ask() -> None:
        task = asyncio.ensure_future(stay(tmp_path, asyncio.Event()))
        assert await asyncio.to_thread(watched.entered.wait, LONG)
        task.cancel()
        await asyncio.sleep(0)
        watched.may_enter.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(watched.left.wait, LONG)

    asyncio.run(ask())

    assert left_in(tmp_path) == []


def test_a_folder_that_cannot_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_workspace: Path) -> AbstractContextManager[Path]:
        return spooling(tmp_path / "gone")

    monkeypatch.setattr(carried, "spooling", refuse)

    async def ask() -> None:
        async with folder_of(tmp_path):
            pass

    with pytest.raises(FileNotFoundError):
        asyncio.run(ask())


def test_a_file_is_taken_beside_the_loop(
    service: Service, tmp_path: Path, watched: Watched
) -> None:
    job = service.token(Scope.CHOICES_WRITE)
    path = write_jsonl(tmp_path / "c.jsonl", [choice_row("maya")])

    told = service.ask(
        "POST", "/choices", job, content=path.read_bytes(),
        more={"content-type": "application/x-ndjson"},
    )  # fmt: skip

    assert told.status_code == 200
    assert len(watched.threads) == 2
    assert left_in(service.desk.workspace.path) == []
