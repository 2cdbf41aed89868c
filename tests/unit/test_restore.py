"""What comes back from a backup is erased again, and the ledger gets no second entry for it."""

import shutil
from pathlib import Path

import pytest

from sayso.erasure import resume
from sayso.errors import IntegrityError
from sayso.ledger.fsck import fsck
from sayso.ledger.tombstones import count_tags, keep_tags, read_tags
from sayso.opening import open_workspace
from sayso.workspace import Workspace
from tests.town import AT, START_US, Clock
from tests.traces import traces
from tests.unit.test_erasure import OTHERS, WHO, WORDS, content, everywhere, needles, wire


@pytest.fixture
def backup(tmp_path: Path) -> tuple[Path, set[bytes]]:
    """A folder with a workspace and a snapshot, its backup beside it, and WHO erased since."""
    folder = tmp_path / "here"
    folder.mkdir()
    workspace = wire("sqlite:///ledger.db", folder)
    workspace.build(content(folder), folder / "first", at=AT)
    words = needles(workspace)
    workspace.close()
    shutil.copytree(folder, tmp_path / "backup")
    workspace = open_workspace(folder / "ws", Clock())
    workspace.erase(WHO)
    workspace.close()
    assert traces(everywhere(folder), words) == set()
    return folder, words


def opened(folder: Path) -> Workspace:
    return open_workspace(folder / "ws", Clock())


def restore(folder: Path, *names: str) -> None:
    for name in names:
        source, target = folder.parent / "backup" / name, folder / name
        if target.is_dir():
            shutil.rmtree(target)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)


def restore_database(folder: Path) -> None:
    for left in (folder / "ws").glob("ledger.db-*"):
        left.unlink()
    restore(folder, "ws/ledger.db", "ws/segments", "ws/tables", "ws/log")


def test_a_database_from_a_backup(backup: tuple[Path, set[bytes]]) -> None:
    folder, words = backup
    restore_database(folder)
    assert traces(everywhere(folder), words)
    workspace = opened(folder)  # finds a tag that the database does not have
    assert traces(everywhere(folder), words) == set()
    erasures = list(workspace.ledger.public("erasure", workspace.ledger.size()))
    assert len(erasures) == 1  # the ledger that came back had none
    report = fsck(workspace.ledger)
    assert (report.roots, report.tombstones, report.left_rows) == (3, 1, 0)
    assert WHO not in str(workspace.decide(WHO, at=AT).decision.reasons[0])
    workspace.close()


def test_everything_but_the_tags_from_a_backup(backup: tuple[Path, set[bytes]]) -> None:
    folder, words = backup
    tags = (folder / "ws" / "keys" / "erased.tags").read_bytes()
    restore(folder, "ws", "first")
    (folder / "ws" / "keys" / "erased.tags").write_bytes(tags)
    workspace = opened(folder)
    assert traces(everywhere(folder), words) == set()
    fsck(workspace.ledger)
    workspace.close()


@pytest.mark.parametrize("what", ["segments", "tables", "snapshot", "partial"])
def test_files_alone_from_a_backup(backup: tuple[Path, set[bytes]], what: str) -> None:
    folder, words = backup
    size = None
    if what == "snapshot":
        restore(folder, "first")
    elif what == "partial":
        shutil.copytree(folder.parent / "backup" / "first", folder / "first.partial")
    else:
        source = folder.parent / "backup" / "ws" / what
        for path in source.iterdir():
            shutil.copyfile(path, folder / "ws" / what / path.name)
    assert traces(everywhere(folder), words)
    workspace = opened(folder)
    size = workspace.ledger.size()
    done = workspace.reapply_erasures()
    assert traces(everywhere(folder), words) == set()
    assert (done.entry, done.returned, workspace.ledger.size()) == (None, 0, size)
    assert bool(done.swept) == (what in {"segments", "tables"})
    fsck(workspace.ledger)
    workspace.close()


def test_a_snapshot_erased_again_has_the_same_bytes(backup: tuple[Path, set[bytes]]) -> None:
    folder, _ = backup
    workspace = opened(folder)
    workspace.erase(OTHERS[0])
    before = {p: p.read_bytes() for p in (folder / "first").rglob("*") if p.is_file()}
    restore(folder, "first")
    done = workspace.reapply_erasures()
    assert {p: p.read_bytes() for p in (folder / "first").rglob("*") if p.is_file()} == before
    assert done.snapshots[0].rows == len(WORDS) + 1
    workspace.close()


def test_a_lost_file_of_tags_is_written_again(backup: tuple[Path, set[bytes]]) -> None:
    folder, _ = backup
    path = folder / "ws" / "keys" / "erased.tags"
    before = path.read_bytes()
    path.unlink()
    workspace = opened(folder)
    assert path.read_bytes() == before
    fsck(workspace.ledger)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"lacks 1 tombstones"):
        fsck(workspace.ledger)
    assert resume(workspace.ledger, START_US) is None
    assert path.read_bytes() == before
    workspace.close()


# ---- the file of tags -------------------------------------------------------------------


def test_a_torn_line_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    one, two = bytes(range(32)), bytes(32)
    assert (count_tags(tmp_path), read_tags(tmp_path)) == (0, [])
    keep_tags(tmp_path, [one])
    path = tmp_path / "keys" / "erased.tags"
    with path.open("ab") as file:
        file.write(b"00ff")
    assert (count_tags(tmp_path), read_tags(tmp_path)) == (1, [one])
    keep_tags(tmp_path, [two, one, two])
    assert read_tags(tmp_path) == [one, two]
    assert path.read_text() == f"{one.hex()}\n{two.hex()}\n"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["x" * 64 + "\n", "A" * 64 + "\n", "\n" * 65, "0" * 65])
def test_something_else_in_the_file_is_a_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "erased.tags").write_text(text)
    with pytest.raises(IntegrityError, match=r"erased\.tags"):
        read_tags(tmp_path)
