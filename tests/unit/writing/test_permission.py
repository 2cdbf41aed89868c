"""Assistance is a purpose of its own: what stops it, and what does not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sayso.errors import InputError, RefusedError
from sayso.model import DEFAULT_PURPOSE, Dated
from sayso.workspace import Workspace
from sayso.writing import ASSISTANCE, Recipient, need_assistance, need_recipient
from tests.unit.writing.lab import OURS, make_workspace

LONG_AGO = Dated(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def hold(workspace: Workspace, scope: str, *purposes: str) -> None:
    workspace.place_hold(scope, begins=LONG_AGO, placed_by="x", purposes=purposes)


def test_training_says_nothing_about_assistance(workspace: Workspace) -> None:
    workspace.choose("m1", "off")
    workspace.choose("m2", "off", purpose="*")
    hold(workspace, "HK", DEFAULT_PURPOSE)

    for who in ("m1", "m2", "m3"):
        assert need_assistance(workspace, who).name == ASSISTANCE


@pytest.mark.parametrize("purpose", [ASSISTANCE, "*"])
def test_a_hold_on_it_stops_it_where_it_stands(workspace: Workspace, purpose: str) -> None:
    hold(workspace, "HK", purpose)

    with pytest.raises(RefusedError, match="hold 'hk-2026-01-01' stands over assistance"):
        need_assistance(workspace, "m1")
    assert need_assistance(workspace, "m2")
    # Nobody knows where m3 lives, and so not that it does not stand there.
    with pytest.raises(RefusedError, match="hold"):
        need_assistance(workspace, "m3")


def test_an_off_to_it_by_name_stops_it_until_an_on(workspace: Workspace) -> None:
    workspace.choose("m2", "off", purpose=ASSISTANCE)
    with pytest.raises(RefusedError, match="chose off for 'assistance'"):
        need_assistance(workspace, "m2")
    workspace.choose("m2", "deferred", purpose=ASSISTANCE)
    with pytest.raises(RefusedError, match="chose off"):
        need_assistance(workspace, "m2")
    workspace.choose("m2", "on", purpose=ASSISTANCE)
    assert need_assistance(workspace, "m2")


def test_who_is_not_there_or_not_active_is_not_assisted(workspace: Workspace) -> None:
    for who in ("gone", "odd"):
        with pytest.raises(RefusedError, match="not active"):
            need_assistance(workspace, who)
    with pytest.raises(InputError, match="no such member"):
        need_assistance(workspace, "nobody")
    workspace.erase("m1")
    with pytest.raises(RefusedError, match="erased"):
        need_assistance(workspace, "m1")


def test_without_the_purpose_there_is_no_assistance(workspace: Workspace) -> None:
    files = workspace.draft_files()
    workspace.publish({k: v for k, v in files.items() if not k.endswith("assistance.yaml")})

    with pytest.raises(RefusedError, match="no purpose 'assistance'"):
        need_assistance(workspace, "m2")


def test_a_recipient_must_be_listed(workspace: Workspace) -> None:
    purpose = need_assistance(workspace, "m2")
    need_recipient(purpose, OURS)
    with pytest.raises(RefusedError, match="'Somebody' is no recipient of the purpose"):
        need_recipient(purpose, Recipient("Somebody", OURS.url))
