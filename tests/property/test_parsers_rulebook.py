"""Law 12 for the rulebook: any text gives a `Rulebook` or an `InputError`, never anything else."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sayso
from sayso.errors import InputError
from sayso.rulebook.check import check_files, check_rulebook
from sayso.rulebook.parse import load_files, parse_rulebook
from sayso.rulebook.timeline import timeline_rows, timeline_svg
from sayso.rulebook.tree import read_tree

TEMPLATE = load_files(Path(sayso.__file__).parent / "templates" / "linkedin-2024")
# What breaks parsers, besides letters.
PIECES = st.sampled_from(
    [
        *"\n\t :-[]{},'\"#&*!|>%@`?\\\x00\r~",
        *("- ", ": ", "---\n", "...\n", "<<: ", "!!str ", "&a ", "*a", "|\n  ", ">-\n", "? "),
        *("always", "null", "true", "NO", "2024-02-30", "9999-12-31", "0001-01-01", "1e9"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "99999999999999999999"),
        *("from: ", "rules:\n", "holds:\n", "source: ", "{date: ", "\ud800", "\u2028", "\ufeff"),
    ]
)
TEXT = st.lists(PIECES | st.text(max_size=8), max_size=40).map("".join)
NAMES = st.sampled_from(sorted(TEMPLATE))


def beside(file: str, text: str) -> dict[str, str]:
    """Return one file of the template with another text, and what it cannot do without."""
    purposes = {name: TEMPLATE[name] for name in TEMPLATE if name.startswith("purposes/")}
    return {**purposes, file: text}


def judge(files: Mapping[str, str]) -> None:
    """Parse and check; what parses has to survive everything that reads it."""
    faults = check_files(files)
    for fault in faults:
        assert fault.line >= 1
        assert fault.message
        assert fault.hint
    try:
        book = parse_rulebook(files)
    except InputError:
        assert faults
        return
    assert check_rulebook(book) == faults
    for purpose in {"content-generation-training", *(rule.purpose for rule in book.rules)}:
        timeline_rows(book, purpose)
        ET.fromstring(timeline_svg(book, purpose, today=date(2025, 11, 3)))


@given(st.text() | TEXT, st.sampled_from(["scopes/HK.yaml", "groups/EU.yaml", "purposes/p.yaml"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_rulebook_or_an_input_error(text: str, file: str) -> None:
    judge({file: text})


@given(st.text(), st.text())
@settings(max_examples=100, deadline=None)
def test_any_path_is_a_rulebook_or_an_input_error(file: str, text: str) -> None:
    judge({file: text})


@given(st.data(), NAMES)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_template_is_a_rulebook_or_an_input_error(data: st.DataObject, file: str) -> None:
    text = TEMPLATE[file]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(PIECES | st.text(max_size=5) | TEXT) + text[end:]
    judge(beside(file, text))


@given(st.data(), NAMES)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_template_with_moved_words_is_a_rulebook_or_an_input_error(
    data: st.DataObject, file: str
) -> None:
    """Swaps lines and values, which stays YAML more often than noise does."""
    lines = TEMPLATE[file].splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        one, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        head, colon, _ = lines[one].partition(": ")
        _, _, tail = lines[other].partition(": ")
        lines[one] = f"{head}{colon}{tail}" if colon and tail else lines[other]
    judge(beside(file, "".join(lines)))


@given(st.integers(0, 1500), st.sampled_from(["[", "{", "- ", "{a: ", "[[", "? ", "a:\n "]))
@settings(max_examples=30, deadline=None)
def test_depth_is_bounded(depth: int, piece: str) -> None:
    judge({"scopes/HK.yaml": piece * depth})


@given(TEXT)
@settings(max_examples=200, deadline=None)
def test_every_node_stands_where_it_says(text: str) -> None:
    root = read_tree(text).root
    if root is not None:
        assert 0 <= root.start <= root.end <= len(text)
        assert all(1 <= line <= text.count("\n") + text.count("\r") + 1 for _, line in root.lines())
