"""What the public pages are made from, read once for as long as nothing new was published.

Promises: read again as soon as a rulebook, training set, run, release or disposition was
entered; a choice or a member's row moves nothing here. Everything is made when a page first
asks for it. Holds no member.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from threading import Lock

import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa
from starlette.requests import Request

from sayso.errors import SaysoError
from sayso.evidence.article53 import Summary, summary_of
from sayso.evidence.entries import RULEBOOK, SNAPSHOT, Folder, Folders
from sayso.evidence.report_parts import instant_of
from sayso.evidence.trace import Build, Publication, trace_hold
from sayso.ledger import Ledger, schema
from sayso.ledger.store import PublicEntry
from sayso.model import Country, Rulebook
from sayso.publishing import NO_RULES
from sayso.rulebook.parse import parse_rulebook
from sayso.training.follow import KINDS, RELEASE, RUN, training_entries
from sayso.transparency import Change, Course, HoldTold, atlas_of, changes_of, tell_hold
from sayso.transparency.counts import Told
from sayso.transparency.files import (
    TableFile,
    changes_table,
    holds_table,
    jurisdictions_table,
    snapshots_table,
    timeline_table,
)
from sayso.web.request import desk_of
from sayso.workspace import Workspace

_READ = (RULEBOOK, SNAPSHOT, *KINDS)
_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class ReleaseTold:
    """A release, with the training set that it learned from.

    Attributes:
        summary: Of Article 53; None where the training set is not at hand.
        disposition: `served` where nothing was decided.
    """

    entry: int
    release: str
    recorded_at: datetime
    snapshot: int | None
    disposition: str
    summary: Summary | None


@dataclass
class Reading:
    """What stood in the ledger when it was read.

    Attributes:
        publications: Every published rulebook, in order.
        summaries: By digest of a manifest; kept from one reading to the next.
        counted: The same for counts: a snapshot does not change.
    """

    workspace: Workspace
    publications: Sequence[Publication]
    summaries: dict[str, Summary] = field(repr=False)
    counted: dict[str, Told] = field(repr=False)

    @property
    def published(self) -> Publication | None:
        """The last published rulebook; None before the first."""
        return self.publications[-1] if self.publications else None

    @property
    def book(self) -> Rulebook:
        """The last published rulebook; an empty one before the first."""
        return self.published.book if self.published else NO_RULES.book

    @property
    def purposes(self) -> tuple[str, ...]:
        """Purposes of training; writing for a member who asks is none."""
        return self.book.trainings

    @cached_property
    def atlases(self) -> Mapping[str, Mapping[Country, Course]]:
        """Purpose -> the course of every country."""
        return {purpose: atlas_of(self.book, purpose) for purpose in self.purposes}

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What each publication changed."""
        return changes_of(self.publications)

    @cached_property
    def folders(self) -> Folders:
        """The training sets that are at hand, with their signatures checked."""
        return Folders(self.workspace.ledger, self.workspace.trust)

    @cached_property
    def builds(self) -> tuple[Build, ...]:
        """Every training set."""
        return tuple(self.folders.builds(self.workspace.ledger))

    @cached_property
    def told(self) -> Mapping[int, Told]:
        """Entry of a training set -> its counts, where its manifest is at hand."""
        for one in self.builds:
            if one.counts is not None and one.manifest not in self.counted:
                self.counted[one.manifest] = Told.of(one.counts)
        return {
            one.entry: self.counted[one.manifest] for one in self.builds if one.counts is not None
        }

    @cached_property
    def _training(self) -> list[PublicEntry]:
        return training_entries(self.workspace.ledger, self.workspace.ledger.size())

    @cached_property
    def holds(self) -> tuple[HoldTold, ...]:
        """Every hold that a rulebook ever published, the first first."""
        names = dict.fromkeys(hold.hold_id for one in self.publications for hold in one.book.holds)
        traces = [
            trace_hold(name, self.publications, self.builds, self._training) for name in names
        ]
        found = [tell_hold(trace, self.told) for trace in traces]
        return tuple(sorted(found, key=lambda one: (str(one.hold.begins or ""), one.hold.hold_id)))

    @cached_property
    def releases(self) -> tuple[ReleaseTold, ...]:
        """Every release of the ledger, the newest first."""
        runs = {one.payload["run"]: one.payload for one in self._training if one.kind == RUN}
        builds = {one.manifest: one.entry for one in self.builds}
        became = {
            str(one.payload.get("release")): str(one.payload["disposition"])
            for one in self._training
            if one.kind == "disposition"
        }
        found = []
        for one in self._training:
            if one.kind == RELEASE:
                run = runs.get(one.payload["run"])
                snapshot = builds.get(str(run["snapshot"])) if run else None
                name = str(one.payload["release"])
                found.append(
                    ReleaseTold(
                        one.index, name, instant_of(one.recorded_us), snapshot,
                        became.get(name, "served"), self.summary(snapshot),
                    )
                )  # fmt: skip
        return tuple(reversed(found))

    def summary(self, entry: int | None) -> Summary | None:
        """Return the summary of a training set; None where it is not at hand."""
        folder = self.folders.by_entry.get(entry) if entry is not None else None
        if folder is None:
            return None
        manifest = folder.manifest
        book = next((one.book for one in self.publications
                     if one.book.digest == manifest.rulebook.digest), None)  # fmt: skip
        if book is None:
            return None
        if manifest.digest not in self.summaries:
            try:
                characters, categories = _words(folder)
            except (OSError, ValueError, SaysoError):
                return None
            recorded = next(one.recorded_at for one in self.builds if one.entry == entry)
            self.summaries[manifest.digest] = summary_of(
                manifest, book, characters=characters, categories=categories,
                updated=recorded.date(),
            )  # fmt: skip
        return self.summaries[manifest.digest]

    @cached_property
    def tables(self) -> Mapping[str, TableFile]:
        """Every table that can be fetched, by name."""
        found = (
            jurisdictions_table(self.atlases),
            timeline_table(self.book, self.purposes),
            holds_table(self.holds),
            changes_table(self.changes),
            snapshots_table(self.builds, self.told),
        )
        return {one.name: one for one in found}


def _words(folder: Folder) -> tuple[int, Mapping[str, int]]:
    """Return how many characters a training set holds, and its records by category."""
    characters = 0
    categories: Counter[str] = Counter()
    for bucket in folder.manifest.buckets.values():
        with pq.ParquetFile(folder.path / bucket.file) as file:
            for rows in file.iter_batches(_ROWS, columns=["category", "text"]):
                characters += int(pc.sum(pc.utf8_length(rows["text"])).as_py() or 0)
                for pair in pc.value_counts(rows["category"].drop_null()).to_pylist():
                    categories[pair["values"]] += pair["counts"]
    return characters, categories


class Shelf:
    """Keeps the last reading of a worker."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._size = -1
        self._marks: object = None
        self._reading: Reading | None = None
        self._parsed: dict[int, Publication] = {}
        self._summaries: dict[str, Summary] = {}
        self._counted: dict[str, Told] = {}

    def read(self, workspace: Workspace) -> Reading:
        """Return what stands in the ledger now."""
        with self._lock:
            ledger = workspace.ledger
            size = ledger.size()
            if self._reading is not None and size == self._size:
                return self._reading
            marks = _marks(ledger)
            if self._reading is None or marks != self._marks:
                made = Reading(
                    workspace, self._publications(ledger), self._summaries, self._counted
                )
                self._reading, self._marks = made, marks
            self._size = size
            return self._reading

    def _publications(self, ledger: Ledger) -> list[Publication]:
        for entry in ledger.public(RULEBOOK, ledger.size()):
            if entry.index not in self._parsed:
                self._parsed[entry.index] = Publication(
                    entry.index, instant_of(entry.recorded_us),
                    parse_rulebook(entry.payload["files"]),
                )  # fmt: skip
        return [self._parsed[index] for index in sorted(self._parsed)]


def _marks(ledger: Ledger) -> tuple[tuple[str, int], ...]:
    """Return the last entry of each kind that the pages are made from."""
    column = schema.entry.c
    query = (
        sa.select(column.kind, sa.func.max(column.index))
        .where(column.kind.in_(_READ))
        .group_by(column.kind)
        .order_by(column.kind)
    )
    with ledger.reading() as con:
        return tuple((str(kind), int(index)) for kind, index in con.execute(query).all())


def reading_of(request: Request) -> Reading:
    """Return what the public pages are made from."""
    state = request.app.state
    shelf: Shelf | None = getattr(state, "public_shelf", None)
    if shelf is None:
        shelf = state.public_shelf = Shelf()
    return shelf.read(desk_of(request).workspace)
