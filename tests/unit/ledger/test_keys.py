"""Keys that were fetched a while ago are used only where they are still all of them."""

import pytest
import sqlalchemy as sa

from sayso.erasure import erase
from sayso.ledger import Ledger, schema
from sayso.ledger.keys import Fetched, MemberKeys
from sayso.tables import connect
from tests.town import START_US
from tests.unit.ledger.builders import say

WANTED = "SELECT * FROM (VALUES ('a'), ('b'), ('c')) t(member_id)"


def fetched(ledger: Ledger) -> Fetched:
    with ledger.reading() as con:
        return ledger.keys.fetch(con)


def ensured(ledger: Ledger, given: Fetched | None) -> dict[str, bytes]:
    """Return what `ensure_many` leaves, which must be what the database holds."""
    with connect(threads=1) as duck:
        with ledger.writing() as con:
            ledger.keys.ensure_many(con, duck, WANTED, fetched=given)
        left = dict(duck.sql("SELECT member_id, key FROM member_keys").fetchall())
    with ledger.reading() as con:
        table = schema.member_key.c
        held = {
            row.member_id: bytes(row.key)
            for row in con.execute(sa.select(table.member_id, table.key))
        }
    assert left == held
    return held


def test_what_stands_is_not_loaded_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        say(ledger, name)
    given = fetched(ledger)
    before = ensured(ledger, None)
    again = fetched(ledger)
    monkeypatch.setattr(MemberKeys, "load", None)
    assert ensured(ledger, again) == before
    assert set(before) == {"a", "b", "c"}
    with pytest.raises(TypeError):  # a key was made since
        ensured(ledger, given)


def test_a_key_made_since_is_seen(ledger: Ledger) -> None:
    say(ledger, "a")
    given = fetched(ledger)
    say(ledger, "b")
    assert set(ensured(ledger, given)) == {"a", "b", "c"}


def test_as_many_keys_after_an_erasure_are_others(ledger: Ledger) -> None:
    for name in ("a", "z"):
        say(ledger, name)
    given = fetched(ledger)
    erase(ledger, "z", START_US)
    say(ledger, "b")
    assert set(ensured(ledger, given)) == {"a", "b", "c"}


def test_the_table_is_known_before_the_database_has_the_keys(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(MemberKeys, "_insert", staticmethod(lambda *_: order.append("inserted")))
    with connect(threads=1) as duck, ledger.writing() as con:
        ledger.keys.ensure_many(con, duck, WANTED, lambda: order.append("known"))
    assert order == ["known", "inserted"]
