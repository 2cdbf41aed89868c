"""Worked cases as data: a history with training in it, and what a trace says of it."""

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sayso.evidence.entries import Folders, publications
from sayso.evidence.pack_hold import trace_of
from sayso.evidence.report_trace import answer_of, builds_of, learned_of, trace_json
from sayso.evidence.report_trace_member import (
    answer_of_member,
    member_trace_json,
    runs_of_member,
)
from sayso.evidence.report_trace_rule import answer_of_rule, builds_of_rule, rule_json
from sayso.evidence.trace_member import trace_member
from sayso.evidence.trace_rule import find_rule, trace_rule
from sayso.model import DEFAULT_PURPOSE
from sayso.opening import init_workspace
from sayso.training import ForgetRequest, forget, release, training_entries
from sayso.workspace import Workspace
from tests.town import MEMBER_COLUMNS, Clock, member_row, record_row, write_content, write_csv
from tests.unit.training.lab import RECIPE, run, small_base

pytest.importorskip("torch", reason="sayso[train] is not installed")
pytest.importorskip("peft", reason="sayso[train] is not installed")

CASES = sorted((Path(__file__).parent / "traces").glob("*.json"))
PER_MEMBER = 3

Told = tuple[str, dict[str, Any]]


class World:
    """A workspace whose history a case tells."""

    def __init__(self, folder: Path, members: Mapping[str, str]) -> None:
        self.folder, self.members = folder, members
        self.clock = Clock(datetime(2024, 9, 1, tzinfo=UTC))
        self.workspace: Workspace = init_workspace(
            folder / "ws", self.clock, template="linkedin-2024"
        )
        rows = [member_row(who, country) for who, country in members.items()]
        self.workspace.ingest("members", write_csv(folder / "m.csv", rows, MEMBER_COLUMNS))
        written = datetime(2024, 6, 1, tzinfo=UTC)
        content = [
            record_row(f"r-{who}-{n}", who, written_at=written, text=f"What {who} wrote, {n}. " * 9)
            for who in members
            for n in range(PER_MEMBER)
        ]
        write_content(folder / "content.parquet", content)

    def do(self, step: Mapping[str, Any]) -> None:
        if "at" in step:
            self.clock.now = datetime.fromisoformat(step["at"])
        told: dict[str, Callable[[Mapping[str, Any]], object]] = {
            "build": self.build, "train": self.train, "release": self.release,
            "choose": self.choose, "forget": self.forget, "trace": self.trace, "lose": self.lose,
        }  # fmt: skip
        told[step["do"]](step)

    def build(self, step: Mapping[str, Any]) -> None:
        self.workspace.build(
            self.folder / "content.parquet", self.folder / step["name"], at=self.clock.now
        )

    def train(self, step: Mapping[str, Any]) -> None:
        # Who shares a shard must not be left to the workspace's own keys.
        recipe = RECIPE.model_copy(update={"shards": 1})
        run(self.workspace, self.folder / step["from"], self.folder / step["name"], recipe)

    def release(self, step: Mapping[str, Any]) -> None:
        release(self.workspace, self.folder / step["from"], self.folder / "out", base=small_base())

    def choose(self, step: Mapping[str, Any]) -> None:
        self.workspace.choose(step["member"], step["choice"])

    def forget(self, step: Mapping[str, Any]) -> None:
        members = (step["member"],) if "member" in step else ()
        request = ForgetRequest(members=members, pending=step.get("pending", False))
        out = self.folder / step["name"] if "name" in step else None
        forget(self.workspace, self.folder / step["from"], request, out=out, base=small_base())

    def lose(self, step: Mapping[str, Any]) -> None:
        shutil.rmtree(self.folder / step["from"])

    def trace(self, step: Mapping[str, Any]) -> None:
        kind, *asked = step["ask"]
        text, value = getattr(self, f"of_{kind}")(*asked)
        for words in step.get("says", ()):
            assert words in text, (words, text)
        holds(value, step["finds"], kind)
        if kind == "member":
            others = {who for who in self.members if who not in asked}
            shown = text + json.dumps(value)
            assert [who for who in others if f"{who}-" in shown or f"'{who}'" in shown] == []

    def of_hold(self, hold: str) -> Told:
        workspace = self.workspace
        found = trace_of(workspace.ledger, self.folders(), hold)
        assert learned_of(found).rows or builds_of(found, "").rows
        return " ".join(answer_of(found)), trace_json(found)

    def of_rule(self, scope: str, begins: str) -> Told:
        ledger = self.workspace.ledger
        published = publications(ledger)
        found = trace_rule(
            find_rule(published, DEFAULT_PURPOSE, scope, begins), published,
            list(self.folders().builds(ledger)), training_entries(ledger, ledger.size()),
        )  # fmt: skip
        assert len(builds_of_rule(found).rows) == len(found.builds)
        return " ".join(answer_of_rule(found)), rule_json(found)

    def of_member(self, who: str) -> Told:
        workspace = self.workspace
        found = trace_member(workspace.ledger, workspace.trust, self.folders(), who)
        rows = "\n".join(" ".join(row) for row in runs_of_member(found).rows)
        return " ".join(answer_of_member(found)) + rows, member_trace_json(found)

    def folders(self) -> Folders:
        return Folders(self.workspace.ledger, self.workspace.trust)


def holds(found: Any, wanted: Any, where: str) -> None:
    """Check that all that is wanted was found; keys that nobody asks for may be there."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            holds(found[key], value, f"{where}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), (where, found)
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            holds(one, other, f"{where}.{place}")
    else:
        assert found == wanted, (where, found, wanted)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_worked_case(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    world = World(tmp_path, case["members"])
    for step in case["steps"]:
        world.do(step)
    world.workspace.close()
