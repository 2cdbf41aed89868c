"""The rulebook against time: the rows, and a picture that shows them all."""

from datetime import UTC, date, datetime
from xml.etree import ElementTree as ET

import pytest

from sayso.model import Dated, Exactness, Mode
from sayso.rulebook.parse import parse_rulebook
from sayso.rulebook.timeline import TimelineRow, timeline_rows, timeline_svg
from tests.unit.rulebook.sample import FILES, changed

BOOK = parse_rulebook(FILES)
TODAY = date(2025, 12, 1)
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """Return what is written in a picture."""
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


def spans(svg: str, kind: str) -> list[str]:
    """Return the titles of the bars that are drawn with the pattern of a kind."""
    return [
        "".join(group.find(f"{SVG}title").itertext())  # type: ignore[union-attr]
        for group in ET.fromstring(svg).iter(f"{SVG}g")
        if any(kind in path.get("fill", "") for path in group.iter(f"{SVG}path"))
    ]


def test_rows_are_rules_and_holds_by_scope_and_time() -> None:
    world, first, second, hold = timeline_rows(BOOK, "training")
    assert (world.scope, world.kind, world.begins, world.until) == ("world", "rule", None, None)
    assert (world.mode, world.label) == (Mode.NOT_ENABLED, "not enabled")
    assert first.until == second.begins == Dated(date(2025, 11, 3))
    assert (second.label, second.who) == ("opt-in, 16 and over, notice 30 days before", "law")
    assert hold == TimelineRow(
        scope="HK",
        kind="hold",
        label="hk-1",
        begins=Dated(date(2024, 10, 11), Exactness.BY),
        until=Dated(date(2025, 11, 3)),
        exactness=Exactness.BY,
        mode=None,
        who="Platform, asked by PCPD",
        source='FAQ, "the page"',
    )
    assert timeline_rows(BOOK, "nothing") == []


def test_a_hold_on_every_purpose_is_in_every_timeline() -> None:
    files = changed("scopes/HK.yaml", "purposes: [training]", "purposes: ['*']")
    rows = timeline_rows(parse_rulebook(files), "another")
    assert [(row.kind, row.label) for row in rows] == [("hold", "hk-1")]


def test_a_hold_whose_beginning_is_not_known_is_unknown() -> None:
    files = changed("scopes/HK.yaml", "{date: 2024-10-11, exactness: by}", "unknown")
    hold = timeline_rows(parse_rulebook(files), "training")[-1]
    assert (hold.begins, hold.exactness) == (None, Exactness.UNKNOWN)


def test_the_picture_names_every_scope_bar_and_year() -> None:
    svg = timeline_svg(BOOK, "training", today=TODAY)
    written = texts(svg)
    for expected in ("Training", "Everywhere else", "world", "Hong Kong", "HK", "2024", "2025"):
        assert expected in written
    assert "today, 1 Dec 2025" in written
    assert "hold · Platform, asked by PCPD · by 10 Oct 2024" not in written
    assert any(text.startswith("hold · Platform, asked by PCPD") for text in written)
    assert any(text.startswith("opt-out from 18 Sep 2024") for text in written)
    assert "not enabled · always" in written
    assert "at most 23 days without a hold" in written
    assert len(spans(svg, "mark-hold")) == 1
    assert len(spans(svg, "mark-opt-in")) == 1


def test_the_picture_can_be_read_without_eyes() -> None:
    root = ET.fromstring(timeline_svg(BOOK, "training", today=TODAY))
    title, desc = root[0], root[1]
    assert (title.tag, desc.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    told = desc.text or ""
    assert "Hong Kong: hold hk-1, Platform, asked by PCPD, by 11 Oct 2024 to 3 Nov 2025" in told
    assert "Everywhere else: not enabled, always, decided by platform" in told


def test_uncertain_dates_look_uncertain() -> None:
    assert 'fill="url(#sayso-training-in-hold)"' in timeline_svg(BOOK, "training", today=TODAY)
    files = changed("scopes/HK.yaml", "{date: 2024-10-11, exactness: by}", "2024-10-11")
    exact = timeline_svg(parse_rulebook(files), "training", today=TODAY)
    assert 'fill="url(#sayso-training-in-hold)"' not in exact
    assert "23 days without a hold" in texts(exact)


def test_whatever_is_written_is_escaped() -> None:
    name = "'<script>\"&amp;]]>'"
    files = changed("scopes/HK.yaml", "placed_by: Platform", f"placed_by: {name}")
    files["purposes/training.yaml"] = files["purposes/training.yaml"].replace(
        "title: Training", f"title: {name}"
    )
    svg = timeline_svg(parse_rulebook(files), "training", today=TODAY)
    assert "<script" not in svg
    assert name.strip("'") in texts(svg)


def test_a_sliver_is_visible_and_labelled() -> None:
    rule = FILES["scopes/world.yaml"].replace("always", "2025-03-01")
    hold = (
        "holds:\n  - {id: a, purposes: ['*'], from: 2025-03-02, lifted: 2025-03-03,"
        " placed_by: Us, position: none,"
        " source: {from: assumption, lifted: assumption, placed_by: assumption}}\n"
    )
    book = parse_rulebook({**FILES, "scopes/world.yaml": rule + hold})
    svg = timeline_svg(book, "training", today=TODAY, start=date(1990, 1, 1), end=date(2040, 1, 1))
    assert "hold · Us · 2 Mar 2025 to 3 Mar 2025" in texts(svg)
    assert len(spans(svg, "mark-hold")) == 2


@pytest.mark.parametrize(
    ("start", "end", "today"),
    [
        (date(2025, 1, 28), date(2025, 2, 12), date(2025, 2, 1)),
        (date(1, 1, 1), date(9999, 12, 31), date(2025, 2, 1)),
        (date(2030, 1, 1), date(2020, 1, 1), date(2025, 2, 1)),
        (date(9999, 12, 31), None, date.max),
        (None, None, date.min),
        (None, None, date.max),
    ],
)
def test_any_window_gives_a_picture(start: date | None, end: date | None, today: date) -> None:
    svg = timeline_svg(BOOK, "training", today=today, start=start, end=end)
    assert {"Hong Kong", "Everywhere else"} <= set(texts(svg))


def test_no_text_overlaps_another() -> None:
    many = "".join(
        f"  - {{id: h{n}, purposes: ['*'], from: 2025-{n % 12 + 1:02}-0{n % 8 + 1},"
        f" lifted: 2025-{n % 12 + 1:02}-1{n % 9}, placed_by: {'Us' * (n % 5 + 1)}, position: none,"
        " source: {from: assumption, lifted: assumption, placed_by: assumption}}\n"
        for n in range(30)
    )
    book = parse_rulebook({**FILES, "scopes/MO.yaml": f"scope: MO\nholds:\n{many}"})
    root = ET.fromstring(timeline_svg(book, "training", today=TODAY))
    boxes = []
    for node in root.iter(f"{SVG}text"):
        if node.get("aria-hidden"):  # the halo of the text that follows
            continue
        # Narrower than any face in use, so that only real collisions count.
        width = len("".join(node.itertext())) * float(node.get("font-size", "12")) * 0.5
        x, y = float(node.get("x", "0")), float(node.get("y", "0"))
        left = {"start": x, "middle": x - width / 2, "end": x - width}[node.get("text-anchor", "")]
        boxes.append((left, left + width, y, "".join(node.itertext())))
    for place, (left, right, y, text) in enumerate(boxes):
        for other_left, other_right, other_y, other in boxes[place + 1 :]:
            apart = right <= other_left or other_right <= left or abs(y - other_y) >= 9
            assert apart, (text, other)


def test_a_purpose_without_anything_says_so() -> None:
    svg = timeline_svg(BOOK, "nothing", today=TODAY)
    assert "no rule and no hold for this purpose: nothing is admitted" in texts(svg)


def test_an_instant_shows_its_time() -> None:
    files = changed("scopes/HK.yaml", "from: 2025-11-03", "from: 2025-11-02T16:00:00Z")
    book = parse_rulebook(files)
    assert book.rules[1].begins == Dated(datetime(2025, 11, 2, 16, tzinfo=UTC))
    svg = timeline_svg(book, "training", today=TODAY)
    assert any("2 Nov 2025 16:00 UTC" in text for text in texts(svg))
