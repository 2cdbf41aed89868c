"""The report of a period in one country: what was in force, what was published, what was built.

Promises: pure; speaks of one country's numbers and of no other's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sayso.evidence import limits
from sayso.evidence.period import Period, Stretch
from sayso.evidence.report import Check, Claim, Fact, Picture, Report, Table
from sayso.evidence.report_parts import (
    ALL,
    instant,
    locally,
    numbers_of_country,
    place,
    plural,
    purpose_title,
    rule_terms,
    titled,
)
from sayso.evidence.trace import Build, Publication
from sayso.log import Policy
from sayso.snapshot.manifest import Counts

READER = (
    "For the authority of this country. The report tells this country's numbers alone; the signed "
    "manifests in the same pack hold those of all countries, since a part could not be checked."
)
PAST = (
    "Rules and holds are told as the rulebook named at the beginning has them, also for days "
    "before it was published. What was published on which day stands in a table of its own."
)
NONE = Counts(records_in=0, admitted=0, refused={}, reasons={})


@dataclass(frozen=True, slots=True)
class PeriodFacts:
    """What the report is made from.

    Attributes:
        publication: The rulebook by which the stretches are told.
        published: Rulebooks published in the period.
        builds: Snapshots recorded in the period, or as of an instant in it.
    """

    period: Period
    purpose: str
    publication: Publication
    stretches: tuple[Stretch, ...]
    published: tuple[Publication, ...]
    builds: tuple[Build, ...]
    policy: Policy
    picture: Picture | None
    checks: tuple[Check, ...]
    made_at: datetime


def report_period(facts: PeriodFacts) -> Report:
    """Return the report of a period."""
    period = facts.period
    country = place(period.country).partition(" ")[2]
    days = (period.last - period.first).days + 1
    open_days = sum(
        (one.until - one.begins).total_seconds() for one in facts.stretches if one.permits
    )
    held = sum((one.until - one.begins).total_seconds() for one in facts.stretches if one.holds)
    return Report(
        kind="Period",
        title=f"{country}, {period.first} to {period.last}",
        question=(
            f"Which rules and holds applied to members in {country} in this time, what was "
            "published, and what was built from their records?"
        ),
        made_at=instant(facts.made_at),
        reader=READER,
        answer=_answer(facts, country),
        figures=(
            Fact("days", f"{days:,}"),
            Fact("days on which a rule permitted the use", _days(open_days)),
            Fact("days under a hold", _days(held)),
            Fact("training sets", f"{len(facts.builds):,}", "recorded in it, or as of a day in it"),
        ),
        about=(
            Fact("Country", place(period.country), "where members live, as the platform counts it"),
            Fact("From", locally(period.begins, [period.country]), f"{period.first} begins"),
            Fact("Until", locally(period.until, [period.country]), f"{period.last} has ended"),
            Fact("Purpose", purpose_title(facts.publication.book, facts.purpose), facts.purpose),
            Fact(
                "Rulebook",
                facts.publication.book.digest,
                f"entry {facts.publication.entry}, published on "
                f"{instant(facts.publication.recorded_at)}",
            ),
        ),
        claims=_claims(facts),
        checks=facts.checks,
        numbers_title="What was in force, and numbers",
        tables=(
            _stretches(facts), _published(facts), _builds(facts),
            *(_reasons(facts, one) for one in facts.builds if one.counts is not None),
        ),
        picture=facts.picture,
        limits=(
            PAST, limits.ADMITTED, limits.SUBMITTED, limits.of_witnesses(facts.policy),
            limits.FACTS, limits.TIMES, limits.RECORDS, limits.FEW, limits.MODELS,
        ),
    )  # fmt: skip


def _answer(facts: PeriodFacts, country: str) -> tuple[str, ...]:
    first, last = facts.stretches[0], facts.stretches[-1]
    lines = [f"When the period began, {_state(first)}."]
    if len(facts.stretches) > 1:
        changes = plural(len(facts.stretches) - 1, "change", "changes")
        lines.append(f"After {changes}, when it ended, {_state(last)}.")
    sets = plural(len(facts.builds), "training set was", "training sets were")
    lines.append(
        f"{sets} recorded in this time or made as of an instant in it, with or without records "
        f"of members in {country}."
    )
    return tuple(lines)


def _state(one: Stretch) -> str:
    if one.holds:
        names = ", ".join(hold.hold_id for hold in one.holds)
        return f"{'a hold' if len(one.holds) == 1 else 'holds'} stopped the use ({names})"
    if one.unruled or not one.rules:
        return "no rule was in force, so that nothing was admitted"
    return "the rule in force said " + "; ".join(rule_terms(rule) for rule in one.rules)


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:,.4g}"


def _claims(facts: PeriodFacts) -> tuple[Claim, ...]:
    return (
        Claim(
            "The rules and holds of this period are those of the rulebook named.",
            f"entries/{facts.publication.entry}.json",
        ),
        Claim(
            f"In it, {plural(len(facts.published), 'rulebook was', 'rulebooks were')} published.",
            "entries/, with proofs/",
        ),
        Claim(
            f"{plural(len(facts.builds), 'training set', 'training sets')} and no more.",
            "entries/, with proofs/; counts in snapshots/, signed",
        ),
    )


def _stretches(facts: PeriodFacts) -> Table:
    return Table(
        "What was in force, without a gap",
        ("From", "Until", "State", "Rules", "Holds", "Source"),
        tuple(
            (
                instant(one.begins), instant(one.until),
                "permitted" if one.permits else "stopped" if one.holds else "not permitted",
                "; ".join(f"{rule.place}: {rule_terms(rule)}" for rule in one.rules)
                or "no rule had begun",
                "; ".join(f"{hold.hold_id} ({hold.place})" for hold in one.holds) or "none",
                _cited(one),
            )
            for one in facts.stretches
        ),
    )  # fmt: skip


def _cited(one: Stretch) -> str:
    sources = [rule.sources.get("from") for rule in one.rules]
    sources += [hold.sources.get("from") for hold in one.holds]
    return "; ".join(sorted({titled(source) for source in sources})) or "none"


def _published(facts: PeriodFacts) -> Table:
    return Table(
        "Rulebooks published in the period",
        ("Entry", "Published", "Digest"),
        tuple(
            (str(one.entry), instant(one.recorded_at), one.book.digest) for one in facts.published
        ),
        empty="No rulebook was published in this time.",
        note=PAST,
    )


def _builds(facts: PeriodFacts) -> Table:
    rows = []
    for one in facts.builds:
        counts = one.counts.get(facts.period.country, NONE) if one.counts is not None else None
        cells: tuple[str, ...] = ("not at hand",) * 3
        if counts is not None:
            numbers = numbers_of_country(facts.period.country, counts)
            cells = tuple(numbers.cell(ALL, name) for name in ("in", "admitted", "refused"))
        rows.append((str(one.entry), instant(one.recorded_at), instant(one.at), *cells))
    return Table(
        "Training sets, with the records of members in this country",
        ("Entry", "Recorded", "As of", "Records in", "Admitted", "Refused"),
        tuple(rows),
        numbers=frozenset({3, 4, 5}),
        empty="No training set was recorded in this time or made as of an instant in it.",
    )


def _reasons(facts: PeriodFacts, build: Build) -> Table:
    country = facts.period.country
    counts = (build.counts or {}).get(country, NONE)
    return numbers_of_country(country, counts).of_country(
        country, f"Entry {build.entry}, as of {instant(build.at)}: records by first reason"
    )


def period_json(facts: PeriodFacts) -> Mapping[str, object]:
    """Return what the report says, for machines; small counts are hidden here as well."""
    country = facts.period.country
    return {
        "country": country,
        "purpose": facts.purpose,
        "from": instant(facts.period.begins),
        "until": instant(facts.period.until),
        "rulebook": {"entry": facts.publication.entry, "digest": facts.publication.book.digest},
        "stretches": [
            {
                "from": instant(one.begins), "until": instant(one.until), "permits": one.permits,
                "rules": [str(rule.place) for rule in one.rules],
                "holds": [hold.hold_id for hold in one.holds], "no_rule_for": list(one.unruled),
            }
            for one in facts.stretches
        ],
        "published": [one.entry for one in facts.published],
        "builds": [
            {
                "entry": one.entry, "manifest": one.manifest, "at": instant(one.at),
                "recorded_at": instant(one.recorded_at), "counts": _counts_json(country, one),
            }
            for one in facts.builds
        ],
    }  # fmt: skip


def _counts_json(country: str, build: Build) -> dict[str, str] | None:
    if build.counts is None:
        return None
    counts = build.counts.get(country, NONE)
    numbers = numbers_of_country(country, counts)
    names = ("in", "admitted", "refused", *counts.refused)
    return {name: numbers.cell(ALL, name) for name in names}
