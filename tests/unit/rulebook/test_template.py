"""The templates: the story of 2024 and 2025 as a rulebook, and an empty one."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import sayso
from sayso.model import (
    Authorship,
    Category,
    Country,
    Dated,
    Exactness,
    Mode,
    Others,
    Position,
    Visibility,
)
from sayso.rulebook.check import check_files
from sayso.rulebook.in_force import in_force, scopes_of
from sayso.rulebook.parse import load_files, load_rulebook

TEMPLATES = Path(sayso.__file__).parent / "templates"
BOOK = load_rulebook(TEMPLATES / "linkedin-2024")
PURPOSE = "content-generation-training"
START = Dated(date(2025, 11, 3))
# With codes of their own: in which Union law applies, and for which a member only answers.
TERRITORIES = {"AX", "GF", "GP", "MF", "MQ", "RE", "YT"}
OUTSIDE = {
    *("AW", "BL", "BQ", "CW", "GG", "GI", "GL", "IM", "JE", "NC", "PF", "PM", "SJ", "SX", "TF"),
    "WF",
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("name", ["linkedin-2024", "empty"])
def test_a_template_has_no_faults(name: str) -> None:
    assert check_files(load_files(TEMPLATES / name)) == ()


def test_the_empty_template_has_the_same_purpose_and_groups_and_nothing_else() -> None:
    story = {k: v for k, v in BOOK.files.items() if not k.startswith("scopes/")}
    assert load_files(TEMPLATES / "empty") == story


def test_the_scopes_and_beginnings_are_those_of_the_story() -> None:
    begun = {(rule.scope, rule.begins): rule.mode for rule in BOOK.rules}
    first = Dated(date(2024, 9, 18))
    expected: dict[tuple[str, Dated | None], Mode] = {
        ("world", first): Mode.OPT_OUT,
        **{(scope, first): Mode.OPT_OUT for scope in ("HK", "GB", "CA")},
        **{(scope, None): Mode.NOT_ENABLED for scope in ("EEA", "CH")},
        **{(scope, START): Mode.OPT_OUT for scope in ("HK", "GB", "CA", "EEA", "CH")},
    }
    assert begun == expected


def test_every_rule_admits_the_same_records_of_adults() -> None:
    public, given = {Visibility.PUBLIC}, {Visibility.PUBLIC, Visibility.PLATFORM}
    for rule in BOOK.rules:
        assert rule.categories == {
            **dict.fromkeys(
                (Category.PROFILE, Category.POST, Category.ARTICLE, Category.COMMENT), public
            ),
            **dict.fromkeys(
                (Category.RESUME, Category.ACTIVITY, Category.FEEDBACK, Category.PROMPT), given
            ),
        }
        assert (rule.minimum_age, rule.others) == (18, Others.IGNORE)
        assert rule.authorship == {Authorship.OWN}
        assert (rule.withdrawal, rule.decided_by) == ("future-runs", "platform")
        assert rule.sources["others"].is_assumption
        if rule.begins == START:
            assert rule.notice is not None
            assert (rule.notice.days, rule.notice.since) == (30, Dated(date(2025, 9, 1)))
            assert rule.sources["notice"].is_assumption
        else:
            assert rule.notice is None


def test_the_holds_are_the_platforms_own_and_nobody_approved_their_lift() -> None:
    holds = {hold.scope: hold for hold in BOOK.holds}
    assert {scope: (hold.begins, hold.asked_by) for scope, hold in holds.items()} == {
        "HK": (Dated(date(2024, 10, 11)), "PCPD"),
        "GB": (Dated(date(2024, 9, 18), Exactness.BY), "ICO"),
        "CA": (Dated(date(2024, 12, 10), Exactness.BY), "OPC"),
    }
    for hold in BOOK.holds:
        assert (hold.placed_by, hold.ordered_by) == ("LinkedIn", "")
        assert (hold.lifted, hold.position) == (START, Position.NONE)


def test_the_purpose_names_its_setting_and_recipients() -> None:
    purpose = BOOK.purposes[PURPOSE]
    assert purpose.recipients == ("LinkedIn", "Affiliates of LinkedIn (Microsoft)")
    assert not purpose.sharing
    label = "Use my data for training content creation AI models"
    assert [one.label for one in purpose.wordings if one.language == "en"] == [label]
    assert {one.language for one in purpose.wordings} == {"en", "zh-Hant"}
    assert "Data for Generative AI Improvement" in purpose.wordings[0].text
    assert purpose.how_to_change.endswith("Data for Generative AI Improvement")
    assert purpose.sources["how_to_change"].address.startswith("https://www.linkedin.com/help/")
    assert (purpose.retention, purpose.contact) == ("", "")


@pytest.mark.parametrize(
    ("country", "instant", "groups"),
    [
        ("HR", "2013-06-30T12:00", []),
        ("HR", "2013-07-02T12:00", ["EU"]),
        ("HR", "2014-04-13T12:00", ["EEA", "EU"]),
        ("GB", "2020-01-31T22:59", ["EEA", "EU"]),
        ("GB", "2020-01-31T23:00", ["EEA"]),
        ("GB", "2020-12-31T22:59", ["EEA"]),
        ("GB", "2020-12-31T23:00", []),
        ("BG", "2007-03-01T12:00", ["EU"]),
        ("AT", "1994-06-01T12:00", ["EEA"]),
        ("LI", "1995-04-30T12:00", []),
        ("LI", "2025-11-03T12:00", ["EEA"]),
        ("NO", "2025-11-03T12:00", ["EEA"]),
        ("CH", "2025-11-03T12:00", []),
        # Territories with codes of their own, in and out.
        *((code, "2025-11-03T12:00", ["EEA", "EU"]) for code in sorted(TERRITORIES)),
        *((code, "2024-09-18T12:00", ["EEA", "EU"]) for code in sorted(TERRITORIES)),
        *((code, "2024-09-18T12:00", []) for code in sorted(OUTSIDE)),
        ("RE", "1990-01-01T12:00", ["EU"]),
        ("YT", "2013-12-31T12:00", []),
        ("YT", "2014-01-01T12:00", ["EEA", "EU"]),
        ("BL", "2011-12-31T12:00", ["EEA", "EU"]),
        ("BL", "2012-01-02T12:00", []),
        ("AX", "1994-06-01T12:00", ["EEA"]),
        ("GI", "2020-01-31T22:59", ["EEA", "EU"]),
        ("GI", "2020-12-31T22:59", ["EEA"]),
        ("GI", "2020-12-31T23:00", []),
    ],
)
def test_membership_is_dated(country: str, instant: str, groups: list[str]) -> None:
    assert list(scopes_of(BOOK, Country(country), at(instant))) == [country, *groups, "world"]


@pytest.mark.parametrize("instant", ["2024-09-18T12:00", "2025-11-03T12:00", "2026-11-22T12:00"])
def test_the_union_has_27_members_and_the_area_30(instant: str) -> None:
    counts = {
        name: sum(
            name in scopes_of(BOOK, member.country, at(instant))
            for member in BOOK.groups[name].members
            if member.country not in TERRITORIES
        )
        for name in ("EU", "EEA")
    }
    assert counts == {"EU": 27, "EEA": 30}


@pytest.mark.parametrize(
    ("country", "instant", "holds", "modes"),
    [
        ("HK", "2024-10-10T15:59", 0, [Mode.OPT_OUT]),
        ("HK", "2024-10-10T16:00", 1, [Mode.OPT_OUT]),
        ("HK", "2025-11-02T15:59", 1, [Mode.OPT_OUT]),
        ("HK", "2025-11-02T16:00", 0, [Mode.OPT_OUT]),
        ("GB", "2025-11-02T23:59", 1, [Mode.OPT_OUT]),
        ("GB", "2025-11-03T00:00", 0, [Mode.OPT_OUT]),
        ("FR", "2025-11-02T22:59", 0, [Mode.NOT_ENABLED]),
        ("FR", "2025-11-02T23:00", 0, [Mode.OPT_OUT]),
        ("CH", "2024-09-18T12:00", 0, [Mode.NOT_ENABLED]),
        # Where the law of the Union applies, and midnight is another one than in Paris.
        ("RE", "2024-09-18T12:00", 0, [Mode.NOT_ENABLED]),
        ("RE", "2025-11-02T19:59", 0, [Mode.NOT_ENABLED]),
        ("RE", "2025-11-02T20:00", 0, [Mode.OPT_OUT]),
        ("GF", "2025-11-03T02:59", 0, [Mode.NOT_ENABLED]),
        ("GF", "2025-11-03T03:00", 0, [Mode.OPT_OUT]),
        ("AX", "2024-09-18T12:00", 0, [Mode.NOT_ENABLED]),
        ("NC", "2024-09-19T12:00", 0, [Mode.OPT_OUT]),
        ("US", "2024-09-17T12:00", 0, []),
        ("US", "2024-09-19T12:00", 0, [Mode.OPT_OUT]),
        ("CA", "2024-12-09T12:00", 0, [Mode.OPT_OUT]),
    ],
)
def test_what_is_in_force_is_what_the_story_says(
    country: str, instant: str, holds: int, modes: list[Mode]
) -> None:
    found = in_force(BOOK, PURPOSE, at(instant)).jurisdiction(country)
    assert found is not None
    assert len(found.holds) == holds
    assert [rule.rule.mode for rule in found.rules] == modes
