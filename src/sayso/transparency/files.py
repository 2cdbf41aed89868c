"""What the pages say, as tables with fixed columns, for machines.

Promises: the columns of a table and their order do not change within a major version; days and
instants are ISO 8601, instants in UTC; the CSV and the JSON of a table hold the same rows; no
cell of a CSV is taken for a formula; the data package says what each column means. Rows come in
counted and suppressed: see `sayso.transparency.counts`.

Example:
    >>> timeline_table(book, ["content-generation-training"]).to_csv()[:13]  # doctest: +SKIP
    b'purpose,scope'

Source: RFC 4180; Data Package 2.0 (datapackage.org); CSV injection as OWASP describes it.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sayso.evidence.trace import Build, Relation
from sayso.model import Country, Dated, Rulebook, Source
from sayso.rulebook.civil import COUNTRY_NAMES
from sayso.rulebook.timeline import timeline_rows
from sayso.transparency.counts import ADMITTED, ALL, IN, REFUSED, Cell, Told
from sayso.transparency.history import Change
from sayso.transparency.holds import HoldTold
from sayso.transparency.state import Course, say_so

Value: TypeAlias = str | int | bool | None
LICENCE = {
    "name": "CC-BY-4.0",
    "title": "Creative Commons Attribution 4.0",
    "path": "https://creativecommons.org/licenses/by/4.0/",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  wide signs count too


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `kind` is a type of Table Schema."""

    name: str
    kind: str
    about: str


@dataclass(frozen=True, slots=True)
class TableFile:
    """One table: what it holds, its columns, and its rows in their order."""

    name: str
    about: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def to_csv(self) -> bytes:
        """Return the table as CSV in UTF-8."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow([column.name for column in self.columns])
        writer.writerows([_cell(value) for value in row] for row in self.rows)
        return text.getvalue().encode("utf-8", "replace")

    def to_json(self) -> bytes:
        """Return the table as a list of objects."""
        names = [column.name for column in self.columns]
        rows = [dict(zip(names, row, strict=True)) for row in self.rows]
        return json.dumps(rows, indent=1).encode() + b"\n"


def _cell(value: Value) -> str:
    """Return a value as a cell that no spreadsheet runs; a number stays one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value


def data_package(
    tables: Iterable[TableFile],
    *,
    version: str,
    made_at: datetime | None,
    period: Mapping[str, Any],
) -> bytes:
    """Return the description of all tables.

    Args:
        tables: All of them.
        version: Digest of the rulebook that they were made from.
        made_at: When that was published; None before any was.
        period: What time they speak of.
    """
    resources = [
        _resource(table, kind, raw)
        for table in tables
        for kind, raw in (("csv", table.to_csv()), ("json", table.to_json()))
    ]
    told = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "sayso-transparency",
        "title": "Where training on what members wrote is on, off or held",
        "description": (
            "Made from the published rulebook and the ledger. Counts from 1 to 9 are not told, "
            "nor any from which one would follow. A record is admitted under a rule of the "
            "platform; that is never a finding that its use is lawful."
        ),
        "version": version,
        "licenses": [LICENCE],
        "period": period,
        "resources": resources,
    }
    if made_at is not None:
        told["created"] = _at(made_at)
    return json.dumps(told, indent=1).encode() + b"\n"


def _resource(table: TableFile, kind: str, raw: bytes) -> dict[str, Any]:
    return {
        "name": table.name if kind == "csv" else f"{table.name}-json",
        "path": f"{table.name}.{kind}",
        "description": table.about,
        "format": kind,
        "mediatype": "text/csv" if kind == "csv" else "application/json",
        "encoding": "utf-8",
        "bytes": len(raw),
        "hash": f"sha256:{hashlib.sha256(raw).hexdigest()}",
        "schema": {
            "fields": [
                {"name": one.name, "type": one.kind, "description": one.about}
                for one in table.columns
            ],
            "missingValues": [""],
        },
    }


# ---- parts of rows ----------------------------------------------------------------------

_DAYS = "a civil day in the country, or an instant"
_EXACT = "exact, by (that day or before), or unknown"


def _dated_columns(name: str, what: str) -> tuple[Column, Column]:
    return (
        Column(name, "string", f"{what}: {_DAYS}"),
        Column(f"{name}_exactness", "string", f"how well that is known: {_EXACT}"),
    )


def _dated(bound: Dated | None) -> tuple[Value, Value]:
    if bound is None:
        return (None, None)
    value = bound.value
    day = _at(value) if isinstance(value, datetime) else value.isoformat()
    return (day, str(bound.exactness))


_SOURCE = (
    Column("source", "string", "title of the source, or the word assumption"),
    Column("source_address", "string", "where it was read"),
)


def _sourced(source: Source | None) -> tuple[Value, Value]:
    if source is None:
        return ("assumption", None)
    return (source.title, source.address or None)


def _at(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _maybe_at(at: datetime | None) -> Value:
    return None if at is None else _at(at)


def _counted(cell: Cell, *, is_at_hand: bool = True) -> tuple[Value, Value]:
    if not is_at_hand:
        return (None, "not at hand")
    return (cell.number, cell.why.value if cell.why else None)


_COUNTED = (
    Column("records", "integer", "how many; empty where it is not told"),
    Column("suppressed", "string", "why it is not told: fewer than 10, not shown, not at hand"),
)


# ---- tables -----------------------------------------------------------------------------


def jurisdictions_table(atlases: Mapping[str, Mapping[Country, Course]]) -> TableFile:
    """Return the course of every country: one row per purpose, country and span."""
    return TableFile(
        "jurisdictions",
        "Where training is on, off or held: one row per purpose, country and time for which the "
        "same rules and holds stand, from always to ever, what is announced included.",
        (
            Column("purpose", "string", "what data would be used for"),
            Column("country", "string", "ISO 3166-1 alpha-2"),
            Column("country_name", "string", "its name in the tz database"),
            Column("state", "string", "held, on, on-where-chosen, or off"),
            *_dated_columns("begins", "first day of it; empty for always or not known"),
            Column("begins_at", "datetime", "the same as an instant"),
            *_dated_columns("until", "first day after it; empty while nothing is announced"),
            Column("until_at", "datetime", "the same as an instant"),
            Column("because", "string", "the rules or holds, by file and line or by id"),
            Column("say_so", "string", "who decided the rule or placed the hold"),
            Column("asked_by", "string", "who asked for the hold"),
            Column("ordered_by", "string", "who ordered the hold"),
            *_SOURCE,
        ),
        tuple(
            row
            for purpose, atlas in atlases.items()
            for country, course in atlas.items()
            for row in _jurisdiction_rows(purpose, country, course)
        ),
    )


def _jurisdiction_rows(
    purpose: str, country: Country, course: Course
) -> Iterator[tuple[Value, ...]]:
    for span in course:
        says = say_so(span)
        source: tuple[Value, Value] = _sourced(says[0].source) if says else (None, None)
        yield (
            purpose, country, COUNTRY_NAMES.get(country, country), str(span.state),
            *_dated(span.begins_day), _maybe_at(span.begins), *_dated(span.until_day),
            _maybe_at(span.until), "; ".join(one.name for one in says) or None,
            "; ".join(dict.fromkeys(one.who for one in says)) or None,
            "; ".join(dict.fromkeys(one.asked_by for one in says if one.asked_by)) or None,
            "; ".join(dict.fromkeys(one.ordered_by for one in says if one.ordered_by)) or None,
            *source,
        )  # fmt: skip


def timeline_table(book: Rulebook, purposes: Sequence[str]) -> TableFile:
    """Return rules and holds against time: one row per purpose, scope and beginning."""
    return TableFile(
        "timeline",
        "Rules and holds of each scope in time: what the picture of the timeline shows.",
        (
            Column("purpose", "string", "what data would be used for"),
            Column("scope", "string", "a country, a group of countries, or world"),
            Column("kind", "string", "rule or hold"),
            Column("label", "string", "what the rule says in short, or the id of the hold"),
            *_dated_columns("begins", "first day; empty for always (a rule) or not known (a hold)"),
            *_dated_columns("until", "first day after it; empty while it lasts"),
            Column("mode", "string", "of a rule: not-enabled, opt-out or opt-in"),
            Column("who", "string", "who decided the rule, or placed, asked for or ordered it"),
            _SOURCE[0],
        ),
        tuple(
            (
                purpose, row.scope, row.kind, row.label, *_dated(row.begins), *_dated(row.until),
                str(row.mode) if row.mode else None, row.who, row.source or "assumption",
            )
            for purpose in purposes
            for row in timeline_rows(book, purpose)
        ),
    )  # fmt: skip


def holds_table(holds: Iterable[HoldTold]) -> TableFile:
    """Return holds and what became of each build: one row per hold, build and relation."""
    return TableFile(
        "holds",
        "Each hold with what became of every training set that it concerns: one row per hold, "
        "training set and how this stands to the hold; one row without a training set for a "
        "hold that concerns none.",
        (
            Column("hold", "string", "its id in the rulebook"),
            Column("scope", "string", "a country, a group of countries, or world"),
            Column("purposes", "string", "what it stops; * for every purpose"),
            *_dated_columns("begins", "first day; empty where nobody knows"),
            *_dated_columns("lifted", "first day after it; empty while it stands"),
            Column("placed_by", "string", "who placed it"),
            Column("asked_by", "string", "who asked for it"),
            Column("ordered_by", "string", "who ordered it"),
            Column("condition", "string", "until when, in words"),
            *_SOURCE,
            Column("published_at", "datetime", "when it was first published"),
            Column("published_entry", "integer", "the entry of the ledger that did"),
            Column("snapshot", "integer", "the entry of a training set"),
            Column("as_of", "datetime", "the instant that the training set was built for"),
            Column("relation", "string", "before, under or after the hold, or unknown"),
            _COUNTED[0],
            _COUNTED[1],
            Column("runs", "integer", "trainings that learned from records of the scope"),
            Column("forgotten", "integer", "shards of these that were dropped since"),
            Column("releases", "string", "entry of each release that learned, what became of it"),
        ),
        tuple(row for hold in holds for row in _hold_rows(hold)),
    )


def _hold_rows(told: HoldTold) -> Iterator[tuple[Value, ...]]:
    hold = told.hold
    head: tuple[Value, ...] = (
        hold.hold_id, hold.scope, "; ".join(sorted(hold.purposes)), *_dated(hold.begins),
        *_dated(hold.lifted), hold.placed_by, hold.asked_by or None, hold.ordered_by or None,
        hold.condition or None, *_sourced(hold.sources.get("from")), _at(told.published_at),
        told.published,
    )  # fmt: skip
    if not told.builds:
        yield (*head, *(None,) * 8)
    for one in told.builds:
        releases = "; ".join(f"{out.entry} {out.disposition}" for out in one.releases)
        yield (
            *head, one.entry, _at(one.at), str(Relation(one.relation)),
            *_counted(one.admitted, is_at_hand=one.is_at_hand), one.runs, one.forgotten,
            releases or None,
        )  # fmt: skip


def changes_table(changes: Iterable[Change]) -> TableFile:
    """Return what each publication changed: one row per publication, thing and aspect."""
    return TableFile(
        "changes",
        "What each published rulebook changed: one row per publication, thing and aspect of it. "
        "A thing that is new is compared with the version that it follows, where there is one.",
        (
            Column("published_at", "datetime", "when the rulebook was published"),
            Column("entry", "integer", "the entry of the ledger that did"),
            Column("what", "string", "added, changed or removed"),
            Column("kind", "string", "wording, rule, hold, purpose or group"),
            Column("name", "string", "version, first day, id or name"),
            Column("purpose", "string", "what it is about"),
            Column("scope", "string", "a country, a group of countries, or world"),
            Column("language", "string", "of a wording, as BCP 47 writes it"),
            Column("aspect", "string", "what differs"),
            Column("before", "string", "what it said before; empty for nothing"),
            Column("after", "string", "what it says; empty for nothing"),
        ),
        tuple(
            (
                _at(one.recorded_at), one.entry, one.what, one.item.kind, one.item.name or None,
                one.item.purpose or None, one.item.scope or None, one.item.language or None,
                aspect, before or None, after or None,
            )
            for one in changes
            for aspect, before, after in (one.differences or (("", "", ""),))
        ),
    )  # fmt: skip


def snapshots_table(builds: Iterable[Build], told: Mapping[int, Told]) -> TableFile:
    """Return the counts of every snapshot: one row per snapshot, country and outcome."""
    return TableFile(
        "snapshots",
        "Records in every training set by country of residence and first reason. Counts from 1 "
        "to 9 are not told, nor any from which one would follow. A row that is missing says 0.",
        (
            Column("snapshot", "integer", "its entry of the ledger"),
            Column("recorded_at", "datetime", "when it was recorded"),
            Column("as_of", "datetime", "the instant that it was built for"),
            Column("purpose", "string", "what data would be used for"),
            Column("manifest", "string", "SHA-256 of its manifest"),
            Column("country", "string", "ISO 3166-1 alpha-2, unknown, or all together"),
            Column("outcome", "string", "in, admitted, refused, or the first reason of refusal"),
            *_COUNTED,
        ),
        tuple(row for build in builds for row in _snapshot_rows(build, told.get(build.entry))),
    )


def _snapshot_rows(build: Build, told: Told | None) -> Iterator[tuple[Value, ...]]:
    head: tuple[Value, ...] = (
        build.entry, _at(build.recorded_at), _at(build.at), build.purpose, build.manifest,
    )  # fmt: skip
    if told is None:
        yield (*head, "all", IN, None, "not at hand")
        return
    for country in (*told.countries, ALL):
        name = "all" if country == ALL else country if country in COUNTRY_NAMES else "unknown"
        for column in (IN, ADMITTED, REFUSED, *told.reasons):
            cell = told.cell(country, column)
            if cell.number != 0 or column in {IN, ADMITTED, REFUSED}:
                yield (*head, name, column, *_counted(cell))
