"""Connections for glances are given back once, however many threads give them back."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from sayso.errors import UnavailableError
from sayso.ledger.asking import Asking
from sayso.ledger.store import Ledger


class Emptied(list[tuple[ExitStack, Any]]):
    """A list that another thread empties between any look at it and what follows."""

    def __bool__(self) -> bool:
        some = len(self) > 0
        self.clear()
        return some


def test_two_may_give_the_connections_back(ledger: Ledger) -> None:
    asking = Asking(ledger)
    asking.sight()
    idle = Emptied(asking._idle)
    (stack, _) = idle[0]
    asking._idle = cast("list[tuple[ExitStack, Any]]", idle)

    asking.close()
    asking.close()
    stack.close()

    assert asking._idle == []
    assert asking.sight().size == ledger.size()
    asking.close()


def test_a_file_that_was_taken_away_answers_nothing(ledger: Ledger) -> None:
    name = ledger.engine.url.database
    if ledger.engine.dialect.name != "sqlite" or name is None:
        return  # a server's files are its own
    asking = Asking(ledger)
    asking.sight()
    Path(name).rename(f"{name}.away")

    for ask in (asking.sight, lambda: asking.look("7")):
        with pytest.raises(UnavailableError):
            ask()

    Path(f"{name}.away").rename(name)
    assert asking.sight().size == ledger.size()
    asking.close()
