"""Killing a process amid group commits, while another goes on."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from sayso.ledger.committing import Committer
from sayso.ledger.entries import NewChoice
from sayso.ledger.fsck import fsck
from sayso.model import DEFAULT_PURPOSE, Choice
from sayso.opening import open_workspace
from tests.e2e.kills import SEAL_ROWS, Moment, Trial, appears, choices_by_index, kill_amid
from tests.town import START_US, Clock

THREADS = 4


def commit(begun: Callable[[], None], ws: Path, number: int, acknowledged: Path) -> None:
    """Choose for ever from several threads, noting each acknowledged entry by one write."""
    workspace = open_workspace(ws, Clock())
    committer = Committer(workspace.ledger, seal_rows=SEAL_ROWS)
    out = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def choose(thread: int) -> None:
        for turn in range(1 << 30):
            name = f"{number}/{thread}/{turn}"
            receipt = committer.append_choice(
                NewChoice.of(
                    f"m{turn % 5}", DEFAULT_PURPOSE, (Choice.ON, Choice.OFF)[turn % 2],
                    effective_us=START_US, recorded_us=START_US, channel=name,
                )
            )  # fmt: skip
            os.write(out, f"{receipt.index} {name} {receipt.commitment.hex()}\n".encode())

    threads = [threading.Thread(target=choose, args=(n,), daemon=True) for n in range(THREADS)]
    begun()
    for each in threads:
        each.start()
    for each in threads:
        each.join()


class Commits(Trial):
    """What several threads were told stands where they were told, whenever they are killed."""

    name = "group commit"

    def strike(self, number: int) -> None:
        """See `Trial`."""
        acknowledged = self.folder / "acknowledged"
        moment: Moment = self.dice.uniform(0.02, 0.4)
        if number % 3 == 2:  # amid sealing
            moment = appears(self.ws / "segments", "*head-*", new=True)
        kill_amid(self.toll, commit, (self.ws, number, acknowledged), moment)
        workspace = self.open()
        report = fsck(workspace.ledger)
        found = choices_by_index(workspace)
        workspace.close()
        lines = acknowledged.read_text().splitlines() if acknowledged.exists() else []
        told = [line.split() for line in lines]
        assert len({index for index, _, _ in told}) == len(told)
        for index, name, commitment in told:
            assert found[int(index)] == (name, commitment)
        self.toll.notes["acknowledged"] = len(lines)
        # What was durable and not acknowledged in time: no more than waited.
        assert 0 <= len(found) - len(lines) <= THREADS * (number + 1)
        assert report.size == len(found) + 1
