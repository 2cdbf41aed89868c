from datetime import UTC, date, datetime

import numpy as np

from sayso.decision.cells import CATEGORIES, CHOICES, MENTIONS, STATUSES, Cells, tabulate
from sayso.decision.compare import compare_cells
from sayso.model import (
    DEFAULT_PURPOSE,
    REASONS,
    Category,
    Country,
    Dated,
    Mode,
    Notice,
    Others,
    Rulebook,
    Visibility,
)
from sayso.rulebook.in_force import in_force
from tests.differential.books import make_book, make_hold, make_rule

AT = datetime(2025, 6, 1, tzinfo=UTC)


def cells_of(book: Rulebook, at: datetime = AT) -> Cells:
    return tabulate(in_force(book, DEFAULT_PURPOSE, at))


def test_countries_in_which_the_same_is_in_force_share_a_profile() -> None:
    cells = cells_of(make_book([make_rule("world"), make_rule("HK", line=2)], [make_hold("GB")]))
    sizes = [len(profile.countries) for profile in cells.profiles]
    assert sizes[0] == 0
    assert sorted(sizes[1:]) == [1, 1, 247]
    assert cells.profile_of[Country("DE")] == cells.profile_of[Country("US")]
    assert len({cells.profile_of[Country(code)] for code in ("HK", "GB", "DE")}) == 3
    assert "XX" not in cells.profile_of


def test_the_tables_are_small_and_hold_nothing_but_reasons() -> None:
    cells = cells_of(make_book([make_rule(excluded_contexts=frozenset({"b", "a"}))]))
    assert cells.contexts == ("a", "b", "\0unnamed", None)
    assert cells.member.shape == (2, 3, len(STATUSES), 4, 4, len(CHOICES))
    assert cells.what.shape == (2, len(CATEGORIES), 7, 6, 4, len(MENTIONS))
    assert cells.when.shape == (2, 32)
    for table in (cells.member, cells.what, cells.when):
        assert table.dtype == np.uint32
        assert int(table.max()) < 1 << len(REASONS)


def test_contexts_of_rules_that_are_not_in_force_have_a_place() -> None:
    """So that the cells of two instants can be compared."""
    later = make_rule("HK", Dated(date(2030, 1, 1)), excluded_contexts=frozenset({"clinic"}))
    assert cells_of(make_book([make_rule(), later])).contexts[0] == "clinic"


# ---- what two rulebooks decide differently ----------------------------------------------


def test_equal_rulebooks_do_not_differ() -> None:
    book = make_book([make_rule(), make_rule("HK")])
    assert compare_cells(cells_of(book), cells_of(book)) == []


def test_a_hold_shows() -> None:
    rules = [make_rule()]
    before, after = cells_of(make_book(rules)), cells_of(make_book(rules, [make_hold("HK")]))
    (placed,) = compare_cells(before, after)
    assert placed.countries == ("HK",)
    assert list(placed.gained) == ["ON_HOLD"]
    assert placed.lost == {}
    assert placed.to_refused > 0 == placed.to_admitted
    (lifted,) = compare_cells(after, before)
    assert (lifted.gained, lifted.lost) == ({}, placed.gained)
    assert (lifted.to_admitted, lifted.to_refused) == (placed.to_refused, 0)


def test_a_category_and_a_mode_show() -> None:
    public = frozenset({Visibility.PUBLIC})
    wide = {Category.POST: public, Category.COMMENT: public}
    before = cells_of(make_book([make_rule(categories=wide)]))
    after = cells_of(make_book([make_rule(mode=Mode.OPT_IN, others=Others.REFUSE)]))
    (change,) = compare_cells(before, after)
    assert set(change.gained) == {"NOT_CHOSEN", "CATEGORY_EXCLUDED", "OTHERS_PRESENT"}
    assert set(change.lost) == {"NOT_VISIBLE_ENOUGH"}, "of a comment nobody asks how visible"
    assert len(change.countries) == 249


def test_bounds_that_are_no_class_are_told() -> None:
    before = cells_of(make_book([make_rule(notice=Notice(14))]))
    after = cells_of(make_book([make_rule(minimum_age=16, notice=Notice(30))]))
    (change,) = compare_cells(before, after)
    assert change.bounds == (
        "minimum age: 18 -> 16",
        "notice: 14 days since None -> 30 days since None",
    )
    contexts = cells_of(make_book([make_rule(excluded_contexts=frozenset({"clinic"}))]))
    (named,) = compare_cells(before, contexts)
    assert any(bound.startswith("contexts named") for bound in named.bounds)
