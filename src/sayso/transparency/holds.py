"""What became of data and releases from before each hold.

Promises: pure; every build that a hold concerns is told, before it, under it or at a point
that is not known; counts of records are told only where `sayso.transparency.counts` tells
those of every country in the scope. What was trained outside of this ledger is unknown and
never none.

Example:
    >>> [one.relation for one in tell_hold(trace, told).builds]              # doctest: +SKIP
    [<Relation.BEFORE: 'before'>]
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sayso.evidence.trace import HoldTrace, Relation, Touched, Window
from sayso.model import Hold
from sayso.training.follow import FollowedRun
from sayso.transparency.counts import ADMITTED, Cell, Told


@dataclass(frozen=True, slots=True)
class Learned:
    """A release that learned from records of the scope.

    Attributes:
        disposition: `served` where nothing was decided; else kept, sealed or forgotten.
    """

    entry: int
    run_entry: int
    release: str
    disposition: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Became:
    """A build that a hold concerns, and what became of it.

    Attributes:
        relation: How it stands to the hold, in some countries of the scope.
        countries: How many these are.
        admitted: Records of members there; a cell without count and reason is not at hand.
        is_at_hand: Whether its manifest is.
        stopped: Whether the hold refused all of its scope in it.
        runs: Runs that learned from them.
        forgotten: Shards of these whose adapter was dropped since.
        releases: Releases that hold such adapters.
    """

    entry: int
    recorded_at: datetime
    at: datetime
    relation: Relation
    countries: int
    admitted: Cell
    is_at_hand: bool
    stopped: bool
    runs: int
    forgotten: int
    releases: tuple[Learned, ...]


@dataclass(frozen=True, slots=True)
class HoldTold:
    """A hold, and what became of what was built before it.

    Attributes:
        published_at: When it was first published, by entry `published`.
        windows: When the use was permitted before it and no hold stood.
    """

    hold: Hold
    published: int
    published_at: datetime
    windows: tuple[Window, ...]
    builds: tuple[Became, ...]

    @property
    def before(self) -> tuple[Became, ...]:
        """Builds from before it, or that may be."""
        return tuple(
            one for one in self.builds if one.relation in {Relation.BEFORE, Relation.UNKNOWN}
        )


def tell_hold(trace: HoldTrace, told: Mapping[int, Told]) -> HoldTold:
    """Return what anybody may know of a hold.

    Args:
        trace: Of the hold.
        told: Entry of a snapshot -> its counts, where its manifest is at hand.
    """
    return HoldTold(
        hold=trace.hold,
        published=trace.versions[0].entry,
        published_at=trace.published_at,
        windows=trace.windows,
        builds=tuple(
            became for touched in trace.builds for became in _became(touched, told)
        ),
    )  # fmt: skip


def _became(touched: Touched, told: Mapping[int, Told]) -> Iterator[Became]:
    build = touched.build
    counts = told.get(build.entry)
    for relation, countries in touched.relations.items():
        runs = [run for run in touched.runs if _learned_in(run, countries)]
        yield Became(
            entry=build.entry,
            recorded_at=build.recorded_at,
            at=build.at,
            relation=relation,
            countries=len(countries),
            admitted=counts.of_scope(countries, ADMITTED) if counts else Cell(None, None),
            is_at_hand=counts is not None,
            stopped=touched.stopped,
            runs=len(runs),
            forgotten=sum(len(_of(run.forgotten, countries)) for run in runs),
            releases=tuple(
                Learned(out.entry, run.entry, out.release, out.disposition, out.why)
                for run in runs
                for out in run.releases
                if _of(out.adapters, countries)
            ),
        )


def _learned_in(run: FollowedRun, countries: tuple[str, ...]) -> bool:
    return bool(_of(tuple(run.adapters), countries))


def _of(shards: tuple[str, ...], countries: tuple[str, ...]) -> tuple[str, ...]:
    """Return the shards of some countries; the country is the first part of the name."""
    return tuple(one for one in shards if one.partition("-")[0] in countries)
