"""What a workspace tells of what came in."""

from datetime import UTC, datetime
from pathlib import Path

from sayso.opening import init_workspace

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
