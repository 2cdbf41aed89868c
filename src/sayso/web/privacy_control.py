"""Global Privacy Control: a browser that says off for what is shared outside.

Promises: an off, once, for every purpose that shares outside and has none; never an on, and
nothing for a purpose that does not share. Heard on every request of a signed-in member.

Source: Global Privacy Control, section 3.1 (`Sec-GPC: 1`, and no other value).
"""

from collections.abc import Mapping

from sayso.model import Choice
from sayso.web.desk import Desk

HEADER, SAYS_SO, CHANNEL = "sec-gpc", "1", "gpc"


def says_so(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks not to have its person's data shared."""
    return headers.get(HEADER) == SAYS_SO


def obey(desk: Desk, who: str) -> None:
    """Record an off for every purpose that shares outside and has none."""
    for name, purpose in desk.workspace.rules().book.purposes.items():
        if purpose.sharing and desk.explain(who, name).choice is not Choice.OFF:
            desk.choose(who, Choice.OFF, purpose=name, channel=CHANNEL, setting_version=None)
