"""Placing and lifting holds: the text keeps its comments and its layout."""

from datetime import UTC, date, datetime
from difflib import ndiff
from typing import Any

import pytest

from sayso.errors import InputError, RefusedError
from sayso.model import Dated, Exactness, Position, Source
from sayso.rulebook.check import check_files
from sayso.rulebook.edit import lift_hold, place_hold
from sayso.rulebook.parse import RulebookError, parse_rulebook
from tests.unit.rulebook.sample import FILES, changed

HK = "scopes/HK.yaml"
ORDER = Source("Order: no. 7", "https://example.org/7", date(2026, 1, 2), 'says "stop"')
PLACED: dict[str, Any] = {
    "hold_id": "hk-2",
    "scope": "HK",
    "purposes": ["training"],
    "begins": Dated(date(2026, 1, 1)),
    "placed_by": "Platform",
    "source": ORDER,
}
LIFTED: dict[str, Any] = {
    "hold_id": "hk-2",
    "lifted": Dated(date(2026, 2, 1)),
    "source": "assumption",
    "position": Position.NONE,
}


def added(before: str, after: str) -> list[str]:
    """Return the lines that were added; none may be missing or changed."""
    diff = list(ndiff(before.splitlines(), after.splitlines()))
    assert not [line for line in diff if line.startswith("- ")], diff
    return [line[2:] for line in diff if line.startswith("+ ")]


def test_a_hold_is_added_and_nothing_else_changes() -> None:
    files = place_hold(
        FILES, **PLACED, asked_by="PCPD", ordered_by="Court: 1", condition="until told"
    )
    assert {name for name in files if files[name] != FILES[name]} == {HK}
    assert added(FILES[HK], files[HK]) == [
        "  order-no-7:",
        '    title: "Order: no. 7"',
        '    address: "https://example.org/7"',
        "    seen: 2026-01-02",
        '    note: "says \\"stop\\""',
        "  - id: hk-2",
        "    purposes: [training]",
        "    from: 2026-01-01",
        "    placed_by: Platform",
        "    asked_by: PCPD",
        '    ordered_by: "Court: 1"',
        "    condition: until told",
        "    source:",
        "      from: order-no-7",
        "      placed_by: order-no-7",
        "      asked_by: order-no-7",
        "      ordered_by: order-no-7",
    ]
    book = parse_rulebook(files)
    assert [hold.hold_id for hold in book.holds] == ["hk-1", "hk-2"]
    assert book.holds[1].sources["ordered_by"] == ORDER
    assert check_files(files) == ()


def test_a_scope_without_a_file_gets_one() -> None:
    files = place_hold(FILES, **{**PLACED, "scope": "NO", "purposes": ["*"], "begins": None})
    hold = parse_rulebook(files).holds[1]
    assert (hold.scope, hold.begins) == ("NO", None)
    assert hold.purposes == {"*"}


@pytest.mark.parametrize(
    "begins",
    [
        Dated(date(2026, 1, 1), Exactness.BY),
        Dated(datetime(2026, 1, 1, 12, tzinfo=UTC)),
        Dated(datetime(2026, 1, 1, 12, tzinfo=UTC), Exactness.UNKNOWN),
    ],
)
def test_every_bound_comes_back_as_it_was_given(begins: Dated) -> None:
    files = place_hold(FILES, **{**PLACED, "begins": begins})
    assert parse_rulebook(files).holds[1].begins == begins


@pytest.mark.parametrize("name", ["true", "null", "2024", "a: b", "# x", "*", "ä", 'q"q', "- x"])
def test_every_name_comes_back_as_it_was_given(name: str) -> None:
    files = place_hold(FILES, **{**PLACED, "placed_by": name, "asked_by": name, "condition": name})
    hold = parse_rulebook(files).holds[1]
    assert (hold.placed_by, hold.asked_by, hold.condition) == (name, name, name)


@pytest.mark.parametrize(
    "tail",
    [
        "holds: []\n",
        "holds: []  # none yet\n",
        "holds:\n",
        "holds:\n  # none yet\n",
        "holds: null",
        "",
        "# the end",
        (
            "holds: [{id: a, purposes: ['*'], from: unknown, placed_by: me,\n"
            "  source: {from: assumption, placed_by: assumption}}]  # in brackets\n"
        ),
        (
            "holds:\n- id: a\n  purposes: ['*']\n  from: unknown\n  placed_by: me\n"
            "  source: {from: assumption, placed_by: assumption}\n  # of a\n# of the file\n"
        ),
        (
            "holds:\n    -   id: a\n        purposes: ['*']\n        from: unknown\n"
            "        source: {from: assumption, placed_by: assumption}\n        placed_by: me"
        ),
    ],
)
@pytest.mark.parametrize("head", ["", "sources: {}\n", "sources:\n", "sources: # none\n"])
def test_any_layout_takes_a_hold_and_keeps_its_comments(head: str, tail: str) -> None:
    text = f"# top\nscope: HK  # here\n{head}{tail}"
    before = {**FILES, HK: text}
    files = place_hold(before, **PLACED)
    files = lift_hold(files, **{**LIFTED, "source": ORDER})
    assert files[HK].count("#") == text.count("#")
    holds = {hold.hold_id: hold for hold in parse_rulebook(files).holds}
    assert holds["hk-2"].lifted == Dated(date(2026, 2, 1))
    assert holds["hk-2"].sources["lifted"] == holds["hk-2"].sources["from"] == ORDER
    assert len(holds) == (2 if "id: a" in tail else 1)
    assert files[HK].count("title:") == 1, "the same source is declared once"


def test_windows_line_ends_stay() -> None:
    before = {**FILES, HK: FILES[HK].replace("\n", "\r\n")}
    files = lift_hold(place_hold(before, **PLACED), **LIFTED)
    assert files[HK].count("\r\n") == files[HK].count("\n")


def test_a_new_source_gets_an_id_of_its_own() -> None:
    other = Source("faq", "https://example.org/other")
    files = place_hold(FILES, **{**PLACED, "source": other})
    assert parse_rulebook(files).holds[1].sources["from"] == other
    assert "  faq-2:\n    title: faq\n" in files[HK]
    files = place_hold(FILES, **{**PLACED, "source": Source("香港")})
    assert "  source:\n    title: " in files[HK]


def test_an_assumption_may_say_why() -> None:
    source = Source("assumption", note="a call, {today}")
    files = place_hold(FILES, **{**PLACED, "source": source})
    assert parse_rulebook(files).holds[1].sources["from"] == source


def test_a_lift_is_added_and_nothing_else_changes() -> None:
    placed = place_hold(FILES, **PLACED)
    files = lift_hold(placed, **{**LIFTED, "source": ORDER})
    assert added(placed[HK], files[HK]) == [
        "    lifted: 2026-02-01",
        "    position: none",
        "      lifted: order-no-7",
    ]
    hold = parse_rulebook(files).holds[1]
    assert (hold.lifted, hold.position) == (Dated(date(2026, 2, 1)), Position.NONE)


def test_a_lift_writes_over_a_key_that_says_nothing() -> None:
    placed = place_hold(FILES, **PLACED)
    tail = "    placed_by: Platform\n    source:\n"
    for blank in ("lifted:  # open\n    position: null", "lifted: ~\n    position:"):
        text = placed[HK].replace(tail, f"    {blank}\n{tail}")
        files = lift_hold({**placed, HK: text}, **LIFTED)
        assert parse_rulebook(files).holds[1].position is Position.NONE
        assert files[HK].count("lifted: 2026-02-01") == 1


def test_an_ordered_hold_lifts_only_with_approval() -> None:
    placed = place_hold(FILES, **PLACED, ordered_by="Court")
    for position in (Position.NONE, Position.ASKED, Position.NO_OBJECTION):
        with pytest.raises(RefusedError, match="was ordered by 'Court'"):
            lift_hold(placed, **{**LIFTED, "position": position})
    files = lift_hold(placed, **{**LIFTED, "position": Position.APPROVED})
    assert check_files(files) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hold_id": "hk-1"}, "written twice"),
        ({"hold_id": "h k"}, "cannot be an id"),
        ({"scope": "UK"}, "neither a country"),
        ({"scope": "../HK"}, "no file of a rulebook"),
        ({"scope": "H\nK"}, "neither a country"),
        ({"purposes": ["nothing"]}, "undeclared purpose 'nothing'"),
        ({"purposes": []}, "'purposes' is empty"),
        ({"placed_by": ""}, "the text is empty"),
        ({"placed_by": "a\x00b"}, "nobody can see"),
        ({"source": Source("x", "nowhere")}, "is not an address"),
    ],
)
def test_what_cannot_be_placed_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        place_hold(FILES, **{**PLACED, **change})
    assert caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hold_id": "hk-3"}, "no hold 'hk-3'; did you mean 'hk-"),
        ({"hold_id": "hk-1"}, "hold 'hk-1' is lifted already, from 2025-11-03"),
        ({"lifted": Dated(date(2026, 1, 1))}, "is lifted 2026-01-01 and begins 2026-01-01"),
    ],
)
def test_what_cannot_be_lifted_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        lift_hold(place_hold(FILES, **PLACED), **{**LIFTED, **change})


def test_a_rulebook_with_faults_is_not_edited() -> None:
    files = changed(HK, "opt-out", "opt-uot")
    with pytest.raises(RulebookError, match="opt-uot"):
        place_hold(files, **PLACED)
    with pytest.raises(RulebookError, match="opt-uot"):
        lift_hold(files, **LIFTED)
    with pytest.raises(InputError, match="cannot be edited as it is written"):
        place_hold({**FILES, HK: "{scope: HK}\n"}, **PLACED)
