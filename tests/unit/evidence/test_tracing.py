"""The trace of a workspace that was opened is the one of the command line."""

import json
from typing import Any

import pytest

import sayso
from sayso.cli import main
from sayso.errors import InputError
from sayso.evidence.report_trace import trace_json
from sayso.evidence.report_trace_member import member_trace_json
from sayso.evidence.report_trace_rule import rule_json
from tests.unit.evidence.packing import HK, WHO
from tests.unit.snapshot.builders import Town


def told(town: Town, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What `sayso trace` prints as JSON."""
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(town.folder / "ws"), "--json", "trace", *words])
    assert ended.value.code == 0
    return json.loads(capsys.readouterr().out)


def test_a_trace_is_that_of_the_command_line(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = sayso.open(town.folder / "ws")
    assert isinstance(workspace, sayso.Workspace)

    hold = workspace.trace(hold=HK)
    assert trace_json(hold) == told(town, capsys, "hold", HK)
    assert [one.days for one in hold.windows] == [23.0]
    assert len(hold.builds) == 2

    rule = workspace.trace(rule="HK", begins="2024-09-18")
    assert rule_json(rule) == told(town, capsys, "rule", "HK", "--from", "2024-09-18")
    assert rule.rule.scope == "HK"

    member = workspace.trace(member=WHO)
    assert member_trace_json(member) == told(town, capsys, "member", WHO)
    assert [one.records for one in member.snapshots if one.is_touched]
    workspace.close()


def test_a_copy_of_a_snapshot_is_looked_at(town: Town) -> None:
    workspace = sayso.open(town.folder / "ws")
    before = workspace.trace(member=WHO)
    (town.folder / "base").rename(town.folder / "elsewhere")

    unknown = [one.records for one in workspace.trace(member=WHO).snapshots]
    found = workspace.trace(member=WHO, snapshots=[town.folder / "elsewhere"])

    assert None in unknown
    assert found == before
    workspace.close()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "follows one thing"),
        ({"hold": HK, "member": WHO}, "follows one thing"),
        ({"hold": "nobodys"}, "no published hold 'nobodys'"),
        ({"rule": "HK"}, "'HK' has 2 rules"),
        ({"rule": "HK", "purpose": "typo"}, "no rule for 'typo' in 'HK'"),
        ({"member": "nobody"}, "nothing of this member"),
        ({"member": ""}, "the member id is empty"),
    ],
)
def test_what_cannot_be_traced_says_why(town: Town, asked: dict[str, Any], why: str) -> None:
    workspace = sayso.open(town.folder / "ws")
    with pytest.raises(InputError, match=why):
        workspace.trace(**asked)
    workspace.close()
