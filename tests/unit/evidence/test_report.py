import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from sayso.evidence.period import parse_period, stretches
from sayso.evidence.report import Check, Claim, Fact, Passage, Picture, Report, Table, render, told
from sayso.evidence.report_parts import Numbers, locally, names, numbers_of_country, only, picture
from sayso.model import DEFAULT_PURPOSE, Mode
from sayso.publishing import template_files
from sayso.rulebook.parse import parse_rulebook
from sayso.snapshot.manifest import Counts

BOOK = parse_rulebook(template_files("linkedin-2024"))
NASTY = "<script>alert('x')</script> & \"quotes\" \x00"


class Outline(HTMLParser):
    """What a reader who cannot see gets: headings in order, tables, images, loose ends."""

    VOID = frozenset({"meta", "br", "rect", "path", "line", "stop", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def count(self, tag: str, **attrs: str) -> int:
        return sum(name == tag and attrs.items() <= found.items() for name, found in self.tags)


def outline(html: bytes) -> Outline:
    found = Outline()
    found.feed(html.decode())
    assert found.open == []
    return found


def full(text: str = "plain") -> Report:
    table = Table(
        text, (text, text), ((text, "12"), ("All", "12")), frozenset({1}), text, total=True
    )
    drawn = picture(BOOK, DEFAULT_PURPOSE, text, date(2025, 1, 1), "as of")
    assert drawn is not None
    return Report(
        kind="Hold", title=text, question=text, made_at="2026-01-01 00:00:00 UTC", reader=text,
        answer=(text,), figures=(Fact(text, "12", text),), about=(Fact(text, text, text),),
        claims=(Claim(text, text),), checks=(Check(text, text),), tables=(table,),
        passages=(Passage(text, text),), picture=drawn, limits=(text,),
    )  # fmt: skip


def test_one_file_without_scripts_and_nothing_to_fetch() -> None:
    html = render(full()).decode()

    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert "<script" not in html
    assert not re.search(r"""(?:src|href|url\(|@import)\s*=?\s*["']?(?:https?:)?//""", html)
    assert not re.search(r"\son\w+=", html)


def test_headings_are_in_order_and_tables_have_captions_and_scopes() -> None:
    found = outline(render(full()))

    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(found.headings))
    assert found.count("table") == found.count("caption") == 2
    assert found.count("th", scope="col") >= 9
    assert found.count("th", scope="row") >= 2
    assert found.count("th") == found.count("th", scope="col") + found.count("th", scope="row")
    assert found.count("svg", role="img") == 1
    assert found.count("title") >= 2
    assert found.count("main") == 1


def test_whatever_stands_in_it_is_escaped() -> None:
    html = render(full(NASTY)).decode()

    assert "<script" not in html
    assert "&lt;script&gt;" in html
    outline(html.encode())


def test_the_same_report_gives_the_same_bytes() -> None:
    assert render(full()) == render(full())


def test_print_style_has_pages_with_numbers_and_headings_that_do_not_break() -> None:
    html = render(full()).decode()

    assert "@page" in html
    assert "size: A4" in html
    assert "counter(page)" in html
    assert "break-after: avoid" in html
    assert "table-header-group" in html


def test_an_empty_table_says_so() -> None:
    empty = Table("Builds", ("Entry",), (), empty="None stands in this ledger.")

    html = render(Report("Hold", "t", "q", "now", tables=(empty,))).decode()

    assert "None stands in this ledger." in html
    assert "<table" not in html


def test_dates_stay_whole_and_addresses_may_break() -> None:
    digest = "ab" * 32

    html = told(
        f"from 2024-10-11 16:00:00 UTC, see https://example.org/a-2024-10-11.html {digest} <b>"
    )

    assert '<span class="whole">2024-10-11</span> <span class="whole">16:00:00 UTC</span>' in html
    assert '<span class="long">https://example.org/a-2024-10-11.html</span>' in html
    assert f'<span class="long">{digest}</span> &lt;b&gt;' in html


def test_no_template_calls_an_admission_lawful() -> None:
    from importlib.resources import files

    for one in (files("sayso.evidence") / "templates").iterdir():
        text = one.read_text(encoding="utf-8").lower()
        assert not re.search(r"lawful|approved|consented", text), one.name


# ---- numbers ----------------------------------------------------------------------------


def counts(admitted: int, **refused: int) -> Counts:
    total = admitted + sum(refused.values())
    return Counts(records_in=total, admitted=admitted, refused=refused, reasons=refused)


def test_small_counts_are_hidden_with_what_would_give_them_away() -> None:
    parts = {"GB": counts(20, ON_HOLD=30, CHOSEN_OFF=4), "HK": counts(3, ON_HOLD=50, CHOSEN_OFF=0)}
    whole = counts(23, ON_HOLD=80, CHOSEN_OFF=4)
    numbers = Numbers(whole, parts)
    table = numbers.by_jurisdiction("all")

    assert table.rows[-1][:1] == ("All",)
    assert numbers.cell("GB", "CHOSEN_OFF") == "fewer than 10"
    assert numbers.cell("HK", "admitted") == "fewer than 10"
    assert numbers.cell("GB", "admitted") == "not shown"  # else the total less it is 3
    assert numbers.cell("HK", "CHOSEN_OFF") == "0"
    shown = " ".join(cell for row in table.rows for cell in row)
    assert not re.search(r"\b[1-9]\b", shown.replace("fewer than 10", ""))


def test_what_is_hidden_stands_nowhere_else_under_another_name() -> None:
    whole = counts(100, ON_HOLD=5, CHOSEN_OFF=40)
    table = Numbers(whole, {"GB": whole}).by_reason("reasons")

    assert {row[0]: row[2:] for row in table.rows} == {
        "ON_HOLD": ("fewer than 10", "fewer than 10"),
        "CHOSEN_OFF": ("not shown", "not shown"),
    }


def test_one_country_alone() -> None:
    table = numbers_of_country("HK", counts(12, ON_HOLD=30)).of_country("HK", "here")

    assert [row[2] for row in table.rows] == ["12", "30", "42"]


# ---- pictures and periods ---------------------------------------------------------------


def test_a_country_sees_its_own_rules_and_holds() -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)

    assert {rule.scope for rule in only(BOOK, ["HK"], DEFAULT_PURPOSE, at).rules} == {"HK"}
    assert {rule.scope for rule in only(BOOK, ["FR"], DEFAULT_PURPOSE, at).rules} == {"EEA"}
    assert {rule.scope for rule in only(BOOK, ["US"], DEFAULT_PURPOSE, at).rules} == {"world"}
    assert {hold.scope for hold in only(BOOK, ["HK"], DEFAULT_PURPOSE, at).holds} == {"HK"}


def test_a_period_has_no_gap_and_says_what_a_decision_would_meet() -> None:
    period = parse_period("HK", date(2024, 9, 1), date(2025, 12, 31))

    found = stretches(BOOK, DEFAULT_PURPOSE, period)

    assert found[0].begins == period.begins == datetime(2024, 8, 31, 16, tzinfo=UTC)
    assert found[-1].until == period.until == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert all(a.until == b.begins for a, b in pairwise(found))
    assert [one.permits for one in found] == [False, True, False, True]
    assert [len(one.holds) for one in found] == [0, 0, 1, 0]
    assert found[2].begins == datetime(2024, 10, 10, 16, tzinfo=UTC)
    assert {rule.mode for one in found for rule in one.rules} == {Mode.OPT_OUT}


def test_a_period_of_one_day() -> None:
    day = date(2025, 11, 3)
    period = parse_period("GB", day, day)

    assert (period.until - period.begins).days == 1
    (only_one,) = stretches(BOOK, DEFAULT_PURPOSE, period)
    assert only_one.permits


@pytest.mark.parametrize(
    ("country", "first", "last"), [("UK", 1, 2), ("GB", 3, 2)], ids=["country", "order"]
)
def test_a_period_that_is_none(country: str, first: int, last: int) -> None:
    from sayso.errors import InputError

    with pytest.raises(InputError):
        parse_period(country, date(2025, 1, first), date(2025, 1, last))


def test_instants_are_told_as_clocks_showed_them_where_there_is_one_zone() -> None:
    at = datetime(2024, 10, 10, 16, tzinfo=UTC)

    assert locally(at, ["HK"]) == "2024-10-11 00:00:00 in Hong Kong (2024-10-10 16:00:00 UTC)"
    assert locally(at, ["CA"]) == locally(at, ["HK", "GB"]) == "2024-10-10 16:00:00 UTC"
    assert names(["HK"]) == "Hong Kong"
    assert names(["HK", "JP", "FR"]) == "Hong Kong, Japan and France"
    assert names(["HK"] * 7) == "7 countries"


def test_a_picture_needs_something_to_show() -> None:
    assert picture(BOOK, "another", "nothing", date(2025, 1, 1), "as of") is None
    drawn = picture(BOOK, DEFAULT_PURPOSE, "all", date(2025, 1, 1), "as of")
    assert isinstance(drawn, Picture)
    assert "as of, 1 Jan 2025" in drawn.svg
