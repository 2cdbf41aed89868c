"""Faults that need the whole book, each with its line."""

from dataclasses import replace
from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.rulebook.check import check_files, check_rulebook
from sayso.rulebook.parse import Fault, load_files, parse_rulebook
from tests.unit.rulebook.sample import FILES, HERE, changed, line_here

HK, WORLD, UNION = "scopes/HK.yaml", "scopes/world.yaml", "groups/UNION.yaml"
RULE = """\
  - purpose: training
    from: {begins}
    mode: not-enabled
    decided_by: law
    source: {{from: assumption, mode: assumption, decided_by: assumption}}
"""


def test_the_sample_and_an_empty_rulebook_have_no_faults() -> None:
    assert check_files(FILES) == ()
    assert check_files({}) == ()
    assert check_rulebook(parse_rulebook(FILES)) == ()


FAULTY_SCOPE = """\
scope: FR
sources:
  unused: {title: Nobody cites this}
rules:
  - purpose: training
    from: 2024-01-01
    until: 2024-06-01
    mode: opt-in
    minimum_age: 18
    categories: {post: [public], poem: [public], article: [everyone]}
    authorship: [own]
    others: ignore
    withdrawal: forget
    decided_by: platform
    colour: blue
    source: {from: assumption, until: assumption, mode: assumption, minimum_age: assumption,
             categories: assumption, authorship: assumption, others: assumption,
             decided_by: assumption}
  - purpose: training
    from: 2024-07-01
    until: 2024-12-01
    mode: not-enabled
    decided_by: platform
    source: {from: assumption, until: assumption, mode: assumption, decided_by: assumption}
  - purpose: training
    from: 2024-11-01
    mode: not-enabled
    decided_by: platform
    source: {from: assumption, mode: assumption, decided_by: assumption}
holds:
  - id: hk-1
    purposes: [training]
    from: 2024-01-01
    lifted: 2023-01-01
    source: {from: assumption, lifted: assumption}
"""
FAULTY_GROUP = """\
title: Pact
members:
  - {country: UK, from: 2000-01-01}
  - {country: FR, from: 2000-01-01}
  - {country: FR, from: 2001-01-01}
source: {members: assumption}
"""


def test_faults_of_files_and_of_the_book_are_told_at_once() -> None:
    """One reading tells all: nobody mends a book file by file."""
    files = dict(FILES)
    files[WORLD] = files[WORLD].replace("purpose: training", "purpose: unheard-of")
    files["scopes/FR.yaml"] = FAULTY_SCOPE
    files["scopes/UK.yaml"] = "scope: UK\nrules:\n" + RULE.format(begins="nobody knows")
    files["groups/PACT.yaml"] = FAULTY_GROUP
    told = [(fault.file[7:-5], fault.line, fault.message) for fault in check_files(files)]
    assert told == [
        ("PACT", 3, "unknown country 'UK'"),
        ("PACT", 5, "FR is in PACT twice at the same time"),
        ("FR", 3, "source 'unused' is not used"),
        ("FR", 7, "no rule from 2024-06-01 until the next one begins 2024-07-01"),
        ("FR", 10, "unknown category 'poem'"),
        ("FR", 10, "unknown visibility 'everyone'"),
        ("FR", 15, "unknown key 'colour'"),
        ("FR", 16, "no source for 'withdrawal'"),
        ("FR", 21, "a not-enabled rule ends only with the next rule of its scope"),
        ("FR", 21, "the rule overlaps the next one, which begins 2024-11-01"),
        ("FR", 31, "'placed_by' is missing"),
        ("FR", 31, "hold 'hk-1' is written twice"),
        ("FR", 34, "hold 'hk-1' is lifted 2023-01-01 and begins 2024-01-01"),
        ("FR", 34, "hold 'hk-1' is lifted without a position"),
        ("UK", 1, "scope 'UK' is neither a country, nor a group, nor world"),
        ("UK", 4, "'nobody knows' is neither a date nor an instant"),
        ("world", 3, "a rule for the undeclared purpose 'unheard-of'"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # A rule between two others that cannot be dated may fill the gap.
        ("from: 2025-11-03", "from: soon", "'soon' is neither a date nor an instant"),
        ("- purpose: training", "- purpose: Training", "'Training' cannot name a purpose"),
        ("position: none", "position: no", "unknown position 'no'"),
        ("lifted: 2025-11-03", "lifted: soon", "'soon' is neither a date nor an instant"),
        ("placed_by: Platform", "placed_by: ''", "the text is empty"),
        ("      mode: faq", "      mode: fag", "undeclared source 'fag'"),
    ],
)
def test_nothing_is_told_that_only_follows_from_a_fault(old: str, new: str, message: str) -> None:
    until = "    until: 2025-01-01\n    mode: opt-out"
    files = changed(HK, "    mode: opt-out", until) if new == "from: soon" else dict(FILES)
    files[HK] = files[HK].replace(old, new, 1)
    told = [fault.message for fault in check_files(files)]
    assert [one for one in told if "no source for 'until'" not in one] == [message]


def test_bytes_that_are_no_utf8_hide_no_other_fault(tmp_path: Path) -> None:
    (tmp_path / "scopes").mkdir()
    (tmp_path / "scopes" / "HK.yaml").write_bytes(b"scope: HK\n# abc\xe9\n")
    (tmp_path / "scopes" / "UK.yaml").write_text("scope: UK\n")
    with pytest.raises(InputError, match="is not UTF-8 at byte 15"):
        load_files(tmp_path)
    faults = check_files(load_files(tmp_path, lossy=True))
    assert [(fault.file, fault.line, fault.message) for fault in faults] == [
        ("scopes/HK.yaml", 2, "not UTF-8"),
        ("scopes/UK.yaml", 1, "scope 'UK' is neither a country, nor a group, nor world"),
    ]


def test_a_file_that_is_no_yaml_still_declares_its_name() -> None:
    broken = {**FILES, "purposes/training.yaml": "title: [", UNION: "title: ]"}
    broken["scopes/UNION.yaml"] = "scope: UNION\nrules:\n" + RULE.format(begins="always")
    assert {fault.file for fault in check_files(broken)} == {"purposes/training.yaml", UNION}


# Each: file, what is replaced, by what (the fault stands on the marked line), message, hint.
CASES = [
    (HK, "from: 2025-11-03", f"from: 2024-09-18 {HERE}", "two rules of HK begin 2024-09-18", "11"),
    (
        HK,
        "from: 2025-11-03",
        f"from: 2024-09-17T20:00:00Z {HERE}",
        "two rules of HK begin 2024-09-17T20:00:00Z",
        "the other stands on line 11",
    ),
    (HK, "from: 2025-11-03", f"from: always {HERE}", "begins always and is not the first", "date"),
    (
        HK,
        "    mode: opt-out",
        f"    until: 2025-12-01 {HERE}\n    mode: opt-out",
        "the rule overlaps the next one, which begins 2025-11-03",
        "remove 'until'",
    ),
    (
        HK,
        "    mode: opt-out",
        f"    until: 2025-10-01 {HERE}\n    mode: opt-out",
        "no rule from 2025-10-01 until the next one begins 2025-11-03",
        "not-enabled rule",
    ),
    (
        HK,
        "    mode: opt-out",
        f"    until: 2024-09-18 {HERE}\n    mode: opt-out",
        "the rule ends 2024-09-18 and begins 2024-09-18",
        "after 'from'",
    ),
    (HK, "lifted: 2025-11-03", f"lifted: 2024-10-11 {HERE}", "is lifted 2024-10-11", "after 'from"),
    (
        HK,
        "lifted: 2025-11-03",
        f"lifted: 2024-10-09T23:00:00Z {HERE}",
        "hold 'hk-1' is lifted 2024-10-09T23:00:00Z and begins 2024-10-11 (by)",
        "after 'from'",
    ),
    (HK, "    position: none\n", "", "hold 'hk-1' is lifted without a position", "none, asked"),
    (HK, "  - id: hk-1", f"  - id: hk-1 {HERE}", "", ""),
    (HK, "purposes: [training]", f"purposes: [train] {HERE}", "undeclared purpose", "'training'"),
    (
        HK,
        "- purpose: training",
        f"- purpose: tests {HERE}",
        "undeclared purpose 'tests'",
        "tests.y",
    ),
    (
        HK,
        "sources:\n",
        f"sources:\n  other: {HERE}\n    title: Other\n",
        "source 'other' is not used",
        "remove it",
    ),
    (UNION, "  - country: GB", f"  - country: FR {HERE}", "FR is in UNION twice", "1958-01-01"),
    (
        UNION,
        "until: 2020-01-31T23:00:00Z",
        f"until: 1973-01-01 {HERE}",
        "GB leaves UNION before it joins",
        "write 'until' after 1973-01-01",
    ),
    (
        "purposes/training.yaml",
        "source:\n",
        f"sources:\n  faq: {HERE}\n    title: FAQ\nsource:\n",
        "source 'faq' is not used",
        "remove it",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "message", "hint"), CASES)
def test_every_fault_has_its_line_and_says_what_to_write(
    file: str, old: str, new: str, message: str, hint: str
) -> None:
    text = FILES[file]
    if "until" in new and "opt-out" in new:
        text = text.replace("      from: faq\n", "      from: faq\n      until: faq\n", 1)
    files = {**FILES, file: text.replace(old, new, 1)}
    faults = check_files(files)
    if not message:
        assert faults == ()
        return
    fault = next(fault for fault in faults if message in fault.message)
    assert hint in fault.hint
    expected = line_here(files[file]) if HERE in new else 53
    assert (fault.file, fault.line) == (file, expected), fault
    assert check_rulebook(parse_rulebook(files)) == faults


def test_membership_overlaps_where_an_earlier_one_does_not_end() -> None:
    old = "  - country: GB"
    files = changed(UNION, old, "  - {country: FR, from: 2000-01-01}\n" + old)
    (fault,) = check_files(files)
    assert fault == Fault(
        UNION,
        4,
        "FR is in UNION twice at the same time",
        "end the membership that begins 1958-01-01 before this one",
    )
    ended = files[UNION].replace("1958-01-01}", "1958-01-01, until: 2000-01-01}")
    assert check_files({**FILES, UNION: ended}) == ()


@pytest.mark.parametrize(
    ("scope", "hint"), [("UK", "'GB'?"), ("hk", "'HK'?"), ("UNIONS", "'UNION'?"), ("XX", "ISO")]
)
def test_a_scope_that_is_nothing_is_told_at_its_name(scope: str, hint: str) -> None:
    file = f"scopes/{scope}.yaml"
    text = f"# nothing\nscope: {scope}\nrules:\n" + RULE.format(begins="always")
    (fault,) = check_files({**FILES, file: text})
    assert (fault.file, fault.line) == (file, 2)
    assert fault.message == f"scope '{scope}' is neither a country, nor a group, nor world"
    assert hint in fault.hint


def test_a_group_may_not_be_called_like_a_country() -> None:
    (fault,) = check_files({**FILES, "groups/FR.yaml": FILES[UNION]})
    assert fault.message == "group 'FR' has the name of a country or of the world"


def test_a_stop_has_no_end_of_its_own() -> None:
    rule = RULE.format(begins="always").replace("mode:", "until: 2030-01-01\n    mode:", 1)
    rule = rule.replace("{from:", "{until: assumption, from:")
    (fault,) = check_files({**FILES, WORLD: f"scope: world\nrules:\n{rule}"})
    assert (fault.line, fault.message) == (
        5,
        "a not-enabled rule ends only with the next rule of its scope",
    )


def test_two_rules_that_begin_always_are_told_once() -> None:
    text = "scope: world\nrules:\n" + RULE.format(begins="always") * 2
    (fault,) = check_files({**FILES, WORLD: text})
    assert (fault.line, fault.hint) == (
        9,
        "write it first, or give it the date from which it holds",
    )


def test_rules_that_touch_are_fine_in_any_order_of_writing() -> None:
    until = "    until: 2025-11-03\n    mode: opt-out"
    files = changed(HK, "    mode: opt-out", until)
    files[HK] = files[HK].replace("      from: faq\n", "      from: faq\n      until: faq\n", 1)
    assert check_files(files) == ()
    # In Hong Kong this is the same instant; where it depends on the zone it is no fault.
    files[HK] = files[HK].replace("until: 2025-11-03", "until: 2025-11-02T16:00:00Z")
    assert check_files(files) == ()


def test_an_ordered_hold_needs_the_approval_of_who_ordered_it() -> None:
    files = changed(HK, "asked_by: PCPD", "ordered_by: PCPD")
    files[HK] = files[HK].replace("asked_by: faq", "ordered_by: faq")
    (fault,) = check_files(files)
    assert (fault.line, fault.message) == (
        57,
        "hold 'hk-1' was ordered by PCPD, who approved no lift",
    )
    approved = files[HK].replace("position: none", "position: approved")
    assert check_files({**FILES, HK: approved}) == ()


def test_a_position_without_a_lift_is_a_fault() -> None:
    files = changed(HK, "    lifted: 2025-11-03\n", "")
    files[HK] = files[HK].replace("lifted: faq, ", "")
    (fault,) = check_files(files)
    assert (fault.line, fault.message) == (56, "hold 'hk-1' has a position and is not lifted")


def test_a_hold_id_is_used_once_in_all_scopes() -> None:
    hold = FILES[HK][FILES[HK].index("holds:") :].replace("faq", "assumption")
    (fault,) = check_files({**FILES, "scopes/MO.yaml": f"scope: MO\n{hold}"})
    assert fault == Fault(
        "scopes/MO.yaml",
        3,
        "hold 'hk-1' is written twice",
        "give it another id; the other stands in scopes/HK.yaml:50",
    )


def test_a_rulebook_from_elsewhere_is_held_to_the_same() -> None:
    book = parse_rulebook(FILES)
    (hold,) = book.holds
    loose = replace(hold, placed_by="", sources={})
    assert [
        (fault.line, fault.message) for fault in check_rulebook(replace(book, holds=(loose,)))
    ] == [
        (50, "nobody placed hold 'hk-1'"),
        (53, "hold 'hk-1' is lifted without a source"),
    ]
