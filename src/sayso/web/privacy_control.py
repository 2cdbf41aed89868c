"""Global Privacy Control: a browser that says off for what is shared outside.

Promises: an off, once, for every purpose that shares outside and has none; never an on, nothing
for a purpose that does not share, and nothing against an on that the member said since. Heard
on every request of a signed-in member.

Source: Global Privacy Control, section 3.1 (`Sec-GPC: 1`, and no other value).
"""

from collections.abc import Mapping

from sayso.model import Choice
from sayso.receipting import choices_of
from sayso.web.desk import Desk

HEADER, SAYS_SO, CHANNEL = "sec-gpc", "1", "gpc"


def says_so(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks not to have its person's data shared."""
    return headers.get(HEADER) == SAYS_SO


def obey(desk: Desk, who: str) -> bool:
    """Record an off for every purpose that shares outside and has none; return whether any was."""
    changed = False
    for name, purpose in desk.workspace.rules().book.purposes.items():
        if not purpose.sharing or desk.explain(who, name).choice is Choice.OFF:
            continue
        if not _was_heard(desk, who, name):
            desk.choose(who, Choice.OFF, purpose=name, channel=CHANNEL, setting_version=None)
            changed = True
    return changed


def _was_heard(desk: Desk, who: str, purpose: str) -> bool:
    """Whether the signal was recorded before: an on that came after it is the member's own."""
    ledger = desk.workspace.ledger
    said = choices_of(ledger, who, ledger.size())
    return any(one.purpose == purpose and one.channel == CHANNEL for one in said)
