"""Never another history: what was restored, damaged or forged is not signed over."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sayso.errors import ConflictError, IntegrityError
from sayso.ledger import Ledger, schema
from sayso.ledger import integrate as module
from sayso.ledger.integrate import is_behind
from sayso.ledger.logged import check_log
from sayso.log import Checkpoint
from sayso.log.keys import SignerKey
from tests.unit.ledger.builders import say
from tests.unit.ledger.logs import (
    PLAIN,
    bring_in,
    fill,
    published_head,
    put_back,
    signed_row,
)
from tests.unit.log.signers import LOG, signed


def test_a_faster_integrator_wins(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a folder of its own, over the same database."""
    say(ledger, "m1")
    bring_in(ledger)
    say(ledger, "m2")
    plain: Any = vars(module)["extend"]

    def slow(*given: Any, **named: Any) -> None:
        plain(*given, **named)
        row = signed_row(ledger)
        assert row
        put_back(ledger, row | {"size": 2, "root": bytes(32)})

    monkeypatch.setattr(module, "extend", slow)
    with pytest.raises(ConflictError, match="signed first"):
        bring_in(ledger)
    published = published_head(ledger)
    assert published
    assert published.size == 1


def test_a_faster_integrator_wins_the_first_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(ledger, "m1")
    plain: Any = vars(module)["extend"]

    def slow(*given: Any, **named: Any) -> None:
        plain(*given, **named)
        put_back(ledger, {"one": 1, "size": 1, "root": bytes(32), "note": b"x"})

    monkeypatch.setattr(module, "extend", slow)
    with pytest.raises(ConflictError, match="signed first"):
        bring_in(ledger)
    assert published_head(ledger) is None


@pytest.mark.parametrize("first", [True, False])
def test_a_database_from_an_older_copy_signs_nothing(ledger: Ledger, first: bool) -> None:
    if not first:
        say(ledger, "m1")
        bring_in(ledger)
    copy = signed_row(ledger)
    say(ledger, "m2")
    bring_in(ledger)
    put_back(ledger, copy)
    say(ledger, "m3")

    with pytest.raises(IntegrityError, match="published checkpoint has"):
        bring_in(ledger)
    assert signed_row(ledger) == copy


def test_a_ledger_shorter_than_its_log_signs_nothing(ledger: Ledger) -> None:
    for number in range(3):
        say(ledger, f"m{number}")
    bring_in(ledger)
    before = signed_row(ledger)
    with ledger.writing() as con:  # as a backup from between two appends
        con.execute(sa.delete(schema.entry).where(schema.entry.c.index == 2))
        con.execute(sa.update(schema.head).values(size=2))

    with pytest.raises(IntegrityError, match="the log has 3 entries and the ledger 2"):
        bring_in(ledger)
    assert signed_row(ledger) == before


def test_a_restored_database_that_grew_past_the_log_is_noticed(ledger: Ledger) -> None:
    """Restored with its entries, and appended to; only the tiles know better."""
    for number in range(3):
        say(ledger, f"m{number}")
    bring_in(ledger)
    with ledger.writing() as con:
        con.execute(
            sa.update(schema.entry).where(schema.entry.c.index == 2).values(commitment=bytes(32))
        )
    say(ledger, "m4")
    done = bring_in(ledger)  # what was signed stays signed: entry 2 is the first one's
    assert done.size == 4
    with pytest.raises(IntegrityError, match="entry 2 of the log is not what the ledger"):
        check_log(ledger, PLAIN)


@pytest.mark.parametrize("name", ["tile/0/002.p/105", "tile/entries/002.p/105", "tile/1/000.p/2"])
def test_damaged_tiles_are_not_built_upon(ledger: Ledger, folder: Path, name: str) -> None:
    fill(ledger, folder)
    bring_in(ledger)
    before = signed_row(ledger)
    say(ledger, "m")
    place = folder / "log" / name
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(data)

    with pytest.raises(IntegrityError):
        bring_in(ledger)
    assert signed_row(ledger) == before


def test_missing_tiles_are_not_built_upon(ledger: Ledger, folder: Path) -> None:
    fill(ledger, folder)
    bring_in(ledger)
    say(ledger, "m")
    (folder / "log/tile/1/000.p/2").unlink()

    with pytest.raises(IntegrityError, match="is missing"):
        bring_in(ledger)


@pytest.mark.parametrize("by", [LOG, SignerKey.from_seed(LOG.name, bytes(32))])
def test_a_published_checkpoint_of_another_history_signs_nothing(
    ledger: Ledger, folder: Path, by: SignerKey
) -> None:
    for number in range(3):
        say(ledger, f"m{number}")
    bring_in(ledger)
    before = signed_row(ledger)
    say(ledger, "m")
    forged = signed(Checkpoint(LOG.name, 2, bytes(32)), by)
    (folder / "log/checkpoint").write_bytes(forged)

    with pytest.raises(IntegrityError):
        bring_in(ledger)
    assert signed_row(ledger) == before


@pytest.mark.parametrize("data", [b"", b"torn", b"\xff"])
def test_a_damaged_checkpoint_is_an_alarm(ledger: Ledger, folder: Path, data: bytes) -> None:
    say(ledger, "m")
    bring_in(ledger)
    (folder / "log/checkpoint").write_bytes(data)

    for ask in (bring_in, is_behind, lambda one: check_log(one, PLAIN)):
        with pytest.raises(IntegrityError, match="the published checkpoint is damaged"):
            ask(ledger)


def test_a_damaged_checkpoint_in_the_database_is_an_alarm(ledger: Ledger) -> None:
    say(ledger, "m")
    bring_in(ledger)
    row = signed_row(ledger)
    assert row
    for damaged in (row | {"size": 2}, row | {"root": bytes(32)}, row | {"note": b"torn"}):
        put_back(ledger, damaged)
        with pytest.raises(IntegrityError, match="the checkpoint in the database is damaged"):
            bring_in(ledger)


def test_an_entry_that_is_missing_is_named(ledger: Ledger, folder: Path) -> None:
    fill(ledger, folder)
    with ledger.writing() as con:
        con.execute(sa.delete(schema.entry).where(schema.entry.c.index == 612))

    with pytest.raises(IntegrityError, match="entry 612 of the ledger is missing"):
        bring_in(ledger)
    assert signed_row(ledger) is None


def test_an_entry_that_stands_twice_is_named(ledger: Ledger, folder: Path) -> None:
    fill(ledger, folder)
    with ledger.writing() as con:
        con.execute(sa.update(schema.segment).where(schema.segment.c.first == 10).values(first=9))

    with pytest.raises(IntegrityError, match="entry 9 of the ledger stands twice"):
        bring_in(ledger)


def test_a_missing_segment_is_named(ledger: Ledger, folder: Path) -> None:
    fill(ledger, folder)
    next((folder / "segments").glob("choices-*")).unlink()

    with pytest.raises(IntegrityError, match=r"segment 'choices-.*' is missing"):
        bring_in(ledger)


def test_a_commitment_of_another_length_is_an_alarm(ledger: Ledger) -> None:
    say(ledger, "m")
    with ledger.writing() as con:
        con.execute(sa.update(schema.entry).values(commitment=b"short"))

    with pytest.raises(IntegrityError, match="not 32 bytes"):
        bring_in(ledger)
