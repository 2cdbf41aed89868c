"""Every version, and what changed, word by word."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sayso.evidence.trace import Publication
from sayso.model import DEFAULT_PURPOSE, Dated, Position
from sayso.publishing import lifting, placing, template_files
from sayso.rulebook.parse import parse_rulebook
from sayso.transparency import Change, changes_of, compare_words
from sayso.transparency.history import items_of

FILES = template_files("linkedin-2024")
PURPOSE = "purposes/content-generation-training.yaml"


def published(*books: dict[str, str]) -> list[Publication]:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Publication(entry, begun + timedelta(days=entry), parse_rulebook(files))
        for entry, files in enumerate(books)
    ]


def changes(*books: dict[str, str]) -> list[Change]:
    """Return what the last of some publications changed."""
    found = published(*books)
    return [one for one in changes_of(found) if one.entry == found[-1].entry]


def test_the_first_publication_is_all_new() -> None:
    found = changes(FILES)

    assert {one.what for one in found} == {"added"}
    assert len(found) == len(items_of(parse_rulebook(FILES)))
    (rule,) = [one for one in found if one.item.scope == "HK" and one.item.name == "2025-11-03"]
    # Compared with the rule before it in its scope, though both came at once.
    assert rule.before is not None
    assert rule.before.name == "2024-09-18"
    assert ("notice", "", "30, 2025-09-01") in rule.differences
    assert "mode" not in {aspect for aspect, _, _ in rule.differences}


def test_a_comment_is_no_change() -> None:
    later = {**FILES, "scopes/HK.yaml": "# More said.\n" + FILES["scopes/HK.yaml"]}

    assert changes(FILES, later) == []


def test_a_wording_that_changed() -> None:
    later = {**FILES, PURPOSE: FILES[PURPOSE].replace("On unless you", "Off unless you")}
    (one,) = changes(FILES, later)

    assert (one.what, one.item.kind, one.item.language) == ("changed", "wording", "en")
    ((aspect, before, after),) = one.differences
    assert aspect == "text"
    pieces = compare_words(before, after)
    assert [(p.kind, p.text) for p in pieces if p.kind != "same"] == [("del", "On"), ("ins", "Off")]


def test_a_new_version_of_a_wording_follows_the_last_one_of_its_language() -> None:
    version = (
        '  - version: "2026-01"\n    from: 2026-01-01\n    label: Use it\n    text: Off.\n\n'
        "# Neither `retention`"
    )
    later = {**FILES, PURPOSE: FILES[PURPOSE].replace("\n# Neither `retention`", version)}
    (one,) = changes(FILES, later)

    assert (one.what, one.item.name) == ("added", "2026-01")
    assert one.before is not None
    assert one.before.name == "2024-09"


def test_a_hold_placed_and_lifted() -> None:
    day = Dated(datetime(2026, 2, 1, tzinfo=UTC).date())
    edit, names = placing(
        None, "CA", purposes=(DEFAULT_PURPOSE,), begins=day, placed_by="LinkedIn", asked_by="OPC",
        ordered_by="", condition="", source=None,
    )  # fmt: skip
    held = edit(FILES)
    (placed,) = changes(FILES, held)
    assert (placed.what, placed.item.kind, placed.item.scope) == ("added", "hold", "CA")

    lift = lifting(
        names[-1],
        lifted=Dated(datetime(2026, 3, 1, tzinfo=UTC).date()),
        source=None,
        position=Position.NONE,
    )
    (lifted,) = changes(FILES, held, lift(held))
    assert lifted.what == "changed"
    assert ("lifted", "", "2026-03-01") in lifted.differences


def test_what_is_taken_out() -> None:
    later = {name: text for name, text in FILES.items() if name != "scopes/CH.yaml"}
    found = changes(FILES, later)

    assert {(one.what, one.item.scope) for one in found} == {("removed", "CH")}
    assert all(not after for one in found for _, _, after in one.differences)


TEXTS = st.text(alphabet="ab 我的資料,. \n<&", max_size=40)


@given(TEXTS, TEXTS)
def test_words_kept_put_in_and_taken_out_are_both_texts(before: str, after: str) -> None:
    pieces = compare_words(before, after)

    assert "".join(p.text for p in pieces if p.kind != "ins") == before
    assert "".join(p.text for p in pieces if p.kind != "del") == after
    assert all(p.text for p in pieces)


def test_signs_of_chinese_are_words() -> None:
    pieces = compare_words("除非你關閉它。", "除非你開啟它。")

    assert any(p.kind == "same" and p.text == "除非你" for p in pieces)


def test_a_long_text_is_compared_as_a_whole() -> None:
    pieces = compare_words("a " * 5000, "b " * 5000)

    assert [p.kind for p in pieces] == ["del", "ins"]
