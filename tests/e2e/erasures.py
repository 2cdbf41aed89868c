"""Killing an erasure at every step that the disk sees, and what must be true afterwards."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from sayso.ledger import schema
from sayso.ledger.fsck import fsck
from sayso.ledger.sealing import seal
from sayso.model import Reason
from sayso.opening import open_workspace
from sayso.snapshot import load_records
from sayso.workspace import Workspace
from tests.e2e.kills import TRY_SECONDS, Trial, kill_amid
from tests.town import (
    AT,
    START_US,
    Clock,
    choice_row,
    member_row,
    record_row,
    write_content,
    write_jsonl,
)
from tests.traces import spelled, traces
from tests.unit.ledger.builders import key_of

MEMBERS = 400
# What the disk is asked for in one erasure; a larger number ends without a kill.
STEPS = 40


def id_of(number: int) -> str:
    """Return the id of a member, found in no other."""
    return f"vanish-{number:04d}-member"


def erase(begun: Callable[[], None], ws: Path, number: int, step: int) -> None:
    """Erase a member, and end by SIGKILL just before the disk is asked for the n-th time."""
    workspace = open_workspace(ws, Clock())
    count = 0

    def asked() -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            asked()
            return function(*given, **named)

        return call

    for owner, names in ((os, ("fsync",)), (Path, ("rename", "replace", "unlink"))):
        for name in names:
            setattr(owner, name, wrapped(getattr(owner, name)))
    event.listen(workspace.ledger.engine, "commit", lambda _con: asked())
    begun()
    workspace.erase(id_of(number))
    workspace.close()


class Erasures(Trial):
    """Wherever an erasure was killed, the next opening finishes it, and nothing else changed."""

    name = "erase"

    def prepare(self, workspace: Workspace) -> None:
        """See `Trial`."""
        ids = [id_of(number) for number in range(MEMBERS)]
        workspace.ingest(
            "members", write_jsonl(self.folder / "m.jsonl", [member_row(one) for one in ids])
        )
        said = [choice_row(one, "deferred", channel=f"through {one}") for one in ids]
        workspace.ingest("choices", write_jsonl(self.folder / "c.jsonl", said))
        for number in range(0, MEMBERS, 8):
            workspace.choose(id_of(number), "on")
        seal(workspace.ledger, START_US, threshold_rows=1)
        for number in range(0, MEMBERS, 8):
            workspace.choose(id_of(number), "deferred", channel=f"again {id_of(number)}")
        rows = [record_row(f"r-{one}", one, text=f"the words of {one}") for one in ids]
        content = write_content(self.folder / "content.parquet", rows)
        workspace.build(content, self.folder / "first", at=AT)
        workspace.rebuild(self.folder / "first", self.folder / "second", at=AT)
        self.before = self.commitments(workspace)
        self.gone = 0

    def commitments(self, workspace: Workspace) -> dict[int, bytes]:
        """Return the commitment of every entry that stands in the database."""
        with workspace.ledger.reading() as con:
            rows = con.execute(sa.select(schema.entry.c.index, schema.entry.c.commitment)).all()
        return {int(index): bytes(commitment) for index, commitment in rows}

    def strike(self, number: int) -> None:
        """See `Trial`."""
        self.strike_at(number, 1 + number % STEPS)

    def strike_at(self, number: int, step: int) -> None:
        """Kill the erasure of one member at a step."""
        who = id_of(number)
        workspace = self.open()
        key = key_of(workspace.ledger, who)
        assert key
        assert workspace.decide(who, at=AT).decision.allow
        workspace.close()
        killed = self.toll.killed
        kill_amid(self.toll, erase, (self.ws, number, step), TRY_SECONDS)
        workspace = self.open()  # finishes what was begun
        begun = workspace.decide(who, at=AT).decision.reasons == (Reason.MEMBER_ERASED,)
        if self.toll.killed > killed:
            self.toll.note("finished by the next opening" if begun else "not begun")
        if not begun:
            assert workspace.decide(who, at=AT).decision.allow
            assert workspace.erase(who).is_new
        self.gone += 1
        self.check(workspace, {who.encode(), *spelled(key)})
        workspace.close()

    def check(self, workspace: Workspace, words: set[bytes]) -> None:
        """Nothing of theirs is anywhere, and everything else is as it was."""
        places = [workspace.path, self.folder / "first", self.folder / "second"]
        if self.kind == "sqlite":
            assert traces(places, words) == set()
        else:
            assert traces([one for one in places if one.name != "ws"], words) == set()
            assert traces([workspace.path / "segments", workspace.path / "tables"], words) == set()
        report = fsck(workspace.ledger)
        assert (report.left_rows, report.orphans, report.roots) == (0, (), 1)
        assert (report.tombstones, report.erased_rows) == (self.gone, self.gone)
        assert report.member_keys == MEMBERS - self.gone
        after = self.commitments(workspace)
        assert {index: after[index] for index in self.before} == self.before
        for name in ("first", "second"):
            assert load_records(self.folder / name).num_rows == MEMBERS - self.gone
