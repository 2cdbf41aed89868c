"""What a workspace tells of what came in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.decision.many import decide_many
from sayso.errors import InputError
from sayso.model import Reason, reasons_of
from sayso.opening import init_workspace
from sayso.workspace import Workspace, member_id

PURPOSE = "content-generation-training"


def test_rows_for_purposes_that_nobody_declared_are_told(tmp_path: Path) -> None:
    """An `off` under a slip of the pen decides nothing, and must not pass in silence."""
    workspace = init_workspace(
        tmp_path / "ws", lambda: datetime(2026, 1, 1, tzinfo=UTC), template="linkedin-2024"
    )
    path = tmp_path / "choices.csv"
    path.write_text(
        "member_id,purpose,choice,effective_at\n"
        f"7,{PURPOSE},off,2025-01-01\n7,*,off,2025-01-01\n"
        "7,content-generation-trainng,off,2025-01-01\n8,m-1234 Name,off,2025-01-01\n"
    )
    assert workspace.ingest("choices", path).rows == 4
    assert workspace.unknown_purposes(path) == {"content-generation-trainng": 1, "": 1}
    workspace.close()


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("7", "7"), (7, "7"), (7.0, "7"), (np.int64(7), "7"), (np.float64(7), "7"), ("007", "007")],
)
def test_ids_as_programs_have_them(given: Any, canonical: str) -> None:
    assert member_id(given) == canonical


@pytest.mark.parametrize("given", [None, True, b"7", 7.5, float("nan"), 2.0**53, [7], "", "7\0"])
def test_what_is_no_id_is_nobody(given: Any) -> None:
    """An `off` of the member called "None" would help nobody."""
    with pytest.raises(InputError):
        member_id(given)


def test_a_naive_time_is_utc(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_text("member_id,country,birth_date\n7,US,1990\n")
    workspace.ingest("members", path)
    east = timezone(timedelta(hours=8))
    moments = [
        datetime(2024, 9, 18, 10),  # noqa: DTZ001  it is the point
        datetime(2024, 9, 18, 10, tzinfo=UTC),
        datetime(2024, 9, 18, 18, tzinfo=east),
    ]
    content = pa.table({"record_id": ["1"], "member_id": ["7"]})
    found = {workspace.explain(7, at=at).to_text() for at in moments}
    assert len(found) == 1
    assert "as of 2024-09-18T10:00:00Z" in found.pop()
    assert len({int(workspace.decide_many(content, at=at).masks[0]) for at in moments}) == 1
    for moment in moments:
        workspace.choose(7, "off", effective_at=moment)
    off = [workspace.explain(7, at=moments[1] - timedelta(seconds=one)).choice for one in (0, 1)]
    assert [str(one) for one in off] == ["off", "unset"]


RECORD = pa.table({"record_id": ["1"], "member_id": ["7"]})
ASKS: dict[str, Callable[[Workspace, str, int | None], object]] = {
    "decide": lambda ws, purpose, known: ws.decide(7, purpose=purpose, known=known),
    "explain": lambda ws, purpose, known: ws.explain(7, purpose=purpose, known=known),
    "decide_many": lambda ws, purpose, known: ws.decide_many(RECORD, purpose=purpose, known=known),
    "build": lambda ws, purpose, known: ws.build(
        ws.path / "content.parquet", ws.path / "out", purpose=purpose, known=known
    ),
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("purpose", ["typo", "", "*", "Content-Generation-Training"])
def test_a_purpose_that_nobody_declared_is_a_slip(
    workspace: Workspace, ask: str, purpose: str
) -> None:
    with pytest.raises(InputError, match="unknown purpose") as caught:
        ASKS[ask](workspace, purpose, None)
    assert caught.value.hint == f"use one of assistance, {PURPOSE}"


@pytest.mark.parametrize("ask", ["decide", "explain", "decide_many"])
@pytest.mark.parametrize("purpose", [PURPOSE, "typo"])
def test_before_the_first_rulebook_nothing_is_declared_and_no_rule_is_the_answer(
    workspace: Workspace, tmp_path: Path, ask: str, purpose: str
) -> None:
    """Law 1: where nothing is known of rules, the answer is no, and never an error."""
    path = tmp_path / "members.csv"
    path.write_text("member_id,country,birth_date\n7,US,1990\n")
    workspace.ingest("members", path)
    assert ASKS[ask](workspace, purpose, 0)
    given = workspace.decide(7, purpose=purpose, known=0, members=path).decision
    assert Reason.NO_RULE in given.reasons


@pytest.mark.parametrize("ask", ASKS)
def test_what_is_declared_depends_on_what_was_known(workspace: Workspace, ask: str) -> None:
    """A question reads one rulebook: a purpose of a later one is as unknown to it as any."""
    before = workspace.ledger.size()
    files = dict(workspace.rules().book.files)
    files["purposes/later.yaml"] = files["purposes/assistance.yaml"]
    workspace.publish(files)
    pq.write_table(RECORD, workspace.path / "content.parquet")
    with pytest.raises(InputError, match="unknown purpose 'later'"):
        ASKS[ask](workspace, "later", before)
    assert ASKS[ask](workspace, "later", None)


def test_the_fold_and_the_cells_answer_for_any_purpose(workspace: Workspace) -> None:
    """What was built for a purpose that was dropped since is refused, and that is no slip."""
    assert workspace.cells("gone").in_force.jurisdiction("US") is not None
    states = workspace.states(purpose="gone")
    masks = decide_many(RECORD, states).masks
    assert Reason.MEMBER_UNKNOWN in reasons_of(int(masks[0]))
