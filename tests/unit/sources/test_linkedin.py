import json
from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.sources import linkedin
from tests.unit.sources.builders import (
    COMMENTS,
    COMMENTS_HEADER,
    LINK,
    LINKEDIN,
    MEMBER,
    MESSAGES_HEADER,
    POSITIONS_HEADER,
    PROFILE_HEADER,
    RECOMMENDATIONS_HEADER,
    SHARES,
    SHARES_HEADER,
    VERIFICATIONS_HEADER,
    Row,
    reasons,
    run,
    utc,
    write_folder,
    write_zip,
)


def content(tmp_path: Path, files: dict[str, str | bytes]) -> list[Row]:
    return run("linkedin", write_folder(tmp_path / "in", files), tmp_path / "out")[2]


def texts(rows: list[Row]) -> list[str]:
    return [row["text"] for row in rows]


def member(tmp_path: Path, files: dict[str, str]) -> Row:
    files = {SHARES: SHARES_HEADER, **files}
    return run("linkedin", write_folder(tmp_path / "in", files), tmp_path / "out")[1][0]


def test_a_whole_export(tmp_path: Path) -> None:
    _, members, rows = run("linkedin", write_zip(tmp_path / "e.zip", LINKEDIN), tmp_path / "out")
    assert members == [
        {
            "member_id": MEMBER,
            "country": None,
            "birth_date": "1988-02-03",
            "status": None,
            "since": None,
        }
    ]
    assert {row["member_id"] for row in rows} == {MEMBER}
    assert {row["authorship"] for row in rows} == {"own"}
    assert [(row["category"], row["visibility"], row["text"]) for row in rows] == [
        ("profile", None, "Keeper of lists"),
        ("profile", None, 'I keep "good" lists.'),
        ("profile", None, "Another summary, longer."),
        ("profile", None, "Clerk\nKept lists"),
        ("profile", None, "BA\nWrote a thesis on lists"),
        ("profile", None, "Lists\nFiling"),
        ("post", "public", 'A "fine" list.'),
        ("post", "members", 'First.\nSecond, "too".'),
        ("comment", None, 'The "old" list, \n\nI mean.'),
        ("comment", None, "Without a date"),
        ("recommendation", None, "Files everything at once"),
        ("article", None, "On lists\n\nMake them short."),
    ]
    written = [row["written_at"] for row in rows if row["written_at"]]
    assert written == [
        utc("2025-03-01T10:00:00Z"),
        utc("2025-03-02T10:00:00Z"),
        utc("2025-03-04T10:00:00Z"),
        utc("2024-05-12T00:00:00Z"),
    ]
    ids = [row["record_id"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert f"linkedin-{MEMBER}-share-71" in ids
    assert f"linkedin-{MEMBER}-comment-81-20250304T100000" in ids
    assert all(row["mentions"] is None and row["context"] is None for row in rows)


def test_nothing_private_or_foreign_comes_out_and_every_file_is_reported(tmp_path: Path) -> None:
    src = write_folder(tmp_path / "in", LINKEDIN)
    report, members, rows = run("linkedin", src, tmp_path / "out")
    assert "SECRET" not in json.dumps([members, rows], default=str)
    told = (tmp_path / "out" / "report.json").read_text()
    assert "SECRET" not in told
    assert "Mina" not in told
    assert MEMBER not in told
    why = reasons(report)
    private = "private"
    others = "another person's words or data"
    for name in ("messages", "guide_messages", "LearningCoachMessages", "Invitations"):
        assert why[f"{name}.csv"] == [private]
    assert why["Private_identity_asset.csv"] == why["Job Applications.csv"] == [private]
    assert why["Recommendations_Received.csv"] == why["Connections.csv"] == [others]
    assert why["Votes_*.csv"] == [others]
    assert why["Ad_Targeting.csv"] == ["inferred about the member, not said by them"]
    assert why["Learning.csv"] == ["not on the allow-list"]
    assert why["Rich_Media.csv"] == ["holds no words of the member"]
    assert "rows without a text of the member" in why["Shares_*.csv"]


@pytest.mark.parametrize("inside", ["", "export/", "a/b/"])
def test_a_folder_inside_the_zip(tmp_path: Path, inside: str) -> None:
    src = write_zip(tmp_path / "e.zip", LINKEDIN, inside)
    assert run("linkedin", src, tmp_path / "out")[0].content_rows == 12


def test_a_zip_by_a_mac(tmp_path: Path) -> None:
    files = {SHARES: LINKEDIN[SHARES], f"__MACOSX/._{SHARES}": "x", ".DS_Store": "y"}
    assert len(content(tmp_path, dict(files))) == 2


@pytest.mark.parametrize("name", ["messages.csv", "Nachrichten.csv", SHARES, "Profile.csv"])
def test_a_header_like_messages_is_private_under_any_name(tmp_path: Path, name: str) -> None:
    src = write_folder(tmp_path / "in", {name: MESSAGES_HEADER + "c,,a,,b,,d,,SECRET,INBOX\n"})
    report, _, rows = run("linkedin", src, tmp_path / "out")
    assert rows == []
    assert report.skipped[0].why == "private"


def test_a_private_name_is_private_under_any_header(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "Messages.csv": COMMENTS_HEADER + ",,SECRET\n",
        "invitations.csv": POSITIONS_HEADER + "a,SECRET,SECRET,b,c,d\n",
    }
    assert content(tmp_path, files) == []


def test_names_in_another_language_with_english_headers(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"Beiträge_{MEMBER}.csv": LINKEDIN[SHARES],
        "Erhaltene Empfehlungen.csv": LINKEDIN["Recommendations_Received.csv"],
        "Kenntnisse.csv": "Name\nSECRET, as nobody knows what this is\n",
        "Kontakte.csv": LINKEDIN["Connections.csv"],
    }
    rows = content(tmp_path, files)
    assert texts(rows) == ['A "fine" list.', 'First.\nSecond, "too".']
    assert rows[0]["member_id"] == MEMBER


@pytest.mark.parametrize(
    "header",
    [
        "Date,ShareLink,ShareCommentary,SharedUrl,MediaUrl\n",  # columns shifted
        "Date,ShareLink,SharedUrl,ShareCommentary,MediaUrl,Visibility\n",
        "Date,ShareLink,ShareCommentary,ShareCommentary,MediaUrl,Visibility\n",
    ],
)
def test_another_header_is_not_admitted(tmp_path: Path, header: str) -> None:
    src = write_folder(
        tmp_path / "in",
        {SHARES: header + "2025-03-01 10:00:00,l,PUBLIC,SECRET,\n", COMMENTS: COMMENTS_HEADER},
    )
    report, _, rows = run("linkedin", src, tmp_path / "out")
    assert rows == []
    assert reasons(report)["Shares_*.csv"] == ["its header is not the known one for this file"]


def test_given_and_received_recommendations_are_told_apart_by_name_alone(tmp_path: Path) -> None:
    text = RECOMMENDATIONS_HEADER + "a,b,c,d,SECRET,12 May 2024,VISIBLE\n"
    files: dict[str, str | bytes] = {"Recommendations.csv": text, SHARES: SHARES_HEADER}
    assert content(tmp_path, files) == []


def test_bom_crlf_and_an_older_profile(tmp_path: Path) -> None:
    data = "\ufeffFirst Name,Last Name,Headline,Summary,Industry,Geo Location\r\nA,B,Head,,x,y\r\n"
    assert texts(content(tmp_path, {"Profile.csv": data})) == ["Head"]


def test_latin1_saved_by_a_spreadsheet(tmp_path: Path) -> None:
    data = (POSITIONS_HEADER + "M,Geschäftsführer,“ja”,Köln,2020,\n").replace("\n", "\r\n")
    src = write_folder(tmp_path / "in", {"Positions.csv": data.encode("cp1252")})
    report, _, rows = run("linkedin", src, tmp_path / "out")
    assert texts(rows) == ["Geschäftsführer\n“ja”"]
    assert "not UTF-8: read as cp1252" in reasons(report)["Positions.csv"]


def test_misshapen_rows_are_counted(tmp_path: Path) -> None:
    src = write_folder(tmp_path / "in", {COMMENTS: COMMENTS_HEADER + "a,b\na,b,c,d\n,,fine\n"})
    report, _, rows = run("linkedin", src, tmp_path / "out")
    assert texts(rows) == ["fine"]
    why = "rows with another number of cells than the header"
    assert ("Comments_*.csv", 2, why) in [(s.file, s.rows, s.why) for s in report.skipped]


@pytest.mark.parametrize(
    ("said", "visibility"),
    [
        ("PUBLIC", "public"),
        ("MEMBER_NETWORK", "members"),
        ("LOGGED_IN", "members"),
        ("CONNECTIONS", "connections"),
        ("CONTAINER", None),
        ("", None),
    ],
)
def test_visibility_of_shares(tmp_path: Path, said: str, visibility: str | None) -> None:
    line = f"2025-03-01 10:00:00,{LINK}share%3A1,text,,,{said}\n"
    assert content(tmp_path, {SHARES: SHARES_HEADER + line})[0]["visibility"] == visibility


def test_a_group_post_is_not_public_whatever_the_column_says(tmp_path: Path) -> None:
    line = f"2025-03-01 10:00:00,{LINK}groupPost%3A12-34,text,,,PUBLIC\n"
    row = content(tmp_path, {SHARES: SHARES_HEADER + line})[0]
    assert row["visibility"] is None
    assert row["record_id"].endswith("share-12-34")


@pytest.mark.parametrize(
    ("link", "end"),
    [
        (f"{LINK}ugcPost%3A71", "-share-71"),
        ("https://x.example/posts/mina-muster_activity-700-AbC", "-share-700"),
        ("https://x.example/", "-share"),
        ("", "-share"),
    ],
)
def test_record_ids_come_from_urns_and_never_from_slugs(
    tmp_path: Path, link: str, end: str
) -> None:
    rows = content(tmp_path, {SHARES: SHARES_HEADER + f"2025-03-01 10:00:00,{link},t,,,PUBLIC\n"})
    assert rows[0]["record_id"] == f"linkedin-{MEMBER}{end}"


def test_two_comments_of_one_second_have_two_ids(tmp_path: Path) -> None:
    line = f"2025-03-01 10:00:00,{LINK}activity%3A1,text\n"
    rows = content(tmp_path, {COMMENTS: COMMENTS_HEADER + line * 2})
    assert [row["record_id"][-2:] for row in rows] == ["00", ".2"]


def test_member_id_from_the_mapping_where_names_do_not_tell(tmp_path: Path) -> None:
    src = write_folder(tmp_path / "in", {"Shares.csv": LINKEDIN[SHARES]})
    report, members, rows = run("linkedin", src, tmp_path / "a")
    assert members == []
    assert {row["member_id"] for row in rows} == {None}
    assert "members" in reasons(report)
    _, members, rows = run("linkedin", src, tmp_path / "b", {"member_id": "9"})
    assert [row["member_id"] for row in members] == ["9"]
    assert {row["member_id"] for row in rows} == {"9"}


def test_member_ids_that_disagree_are_none(tmp_path: Path) -> None:
    src = write_folder(
        tmp_path / "in", {SHARES: LINKEDIN[SHARES], "Votes_9.csv": "Date,Link,OptionText\n"}
    )
    _, members, rows = run("linkedin", src, tmp_path / "out")
    assert members == []
    assert {row["member_id"] for row in rows} == {None}


@pytest.mark.parametrize(
    "files",
    [
        {"a/Shares_1.csv": SHARES_HEADER, "b/Comments_1.csv": COMMENTS_HEADER},
        {"Shares_1.csv": SHARES_HEADER, "Shares_2.csv": SHARES_HEADER},
        {"Positions.csv": POSITIONS_HEADER, "Positions (1).csv": POSITIONS_HEADER},
        {"a/Shares_1.csv": SHARES_HEADER, "Verifications.csv": VERIFICATIONS_HEADER},
    ],
)
def test_more_than_one_export_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(InputError, match="give one member's export at a time"):
        run("linkedin", write_folder(tmp_path / "in", files), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def verification(country: str, year: str = "1988") -> str:
    return f"A,,B,Identity,,,{country},,,{year},,,,,\n"


def test_the_country_of_a_passport_is_no_residence(tmp_path: Path) -> None:
    files = {"Verifications.csv": VERIFICATIONS_HEADER + verification("Portugal")}
    assert member(tmp_path, files)["country"] is None
    report, _, _ = run("linkedin", tmp_path / "in", tmp_path / "out")
    assert "an export does not say where the member lives" in " ".join(
        one.why for one in report.skipped
    )


@pytest.mark.parametrize(
    ("said", "years", "birth_date"),
    [
        ('"Feb 3, 1988"', [], "1988-02-03"),
        ("1988-02-03", ["1988"], "1988-02-03"),
        ("Feb 3", ["1988"], "1988"),
        ("", ["1988", "1988"], "1988"),
        ("", ["1988", "1999"], None),
        ('"Feb 3, 1988"', ["1990"], None),  # they disagree
        ("", ["88"], None),
        ("", [], None),
    ],
)
def test_birth_date(tmp_path: Path, said: str, years: list[str], birth_date: str | None) -> None:
    lines = "".join(verification("Portugal", year) for year in years)
    files = {
        "Profile.csv": PROFILE_HEADER + f"A,B,,,{said},H,,,,,,,\n",
        "Verifications/Verifications.csv": VERIFICATIONS_HEADER + lines,
    }
    assert member(tmp_path, files)["birth_date"] == birth_date


def test_two_profiles_are_none(tmp_path: Path) -> None:
    line = "A,B,,,,SECRET,,,,,,,\n"
    assert content(tmp_path, {"Profile.csv": PROFILE_HEADER + line * 2}) == []


def test_a_summary_that_repeats_the_profile_comes_once(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "Profile Summary.csv": "Profile Summary\nSame\n",
        "Profile.csv": PROFILE_HEADER + "A,B,,,,,Same,,,,,,\n",
    }
    assert texts(content(tmp_path, files)) == ["Same"]


def test_pages_outside_the_articles_folder_are_not_articles(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        SHARES: SHARES_HEADER,
        "Messages/Articles.html": "<p>SECRET</p>",
        "Welcome.html": "<p>SECRET</p>",
        "Articles/notes.txt": "SECRET",
    }
    assert content(tmp_path, files) == []


def test_articles_too_long_or_without_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linkedin, "MAX_ARTICLE_BYTES", 20)
    files = {"Articles/a.html": "<p>" + "x" * 50, "Articles/b.html": "<br>"}
    report, _, rows = run("linkedin", write_folder(tmp_path / "in", files), tmp_path / "out")
    assert rows == []
    assert {skipped.why: skipped.rows for skipped in report.skipped if skipped.rows} == {
        "longer than an article can be": 1,
        "rows without a text of the member": 1,
    }


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    src = write_folder(tmp_path / "in", {"a.csv": "id,body\n1,x\n", "b.json": "{}", "e.csv": ""})
    with pytest.raises(InputError, match="'in' holds no file of a LinkedIn export"):
        run("linkedin", src, tmp_path / "out")
