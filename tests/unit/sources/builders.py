"""Invented exports, dumps and tables, as the platforms write them."""

import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pyarrow.parquet as pq

from sayso.sources import ImportReport, import_source

Row = dict[str, Any]

MEMBER = "4711"
SHARES = f"Shares_{MEMBER}.csv"
COMMENTS = f"Comments_{MEMBER}.csv"

SHARES_HEADER = "Date,ShareLink,ShareCommentary,SharedUrl,MediaUrl,Visibility\n"
COMMENTS_HEADER = "Date,Link,Message\n"
POSITIONS_HEADER = "Company Name,Title,Description,Location,Started On,Finished On\n"
PROFILE_HEADER = (
    "First Name,Last Name,Maiden Name,Address,Birth Date,Headline,Summary,Industry,"
    "Zip Code,Geo Location,Twitter Handles,Websites,Instant Messengers\n"
)
RECOMMENDATIONS_HEADER = "First Name,Last Name,Company,Job Title,Text,Creation Date,Status\n"
VERIFICATIONS_HEADER = (
    "First name,Middle name,Last name,Verification type,Organization name,Email address,"
    "Country,State,City,Year of birth,Issuing authority,Document type,"
    "Verification service provider,Verified date,Expiry date\n"
)
MESSAGES_HEADER = (
    "CONVERSATION ID,CONVERSATION TITLE,FROM,SENDER PROFILE URL,TO,RECIPIENT PROFILE URLS,"
    "DATE,SUBJECT,CONTENT,FOLDER\n"
)

LINK = "https://www.linkedin.com/feed/update/urn%3Ali%3A"

# What must never come out: `SECRET` stands in every private or foreign text.
LINKEDIN: dict[str, str] = {
    "Profile.csv": PROFILE_HEADER
    + 'Mina,Muster,,Lane 1,"Feb 3, 1988",Keeper of lists,"I keep ""good"" lists.",Archives,'
    + '1,"Nowhere",[m],,\n',
    "Profile Summary.csv": 'Profile Summary\n"Another summary, longer."\n',
    "Positions.csv": POSITIONS_HEADER + "Acme,Clerk,Kept lists,Nowhere,Jan 2020,\n",
    "Education.csv": "School Name,Start Date,End Date,Notes,Degree Name,Activities\n"
    "Some School,2001,2004,Wrote a thesis on lists,BA,\n",
    "Skills.csv": "Name\nLists\nFiling\n",
    SHARES: SHARES_HEADER
    + f'2025-03-01 10:00:00,{LINK}ugcPost%3A71,"A ""fine"" list.",,,PUBLIC\n'
    + f'2025-03-02 10:00:00,{LINK}share%3A72,"First.""\n""Second, ""too"".",,,MEMBER_NETWORK\n'
    + f"2025-03-03 10:00:00,{LINK}activity%3A73,,https://example.org/a,,PUBLIC\n",
    COMMENTS: COMMENTS_HEADER
    + f'2025-03-04 10:00:00,{LINK}activity%3A81,"The \\"old\\" list, \n\nI mean."\n'
    + f",{LINK}activity%3A81,Without a date\n",
    "Recommendations_Given.csv": RECOMMENDATIONS_HEADER
    + "Some,Body,Acme,Clerk,Files everything at once,12 May 2024,VISIBLE\n",
    "Verifications/Verifications.csv": VERIFICATIONS_HEADER
    + "Mina,,Muster,Identity,,,Portugal,,,1988,Office,Passport,Check,12 Jun 2024,\n",
    "Articles/Articles/on-lists-a1b2.html": "<html><head><title>t</title></head><body>"
    "<h1>On lists</h1><p>Make them short.</p><blockquote>SECRET quote</blockquote></body></html>",
    "Recommendations_Received.csv": RECOMMENDATIONS_HEADER
    + "Some,Body,Acme,Clerk,SECRET praise,12 May 2024,VISIBLE\n",
    "messages.csv": MESSAGES_HEADER
    + "c1,,Mina,,Some,,2025-03-01 10:00:00 UTC,,SECRET note,INBOX\n",
    "guide_messages.csv": MESSAGES_HEADER + "g1,,Mina,,Guide,,2025-03-01 10:00:00 UTC,,SECRET,X\n",
    "LearningCoachMessages.csv": "No conversations found\n",
    "Invitations.csv": "From,To,Sent At,Message,Direction,inviterProfileUrl,inviteeProfileUrl\n"
    'Mina,Some,"9/5/25, 1:12 AM",SECRET hello,OUTGOING,,\n',
    "Private_identity_asset.csv": "Private Identity Asset Name,Private Identity Asset Raw Text\n"
    "cv.pdf,SECRET life\n",
    "Jobs/Job Applications.csv": "Application Date,Contact Email,Contact Phone Number,"
    "Company Name,Job Title,Job Url,Resume Name,Question And Answers\n"
    '"6/20/25, 10:11 PM",m@example.org,1,Acme,Clerk,,cv.pdf,SECRET salary\n',
    "Connections.csv": 'Notes:\n"Some SECRET words about addresses."\n\n'
    "First Name,Last Name,URL,Email Address,Company,Position,Connected On\n"
    "Some,Body,,,SECRET Ltd,Clerk,05 Sep 2025\n",
    f"Votes_{MEMBER}.csv": f"Date,Link,OptionText\n2025-03-01 10:00:00,{LINK}x,SECRET option\n",
    f"Reactions_{MEMBER}.csv": f"Date,Type,Link\n2025-03-01 10:00:00,LIKE,{LINK}x\n",
    "Ad_Targeting.csv": "Member Age,Company Names,Company Names\n35-54,SECRET,SECRET\n",
    "Inferences_about_you.csv": "Category,Type of inference,Description,Inference\nA,B,C,SECRET\n",
    "Learning.csv": "Content Title,Content Saved,\nLists 101,SECRET,\n",
    "Rich_Media.csv": "Date/Time,Media Description,Media Link\n"
    '"You uploaded a photo on April 12, 2025 at 8:03 AM (GMT)",SECRET,-\n',
}


def write_folder(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def write_zip(path: Path, files: Mapping[str, str | bytes], inside: str = "") -> Path:
    """Write files into a zip, at will below a folder in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in files.items():
            bundle.writestr(inside + name, text)
    return path


def xml(root: str, *rows: Mapping[str, str]) -> bytes:
    """Return one file of a dump, with its BOM."""
    lines = "".join(
        "  <row " + " ".join(f"{name}={quoteattr(value)}" for name, value in row.items()) + " />\n"
        for row in rows
    )
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    return f"{head}<{root}>\n{lines}</{root}>\n".encode("utf-8-sig")


STACKEXCHANGE: dict[str, bytes] = {
    "Users.xml": xml(
        "users",
        {"Id": "-1", "DisplayName": "Community", "Location": "on the server"},
        {"Id": "7", "DisplayName": "mina", "Age": "17", "AboutMe": "<p>SECRET</p>"},
    ),
    "Posts.xml": xml(
        "posts",
        {
            "Id": "1",
            "PostTypeId": "1",
            "CreationDate": "2014-01-22T10:00:00.123",
            "OwnerUserId": "7",
            "Title": "How long?",
            "Body": "<p>A list &amp; more.</p>\n<blockquote><p>SECRET</p></blockquote><p>End</p>",
            "ContentLicense": "CC BY-SA 3.0",
        },
    ),
    "Comments.xml": xml(
        "comments",
        {
            "Id": "5",
            "PostId": "1",
            "Text": "@mina, and @O'Hara. or a@b",
            "CreationDate": "2014-01-23T10:00:00.000",
            "UserId": "7",
        },
    ),
}

POLIS_HEADER = "timestamp,datetime,comment-id,author-id,agrees,disagrees,moderated,comment-body\n"
POLIS = (
    POLIS_HEADER
    + "1651682293119,Wed May 04 23:38:13 WIB 2022,12,29,3,1,-1,Turned down\n"
    + '1651071094558,Wed Apr 27 07:51:34 PDT 2022,13,0,9,0,1,"A seed, ""quoted"""\n'
    + "1651071094559,Wed Apr 27 07:51:34 PDT 2022,14,29,9,0,1,A thought\n"
    + "1651071094560,Wed Apr 27 07:51:34 PDT 2022,15,30,1,0,0,Nobody looked\n"
)


def run(
    kind: str, src: Path, out: Path, mapping: Mapping[str, str] | None = None
) -> tuple[ImportReport, list[Row], list[Row]]:
    """Import and read back: report, members, content."""
    report = import_source(kind, src, out, mapping=mapping)
    members: list[Row] = pq.read_table(out / "members.parquet").to_pylist()
    content: list[Row] = pq.read_table(out / "content.parquet").to_pylist()
    return report, members, content


def reasons(report: ImportReport) -> dict[str, list[str]]:
    """Return file -> reasons."""
    found: dict[str, list[str]] = {}
    for skipped in report.skipped:
        found.setdefault(skipped.file, []).append(skipped.why)
    return found


def utc(text: str) -> datetime:
    """Return an instant from ISO 8601 with a zone."""
    return datetime.fromisoformat(text)
