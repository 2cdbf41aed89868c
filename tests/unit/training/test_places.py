"""Where runs and releases stand: what a note that cannot be read must not do."""

from pathlib import Path

import pytest

from sayso.errors import IntegrityError
from sayso.training.places import BEGUN, NAME, RELEASES, RUNS, drop_place, note_place, places


def test_places_are_noted_and_dropped(tmp_path: Path) -> None:
    note_place(tmp_path, RUNS, "one", tmp_path / "run")
    assert places(tmp_path, RUNS) == {"one": tmp_path / "run"}
    assert places(tmp_path, RELEASES) == {}
    drop_place(tmp_path, RUNS, tmp_path / "run")
    assert places(tmp_path, RUNS) == {}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"runs": []}', b'{"runs": {"a": 7}}'])
def test_a_note_that_cannot_be_read_is_no_empty_one(tmp_path: Path, data: bytes) -> None:
    """A forgetting would pass over what it names, and the next note would overwrite it."""
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(IntegrityError, match="restore it from backup"):
        places(tmp_path, RUNS)
    with pytest.raises(IntegrityError):
        note_place(tmp_path, BEGUN, "", tmp_path / "run")
    assert (tmp_path / NAME).read_bytes() == data
