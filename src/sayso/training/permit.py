"""The permit: what a running job holds and must keep renewing.

Promises: asked for before the first step, it is refused under a hold on any country of the
snapshot, under rules that are others by now, for inputs that changed, and for a snapshot that
is too old; renewed before every step, it ends at the first step after a hold was published by
anybody. A ledger that does not answer is a no. Records that would be refused today, though
the snapshot admitted them, are left out and counted.

Renewing costs one indexed read of the ledger's size; only when it grew, or a minute passed
(a hold may begin by itself), is the rulebook read again. Choices made while a run goes on do
not stop it: `sayso release` and `sayso forget` look at them.

Example:
    >>> permit = Permit.ask(workspace, Path("first"))          # doctest: +SKIP
    >>> permit.renew(0)                                        # doctest: +SKIP
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sayso.errors import InputError, RefusedError, UnavailableError
from sayso.ledger import schema
from sayso.ledger.store import Ledger
from sayso.rulebook.in_force import InForce, in_force
from sayso.snapshot.manifest import Manifest, load_manifest
from sayso.snapshot.notes import read_notes
from sayso.training.objections import (
    Objection,
    Refusal,
    against_countries,
    changed_inputs,
    law_then,
    refused_today,
)
from sayso.workspace import Workspace

# A training set older than this is built again first: most choices and facts are newer.
MAX_AGE = timedelta(days=30)
# The rulebook is looked at again after so long, though nothing was published.
LOOK_AGAIN = timedelta(minutes=1)


class StoppedError(RefusedError):
    """A permit that was not renewed.

    Args:
        objections: Why.
        step: How many steps were done by then, as the job counts them.
    """

    def __init__(self, objections: tuple[Objection, ...], step: int) -> None:
        super().__init__(
            f"stopped before step {step}: {_told(objections)}",
            hint="what was written is sealed; build a snapshot that leaves them out, or wait",
        )
        self.objections = objections
        self.step = step

    @property
    def holds(self) -> tuple[str, ...]:
        """Ids of the holds."""
        return tuple(sorted({one.hold for one in self.objections if one.hold}))


def _told(objections: tuple[Objection, ...]) -> str:
    first = "; ".join(one.text for one in objections[:3])
    return f"{first}; and {len(objections) - 3} more" if len(objections) > 3 else first


@dataclass
class Permit:
    """Leave to learn from one snapshot, for now. Use `Permit.ask`.

    Attributes:
        manifest: Of the snapshot.
        at: When it was asked for.
        known: The ledger's size then.
        countries: Those that are asked about.
        refused: Records of the snapshot that would be refused today, by tag; none where a
            run forgets, which looked itself.
    """

    workspace: Workspace
    manifest: Manifest
    at: datetime
    known: int
    countries: tuple[str, ...]
    refused: dict[bytes, Refusal]
    _then: InForce = field(repr=False)
    _ledger: "_Size" = field(repr=False)
    _looked_at: datetime = field(repr=False)
    _size: int = field(repr=False)
    step: int = 0

    @classmethod
    def ask(
        cls,
        workspace: Workspace,
        snapshot: Path,
        purpose: str | None = None,
        *,
        max_age: timedelta = MAX_AGE,
        again: Collection[str] | None = None,
    ) -> "Permit":
        """Return leave to learn from a snapshot.

        Args:
            workspace: Where it was built.
            snapshot: The folder.
            purpose: What for; must be the snapshot's own. None: that one.
            max_age: How long after its instant a snapshot may be learned from.
            again: Of a run that exists, to let it forget: the countries whose shards are
                learned again. Only these are asked about, and neither the snapshot's age
                nor its inputs: they kept nobody from being in the run.

        Raises:
            InputError: There is no finished snapshot of this workspace there.
            IntegrityError: A file of it differs from the manifest, or was replaced by an
                erasure that this workspace did not sign.
            RefusedError: It is too old or from the future, for another purpose, made from
                inputs that changed, or a hold or other rules stand against it.
            UnavailableError: The ledger did not answer.
        """
        ledger = workspace.ledger
        known, at = ledger.size(), workspace.clock()
        manifest = _own_manifest(workspace, snapshot, known)
        if purpose is not None and purpose != manifest.purpose:
            raise RefusedError(
                f"the snapshot is for '{manifest.purpose}', not for '{purpose}'",
                hint="build one for this purpose",
            )
        if again is None:
            _check_age(manifest, at, max_age)
        if again is None and (changed := changed_inputs(workspace, snapshot, known)):
            raise RefusedError(
                f"the {' and the '.join(changed)} changed since the snapshot was built",
                hint="run 'sayso rebuild'",
            )
        counts = manifest.by_country
        own = [name for name in sorted(counts) if counts[name].admitted]
        countries = tuple(name for name in own if again is None or name in again)
        permit = cls(
            workspace, manifest, at, known, countries, {}, law_then(workspace, manifest),
            _Size(ledger), at, known,
        )  # fmt: skip
        permit.look()
        if again is None:
            permit.refused = refused_today(workspace, snapshot)
        return permit

    @property
    def left_out(self) -> frozenset[bytes]:
        """Tags of records that nothing may learn from."""
        return frozenset(self.refused)

    def look(self) -> None:
        """Read the rulebook that is published now.

        Raises:
            StoppedError: Something stands against a country of the snapshot.
        """
        size, at = self._ledger.read(), self.workspace.clock()
        now = in_force(self.workspace.rules(size).book, self.manifest.purpose, at)
        if objections := against_countries(self.countries, self._then, now):
            raise StoppedError(objections, self.step)
        self._size, self._looked_at = size, at

    def renew(self, step: int) -> None:
        """Return where the job may take its next step.

        Args:
            step: How many steps are done.

        Raises:
            StoppedError: A hold or another rule stands against it now.
            UnavailableError: The ledger did not answer.
        """
        self.step = step
        if (
            self._ledger.read() != self._size
            or self.workspace.clock() - self._looked_at >= LOOK_AGAIN
        ):
            self.look()

    def close(self) -> None:
        """Release the connection."""
        self._ledger.close()


def _own_manifest(workspace: Workspace, snapshot: Path, known: int) -> Manifest:
    """Return the manifest of a snapshot that this workspace built. Raises as `Permit.ask`."""
    manifest = load_manifest(snapshot)
    if workspace.ledger.latest("snapshot", known, manifest=manifest.digest) is None:
        raise InputError(
            f"'{snapshot}' is no snapshot of this workspace",
            hint="name the workspace it was built in",
        )
    # A file that an erasure replaced counts only by this workspace's own word.
    read_notes(snapshot, workspace.trust.keys)
    return manifest


def _check_age(manifest: Manifest, at: datetime, max_age: timedelta) -> None:
    age = at - manifest.at_instant
    if age < timedelta(0):
        raise RefusedError(
            f"the snapshot is as of {manifest.at}, which has not come", hint="wait, or build again"
        )
    if age > max_age:
        raise RefusedError(
            f"the snapshot is as of {manifest.at}, {age.days} days ago; {max_age.days} are allowed",
            hint="run 'sayso rebuild'",
        )


class _Size:
    """The ledger's size, read over one connection that stays open."""

    def __init__(self, ledger: Ledger) -> None:
        self._engine = ledger.engine
        self._con: sa.Connection | None = None
        self._query = sa.select(schema.head.c.size).compile(dialect=ledger.engine.dialect).string
        name = ledger.engine.url.database
        self._file = Path(name) if name and ledger.engine.dialect.name == "sqlite" else None

    def read(self) -> int:
        """Return it.

        Raises:
            UnavailableError: The database did not answer, or its file is gone.
        """
        # SQLite would go on reading a file that was taken away.
        if self._file is not None and not self._file.exists():
            raise _silent()
        driver: Any = self._engine.dialect.dbapi
        try:
            if self._con is None:
                plain = self._engine.connect()
                self._con = plain.execution_options(isolation_level="AUTOCOMMIT")
            cursor = self._con.connection.cursor()
            try:
                cursor.execute(self._query)
                size = cursor.fetchone()
            finally:
                cursor.close()
        except (sa.exc.SQLAlchemyError, driver.Error):
            self.close()
            raise _silent() from None
        if size is None:
            raise _silent()
        return int(size[0])

    def close(self) -> None:
        """Release the connection."""
        if self._con is not None:
            con, self._con = self._con, None
            con.close()


def _silent() -> UnavailableError:
    return UnavailableError(
        "the ledger did not answer, and so there is no permit",
        hint="nothing was lost; train again into the same folder once it answers",
    )
