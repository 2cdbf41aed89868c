"""A prompt holds what one member said of themselves, and nothing of anybody else."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.errors import InputError
from sayso.model import Authorship, Category, Visibility
from sayso.writing.material import load_material
from sayso.writing.prompt import INSTRUCTIONS, bio_prompt, post_prompt
from tests.town import AT, Row, record_row, write_content

WHO = "m1"
PAST, FUTURE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def mark(who: str | None) -> str:
    """Return what stands in every text of a member, and in no other."""
    return f"zq-of-{who}-zq"


def one_of(words: Any) -> Any:
    return st.sampled_from([*words, "strange", None])


@st.composite
def record(draw: Any) -> Row:
    # Ids that look alike: a prefix, a number, another case, a quote.
    who = draw(st.sampled_from([WHO, WHO, "m11", "m", "M1", "1", "m1'", "m1 ", None]))
    text = draw(st.sampled_from(["", "words ", f"As {WHO} says: ", "'; DROP --", "\x00\n"]))
    return record_row(
        draw(st.sampled_from(["r1", "r2", "r3", "r4", "r5", None])),
        who,
        category=draw(st.one_of(st.just("profile"), one_of(Category))),
        visibility=draw(st.one_of(st.just("public"), one_of(Visibility))),
        authorship=draw(st.one_of(st.just("own"), one_of(Authorship))),
        deleted_at=draw(st.sampled_from([None, None, PAST, FUTURE])),
        text=text + mark(who),
    )


def material(rows: list[Row]) -> str:
    """Return what the member's prompt would give a model; empty where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_content(Path(folder) / "c.parquet", rows)
        pieces = load_material(path, WHO, AT)
    try:
        return bio_prompt([one.text for one in pieces]).material
    except InputError:
        return ""


@settings(max_examples=25, deadline=None)
@given(st.lists(record(), max_size=12))
def test_nothing_of_another_member_enters_a_prompt(rows: list[Row]) -> None:
    found = material(rows)

    assert all(mark(who) not in found for who in {row["member_id"] for row in rows} - {WHO})
    # And it does not depend on them, but for an id that somebody else has too.
    others = {row["record_id"] for row in rows if row["member_id"] != WHO}
    mine = [row for row in rows if row["member_id"] == WHO]
    if not others & {row["record_id"] for row in mine}:
        assert material(mine) == found
    else:
        assert material([row for row in mine if row["record_id"] not in others]) == found


@given(st.text(min_size=1).filter(str.strip))
def test_what_a_member_says_stays_in_their_own_message(about: str) -> None:
    prompt = post_prompt(about)

    assert prompt.messages() == [
        {"role": "system", "content": INSTRUCTIONS[prompt.task]},
        {"role": "user", "content": about},
    ]
