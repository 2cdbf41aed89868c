"""What the files of a LinkedIn export are, told by their headers.

Promises: a file is admitted only if its header is, cell by cell, one that is known for a
kind on the allow-list, and its name does not say otherwise. A header that looks like
messages is private whatever the file is called. Does not read rows.

Source: two public inventories of the header rows of real exports.

Example:
    >>> kind_of_table("Beitraege_9.csv", [list(SHARES.headers[0])]).member_id
    '9'
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from sayso.sources.archive import clean
from sayso.sources.dialects import Quoting

Header = tuple[str, ...]


class Why(StrEnum):
    """Why a file is passed over."""

    PRIVATE = "private"
    OTHERS = "another person's words or data"
    INFERRED = "inferred about the member, not said by them"
    NO_WORDS = "holds no words of the member"
    NOT_LISTED = "not on the allow-list"
    OTHER_HEADER = "its header is not the known one for this file"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file on the allow-list.

    Attributes:
        name: Stem of its English file name, lower case.
        headers: Those that are known for it, in lower case.
        quoting: How the platform writes it.
        by_header: Whether the header alone tells what it is, so that the file may have
            any name (exports in other languages translate names, not headers).
        at_root: Whether it lies in the folder that the export is.
    """

    name: str
    headers: tuple[Header, ...]
    quoting: Quoting = Quoting.DOUBLED
    by_header: bool = True
    at_root: bool = True


def _header(line: str) -> Header:
    return tuple(line.lower().split(","))


PROFILE = Kind(
    "profile",
    (
        _header(
            "First Name,Last Name,Maiden Name,Address,Birth Date,Headline,Summary,Industry,"
            "Zip Code,Geo Location,Twitter Handles,Websites,Instant Messengers"
        ),
        _header("First Name,Last Name,Headline,Summary,Industry,Geo Location"),
    ),
)
SUMMARY = Kind("profile summary", (_header("Profile Summary"),))
POSITIONS = Kind(
    "positions", (_header("Company Name,Title,Description,Location,Started On,Finished On"),)
)
EDUCATION = Kind(
    "education", (_header("School Name,Start Date,End Date,Notes,Degree Name,Activities"),)
)
# One column called Name could be anything.
SKILLS = Kind("skills", (_header("Name"),), by_header=False)
SHARES = Kind("shares", (_header("Date,ShareLink,ShareCommentary,SharedUrl,MediaUrl,Visibility"),))
COMMENTS = Kind("comments", (_header("Date,Link,Message"),), quoting=Quoting.BACKSLASH)
# Given and received have one header; only the name tells whose words they are.
RECOMMENDATIONS = Kind(
    "recommendations_given",
    (_header("First Name,Last Name,Company,Job Title,Text,Creation Date,Status"),),
    by_header=False,
)
VERIFICATIONS = Kind(
    "verifications",
    (
        _header(
            "First name,Middle name,Last name,Verification type,Organization name,"
            "Email address,Country,State,City,Year of birth,Issuing authority,Document type,"
            "Verification service provider,Verified date,Expiry date"
        ),
    ),
    at_root=False,
)

ADMITTED = (
    PROFILE,
    SUMMARY,
    POSITIONS,
    EDUCATION,
    SKILLS,
    SHARES,
    COMMENTS,
    RECOMMENDATIONS,
    VERIFICATIONS,
)
_BY_NAME = {kind.name: kind for kind in ADMITTED}
_BY_HEADER = {header: kind for kind in ADMITTED if kind.by_header for header in kind.headers}

# Any one of these columns makes a table private.
_PRIVATE_COLUMNS = frozenset(
    {
        "conversation id",
        "conversation title",
        "sender profile url",
        "recipient profile urls",
        "is message draft",
        "inviterprofileurl",
        "inviteeprofileurl",
        "private identity asset raw text",
        "question and answers",
        "contact phone number",
        "registration ip",
        "ip address",
    }
)

# Files known by name that are never admitted.
_NEVER = {
    **dict.fromkeys(
        (
            "messages",
            "guide_messages",
            "learning_coach_messages",
            "learning_role_play_messages",
            "learningcoachmessages",
            "coach_messages",
            "invitations",
            "private_identity_asset",
            "job applications",
            "job seeker preferences",
            "job applicant saved answers",
            "job applicant saved screening question responses",
            "saved jobs",
            "savedjobalerts",
            "email addresses",
            "phonenumbers",
            "whatsapp phone numbers",
            "registration",
            "logins",
            "searchqueries",
            "security challenges",
            "receipts",
            "receipts_v2",
        ),
        Why.PRIVATE,
    ),
    **dict.fromkeys(
        (
            "connections",
            "contacts",
            "importedcontacts",
            "recommendations_received",
            "endorsement_received_info",
            "endorsement_given_info",
            "member_follows",
            "company follows",
            "votes",
        ),
        Why.OTHERS,
    ),
    **dict.fromkeys(("ad_targeting", "inferences_about_you"), Why.INFERRED),
    **dict.fromkeys(
        ("reactions", "instantreposts", "saved_items", "saved_articles", "rich_media"),
        Why.NO_WORDS,
    ),
}
# Headers of files that are never admitted, for exports in other languages.
_NEVER_BY_HEADER = {
    _header("First Name,Last Name,Company,Job Title,Text,Creation Date,Status"): Why.OTHERS,
    _header("Date,Link,OptionText"): Why.OTHERS,
    _header("Date,Status,FullName"): Why.OTHERS,
    _header("Date,Type,Link"): Why.NO_WORDS,
    _header("Date,Link"): Why.NO_WORDS,
    _header("savedItem,CreatedTime"): Why.NO_WORDS,
    _header("Category,Type of inference,Description,Inference"): Why.INFERRED,
}

# The seven files whose names end in the member's id.
_SUFFIXED_HEADERS = {
    *SHARES.headers,
    *COMMENTS.headers,
    _header("Date,Type,Link"),
    _header("Date,Link,OptionText"),
    _header("Date,Link"),
    _header("Date,Status,FullName"),
    _header("savedItem,CreatedTime"),
}
_SUFFIXED = re.compile(r"(.+)_(\d{1,19})", re.ASCII | re.DOTALL)
_CONNECTIONS = frozenset({"first name", "last name", "connected on"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What a table turned out to be.

    Attributes:
        kind: What it is admitted as; None where it is passed over.
        why: Why it is passed over; None where it is admitted.
        is_known: Whether a LinkedIn export is known to have such a file.
        member_id: The id at the end of its name, where such a file has one.
    """

    kind: Kind | None
    why: Why | None
    is_known: bool = False
    member_id: str | None = None


def kind_of_table(name: str, head: list[list[str]]) -> Finding:
    """Tell what a table is from its name and its first rows."""
    bare, suffix = _split(PurePosixPath(clean(name)).stem)
    rows = [_normal(row) for row in head]
    header = rows[0] if rows else ()
    member_id = suffix if header in _SUFFIXED_HEADERS else None
    if _is_private(rows):
        return Finding(None, Why.PRIVATE, is_known=True)
    if bare in _NEVER:
        return Finding(None, _NEVER[bare], is_known=True, member_id=member_id)
    if not header:
        return Finding(None, Why.EMPTY)
    kind = _BY_NAME.get(bare) or _BY_HEADER.get(header)
    if kind is not None:
        if header not in kind.headers:
            return Finding(None, Why.OTHER_HEADER)
        return Finding(kind, None, is_known=kind.by_header, member_id=member_id)
    if header in _NEVER_BY_HEADER:
        return Finding(None, _NEVER_BY_HEADER[header], is_known=True, member_id=member_id)
    if any(_CONNECTIONS.issubset(row) for row in rows):  # behind a preamble of any length
        return Finding(None, Why.OTHERS, is_known=True)
    return Finding(None, Why.NOT_LISTED)


def _normal(row: list[str]) -> Header:
    return tuple(cell.strip().lower() for cell in row)


def _split(stem: str) -> tuple[str, str | None]:
    """Split `Shares_900` into the bare stem, lower case, and the id in canonical form."""
    match = _SUFFIXED.fullmatch(stem)
    if match is None:
        return stem.lower(), None
    return match.group(1).lower(), str(int(match.group(2)))


def _is_private(rows: list[Header]) -> bool:
    """Whether the header, behind a preamble or not, is that of a private table."""
    if rows and _PRIVATE_COLUMNS.intersection(rows[0]):
        return True
    return any(len(_PRIVATE_COLUMNS.intersection(row)) > 1 for row in rows)
