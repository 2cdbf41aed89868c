"""A town with packs: what the tests of packs share."""

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from sayso.canonical import canonical_json
from sayso.decision.states import microseconds
from sayso.evidence.pack_hold import pack_hold
from sayso.evidence.pack_member import pack_member
from sayso.evidence.pack_period import pack_period
from sayso.evidence.packs import Packed, Source, pack_snapshot
from sayso.evidence.period import parse_period
from sayso.ledger.kept import EXCHANGE, REASON, keep
from sayso.model import DEFAULT_PURPOSE
from sayso.workspace import Workspace
from sayso.writing import Exchange
from tests.town import AT
from tests.unit.snapshot.builders import Town, make_town

CREATED_US = microseconds(AT)
HK = "hk-2024-10-11"
# A member who chose, whose records were admitted in one snapshot and refused in another.
WHO = "m0001"
OTHER = "m0003"
WINDOW = datetime.fromisoformat("2024-10-01T00:00:00+00:00")

Make = Callable[[Source, Workspace, Path, Path], Packed]


def of_snapshot(source: Source, _: Workspace, town: Path, out: Path) -> Packed:
    return pack_snapshot(source, town / "base", out)


def of_member(source: Source, workspace: Workspace, _: Path, out: Path) -> Packed:
    return pack_member(source, workspace, WHO, out)


def of_hold(source: Source, _: Workspace, _town: Path, out: Path) -> Packed:
    return pack_hold(source, HK, out)


def of_period(source: Source, _: Workspace, _town: Path, out: Path) -> Packed:
    period = parse_period("HK", date(2024, 9, 1), date(2026, 1, 31))
    return pack_period(source, period, DEFAULT_PURPOSE, out)


KINDS: dict[str, Make] = {
    "snapshot": of_snapshot, "member": of_member, "hold": of_hold, "period": of_period,
}  # fmt: skip


def make_packed_town(folder: Path) -> None:
    """Make a town with two snapshots and some choices; copied, never changed."""
    town = make_town(folder)
    said = town.workspace.choose(WHO, "off", effective_at=WINDOW, channel="settings")
    for who in (WHO, OTHER):
        for kind, value in kept_values(who, said.index).items():
            keep(town.workspace.ledger, who, f"{kind}-{who}", canonical_json(value), 7, kind)
    town.workspace.build(town.content, folder / "window", at=WINDOW)
    town.workspace.choose(WHO, "on")
    town.workspace.build(town.content, folder / "base", at=AT)
    town.workspace.integrate()
    town.close()


def kept_values(who: str, entry: int) -> dict[str, dict[str, object]]:
    """Return a reason and a use of the assistant, in the words of a member."""
    reason = {"entry": entry, "purpose": DEFAULT_PURPOSE, "reason": f"the reason of {who}"}
    asked = Exchange("post", f"what {who} asked", (), (f"written for {who}",), "release 1a2b", "")
    return {REASON: reason, EXCHANGE: json.loads(asked.to_bytes())}


def source_of(town: Town) -> Source:
    return Source(town.workspace.ledger, town.workspace.trust, CREATED_US)


def make(kind: str, town: Town, out: Path) -> Packed:
    return KINDS[kind](source_of(town), town.workspace, town.folder, out)
