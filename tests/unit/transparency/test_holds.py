"""What became of what was built before a hold: worked case 5, with training in it."""

from datetime import UTC, datetime

from sayso.evidence.suppress import Why
from sayso.evidence.trace import Build, Publication, Relation, trace_hold
from sayso.ledger.store import PublicEntry
from sayso.model import DEFAULT_PURPOSE
from sayso.publishing import template_files
from sayso.rulebook.parse import parse_rulebook
from sayso.snapshot.manifest import Counts
from sayso.transparency import HoldTold, tell_hold
from sayso.transparency.counts import Cell, Told

BOOK = parse_rulebook(template_files("linkedin-2024"))
AT = datetime(2026, 1, 1, tzinfo=UTC)
HK = "hk-2024-10-11"


def counts(admitted: int, off: int) -> Counts:
    refused = {"CHOSEN_OFF": off}
    return Counts(records_in=admitted + off, admitted=admitted, refused=refused, reasons=refused)


def build(entry: int, at: str, **by_country: Counts) -> Build:
    return Build(
        entry, AT, DEFAULT_PURPOSE, datetime.fromisoformat(at), entry, BOOK.digest,
        f"{entry:064x}", by_country or None,
    )  # fmt: skip


def told(*builds: Build, training: tuple[PublicEntry, ...] = (), hold: str = HK) -> HoldTold:
    trace = trace_hold(hold, [Publication(0, AT, BOOK)], builds, training)
    return tell_hold(
        trace, {one.entry: Told.of(one.counts) for one in builds if one.counts is not None}
    )


def entry(index: int, kind: str, **payload: object) -> PublicEntry:
    return PublicEntry(index, kind, 0, payload)


def test_the_window_and_what_was_built_in_it() -> None:
    found = told(build(3, "2024-10-01T00:00:00+00:00", HK=counts(120, 30), US=counts(400, 50)))

    (window,) = found.windows
    assert window.days == 23
    (one,) = found.before
    assert (one.entry, one.relation, one.countries) == (3, Relation.BEFORE, 1)
    assert one.admitted == Cell(120, None)
    assert (one.runs, one.releases, one.stopped) == (0, (), False)


def test_small_counts_are_not_told() -> None:
    found = told(build(3, "2024-10-01T00:00:00+00:00", HK=counts(4, 30), US=counts(400, 50)))

    assert found.before[0].admitted == Cell(None, Why.SMALL)


def test_a_training_set_that_is_not_at_hand() -> None:
    (one,) = told(build(3, "2024-10-01T00:00:00+00:00")).before

    assert not one.is_at_hand
    assert one.admitted == Cell(None, None)


def test_what_learned_and_what_became_of_it() -> None:
    made = build(3, "2024-10-01T00:00:00+00:00", HK=counts(120, 30))
    training = (
        entry(4, "training-run", run="r1", snapshot=made.manifest, before="",
              shards={"HK-0-of-2": "aa", "HK-1-of-2": "bb", "US-0-of-1": "cc"}),
        entry(5, "release", release="rel1", run="r1", adapters={"HK-0-of-2": "aa"}),
        entry(6, "release", release="rel2", run="r1", adapters={"US-0-of-1": "cc"}),
        entry(7, "disposition", run="r1", release="", shards=["HK-0-of-2"],
              disposition="forgotten", why=["hold"]),
        entry(8, "disposition", run="r1", release="rel1", shards=[], disposition="sealed",
              why=["ON_HOLD"]),
    )  # fmt: skip
    (one,) = told(made, training=training).before

    assert (one.runs, one.forgotten) == (1, 1)
    (release,) = one.releases
    assert (release.entry, release.disposition) == (5, "sealed")


def test_builds_under_and_after_it() -> None:
    found = told(
        build(3, "2025-01-01T00:00:00+00:00", HK=counts(0, 30)),
        build(4, "2025-12-01T00:00:00+00:00", HK=counts(50, 30)),
    )

    assert [one.relation for one in found.builds] == [Relation.UNDER, Relation.AFTER]
    assert [one.stopped for one in found.builds] == [True, False]
    assert found.before == ()


def test_a_day_that_is_not_known_is_unknown() -> None:
    found = told(build(3, "2024-11-01T00:00:00+00:00", CA=counts(40, 30)), hold="ca-2024-12-10")

    assert [one.relation for one in found.before] == [Relation.UNKNOWN]
    assert not found.windows[0].is_exact
