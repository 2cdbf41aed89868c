"""Traces, with the questions of Hong Kong and Canada as cases."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from sayso.errors import InputError
from sayso.evidence.report_trace import (
    answer_of,
    builds_of,
    learned_of,
    trace_json,
    windows_of,
)
from sayso.evidence.trace import Build, HoldTrace, Publication, Relation, trace_hold
from sayso.ledger.store import PublicEntry
from sayso.model import DEFAULT_PURPOSE, Dated, Exactness, Position, Rulebook
from sayso.publishing import lifting, placing, template_files
from sayso.rulebook.parse import parse_rulebook
from sayso.snapshot.manifest import Counts

FILES = template_files("linkedin-2024")
BOOK = parse_rulebook(FILES)
HK, CA, GB = "hk-2024-10-11", "ca-2024-12-10", "gb-2024-09-18"


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def publication(entry: int, book: Rulebook, at: str = "2024-09-01T00:00Z") -> Publication:
    return Publication(entry, instant(at), book)


def build(entry: int, at: str, book: Rulebook = BOOK, **counts: Counts) -> Build:
    return Build(
        entry, instant("2026-01-01T00:00Z"), DEFAULT_PURPOSE, instant(at), entry, book.digest,
        f"{entry:064x}", counts or None,
    )  # fmt: skip


def traced(hold: str, *builds: Build) -> HoldTrace:
    return trace_hold(hold, [publication(0, BOOK)], builds)


# ---- worked case 5, and the days around it ----------------------------------------------


class Case(NamedTuple):
    hold: str
    at: str
    relation: Relation
    in_window: bool
    stopped: bool


CASES = (
    # What happens to data already collected? The window of 2024-09-18 to 2024-10-11.
    Case(HK, "2024-09-17T15:59:59Z", Relation.BEFORE, in_window=False, stopped=False),
    Case(HK, "2024-09-17T16:00:00Z", Relation.BEFORE, in_window=True, stopped=False),
    Case(HK, "2024-10-01T00:00:00Z", Relation.BEFORE, in_window=True, stopped=False),
    Case(HK, "2024-10-10T15:59:59Z", Relation.BEFORE, in_window=True, stopped=False),
    Case(HK, "2024-10-10T16:00:00Z", Relation.UNDER, in_window=False, stopped=True),
    Case(HK, "2025-11-02T15:59:59Z", Relation.UNDER, in_window=False, stopped=True),
    Case(HK, "2025-11-02T16:00:00Z", Relation.AFTER, in_window=False, stopped=False),
    # Paused by a day, and nobody says since when: unknown, never none.
    Case(CA, "2024-10-15T00:00:00Z", Relation.UNKNOWN, in_window=True, stopped=False),
    Case(CA, "2024-12-10T03:29:59Z", Relation.UNKNOWN, in_window=True, stopped=False),
    Case(CA, "2024-12-10T03:30:00Z", Relation.UNDER, in_window=False, stopped=True),
    Case(CA, "2025-11-03T08:00:00Z", Relation.AFTER, in_window=False, stopped=False),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.hold}@{case.at}")
def test_how_a_build_stands_to_a_hold(case: Case) -> None:
    trace = traced(case.hold, build(1, case.at))
    (touched,) = trace.builds

    assert touched.relation is case.relation
    assert touched.stopped is case.stopped
    assert touched.knew
    assert [one.build.entry for window in trace.windows for one in trace.inside(window)] == (
        [1] if case.in_window else []
    )


def test_the_window_of_hong_kong_is_answered() -> None:
    (window,) = traced(HK).windows

    assert window.countries == ("HK",)
    assert (window.begins, window.until) == (
        instant("2024-09-17T16:00Z"), instant("2024-10-10T16:00Z"),
    )  # fmt: skip
    assert window.days == 23
    assert window.is_exact
    assert [str(rule.withdrawal) for rule in window.rules] == ["future-runs"]
    assert traced(HK).inside(window) == ()


def test_the_window_of_canada_is_at_most() -> None:
    (window,) = traced(CA).windows

    assert not window.is_exact
    assert window.days is not None
    assert 82 < window.days < 83


def test_where_no_rule_permitted_before_there_is_no_window() -> None:
    assert traced(GB).windows == ()


# ---- counts -----------------------------------------------------------------------------


def counts(records_in: int, admitted: int, on_hold: int) -> Counts:
    refused = {"ON_HOLD": on_hold, "UNDER_AGE": records_in - admitted - on_hold}
    return Counts(records_in=records_in, admitted=admitted, refused=refused, reasons=refused)


def test_counts_are_those_of_the_scope() -> None:
    made = build(1, "2024-11-01T00:00Z", HK=counts(30, 0, 20), US=counts(50, 40, 0))

    (touched,) = traced(HK, made).builds

    assert (touched.records_in, touched.admitted, touched.on_hold) == (30, 0, 20)


def test_without_a_manifest_counts_are_unknown_and_not_zero() -> None:
    (touched,) = traced(HK, build(1, "2024-11-01T00:00Z")).builds

    assert (touched.records_in, touched.admitted, touched.on_hold) == (None, None, None)


# ---- both clocks ------------------------------------------------------------------------


def test_a_build_that_did_not_know_of_the_hold_slipped() -> None:
    edit, names = placing(
        "sg-1", "SG", purposes=(DEFAULT_PURPOSE,), begins=Dated(instant("2025-01-01T00:00Z")),
        placed_by="us", asked_by="", ordered_by="", condition="", source=None,
    )  # fmt: skip
    later = parse_rulebook(edit(FILES))
    books = [publication(0, BOOK), publication(5, later, "2025-06-01T00:00Z")]

    trace = trace_hold(
        names[0], books, [build(3, "2025-02-01T00:00Z"), build(6, "2025-02-01T00:00Z", later)]
    )

    assert [(one.knew, one.stopped, one.slipped) for one in trace.builds] == [
        (False, False, True), (True, True, False),
    ]  # fmt: skip
    assert trace.late == ()  # it was recorded before anybody published the hold
    late = trace_hold(names[0], books, [build(7, "2025-02-01T00:00Z")])
    assert [one.build.entry for one in late.late] == [7]


def test_versions_tell_what_changed() -> None:
    edit, names = placing(
        "sg-1", "SG", purposes=("*",), begins=Dated(instant("2025-01-01T00:00Z")),
        placed_by="us", asked_by="", ordered_by="", condition="", source=None,
    )  # fmt: skip
    placed = edit(FILES)
    lifted = lifting(
        names[0], lifted=Dated(instant("2025-08-01T00:00Z")), source=None, position=Position.NONE
    )(placed)
    books = [
        publication(entry, parse_rulebook(files), f"2025-0{entry + 1}-01T00:00Z")
        for entry, files in enumerate((FILES, placed, placed, lifted))
    ]

    trace = trace_hold("sg-1", books, [])

    assert [(one.entry, one.what) for one in trace.versions] == [(1, "placed"), (3, "lifted")]
    assert trace.published_at == instant("2025-02-01T00:00Z")


@pytest.mark.parametrize(
    ("begins", "lifted", "at", "relation"),
    [
        # Nobody knows since when: what was before its publication is unknown.
        (None, None, "2010-01-01T00:00Z", Relation.UNKNOWN),
        (None, None, "2025-03-01T00:00Z", Relation.UNDER),
        ("unknown", None, "2024-12-01T00:00Z", Relation.UNKNOWN),
        ("unknown", None, "2025-01-15T00:00Z", Relation.UNKNOWN),
        # Lifted by a day: between its beginning and that day it may have ended.
        ("exact", "by", "2025-01-15T00:00Z", Relation.UNKNOWN),
        ("exact", "by", "2024-12-15T00:00Z", Relation.BEFORE),
        ("exact", "by", "2025-07-01T00:00Z", Relation.AFTER),
        ("exact", "unknown", "2025-07-01T00:00Z", Relation.AFTER),
    ],
)
def test_what_is_not_exact_is_unknown(
    begins: str | None, lifted: str | None, at: str, relation: Relation
) -> None:
    def dated(day: str, exactness: str) -> Dated:
        return Dated(instant(f"{day}T00:00Z").date(), Exactness(exactness))

    begun = "unknown" if begins is None else f"{{date: 2025-01-01, exactness: {begins}}}"
    until = f"\n    lifted: {{date: 2025-06-01, exactness: {lifted}}}" if lifted else ""
    told = ", lifted: assumption" if lifted else ""
    files = dict(FILES)
    files["scopes/SG.yaml"] = f"""scope: SG
rules:
  - purpose: {DEFAULT_PURPOSE}
    from: always
    mode: not-enabled
    decided_by: platform
    source: {{from: assumption, mode: assumption, decided_by: assumption}}
holds:
  - id: sg-1
    purposes: ["*"]
    from: {begun}{until}
    placed_by: us
    source: {{from: assumption, placed_by: assumption{told}}}
"""
    book = parse_rulebook(files)

    trace = trace_hold("sg-1", [publication(0, book, "2025-02-01T00:00Z")], [build(1, at, book)])

    assert trace.builds[0].relation is relation


def test_a_group_has_midnights_of_its_own_countries() -> None:
    edit, names = placing(
        "eea-1", "EEA", purposes=(DEFAULT_PURPOSE,),
        begins=Dated(instant("2025-05-01T00:00Z").date()), placed_by="us", asked_by="",
        ordered_by="", condition="", source=None,
    )  # fmt: skip
    book = parse_rulebook(edit(FILES))

    trace = trace_hold(names[0], [publication(0, book)], [build(1, "2025-04-30T22:00Z", book)])

    (touched,) = trace.builds
    assert touched.relation is None
    assert "FR" in touched.relations[Relation.UNDER]
    assert "IE" in touched.relations[Relation.BEFORE]
    assert len(trace.countries) == sum(len(span.countries) for span in trace.spans)


def test_other_purposes_are_not_touched() -> None:
    other = build(1, "2025-01-01T00:00Z")

    assert traced(HK, replace(other, purpose="another")).builds == ()


# ---- training ---------------------------------------------------------------------------


def test_what_learned_from_a_build_is_followed() -> None:
    made = build(1, "2024-10-01T00:00Z")
    training = [
        PublicEntry(2, "training-run", 0, {
            "run": "r1", "before": "", "snapshot": made.manifest,
            "shards": {"HK-0": "a" * 64, "GB-0": "b" * 64},
        }),
        PublicEntry(3, "release", 0, {
            "release": "x1", "adapters": {"HK-0": "a" * 64, "GB-0": "b" * 64},
        }),
    ]  # fmt: skip

    trace = trace_hold(HK, [publication(0, BOOK)], [made], training)

    ((run,),) = (one.runs for one in trace.builds)
    assert (run.entry, list(run.adapters)) == (2, ["HK-0"])
    assert [(out.entry, out.disposition) for out in run.releases] == [(3, "served")]
    (row,) = learned_of(trace).rows
    assert row == ("2", "1", "before the hold", "HK-0", "none", "entry 3: served")
    told: Any = trace_json(trace)["builds"]
    assert told[0]["runs"][0]["releases"] == [
        {"entry": 3, "release": "x1", "disposition": "served"}
    ]


# ---- words ------------------------------------------------------------------------------


def test_the_answer_to_hong_kong() -> None:
    told = " ".join(answer_of(traced(HK)))

    assert "members in Hong Kong stood under a rule that permitted this use" in told
    assert "for 23 days: from 2024-09-18 00:00:00 in Hong Kong" in told
    assert "until 2024-10-11 00:00:00 in Hong Kong" in told
    assert "what was trained elsewhere is unknown here, not none" in told
    assert "models that learned then stay as they are" in told


def test_the_answer_to_canada_is_at_most() -> None:
    told = " ".join(answer_of(traced(CA, build(1, "2024-11-01T00:00Z"))))

    assert "for at most 83 days" in told
    assert "1 build is as of an instant at which the hold may or may not have stood" in told


def test_the_answer_of_a_wide_hold_is_short() -> None:
    edit, names = placing(
        "all", "world", purposes=("*",), begins=Dated(instant("2025-12-01T00:00Z")),
        placed_by="us", asked_by="", ordered_by="", condition="", source=None,
    )  # fmt: skip
    book = parse_rulebook(edit(FILES))

    trace = trace_hold(names[0], [publication(0, book)], [build(1, "2025-12-02T00:00Z", book)])

    assert len(trace.countries) > 200
    assert trace.builds[0].stopped
    assert len(answer_of(trace)) <= 4
    assert len(windows_of(trace).rows) == len(trace.windows) > 3


def test_small_counts_are_hidden() -> None:
    made = build(1, "2024-10-01T00:00Z", HK=counts(30, 4, 20))

    assert builds_of(traced(HK, made), "all").rows[0][4:] == ("fewer than 10", "20")


def test_a_hold_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no published hold 'nowhere'"):
        traced("nowhere")
