"""Mixed load, workers killed, the database crashed: nothing acknowledged is lost.

Ten minutes; `SAYSO_SOAK_SECONDS` makes it shorter or longer.
"""

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sayso.facts import record_facts
from sayso.ledger.fsck import fsck
from sayso.opening import open_workspace
from sayso.receipting import choices_of
from sayso.web.desk import system_clock
from tests.e2e.cli import sayso
from tests.e2e.databases import BINARIES, kill_a_worker, own_postgres
from tests.e2e.kills import Toll
from tests.e2e.services import make_workspace, running_service
from tests.soak.conftest import TOLLS
from tests.soak.load import RECORD, Load
from tests.town import MEMBER_COLUMNS, member_row, write_csv

pytestmark = pytest.mark.soak

SECONDS = float(os.environ.get("SAYSO_SOAK_SECONDS", "600"))
MEMBERS = [f"m{number}" for number in range(60)]
CHOOSERS, ASKERS = 4, 3
KILL_EVERY_SECONDS, CRASH_EVERY_SECONDS = 15.0, 60.0


@pytest.mark.skipif(not BINARIES, reason="no PostgreSQL to start")
def test_nothing_acknowledged_is_lost(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    with own_postgres(tmp_path) as server:
        ws, content = make_workspace(tmp_path, url=server.url)
        people = [member_row(who) for who in MEMBERS]
        done = sayso(
            "ingest", "members", write_csv(tmp_path / "more.csv", people, MEMBER_COLUMNS),
            "--workspace", ws,
        )  # fmt: skip
        assert done.code == 0, done.err
        made = sayso(
            "client", "add", "load", "--scope", "choices:write", "--scope", "decisions:read",
            "--workspace", ws, "--json",
        ).value  # fmt: skip
        with running_service(ws, content, workers=2, with_provider=False) as service:
            load = Load(service.address, (made["client_id"], made["client_secret"]), MEMBERS)
            killed, tries = _run(load, service.process, server.crash)
            told = load.told
        assert told.wrong == []
        assert killed > tries // 2, "the service was not there to be killed"
        workspace = open_workspace(ws, system_clock)
        ledger = workspace.ledger
        stands = {
            one.index: (who, str(one.choice))
            for who in MEMBERS
            for one in choices_of(ledger, who, ledger.size())
        }
        lost = {index: said for index, said in told.choices.items() if stands.get(index) != said}
        assert lost == {}
        assert fsck(ledger).size == ledger.size()
        row = {
            **RECORD, "mentions": 0, "written_us": 1_748_736_000_000_000, "deleted_us": None,
        }  # fmt: skip
        facts = record_facts(row, is_single=True)
        checked = random.Random(1).sample(told.admitted, min(500, len(told.admitted)))
        for who, at, known in checked:
            decided = workspace.decide(who, facts, at=at, known=known).decision
            assert decided.allow, (who, at, known, decided)
        workspace.close()
    toll = Toll("service", killed=killed, finished=len(told.choices))
    toll.note("permitted answers", len(told.admitted))
    toll.note("of them decided again", len(checked))
    toll.note("crashes of the database", server.restarts)
    for status, times in sorted(told.statuses.items()):
        toll.note(f"status {status}" if status else "no answer", times)
    pytestconfig.stash[TOLLS].append(toll)


def _run(load: Load, parent: int, crash: Callable[[], None]) -> tuple[int, int]:
    """Load the service, killing as it goes; return workers killed, of how many tries."""
    dice = random.Random(7)
    threads = [
        threading.Thread(target=load.run, args=("choose" if n < CHOOSERS else "decide", n))
        for n in range(CHOOSERS + ASKERS)
    ]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    crashed_at, killed, tries = begun, 0, 0
    try:
        while time.monotonic() - begun < SECONDS:
            time.sleep(dice.uniform(0.5, 1.5) * KILL_EVERY_SECONDS)
            killed += kill_a_worker(parent, dice)
            tries += 1
            if time.monotonic() - crashed_at > CRASH_EVERY_SECONDS:
                crash()
                crashed_at = time.monotonic()
    finally:
        load.ended.set()
        for thread in threads:
            thread.join()
    return killed, tries
