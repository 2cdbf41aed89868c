"""The public dump of a Stack Exchange site.

Promises: reads users, questions, answers and comments row by row; a deleted author's row
keeps a null member_id. A post is its owner's own words only if nobody else edited it
last: otherwise it is `edited`. Quotations are cut out of a post, since they are other
people's words; the rest stands. Of a user only the id is kept: the dump knows no country,
no birth date (`Age` in old dumps is none) and no date since when.

Not seen: an edit by someone else that the owner edited over. The dump's PostHistory
would tell; it is not read.

Example:
    with open_sink(Path("out"), None) as sink:
        read(Path("dump"), sink)
        sink.finish("stackexchange")
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sayso.errors import InputError
from sayso.sources.archive import label_of
from sayso.sources.markup import to_text
from sayso.sources.sink import Member, Record, Sink

# The account that stands for the site. Source: the dump's own readme.
COMMUNITY = "-1"
QUESTION, ANSWER = "1", "2"
# Posts end at 30,000 characters of source; markup may grow tenfold.
MAX_BODY_CHARS = 1 << 20

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ID = re.compile(r"-?\d{1,19}", re.ASCII)
_MENTION = re.compile(r"(?<!\w)@(\w[\w.'\u2019-]*)")
_NOT_READ = "names, places, ages and texts about users are not read"


def read(src: Path, sink: Sink) -> None:
    """Read the folder of one site's dump; files that it lacks are fine.

    Raises:
        InputError: Not a folder, none of the files is there, or one is not what it says.
    """
    readers = {"users.xml": _users, "posts.xml": _posts, "comments.xml": _comments}
    found: dict[str, Path] = {}
    for path in _files(src):
        name = path.name.lower()
        if name not in readers or not path.is_file():
            sink.skip(label_of(path.name), "not on the allow-list")
        elif name in found:
            raise InputError(f"'{src.name}' holds '{name}' twice", hint="keep one of them")
        else:
            found[name] = path
    if not found:
        raise InputError(
            f"'{src.name}' holds none of Users.xml, Posts.xml and Comments.xml",
            hint="give the folder that the dump was unpacked to",
        )
    for name, reader in readers.items():
        if name in found:
            reader(found[name], sink)


def _files(src: Path) -> list[Path]:
    try:
        return sorted(src.iterdir())
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{src.name}' is not a folder that can be read",
            hint="give the folder that the dump was unpacked to",
        ) from error


def _rows(path: Path, root: str) -> Iterator[Mapping[str, str]]:
    """Yield the attributes of every `row` right below the root; keeps none of them.

    Raises:
        InputError: Not XML, another root, or something that only an attack would hold
            (a document type, an entity).
    """
    depth = 0
    top: Element | None = None
    try:
        with path.open("rb") as file:
            for event, element in iterparse(file, ("start", "end"), forbid_dtd=True):
                if event == "start":
                    depth += 1
                    if top is None:
                        top = element
                        if element.tag != root:
                            raise _not_a_dump(path, f"begins with another element than <{root}>")
                    continue
                depth -= 1
                if depth == 1 and top is not None:
                    if element.tag == "row":
                        yield element.attrib
                    top.clear()
    except ParseError as error:
        line, column = error.position
        raise _not_a_dump(path, f"breaks at line {line}, column {column}") from error
    except DefusedXmlException as error:
        raise _not_a_dump(path, "declares a document type or an entity") from error
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise _not_a_dump(path, f"cannot be read ({type(error).__name__})") from error


def _not_a_dump(path: Path, what: str) -> InputError:
    return InputError(f"'{path.name}' {what}", hint="unpack the dump again", file=path.name)


def _users(path: Path, sink: Sink) -> None:
    unknown = 0
    for row in _rows(path, "users"):
        member_id = _id(row.get("Id"))
        if member_id is None:
            unknown += 1
            continue
        status = "organisation" if member_id == COMMUNITY else None
        sink.add_member(Member(member_id, status=status))
    sink.skip(path.name, _NOT_READ)
    if unknown:
        sink.skip(path.name, "rows without an id", unknown)


def _posts(path: Path, sink: Sink) -> None:
    for row in _rows(path, "posts"):
        if row.get("PostTypeId") not in {QUESTION, ANSWER}:
            sink.skip(path.name, "rows that are neither question nor answer", 1)
            continue
        body = row.get("Body", "")
        if len(body) > MAX_BODY_CHARS:
            sink.skip(path.name, "rows longer than a post can be", 1)
            continue
        title = row.get("Title", "") if row["PostTypeId"] == QUESTION else ""
        text = "\n\n".join(part for part in (title.strip(), to_text(body)) if part)
        authorship = _authorship(row)
        if authorship is None:
            sink.skip(path.name, "rows edited by nobody knows whom: kept, authorship unknown", 1)
        _add(
            path,
            sink,
            row,
            category="post",
            author="OwnerUserId",
            authorship=authorship,
            mentions=[],
            text=text,
        )


def _comments(path: Path, sink: Sink) -> None:
    for row in _rows(path, "comments"):
        text = row.get("Text", "")
        names = [name.rstrip(".'\u2019-") for name in _MENTION.findall(text)]
        _add(
            path,
            sink,
            row,
            category="comment",
            author="UserId",
            authorship="own",
            mentions=list(dict.fromkeys(names)),
            text=text,
        )


def _add(
    path: Path,
    sink: Sink,
    row: Mapping[str, str],
    *,
    category: str,
    author: str,
    authorship: str | None,
    mentions: list[str],
    text: str,
) -> None:
    if not text.strip():
        sink.skip(path.name, "rows without a text of the author", 1)
        return
    written_at = _instant(row.get("CreationDate"))
    if written_at is None:
        sink.skip(path.name, "rows whose CreationDate is not a time: kept, date unknown", 1)
    deleted_at = None
    if "DeletionDate" in row:
        deleted_at = _instant(row["DeletionDate"])
        if deleted_at is None:
            sink.skip(path.name, "rows whose DeletionDate is not a time: kept as deleted", 1)
            deleted_at = EPOCH
    number = _id(row.get("Id"))
    if number is None:
        sink.skip(path.name, "rows without an id: kept, record_id unknown", 1)
    sink.add_record(
        Record(
            record_id=None if number is None else f"{category}-{number}",
            member_id=_id(row.get(author)),
            category=category,
            visibility="public",
            authorship=authorship,
            written_at=written_at,
            deleted_at=deleted_at,
            licence=row.get("ContentLicense"),
            mentions=mentions,
            text=text,
        )
    )


def _authorship(row: Mapping[str, str]) -> str | None:
    """Return `own`, `edited`, or None where someone edited and nobody knows who."""
    if "CommunityOwnedDate" in row:
        return "edited"
    editor = row.get("LastEditorUserId")
    if editor is not None:
        return "own" if _id(editor) == _id(row.get("OwnerUserId")) else "edited"
    if "LastEditorDisplayName" in row:
        return "edited"
    return None if "LastEditDate" in row else "own"


def _id(text: str | None) -> str | None:
    """Return an id in canonical form, or None."""
    if text is None or not _ID.fullmatch(text.strip()):
        return None
    return str(int(text))


def _instant(text: str | None) -> datetime | None:
    """Return the instant of `2014-01-21T20:26:05.383`, which is UTC."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text.strip())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
