"""The open data of Polis consultations: what participants wrote.

Promises: one row per comment. Author ids count only within their conversation, so both
ids carry its name (the name of its folder). Author 0 is who organises the conversation,
not a person. Times come from the epoch column: `datetime` is printed in whatever zone
the server stood in, and newer files drop it. Votes, statistics and groups are not read.

Who could see a comment follows from moderation. Approved (1) is public; rejected (-1) is
private. Not moderated (0) is unknown: in the ten conversations at hand every such
comment has one vote, its author's own, so nobody else was shown it.

Example:
    with open_sink(Path("out"), None) as sink:
        read(Path("consultations"), sink)
        sink.finish("polis")
"""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sayso.errors import InputError
from sayso.sources.archive import clean, entry_of, label_of, reading
from sayso.sources.dialects import Quoting, open_rows
from sayso.sources.sink import Member, Record, Sink

# The whole data set is published under it; see its README.
LICENCE = "CC BY 4.0"
ORGANISER = "0"
VISIBILITY = {"1": "public", "-1": "private"}
NEEDED = frozenset({"timestamp", "comment-id", "author-id", "moderated", "comment-body"})
# Polis went online in 2012: an earlier time is not in milliseconds, or not a time.
EARLIEST = datetime(2012, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_COMMENTS = "comments.csv"
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)


def read(src: Path, sink: Sink) -> None:
    """Read one conversation's folder, or a folder of such folders.

    Raises:
        InputError: No conversation is there, or one cannot be read.
    """
    found = 0
    for folder in _conversations(src):
        name = clean(folder.resolve().name)
        for path in _children(folder):
            if path.name != _COMMENTS:
                sink.skip(f"{name}/{label_of(path.name)}", "not on the allow-list")
        if _read_conversation(name, folder / _COMMENTS, sink):
            found += 1
        else:
            sink.skip(f"{name}/{_COMMENTS}", "its header is not that of a Polis conversation")
    if not found:
        raise InputError(
            f"'{src.name}' holds no Polis conversation",
            hint="give a folder with a comments.csv, or a folder of such folders",
        )


def _conversations(src: Path) -> list[Path]:
    children = _children(src)
    if src / _COMMENTS in children:
        return [src]
    with reading(src.name):
        return [child for child in children if (child / _COMMENTS).is_file()]


def _children(folder: Path) -> list[Path]:
    with reading(folder.name):
        return sorted(folder.iterdir())


def _read_conversation(name: str, path: Path, sink: Sink) -> bool:
    """Read one file; returns whether it was a conversation."""
    rows = open_rows(entry_of(path), Quoting.DOUBLED)
    header = tuple(cell.strip() for cell in rows.header)
    if not set(header) >= NEEDED or len(set(header)) != len(header):
        return False
    if rows.encoding != "utf-8-sig":
        sink.skip(f"{name}/{_COMMENTS}", f"not UTF-8: read as {rows.encoding}")
    counts: Counter[str] = Counter()
    authors: set[str] = set()
    for _, cells in rows:
        record, author = _record(name, dict(zip(header, cells, strict=True)), counts)
        if author is not None and author not in authors:
            authors.add(author)
            status = "organisation" if author == ORGANISER else None
            sink.add_member(Member(f"{name}:{author}", status=status))
        if record is not None:
            sink.add_record(record)
    counts["rows with another number of cells than the header"] = rows.misshapen_rows
    for why, count in counts.items():
        if count:
            sink.skip(f"{name}/{_COMMENTS}", why, count)
    return True


def _record(
    name: str, row: Mapping[str, str], counts: Counter[str]
) -> tuple[Record | None, str | None]:
    """Return the record, None where it has no text, and its author's number if known."""
    author, number = _id(row["author-id"]), _id(row["comment-id"])
    counts["rows without an author: kept, author unknown"] += author is None
    text = row["comment-body"].replace("\r\n", "\n").strip()
    if not text:
        counts["rows without a text"] += 1
        return None, author
    written_at = _instant(row["timestamp"])
    visibility = VISIBILITY.get(row["moderated"].strip())
    # A seed that somebody other than the organiser put in may be anybody's words.
    is_seed = row.get("is-seed", "false").strip().lower() != "false" and author != ORGANISER
    counts["rows whose timestamp is not in milliseconds: kept, date unknown"] += written_at is None
    counts["rows that nobody moderated: kept, visibility unknown"] += visibility is None
    counts["rows that seed the conversation: kept, authorship unknown"] += is_seed
    record = Record(
        record_id=None if number is None else f"{name}:{number}",
        member_id=None if author is None else f"{name}:{author}",
        category="comment",
        visibility=visibility,
        authorship=None if is_seed else "own",
        context=name,
        written_at=written_at,
        licence=LICENCE,
        text=text,
    )
    return record, author


def _id(text: str) -> str | None:
    """Return a number in canonical form, or None."""
    text = text.strip()
    return str(int(text)) if _NUMBER.fullmatch(text) else None


def _instant(text: str) -> datetime | None:
    """Return the instant of a number of milliseconds since 1970."""
    number = _id(text)
    if number is None:
        return None
    try:
        instant = _EPOCH + timedelta(milliseconds=int(number))
    except OverflowError:
        return None
    return instant if instant >= EARLIEST else None
