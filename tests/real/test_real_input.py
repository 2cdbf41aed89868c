"""The main job on real input: real authors and words, generated members and choices.

Skipped, and said so, where the real input does not stand beside the project.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sayso.model import DEFAULT_PURPOSE, Reason
from sayso.opening import init_workspace
from sayso.snapshot import load_records
from sayso.sources import import_source
from sayso.workspace import Workspace

DATA = Path(__file__).parents[2].parent / "shared" / "data"
AT = datetime(2025, 11, 10, tzinfo=UTC)
# Low, middle and high opt-out.
RATES = (0.02, 0.15, 0.40)
COUNTRIES = ("HK", "GB", "US", "CA", "DE", "CH", "IN", "BR")
HONG_KONG_BEGINS = datetime(2025, 11, 2, 16, tzinfo=UTC)

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real input is not beside the project"),
]


def drawn(member: str, what: str) -> float:
    """Return a number in [0, 1) that depends on the member alone."""
    digest = hashlib.sha256(f"{what}:{member}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


@pytest.fixture(scope="module", params=["stackexchange", "polis"])
def content(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import one real source."""
    kind = str(request.param)
    source = DATA / ("se_history_meta" if kind == "stackexchange" else "polis")
    out = tmp_path_factory.mktemp(kind)
    import_source(kind, source, out)
    return out / "content.parquet"


def authors(content: Path) -> list[str]:
    ids = pq.read_table(content, columns=["member_id"])["member_id"].unique().to_pylist()
    return sorted(str(one) for one in ids if one is not None)


def members_of(people: list[str]) -> Iterator[dict[str, object]]:
    """Yield rows: a country and birth date each; one in twenty moves, both ways."""
    for one in people:
        country = COUNTRIES[int(drawn(one, "country") * len(COUNTRIES))]
        born = (date(1950, 1, 1) + timedelta(days=int(drawn(one, "born") * 21_000))).isoformat()
        if drawn(one, "known") < 0.05:
            continue  # nobody holds a row for them
        yield {"member_id": one, "country": country, "birth_date": born, "since": None}
        if drawn(one, "moves") < 0.05:
            other = "US" if country == "HK" else "HK"
            moved = datetime(2025, 6, 1, tzinfo=UTC)
            yield {"member_id": one, "country": other, "birth_date": born, "since": moved}


def choices_of(people: list[str], rate: float) -> Iterator[dict[str, object]]:
    """Yield offs at a rate, a burst after the notice, on-off-on, and out of order."""
    for one in people:
        if drawn(one, "off") >= rate:
            continue
        shape = drawn(one, "shape")
        said_at = datetime(2025, 9, 15, 9, tzinfo=UTC) + timedelta(hours=48 * drawn(one, "when"))
        if shape < 0.1:
            said_at = HONG_KONG_BEGINS - timedelta(seconds=1)
        said = [("off", said_at)]
        if 0.1 <= shape < 0.2:
            said = [("on", said_at + timedelta(seconds=50)), ("off", said_at), ("on", said_at)]
        for choice, at in said:
            yield {
                "member_id": one, "purpose": DEFAULT_PURPOSE, "choice": choice, "effective_at": at,
            }  # fmt: skip


def workspace_of(tmp_path: Path, content: Path, rate: float) -> tuple[Workspace, list[str]]:
    people = authors(content)
    workspace = init_workspace(tmp_path / "ws", lambda: AT, template="linkedin-2024")
    served = datetime(2025, 9, 14, 9, tzinfo=UTC)
    tables = {
        "members": list(members_of(people)),
        "choices": list(choices_of(people, rate)),
        "notices": [
            {"member_id": one, "purpose": DEFAULT_PURPOSE, "served_at": served} for one in people
        ],
    }
    for kind, rows in tables.items():
        path = tmp_path / f"{kind}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        workspace.ingest(kind, path)
    return workspace, people


@pytest.mark.parametrize("rate", RATES)
def test_build_on_real_input(tmp_path: Path, content: Path, rate: float) -> None:
    workspace, people = workspace_of(tmp_path, content, rate)
    built = workspace.build(content, tmp_path / "out", at=AT)
    counts, total = built.manifest.counts, pq.read_metadata(content).num_rows
    assert counts.records_in == total == counts.admitted + sum(counts.refused.values())
    assert sum(part.records_in for part in built.manifest.by_country.values()) == total
    assert 0 < counts.admitted < total

    records = load_records(tmp_path / "out")
    admitted = set(records["member_id"].to_pylist())
    rows = {str(row["member_id"]) for row in members_of(people)}
    assert admitted <= rows, "somebody without a row was admitted"
    final: dict[str, str] = {}
    for entry in sorted(
        choices_of(people, rate), key=lambda e: (str(e["effective_at"]), e["choice"] == "off")
    ):
        final[str(entry["member_id"])] = str(entry["choice"])
    off = {one for one, choice in final.items() if choice == "off"}
    assert off, "the world has no off"
    assert not admitted & off, "a member's off was not honoured"

    decisions = workspace.decide_many(content, at=AT)
    assert decisions.refused() == counts.refused
    ids = pq.read_table(content)["record_id"].to_pylist()
    assert {ids[i] for i in range(len(ids)) if decisions.allow[i]} == set(
        records["record_id"].to_pylist()
    )
    workspace.close()


def test_definition_agrees_on_real_records(tmp_path: Path, content: Path) -> None:
    workspace, _ = workspace_of(tmp_path, content, RATES[1])
    table = pq.read_table(content)
    decisions = workspace.decide_many(content, at=AT)
    step = max(1, table.num_rows // 40)
    for row in range(0, table.num_rows, step):
        member = table["member_id"][row].as_py()
        if member is None:
            assert decisions.reasons(row)[0] is Reason.MEMBER_UNKNOWN
            continue
        told = workspace.explain(
            member, table["record_id"][row].as_py(), content=content, at=AT
        ).decision
        assert told.reasons == decisions.reasons(row)
    workspace.close()


def test_moves_count_in_both_directions(tmp_path: Path) -> None:
    """An `on` said before a move is passed over; an `off` goes along."""
    workspace = init_workspace(tmp_path / "ws", lambda: AT, template="linkedin-2024")
    moved = datetime(2025, 6, 1, tzinfo=UTC)
    rows: list[dict[str, object]] = []
    said: list[dict[str, object]] = []
    for one, (origin, target) in {"in": ("US", "HK"), "out": ("HK", "US")}.items():
        for choice in ("on", "off"):
            member = f"{one}-{choice}"
            rows += [
                {"member_id": member, "country": origin, "birth_date": "1980", "since": None},
                {"member_id": member, "country": target, "birth_date": "1980", "since": moved},
            ]
            said += [
                {"member_id": member, "purpose": DEFAULT_PURPOSE, "choice": choice,
                 "effective_at": datetime(2025, 3, 1, tzinfo=UTC)},
            ]  # fmt: skip
    for kind, table in (("members", rows), ("choices", said)):
        pq.write_table(pa.Table.from_pylist(table), tmp_path / f"{kind}.parquet")
        workspace.ingest(kind, tmp_path / f"{kind}.parquet")
    before, after = datetime(2025, 5, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
    assert str(workspace.explain("in-on", at=before).choice) == "on"
    assert str(workspace.explain("in-on", at=after).choice) == "unset"
    assert str(workspace.explain("out-on", at=after).choice) == "unset"
    for member in ("in-off", "out-off"):
        assert Reason.CHOSEN_OFF in workspace.explain(member, at=after).decision.reasons
    held = workspace.explain("in-on", at=after).decision.reasons
    assert Reason.ON_HOLD in held
    assert Reason.ON_HOLD not in workspace.explain("out-on", at=after).decision.reasons
    workspace.close()


def test_off_one_second_before_the_rule_begins(tmp_path: Path, content: Path) -> None:
    workspace, _ = workspace_of(tmp_path, content, RATES[2])
    people = authors(content)
    last = [
        str(entry["member_id"])
        for entry in choices_of(people, RATES[2])
        if entry["effective_at"] == HONG_KONG_BEGINS - timedelta(seconds=1)
    ]
    assert last
    for member in last[:5]:
        reasons = workspace.explain(member, at=HONG_KONG_BEGINS).decision.reasons
        assert Reason.CHOSEN_OFF in reasons
    workspace.close()
