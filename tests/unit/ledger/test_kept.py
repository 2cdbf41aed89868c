"""What members gave the assistant: sealed under their key, theirs alone, gone when they say so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sayso.errors import ConflictError, IntegrityError, RefusedError
from sayso.ledger import schema
from sayso.ledger.erase import entomb
from sayso.ledger.kept import (
    RECORD,
    Kept,
    delete_kept,
    deleted_kept,
    keep,
    kept_id_of,
    kept_of,
    kept_of_all,
    size_and_deletions,
)
from sayso.ledger.store import Ledger, open_ledger
from tests.traces import traces

WORDS = b"zq-words-for-the-assistant"


@pytest.fixture
def ledger(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if database == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
    made = open_ledger(url, tmp_path)
    yield made
    made.close()


def test_a_member_reads_their_own_and_nobody_elses(ledger: Ledger) -> None:
    keep(ledger, "7", "b", b"second", 2)
    keep(ledger, "7", "a", b"first", 1)
    keep(ledger, "8", "c", b"others", 3)

    assert kept_of(ledger, "7") == [Kept("a", 1, b"first"), Kept("b", 2, b"second")]
    assert kept_of(ledger, "9") == []
    assert [(who, one.kept_id) for who, one in kept_of_all(ledger)] == [
        ("7", "a"), ("7", "b"), ("8", "c"),
    ]  # fmt: skip
    assert "first" not in repr(kept_of(ledger, "7"))


def test_what_stands_in_the_database_is_sealed(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path)
    keep(ledger, "7", "a", WORDS, 1)
    keep(ledger, "7", "b", WORDS, 1)

    assert traces([tmp_path], {WORDS}) == set()
    with ledger.reading() as con:
        sealed = [bytes(one) for one in con.execute(sa.select(schema.kept.c.sealed)).scalars()]
    assert sealed[0][12:] != sealed[1][12:]
    ledger.close()


@pytest.mark.parametrize("what", ["bytes", "id", "key"])
def test_what_was_changed_is_not_read(ledger: Ledger, what: str) -> None:
    keep(ledger, "7", "a", WORDS, 1)
    keep(ledger, "8", "b", WORDS, 1)
    with ledger.writing() as con:
        sealed = con.execute(sa.select(schema.kept.c.sealed)).scalars().first()
        change = {
            "bytes": sa.update(schema.kept).values(sealed=bytes(sealed or b"")[:-1] + b"\0"),
            "id": sa.update(schema.kept).where(schema.kept.c.kept_id == "a").values(kept_id="z"),
            "key": sa.update(schema.member_key).values(key=bytes(32)),
        }
        con.execute(change[what])

    with pytest.raises(IntegrityError, match="cannot be read"):
        kept_of(ledger, "7")


def test_what_is_deleted_leaves_its_id_and_nothing_else(ledger: Ledger) -> None:
    for kept_id in ("a", "b", "c"):
        keep(ledger, "7", kept_id, WORDS, 1)
    keep(ledger, "8", "d", WORDS, 1)

    before = size_and_deletions(ledger)
    assert delete_kept(ledger, "7", ["a", "d", "nothing"], 5) == ("a",)
    assert size_and_deletions(ledger) == (before[0], before[1] + 1)
    assert delete_kept(ledger, "7", ["a"], 6) == ()
    assert [one.kept_id for one in kept_of(ledger, "7")] == ["b", "c"]
    assert deleted_kept(ledger) == {("7", "a")}
    assert delete_kept(ledger, "7", None, 7) == ("b", "c")
    assert [one.kept_id for one in kept_of(ledger, "8")] == ["d"]
    with ledger.reading() as con:
        rows = con.execute(sa.select(schema.kept).where(schema.kept.c.member_id == "7")).mappings()
        assert {row["sealed"] for row in rows} == {None}


def test_an_id_is_taken_once(ledger: Ledger) -> None:
    keep(ledger, "7", "a", WORDS, 1)
    with pytest.raises(ConflictError):
        keep(ledger, "8", "a", WORDS, 1)


def test_nothing_is_kept_for_the_erased_and_nothing_stays(ledger: Ledger) -> None:
    keep(ledger, "7", "a", WORDS, 1)
    keep(ledger, "7", "b", WORDS, 1)
    delete_kept(ledger, "7", ["b"], 2)

    assert entomb(ledger, "7", 3).kept_rows == 2
    assert (kept_of(ledger, "7"), deleted_kept(ledger)) == ([], frozenset())
    with pytest.raises(RefusedError, match="erased"):
        keep(ledger, "7", "c", WORDS, 4)


def test_a_record_tells_what_it_was_made_of() -> None:
    assert kept_id_of(RECORD.format(kept_id="0a1b", part="asked")) == "0a1b"
    assert kept_id_of(RECORD.format(kept_id="0a1b", part="2")) == "0a1b"
    for other in ("r1", "assistant", "assistant--asked", "assistant-a-b-c", "my-assistant-a-b"):
        assert kept_id_of(other) == ""
