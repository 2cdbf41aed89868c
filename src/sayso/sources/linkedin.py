"""The copy of their data that LinkedIn gives a member.

Promises: only the member's own words leave it. Files are admitted by header (see
`inventory`); messages, invitations, uploaded papers, job applications, other people's
words and what the platform inferred are passed over and reported. What the export does
not say stays unknown: it does not say where the member lives (the country of a
verification is that of a passport), shows visibility for shares alone and dates neither
profiles nor articles. A text without a date is carried
and will be refused by whoever asks when it was written.

Whose words: the member id stands at the end of some file names. Where those disagree or
are missing, and the caller names nobody, records keep a null member_id.

Example:
    with open_sink(Path("out"), None) as sink:
        read(Path("Complete_LinkedInDataExport.zip"), {}, sink)
        sink.finish("linkedin")
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from sayso.errors import InputError
from sayso.sources import inventory
from sayso.sources.archive import Entry, open_archive, reading
from sayso.sources.dialects import (
    Rows,
    encoding_of,
    open_rows,
    parse_day,
    parse_instant,
    read_head,
    unwrap_breaks,
)
from sayso.sources.inventory import Finding, Kind, Why
from sayso.sources.markup import to_text
from sayso.sources.sink import Member, Record, Sink

# The platform takes articles of up to 110,000 characters; markup may triple that.
MAX_ARTICLE_BYTES = 1 << 20

# Only what is certain. Anything else is unknown.
VISIBILITY = {
    "PUBLIC": "public",
    "MEMBER_NETWORK": "members",
    "LOGGED_IN": "members",
    "CONNECTIONS": "connections",
}

_NO_TEXT = "rows without a text of the member"
_NO_DATE = "rows whose date is missing or can be read in two ways: kept, date unknown"
_NO_VISIBILITY = "rows whose visibility is not a known word: kept, visibility unknown"
_NEVER_DATED = "does not say when it was written: kept, date unknown"
_NEVER_VISIBLE = "does not say who could see it: kept, visibility unknown"
_NO_RESIDENCE = (
    "an export does not say where the member lives, and a verified country may be that of a "
    "passport: country unknown"
)
_REPEATED = "rows that repeat the summary of the profile"
_MISSHAPEN = "rows with another number of cells than the header"
_URN = re.compile(r"urn:li:(\w+):\(?(?:\w+:)?(\d[\d-]*)", re.ASCII)
_SLUG_ID = re.compile(r"[-_](activity|share|ugcPost)-(\d+)", re.ASCII | re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d{2}", re.ASCII)


_DATED = (inventory.SHARES, inventory.COMMENTS, inventory.RECOMMENDATIONS)


@dataclass(frozen=True, slots=True)
class _Table:
    """A file on the allow-list, ready to be read."""

    entry: Entry
    kind: Kind


def read(src: Path, mapping: Mapping[str, str], sink: Sink) -> None:
    """Read one member's export.

    Args:
        src: The zip, or the folder that it was unpacked to, also with a folder within.
        mapping: `member_id`, used where file names do not tell it.
        sink: Takes the rows and the reasons.

    Raises:
        InputError: Not an export, more than one of them, or a file that cannot be read.
    """
    with open_archive(src) as archive:
        for label, why in archive.passed_over:
            sink.skip(label, why)
        findings = _look(archive.entries)
        tables = _admitted(src, findings, sink)
        root = _root(src, tables)
        articles = _articles(archive.entries, root, sink)
        if not articles and not any(found.is_known for _, found in findings):
            raise InputError(
                f"'{src.name}' holds no file of a LinkedIn export",
                hint="give the zip that LinkedIn sent, or its folder",
            )
        member_id = _member_id([found for _, found in findings], mapping)
        reader = _Reader(member_id, sink)
        for kind in inventory.ADMITTED:  # in this order: profile before its summary
            if kind.name in tables and kind is not inventory.VERIFICATIONS:
                reader.read_table(tables[kind.name])
        for entry in articles:
            reader.read_article(entry)
        verified = tables.get(inventory.VERIFICATIONS.name)
        reader.write_member(verified)


def _look(entries: tuple[Entry, ...]) -> list[tuple[Entry, Finding]]:
    """Tell what every table is; other files come with the articles."""
    return [
        (entry, inventory.kind_of_table(entry.path.name, read_head(entry)))
        for entry in entries
        if entry.path.suffix.lower() == ".csv"
    ]


def _admitted(src: Path, findings: list[tuple[Entry, Finding]], sink: Sink) -> dict[str, _Table]:
    tables: dict[str, _Table] = {}
    for entry, found in findings:
        if found.kind is None:
            sink.skip(entry.label, str(found.why))
        elif found.kind.name in tables:
            raise _several(src, f"two files of the kind '{found.kind.name}'")
        else:
            tables[found.kind.name] = _Table(entry, found.kind)
    return tables


def _root(src: Path, tables: Mapping[str, _Table]) -> PurePosixPath:
    """Return the folder that the export is, within the archive."""
    roots = {table.entry.path.parent for table in tables.values() if table.kind.at_root}
    if len(roots) > 1:
        raise _several(src, "files of exports in more than one folder")
    root = roots.pop() if roots else PurePosixPath()
    if any(root not in table.entry.path.parents for table in tables.values()):
        raise _several(src, "files of exports in more than one folder")
    return root


def _articles(entries: tuple[Entry, ...], root: PurePosixPath, sink: Sink) -> list[Entry]:
    articles = []
    for entry in entries:
        if entry.path.suffix.lower() == ".csv":
            continue
        folders = [part.lower() for part in entry.path.parts[:-1]]
        is_page = entry.path.suffix.lower() in {".html", ".htm"}
        if is_page and "articles" in folders and root in entry.path.parents:
            articles.append(entry)
        else:
            sink.skip(entry.label, str(Why.NOT_LISTED))
    return articles


def _member_id(findings: list[Finding], mapping: Mapping[str, str]) -> str | None:
    """Return the id that all file names agree on, else the caller's, else nobody's."""
    ids = {found.member_id for found in findings if found.member_id is not None}
    if len(ids) == 1:
        return ids.pop()
    return mapping.get("member_id")


def _several(src: Path, what: str) -> InputError:
    return InputError(f"'{src.name}' holds {what}", hint="give one member's export at a time")


class _Reader:
    """Reads the admitted files of one export into a sink."""

    def __init__(self, member_id: str | None, sink: Sink) -> None:
        self._member_id = member_id
        self._sink = sink
        self._ids: Counter[str] = Counter()
        self._birth_date: str | None = None
        self._summaries: set[str] = set()

    def read_table(self, table: _Table) -> None:
        """Read one table; what its rows lack is reported."""
        label = table.entry.label
        rows = self._open(table)
        if rows is None:
            return
        if rows.encoding != "utf-8-sig":
            self._sink.skip(label, f"not UTF-8: read as {rows.encoding}")
        counts: Counter[str] = Counter()
        for record in self._records(table.kind, rows):
            if record is None:
                counts[_NO_TEXT] += 1
                continue
            counts[_NO_DATE] += record.written_at is None
            counts[_NO_VISIBILITY] += record.visibility is None
            self._add(record)
        counts[_MISSHAPEN] = rows.misshapen_rows
        if table.kind not in _DATED:
            del counts[_NO_DATE]
            self._sink.skip(label, _NEVER_DATED)
        if table.kind is not inventory.SHARES:
            del counts[_NO_VISIBILITY]
            self._sink.skip(label, _NEVER_VISIBLE)
        for why, count in counts.items():
            if count:
                self._sink.skip(label, why, count)

    def _open(self, table: _Table) -> Rows | None:
        """Open a table, unless its header reads otherwise in full than at a glance."""
        rows = open_rows(table.entry, table.kind.quoting)
        if tuple(cell.strip().lower() for cell in rows.header) in table.kind.headers:
            return rows
        self._sink.skip(table.entry.label, str(Why.OTHER_HEADER))
        return None

    def _records(self, kind: Kind, rows: Rows) -> Iterator[Record | None]:
        """Yield a record for every row, or None where it holds no text of the member."""
        if kind is inventory.PROFILE:
            yield from self._profile(rows)
            return
        if kind is inventory.SKILLS:
            skills = _lines(*(cells[0] for _, cells in rows))
            yield self._record("profile", "skills", skills)
            return
        for _, cells in rows:
            row = dict(zip(kind.headers[0], cells, strict=True))
            if kind is inventory.SHARES:
                yield self._share(row)
            elif kind is inventory.COMMENTS:
                yield self._comment(row)
            elif kind is inventory.RECOMMENDATIONS:
                written_at = parse_instant(row["creation date"])
                yield self._record("recommendation", "recommendation", row["text"], written_at)
            elif kind is inventory.POSITIONS:
                text = _lines(row["title"], row["description"])
                yield self._record("profile", "position", text)
            elif kind is inventory.EDUCATION:
                text = _lines(row["degree name"], row["notes"], row["activities"])
                yield self._record("profile", "education", text)
            elif row["profile summary"].strip() in self._summaries:
                self._sink.skip(rows.entry.label, _REPEATED, 1)
            else:
                yield self._record("profile", "summary", row["profile summary"])

    def _profile(self, rows: Rows) -> Iterator[Record | None]:
        names = [cell.strip().lower() for cell in rows.header]
        found = [dict(zip(names, cells, strict=True)) for _, cells in rows]
        if len(found) != 1:
            self._sink.skip(
                rows.entry.label, "it should hold one profile, so it is left out", len(found)
            )
            return
        row = found[0]
        born = parse_day(row.get("birth date", ""))
        self._birth_date = born.isoformat() if born else None
        self._summaries.add(row["summary"].strip())
        yield self._record("profile", "headline", row["headline"])
        yield self._record("profile", "summary", row["summary"])

    def _share(self, row: Mapping[str, str]) -> Record | None:
        link = unquote(row["sharelink"])
        visibility = VISIBILITY.get(row["visibility"].strip().upper())
        if "urn:li:grouppost:" in link.lower():
            visibility = None  # the column does not know groups
        name = f"share-{_post_of(link)}" if _post_of(link) else "share"
        text = unwrap_breaks(row["sharecommentary"])
        return self._record("post", name, text, parse_instant(row["date"]), visibility)

    def _comment(self, row: Mapping[str, str]) -> Record | None:
        # Comments have no id of their own: post and time name them, as far as they go.
        written_at = parse_instant(row["date"])
        parts = ["comment", _post_of(unquote(row["link"]))]
        if written_at is not None:
            parts.append(f"{written_at:%Y%m%dT%H%M%S}")
        name = "-".join(part for part in parts if part)
        return self._record("comment", name, row["message"], written_at)

    def _record(
        self,
        category: str,
        name: str,
        text: str,
        written_at: datetime | None = None,
        visibility: str | None = None,
    ) -> Record | None:
        text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
        if not text:
            return None
        return Record(
            record_id=name,
            member_id=self._member_id,
            category=category,
            visibility=visibility,
            authorship="own",
            written_at=written_at,
            text=text,
        )

    def _add(self, record: Record) -> None:
        """Give the record its id: unique, and as far as it goes the same in a later export."""
        name = f"linkedin-{self._member_id or 'unknown'}-{record.record_id}"
        self._ids[name] += 1
        if self._ids[name] > 1:
            name = f"{name}.{self._ids[name]}"
        self._sink.add_record(record._replace(record_id=name))

    def read_article(self, entry: Entry) -> None:
        """Read one page. Whether it was published is not said, so visibility is unknown."""
        if entry.size_bytes > MAX_ARTICLE_BYTES:
            self._sink.skip(entry.label, "longer than an article can be", 1)
            return
        encoding = encoding_of(entry)
        with reading(entry.label), entry.open() as file:
            page = file.read(MAX_ARTICLE_BYTES + 1).decode(encoding)
        record = self._record("article", f"article-{entry.path.stem}", to_text(page))
        if record is None:
            self._sink.skip(entry.label, _NO_TEXT, 1)
            return
        self._sink.skip(entry.label, _NEVER_DATED)
        self._sink.skip(entry.label, _NEVER_VISIBLE)
        self._add(record)

    def write_member(self, verified: _Table | None) -> None:
        """Write the member's row: when they were born, from the profile and the verifications.

        Where these disagree, nothing is known. The country is that of residence, which no
        file tells: a document's is where it was issued.
        """
        years: set[str] = set()
        if verified is not None:
            for _, cells in self._open(verified) or ():
                row = dict(zip(verified.kind.headers[0], cells, strict=True))
                if _YEAR.fullmatch(row["year of birth"].strip()):
                    years.add(row["year of birth"].strip())
        born = self._birth_date or (next(iter(years)) if len(years) == 1 else None)
        if years - {(born or "")[:4]}:
            born = None
            self._sink.skip("members", "years of birth disagree: kept as unknown")
        if self._member_id is None:
            self._sink.skip("members", "the export does not say whose it is: no member written")
            return
        self._sink.skip("members", _NO_RESIDENCE)
        self._sink.add_member(Member(self._member_id, None, born))


def _lines(*parts: str) -> str:
    return "\n".join(part.strip() for part in parts if part.strip())


def _post_of(link: str) -> str:
    """Return the id that a link gives a post, or nothing; never the words of its address."""
    match = _URN.search(link) or _SLUG_ID.search(link)
    return match.group(2) if match else ""
