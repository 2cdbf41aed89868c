import json
import re
from dataclasses import replace
from datetime import date

import pytest

from sayso.evidence.article53 import (
    OPEN,
    Provider,
    SizeBand,
    Summary,
    count_band,
    render_summary,
    size_band,
    summary_of,
)
from sayso.publishing import template_files
from sayso.rulebook.parse import parse_rulebook
from sayso.snapshot.manifest import (
    FORMAT,
    Bucket,
    Counts,
    Input,
    LogPin,
    Manifest,
    RulebookPin,
    StandingPin,
    Versions,
)
from tests.unit.evidence.test_report import outline

BOOK = parse_rulebook(template_files("linkedin-2024"))
# Source: the template, C(2025) 8311, by a summary that was published in its form.
SECTIONS = {
    "1.1": "Provider identification",
    "1.2": "Model identification",
    "1.3": "Modalities, overall training data size and other characteristics",
    "2.1": "Publicly available datasets",
    "2.2": "Private non-publicly available datasets obtained from third parties",
    "2.3": "Data crawled and scraped from online sources",
    "2.4": "User data",
    "2.5": "Synthetic data",
    "2.6": "Other sources of data",
    "3.1": "Respect of reservation of rights from text and data mining exception or limitation",
    "3.2": "Removal of illegal content",
    "3.3": "Other information",
}
MODEL = "2.4 Data from user interactions with the AI model"
SERVICES = "2.4 Data from user interactions with the provider's other services or products"


def counts(admitted: int, **refused: int) -> Counts:
    total = admitted + sum(refused.values())
    return Counts(records_in=total, admitted=admitted, refused=refused, reasons=refused)


def manifest() -> Manifest:
    parts = {
        "GB": counts(437, CHOSEN_OFF=83, UNDER_AGE=7),
        "IS": counts(3, CHOSEN_OFF=1),
        "US": counts(1560, CHOSEN_OFF=0),
    }
    total = counts(2000, CHOSEN_OFF=84, UNDER_AGE=7)
    return Manifest(
        format=FORMAT,
        purpose="content-generation-training",
        at="2026-01-15T12:00:00Z",
        known=9,
        log=LogPin(origin="example.org/log", size=9, root="1" * 64),
        rulebook=RulebookPin(digest=BOOK.digest, entry=0),
        versions=Versions(semantics=1, tzdata="2026f"),
        inputs={"content": Input(name="content.parquet", sha256="2" * 64, rows=2091)},
        counts=total,
        by_country=parts,
        standing=StandingPin(rows=900, root="3" * 64),
        buckets={
            "0001": Bucket(
                file="records/bucket-0001.parquet", rows=2000, root="4" * 64, sha256="5" * 64
            )
        },
        files={},
        root="6" * 64,
    )


def summary(**categories: int) -> Summary:
    return summary_of(
        manifest(), BOOK, characters=4_000_000, updated=date(2026, 1, 20),
        categories=categories or {"post": 1996, "prompt": 4},
    )  # fmt: skip


def answers(made: Summary) -> dict[str, str]:
    return {
        f"{section.number} {one.label}": one.text
        for _, _, sections in made.parts
        for section in sections
        for one in section.answers
    }


def test_it_has_the_sections_of_the_template_in_order() -> None:
    made = summary().parts
    found = {section.number: section.title for _, _, sections in made for section in sections}

    assert list(found.items()) == list(SECTIONS.items())
    assert [(number, title) for number, title, _ in made] == [
        ("1", "General information"), ("2", "List of data sources"),
        ("3", "Data processing aspects"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("characters", "band"),
    [
        (0, SizeBand.SMALL),
        (4 * 10**9 - 1, SizeBand.SMALL),
        (4 * 10**9, SizeBand.MIDDLE),
        (4 * 10**13 - 1, SizeBand.MIDDLE),
        (4 * 10**13, SizeBand.LARGE),
    ],
)
def test_sizes_are_the_templates_bands(characters: int, band: SizeBand) -> None:
    assert size_band(characters) is band


@pytest.mark.parametrize(
    ("count", "band"),
    [(0, "none"), (1, "fewer than 10"), (9, "fewer than 10"), (10, "10 to 99"),
     (99, "10 to 99"), (100, "100 to 999"), (2000, "1,000 to 9,999")],
)  # fmt: skip
def test_counts_are_bands(count: int, band: str) -> None:
    assert count_band(count) == band


def test_no_exact_count_and_no_small_group_stands_in_it() -> None:
    html = render_summary(summary()).decode()
    said = re.sub(r"<style>.*?</style>|[0-9a-f]{64}", "", html, flags=re.DOTALL)

    for count in ("437", "1560", "1,560", "1996", "1,996", "2000", "2,000", "2091", "84", "83"):
        assert not re.search(rf"(?<![\d,]){count}(?![\d,])", said), count
    assert "Iceland" not in said
    assert "Britain" in said
    assert "prompt (" not in said
    assert "post (1,000 to 9,999)" in said


def test_what_only_the_provider_knows_stands_open() -> None:
    found = answers(summary())
    html = render_summary(summary()).decode()

    assert found["1.1 Provider name and contact details"] == ""
    assert html.count(OPEN) == sum(not text for text in found.values())
    assert json.loads(summary().to_bytes())["sections"][0]["answers"][0]["text"] is None
    told = summary_of(
        manifest(), BOOK, characters=1, categories={}, updated=date(2026, 1, 20),
        provider=Provider(name="Example Ltd <x>", models="writer 1"),
    )  # fmt: skip
    assert answers(told)["1.1 Provider name and contact details"] == "Example Ltd <x>"
    assert "Example Ltd &lt;x&gt;" in render_summary(told).decode()


def test_user_data_is_told_as_such() -> None:
    found = answers(summary(post=500, prompt=1500))

    assert found[MODEL].startswith("Yes")
    assert found[SERVICES].startswith("Yes")
    assert answers(summary(post=2000))[MODEL] == "No."
    assert "opt-out" in found["2.4 Additional comments"]
    assert (
        found["2.5 Synthetic data created by the provider or on its behalf to train the model"]
        == "No: none in this training set."
    )


def test_it_is_a_page_like_the_others() -> None:
    found = outline(render_summary(summary()))

    assert found.headings[:3] == [1, 2, 3]
    assert found.count("script") == 0


def test_it_never_says_that_anything_is_lawful() -> None:
    html = render_summary(summary()).decode()

    assert "does not mean that the use is lawful" in html
    assert html.count("lawful") == 1


def test_the_same_manifest_gives_the_same_bytes() -> None:
    assert summary().to_bytes() == summary().to_bytes()
    assert render_summary(summary()) == render_summary(replace(summary()))
