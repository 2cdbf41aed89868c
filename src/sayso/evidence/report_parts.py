"""Parts that reports share: counts as tables, rules and holds as a picture, instants as words.

Promises: numbers come from a manifest and are never typed in; every table of counts goes
through `sayso.evidence.suppress` as a whole, so that no table gives away what another hides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sayso.attest.issue import local_times
from sayso.decision.explain import SENTENCES
from sayso.evidence.report import Fact, Picture, Table
from sayso.evidence.suppress import Sum, Why, hide, shown
from sayso.model import REASONS, Country, Mode, Reason, Rule, Rulebook, Source
from sayso.rulebook.civil import COUNTRY_NAMES
from sayso.rulebook.in_force import WORLD, in_force, scopes_of
from sayso.rulebook.picture import written_day
from sayso.rulebook.timeline import TimelineRow, timeline_rows, timeline_svg
from sayso.snapshot.manifest import Counts, Manifest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Stands for all jurisdictions together among the keys of a table.
ALL = "*"
_MODES: Mapping[Mode, str] = {
    Mode.NOT_ENABLED: "not enabled",
    Mode.OPT_OUT: "opt-out: silence admits",
    Mode.OPT_IN: "opt-in: silence refuses",
}

Key = tuple[str, str]


# ---- words ------------------------------------------------------------------------------


def instant(at: datetime) -> str:
    """Return an instant as a report writes it: to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def instant_of(us: int) -> datetime:
    """Return an instant from microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def place(country: str) -> str:
    """Return a jurisdiction as a report names it."""
    name = COUNTRY_NAMES.get(country)
    return f"{country} {name}" if name else "country not known"


def name_of(country: str) -> str:
    """Return a jurisdiction as a sentence names it."""
    return COUNTRY_NAMES.get(country, "a country that is not known")


def names(countries: Sequence[str]) -> str:
    """Return several jurisdictions as a sentence names them; many are counted."""
    if len(countries) > 6:
        return f"{len(countries)} countries"
    *others, last = map(name_of, countries)
    return f"{', '.join(others)} and {last}" if others else last


def locally(at: datetime, countries: Sequence[str]) -> str:
    """Return an instant as clocks showed it, where it is of one country with one zone."""
    shown_ = local_times(Country(countries[0]), at) if len(countries) == 1 else []
    if len(shown_) != 1:
        return instant(at)
    clock = datetime.fromisoformat(shown_[0]["time"])
    city = shown_[0]["zone"].rpartition("/")[2].replace("_", " ")
    return f"{clock:%Y-%m-%d %H:%M:%S} in {city} ({instant(at)})"


def places(countries: Sequence[str]) -> str:
    """Return several jurisdictions; many are counted."""
    if len(countries) > 12:
        return f"{len(countries)} countries"
    return ", ".join(place(one) if len(countries) <= 3 else one for one in countries)


def sentence(reason: str) -> str:
    """Return the sentence of a reason."""
    return SENTENCES[Reason(reason)] if reason in set(REASONS) else reason


def plural(count: int, one: str, many: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many}"


# ---- counts -----------------------------------------------------------------------------


class Numbers:
    """The counts of one snapshot, as a reader may see them.

    Args:
        total: Of the whole.
        by_country: Its parts.
    """

    def __init__(self, total: Counts, by_country: Mapping[str, Counts]) -> None:
        self.countries = tuple(by_country)
        self.reasons = tuple(str(one) for one in REASONS if str(one) in total.reasons)
        parts = {ALL: total, **by_country}
        self._cells: dict[Key, int] = {}
        for name, counts in parts.items():
            self._cells[name, "in"] = counts.records_in
            self._cells[name, "admitted"] = counts.admitted
            self._cells[name, "refused"] = counts.records_in - counts.admitted
            for reason in self.reasons:
                self._cells[name, reason] = counts.refused.get(reason, 0)
        self._overlapping = total.reasons
        self._hidden = hide(self._cells, list(self._sums(parts)))

    def _sums(self, parts: Iterable[str]) -> Iterable[Sum[Key]]:
        for name in parts:
            yield Sum((name, "in"), ((name, "admitted"), (name, "refused")))
            yield Sum((name, "refused"), tuple((name, reason) for reason in self.reasons))
        for column in ("in", "admitted", "refused", *self.reasons):
            yield Sum((ALL, column), tuple((country, column) for country in self.countries))

    def cell(self, country: str, column: str) -> str:
        """Return one count, or why it is not shown."""
        key = (country, column)
        return shown(self._cells.get(key, 0), self._hidden.get(key))

    def by_jurisdiction(self, caption: str) -> Table:
        """Return what came in, was admitted and was refused, and for which first reasons."""
        rows = [
            (place(name), *(self.cell(name, one) for one in ("in", "admitted", "refused")),
             self._why(name))
            for name in self.countries
        ]  # fmt: skip
        total = ("All", *(self.cell(ALL, one) for one in ("in", "admitted", "refused")), "")
        return Table(
            caption,
            ("Jurisdiction", "Records in", "Admitted", "Refused", "Refused for"),
            (*rows, total),
            numbers=frozenset({1, 2, 3}),
            total=True,
            note=(
                "Where members live, as the platform counts it. Records in are those admitted and "
                "those refused, exactly; each counts under the first reason that stands against "
                "it. The next table explains the reasons."
            ),
        )

    def _why(self, country: str) -> str:
        """Return the first reasons with their counts; those that are hidden alike, together."""
        found: dict[Why | None, list[str]] = {}
        for reason in self.reasons:
            if count := self._cells[country, reason]:
                why = self._hidden.get((country, reason))
                found.setdefault(why, []).append(f"{reason} {count:,}" if why is None else reason)
        told = {None: "", Why.SMALL: "fewer than 10 each: ", Why.SECOND: "not shown: "}
        return "; ".join(told[why] + ", ".join(found[why]) for why in told if why in found)

    def by_reason(self, caption: str) -> Table:
        """Return the reasons with their sentences and counts."""
        rows = [
            (
                reason,
                sentence(reason),
                self.cell(ALL, reason),
                # What a count hides must not stand beside it under another name.
                self._overlap(reason),
            )
            for reason in self.reasons
        ]
        return Table(
            caption,
            ("Reason", "What it means", "First reason", "Among the reasons"),
            tuple(rows),
            numbers=frozenset({2, 3}),
            empty="No record was refused.",
        )

    def _overlap(self, reason: str) -> str:
        why = self._hidden.get((ALL, reason))
        if why is not None:
            return shown(0, why)
        return shown(self._overlapping.get(reason, 0))

    def of_country(self, country: str, caption: str) -> Table:
        """Return the counts of one country alone, by reason."""
        rows = [
            (reason, sentence(reason), self.cell(country, reason))
            for reason in self.reasons
            if self._cells.get((country, reason))
        ]
        admitted = self.cell(country, "admitted")
        rows.insert(0, ("(none)", "Admitted under the rules named.", admitted))
        rows.append(("All", "Records of members in this country.", self.cell(country, "in")))
        head = ("First reason", "What it means", "Records")
        return Table(caption, head, tuple(rows), numbers=frozenset({2}), total=True)


def numbers_of(manifest: Manifest) -> Numbers:
    """Return the counts of a snapshot, as a reader may see them."""
    return Numbers(manifest.counts, manifest.by_country)


def numbers_of_country(country: str, counts: Counts) -> Numbers:
    """Return the counts of one country alone: sums with other countries are not shown."""
    return Numbers(counts, {country: counts})


# ---- rules ------------------------------------------------------------------------------


def rules_table(book: Rulebook, purpose: str, at: datetime, countries: Iterable[str]) -> Table:
    """Return the rules in force at an instant, with where each applies and comes from."""
    current = in_force(book, purpose, at)
    unruled: list[str] = []
    by_place: dict[str, Rule] = {}
    where: dict[str, list[str]] = {}
    for country in countries:
        law = current.jurisdiction(country)
        if law is None or law.unruled:
            unruled.append(country)
        for held in law.rules if law else ():
            by_place[str(held.rule.place)] = held.rule
            where.setdefault(str(held.rule.place), []).append(country)
    rows = [
        (name, places(where[name]), rule_terms(rule), rule.decided_by, _source(rule))
        for name, rule in sorted(by_place.items())
    ]
    known = [country for country in unruled if country in COUNTRY_NAMES]
    note = (
        f"No rule was in force for {places(known)}: nothing of theirs is admitted." if known else ""
    )
    head = ("Rule", "Applies to members in", "What it says", "Decided by", "Source of its date")
    return Table(f"Rules in force as of {instant(at)}", head, tuple(rows), note=note,
                 empty="No rule was in force: nothing is admitted.")  # fmt: skip


def rule_terms(rule: Rule) -> str:
    """Return what a rule says, in a line."""
    begins = f"from {written_day(rule.begins)}" if rule.begins else "always"
    terms = [f"{_MODES[rule.mode]}, {begins}"]
    if rule.mode is not Mode.NOT_ENABLED:
        terms.append(f"{rule.minimum_age or 0} and over")
        if rule.notice:
            terms.append(f"notice {plural(rule.notice.days, 'day', 'days')} before")
        terms.append(f"withdrawal: {rule.withdrawal}")
    return "; ".join(terms)


def _source(rule: Rule) -> str:
    return titled(rule.sources.get("from") or rule.sources.get("mode"))


def titled(source: Source | None) -> str:
    """Return the title of a source; its address stands in the rulebook."""
    return "an assumption" if source is None or source.is_assumption else source.title


def only(book: Rulebook, countries: Iterable[str], purpose: str, at: datetime) -> Rulebook:
    """Return the part of a rulebook that speaks about some countries."""
    scopes: set[str] = set()
    for country in countries:
        mine = set(scopes_of(book, Country(country), at))
        ruled = {rule.scope for rule in book.rules if rule.purpose == purpose} & mine
        # The world's rules speak only where no narrower scope has any.
        scopes |= mine - {WORLD} if ruled - {WORLD} else mine
        scopes |= {hold.scope for hold in book.holds if hold.scope in mine}
    return replace(
        book,
        rules=tuple(rule for rule in book.rules if rule.scope in scopes),
        holds=tuple(hold for hold in book.holds if hold.scope in scopes),
    )


def picture(book: Rulebook, purpose: str, caption: str, marked: date, mark: str) -> Picture | None:
    """Return rules and holds against time, drawn and as a table; None where there are none."""
    rows = timeline_rows(book, purpose)
    if not rows:
        return None
    return Picture(
        svg=timeline_svg(book, purpose, today=marked, mark=mark),
        caption=caption,
        table=Table(
            "The same in words",
            ("Scope", "Kind", "What", "From", "Until", "By whom", "Source"),
            tuple(_timeline_row(row) for row in rows),
        ),
    )


def _timeline_row(row: TimelineRow) -> tuple[str, ...]:
    begins = str(row.begins) if row.begins else "not known" if row.kind == "hold" else "always"
    until = (
        str(row.until) if row.until else "still stands" if row.kind == "hold" else "still applies"
    )
    name = "everywhere else" if row.scope == WORLD else row.scope
    return (name, row.kind, row.label, begins, until, row.who, row.source or "an assumption")


def purpose_title(book: Rulebook, purpose: str) -> str:
    """Return what a purpose is called."""
    declared = book.purposes.get(purpose)
    return declared.title if declared else purpose


def question_facts(manifest: Manifest, book: Rulebook) -> tuple[Fact, ...]:
    """Return what a snapshot is pinned to."""
    asked = manifest.at_instant
    return (
        Fact("Purpose", purpose_title(book, manifest.purpose), manifest.purpose),
        Fact(
            "As of", instant(asked), "the instant asked about; rules, holds and ages count as of it"
        ),
        Fact(
            "Knowing",
            plural(manifest.known, "entry", "entries"),
            "how much of the ledger was looked at",
        ),
        Fact("Rulebook", manifest.rulebook.digest, f"published as entry {manifest.rulebook.entry}"),
        Fact(
            "Log", manifest.log.origin, f"root {manifest.log.root} at {manifest.log.size} entries"
        ),
        Fact("Manifest", manifest.digest, "SHA-256 of manifest.json, which holds all counts"),
        Fact(
            "Versions",
            f"semantics {manifest.versions.semantics}, time zones {manifest.versions.tzdata}",
        ),
    )
