"""The database goes away beneath the service, and comes back."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.e2e.cli import sayso
from tests.e2e.databases import BINARIES, kill_a_worker, own_postgres, workers_of
from tests.e2e.services import Service, make_workspace, running_service

pytestmark = pytest.mark.skipif(not BINARIES, reason="no PostgreSQL to start")


def test_a_worker_that_comes_back_waits_for_the_database(tmp_path: Path) -> None:
    with own_postgres(tmp_path) as server:
        ws, content = make_workspace(tmp_path, url=server.url)
        with running_service(ws, content, workers=2, with_provider=False) as service:
            before = _pids(service.process)
            _let_all_serve(service)
            server.stop()
            assert kill_a_worker(service.process, random.Random(1))
            # More than one came in its place, and went.
            seen: set[int] = set()

            def have_tried() -> bool:
                seen.update(_pids(service.process))
                return len(seen) > len(before) + 1

            _until(have_tried)
            assert psutil.pid_exists(service.process)
            assert httpx.get(f"{service.address}/livez", timeout=60).status_code == 200

            server.start()

            _until(lambda: httpx.get(f"{service.address}/readyz", timeout=60).is_success)
            _until(lambda: len(_pids(service.process)) == len(before))


def test_a_service_without_its_database_does_not_begin(tmp_path: Path) -> None:
    with own_postgres(tmp_path) as server:
        ws, _ = make_workspace(tmp_path, url=server.url)
        server.stop()
        done = sayso("serve", "--workers", "2", "--workspace", ws)
        assert done.code == 4
        assert "database" in done.err
        server.start()


def _let_all_serve(service: Service) -> None:
    """Keep connections open until each worker has answered one."""
    port = urlsplit(service.address).port
    with ExitStack() as stack:

        def have_all() -> bool:
            client = stack.enter_context(httpx.Client(base_url=service.address, timeout=60))
            assert client.get("/livez").is_success
            return all(
                any(
                    one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port
                    for one in open_
                )
                for open_ in (each.net_connections() for each in workers_of(service.process))
            )

        _until(have_all)


def _until(is_so: Callable[[], object]) -> None:
    ends = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.05)


def _pids(parent: int) -> set[int]:
    return {one.pid for one in workers_of(parent)}
