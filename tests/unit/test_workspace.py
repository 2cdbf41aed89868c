"""What a workspace tells of what came in."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sayso.errors import InputError
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
