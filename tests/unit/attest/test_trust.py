"""The keys and the policy of a workspace: made once, never replaced."""

import os
import stat
from pathlib import Path

import pytest

from sayso.attest.trust import ATTEST_KEY, LOG_KEY, POLICY, load_trust, make_trust, origin_of
from sayso.errors import InputError, IntegrityError
from sayso.log import Checkpoint, Note, sign

ORIGIN = "example.org/town"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("keys", "log"):
        (tmp_path / name).mkdir()
    make_trust(tmp_path, ORIGIN, os.urandom)
    return tmp_path


def test_the_keys_are_secret_and_the_policy_is_not(folder: Path) -> None:
    for name in (LOG_KEY, ATTEST_KEY):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert (folder / POLICY).stat().st_mode & stat.S_IRGRP
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names == {"log.key", "attest.pem", "policy"}


def test_the_policy_trusts_the_log_that_signs(folder: Path) -> None:
    trust = load_trust(folder, ORIGIN)
    text = Checkpoint(ORIGIN, 0, bytes(32)).to_text()
    note = Note(text, (sign(text, trust.log),)).to_bytes()
    assert trust.policy.check(note).log_name == ORIGIN


def test_nothing_is_made_twice(folder: Path) -> None:
    before = load_trust(folder, ORIGIN)
    make_trust(folder, ORIGIN, os.urandom)
    assert load_trust(folder, ORIGIN) == before


@pytest.mark.parametrize("name", [LOG_KEY, ATTEST_KEY, POLICY])
def test_what_is_lost_is_not_made_anew(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        load_trust(folder, ORIGIN)


def test_an_origin_is_chosen_once(folder: Path) -> None:
    with pytest.raises(InputError, match="names the log"):
        load_trust(folder, "example.org/other")


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("ws", "example.org/ws"), ("my ws+1", "example.org/my-ws-1"), ("", "example.org/log"),
        ("größe", "example.org/gr-e"), ("a\nb", "example.org/a-b"),
    ],
)  # fmt: skip
def test_any_folder_gives_an_origin(name: str, origin: str) -> None:
    found = origin_of(name)
    assert found.startswith("example.org/")
    assert found.isascii()
    assert (found == origin) or not name.isascii()


def test_keys_never_print(folder: Path) -> None:
    trust = load_trust(folder, ORIGIN)
    shown = repr(trust)
    assert trust.log.seed.hex() not in shown
    assert trust.key.seed.hex() not in shown
    assert "PRIVATE" not in shown
