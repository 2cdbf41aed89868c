"""Connections for glances are given back once, however many threads give them back."""

from contextlib import ExitStack
from typing import Any, cast

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
