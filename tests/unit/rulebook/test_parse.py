"""Parsing: what a rulebook may say, and the fault of everything else, with its line."""

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from sayso.errors import InputError
from sayso.model import (
    Authorship,
    Category,
    Dated,
    Exactness,
    Mode,
    Notice,
    Others,
    Place,
    Position,
    Source,
    Visibility,
    Withdrawal,
)
from sayso.rulebook.parse import (
    RulebookError,
    load_rulebook,
    parse_rulebook,
    rulebook_digest,
)
from tests.unit.rulebook.sample import FILES, HERE, WORLD, changed, line_here

FAQ = Source(
    'FAQ, "the page"', "https://example.org/faq", seen=date(2026, 11, 22), note="read in part"
)


def test_every_field_of_a_rule_arrives() -> None:
    first, second, world = parse_rulebook(FILES).rules
    assert (first.scope, first.purpose, first.mode) == ("HK", "training", Mode.OPT_OUT)
    assert first.begins == Dated(date(2024, 9, 18))
    assert first.until is None
    assert first.categories == {
        Category.POST: frozenset({Visibility.PUBLIC}),
        Category.PROMPT: frozenset({Visibility.PUBLIC, Visibility.PLATFORM}),
    }
    assert (first.others, first.withdrawal) == (Others.IGNORE, Withdrawal.FUTURE_RUNS)
    assert first.notice is None
    assert first.sources["from"] == FAQ
    assert first.sources["minimum_age"] == Source("assumption", note="nobody said")
    assert first.sources["others"] == Source("assumption")
    assert first.place == Place("scopes/HK.yaml", 11)
    assert second.authorship == {Authorship.OWN, Authorship.EDITED}
    assert second.notice == Notice(30, Dated(date(2025, 9, 1)))
    assert second.excluded_contexts == {"health"}
    assert second.earliest_written == Dated(date(2003, 5, 5))
    assert (second.decided_by, second.controller) == ("law", "Platform Ltd")
    assert (second.lawful_basis, second.assessments) == ("consent", ("impact assessment",))
    assert (world.begins, world.mode, world.minimum_age) == (None, Mode.NOT_ENABLED, None)
    # What a rule that permits nothing leaves out is filled with the strictest.
    assert (world.others, world.withdrawal) == (Others.REFUSE, Withdrawal.FORGET)


def test_every_field_of_hold_group_and_purpose_arrives() -> None:
    book = parse_rulebook(FILES)
    (hold,) = book.holds
    assert (hold.hold_id, hold.scope) == ("hk-1", "HK")
    assert hold.purposes == {"training"}
    assert hold.begins == Dated(date(2024, 10, 11), Exactness.BY)
    assert hold.lifted == Dated(date(2025, 11, 3))
    assert (hold.placed_by, hold.asked_by, hold.ordered_by) == ("Platform", "PCPD", "")
    assert (hold.position, hold.condition) == (Position.NONE, "until concerns are addressed")
    # Condition and position come from where beginning and lift come from.
    assert hold.sources["condition"] == hold.sources["position"] == FAQ
    group = book.groups["UNION"]
    assert [m.country for m in group.members] == ["FR", "GB"]
    assert group.members[1].until == Dated(datetime(2020, 1, 31, 23, tzinfo=UTC))
    purpose = book.purposes["training"]
    assert (purpose.title, purpose.recipients, purpose.sharing) == (
        "Training",
        ("Platform",),
        False,
    )
    assert purpose.wordings[0].label == "Use my data"
    assert list(book.files) == sorted(FILES)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-09-18", date(2024, 9, 18)),
        ('"2024-09-18"', date(2024, 9, 18)),
        ("2025-11-02T16:00:00Z", datetime(2025, 11, 2, 16, tzinfo=UTC)),
        ("2025-11-03T00:00:00+08:00", datetime(2025, 11, 2, 16, tzinfo=UTC)),
        ("2025-11-02 16:00", datetime(2025, 11, 2, 16, tzinfo=UTC)),
        ("2025-11-02T16:00:00.5Z", datetime(2025, 11, 2, 16, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_bound_is_a_civil_date_or_an_instant_in_utc(
    written: str, expected: date | datetime
) -> None:
    files = {"scopes/world.yaml": WORLD.replace("always", written)}
    assert parse_rulebook(files).rules[0].begins == Dated(expected)


def test_norway_is_a_country_and_no_word_is_read_as_true_or_false() -> None:
    files = changed("groups/UNION.yaml", "country: FR", "country: NO")
    assert parse_rulebook(files).groups["UNION"].members[0].country == "NO"
    files = changed("scopes/HK.yaml", "[health]", "[on, off, yes, no]")
    contexts = parse_rulebook(files).rules[1].excluded_contexts
    assert contexts == {"on", "off", "yes", "no"}


def test_a_hold_may_begin_at_a_time_that_is_not_known() -> None:
    files = changed("scopes/HK.yaml", "{date: 2024-10-11, exactness: by}", "unknown")
    assert parse_rulebook(files).holds[0].begins is None


def test_an_empty_rulebook_is_fine() -> None:
    assert parse_rulebook({}).rules == ()


# Each: file, what is replaced, by what (the fault stands on the marked line), message, hint.
CASES = [
    ("scopes/HK.yaml", "post:", f"posts: {HERE}\n       ", "unknown category 'posts'", "'post'?"),
    ("scopes/HK.yaml", "[public]", f"[publik] {HERE}", "unknown visibility 'publik'", "'public'"),
    ("scopes/HK.yaml", "[own]", f"[zzzzz] {HERE}", "unknown authorship 'zzzzz'", "own, edited"),
    ("scopes/HK.yaml", "[own]", f"own {HERE}", "'own' is not a list", "[one, two]"),
    ("scopes/HK.yaml", "[own]", f"[own, own] {HERE}", "'own' is written twice", "keep one"),
    ("scopes/HK.yaml", "[own]", f"[] {HERE}", "'authorship' is missing", "authorship: [own]"),
    ("scopes/HK.yaml", "opt-out", f"opt-uot {HERE}", "unknown mode 'opt-uot'", "'opt-out'?"),
    ("scopes/HK.yaml", "opt-out", f"no {HERE}", "unknown mode 'no'", "not-enabled"),
    ("scopes/HK.yaml", "ignore", f"ignored {HERE}", "unknown others 'ignored'", "'ignore'?"),
    ("scopes/HK.yaml", "future-runs", f"never {HERE}", "unknown withdrawal", "future-runs"),
    ("scopes/HK.yaml", "d_by: platform", f"d_by: us {HERE}", "unknown decided_by 'us'", "law"),
    (
        "scopes/HK.yaml",
        "age: 18\n",
        f"age: 180 {HERE}\n",
        "minimum_age '180' is out of",
        "0 to 120",
    ),
    (
        "scopes/HK.yaml",
        "age: 18\n",
        f"age: -1 {HERE}\n",
        "minimum_age '-1' is out of range",
        "0 to 120",
    ),
    ("scopes/HK.yaml", "age: 18\n", f"age: '18' {HERE}\n", "'18' is not a whole number", "digits"),
    (
        "scopes/HK.yaml",
        "age: 18\n",
        f"age: 18.5 {HERE}\n",
        "'18.5' is not a whole number",
        "digits",
    ),
    ("scopes/HK.yaml", "days: 30,", f"days: -2, {HERE}\n     ", "days '-2' is out of", "0 to"),
    ("scopes/HK.yaml", "days: 30,", f" {HERE}\n     ", "'days' is missing", "days: 30"),
    ("scopes/HK.yaml", "2024-09-18", f"2024-02-30 {HERE}", "no such day as '2024-02-30'", "2025"),
    ("scopes/HK.yaml", "2024-09-18", f"18.9.2024 {HERE}", "neither a date nor an in", "2025-11"),
    ("scopes/HK.yaml", "2024-09-18", f"unknown {HERE}", "neither a date nor an instant", "2025"),
    ("scopes/HK.yaml", "2024-09-18", f"2025-01-01T25:00Z {HERE}", "no such instant", "2025"),
    ("scopes/HK.yaml", "exactness: by", f"exactness: ca {HERE}\n   ", "exactness 'ca'", "exact"),
    ("scopes/HK.yaml", ", exactness: by", f"{HERE}\n   ", "date with exactness has two", "{date"),
    ("scopes/HK.yaml", "2026-11-22", f"yesterday {HERE}", "'yesterday' is not a date", "2025"),
    ("scopes/HK.yaml", "https://ex", f"javascript:x {HERE}\n #", "is not an address", "https://"),
    ("scopes/HK.yaml", "    from: 2024", f"    form: x {HERE}\n    from: 2024", "'form'", "'from'"),
    ("scopes/HK.yaml", "scope: HK", f"scope: HL {HERE}", "scope 'HL' stands in 'HK", "scope: HK"),
    ("scopes/HK.yaml", "scope: HK", f"scope: HK\nscope: HK {HERE}", "repeated key 'scope'", "keep"),
    (
        "scopes/HK.yaml",
        "placed_by: Pl",
        f"placed_by: {HERE}\n    #",
        "'placed_by' is missing",
        "who",
    ),
    ("scopes/HK.yaml", "placed_by: Pl", f"placed_by: '' {HERE} #", "text is empty", "remove"),
    ("scopes/HK.yaml", "position: none", f"position: ok {HERE}", "unknown position 'ok'", "none"),
    ("scopes/HK.yaml", "[training]", f"[] {HERE}", "'purposes' is empty", "purposes: ["),
    ("scopes/HK.yaml", "[training]", f"[Train_it] {HERE}", "cannot name a purpose", "small"),
    ("scopes/HK.yaml", "hk-1  #", f"h k {HERE}", "'h k' cannot be an id", "letters"),
    ("scopes/HK.yaml", "hk-1  #", f"77 {HERE}", "id: '77' is not text", "in quotes"),
    ("scopes/HK.yaml", "from: faq\n", f"from: fqa {HERE}\n", "undeclared source 'fqa'", "'faq'?"),
    (
        "scopes/HK.yaml",
        "from: faq\n",
        f"from: [faq] {HERE}\n",
        "a list names no source",
        "assumption",
    ),
    ("scopes/HK.yaml", "  mode: faq\n", f"  until: faq {HERE}\n", "not stated", "remove it"),
    ("scopes/HK.yaml", "  faq:\n", f"  assumption: {HERE}\n", "cannot be called", "other"),
    ("scopes/HK.yaml", "rules:\n", f"rules:\n  - 7 {HERE}\n", "'7' is not keys", "key: value"),
    ("groups/UNION.yaml", "country: FR,", f"country: UK, {HERE}\n    ", "country 'UK'", "'GB'?"),
    ("groups/UNION.yaml", "country: FR,", f"country: F, {HERE}\n    ", "country 'F'", "ISO"),
    ("purposes/training.yaml", "sharing: false", f"sharing: no {HERE}", "'no' is not true", "true"),
    ("purposes/training.yaml", "[Platform]", f"Platform {HERE}", "is not a list", "[one"),
]


@pytest.mark.parametrize(("file", "old", "new", "message", "hint"), CASES)
def test_every_fault_has_its_line_and_says_what_to_write(
    file: str, old: str, new: str, message: str, hint: str
) -> None:
    files = changed(file, old, new)
    with pytest.raises(RulebookError) as caught:
        parse_rulebook(files)
    matching = [fault for fault in caught.value.faults if message in fault.message]
    assert matching, caught.value.faults
    fault = matching[0]
    assert fault.file == file
    assert fault.line == line_here(files[file]), fault
    assert hint in fault.hint


@pytest.mark.parametrize(
    ("key", "line"),
    [("minimum_age", 11), ("categories", 11), ("others", 11), ("withdrawal", 11), ("mode", 11)],
)
def test_a_missing_key_is_told_at_the_rule(key: str, line: int) -> None:
    text = FILES["scopes/HK.yaml"]
    lines = text.splitlines(keepends=True)
    at = next(n for n, one in enumerate(lines) if one.startswith(f"    {key}:"))
    size = 3 if key == "categories" else 1
    files = {**FILES, "scopes/HK.yaml": "".join(lines[:at] + lines[at + size :])}
    with pytest.raises(RulebookError) as caught:
        parse_rulebook(files)
    fault = next(f for f in caught.value.faults if f"'{key}' is missing" in f.message)
    assert fault.line == line


def test_a_fact_without_a_source_is_told_at_the_sources() -> None:
    files = changed("scopes/HK.yaml", "      others: assumption\n", "")
    with pytest.raises(RulebookError) as caught:
        parse_rulebook(files)
    (fault,) = caught.value.faults
    assert (fault.line, fault.message) == (22, "no source for 'others'")
    assert fault.hint == "write others: and an id of 'sources', or others: assumption"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ("# only a comment\n", 1, "the file is empty"),
        ("scope: HK\n\trules: []\n", 2, "found character '\\t'"),
        ("scope: HK\na: &x 1\n", 2, "an anchor '&x'"),
        ("scope: *x\n", 1, "a reference '*x'"),
        ("scope: HK\nrules: !!python/object:os.system x\n", 2, "a tag that begins with '!'"),
        ("%YAML 1.1\n---\nscope: NO\n", 2, "a YAML directive"),
        ("scope: HK\n---\nscope: HK\n", 2, "a second document begins"),
        ("scope: H\x00K\n", 1, "a character nobody can see, U+0000"),
        ('scope: HK\ntitle: "\\0"\n', 2, "a character nobody can see, U+0000"),
        ("scope: HK\n# \u202eleft\n", 2, "a character nobody can see, U+202E"),
        ("[" * 5000, 1, "nested deeper than 12 levels"),
        ("scope: HK\n? [a]\n: b\n", 2, "a key that is not a word"),
        ("scope: {a: b\n", 1, "not readable as YAML"),
        ("just text", 1, "'just text' is not keys with values"),
        ("scope: HK\n" + "#" * 300_000, 1, "the file is too long"),
    ],
)
def test_yaml_that_can_surprise_is_refused_with_its_line(
    text: str, line: int, message: str
) -> None:
    with pytest.raises(RulebookError) as caught:
        parse_rulebook({"scopes/HK.yaml": text})
    fault = caught.value.faults[0]
    assert message in fault.message
    assert fault.line == line


def test_a_billion_laughs_are_refused_at_once() -> None:
    laughs = "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    with pytest.raises(RulebookError, match="an anchor"):
        parse_rulebook({"scopes/HK.yaml": laughs})


@pytest.mark.parametrize(
    "name", ["HK.yaml", "scopes/a/HK.yaml", "scopes/HK.yml", "rules/HK.yaml", "scopes/\ud800.yaml"]
)
def test_a_file_in_the_wrong_place_is_a_fault(name: str) -> None:
    with pytest.raises(RulebookError, match="no file of a rulebook"):
        parse_rulebook({name: "scope: HK\n"})


def test_all_faults_of_all_files_come_at_once_in_order() -> None:
    files = changed("scopes/HK.yaml", "opt-out", "opt-uot")
    files["scopes/HK.yaml"] = files["scopes/HK.yaml"].replace("others: ignore", "others: ignored")
    files["groups/UNION.yaml"] = files["groups/UNION.yaml"].replace("FR", "UK")
    with pytest.raises(RulebookError) as caught:
        parse_rulebook(files)
    error = caught.value
    assert [(f.file, f.line) for f in error.faults] == [
        ("groups/UNION.yaml", 3),
        ("scopes/HK.yaml", 13),
        ("scopes/HK.yaml", 19),
    ]
    assert str(error) == (
        "a fault in groups/UNION.yaml:3 and 2 more: unknown country 'UK'; did you mean 'GB'?"
    )
    assert str(error.faults[1]) == (
        "scopes/HK.yaml:13: unknown mode 'opt-uot'; did you mean 'opt-out'?"
    )
    for fault in error.faults:
        assert fault.message[0].islower() or fault.message[0] == "'"
        assert not fault.message.endswith(".")


def test_the_digest_is_that_of_the_labelled_netstrings() -> None:
    files = {"scopes/b.yaml": "é", "scopes/a.yaml": ""}
    raw = b"sayso-rulebook/v1\n13:scopes/a.yaml,0:,13:scopes/b.yaml,2:\xc3\xa9,"
    assert rulebook_digest(files) == hashlib.sha256(raw).hexdigest()
    assert parse_rulebook(FILES).digest == rulebook_digest(
        dict(sorted(FILES.items(), reverse=True))
    )


def test_load_reads_what_lies_there(tmp_path: Path) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    (tmp_path / "README.md").write_text("not read")
    (tmp_path / "scopes" / ".HK.yaml").write_text("not read")
    book = load_rulebook(tmp_path)
    assert book == parse_rulebook(FILES)
    (tmp_path / "scopes" / "CA.yml").write_text("scope: CA\n")
    with pytest.raises(RulebookError, match=r"scopes/CA\.yml' is no file"):
        load_rulebook(tmp_path)
    (tmp_path / "scopes" / "CA.yml").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"'scopes/CA\.yml' is not UTF-8 at byte 0"):
        load_rulebook(tmp_path)


def test_load_tells_a_missing_directory_and_a_thing_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rulebook in"):
        load_rulebook(tmp_path / "absent")
    (tmp_path / "scopes.yaml").mkdir()
    with pytest.raises(InputError, match=r"'scopes\.yaml' cannot be read"):
        load_rulebook(tmp_path)


WORDS_OF_A_PURPOSE = ("how_to_change", "retention", "contact")


@pytest.mark.parametrize("key", WORDS_OF_A_PURPOSE)
def test_what_a_receipt_says_of_a_purpose(key: str) -> None:
    stated = changed(
        "purposes/training.yaml",
        "source:\n",
        f"{key}: In the settings\nsource:\n  {key}: assumption\n",
    )
    purpose = parse_rulebook(stated).purposes["training"]
    assert [getattr(purpose, one) for one in WORDS_OF_A_PURPOSE] == [
        "In the settings" if one == key else "" for one in WORDS_OF_A_PURPOSE
    ]
    assert purpose.sources[key].is_assumption


@pytest.mark.parametrize("key", WORDS_OF_A_PURPOSE)
@pytest.mark.parametrize(
    ("written", "message"),
    [("In the settings", "no source for"), ('" "', "the text is empty"), ("7", "is not text")],
)
def test_a_word_of_a_purpose_is_text_with_a_source(key: str, written: str, message: str) -> None:
    files = changed("purposes/training.yaml", "source:\n", f"{key}: {written}\nsource:\n")
    with pytest.raises(RulebookError) as caught:
        parse_rulebook(files)
    assert any(message in fault.message for fault in caught.value.faults)
