"""Tracing in a workspace: what a trace reads, brought to what follows it.

Promises: one way for the command line and for `sayso.open`, so that both tell the same of a
hold, a rule or a member. Follows nothing itself; see `trace`, `trace_rule` and `trace_member`.

Example:
    >>> Tracer(ledger, trust).hold("hk-2024-10-11").windows[0].days      # doctest: +SKIP
    23.0
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sayso.attest.trust import Trust
from sayso.evidence.entries import Folders, publications
from sayso.evidence.pack_hold import trace_of
from sayso.evidence.trace import HoldTrace
from sayso.evidence.trace_member import MemberTrace, trace_member
from sayso.evidence.trace_rule import RuleTrace, find_rule, trace_rule
from sayso.ledger.store import Ledger
from sayso.model import DEFAULT_PURPOSE
from sayso.training.follow import training_entries


@dataclass(frozen=True)
class Tracer:
    """What a trace reads.

    Attributes:
        ledger: Whose entries are followed.
        trust: Who signed what stands in folders.
        snapshots: Folders of snapshots that the workspace does not know, such as copies.
    """

    ledger: Ledger
    trust: Trust
    snapshots: Sequence[Path] = ()

    def hold(self, hold_id: str) -> HoldTrace:
        """Return what a hold touches.

        Raises:
            InputError: No published rulebook holds it.
        """
        return trace_of(self.ledger, self._folders(), hold_id)

    def rule(
        self, scope: str, *, begins: str | None = None, purpose: str = DEFAULT_PURPOSE
    ) -> RuleTrace:
        """Return what the rule of a scope touches; see `find_rule` for `begins`.

        Raises:
            InputError: There is no such rule, or several and no date.
        """
        published = publications(self.ledger)
        rule = find_rule(published, purpose, scope, begins)
        builds = list(self._folders().builds(self.ledger))
        return trace_rule(
            rule, published, builds, training_entries(self.ledger, self.ledger.size())
        )

    def member(self, member: str) -> MemberTrace:
        """Return what holds something of a member, by the canonical text of their id.

        Raises:
            InputError: Nothing of the member stands here, or they were erased.
        """
        return trace_member(self.ledger, self.trust, self._folders(), member)

    def _folders(self) -> Folders:
        """Return the snapshots at hand.

        Raises:
            InputError: One of `snapshots` is no snapshot of this workspace.
            IntegrityError: The statement in a folder is not signed, or of another snapshot.
        """
        return Folders(self.ledger, self.trust, self.snapshots)
