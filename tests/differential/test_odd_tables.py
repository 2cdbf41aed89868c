"""Facts beyond the calendar: one odd row never keeps the others from being decided.

DESIGN 6: odd facts never reject a members file; a bad instant rejects a choices file.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.errors import InputError
from sayso.model import DEFAULT_PURPOSE, Reason
from sayso.workspace import Workspace
from tests.differential.books import make_book, make_rule
from tests.differential.engines import content_table
from tests.differential.stored import Stored
from tests.world import RecordLine

AT = datetime(2025, 6, 1, tzinfo=UTC)
RECORDS = content_table([RecordLine("1", "1"), RecordLine("2", "2")], integer_ids=False)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Workspace]:
    stored = Stored(tmp_path)
    stored.replay([make_book([make_rule()])])
    yield stored.workspace
    stored.workspace.close()


def ingest(workspace: Workspace, kind: str, **columns: Any) -> None:
    path = workspace.path / f"{kind}-{workspace.ledger.size()}.parquet"
    pq.write_table(pa.table(columns), path)
    workspace.ingest(kind, path)


def agreed(workspace: Workspace) -> list[tuple[Reason, ...]]:
    """Return the reasons of both records, having checked that one and many agree."""
    decisions = workspace.decide_many(RECORDS, at=AT)
    found = [decisions.reasons(row) for row in range(2)]
    for member_id, reasons in zip("12", found, strict=True):
        assert workspace.decide(member_id, at=AT).decision.reasons == reasons
    return found


@pytest.mark.parametrize(
    "since",
    [
        pa.array(["0000-01-01", None]),
        pa.array([10_000_000, None], pa.int32()).cast(pa.date32()),
        pa.array([-1_000_000, None], pa.int32()).cast(pa.date32()),
        pa.array([(1 << 63) - 5, None], pa.timestamp("us")),
        pa.array(["infinity", None]),
        pa.array(["soon", None]),
    ],
)
def test_a_since_that_cannot_be(opened: Workspace, since: pa.Array) -> None:
    ingest(
        opened, "members",
        member_id=["1", "2"], country=["HK", "HK"], birth_date=["1980", "1980"], since=since,
    )  # fmt: skip
    assert agreed(opened) == [(Reason.MEMBER_UNKNOWN,), ()]


@pytest.mark.parametrize("days", [10_000_000, -1_000_000])
def test_a_birth_that_cannot_be(opened: Workspace, days: int) -> None:
    births = pa.array([days, 0], pa.int32()).cast(pa.date32())
    ingest(opened, "members", member_id=["1", "2"], country=["HK", "HK"], birth_date=births)
    assert agreed(opened) == [(Reason.AGE_UNKNOWN,), ()]


@pytest.mark.parametrize("us", [-(1 << 62), 1 << 62])
def test_a_choice_beyond_the_calendar_is_a_bad_instant(opened: Workspace, us: int) -> None:
    ingest(opened, "members", member_id=["1", "2"], country=["HK"] * 2, birth_date=["1980"] * 2)
    with pytest.raises(InputError, match="effective_at"):
        ingest(
            opened, "choices",
            member_id=["1"], purpose=[DEFAULT_PURPOSE], choice=["off"],
            effective_at=pa.array([us], pa.timestamp("us")),
        )  # fmt: skip
    assert agreed(opened) == [(), ()]


def test_instants_as_pandas_writes_them(opened: Workspace) -> None:
    zoned = pa.array([AT, None], pa.timestamp("ns", tz="UTC"))
    ingest(
        opened, "members",
        member_id=["1", "2"], country=["HK"] * 2, birth_date=["1980"] * 2, since=zoned,
    )  # fmt: skip
    assert agreed(opened) == [(), ()]


def test_a_table_that_gets_dates_and_loses_them(opened: Workspace, tmp_path: Path) -> None:
    content = tmp_path / "content.parquet"
    texts = pa.array(["invented words"] * 2)
    pq.write_table(RECORDS.append_column("text", texts), content)
    plain = {"member_id": ["1", "2"], "country": ["HK"] * 2, "birth_date": ["1980"] * 2}
    base = None
    for number, since in enumerate([None, "2020-01-01", None]):
        ingest(opened, "members", **plain, since=pa.array([since] * 2, pa.string()))
        if base is not None:
            again = opened.rebuild(base, tmp_path / f"again-{number}", at=AT)
            assert again.manifest.counts.admitted == 2
        base = opened.build(content, tmp_path / f"base-{number}", at=AT).path
