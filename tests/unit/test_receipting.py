"""Receipts of one member's choices: from head and segments, with the rules of their day."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.attest.receipts import verify_receipt
from sayso.errors import InputError
from sayso.ledger.sealing import seal
from sayso.model import Choice
from sayso.opening import init_workspace
from sayso.receipting import choices_of, key_of, receipts_of
from sayso.workspace import Workspace
from tests.town import Clock

NOON = datetime(2025, 11, 10, 12, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = init_workspace(tmp_path / "ws", Clock(), template="linkedin-2024")
    (tmp_path / "members.csv").write_text("member_id,country\n7,HK\n8,US\n")
    made.ingest("members", tmp_path / "members.csv")
    (tmp_path / "choices.csv").write_text(
        "member_id,purpose,choice,effective_at,channel\n"
        "7,content-generation-training,off,2025-01-01T00:00:00Z,mail\n"
        "8,content-generation-training,deferred,2025-01-01T00:00:00Z,app\n"
    )
    made.ingest("choices", tmp_path / "choices.csv")
    made.choose("7", Choice.ON, effective_at=NOON, channel="app")
    made.choose("7", Choice.OFF, purpose="*")
    return made


def test_choices_of_one_member_wherever_they_stand(workspace: Workspace) -> None:
    def said() -> list[tuple[int, str, str]]:
        found = choices_of(workspace.ledger, "7", workspace.ledger.size())
        return [(one.index, one.purpose, str(one.choice)) for one in found]

    before = said()
    assert [choice for _, _, choice in before] == ["off", "on", "off"]
    assert [index for index, _, _ in before] == sorted(index for index, _, _ in before)
    assert seal(workspace.ledger, 1, threshold_rows=1) == 2
    assert said() == before


def test_a_receipt_says_what_stood_before_and_what_it_is_called(workspace: Workspace) -> None:
    workspace.integrate()
    made = receipts_of(workspace.ledger, workspace.trust, "7")
    told = [verify_receipt(one.to_bytes(), [workspace.trust.key.public]) for one in made]
    assert len(told) == 3
    assert len({one.to_bytes() for one in made}) == 3
    texts = [json.dumps(json.loads(one.to_bytes())) for one in told]
    assert all("tlog-proof" in text for text in texts)


def test_no_proof_before_the_log_covers_it(workspace: Workspace) -> None:
    (first, *_) = receipts_of(workspace.ledger, workspace.trust, "8")
    told = verify_receipt(first.to_bytes(), [workspace.trust.key.public])
    assert "tlog-proof" not in json.dumps(json.loads(told.to_bytes()))


def test_the_same_choice_gets_the_same_receipt(workspace: Workspace) -> None:
    one, other = (receipts_of(workspace.ledger, workspace.trust, "7") for _ in range(2))
    assert [each.to_bytes() for each in one] == [each.to_bytes() for each in other]


def test_who_said_nothing_and_who_is_erased_get_none(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="no choice"):
        receipts_of(workspace.ledger, workspace.trust, "stranger")
    assert key_of(workspace.ledger, "stranger") is None
    workspace.erase("7")
    assert key_of(workspace.ledger, "7") is None
    with pytest.raises(InputError, match="no choice"):
        receipts_of(workspace.ledger, workspace.trust, "7")
